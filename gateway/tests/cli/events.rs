//! What `oriel events` promises: one log or all of them, hostile text kept tame, honest about what is missing.

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
const REFUSED: &str = r#"{"code":"forbidden","detail":"not with this key"}"#;

#[test]
fn several_cameras_are_asked_at_once_page_by_page() {
    let page = |seconds: &[u32], next: Value| {
        let mut page: Value = serde_json::from_str(&log("porch", seconds, "p")).unwrap();
        page["next"] = next;
        page.to_string()
    };
    let fake = Fake::start(&[
        (
            "GET /v1/events?order=desc&timeout=10000ms&camera=porch%2Cyard&tag=a&tag=b&limit=3",
            200,
            &page(&[9, 8], json!("x")),
        ),
        (
            "GET /v1/events?order=desc&timeout=10000ms&camera=porch%2Cyard&tag=a&tag=b&limit=1&cursor=x",
            200,
            &page(&[7], json!("y")),
        ),
    ]);
    let ran =
        events(&fake, &["porch", "yard", "porch", "--tag", "a", "--tag", "b", "--limit", "3", "--json"]);
    let list: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, list["events"].as_array().unwrap().len()), (0, 3), "{list}");
    assert_eq!((&list["next"], list["coverage"].as_array().unwrap().len()), (&json!("y"), 2));
    assert_eq!(ran.err, "", "nothing tells how far it is where nobody watches");
}

#[test]
fn without_a_camera_all_are_asked() {
    let fake = Fake::start(&[("GET /v1/events?", 200, &log("porch", &[1], "p"))]);
    events(&fake, &[]);
    events(&fake, &["porch", "--tag", "a"]);
    let lines: Vec<_> = fake.asked().into_iter().map(|asked| asked.line).collect();
    let path = "GET /v1/events?order=desc&timeout=10000ms";
    assert_eq!(lines, [format!("{path}&limit=100"), format!("{path}&camera=porch&tag=a&limit=100")]);
}

#[test]
fn only_one_camera_can_be_the_source() {
    let fake = Fake::start(&[("GET /v1/cameras/yard/", 503, OFFLINE), ("GET /v1/events?", 403, REFUSED)]);
    let offline = events(&fake, &["yard", "--source", "camera"]);
    assert_eq!((offline.code, offline.err.as_str()), (4, "oriel: yard is offline\n"));
    assert_eq!(events(&fake, &["yard", "porch"]).code, 3);
    for args in [&["yard", "porch"][..], &[], &["yard", "--tag", "a"]] {
        let ran = events(&fake, &[args, &["--source", "store"]].concat());
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(
            ran.err.starts_with("oriel: --source store and --source camera are about one"),
            "{}",
            ran.err
        );
    }
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
    let csv = events(&fake, &["porch", "--csv"]).out;
    let rows: Vec<_> = csv.split("\r\n").skip(2).collect();
    let sentence = "events may be missing from 2026-11-22T08:00:00Z to now: camera_offline";
    let data = r#"{""from"":""2026-11-22T08:00:00Z"",""to"":""now"",""missing"":""camera_offline""}"#;
    let missing = format!(",porch,2026-11-22T08:00:00Z,,missing,warning,{sentence},\"{data}\"");
    let end = ",,,,end,info,see the rows of the kind missing,\"{\"\"complete\"\":false}\"";
    assert_eq!(rows, [&missing, end, ""]);
}

#[test]
fn times_are_those_of_the_place_unless_asked_otherwise() {
    let fake = Fake::start(&[("GET", 200, &log("porch", &[1], "p"))]);
    let ask = |args: &[&str]| {
        let mut command = command(&["events", "porch"]);
        command
            .args(args)
            .env("ORIEL_URL", fake.url())
            .env("ORIEL_KEY", "oak_secret")
            .env("TZ", "America/Lima");
        finish(command)
    };
    let local = ask(&[]);
    assert!(local.out.contains("2026-11-22 03:00:01") && local.err.contains("03:00:00"), "{local:?}");
    let utc = ask(&["--utc"]);
    assert!(utc.out.contains("2026-11-22 08:00:01Z") && utc.err.contains("08:00:00Z"), "{utc:?}");
    assert!(ask(&["--csv"]).out.contains("2026-11-22T08:00:01Z"));
}

#[test]
fn colours_are_for_terminals_and_for_who_asks_for_them() {
    let warning = log("porch", &[1], "p").replace("\"info\"", "\"warning\"");
    let fake = Fake::start(&[("GET", 200, &warning)]);
    let ask = |args: &[&str], no_color: &str| {
        let mut command = command(&["events", "porch"]);
        command
            .args(args)
            .env("ORIEL_URL", fake.url())
            .env("ORIEL_KEY", "oak_secret")
            .env("NO_COLOR", no_color);
        finish(command).out
    };
    assert!(ask(&["--color", "always"], "").contains("\u{1b}["));
    for (args, no_color) in [(&[][..], ""), (&["--color", "never"], ""), (&["--color", "always"], "1")] {
        assert!(!ask(args, no_color).contains('\u{1b}'), "{args:?}");
    }
}
