//! Open files: each connection takes one.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::Command,
    time::Duration,
};

use super::{
    gateway::{LISTEN, text},
    process::{Process, oriel},
};

/// Open files that a shell allows at first: fewer than the connections below need.
const ALLOWED: &str = "64";

/// Connections that nobody uses are closed after nine seconds, which makes room for those that wait.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Connections and agents that the gateway is told to take.
const CONNECTIONS: usize = 600;
const AGENTS: usize = 400;

#[test]
fn a_gateway_takes_more_connections_than_the_files_that_it_was_first_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = serve("-S", &text(&folder.path().join("data")));
    let address = gateway.says("serving").split('"').nth(1).unwrap().replace("http://", "");
    let open: Vec<TcpStream> = (0..256).map(|_| connected(&address)).collect();
    open.iter().for_each(answered);
}

#[test]
fn the_table_of_open_files_has_its_size_before_the_first_connection() {
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = serve("-S", &text(&folder.path().join("data")));
    gateway.says("serving");
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.id())).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
    let size: usize = size.trim().parse().unwrap();
    assert!(size >= CONNECTIONS + AGENTS, "{size}");
}

#[test]
fn a_gateway_says_when_the_system_allows_fewer_files_than_its_limits_need() {
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = serve("-H", &text(&folder.path().join("data")));
    let line = gateway.says("fewer open files");
    assert!(line.contains("allowed=64") && line.contains("wanted=1256"), "{line}");
}

/// Starts a gateway that is allowed few files: by the soft limit (`-S`), which it may raise, or by the hard one (`-H`).
fn serve(limit: &str, data: &str) -> Process {
    let (connections, agents) = (CONNECTIONS.to_string(), AGENTS.to_string());
    let serve = oriel(&["serve", "--listen", LISTEN, "--metrics-listen", "off", "--data", data]);
    let mut command = Command::new("sh");
    command.args([
        "-c",
        &format!("ulimit -S -n {ALLOWED} && ulimit {limit} -n {ALLOWED} && exec \"$@\""),
        "sh",
    ]);
    command.arg(serve.get_program()).args(serve.get_args());
    command.args(["--limit-connections", &connections, "--limit-agents", &agents]);
    Process::start(command)
}

/// A connection that the gateway has taken: it has answered a question on it.
fn connected(address: &str) -> TcpStream {
    let connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(AT_ONCE)).unwrap();
    answered(&connection);
    connection
}

/// Asks, and takes the answer's head, which has no body behind it.
fn answered(mut connection: &TcpStream) {
    write!(connection, "HEAD /healthz HTTP/1.1\r\nHost: oriel\r\n\r\n").unwrap();
    let mut lines = BufReader::new(connection).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.starts_with("HTTP/1.1 200"), "{first:?}");
    assert!(lines.any(|line| line.unwrap().is_empty()));
}
