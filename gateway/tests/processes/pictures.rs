//! Pictures of the demo's cameras, as people get them: by the command line, and by the guide's lines.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use oriel_proto::jpeg;

use super::{
    demo::Demo,
    process::{Process, Stream, oriel},
};

/// How long a bounded thing may take on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// `oriel` with these arguments, as it asks the demo.
fn asks(demo: &Demo, args: &[&str]) -> Command {
    let mut command = oriel(args);
    command.env("ORIEL_URL", demo.text("url")).env("ORIEL_KEY", demo.text("key"));
    command
}

/// The files of a folder and their bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    let entries = entries.map(|entry| entry.unwrap().path());
    entries
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()))
        .collect()
}

/// Checks that each file is a whole picture with the name that it should have; gives how many there are.
#[track_caller]
fn whole_pictures(files: &BTreeMap<String, Vec<u8>>, cameras: &[String]) -> usize {
    let pictures = files.iter().filter(|(name, _)| !name.starts_with('.'));
    let pictures = pictures.inspect(|(name, bytes)| {
        jpeg::check(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (camera, time) = name.strip_suffix(".jpeg").unwrap().rsplit_once('-').unwrap();
        assert!(cameras.iter().any(|known| known == camera), "{name}");
        let (seconds, millis) = time.split_once('.').unwrap();
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        assert!(seconds.len() == 14 && millis.len() == 3 && digits(seconds) && digits(millis), "{name}");
    });
    pictures.count()
}

fn cameras(demo: &Demo) -> Vec<String> {
    demo.list("cameras")
}

#[test]
fn twenty_pictures_of_any_camera_come_whole_and_again_only_what_is_new() {
    let (demo, folder) = (Demo::start(&[]), tempfile::tempdir().unwrap());
    let out = folder.path().join("pictures");
    let out_text = out.to_str().unwrap();
    let args = ["images", "get", "--random", "--count", "20", "--workers", "5", "--out", out_text];
    Process::start(asks(&demo, &args)).finish().fine();
    let first = files(&out);
    assert_eq!((whole_pictures(&first, &cameras(&demo)), first.len()), (20, 20));
    let camera = first.keys().next().unwrap().rsplit_once('-').unwrap().0.to_owned();
    let written = |name: &String| fs::metadata(out.join(name)).unwrap().modified().unwrap();
    let before: BTreeMap<_, _> = first.keys().map(|name| (name.clone(), written(name))).collect();
    let again = ["images", "get", &camera, "--count", "20", "--out", out_text];
    Process::start(asks(&demo, &again)).finish().fine();
    assert!(before.iter().all(|(name, at)| written(name) == *at), "what was there was left alone");
    let both = files(&out);
    assert_eq!(whole_pictures(&both, &cameras(&demo)), both.len());
    demo.stop();
}

#[test]
fn a_download_that_is_killed_leaves_no_half_picture_and_the_next_one_cleans_up() {
    let (demo, folder) = (Demo::start(&[]), tempfile::tempdir().unwrap());
    let out = folder.path().to_str().unwrap();
    let args = ["images", "get", "porch", "--class", "main", "--count", "1000", "--out", out];
    let until = Instant::now() + SOON;
    let mut download = Process::start(asks(&demo, &args));
    while files(folder.path()).is_empty() {
        assert!(Instant::now() < until, "nothing was written");
        std::thread::yield_now();
    }
    download.kill();
    let left = files(folder.path());
    let whole = whole_pictures(&left, &cameras(&demo));
    assert!(
        left.keys().all(|name| name.ends_with(".jpeg") || name.ends_with(".part")),
        "{whole} of {left:?}"
    );
    Process::start(asks(&demo, &args)).finish().fine();
    let all = files(folder.path());
    assert_eq!((whole_pictures(&all, &cameras(&demo)), all.len()), (all.len(), all.len()));
    assert!(all.len() >= whole.max(1));
    demo.stop();
}

#[test]
fn a_snapshot_and_moving_pictures_become_files() {
    let (demo, folder) = (Demo::start(&[]), tempfile::tempdir().unwrap());
    let file = folder.path().join("now.jpeg");
    let snapshot = ["snapshot", "porch", "--out", file.to_str().unwrap()];
    Process::start(asks(&demo, &snapshot)).finish().fine();
    jpeg::check(&fs::read(&file).unwrap()).unwrap();
    let frames = folder.path().join("frames");
    let live = ["live", "porch", "--fps", "5", "--count", "5", "--out", frames.to_str().unwrap()];
    Process::start(asks(&demo, &live)).finish().fine();
    assert_eq!(whole_pictures(&files(&frames), &cameras(&demo)), 5);
    let listed = ["images", "list", "porch", "--count", "3", "--json"];
    let out = Process::start(asks(&demo, &listed)).finish().fine();
    assert_eq!(out.lines().filter(|line| line.contains("\"camera\":\"porch\"")).count(), 3, "{out}");
    demo.stop();
}

#[test]
fn every_curl_line_of_the_guide_to_pictures_runs_as_it_stands() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guide/images.md");
    let guide = fs::read_to_string(guide).unwrap();
    let lines: Vec<_> = guide.lines().filter(|line| line.starts_with("curl ")).collect();
    assert!(lines.len() >= 9, "{lines:?}");
    let (demo, folder) = (Demo::start(&[]), tempfile::tempdir().unwrap());
    for line in lines {
        // As it stands, but that a refusal fails, and that what has no end is ended once it has begun.
        let most = if line.contains("/live") { 3 } else { 30 };
        let script = format!(
            "curl() {{ command curl --silent --show-error --fail --max-time {most} \"$@\"; }}; {line}"
        );
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).current_dir(folder.path());
        let ran =
            shell.env("ORIEL_URL", demo.text("url")).env("ORIEL_KEY", demo.text("key")).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success() || line.contains("/live"), "{line}: {said}");
        match line.split_once(" -o ").and_then(|(_, rest)| rest.split(' ').next()) {
            Some(name) => is_what_it_says(&folder.path().join(name), line),
            None => assert!(String::from_utf8_lossy(&ran.stdout).contains("\"images\":[{"), "{line}"),
        }
    }
    demo.stop();
}

#[track_caller]
fn is_what_it_says(file: &Path, line: &str) {
    let bytes = fs::read(file).unwrap();
    let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    match file.extension().unwrap().to_str().unwrap() {
        "jpeg" => _ = jpeg::check(&bytes).unwrap_or_else(|error| panic!("{line}: {error}")),
        "zip" => assert!(bytes.starts_with(b"PK") && has(b"PK\x05\x06"), "{line}"),
        "multipart" => assert!(has(b"Content-Type: image/jpeg") && has(&[0xff, 0xd9]), "{line}"),
        other => panic!("{line}: what is a {other}?"),
    }
}

#[test]
fn the_pictures_of_the_demo_are_told_as_they_are_taken() {
    let demo = Demo::start(&[]);
    let script = "exec curl -sN -H \"Authorization: Bearer $ORIEL_KEY\" \"$ORIEL_URL/v1/stream?camera=porch&types=image\"";
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).env("ORIEL_URL", demo.text("url")).env("ORIEL_KEY", demo.text("key"));
    let mut stream = Process::start(shell);
    let line = stream.line(Stream::Out, "\"class\":\"preview\"");
    assert!(line.contains("\"camera\":\"porch\""), "{line}");
    drop(stream);
    demo.stop();
}
