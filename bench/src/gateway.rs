//! A gateway that runs as a process of its own, with a folder that outlives it.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use bytes::Bytes;
use oriel_proto::CameraId;
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::{
    authority::Authority,
    failure::{Doing, Failure, Result},
    http::Caller,
    process,
    target::Target,
};

/// Longer than any start on a busy machine.
const START_WITHIN: Duration = Duration::from_secs(30);

/// Longer than any end without open questions.
const END_WITHIN: Duration = Duration::from_secs(15);

/// How jemalloc is told to keep freed memory for a moment alone; each piece the moment it is freed would be a call of the system each.
const AT_ONCE: &str = "dirty_decay_ms:500,muzzy_decay_ms:0";

/// How a gateway is run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// The program; none means the one beside this program.
    pub(crate) program: Option<PathBuf>,
    /// Where its data lies; none means a folder of its own, which goes with it.
    pub(crate) data: Option<PathBuf>,
    /// Whether it serves TLS.
    pub(crate) tls: bool,
    /// Further flags of `oriel serve`.
    pub(crate) flags: Vec<String>,
    /// Whether its allocator gives freed memory back at once, so that what is resident is what is in use.
    pub(crate) trimmed: bool,
}

/// A running gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    /// Where it is, and whom to trust.
    pub(crate) target: Target,
    /// A key that may do everything.
    pub(crate) key: String,
    options: Options,
    child: Child,
    folder: TempDir,
    /// How often it was started.
    starts: u32,
}

/// The program `name` beside this one.
pub(crate) fn beside(name: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if path.exists() {
        return Ok(path);
    }
    Err(Failure::new(format!("{} is missing: build it with the same profile", path.display())))
}

impl Gateway {
    /// Starts one on a free port of 127.0.0.1 with an empty folder.
    pub(crate) async fn start(options: Options) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("oriel-bench-").tempdir()?;
        let tls = if options.tls {
            let authority = Authority::new()?;
            authority.write(folder.path())?;
            Some(authority.client()?)
        } else {
            None
        };
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let child = spawn(&options, folder.path(), listen, 1)?;
        let target = Target { address: listen, tls };
        let mut gateway = Self { target, key: String::new(), options, child, folder, starts: 1 };
        gateway.target.address = gateway.serving().await?;
        let said = fs::read_to_string(gateway.path("out-1"))?;
        let key = said.lines().find(|line| line.starts_with("oak_"));
        gateway.key = key.ok_or_else(|| Failure::new("the gateway said no key"))?.to_owned();
        Ok(gateway)
    }

    /// Starts it anew on the same port and folder, once it has ended; gives the moment when it said that it serves.
    pub(crate) async fn start_again(&mut self) -> Result<Instant> {
        self.starts += 1;
        self.child = spawn(&self.options, self.folder.path(), self.target.address, self.starts)?;
        self.serving().await?;
        Ok(Instant::now())
    }

    /// Has it stop, and starts it anew: a process that has lived through nothing yet.
    pub(crate) async fn stop_and_start(&mut self) -> Result<()> {
        self.terminate()?;
        self.ended(END_WITHIN).await?;
        self.start_again().await.map(drop)
    }

    /// Ends it as a power cut would.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) -> Result<()> {
        process::signal(self.pid(), "TERM")
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self, within: Duration) -> Result<ExitStatus> {
        let ended = timeout(within, self.child.wait()).await;
        Ok(ended.map_err(|_| Failure::new(format!("the gateway did not end within {within:?}")))??)
    }

    /// How it has ended, if it has.
    pub(crate) fn has_ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Its process id; 0 once it has ended.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Its resident memory in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        process::resident(self.pid())
    }

    /// The processor time that it has used.
    pub(crate) fn processor(&self) -> Result<Duration> {
        process::processor(self.pid())
    }

    /// Its address as agents are told.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.options.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.target.address)
    }

    /// Somebody who may do everything.
    pub(crate) fn caller(&self, source: Ipv4Addr) -> Caller {
        Caller::new(self.target.clone(), source, &self.key)
    }

    /// What it answers when a camera is asked for so many events.
    pub(crate) async fn answer(&self, camera: &CameraId, events: u64) -> Result<Bytes> {
        let path = format!("/v1/cameras/{camera}/events?source=camera&limit={events}&order=desc");
        Ok(self.caller(Ipv4Addr::LOCALHOST).get(&path).await?.must_be(200)?.body)
    }

    /// The value of a metric; none when the gateway has none of that name.
    pub(crate) async fn metric(&self, name: &str) -> Result<Option<f64>> {
        let reply = self.caller(Ipv4Addr::LOCALHOST).get("/metrics").await?.must_be(200)?;
        let text = String::from_utf8_lossy(&reply.body);
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.map(str::parse).transpose()?)
    }

    /// Everything that it has logged, over all its starts.
    pub(crate) fn log(&self) -> Result<String> {
        let mut log = String::new();
        for start in 1..=self.starts {
            log += &fs::read_to_string(self.path(&format!("log-{start}")))?;
        }
        Ok(log)
    }

    /// What it has logged as a warning or worse.
    pub(crate) fn warnings(&self) -> Result<Vec<String>> {
        let serious = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
        Ok(self.log()?.lines().filter(serious).map(str::to_owned).collect())
    }

    /// Waits until it says where it serves.
    async fn serving(&mut self) -> Result<SocketAddr> {
        let path = self.path(&format!("log-{}", self.starts));
        let until = Instant::now() + START_WITHIN;
        loop {
            let log = fs::read_to_string(&path)?;
            // The last line may be half written.
            let mut lines = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            if let Some(line) = lines.find(|line| line.contains("serving")) {
                let url = line.split('"').nth(1).and_then(|url| url.split_once("://"));
                let (_, address) = url.ok_or_else(|| Failure::new(format!("no address in {line:?}")))?;
                return Ok(address.parse()?);
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(Failure::new(format!("the gateway ended with {status}: {log}")));
            }
            if Instant::now() > until {
                return Err(Failure::new(format!("the gateway does not start: {log}")));
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Starts `oriel serve`; what it says goes into files of `folder`.
fn spawn(options: &Options, folder: &Path, listen: SocketAddr, start: u32) -> Result<Child> {
    let program = options.program.clone().map_or_else(|| beside("oriel"), Ok)?;
    let mut command = Command::new(&program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ORIEL_")) {
        command.env_remove(name);
    }
    let data = options.data.clone().unwrap_or_else(|| folder.join("data"));
    command.arg("serve").arg("--data").arg(data);
    command.args(["--metrics-listen", "off", "--listen", &listen.to_string()]).args(&options.flags);
    if options.tls {
        command.arg("--tls-cert").arg(folder.join("cert.pem"));
        command.arg("--tls-key").arg(folder.join("key.pem"));
    }
    if options.trimmed {
        command.env("_RJEM_MALLOC_CONF", AT_ONCE);
    }
    let file = |name: &str| File::create(folder.join(format!("{name}-{start}")));
    command.stdin(Stdio::null()).stdout(file("out")?).stderr(file("log")?).kill_on_drop(true);
    command.spawn().doing(program.display())
}
