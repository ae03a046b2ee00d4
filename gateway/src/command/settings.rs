//! How the process is set up before a command runs: open files, threads and log.

use std::{io, num::NonZeroUsize};

use oriel_gateway::config::{Config, Limits, LogFormat, log_filter};
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::{Layer, fmt, layer::SubscriberExt, registry, util::SubscriberInitExt};

use super::{Failure, open_files};

/// How the process is set up before a command runs.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Whose connections need open files.
    limits: Option<Limits>,
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
        Self { limits: None, threads: Threads::One, log, format: LogFormat::Text, full_lines: false }
    }

    /// For a gateway that is looked at rather than relied on.
    #[cfg(feature = "demo")]
    pub(crate) fn of_demo() -> Self {
        Self { limits: Some(Config::default().limits), threads: Threads::Workers(None), ..Self::of_client() }
    }

    /// For a command that is a gateway.
    pub(crate) fn of_gateway(config: &Config) -> Self {
        let threads = Threads::Workers(config.workers);
        Self {
            limits: Some(config.limits),
            threads,
            log: config.log.clone(),
            format: config.log_format,
            full_lines: true,
        }
    }

    /// Makes room for open files; before there are threads, which would make it slow.
    pub(crate) fn make_room(&self) {
        if let Some(limits) = &self.limits {
            open_files::make_room(limits);
        }
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
pub(crate) fn start_logging(settings: &Settings) -> Result<(), Failure> {
    let filter = log_filter(&settings.log)
        .map_err(|why| Failure::usage(format!("the log filter {:?} is wrong: {why}", settings.log)))?;
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(is_terminal());
    let lines = match (settings.format, settings.full_lines) {
        (LogFormat::Json, _) => lines.json().flatten_event(true).boxed(),
        (LogFormat::Text, true) => lines.boxed(),
        (LogFormat::Text, false) => lines.without_time().with_target(false).boxed(),
    };
    registry().with(lines.with_filter(filter)).init();
    Ok(())
}

fn is_terminal() -> bool {
    io::IsTerminal::is_terminal(&io::stderr())
}
