//! How the process is set up before a command runs: threads and log.

use std::{io, num::NonZeroUsize};

use oriel_gateway::config::{Config, LogFormat};
use tokio::runtime::{Builder, Runtime};
use tracing::{Level, Metadata, subscriber::set_global_default};
use tracing_subscriber::{EnvFilter, filter::filter_fn, layer::SubscriberExt};

use super::Failure;

/// The programs that know not to write down a secret.
const OURS: [&str; 4] = ["oriel", "oriel_gateway", "oriel_proto", "camera_agent"];

/// How the process is set up before a command runs.
#[derive(Debug)]
pub(crate) struct Settings {
    threads: Threads,
    log: String,
    format: LogFormat,
    /// Whether lines begin with time and module: a gateway's do, what a person reads at a prompt does not.
    full_lines: bool,
}

#[derive(Debug)]
enum Threads {
    /// The one that started.
    One,
    /// This many, or one per core.
    Workers(Option<NonZeroUsize>),
}

impl Settings {
    /// For a command that asks a gateway.
    pub(crate) fn of_client() -> Self {
        let log = std::env::var("ORIEL_LOG").unwrap_or_else(|_| "warn".into());
        Self { threads: Threads::One, log, format: LogFormat::Text, full_lines: false }
    }

    /// For a gateway that is looked at rather than relied on.
    #[cfg(feature = "demo")]
    pub(crate) fn of_demo() -> Self {
        Self { threads: Threads::Workers(None), ..Self::of_client() }
    }

    /// For a command that is a gateway.
    pub(crate) fn of_gateway(config: &Config) -> Self {
        let threads = Threads::Workers(config.workers);
        Self { threads, log: config.log.clone(), format: config.log_format, full_lines: true }
    }

    /// The runtime that the command runs on.
    pub(crate) fn runtime(&self) -> io::Result<Runtime> {
        match self.threads {
            Threads::One => Builder::new_current_thread().enable_all().build(),
            Threads::Workers(None) => Builder::new_multi_thread().enable_all().build(),
            Threads::Workers(Some(n)) => {
                Builder::new_multi_thread().worker_threads(n.get()).enable_all().build()
            }
        }
    }
}

/// Starts the log on standard error.
///
/// Lines that libraries write through the `log` crate are not taken over, and below `info` only our own programs are heard,
/// whatever the filter says: at their lowest levels libraries write down what passes through them, tokens included.
pub(crate) fn start_logging(settings: &Settings) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&settings.log)
        .map_err(|why| Failure::usage(format!("the log filter {:?} is wrong: {why}", settings.log)))?;
    let lines = tracing_subscriber::fmt().with_writer(io::stderr).with_env_filter(filter);
    let ours = filter_fn(may_be_told);
    // A second log in one process is no reason not to run.
    _ = match (settings.format, settings.full_lines) {
        (LogFormat::Json, _) => set_global_default(lines.json().flatten_event(true).finish().with(ours)),
        (LogFormat::Text, true) => set_global_default(lines.with_ansi(is_terminal()).finish().with(ours)),
        (LogFormat::Text, false) => {
            let lines = lines.with_ansi(is_terminal()).without_time().with_target(false);
            set_global_default(lines.finish().with(ours))
        }
    };
    Ok(())
}

/// Whether a line may be told if the filter wants it.
fn may_be_told(line: &Metadata<'_>) -> bool {
    let program = line.target().split("::").next().unwrap_or_default();
    OURS.contains(&program) || *line.level() <= Level::INFO
}

fn is_terminal() -> bool {
    io::IsTerminal::is_terminal(&io::stderr())
}
