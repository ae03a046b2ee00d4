//! Sources that break one rule each, and sources beside them that do not: each rule is seen to fail.

use crate::{Rule, habits, imports, source::Source};

/// Checks that `rule` finds a fault on the given line of `text`, or none on line 0.
fn finds(rule: Rule, path: &str, text: &str, line: usize) {
    let faults = rule(&Source::new(path, text));
    let places: Vec<_> = faults.iter().map(ToString::to_string).collect();
    match line {
        0 => assert!(faults.is_empty(), "{path}: {text}: {places:?}"),
        line => assert!(
            places.iter().any(|at| at.starts_with(&format!("{path}:{line}: "))),
            "{path}: {text}: {places:?}"
        ),
    }
}

#[test]
fn an_import_upwards_is_found() {
    let rule = imports::one_way;
    for (module, text, line) in [
        ("link", "//! A.\nuse crate::registry::Registry;", 2),
        ("link/pump", "fn a() -> crate::relay::Error {", 1),
        ("relay", "use crate::{\n    link::{Link, Close},\n    routes,\n};", 1),
        ("relay", "use crate::{link::{Link, Close}, metrics::Metrics};", 0),
        ("registry", "use crate::store::Store;", 1),
        ("events", "use crate::{relay::Relay, store::Store, problem};", 0),
        ("events", "use crate::routes::Page;", 1),
        ("events", "use crate::Gateway;", 1),
        ("server", "use crate::config::Config;", 1),
        ("client", "use crate::command::Failure;", 1),
        ("command/keys", "use oriel_gateway::config::Config;\nuse crate::client::Client;", 0),
        ("lib", "//! See [`crate::main`].\npub use crate::config::Config;", 0),
        ("access", "#[cfg(test)]\nmod tests {\n    use crate::routes::X;\n}\nuse crate::routes::Y;", 5),
        ("utils", "//! A.", 1),
    ] {
        finds(rule, &format!("gateway/src/{module}.rs"), text, line);
    }
    finds(rule, "proto/src/codec.rs", "use crate::limits;", 0);
}

#[test]
fn a_crate_in_foreign_hands_is_found() {
    let rule = imports::one_owner;
    finds(rule, "gateway/src/relay.rs", "use dashmap::DashMap;", 1);
    finds(rule, "gateway/src/registry.rs", "use dashmap::DashMap;", 0);
    finds(rule, "gateway/src/registry/map.rs", "use dashmap::DashMap;", 0);
    finds(rule, "gateway/src/registry_too.rs", "use dashmap::DashMap;", 1);
    finds(rule, "gateway/src/link/pump.rs", "    let a = rmp_serde::to_vec(&b);", 1);
    finds(rule, "gateway/src/events.rs", "//! Without rusqlite::Connection.\n// rusqlite::Row\n", 0);
    finds(rule, "camera-agent/src/session.rs", "use tokio_tungstenite as ws;", 1);
    finds(rule, "gateway/src/command/keys.rs", "use reqwest::Client;", 1);
    finds(rule, "gateway/src/access.rs", "use warp::Filter;", 1);
    finds(rule, "gateway/src/access.rs", "let warp = 1;", 0);
}

#[test]
fn http_below_the_routes_is_found() {
    let rule = imports::no_http_below_routes;
    finds(rule, "gateway/src/relay.rs", "use http::StatusCode;", 1);
    finds(rule, "gateway/src/link.rs", "fn f(a: hyper::Request<()>) {}", 1);
    finds(rule, "gateway/src/link.rs", "use tokio_tungstenite::tungstenite::http::Uri;", 0);
    finds(rule, "gateway/src/link.rs", "let a = \"http://a\";", 0);
    finds(rule, "gateway/src/problem.rs", "use http::StatusCode;", 0);
    finds(rule, "camera-agent/src/connect.rs", "use http::Uri;", 0);
}

#[test]
fn strangers_that_meet_are_found() {
    let rule = imports::strangers;
    finds(rule, "gateway/src/relay.rs", "use camera_agent::Config;", 1);
    finds(rule, "gateway/src/command/demo.rs", "use camera_agent::Config;", 0);
    finds(rule, "gateway/tests/answers.rs", "use camera_agent::Config;", 0);
    finds(rule, "camera-agent/src/lib.rs", "use oriel_gateway::Gateway;", 1);
    finds(rule, "proto/src/lib.rs", "pub use camera_agent::Config;", 1);
}

#[test]
fn a_file_too_long_is_found() {
    finds(habits::short, "a/src/b.rs", &"//! A.\n".repeat(401), 401);
    finds(habits::short, "a/src/b.rs", &"//! A.\n".repeat(400), 0);
}

#[test]
fn a_file_without_introduction_is_found() {
    finds(habits::introduced, "a/src/b.rs", "use a::b;\n//! A.", 1);
    finds(habits::introduced, "a/src/b.rs", "//! A.\n", 0);
    finds(habits::introduced, "a/migrations/1.sql", "SELECT 1;", 0);
}

#[test]
fn promises_of_later_work_are_found() {
    for marker in [concat!("// TO", "DO: x"), concat!("    to", "do!()"), concat!("# FIX", "ME")] {
        finds(habits::finished, "a/src/b.rs", &format!("//! A.\n{marker}\n"), 2);
    }
    finds(habits::finished, "a/src/b.rs", "//! Adds to doors.", 0);
}

#[test]
fn an_ignored_test_is_found() {
    finds(habits::tests_run, "a/tests/b.rs", concat!("#[test]\n#[ig", "nore = \"slow\"]\nfn c() {}"), 2);
}

#[test]
fn a_module_without_name_is_found() {
    finds(habits::named, "gateway/src/link/mod.rs", "//! A.", 1);
    finds(habits::named, "gateway/tests/common/mod.rs", "//! A.", 0);
}

#[test]
fn a_panic_outside_tests_is_found() {
    let call = concat!("    a().unw", "rap();");
    let in_test = format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{call}\n}}\n");
    finds(habits::no_panics, "a/src/b.rs", &format!("fn a() {{\n{call}\n}}"), 2);
    finds(habits::no_panics, "a/src/b.rs", concat!("let a = b.exp", "ect(\"c\");"), 1);
    finds(habits::no_panics, "a/src/b.rs", &in_test, 0);
    finds(habits::no_panics, "a/src/b.rs", &format!("{in_test}fn b() {{\n{call}\n"), 7);
    finds(habits::no_panics, "a/src/b/tests.rs", call, 0);
    finds(habits::no_panics, "a/src/b.rs", "a.unwrap_or_default()", 0);
    finds(
        habits::no_panics,
        "a/src/b.rs",
        concat!("const A: NonZero<u8> = NonZero::new(1).unw", "rap();"),
        0,
    );
}

#[test]
fn a_test_that_naps_is_found() {
    for nap in [
        concat!("std::thread::sle", "ep(s);"),
        concat!("use tokio::time::sle", "ep;"),
        concat!("    sle", "ep(s).await;"),
    ] {
        finds(habits::no_naps, "a/tests/b.rs", nap, 1);
        finds(habits::no_naps, "a/src/b.rs", nap, 0);
    }
    let paused = concat!("#[tokio::test(start_paused = true)]\ntokio::time::sle", "ep(s).await;");
    finds(habits::no_naps, "a/tests/b.rs", paused, 0);
    finds(
        habits::no_naps,
        "a/tests/b.rs",
        &format!("{paused}\nstd::{}", concat!("thread::sle", "ep(s);")),
        3,
    );
    finds(habits::no_naps, "a/tests/b.rs", "advance(s).await; is_asleep();", 0);
}

#[test]
fn a_failure_status_outside_problem_is_found() {
    let rule = habits::one_place_for_failures;
    finds(rule, "gateway/src/routes/events.rs", "let a = StatusCode::OK;\nlet b = StatusCode::NOT_FOUND;", 2);
    finds(rule, "gateway/src/routes/events.rs", "StatusCode::from_u16(404)", 1);
    finds(rule, "gateway/src/routes/events.rs", "(StatusCode::CREATED, StatusCode::ACCEPTED)", 0);
    finds(rule, "gateway/src/problem.rs", "StatusCode::NOT_FOUND", 0);
    finds(rule, "gateway/tests/a.rs", "StatusCode::NOT_FOUND", 0);
}
