//! The program as people start it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

mod common;

use std::process::Stdio;

use common::{TestGateway, soon};
use oriel_proto::{AgentFrame, GatewayFrame};
use tokio::{io::AsyncReadExt as _, process::Command};

const TOKEN: &str = r#"{"agent":"0191d0c0-0000-7000-8000-000000000001","token":"oat_enrolled","cameras":["porch"],"new_cameras":null}"#;

#[tokio::test]
async fn it_enrols_and_runs_and_logs_no_secret_at_trace_level() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let mut program = Command::new(env!("CARGO_BIN_EXE_camera-agent"));
    program.current_dir(dir.path()).args(["--log", "trace"]).kill_on_drop(true).stderr(Stdio::piped());
    let enrol =
        program.args(["enroll", "--gateway", &gateway.url().replace("ws:", "http:"), "--code", "oen_once"]);
    let answer = format!(
        "HTTP/1.1 201 Created\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{TOKEN}",
        TOKEN.len()
    );
    let (enrolled, _) = soon(async { tokio::join!(enrol.output(), gateway.answer_http(&answer)) }).await;
    let enrolled = enrolled.unwrap();
    assert!(enrolled.status.success(), "{}", String::from_utf8_lossy(&enrolled.stderr));
    let starter = std::fs::read_to_string(dir.path().join("agent.toml")).unwrap();
    assert!(starter.contains("id = \"porch\"") && starter.contains("simulator"), "{starter}");

    let mut program = Command::new(env!("CARGO_BIN_EXE_camera-agent"));
    program
        .current_dir(dir.path())
        .args(["run", "--log", "trace,tungstenite::handshake=trace,tungstenite::protocol=trace"])
        .kill_on_drop(true)
        .stderr(Stdio::piped());
    let mut running = program.spawn().unwrap();
    let mut peer = gateway.agent().await;
    assert_eq!(peer.token, "oat_enrolled");
    peer.send(GatewayFrame::Token { token: "oat_rotated".into() }).await;
    let id = peer.ask("porch", oriel_proto::Call::Describe {}).await;
    peer.find(|frame| matches!(frame, AgentFrame::Reply { id: of, .. } if of == id).then_some(())).await;
    running.start_kill().unwrap();
    let mut logged = String::new();
    soon(running.stderr.take().unwrap().read_to_string(&mut logged)).await.unwrap();
    logged += &String::from_utf8_lossy(&enrolled.stderr);
    logged += &String::from_utf8_lossy(&enrolled.stdout);
    assert!(logged.contains("connected"));
    for secret in ["oat_enrolled", "oat_rotated", "oen_once"] {
        assert!(!logged.contains(secret), "{secret} is in the log");
    }
    assert!(!starter.contains("oat_"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_hung_disk_does_not_keep_the_program_from_stopping() {
    let dir = tempfile::tempdir().unwrap();
    let code = dir.path().join("code");
    assert!(Command::new("mkfifo").arg(&code).status().await.unwrap().success());
    let mut program = Command::new(env!("CARGO_BIN_EXE_camera-agent"));
    program.current_dir(dir.path()).kill_on_drop(true).stderr(Stdio::null());
    program.args(["run", "--gateway", "http://127.0.0.1:1", "--simulate", "porch", "--code-file", "code"]);
    let mut running = program.spawn().unwrap();
    // Opening this end waits for the other: from then on the agent reads what never comes.
    let _silent = soon(tokio::fs::File::options().write(true).open(&code)).await.unwrap();
    let id = running.id().unwrap().to_string();
    assert!(Command::new("kill").arg(&id).status().await.unwrap().success());
    assert!(soon(running.wait()).await.unwrap().success());
}

#[tokio::test]
async fn a_code_is_not_given_to_one_of_several_gateways() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_camera-agent"));
    program.current_dir(dir.path()).kill_on_drop(true).args([
        "run",
        "--code",
        "oen_once",
        "--simulate",
        "porch",
    ]);
    program.args(["--gateway", "http://127.0.0.1:1,http://127.0.0.1:2"]);
    let ended = soon(program.output()).await.unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success() && said.contains("a code is for one gateway"), "{said}");
    assert!(!said.contains("oen_once"));
}
