//! Promises of fetching stills, against cameras that do what the test says.

use std::{collections::VecDeque, sync::Arc};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::*;
use crate::{
    backoff::Ending,
    config::SourceConfig,
    source::tests::stand::{Stand, picture, soon},
};

/// A camera that gives prepared answers, one for each request on however many connections.
struct Script {
    url: String,
    /// The heads of what was asked.
    asked: mpsc::UnboundedReceiver<String>,
}

impl Script {
    async fn new(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/still.jpg?channel=1&key=hush", listener.local_addr().unwrap());
        let (asked_tx, asked) = mpsc::unbounded_channel();
        let answers = Arc::new(std::sync::Mutex::new(VecDeque::from(answers)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answers.clone(), asked_tx.clone()));
            }
        });
        Self { url, asked }
    }

    fn config(&self, more: &str) -> SnapshotConfig {
        toml::from_str(&format!("url = {:?}\n{more}", self.url)).unwrap()
    }

    async fn fetcher(&self, more: &str) -> Fetcher {
        Fetcher::new(&self.config(more)).await.unwrap()
    }

    /// The value of a header of the next request; empty when it has none.
    async fn header(&mut self, name: &str) -> String {
        let head = soon(self.asked.recv()).await.unwrap();
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map_or_else(String::new, |(_, value)| value.into())
    }
}

async fn serve(
    mut stream: TcpStream,
    answers: Arc<std::sync::Mutex<VecDeque<Vec<u8>>>>,
    asked: mpsc::UnboundedSender<String>,
) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let _ = asked.send(String::from_utf8(head).unwrap());
        let answer = answers.lock().unwrap().pop_front();
        match answer {
            Some(answer) if stream.write_all(&answer).await.is_ok() => {}
            // Who has nothing left to say keeps the connection and is silent.
            _ => std::future::pending().await,
        }
    }
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

fn good(number: u64) -> Vec<u8> {
    answer("200 OK\r\nContent-Type: image/jpeg", &picture(number))
}

fn challenge(nonce: &str, more: &str) -> Vec<u8> {
    let digest = format!("Digest realm=\"cam\", qop=\"auth\", algorithm=SHA-256, nonce=\"{nonce}\"{more}");
    let md5 = "Digest realm=\"cam\", qop=\"auth\", nonce=\"md5\"";
    answer(
        &format!(
            "401 Unauthorized\r\nWWW-Authenticate: {digest}\r\nWWW-Authenticate: {md5}\r\nWWW-Authenticate: Basic realm=\"cam\""
        ),
        b"who are you?",
    )
}

async fn fetch(fetcher: &mut Fetcher) -> Result<Bytes, SnapshotError> {
    let at = Timestamp::from_millis(1);
    soon(fetcher.fetch(|| at)).await.map(|(_, jpeg)| jpeg)
}

const LOGIN: &str = "user = \"me\"\npassword = \"pass-word\"";

#[tokio::test]
async fn a_challenge_is_used_again_until_it_is_stale() {
    let stale = challenge("two", ", stale=true");
    let mut script = Script::new(vec![challenge("one", ""), good(1), good(2), stale, good(3), good(4)]).await;
    let mut fetcher = script.fetcher(LOGIN).await;
    for number in 1..=4 {
        assert_eq!(fetch(&mut fetcher).await.unwrap(), picture(number));
    }
    let mut said = Vec::new();
    for _ in 0..6 {
        said.push(script.header("authorization").await);
    }
    assert_eq!(said[0], "");
    for (header, nonce, count) in [(1, "one", 1), (2, "one", 2), (3, "one", 3), (4, "two", 1), (5, "two", 2)]
    {
        let header = &said[header];
        assert!(header.contains(&format!("nonce=\"{nonce}\"")), "{header}");
        assert!(header.contains(&format!("nc=0000000{count}")), "{header}");
        assert!(header.contains("uri=\"/still.jpg?channel=1&key=hush\""), "{header}");
        assert!(header.contains("SHA-256") && !header.contains("pass-word"), "{header}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_then_seldom() {
    let mut script = Script::new(vec![challenge("one", ""), challenge("two", ""), good(1)]).await;
    let mut fetcher = script.fetcher(LOGIN).await;
    let refused = fetch(&mut fetcher).await.unwrap_err();
    assert!(matches!(refused, SnapshotError::LoginRefused(_)), "{refused}");
    assert!(matches!(refused.ending(), Ending::Refused { status: 401, .. }));
    assert_eq!(script.header("authorization").await, "");
    assert!(script.header("authorization").await.contains("nonce=\"one\""));
    assert!(script.asked.try_recv().is_err());
}

#[tokio::test]
async fn a_camera_that_knows_only_basic_is_logged_in_at() {
    let basic = answer("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"cam\"", b"");
    let mut script = Script::new(vec![basic, good(1), good(2)]).await;
    let mut fetcher = script.fetcher(LOGIN).await;
    assert_eq!(fetch(&mut fetcher).await.unwrap(), picture(1));
    assert_eq!(fetch(&mut fetcher).await.unwrap(), picture(2));
    assert_eq!(script.header("authorization").await, "");
    // me:pass-word
    assert_eq!(script.header("authorization").await, "Basic bWU6cGFzcy13b3Jk");
    assert_eq!(script.header("authorization").await, "Basic bWU6cGFzcy13b3Jk");
}

#[tokio::test]
async fn what_is_wrong_is_said_without_what_may_be_a_password() {
    let redirect = answer("302 Found\r\nLocation: http://elsewhere.example/?key=hush", b"");
    let unknown = answer("401 Unauthorized\r\nWWW-Authenticate: Negotiate", b"");
    let silent = answer("401 Unauthorized", b"");
    let gzip = answer("200 OK\r\nContent-Encoding: gzip", b"\x1f\x8b\x08\0\0\0\0\0");
    let cut = answer("200 OK", &picture(1)[..500]);
    let short = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\nConnection: close\r\n\r\n\xff\xd8\xff".to_vec();
    for (more, said, words) in [
        (LOGIN, redirect, "sends elsewhere with status 302"),
        (LOGIN, answer("404 Not Found", b""), "status 404 Not Found"),
        (LOGIN, answer("204 No Content", b""), "status 204"),
        (LOGIN, unknown, "neither basic nor digest"),
        (LOGIN, silent, "no WWW-Authenticate"),
        ("", challenge("one", ""), "give user and password"),
        (LOGIN, answer("200 OK\r\nContent-Type: image/jpeg", b"<html>"), "does not begin as a JPEG"),
        (LOGIN, gzip, "does not begin as a JPEG"),
        (LOGIN, cut, "the JPEG is cut off after 500 bytes"),
        ("timeout_ms = 200", short, "gave no picture within 200 ms"),
        ("timeout_ms = 200", Vec::new(), "gave no picture within 200 ms"),
    ] {
        let script = Script::new(vec![said]).await;
        let error = fetch(&mut script.fetcher(more).await).await.unwrap_err();
        let (text, debug) = (error.to_string(), format!("{error:?}"));
        assert!(text.contains(words) && text.contains("/still.jpg?…"), "{text}");
        assert!(!debug.contains("hush") && !debug.contains("pass-word"), "{debug}");
    }
    let script = Script::new(vec![]).await;
    let debug = format!("{:?} {:?}", script.config(LOGIN), script.fetcher(LOGIN).await);
    assert!(!debug.contains("hush") && !debug.contains("pass-word"), "{debug}");
}

#[tokio::test]
async fn nobody_there_is_said_in_words() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/?key=hush", listener.local_addr().unwrap());
    drop(listener);
    let config = toml::from_str(&format!("url = {url:?}")).unwrap();
    let error = fetch(&mut Fetcher::new(&config).await.unwrap()).await.unwrap_err().to_string();
    assert!(error.contains("cannot be asked: Connection refused") && !error.contains("hush"), "{error}");
}

#[tokio::test]
async fn bombs_are_refused_at_once() {
    let mut bomb = picture(1);
    let frame = bomb.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    bomb[frame + 5..frame + 9].fill(0xff);
    let declared = b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n\xff\xd8\xff\xe0".to_vec();
    let no_picture = b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\nMZ\x90".to_vec();
    let endless = {
        let mut endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for n in 0..17 {
            endless.extend_from_slice(b"100000\r\n");
            let mut chunk = vec![0x41; 1 << 20];
            if n == 0 {
                chunk[..4].copy_from_slice(b"\xff\xd8\xff\xe0");
            }
            endless.extend(chunk);
            endless.extend_from_slice(b"\r\n");
        }
        endless
    };
    for (said, words) in [
        (declared, "gives 1073741824 bytes"),
        (answer("200 OK", &bomb), "4294836225 pixels"),
        (no_picture, "does not begin as a JPEG"),
        (endless, "more than the 16777216"),
    ] {
        let script = Script::new(vec![said]).await;
        // But for the one of too many pixels none ends: whoever waited for that would say that the camera is slow.
        let mut fetcher = script.fetcher("timeout_ms = 60000").await;
        let error = fetch(&mut fetcher).await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_password_comes_from_a_file_and_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    let basic = || answer("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"cam\"", b"");
    let mut script = Script::new(vec![basic(), good(1)]).await;
    let config = script.config(&format!("user = \"me\"\npassword_file = {file:?}"));
    let missing = Fetcher::new(&config).await.unwrap_err().to_string();
    assert!(missing.starts_with("password_file = "), "{missing}");
    std::fs::write(&file, "pass-word\n").unwrap();
    fetch(&mut Fetcher::new(&config).await.unwrap()).await.unwrap();
    assert_eq!(script.header("authorization").await, "");
    assert_eq!(script.header("authorization").await, "Basic bWU6cGFzcy13b3Jk");
}

#[tokio::test]
async fn a_camera_that_fails_says_so_and_one_that_is_asked_gives_a_picture_at_once() {
    let script = Script::new(vec![answer("500 Oh", b""), good(1), good(2)]).await;
    let dir = tempfile::tempdir().unwrap();
    let config = script.config("interval_ms = 3600000");
    let mut stand = Stand::new(dir.path(), SourceConfig::Snapshot(config)).await;
    stand.start();
    let why = stand.is(oriel_proto::frame::SourceState::Failing).await.unwrap();
    assert!(why.contains("status 500"), "{why}");
    let refused = soon(stand.camera.pictures.take(&ImageClass::Main).done()).await;
    assert!(refused.is_err_and(|why| why.contains("status 500")));
    stand.is(oriel_proto::frame::SourceState::Ok).await;
    let first = stand.has(ImageClass::Preview, 1).await[0];
    assert_eq!(stand.read(ImageClass::Preview, first).await, picture(1));
    let taken = soon(stand.camera.pictures.take(&ImageClass::Main).done()).await.unwrap();
    assert_eq!(taken.jpeg, picture(2));
    assert_eq!(stand.has(ImageClass::Main, 2).await[1].at(), taken.at);
    stand.stop().await;
}

#[tokio::test]
async fn whoever_watches_gets_more_pictures_than_are_kept() {
    let script = Script::new(vec![good(1); 500]).await;
    let dir = tempfile::tempdir().unwrap();
    let config = script.config("interval_ms = 3600000");
    let mut stand = Stand::new(dir.path(), SourceConfig::Snapshot(config)).await;
    stand.start();
    let mut viewer = stand.camera.pictures.watch(&ImageClass::Preview, 20.0).unwrap();
    let expected = picture(1);
    for _ in 0..5 {
        soon(viewer.wait()).await;
        assert_eq!(viewer.newest().unwrap().jpeg, expected);
    }
    drop(viewer);
    assert_eq!(stand.rows(ImageClass::Preview).await.len(), 1);
    stand.stop().await;
}
