//! A fake gateway with pictures of a camera, and what a test looks at.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    sync::{Condvar, Mutex},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    fake::{Asked, Fake, Reply},
    run::{Ran, command, finish},
};

/// How long anything may take that should happen at once.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// What stands before the data of a picture: its start, a frame of one by one pixel, and the head of a scan.
const HEAD: &[u8] =
    &[0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0, 1, 0, 1, 1, 1, 0x11, 0, 0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0];

/// A picture that only its number tells from others.
pub(crate) fn jpeg(number: usize) -> Vec<u8> {
    [HEAD, &vec![number as u8; 1_000 + number], &[0xff, 0xd9]].concat()
}

/// When the picture of this number was taken.
pub(crate) fn at(number: usize) -> String {
    format!("2026-11-22T08:15:{:02}.{number:03}Z", number % 60)
}

/// What its file is called.
pub(crate) fn file(number: usize) -> String {
    format!("porch-20261122{:02}{:02}{:02}.{number:03}.jpeg", 8, 15, number % 60)
}

/// The answer that carries a picture.
pub(crate) fn carried(at: &str, jpeg: &[u8]) -> Reply {
    let head = [
        "Content-Type: image/jpeg".into(),
        format!("Content-Length: {}", jpeg.len()),
        format!("X-Image-At: {at}"),
    ];
    Reply::new(200, &head, jpeg)
}

/// The list of these pictures.
pub(crate) fn list(numbers: impl IntoIterator<Item = usize>) -> Value {
    let image = |number| json!({"camera": "porch", "class": "preview", "at": at(number), "bytes": jpeg(number).len()});
    json!({"images": numbers.into_iter().map(image).collect::<Vec<_>>(), "next": null})
}

/// The number of the picture that is asked for, or none when it is something else.
pub(crate) fn number(asked: &Asked) -> Option<usize> {
    let (_, rest) = asked.line.split_once("/images/2026-11-22T08:15:")?;
    rest.split_once('.')?.1.split('Z').next()?.parse().ok()
}

/// A gateway whose camera `porch` has `count` pictures; `odd` answers first, given the number of a picture and how often it
/// was asked for before.
pub(crate) fn gateway(
    count: usize,
    odd: impl Fn(usize, usize) -> Option<Reply> + Send + Sync + 'static,
) -> Fake {
    let times = Mutex::new(BTreeMap::<usize, usize>::new());
    Fake::start_with(move |asked| {
        let Some(number) = number(asked) else { return Reply::json(200, &list((0..count).rev())) };
        let before = {
            let mut times = times.lock().unwrap();
            let times = times.entry(number).or_default();
            *times += 1;
            *times - 1
        };
        odd(number, before).unwrap_or_else(|| carried(&at(number), &jpeg(number)))
    })
}

/// `oriel` with a key against this gateway, in this folder.
pub(crate) fn oriel_in(folder: &Path, fake: &Fake, args: &[&str]) -> Command {
    let mut command = command(args);
    command.current_dir(folder).env("ORIEL_URL", fake.url()).env("ORIEL_KEY", "oak_secret");
    command
}

/// Runs it.
pub(crate) fn run_in(folder: &Path, fake: &Fake, args: &[&str]) -> Ran {
    finish(oriel_in(folder, fake, args))
}

/// The files in a folder that is there, by name.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

/// The files that the pictures of these numbers are.
pub(crate) fn whole(numbers: impl IntoIterator<Item = usize>) -> BTreeMap<String, Vec<u8>> {
    numbers.into_iter().map(|number| (file(number), jpeg(number))).collect()
}

/// How many are inside at the same time.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    /// Now, and at most so far.
    inside: Mutex<(usize, usize)>,
    changed: Condvar,
}

impl Crowd {
    /// Comes in, waits until so many have been inside at once, or much too long, and leaves.
    pub(crate) fn meet(&self, wanted: usize) {
        let mut inside = self.inside.lock().unwrap();
        inside.0 += 1;
        inside.1 = inside.1.max(inside.0);
        self.changed.notify_all();
        let met = self.changed.wait_timeout_while(inside, SOON, |(_, most)| *most < wanted);
        let (mut inside, waited) = met.unwrap();
        inside.0 -= 1;
        if waited.timed_out() {
            // Nobody waits a second time for what does not come.
            inside.1 = usize::MAX;
        }
    }

    /// The most that were inside.
    pub(crate) fn most(&self) -> usize {
        self.inside.lock().unwrap().1
    }
}
