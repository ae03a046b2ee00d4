//! A device: a folder with the agent's configuration and state, in which the agent runs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{
    gateway::{Gateway, text},
    process::{Process, Ran, camera_agent},
};

/// A device's folder.
#[derive(Debug)]
pub(crate) struct Device {
    folder: TempDir,
}

impl Device {
    /// A device on which nothing has run yet.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A device that was enrolled for these cameras by the command that `oriel enroll` printed.
    #[track_caller]
    pub(crate) fn enrolled(gateway: &Gateway, cameras: &[&str]) -> Self {
        let device = Self::new();
        device.run_printed(gateway, &printed(gateway, cameras)).fine();
        device
    }

    /// Runs a printed command, with the gateway's authority where it has one of its own.
    #[track_caller]
    pub(crate) fn run_printed(&self, gateway: &Gateway, printed: &str) -> Ran {
        let mut words = printed.split_whitespace();
        assert_eq!(words.next(), Some("camera-agent"), "{printed}");
        let mut args: Vec<&str> = words.collect();
        let ca = gateway.ca.as_deref().map(text);
        if let Some(ca) = &ca {
            args.extend(["--ca", ca]);
        }
        self.run(&args)
    }

    /// Runs the agent in its folder to its end.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.start_with(args).finish()
    }

    /// Starts the agent in its folder.
    pub(crate) fn start_with(&self, args: &[&str]) -> Process {
        Process::start(self.agent(args))
    }

    /// Starts `camera-agent run`.
    pub(crate) fn start(&self) -> Process {
        self.start_with(&["run"])
    }

    /// Starts `camera-agent run` and waits until the gateway has taken a camera of it.
    #[track_caller]
    pub(crate) fn start_connected(&self) -> Process {
        let mut process = self.start();
        process.says("the camera is taken");
        process
    }

    /// Starts `camera-agent run` under a clock of its own, which goes right until [`Device::set_clock`] says otherwise; waits
    /// until the gateway has taken a camera of it.
    #[track_caller]
    pub(crate) fn start_with_own_clock(&self) -> Process {
        self.set_clock("+0");
        let mut command = self.agent(&["run"]);
        command.env("LD_PRELOAD", faketime()).env("FAKETIME_TIMESTAMP_FILE", self.path("clock"));
        // What waits goes on by the true time, and the file is read whenever the clock is.
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_NO_CACHE", "1");
        let mut process = Process::start(command);
        process.says("the camera is taken");
        process
    }

    /// Sets the device's own clock off by so much, such as `-1d`, at once.
    pub(crate) fn set_clock(&self, offset: &str) {
        // In one step: the agent reads it at any moment.
        fs::write(self.path("clock.new"), offset).unwrap();
        fs::rename(self.path("clock.new"), self.path("clock")).unwrap();
    }

    /// Changes the agent's configuration.
    pub(crate) fn configure(&self, from: &str, to: &str) {
        let file = self.path("agent.toml");
        let before = fs::read_to_string(&file).unwrap();
        assert!(before.contains(from), "{from:?} is not in {before}");
        fs::write(file, before.replace(from, to)).unwrap();
    }

    /// Gives it these cameras, each with its source, instead of those it was enrolled with.
    pub(crate) fn set_cameras(&self, cameras: &[(&str, &str)]) {
        let file = self.path("agent.toml");
        let mut text = fs::read_to_string(&file).unwrap();
        text.truncate(text.find("[[camera]]").unwrap());
        for (id, source) in cameras {
            text += &format!("[[camera]]\nid = {id:?}\nsource = {source}\n");
        }
        fs::write(file, text).unwrap();
    }

    /// Lets its cameras write twenty events a second, after `backfill` of the past.
    pub(crate) fn write_fast(&self, backfill: u32) {
        self.configure("interval_ms = 10000", &format!("interval_ms = 50, backfill = {backfill}"));
    }

    /// The number of the agent's last dial.
    pub(crate) fn generation(&self) -> u64 {
        fs::read_to_string(self.path("camera-agent/generation")).unwrap().trim().parse().unwrap()
    }

    /// Another device with a copy of everything in this one's folder, as after copying an SD card.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new();
        copy_folder(self.folder.path(), copy.folder.path());
        // On another machine the same path would be another folder.
        let (here, there) = (self.folder.path().to_str().unwrap(), copy.folder.path().to_str().unwrap());
        let config = fs::read_to_string(copy.path("agent.toml")).unwrap().replace(here, there);
        fs::write(copy.path("agent.toml"), config).unwrap();
        copy
    }

    /// A file in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A run of the agent in its folder.
    pub(crate) fn agent(&self, args: &[&str]) -> Command {
        let mut command = Command::new(camera_agent());
        command.args(args).current_dir(self.folder.path());
        command
    }
}

/// The command that `oriel enroll` prints for these cameras.
#[track_caller]
pub(crate) fn printed(gateway: &Gateway, cameras: &[&str]) -> String {
    let mut args = vec!["enroll"];
    for camera in cameras {
        args.extend(["--camera", camera]);
    }
    gateway.oriel(&args).fine().trim_end().to_owned()
}

/// The library that gives a program another clock; `./check` installs it.
fn faketime() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let mut files = folders.map(|folder| folder.join("faketime/libfaketime.so.1"));
    files.find(|file| file.exists()).unwrap_or_else(|| panic!("missing: apt-get install libfaketime"))
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_folder(&entry.path(), &target);
        } else if kind.is_file() {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
