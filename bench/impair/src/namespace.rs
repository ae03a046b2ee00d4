//! Network namespaces: made, entered, and removed with everything that runs in them.

use std::{
    fs::{self, File},
    io,
    os::fd::AsFd as _,
    path::Path,
    process::Command,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    process::{Pid, Signal, geteuid, kill_process},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use crate::failure::Failure;

/// What names of namespaces without a name of their own begin with; the id of the process that made them follows.
const PREFIX: &str = "oriel-";

/// Where `ip netns` keeps namespaces that have names.
const NAMED: &str = "/run/netns";

/// How long programs in a namespace may take to end before they are killed.
const END_WITHIN: Duration = Duration::from_secs(2);

/// The namespaces that this process made and has not removed.
static MADE: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A network namespace of ours; dropping it removes it.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a namespace in which only the loopback device is, and no IPv6, whose own traffic would be counted.
    pub(crate) fn make(name: &str) -> Result<Self, Failure> {
        // One that is there already is somebody else's, and stays.
        ip(&["netns", "add", name])?;
        MADE.lock().unwrap_or_else(PoisonError::into_inner).push(name.to_owned());
        let made = Self { name: name.to_owned() };
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        made.set("net.ipv6.conf.all.disable_ipv6", "1")?;
        made.set("net.ipv6.conf.default.disable_ipv6", "1")?;
        Ok(made)
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Does `work` inside, in a thread of its own; programs started and sockets opened there belong to the namespace.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Failure> {
        thread::scope(|scope| {
            let work = scope.spawn(|| {
                self.enter()?;
                Ok(work())
            });
            work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the calling thread inside, for as long as it lives.
    pub(crate) fn enter(&self) -> Result<(), Failure> {
        let failed = || Failure::system(format!("entering the namespace {}", self.name));
        let file = File::open(Path::new(NAMED).join(&self.name)).map_err(failed())?;
        let entered = move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network));
        entered.map_err(|e| failed()(e.into()))
    }

    /// Sets a kernel parameter that each namespace has for itself.
    pub(crate) fn set(&self, parameter: &str, value: &str) -> Result<(), Failure> {
        let path = format!("/proc/sys/{}", parameter.replace('.', "/"));
        self.inside(|| fs::write(&path, value))?.map_err(Failure::system(format!("{parameter} = {value}")))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        MADE.lock().unwrap_or_else(PoisonError::into_inner).retain(|made| *made != self.name);
        remove(&self.name);
    }
}

/// Removes what this process made, when it ends without unwinding.
pub(crate) fn remove_all() {
    let made = std::mem::take(&mut *MADE.lock().unwrap_or_else(PoisonError::into_inner));
    made.iter().for_each(|name| remove(name));
}

/// Removes what processes made that were killed before they could.
pub(crate) fn sweep() {
    for entry in fs::read_dir(NAMED).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let Some(maker) = maker.and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        if !Path::new("/proc").join(maker.to_string()).exists() {
            remove(&name);
        }
    }
}

/// A name that tells whose namespaces these are.
pub(crate) fn own_name() -> String {
    format!("{PREFIX}{}", std::process::id())
}

/// Fails unless this process may make namespaces.
pub(crate) fn need_root() -> Result<(), Failure> {
    if geteuid().is_root() { Ok(()) } else { Err(Failure::NotRoot) }
}

/// Runs `ip`.
pub(crate) fn ip(args: &[&str]) -> Result<String, Failure> {
    let ran = Command::new("ip").args(args).output();
    let ran = ran.map_err(|why| Failure::Missing { program: "ip, of iproute2,".into(), why })?;
    if ran.status.success() {
        return Ok(String::from_utf8_lossy(&ran.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&ran.stderr).trim().to_owned();
    Err(Failure::Ended { what: format!("ip {}", args.join(" ")), status: ran.status, said })
}

/// Ends what runs in a namespace and removes it.
fn remove(name: &str) {
    let until = Instant::now() + END_WITHIN;
    let mut signal = Signal::TERM;
    loop {
        let inside = residents(name);
        if inside.is_empty() {
            break;
        }
        for pid in inside {
            let _ = kill_process(pid, signal);
        }
        if Instant::now() > until {
            if signal == Signal::KILL {
                break;
            }
            signal = Signal::KILL;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let _ = ip(&["netns", "del", name]);
}

/// The processes in a namespace.
fn residents(name: &str) -> Vec<Pid> {
    let listed = ip(&["netns", "pids", name]).unwrap_or_default();
    let own = std::process::id();
    let pids = listed.split_whitespace().filter_map(|pid| pid.parse().ok());
    pids.filter(|pid| *pid != own as i32).filter_map(Pid::from_raw).collect()
}

/// What the system says, as a failure of its own.
impl From<io::Error> for Failure {
    fn from(why: io::Error) -> Self {
        Self::System { what: "the system refused".into(), why }
    }
}
