//! Downloads that are interrupted: nothing half stays under a name, and the next run goes on.

use std::{
    fs,
    path::Path,
    process::{Child, Output, Stdio},
    sync::mpsc::{Receiver, channel},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    fake::Fake,
    pictures::{SOON, at, carried, files, gateway, jpeg, oriel_in, run_in, whole},
};

const GET: &[&str] = &["images", "get", "porch", "--workers", "2"];

/// A gateway whose pictures from number 3 on stop in their middle, and what tells when two of them are on their way.
fn stuck() -> (Fake, Receiver<()>) {
    let (stuck_tx, stuck_rx) = channel();
    let fake = gateway(8, move |number, _| {
        (number >= 3).then(|| {
            stuck_tx.send(()).unwrap();
            carried(&at(number), &jpeg(number)).cut(200).stays()
        })
    });
    (fake, stuck_rx)
}

/// Starts a download and waits until the first three pictures are there, and two are on their way.
fn start(folder: &Path) -> (Fake, Child) {
    let (fake, stuck) = stuck();
    let mut command = oriel_in(folder, &fake, GET);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    for _ in 0..2 {
        stuck.recv_timeout(SOON).unwrap();
    }
    (fake, child)
}

fn signal(child: Child, signal: Signal) -> Output {
    kill_process(Pid::from_child(&child), signal).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn interrupted_it_says_what_is_missing_and_leaves_no_half_file() {
    for with in [Signal::INT, Signal::TERM] {
        let folder = tempfile::tempdir().unwrap();
        let (_fake, child) = start(folder.path());
        let output = signal(child, with);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said, "oriel: interrupted: 5 of 8 pictures of porch are missing\n");
        let out = folder.path().join("downloads");
        assert_eq!(files(&out), whole(0..3));
        let ran = run_in(folder.path(), &gateway(8, |_, _| None), GET);
        assert_eq!(ran.out, "porch: 5 written to downloads, 3 were there already\n");
        assert_eq!(files(&out), whole(0..8));
    }
}

#[test]
fn killed_it_leaves_no_half_file_and_the_next_run_clears_up() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("downloads");
    let (_fake, child) = start(folder.path());
    assert_eq!(signal(child, Signal::KILL).status.code(), None);
    let left = files(&out);
    assert!(left.iter().all(|(name, bytes)| whole(0..3).get(name) == Some(bytes)), "{left:?}");
    // What is left when the end comes while a file is written.
    fs::write(out.join(".oriel-x1Y2z3.part"), &jpeg(4)[..100]).unwrap();
    assert_eq!(run_in(folder.path(), &gateway(8, |_, _| None), GET).code, 0);
    assert_eq!(files(&out), whole(0..8));
}

#[test]
fn two_downloads_into_one_folder_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("downloads");
    let (_fake, child) = start(folder.path());
    let theirs = out.join(".oriel-x1Y2z3.part");
    fs::write(&theirs, "").unwrap();
    assert_eq!(run_in(folder.path(), &gateway(8, |_, _| None), GET).code, 0);
    assert!(theirs.exists(), "what the first one writes was removed");
    signal(child, Signal::INT);
    assert_eq!(run_in(folder.path(), &gateway(8, |_, _| None), GET).code, 0);
    assert_eq!(files(&out), whole(0..8));
}
