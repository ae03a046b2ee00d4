//! What real cameras speak with: a web server that wants a digest login, and an FTP server. `./check` installs both.

use std::{fs, net::TcpListener, path::Path, process::Command};

use tempfile::TempDir;

use super::{gateway::text, process::Process};

/// Where they listen: neither the gateway nor its agents use this address.
pub(crate) const ADDRESS: &str = "127.0.0.3";

/// Who may log in.
const USER: &str = "me";
const PASSWORD: &str = "pass-word";

/// A camera that gives `still.jpg` to whoever logs in, by SHA-256; lighttpd.
#[derive(Debug)]
pub(crate) struct WebCamera {
    folder: TempDir,
    port: u16,
    process: Option<Process>,
}

impl WebCamera {
    /// One that gives this picture, and runs.
    pub(crate) fn start(jpeg: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind((ADDRESS, 0)).unwrap().local_addr().unwrap().port();
        let mut camera = Self { folder, port, process: None };
        camera.shows(jpeg);
        fs::write(camera.path("users"), format!("{USER}:{PASSWORD}\n")).unwrap();
        let root = text(camera.folder.path());
        let config = format!(
            "server.document-root = \"{root}/www\"\nserver.bind = \"{ADDRESS}\"\nserver.port = {port}\n\
             server.modules = (\"mod_auth\", \"mod_authn_file\")\nmimetype.assign = (\".jpg\" => \"image/jpeg\")\n\
             auth.backend = \"plain\"\nauth.backend.plain.userfile = \"{root}/users\"\n\
             auth.require = (\"\" => (\"method\" => \"digest\", \"realm\" => \"camera\",\n\
             \"algorithm\" => \"SHA-256\", \"require\" => \"valid-user\"))\n"
        );
        fs::write(camera.path("lighttpd.conf"), config).unwrap();
        camera.come_back();
        camera
    }

    /// The source that an agent needs for it, with this password.
    pub(crate) fn source(&self, password: &str) -> String {
        format!(
            "{{ type = \"snapshot\", url = \"http://{ADDRESS}:{}/still.jpg\", user = \"{USER}\", \
             password = \"{password}\", interval_ms = 200 }}",
            self.port
        )
    }

    /// The source with the right password.
    pub(crate) fn right_source(&self) -> String {
        self.source(PASSWORD)
    }

    /// Changes what it gives.
    pub(crate) fn shows(&self, jpeg: &[u8]) {
        fs::create_dir_all(self.path("www")).unwrap();
        fs::write(self.path("new"), jpeg).unwrap();
        fs::rename(self.path("new"), self.path("www/still.jpg")).unwrap();
    }

    /// Goes away as a camera does that loses its power.
    pub(crate) fn cut(&mut self) {
        drop(self.process.take());
    }

    /// Runs again, at the same address.
    pub(crate) fn come_back(&mut self) {
        let mut command = Command::new("/usr/sbin/lighttpd");
        command.arg("-D").arg("-f").arg(self.path("lighttpd.conf"));
        let mut process = started(command, "lighttpd");
        process.says("server started");
        self.process = Some(process);
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

/// An FTP server that puts what it is given into a folder; pyftpdlib.
#[derive(Debug)]
pub(crate) struct FtpServer {
    process: Process,
    url: String,
}

impl FtpServer {
    /// Serves a folder.
    pub(crate) fn start(folder: &Path) -> Self {
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-m", "pyftpdlib", "-i", ADDRESS, "-p", "0", "-w", "-u", USER, "-P", PASSWORD, "-d"]);
        command.arg(folder);
        let mut process = started(command, "python3-pyftpdlib");
        let line = process.says("starting FTP server on ");
        let address = line.split("server on ").nth(1).unwrap().split(',').next().unwrap();
        Self { url: format!("ftp://{USER}:{PASSWORD}@{address}"), process }
    }

    /// Uploads a file as a camera does, whole.
    #[track_caller]
    pub(crate) fn upload(&self, file: &Path, to: &str) {
        Process::start(self.curl(file, to)).finish().fine();
    }

    /// Begins to upload a file, ten thousand bytes a second.
    pub(crate) fn upload_slowly(&self, file: &Path, to: &str) -> Process {
        let mut command = self.curl(file, to);
        command.args(["--limit-rate", "10k"]);
        Process::start(command)
    }

    /// Ends with all its connections.
    pub(crate) fn cut(mut self) {
        self.process.kill();
    }

    fn curl(&self, file: &Path, to: &str) -> Command {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--ftp-create-dirs", "--upload-file"]);
        command.arg(file).arg(format!("{}/{to}", self.url));
        command
    }
}

/// Starts a program of a Debian package.
pub(crate) fn started(command: Command, package: &str) -> Process {
    assert!(Path::new(command.get_program()).exists(), "missing: apt-get install {package}");
    Process::start(command)
}
