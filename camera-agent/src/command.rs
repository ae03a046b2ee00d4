//! The command line: every command and option, with its help.

mod enroll;
mod log;
mod run;
mod service;
mod starter;
mod status;

use std::{io::Write as _, path::PathBuf};

use camera_agent::config::parse_gateway_url;
use clap::{Args, Parser, Subcommand, ValueEnum};
use oriel_proto::{CameraId, Secret};
use url::Url;

/// The program beside a camera: it opens one outbound connection to an Oriel gateway and answers what comes down it.
#[derive(Debug, Parser)]
#[command(name = "camera-agent", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Line {
    #[command(subcommand)]
    command: Command,
    /// What to log: error, warn, info, debug, trace, or a filter like `camera_agent=debug`.
    #[arg(long, global = true, value_name = "FILTER", default_value = "info", env = "CAMERA_AGENT_LOG")]
    log: String,
    /// How to log, on standard error.
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "text",
        env = "CAMERA_AGENT_LOG_FORMAT"
    )]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Keep the connection open and answer, until stopped.
    Run(Run),
    /// Exchange a one-time code for this agent's token.
    #[command(
        after_help = "The code comes from `oriel enroll` or the dashboard, and works once, for one hour."
    )]
    Enroll(Enroll),
    /// Say whether the agent that runs on the state folder is connected, and exit with 1 when it is not.
    Status(Status),
    /// Read the configuration, say what is wrong with it, and exit.
    CheckConfig(Files),
}

#[derive(Debug, Args)]
struct Files {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "agent.toml", env = "CAMERA_AGENT_CONFIG")]
    config: PathBuf,
    /// The folder that keeps the token and the cameras' logs; overrides `state` of the file.
    #[arg(long, value_name = "DIR", env = "CAMERA_AGENT_STATE")]
    state: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Trust {
    /// A PEM file of the only authorities to trust; default: those of the operating system.
    #[arg(long, value_name = "FILE", env = "CAMERA_AGENT_CA")]
    ca: Option<PathBuf>,
    /// Send token and code without TLS to another machine.
    #[arg(long, env = "CAMERA_AGENT_INSECURE")]
    insecure: bool,
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    trust: Trust,
    /// A gateway to connect to; several are tried in turn. Replaces the list of the file, whose other settings for the same
    /// address stay.
    #[arg(long = "gateway", value_name = "URL", value_delimiter = ',', env = "CAMERA_AGENT_GATEWAY", value_parser = parse_gateway_url)]
    gateways: Vec<Url>,
    /// Serve a simulated camera of this id; several are possible. Added to those of the file.
    #[arg(long = "simulate", value_name = "ID", value_delimiter = ',', env = "CAMERA_AGENT_SIMULATE")]
    simulated: Vec<CameraId>,
    #[command(flatten)]
    code: Code,
}

#[derive(Debug, Args)]
struct Code {
    /// The one-time enrolment code, `oen_…`. Other programs on this machine can see it here; prefer --code-file.
    #[arg(
        long,
        value_name = "CODE",
        env = "CAMERA_AGENT_CODE",
        hide_env_values = true,
        conflicts_with = "code_file"
    )]
    code: Option<Secret>,
    /// A file that holds the one-time enrolment code.
    #[arg(long, value_name = "FILE", env = "CAMERA_AGENT_CODE_FILE")]
    code_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Enroll {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    trust: Trust,
    /// The gateway that gave the code.
    #[arg(long, value_name = "URL", env = "CAMERA_AGENT_GATEWAY", value_parser = parse_gateway_url)]
    gateway: Url,
    #[command(flatten)]
    code: Code,
}

#[derive(Debug, Args)]
struct Status {
    #[command(flatten)]
    files: Files,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Logs to standard error, as the command line says.
pub(crate) fn start_logging(line: &Line) -> Result<(), String> {
    log::start(&line.log, line.log_format)
}

/// Runs the command; the error is one line for people.
pub(crate) async fn run(line: Line) -> Result<(), String> {
    match line.command {
        Command::Run(options) => run::run(options).await,
        Command::Enroll(options) => enroll::run(options).await,
        Command::Status(options) => status::run(options).await,
        Command::CheckConfig(files) => run::check(&files),
    }
}

/// Writes to standard output what the command is for.
fn say(text: &str) -> Result<(), String> {
    writeln!(std::io::stdout(), "{text}").map_err(|e| e.to_string())
}
