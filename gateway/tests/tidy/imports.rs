//! Rules about who may name whom.

use crate::source::{Fault, Source, names_crate};

/// The gateway's modules from the top down; each may import those of its own and of later rows.
const RANKS: [&[&str]; 14] = [
    &["main"],
    &["command"],
    &["client"],
    &["lib", "config", "stop", "memory"],
    &["server"],
    &["routes", "facade", "dashboard", "openapi"],
    &["events", "images", "ingest", "cameras", "problem"],
    &["access"],
    &["store"],
    &["relay"],
    &["registry"],
    &["link"],
    &["io"],
    &["metrics", "limits", "clock", "csv", "hash"],
];

/// The modules that ask cameras know nothing of what is stored, though `store` stands below them all.
const WITHOUT_STORE: [&str; 3] = ["relay", "registry", "link"];

/// Who may name an outside crate: the crate, and the modules or files that own it.
const OWNERS: [(&str, &[&str]); 7] = [
    (
        "warp",
        &[
            "gateway/src/routes",
            "gateway/src/facade",
            "gateway/src/problem",
            "gateway/src/dashboard",
            "gateway/src/server",
        ],
    ),
    ("dashmap", &["gateway/src/registry"]),
    ("rmp_serde", &["proto/src/codec"]),
    ("rusqlite", &["gateway/src/store", "camera-agent/src/spool", "bench/src/ingest/raw"]),
    (
        "tokio_tungstenite",
        &["camera-agent/src/connect", "gateway/src/link", "bench/src/fleet", "bench/src/timeouts"],
    ),
    ("indicatif", &["gateway/src/command/progress"]),
    ("reqwest", &["gateway/src/client", "camera-agent/src/enroll", "camera-agent/src/source/snapshot"]),
];

/// Where the gateway may know HTTP.
const HTTP: [&str; 9] = [
    "gateway/src/main",
    "gateway/src/client",
    "gateway/src/command",
    "gateway/src/config",
    "gateway/src/server",
    "gateway/src/routes",
    "gateway/src/facade",
    "gateway/src/dashboard",
    "gateway/src/problem",
];

/// Crates and folders that do not know each other, and where they may all the same.
const STRANGERS: [(&str, &str, &[&str]); 4] = [
    ("gateway/", "camera_agent", &["gateway/src/command/demo", "gateway/tests"]),
    ("camera-agent/", "oriel_gateway", &[]),
    ("proto/", "oriel_gateway", &[]),
    ("proto/", "camera_agent", &[]),
];

/// Inside the gateway imports point one way, from the program down to the sockets.
pub(crate) fn one_way(source: &Source) -> Vec<Fault> {
    let Some(module) = module(source) else { return Vec::new() };
    let Some(own) = rank(&module) else {
        return vec![source.fault(1, format!("the module {module} has no place in the ranks of tests/tidy"))];
    };
    let mut faults = Vec::new();
    for (line, import) in imports(source) {
        let allowed = import == module || rank(&import).is_some_and(|rank| rank >= own);
        if !allowed || (import == "store" && WITHOUT_STORE.contains(&&*module)) {
            faults.push(source.fault(line, format!("{module} may not import {import}")));
        }
    }
    faults
}

/// Each outside crate of weight has one owner.
pub(crate) fn one_owner(source: &Source) -> Vec<Fault> {
    OWNERS.iter().flat_map(|(name, owners)| foreign(source, name, owners)).collect()
}

/// Below the routes nothing knows HTTP.
pub(crate) fn no_http_below_routes(source: &Source) -> Vec<Fault> {
    if !source.path.starts_with("gateway/src/") {
        return Vec::new();
    }
    ["http", "hyper", "hyper_util"].iter().flat_map(|name| foreign(source, name, &HTTP)).collect()
}

/// Gateway and agent do not know each other, and the protocol knows neither.
pub(crate) fn strangers(source: &Source) -> Vec<Fault> {
    let table = STRANGERS.iter().filter(|(folder, ..)| source.path.starts_with(folder));
    table.flat_map(|(_, name, owners)| foreign(source, name, owners)).collect()
}

fn foreign(source: &Source, name: &str, owners: &[&str]) -> Vec<Fault> {
    if !source.is_rust() || source.belongs_to(owners) {
        return Vec::new();
    }
    let lines = source.shipped().into_iter().filter(|(_, line)| names_crate(line, name));
    lines.map(|(n, _)| source.fault(n, format!("{name} is named outside {}", owners.join(", ")))).collect()
}

fn rank(module: &str) -> Option<usize> {
    RANKS.iter().position(|row| row.contains(&module))
}

/// The gateway's module that a file belongs to: `routes` for `gateway/src/routes/events.rs`.
fn module(source: &Source) -> Option<String> {
    let inside = source.path.strip_prefix("gateway/src/")?.strip_suffix(".rs")?;
    inside.split('/').next().map(str::to_owned)
}

/// The gateway's modules that a file imports, with the line; an item of the crate's root counts as `lib`.
fn imports(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let lines = source.shipped();
    let text: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
    for root in ["crate::", "oriel_gateway::"] {
        for (at, _) in text.match_indices(root) {
            let line = lines[text[..at].matches('\n').count()].0;
            found.extend(heads(&text[at + root.len()..]).into_iter().map(|head| (line, head)));
        }
    }
    found
}

/// The first names of a path, or of each path in braces; an item that is no module counts as `lib`.
fn heads(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else { return head(path).into_iter().collect() };
    let (mut depth, mut start, mut heads_in) = (0, true, Vec::new());
    for (at, char) in group.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            char if start && !char.is_whitespace() => {
                start = false;
                heads_in.extend(head(&group[at..]));
            }
            _ => {}
        }
    }
    heads_in
}

fn head(path: &str) -> Option<String> {
    let name: String = path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    match name.chars().next()? {
        first if first.is_uppercase() => Some("lib".into()),
        _ if name == "self" => Some("lib".into()),
        _ => Some(name),
    }
}
