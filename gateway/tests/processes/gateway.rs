//! A gateway that runs as its own process, with a data folder that outlives it.

use std::{
    fs, mem,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    authority::Authority,
    http::Http,
    process::{Process, Ran, Stream, oriel},
};

/// Where gateways listen: agents connect from 127.0.0.1, which is another address.
pub(crate) const LISTEN: &str = "127.0.0.2:0";

/// A gateway, its folder and its first key.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) process: Process,
    pub(crate) folder: TempDir,
    pub(crate) url: String,
    pub(crate) key: String,
    pub(crate) ca: Option<PathBuf>,
    /// Options beside the usual ones.
    options: Vec<String>,
}

impl Gateway {
    /// Starts one without TLS.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one without TLS, with these options.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        Self::first(tempfile::tempdir().unwrap(), None, options)
    }

    /// Starts one whose certificate from `authority` is for this host.
    pub(crate) fn start_tls(authority: &Authority) -> Self {
        let folder = tempfile::tempdir().unwrap();
        authority.write_leaf(folder.path(), "127.0.0.2", 2099);
        let files = ["cert.pem", "key.pem"].map(|name| text(&folder.path().join(name)));
        let options = ["--tls-cert", &files[0], "--tls-key", &files[1]];
        Self::first(folder, Some(authority.file.clone()), &options)
    }

    fn first(folder: TempDir, ca: Option<PathBuf>, options: &[&str]) -> Self {
        let options: Vec<String> = options.iter().map(|&option| option.into()).collect();
        let mut process = serve(folder.path(), LISTEN, &options);
        let key = process.line(Stream::Out, "oak_");
        let url = url(&mut process);
        Self { process, folder, url, key, ca, options }
    }

    /// Starts it anew, at the same address; what ran before must be gone.
    pub(crate) fn restart(&mut self) {
        let (_, address) = self.url.split_once("://").unwrap();
        self.process = serve(self.folder.path(), address, &self.options);
        assert_eq!(url(&mut self.process), self.url);
    }

    /// Starts it anew, at the same address, from a backup and in another folder; what ran before must be gone. Gives the gateway
    /// that the folder of before is still good for, at another address.
    pub(crate) fn restore(&mut self, backup: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        fs::copy(backup, folder.path().join("data/oriel.db")).unwrap();
        let before = mem::replace(&mut self.folder, folder);
        self.restart();
        let (key, ca, options) = (self.key.clone(), self.ca.clone(), self.options.clone());
        let mut process = serve(before.path(), LISTEN, &options);
        Self { url: url(&mut process), process, folder: before, key, ca, options }
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> String {
        text(&self.folder.path().join("data"))
    }

    /// Asks it over HTTP with the first key.
    pub(crate) fn http(&self) -> Http {
        Http::new(&self.url, &self.key, self.ca.as_deref())
    }

    /// Starts `oriel` with address, key and authority in its environment.
    pub(crate) fn start_command(&self, args: &[&str]) -> Process {
        let mut command = oriel(args);
        command.env("ORIEL_URL", &self.url).env("ORIEL_KEY", &self.key);
        if let Some(ca) = &self.ca {
            command.env("ORIEL_CA", ca);
        }
        Process::start(command)
    }

    /// Runs `oriel` with address, key and authority in its environment.
    #[track_caller]
    pub(crate) fn oriel(&self, args: &[&str]) -> Ran {
        self.start_command(args).finish()
    }

    /// The ids of a camera's whole log, oldest first, as the command line gives them.
    #[track_caller]
    pub(crate) fn log(&self, camera: &str) -> Vec<String> {
        let list = self.events(camera, "camera");
        assert_eq!(list["complete"], true);
        let ids = list["events"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().into());
        ids.collect()
    }

    /// All events of a camera that `store` or `camera` has, oldest first, as the command line gives them.
    #[track_caller]
    pub(crate) fn events(&self, camera: &str, source: &str) -> Value {
        let ran = self
            .oriel(&["events", camera, "--source", source, "--order", "asc", "--limit", "100000", "--json"]);
        serde_json::from_str(&ran.fine()).unwrap()
    }
}

/// Starts `oriel serve` for a folder.
fn serve(folder: &Path, listen: &str, options: &[String]) -> Process {
    let data = text(&folder.join("data"));
    let args = ["serve", "--listen", listen, "--metrics-listen", "off", "--data", &data];
    let mut command = oriel(&args);
    command.args(options);
    Process::start(command)
}

/// The address that a started gateway says.
fn url(process: &mut Process) -> String {
    let line = process.says("serving");
    line.split('"').nth(1).unwrap().to_owned()
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
