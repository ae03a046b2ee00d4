//! A small HTTP server that answers with given bodies and remembers what it was asked.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    thread,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

/// One request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// Method and target: `GET /v1/cameras?limit=1000`.
    pub(crate) line: String,
    /// Header lines in lower case.
    pub(crate) head: String,
    /// The body, or null.
    pub(crate) body: Value,
}

/// The status and body for a request that begins with a text; the first that fits is taken.
type Answers = Vec<(&'static str, u16, String)>;

/// An answer byte by byte.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    bytes: Vec<u8>,
    /// Whether the connection stays open behind it, until the caller leaves.
    stays: bool,
}

impl Reply {
    /// A status line, these header lines, an empty line and a body, whatever they say of each other.
    pub(crate) fn new(status: u16, head: &[String], body: &[u8]) -> Self {
        let head =
            [&[format!("HTTP/1.1 {status} X"), "Connection: close".into()], head].concat().join("\r\n");
        Self { bytes: [format!("{head}\r\n\r\n").as_bytes(), body].concat(), stays: false }
    }

    /// JSON.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let body = body.to_string();
        Self::new(status, &[format!("Content-Length: {}", body.len())], body.as_bytes())
    }

    /// The same without its last bytes.
    pub(crate) fn cut(mut self, bytes: usize) -> Self {
        self.bytes.truncate(self.bytes.len() - bytes);
        self
    }

    /// The same, and then nothing more comes.
    pub(crate) fn stays(self) -> Self {
        Self { stays: true, ..self }
    }
}

/// A server on a free port of 127.0.0.1 that lives as long as the test's process.
#[derive(Debug)]
pub(crate) struct Fake {
    address: SocketAddr,
    scheme: &'static str,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    /// Over plain HTTP.
    pub(crate) fn start(answers: &[(&'static str, u16, &str)]) -> Self {
        let answers = owned(answers);
        Self::serve("http", move |mut stream, asked| answer(&mut stream, &answers, asked))
    }

    /// Over plain HTTP, with what `reply` makes of each request; several at the same time.
    pub(crate) fn start_with(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::serve("http", move |mut stream, asked| {
            let Some(request) = read(&mut stream) else { return };
            asked.lock().unwrap().push(request.clone());
            let Reply { bytes, stays } = reply(&request);
            let _ = stream.write_all(&bytes);
            if stays {
                let _ = stream.read(&mut [0]);
            }
        })
    }

    /// Over TLS.
    pub(crate) fn start_tls(tls: Arc<ServerConfig>, answers: &[(&'static str, u16, &str)]) -> Self {
        let answers = owned(answers);
        Self::serve("https", move |stream, asked| {
            let connection = ServerConnection::new(tls.clone()).unwrap();
            answer(&mut StreamOwned::new(connection, stream), &answers, asked);
        })
    }

    fn serve<F>(scheme: &'static str, one: F) -> Self
    where
        F: Fn(std::net::TcpStream, &Mutex<Vec<Asked>>) + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (seen, one) = (asked.clone(), Arc::new(one));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, one) = (seen.clone(), one.clone());
                thread::spawn(move || one(stream, &seen));
            }
        });
        Self { address, scheme, asked }
    }

    /// Its address, under `host`.
    pub(crate) fn url_at(&self, host: &str) -> String {
        format!("{}://{host}:{}", self.scheme, self.address.port())
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        self.url_at("127.0.0.1")
    }

    /// Everything that it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn owned(answers: &[(&'static str, u16, &str)]) -> Answers {
    answers.iter().map(|(on, status, body)| (*on, *status, (*body).into())).collect()
}

/// Reads one request and answers it; a peer that breaks off is let go.
fn answer(stream: &mut (impl Read + Write), answers: &Answers, asked: &Mutex<Vec<Asked>>) {
    let Some(request) = read(stream) else { return };
    let fits = |on: &str| request.line.starts_with(on);
    let unknown = (404, r#"{"code":"not_found","detail":"no such thing"}"#.to_owned());
    let (status, body) =
        answers.iter().find(|(on, ..)| fits(on)).map_or(unknown, |(_, status, body)| (*status, body.clone()));
    asked.lock().unwrap().push(request);
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all((head + &body).as_bytes()).and_then(|()| stream.flush());
}

fn read(stream: &mut impl Read) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let line = lines.first()?.trim_end_matches(" HTTP/1.1").to_owned();
    let head = lines.join("\n").to_lowercase();
    let fields: HashMap<_, _> = head.lines().filter_map(|line| line.split_once(": ")).collect();
    let mut body = vec![0; fields.get("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { line, head, body: serde_json::from_slice(&body).unwrap_or_default() })
}
