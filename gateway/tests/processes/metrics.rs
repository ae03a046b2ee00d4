//! What the guide says of metrics.

use std::process::Command;

use super::{gateway::Gateway, process::Process};

#[test]
fn every_metric_of_a_gateway_stands_in_the_guide() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guide/observe.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let gateway = Gateway::start();
    let mut curl = Command::new("curl");
    let key = format!("Authorization: Bearer {}", gateway.key);
    curl.args(["--silent", "--fail", "--header", &key]).arg(format!("{}/metrics", gateway.url));
    let text = Process::start(curl).finish().fine();
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let missing: Vec<_> = names.clone().filter(|name| !guide.contains(&format!("| `{name}"))).collect();
    assert!(names.count() >= 18 && missing.is_empty(), "{missing:?}");
}
