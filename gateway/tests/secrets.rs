//! No secret is in the log, even at its lowest level, nor in the body of any error.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod common;

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread::JoinHandle,
};

use common::*;
use oriel_proto::{GatewayFrame, InstanceId};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// The program as an administrator runs it, who wants to know everything.
struct Program {
    child: Child,
    address: SocketAddr,
    /// The key that it prints because there is none yet.
    first_key: String,
    log: JoinHandle<String>,
    http: reqwest::Client,
    /// The bodies of all errors.
    errors: Vec<String>,
    _folder: tempfile::TempDir,
}

impl Program {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_oriel"))
            .args(["serve", "--listen=127.0.0.1:0", "--metrics-listen=off", "--log=trace", "--data"])
            .arg(folder.path().join("data"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        let first_key = out.find_map(|line| line.ok().filter(|line| line.starts_with("oak_"))).unwrap();
        let (address_tx, address_rx) = mpsc::channel();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let log = std::thread::spawn(move || {
            let (mut log, mut line) = (String::new(), String::new());
            while lines.read_line(&mut line).unwrap() > 0 {
                if let Some((_, url)) = line.split_once("serving url=\"http://") {
                    let (address, _) = url.split_once('"').unwrap();
                    address_tx.send(address.parse().unwrap()).unwrap();
                }
                log.push_str(&line);
                line.clear();
            }
            log
        });
        let address = address_rx.recv().unwrap();
        let http = common::client(&[]);
        Self { child, address, first_key, log, http, errors: Vec::new(), _folder: folder }
    }

    async fn ask(&mut self, method: Method, path: &str, key: &str, body: Value) -> Answer {
        let request = self.http.request(method, format!("http://{}{path}", self.address)).bearer_auth(key);
        let answer = Answer::of(if body.is_null() { request } else { request.json(&body) }).await;
        if answer.status >= 400 {
            self.errors.push(format!("{} {:?}", answer.text, answer.headers));
        }
        answer
    }

    async fn post(&mut self, path: &str, body: Value) -> Value {
        let key = self.first_key.clone();
        let answer = self.ask(Method::POST, path, &key, body).await;
        assert!(answer.status < 300, "{answer:?}");
        answer.json()
    }

    /// Stops it and gives the whole log.
    fn stopped(mut self) -> String {
        let killed = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(killed.unwrap().success());
        assert!(self.child.wait().unwrap().success());
        self.log.join().unwrap()
    }
}

/// Everything that an agent's credential is used for; gives the secrets.
async fn live_as_an_agent(program: &mut Program) -> Vec<String> {
    let made = program.post("/v1/enrollments", json!({"cameras": ["porch"]})).await;
    let code = made["code"].as_str().unwrap().to_owned();
    let traded = program.post("/v1/enroll", json!({"code": code, "name": "raw agent"})).await;
    let id = traded["agent"].as_str().unwrap().to_owned();
    let token = traded["token"].as_str().unwrap().to_owned();
    let old = Enrolled { gateway: program.address, id: id.parse().unwrap(), token: token.clone() };
    let mut agent = old.welcomed(InstanceId::new(), 1).await;
    agent.serve(&["porch"]).await;
    program.post(&format!("/v1/agents/{id}/rotate"), json!({})).await;
    let rotated = loop {
        if let GatewayFrame::Token { token } = agent.frame().await {
            break token.expose().to_owned();
        }
    };
    drop(agent);
    let new = Enrolled { token: rotated.clone(), ..old.clone() };
    let mut agent = new.serving(&["porch"]).await;
    assert_eq!(old.try_connect().await.err(), Some(401));
    let trade = json!({"code": code, "name": "again"});
    let again = program.ask(Method::POST, "/v1/enroll", "", trade).await;
    again.expect(401);
    program.post("/v1/enrollments", json!({"cameras": ["yard"]})).await;
    let key = program.first_key.clone();
    program.ask(Method::DELETE, &format!("/v1/agents/{id}"), &key, json!(null)).await.expect(204);
    assert_eq!(agent.close_code().await, Some(4003));
    vec![code, token, rotated]
}

/// What people do with secrets by mistake.
async fn mistake(program: &mut Program, secrets: &[String]) {
    let admin = program.first_key.clone();
    for secret in secrets {
        let mistyped = format!("{}!", &secret[..secret.len() - 1]);
        for credential in [mistyped.as_str(), secret, &format!("{secret} "), &format!("{secret}{secret}")] {
            for path in ["/v1/cameras", "/v1/agent/connect"] {
                program.ask(Method::GET, path, credential, json!(null)).await;
            }
        }
        for path in [
            "/v1/cameras?key=",
            "/v1/cameras?limit=",
            "/v1/cameras?cursor=",
            "/v1/cameras?status=",
            "/v1/cameras?sort=",
            "/v1/stream?types=",
            "/v1/cameras/x/events?from=",
            "/v1/keys/",
            "/v1/agents/",
            "/v1/cameras/",
            "/v1/",
            "/v1/cameras?",
        ] {
            program.ask(Method::GET, &format!("{path}{secret}"), &admin, json!(null)).await;
        }
        for path in ["/v1/enroll", "/v1/keys", "/v1/enrollments", "/v1/cameras"] {
            for body in [
                json!(secret),
                json!([secret]),
                json!({"code": secret}),
                json!({"code": [secret], "name": secret}),
                json!({"code": mistyped, "name": "x"}),
                json!({"name": "x", "role": secret, "all": true}),
                json!({"name": "x", "role": "viewer", "expires_at": secret}),
                json!({"id": format!("{secret}.")}),
                json!({"cameras": [format!("{secret}.")]}),
                json!({"cameras": secret}),
                json!({"cameras": ["x"], "new_cameras": format!("{secret}/")}),
                json!({ secret.as_str(): 1 }),
            ] {
                program.ask(Method::POST, path, &admin, body).await;
            }
        }
    }
}

/// Asks over HTTP/2, whose library has much to tell.
async fn ask_h2(program: &Program, key: &str) {
    let tcp = TcpStream::connect(program.address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(tcp).await.unwrap();
    let driving = tokio::spawn(connection);
    let request = http::Request::get(format!("http://{}/v1/cameras", program.address));
    let request = request.header("authorization", format!("Bearer {key}")).body(()).unwrap();
    let (answer, _) = client.send_request(request, true).unwrap();
    assert_eq!(soon("an answer", answer).await.unwrap().status(), 200);
    driving.abort();
}

#[tokio::test]
async fn no_secret_is_in_the_log_or_in_an_error() {
    let mut program = Program::start();
    let mut secrets = vec![program.first_key.clone()];
    let key = json!({"name": "x", "role": "viewer", "all": true});
    let made = program.post("/v1/keys", key).await;
    let (id, key) = (made["key"]["id"].as_str().unwrap(), made["secret"].as_str().unwrap().to_owned());
    program.ask(Method::GET, "/v1/cameras", &key, json!(null)).await.expect(200);
    ask_h2(&program, &key).await;
    secrets.push(key.clone());
    secrets.extend(live_as_an_agent(&mut program).await);
    mistake(&mut program, &secrets).await;
    let admin = program.first_key.clone();
    program.ask(Method::DELETE, &format!("/v1/keys/{id}"), &admin, json!(null)).await.expect(204);
    program.ask(Method::GET, "/v1/cameras", &key, json!(null)).await;
    let errors = std::mem::take(&mut program.errors);
    let log = program.stopped();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "the log tells much");
    assert!(errors.len() > 200);
    for secret in secrets {
        // Enough of it that it would be one; also as the numbers that a frame's bytes are shown as.
        let part = &secret[8..24];
        let hex: String = part.bytes().map(|byte| format!("{byte:02x}")).collect();
        let list = part.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
        for form in [part, &hex, &list] {
            let line = log.lines().find(|line| line.contains(form));
            assert_eq!(line, None, "a secret is in the log");
            let error = errors.iter().find(|error| error.contains(form));
            assert_eq!(error, None, "a secret is in an error");
        }
    }
}
