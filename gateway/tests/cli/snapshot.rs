//! What `oriel snapshot` promises: a picture taken now, where it was asked for.

use std::{fs, os::unix::fs::symlink};

use serde_json::json;

use super::{
    fake::{Fake, Reply},
    pictures::{at, carried, file, files, jpeg, oriel_in, run_in},
    run::finish_on_terminal,
};

fn camera() -> Fake {
    Fake::start_with(|_| carried(&at(7), &jpeg(7)))
}

#[test]
fn a_snapshot_is_written_and_its_place_printed() {
    let folder = tempfile::tempdir().unwrap();
    let fake = camera();
    fs::create_dir(folder.path().join("dir")).unwrap();
    fs::write(folder.path().join("old.jpeg"), "old").unwrap();
    symlink("old.jpeg", folder.path().join("link.jpeg")).unwrap();
    for (out, place) in [
        (None, file(7)),
        (Some("dir"), format!("dir/{}", file(7))),
        (Some("a.jpg"), "a.jpg".into()),
        (Some("link.jpeg"), "link.jpeg".into()),
    ] {
        let mut args = vec!["snapshot", "porch", "--class", "main"];
        args.extend(out.iter().flat_map(|out| ["--out", out]));
        let ran = run_in(folder.path(), &fake, &args);
        assert_eq!((ran.out, ran.err, ran.code), (format!("{place}\n"), String::new(), 0));
        assert_eq!(fs::read(folder.path().join(place)).unwrap(), jpeg(7));
    }
    assert_eq!(fs::read(folder.path().join("old.jpeg")).unwrap(), jpeg(7), "what the link points to");
    assert_eq!(fake.asked()[0].line, "POST /v1/cameras/porch/snapshot?class=main&timeout=10000ms");
    assert!(fs::read_dir(folder.path()).unwrap().count() == 5);
}

#[test]
fn bytes_go_to_a_pipe_but_not_to_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let fake = camera();
    let piped = oriel_in(folder.path(), &fake, &["snapshot", "porch", "--out", "-"]).output().unwrap();
    assert_eq!((piped.stdout, piped.status.code()), (jpeg(7), Some(0)));
    let ran = finish_on_terminal(oriel_in(folder.path(), &fake, &["snapshot", "porch", "--out", "-"]));
    assert_eq!((ran.code, fake.asked().len()), (2, 1), "{}", ran.out);
    assert!(ran.out.contains("this is a terminal"), "{}", ran.out);
    let ran = run_in(folder.path(), &fake, &["snapshot", "porch", "--out", "/dev/null"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    assert!(files(folder.path()).is_empty());
}

#[test]
fn what_is_no_picture_is_not_written() {
    let head = |media: &str, more: &str| vec![format!("Content-Type: {media}"), more.to_owned()];
    let whole = jpeg(7);
    let length = format!("Content-Length: {}\r\nX-Image-At: {}", whole.len(), at(7));
    let no_time = format!("Content-Length: {}", whole.len());
    let vast = format!("Content-Length: 99999999999\r\nX-Image-At: {}", at(7));
    let offline = json!({"code": "camera_offline", "detail": "porch is offline"});
    for (reply, code, why) in [
        (Reply::json(503, &offline), 4, "porch is offline"),
        (Reply::new(200, &head("text/html", &length), &whole), 1, "it sends no picture"),
        (Reply::new(200, &head("image/jpeg", &no_time), &whole), 1, "its picture has no time"),
        (Reply::new(200, &head("image/jpeg", &vast), &whole), 1, "larger than a picture"),
        (
            Reply::new(200, &head("image/jpeg", &format!("X-Image-At: {}", at(7))), &whole),
            1,
            "without a length",
        ),
        (carried(&at(7), &whole).cut(9), 1, "broken answer: "),
        (carried(&at(7), &whole[..100]), 1, "the JPEG is cut off"),
        (carried(&at(7), b"<html>"), 1, "it does not begin as a JPEG"),
        (carried("../../x", &whole), 1, "its picture has no time"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let fake = Fake::start_with(move |_| reply.clone());
        let ran = run_in(folder.path(), &fake, &["snapshot", "porch"]);
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{why}");
        assert!(ran.err.contains(why), "{}", ran.err);
        assert!(files(folder.path()).is_empty(), "{why}");
    }
}
