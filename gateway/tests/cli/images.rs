//! What `oriel images` promises: files that are whole, nothing twice, and honest about what is missing.

use std::{fs, sync::Arc};

use serde_json::{Value, json};

use super::{
    fake::{Fake, Reply},
    pictures::{Crowd, at, carried, file, files, gateway, jpeg, list, number, oriel_in, run_in, whole},
    run::{finish_on_terminal, oriel},
};

const GET: &[&str] = &["images", "get", "porch"];

fn problem(status: u16, code: &str) -> Reply {
    Reply::json(status, &json!({"code": code, "detail": format!("because {code}"), "request_id": "r-1"}))
}

#[test]
fn pictures_are_files_named_by_camera_and_time() {
    let folder = tempfile::tempdir().unwrap();
    let fake = gateway(20, |_, _| None);
    let ran = run_in(folder.path(), &fake, &[GET, &["--from", "-2h"]].concat());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(ran.out, "porch: 20 written to downloads, 0 were there already\n");
    assert_eq!(files(&folder.path().join("downloads")), whole(0..20));
    assert_eq!(file(7), "porch-20261122081507.007.jpeg");
    let lines: Vec<_> = fake.asked().into_iter().map(|asked| asked.line).collect();
    assert_eq!(lines[0], "GET /v1/cameras/porch/images?class=preview&timeout=10000ms&from=-2h&count=20");
    let one = "GET /v1/cameras/porch/images/2026-11-22T08:15:00.000Z?class=preview&timeout=10000ms";
    assert!(lines[1..].contains(&one.to_owned()), "{lines:?}");
}

#[test]
fn as_many_as_there_are_workers_come_at_the_same_time() {
    let folder = tempfile::tempdir().unwrap();
    let crowd = Arc::<Crowd>::default();
    let inside = crowd.clone();
    let fake = gateway(16, move |_, _| {
        inside.meet(4);
        None
    });
    let ran = run_in(folder.path(), &fake, &[GET, &["--workers", "4"]].concat());
    assert_eq!((ran.code, crowd.most()), (0, 4), "{}", ran.err);
}

#[test]
fn what_is_there_is_skipped_and_what_is_partial_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("here");
    let args = [GET, &["--out", "here"]].concat();
    assert_eq!(run_in(folder.path(), &gateway(4, |_, _| None), &args).code, 0);
    fs::write(out.join(file(1)), &jpeg(1)[..500]).unwrap();
    fs::write(out.join(file(2)), vec![0; jpeg(2).len()]).unwrap();
    fs::write(out.join("mine.txt"), "kept").unwrap();
    let fake = gateway(6, |_, _| None);
    let ran = run_in(folder.path(), &fake, &args);
    assert_eq!(ran.out, "porch: 4 written to here, 2 were there already\n", "{}", ran.err);
    let mut expected = whole(0..6);
    expected.insert("mine.txt".into(), b"kept".to_vec());
    assert_eq!(files(&out), expected);
    let mut fetched: Vec<_> = fake.asked().iter().filter_map(number).collect();
    fetched.sort_unstable();
    assert_eq!(fetched, [1, 2, 4, 5]);
}

#[test]
fn a_picture_that_the_camera_dropped_is_said_and_the_others_come() {
    let folder = tempfile::tempdir().unwrap();
    let fake = gateway(5, |number, _| (number == 0).then(|| problem(404, "not_found")));
    let ran = run_in(folder.path(), &fake, GET);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains(&format!("oriel: porch {}: because not_found", at(0))), "{}", ran.err);
    let last = ran.err.lines().last().unwrap();
    assert_eq!(last, "oriel: 1 of 5 pictures of porch are missing: 1 that it does not have any more");
    assert_eq!(files(&folder.path().join("downloads")), whole(1..5));
    assert_eq!(fake.asked().iter().filter_map(number).filter(|number| *number == 0).count(), 1);
}

#[test]
fn what_may_pass_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let fake = gateway(7, |number, before| match (number, before) {
        (0, 0) => Some(problem(503, "camera_busy")),
        (1, 0) => Some(problem(504, "camera_timeout")),
        (2, 0) => Some(carried(&at(2), &jpeg(2)).cut(300)),
        (3, 0) => Some(carried(&at(3), &jpeg(3)[..400])),
        (4, 0) => Some(carried(&at(9), &jpeg(4))),
        (5, 0..3) => Some(problem(503, "camera_offline")),
        _ => None,
    });
    let ran = run_in(folder.path(), &fake, GET);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(files(&folder.path().join("downloads")), whole(0..7));
    assert_eq!(fake.asked().len(), 1 + 7 + 5 + 3);
}

#[test]
fn failures_that_stay_are_counted_and_end_with_the_code_of_their_reason() {
    for (status, code, exit, tries) in
        [(503, "camera_offline", 4, 4), (502, "camera_failed", 1, 4), (501, "camera_unsupported", 1, 1)]
    {
        let folder = tempfile::tempdir().unwrap();
        let fake = gateway(3, move |number, _| (number == 1).then(|| problem(status, code)));
        let ran = run_in(folder.path(), &fake, GET);
        assert_eq!(ran.code, exit, "{code}: {}", ran.err);
        assert!(
            ran.err.ends_with("oriel: 1 of 3 pictures of porch are missing: 1 that failed\n"),
            "{}",
            ran.err
        );
        assert_eq!(fake.asked().len(), 1 + 2 + tries, "{code}");
        assert_eq!(files(&folder.path().join("downloads")), whole([0, 2]));
    }
}

#[test]
fn what_all_pictures_would_share_ends_the_download() {
    let folder = tempfile::tempdir().unwrap();
    let fake = gateway(20, |_, _| Some(problem(403, "forbidden")));
    let ran = run_in(folder.path(), &fake, &[GET, &["--workers", "1"]].concat());
    assert_eq!((ran.code, fake.asked().len()), (3, 2), "{}", ran.err);
    let fake = gateway(40, |_, _| Some(problem(501, "camera_unsupported")));
    let ran = run_in(folder.path(), &fake, &[GET, &["--workers", "1", "--count", "40"]].concat());
    assert_eq!((ran.code, fake.asked().len()), (1, 11));
    assert!(
        ran.err.contains("40 of 40 pictures of porch are missing: 10 that failed, 30 not tried"),
        "{}",
        ran.err
    );
    fs::write(folder.path().join("file"), "").unwrap();
    let ran = run_in(folder.path(), &gateway(1, |_, _| None), &[GET, &["--out", "file"]].concat());
    assert_eq!((ran.code, ran.err.starts_with("oriel: cannot write file: ")), (1, true), "{}", ran.err);
}

#[test]
fn random_takes_a_camera_that_is_online_and_has_enough() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start_with(|asked| {
        let camera = |id: &str, class: &str| json!({"id": id, "classes": [class]});
        let cameras = [
            camera("few", "preview"),
            camera("big", "main"),
            camera("../up", "preview"),
            camera("porch", "preview"),
        ];
        let line = &asked.line;
        match (number(asked), line) {
            (Some(number), _) => carried(&at(number), &jpeg(number)),
            (_, line) if line.starts_with("GET /v1/cameras?") => {
                Reply::json(200, &json!({"cameras": cameras, "next": null}))
            }
            (_, line) if line.contains("/few/") => Reply::json(200, &list(0..2)),
            (_, line) if line.contains("/porch/") => Reply::json(200, &list(0..3)),
            _ => problem(404, "not_found"),
        }
    });
    let ran = run_in(folder.path(), &fake, &["images", "get", "--random", "--count", "3"]);
    assert_eq!(ran.out, "porch: 3 written to downloads, 0 were there already\n", "{}", ran.err);
    let asked = fake.asked();
    assert_eq!(asked[0].line, "GET /v1/cameras?status=online&sample=100");
    assert!(!asked.iter().any(|asked| asked.line.contains("big") || asked.line.contains("up")));
    let ran = run_in(folder.path(), &fake, &["images", "get", "--random", "--count", "9"]);
    assert_eq!(
        (ran.code, ran.err.contains("no camera online with 9 such pictures")),
        (1, true),
        "{}",
        ran.err
    );
}

#[test]
fn random_without_a_camera_online_is_offline() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(&[("GET /v1/cameras?", 200, r#"{"cameras":[],"next":null}"#)]);
    let ran = run_in(folder.path(), &fake, &["images", "get", "--random"]);
    assert_eq!((ran.code, ran.err.as_str()), (4, "oriel: no camera is online\n"));
    assert!(!folder.path().join("downloads").exists());
}

#[test]
fn no_answer_can_choose_where_a_file_is_written() {
    let folder = tempfile::tempdir().unwrap();
    for time in ["../../x", "/etc/x", "2026-11-22T08:15:30.1234Z", "-002026-11-22T08:15:30Z"] {
        let images = json!({"images": [{"camera": "../x", "at": time, "bytes": 3}], "next": null});
        let fake = Fake::start_with(move |_| Reply::json(200, &images));
        let ran = run_in(folder.path(), &fake, GET);
        assert_eq!((ran.code, ran.err.contains("is no gateway")), (1, true), "{}", ran.err);
    }
    assert!(files(folder.path()).is_empty());
    for args in [&["images", "get", "../x"][..], &["images", "get"], &["images", "get", "porch", "--random"]]
    {
        assert_eq!(oriel(args).code, 2, "{args:?}");
    }
}

#[test]
fn a_bar_tells_a_terminal_how_far_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let fake = gateway(6, |number, _| (number == 3).then(|| problem(404, "\u{1b}[2J")));
    let ran = finish_on_terminal(oriel_in(folder.path(), &fake, GET));
    assert!(ran.out.contains("porch [") && ran.out.contains("0/6"), "{:?}", ran.out);
    assert!(!ran.out.contains("\u{1b}[2J") && ran.out.contains("\\u{1b}[2J"), "{:?}", ran.out);
}

#[test]
fn a_list_is_a_table_for_people_and_lines_for_programs() {
    let folder = tempfile::tempdir().unwrap();
    let mut page = list([2, 1]);
    page["images"][0]["class"] = json!("\u{1b}[31mpreview\u{9b}");
    let body = page.clone();
    let fake = Fake::start_with(move |_| Reply::json(200, &body));
    let table = run_in(folder.path(), &fake, &["images", "list", "porch", "--utc"]).out;
    assert!(table.contains("2026-11-22 08:15:02.002Z") && table.contains("1029"), "{table}");
    assert!(!table.contains(['\x1b', '\u{9b}']), "{table}");
    let args = [
        "images", "list", "porch", "--class", "main", "--before", "-1h", "--count", "5", "--order", "asc",
        "--json",
    ];
    let lines = run_in(folder.path(), &fake, &args).out;
    assert!(!lines.contains(['\x1b', '\u{9b}']));
    let images: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json!(images), page["images"]);
    let asked = &fake.asked()[1].line;
    assert_eq!(asked, "GET /v1/cameras/porch/images?class=main&timeout=10000ms&order=asc&before=-1h&count=5");
    assert_eq!(oriel(&["images", "list", "porch", "--before", "-1h", "--to", "now"]).code, 2);
}

#[test]
fn long_lists_are_read_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start_with(|asked| {
        let mut page = list(if asked.line.contains("cursor=p1") { 2..4 } else { 0..2 });
        page["next"] = if asked.line.contains("cursor") { Value::Null } else { json!("p1") };
        Reply::json(200, &page)
    });
    let ran = run_in(folder.path(), &fake, &["images", "list", "porch", "--count", "1200", "--json"]);
    assert_eq!((ran.out.lines().count(), ran.err.as_str()), (4, ""));
    let counts: Vec<_> = fake
        .asked()
        .into_iter()
        .map(|asked| asked.line.split_once("&count=").unwrap().1.to_owned())
        .collect();
    assert_eq!(counts, ["1000", "1000&cursor=p1"]);
}

#[test]
fn a_camera_without_pictures_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start_with(|_| Reply::json(200, &list([])));
    let ran = run_in(folder.path(), &fake, GET);
    assert_eq!((ran.code, ran.err.as_str()), (0, "oriel: porch has no such pictures\n"));
    let ran = run_in(folder.path(), &fake, &["images", "list", "porch"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, "no images\n"));
}
