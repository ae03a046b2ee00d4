//! What `oriel live` promises: each picture once, over as many connections as it takes, from nobody but a gateway.

use std::{
    process::Stdio,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::channel,
    },
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{
    fake::{Fake, Reply},
    pictures::{SOON, at, files, jpeg, oriel_in, run_in, whole},
    run::finish_on_terminal,
};

const LIVE: &[&str] = &["live", "porch"];

fn part(at: &str, jpeg: &[u8]) -> Vec<u8> {
    let head = format!(
        "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\nX-Image-At: {at}\r\n\r\n",
        jpeg.len()
    );
    [head.as_bytes(), jpeg, b"\r\n"].concat()
}

fn parts(numbers: impl IntoIterator<Item = usize>) -> Vec<u8> {
    numbers.into_iter().flat_map(|number| part(&at(number), &jpeg(number))).collect()
}

fn stream(body: &[u8]) -> Reply {
    Reply::new(200, &["Content-Type: multipart/x-mixed-replace; boundary=frame".into()], body)
}

/// A gateway whose connections, one after another, get these answers, and the last one from then on.
fn gateway(replies: Vec<Reply>) -> Fake {
    let next = AtomicUsize::new(0);
    Fake::start_with(move |_| replies[next.fetch_add(1, Ordering::SeqCst).min(replies.len() - 1)].clone())
}

#[test]
fn pictures_are_written_as_they_come_until_there_are_enough() {
    let folder = tempfile::tempdir().unwrap();
    let fake = gateway(vec![stream(&parts(0..9)).stays()]);
    let ran =
        run_in(folder.path(), &fake, &[LIVE, &["--count", "4", "--fps", "2.5", "--class", "main"]].concat());
    assert_eq!((ran.out.as_str(), ran.err.as_str(), ran.code), ("porch: 4 written to frames\n", "", 0));
    assert_eq!(files(&folder.path().join("frames")), whole(0..4));
    assert_eq!(fake.asked()[0].line, "GET /v1/cameras/porch/live?class=main&timeout=10000ms&fps=2.5");
}

#[test]
fn a_lost_connection_is_come_back_from_and_no_picture_counts_twice() {
    let folder = tempfile::tempdir().unwrap();
    let offline = json!({"code": "camera_offline", "detail": "porch is offline"});
    let broken = [parts(0..2), part(&at(2), &jpeg(2))[..300].to_vec()].concat();
    let odd = [part(&at(1), &jpeg(1)), part(&at(8), b"no picture"), parts([3])].concat();
    let fake = gateway(vec![stream(&broken), Reply::json(503, &offline), stream(&odd).stays()]);
    let ran = run_in(folder.path(), &fake, &[LIVE, &["--count", "3"]].concat());
    assert_eq!((ran.code, fake.asked().len()), (0, 3), "{}", ran.err);
    assert_eq!(files(&folder.path().join("frames")), whole([0, 1, 3]));
    for said in [
        "the connection ended; going on",
        "porch is offline; trying again",
        "does not begin as a JPEG; left out",
    ] {
        assert!(ran.err.contains(said), "{}", ran.err);
    }
}

#[test]
fn what_cannot_be_watched_ends_at_once() {
    let offline = json!({"code": "camera_offline", "detail": "porch is offline"});
    let vast = "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 99999999999\r\n\r\n";
    let html = "--frame\r\nContent-Type: text/html\r\nContent-Length: 1\r\nX-Image-At: 2026-11-22T08:15:30Z\r\n\r\nx";
    for (reply, code, why) in [
        (Reply::json(503, &offline), 4, "porch is offline"),
        (Reply::json(403, &json!({"detail": "not with this key"})), 3, "not with this key"),
        (Reply::json(200, &json!({})), 1, "it does not send pictures"),
        (stream(b""), 1, "ended before it began"),
        (stream(vast.as_bytes()), 1, "larger than a picture may be"),
        (stream(html.as_bytes()), 1, "a part is no picture"),
        (stream(&part("../../x", &jpeg(1))), 1, "a picture has no time"),
        (stream(&"--frame\r\nA: b\r\n".repeat(2).into_bytes()), 1, "broken header lines"),
        (stream(&vec![b'a'; 100_000]), 1, "stands between"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let ran = run_in(folder.path(), &gateway(vec![reply]), LIVE);
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{why}: {}", ran.err);
        assert!(ran.err.contains(why), "{why}: {}", ran.err);
        assert!(files(&folder.path().join("frames")).is_empty());
    }
}

#[test]
fn a_signal_ends_it_with_what_came() {
    let folder = tempfile::tempdir().unwrap();
    let (asked_tx, asked_rx) = channel();
    // The second connection comes only after the first one's pictures were written.
    let fake = Fake::start_with(move |_| {
        asked_tx.send(()).unwrap();
        stream(&parts(0..2))
    });
    let mut command = oriel_in(folder.path(), &fake, LIVE);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    for _ in 0..2 {
        asked_rx.recv_timeout(SOON).unwrap();
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("porch: ") && said.ends_with(" written to frames\n"), "{said}");
    assert_eq!(files(&folder.path().join("frames")), whole(0..2));
}

#[test]
fn a_terminal_is_told_how_many_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let fake = gateway(vec![stream(&parts(0..3)).stays()]);
    let ran = finish_on_terminal(oriel_in(folder.path(), &fake, &[LIVE, &["--count", "3"]].concat()));
    assert!(ran.out.contains("\r2 pictures …"), "{:?}", ran.out);
}
