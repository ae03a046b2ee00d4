//! What `oriel events` promises: one log out of several, hostile text kept tame, honest about what is missing.

use serde_json::{Value, json};

use super::{
    fake::Fake,
    run::{Ran, command, finish},
};

fn events(fake: &Fake, args: &[&str]) -> Ran {
    let mut command = command(&["events"]);
    command.args(args).env("ORIEL_URL", fake.url()).env("ORIEL_KEY", "oak_secret");
    finish(command)
}

fn log(camera: &str, seconds: &[u32], description: &str) -> String {
    let event = |s: &u32| {
        json!({"id": format!("e-{s}"), "camera": camera, "at": format!("2026-11-22T08:00:{s:02}Z"), "received_at": null,
               "kind": "motion", "severity": "info", "description": description, "data": {"n": s}})
    };
    let coverage =
        json!([{"camera": camera, "from": "2026-11-22T08:00:00Z", "to": "now", "missing": "camera_offline"}]);
    let events: Vec<_> = seconds.iter().map(event).collect();
    json!({"events": events, "next": null, "complete": false, "coverage": coverage}).to_string()
}

const OFFLINE: &str = r#"{"code":"camera_offline","detail":"yard is offline"}"#;

#[test]
fn several_logs_become_one_newest_first() {
    let fake = Fake::start(&[
        ("GET /v1/cameras/porch/", 200, &log("porch", &[30, 10], "p")),
        ("GET /v1/cameras/yard/", 200, &log("yard", &[20, 5], "y")),
    ]);
    let ran = events(&fake, &["porch", "yard", "--limit", "3", "--json"]);
    let list: Value = serde_json::from_str(&ran.out).unwrap();
    let order: Vec<_> = list["events"].as_array().unwrap().iter().map(|event| &event["camera"]).collect();
    assert_eq!((ran.code, order), (0, vec![&json!("porch"), &json!("yard"), &json!("porch")]));
    let twice = events(&fake, &["porch", "porch"]);
    assert_eq!(twice.out.matches("motion").count(), 2);
}

#[test]
fn a_camera_that_fails_is_named_and_the_others_are_shown() {
    let answers =
        [("GET /v1/cameras/porch/", 200, &*log("porch", &[1], "p")), ("GET /v1/cameras/yard/", 503, OFFLINE)];
    let fake = Fake::start(&answers);
    let ran = events(&fake, &["porch", "yard"]);
    assert_eq!((ran.code, ran.out.matches("motion").count()), (4, 1));
    assert!(ran.err.contains("oriel: yard: yard is offline\n"), "{}", ran.err);
    assert!(ran.err.ends_with("oriel: 1 of 2 cameras did not answer\n"), "{}", ran.err);
    let different = events(&fake, &["porch", "yard", "nobody"]);
    assert_eq!(different.code, 1);
    assert_eq!(events(&fake, &["yard"]).code, 4);
}

#[test]
fn what_is_asked_reaches_the_gateway() {
    let fake = Fake::start(&[("GET", 200, &log("porch", &[], ""))]);
    let args =
        ["porch", "--from", "-2h", "--to", "now", "--kind", "motion", "--kind", "reset", "--q", "a b&c"];
    events(&fake, &args);
    events(&fake, &["porch", "--order", "asc", "--severity", "warning", "--limit", "5", "--timeout", "1s"]);
    let lines: Vec<_> = fake.asked().into_iter().map(|asked| asked.line).collect();
    let path = "GET /v1/cameras/porch/events?order=";
    let first =
        format!("{path}desc&timeout=10000ms&from=-2h&to=now&q=a+b%26c&kind=motion&kind=reset&limit=100");
    assert_eq!(lines, [first, format!("{path}asc&timeout=1000ms&severity=warning&limit=5")]);
}

#[test]
fn a_hostile_log_steers_neither_terminal_nor_spreadsheet() {
    let fake =
        Fake::start(&[("GET", 200, &log("porch", &[1], "=HYPERLINK(\"x\")\u{1b}]0;t\u{7}\u{9b}2J\u{202e}"))]);
    let table = events(&fake, &["porch"]).out;
    assert!(
        !table.contains(['\x1b', '\u{7}', '\u{9b}', '\u{202e}']) && table.contains("\\u{1b}]0;t"),
        "{table}"
    );
    let csv = events(&fake, &["porch", "--csv"]).out;
    assert!(csv.contains(",\"'=HYPERLINK(\"\"x\"\")"), "{csv}");
    assert!(csv.starts_with("id,camera,at,received_at,kind,severity,description,data\r\n"), "{csv}");
    let json = events(&fake, &["porch", "--json"]).out;
    assert!(!json.contains(['\x1b', '\u{9b}']), "{json}");
}

#[test]
fn stretches_that_nobody_knows_of_are_told() {
    let fake = Fake::start(&[("GET", 200, &log("porch", &[1], "p"))]);
    let ran = events(&fake, &["porch"]);
    assert_eq!(ran.err, "missing: porch from 2026-11-22 08:00:00 to now: camera_offline\n");
}
