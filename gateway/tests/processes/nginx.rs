//! nginx before a gateway, with the configuration that stands in the guide. `./check` installs it.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{
    authority::Authority,
    gateway::{Gateway, text},
    process::Process,
};

/// Where it listens.
const ADDRESS: &str = "127.0.0.4";
/// Where it asks the gateway from: no agent uses this address.
const FROM: &str = "127.0.0.5";

/// An nginx that passes everything on to a gateway.
#[derive(Debug)]
pub(crate) struct Nginx {
    folder: TempDir,
    /// The guide's configuration, for this machine.
    config: String,
    process: Option<Process>,
    pub(crate) ca: PathBuf,
    _authority: Authority,
}

impl Nginx {
    /// Starts a gateway, and one before it; whoever asks the gateway asks through it from now on.
    pub(crate) fn before_a_gateway() -> (Self, Gateway) {
        let proxies = format!("{FROM}/32");
        let mut gateway = Gateway::start_with(&["--behind-proxy", &proxies]);
        let (authority, folder) = (Authority::new("one"), tempfile::tempdir().unwrap());
        authority.write_leaf(folder.path(), ADDRESS, 2099);
        let port = TcpListener::bind((ADDRESS, 0)).unwrap().local_addr().unwrap().port();
        let mut config = block("reverse-proxy.md", "nginx");
        let behind = gateway.url.strip_prefix("http://").unwrap();
        for (from, to) in [
            ("listen 443", format!("proxy_bind {FROM}; listen {ADDRESS}:{port}")),
            ("/etc/oriel/", format!("{}/", text(folder.path()))),
            ("127.0.0.1:8080", behind.to_owned()),
        ] {
            config = replaced(&config, from, &to);
        }
        gateway.url = format!("https://{ADDRESS}:{port}");
        gateway.ca = Some(authority.file.clone());
        let ca = authority.file.clone();
        let mut nginx = Self { folder, config, process: None, ca, _authority: authority };
        nginx.change("", "");
        (nginx, gateway)
    }

    /// Starts anew with the guide's configuration, changed in one place.
    pub(crate) fn change(&mut self, from: &str, to: &str) {
        drop(self.process.take());
        let root = text(self.folder.path());
        let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let folders: String = folders.map(|name| format!("{name}_temp_path {root}/{name};\n")).concat();
        let config = replaced(&self.config, from, to);
        let main = format!(
            "daemon off;\nmaster_process off;\npid {root}/pid;\nerror_log stderr info;\n\
             events {{}}\nhttp {{\naccess_log off;\n{folders}{config}}}\n"
        );
        let file = self.folder.path().join("nginx.conf");
        fs::write(&file, main).unwrap();
        let mut command = Command::new("/usr/sbin/nginx");
        assert!(Path::new(command.get_program()).exists(), "missing: apt-get install nginx");
        command.args(["-e", "stderr", "-p", &root, "-c"]).arg(&file);
        let mut process = Process::start(command);
        process.says("getrlimit");
        self.process = Some(process);
    }
}

/// `text` with all of `from` replaced, of which there is some.
#[track_caller]
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is not in {text}");
    if from.is_empty() { text.to_owned() } else { text.replace(from, to) }
}

/// The first block in this language of a page of the guide.
#[track_caller]
fn block(page: &str, language: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide").join(page);
    let page = fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
    rest.split("```").next().unwrap().to_owned()
}
