//! What the client commands promise against a gateway that answers as the API does.

use serde_json::{Value, json};

use super::{
    fake::Fake,
    run::{Ran, command, finish, oriel},
};

const CAMERA: &str = r#"{"id":"porch","name":"Front \u001b[31mporch","tags":["site:7"],"status":"online",
    "since":"2026-11-22T08:15:30.123Z","why":null,"last_event_at":null,"agent":{"id":"a","rtt_ms":3}}"#;
const AGENT: &str = "01a20216-b971-711f-b438-9afc25c2f3af";

/// Runs `oriel` with a key against this gateway.
fn ask(fake: &Fake, args: &[&str]) -> Ran {
    let mut command = command(args);
    command.env("ORIEL_URL", fake.url()).env("ORIEL_KEY", "oak_secret");
    finish(command)
}

fn problem(code: &str) -> String {
    json!({"status": 0, "code": code, "detail": format!("because {code}"), "request_id": "r-1"}).to_string()
}

#[test]
fn the_key_goes_in_a_header_and_is_never_shown() {
    let fake = Fake::start(&[("GET /v1/cameras", 200, r#"{"cameras":[],"next":null}"#)]);
    let ran = ask(&fake, &["cameras", "list"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, "no cameras\n"));
    let asked = &fake.asked()[0];
    assert!(
        asked.head.contains("authorization: bearer oak_secret") && asked.head.contains("user-agent: oriel/")
    );
    assert!(!asked.line.contains("oak_"));
    let mut debug = command(&["cameras", "list", "--url", &fake.url()]);
    debug.env("ORIEL_KEY", "oak_secret").env("ORIEL_LOG", "trace");
    assert!(!finish(debug).err.contains("oak_secret"));
}

#[test]
fn only_a_key_on_the_command_line_is_warned_of_and_flags_win_over_variables() {
    let fake = Fake::start(&[("GET /v1/cameras", 200, r#"{"cameras":[],"next":null}"#)]);
    assert!(
        ask(&fake, &["cameras", "list", "--key", "oak_flag"]).err.contains("other users of this machine")
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "oak_file\n").unwrap();
    let ran = ask(&fake, &["cameras", "list", "--key-file", file.path().to_str().unwrap()]);
    assert!(!ran.err.contains("other users"));
    let keys: Vec<_> = fake.asked().iter().map(|asked| asked.head.contains("oak_flag")).collect();
    assert_eq!((keys, fake.asked()[1].head.contains("oak_file")), (vec![true, false], true));
}

#[test]
fn failures_have_a_line_and_a_code_of_their_own() {
    for (status, code, exit) in [
        (401, "unauthorized", 3),
        (403, "forbidden", 3),
        (503, "camera_offline", 4),
        (503, "overloaded", 1),
        (404, "not_found", 1),
    ] {
        let fake = Fake::start(&[("GET", status, &problem(code))]);
        let ran = ask(&fake, &["cameras", "show", "porch"]);
        let line = ran.err.trim_end();
        assert_eq!((ran.code, ran.out.as_str()), (exit, ""), "{code}");
        assert!(line.starts_with("oriel: ") && !line.contains('\n'), "{line}");
        assert!(line.contains(&format!("because {code}")) && line.ends_with("[request r-1]"), "{line}");
    }
}

#[test]
fn what_is_no_gateway_is_named() {
    let dead = oriel(&["agents", "list", "--url", "http://127.0.0.1:1", "--key", "k"]);
    assert_eq!(dead.code, 1);
    assert!(
        dead.err.ends_with("oriel: cannot reach http://127.0.0.1:1: connection refused\n"),
        "{}",
        dead.err
    );
    let page = ask(&Fake::start(&[("GET", 200, "<html>")]), &["agents", "list"]);
    assert!(page.err.contains("is no gateway: not the JSON"), "{}", page.err);
    let other = ask(&Fake::start(&[("GET", 200, "{}")]), &["agents", "list"]);
    assert!(other.err.contains("its answer has no agents"), "{}", other.err);
    let vast = ask(&Fake::start(&[("GET", 200, &" ".repeat(9 << 20))]), &["agents", "list"]);
    assert!(vast.err.contains("larger than any answer"), "{}", vast.err);
    let moved = ask(&Fake::start(&[("GET", 500, "oops")]), &["agents", "list"]);
    assert!(moved.err.contains("status 500"), "{}", moved.err);
}

#[test]
fn a_table_is_for_people_and_json_is_what_the_gateway_gave() {
    let page = format!(r#"{{"cameras":[{CAMERA}],"next":null}}"#);
    let fake = Fake::start(&[("GET /v1/cameras/porch", 200, CAMERA), ("GET /v1/cameras?", 200, &page)]);
    let table = ask(&fake, &["cameras", "list"]).out;
    for part in ["STATUS", "online", "2026-11-22 08:15:30", "site:7", "Front \\u{1b}[31mporch"] {
        assert!(table.contains(part), "{part}: {table}");
    }
    let json = ask(&fake, &["cameras", "list", "--json"]).out;
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), serde_json::from_str::<Value>(&page).unwrap());
    let facts = ask(&fake, &["cameras", "show", "porch"]).out;
    assert!(facts.contains("agent.rtt_ms") && !facts.contains('\x1b'), "{facts}");
}

#[test]
fn pages_are_followed_until_the_limit_is_reached() {
    let page = |next: &str| json!({"cameras": [{"id": "a"}, {"id": "b"}], "next": next}).to_string();
    let last = r#"{"cameras":[{"id":"e"}],"next":null}"#;
    let fake = Fake::start(&[
        ("GET /v1/cameras?tag=x&limit=1000&cursor=p2", 200, last),
        ("GET /v1/cameras?tag=x&limit=3", 200, &page("p1")),
        ("GET /v1/cameras?tag=x&limit=1&cursor=p1", 200, last),
        ("GET /v1/cameras?tag=x&limit=1000", 200, &page("p2")),
    ]);
    let all = ask(&fake, &["cameras", "list", "--tag", "x", "--json"]).out;
    assert_eq!(all.matches("\"id\"").count(), 3, "{all}");
    let some = ask(&fake, &["cameras", "list", "--tag", "x", "--limit", "3", "--json"]).out;
    assert_eq!((some.matches("\"id\"").count(), fake.asked().len()), (3, 4));
}

#[test]
fn cameras_are_added_changed_and_removed() {
    let fake = Fake::start(&[
        ("POST /v1/cameras", 201, CAMERA),
        ("PATCH /v1/cameras/porch", 200, CAMERA),
        ("DELETE /v1/cameras/porch", 202, ""),
    ]);
    ask(&fake, &["cameras", "add", "porch", "--name", "Front", "--tag", "site:7"]);
    ask(&fake, &["cameras", "set", "porch", "--no-tags", "--agent", AGENT]);
    assert_eq!(ask(&fake, &["cameras", "remove", "porch"]).out, "porch is being removed\n");
    let bodies: Vec<_> = fake.asked().into_iter().map(|asked| asked.body).collect();
    let added = json!({"id": "porch", "name": "Front", "tags": ["site:7"]});
    assert_eq!(bodies, [added, json!({"tags": [], "agent": AGENT}), Value::Null]);
}

#[test]
fn enroll_prints_the_command_for_the_device() {
    let answer = r#"{"enrollment":{"id":"e","cameras":["porch"],"new_cameras":null,"created_at":"…","expires_at":
        "2026-11-22T09:00:00Z"},"code":"oen_x","command":"camera-agent enroll --gateway http://h:8080 --code oen_x"}"#;
    let fake = Fake::start(&[("POST /v1/enrollments", 201, answer)]);
    let ran = ask(&fake, &["enroll", "--camera", "porch", "--camera", "yard", "--expires", "30m"]);
    assert_eq!(ran.out, "camera-agent enroll --gateway http://h:8080 --code oen_x\n");
    assert!(ran.err.contains("until 2026-11-22 09:00:00"), "{}", ran.err);
    assert_eq!(fake.asked()[0].body, json!({"cameras": ["porch", "yard"], "expires_in_s": 1800}));
}

#[test]
fn keys_and_agents_are_managed_over_the_api() {
    let key = r#"{"key":{"id":"k1","name":"n","role":"viewer"},"secret":"oak_new"}"#;
    let agent = r#"{"agent":{"id":"x","connected":false}}"#;
    let rotate = format!("POST /v1/agents/{AGENT}/rotate");
    let fake = Fake::start(&[
        ("POST /v1/keys", 201, key),
        ("DELETE /v1/keys/", 204, ""),
        (rotate.leak(), 202, agent),
        ("DELETE /v1/agents/", 204, ""),
    ]);
    let added =
        ask(&fake, &["keys", "add", "--name", "n", "--role", "viewer", "--tag", "t", "--expires", "1d"]);
    assert_eq!((added.out.as_str(), added.code), ("oak_new\n", 0), "{}", added.err);
    let body = &fake.asked()[0].body;
    assert_eq!((&body["all"], &body["tags"]), (&json!(false), &json!(["t"])));
    assert!(body["expires_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(ask(&fake, &["keys", "revoke", AGENT]).code, 0);
    assert!(ask(&fake, &["agents", "rotate", AGENT]).out.contains("when it connects"));
    assert_eq!(ask(&fake, &["agents", "revoke", AGENT]).code, 0);
}
