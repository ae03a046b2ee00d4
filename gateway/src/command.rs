//! The command line: its commands, one file each, and what they share.

mod agents;
mod backup;
mod cameras;
mod check_config;
mod comeback;
mod completions;
#[cfg(feature = "demo")]
mod demo;
mod enroll;
mod events;
mod failure;
mod folder;
mod images;
mod keys;
mod live;
mod offline;
mod open_files;
mod output;
mod progress;
mod serve;
mod service;
mod settings;
mod snapshot;
mod status;
mod stop;
mod table;
mod text;

use std::{ffi::OsString, path::PathBuf};

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use oriel_gateway::config::{Config, ConfigFile};

pub(crate) use failure::Failure;
pub(crate) use settings::{Settings, start_logging};

/// A push gateway for cameras that nobody can reach.
#[derive(Debug, Parser)]
#[command(name = "oriel", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// One command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gateway
    Serve(Box<Config>),
    /// Run a gateway and simulated cameras, to try it out
    #[cfg(feature = "demo")]
    Demo(demo::Demo),
    /// Make a one-time code that lets a device join
    Enroll(enroll::Enroll),
    /// List, add and revoke API keys
    #[command(subcommand)]
    Keys(keys::Keys),
    /// List devices, revoke them, renew their tokens
    #[command(subcommand)]
    Agents(agents::Agents),
    /// List, show, add, change and remove cameras
    #[command(subcommand)]
    Cameras(cameras::Cameras),
    /// Read the log of one camera, of several, or of all
    Events(events::Events),
    /// List pictures of a camera, download them
    #[command(subcommand)]
    Images(images::Images),
    /// Have a camera take a picture now
    Snapshot(snapshot::Snapshot),
    /// Write a camera's pictures to files as they come
    Live(live::Live),
    /// Ask whether a gateway is there and welcomes new work
    Status(status::Status),
    /// Copy a gateway's database to a file, while the gateway runs
    Backup(backup::Backup),
    /// Check the options of `serve` and show what holds
    CheckConfig(Box<Config>),
    /// Print the completions of a shell
    Completions(completions::Completions),
}

impl Command {
    /// Runs the command to its end.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Serve(config) => serve::run(*config).await,
            #[cfg(feature = "demo")]
            Self::Demo(demo) => demo.run().await,
            Self::Enroll(enroll) => enroll.run().await,
            Self::Keys(keys) => keys.run().await,
            Self::Agents(agents) => agents.run().await,
            Self::Cameras(cameras) => cameras.run().await,
            Self::Events(events) => events.run().await,
            Self::Images(images) => images.run().await,
            Self::Snapshot(snapshot) => snapshot.run().await,
            Self::Live(live) => live.run().await,
            Self::Status(status) => status.run().await,
            Self::Backup(backup) => backup.run().await,
            Self::CheckConfig(config) => check_config::run(&config),
            Self::Completions(completions) => completions.run(),
        }
    }

    /// How the process is set up for this command.
    pub(crate) fn settings(&self) -> Settings {
        match self {
            Self::Serve(config) | Self::CheckConfig(config) => Settings::of_gateway(config),
            #[cfg(feature = "demo")]
            Self::Demo(_) => Settings::of_demo(),
            _ => Settings::of_client(),
        }
    }
}

impl Cli {
    /// Reads the command line, the environment and, where a command has one, the configuration file.
    pub(crate) fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, Failure> {
        let args: Vec<OsString> = args.into_iter().collect();
        let mut matches = Self::command().try_get_matches_from(&args)?;
        if let Some((name, path)) = config_file(&matches) {
            let file = ConfigFile::read(&path)?;
            let command = Self::command().mut_subcommand(name, |command| file.as_defaults(command));
            matches = command.try_get_matches_from(&args)?;
        }
        Ok(Self::from_arg_matches(&matches)?)
    }
}

/// The command that takes a configuration file, and the file.
fn config_file(matches: &ArgMatches) -> Option<(String, PathBuf)> {
    let (name, inner) = matches.subcommand()?;
    let path = inner.try_get_one::<PathBuf>("config").ok()??;
    Some((name.to_owned(), path.clone()))
}
