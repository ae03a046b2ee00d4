//! Callers that cost as little as they can: prepared requests on a socket, and only the head of an answer is parsed.

use std::{
    io::Write,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::Subject;
use crate::{
    failure::{Doing, Failure, Result},
    fleet::camera,
    target::Target,
};

/// The most that the head of an answer may have, and what is read at a time.
const READ_BYTES: usize = 64 << 10;

/// The most header fields that an answer may have.
const FIELDS: usize = 32;

/// The time in the first question, in milliseconds; every one has another, and all lie before the first event.
const FIRST_TIME: u64 = 1_600_000_000_000;

/// The digits of a time.
const DIGITS: usize = 13;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Question {
    /// So many events, each time those from another time on.
    Events(u64),
    /// A picture of this class, each time of another time.
    Picture(&'static str),
}

impl Question {
    /// The path that asks the `n`th camera, up to the time and behind it.
    fn path(self, n: usize) -> Result<(String, String)> {
        let camera = camera(n)?;
        Ok(match self {
            Self::Events(limit) => {
                let query = format!("source=camera&limit={limit}&order=desc&from=");
                (format!("/v1/cameras/{camera}/events?{query}"), String::new())
            }
            Self::Picture(class) => (format!("/v1/cameras/{camera}/images/"), format!("?class={class}")),
        })
    }
}

/// What is asked of one side: a request for each camera, and the number of the next one.
#[derive(Debug)]
pub(crate) struct Script {
    target: Target,
    requests: Vec<Prepared>,
    next: Arc<AtomicU64>,
    alone: bool,
}

/// A request in which only the digits of the time are still to be written.
#[derive(Debug)]
struct Prepared {
    bytes: Vec<u8>,
    digits_at: usize,
}

/// One who asks one question after the other.
#[derive(Debug)]
pub(crate) struct Caller {
    script: Arc<Script>,
    source: Ipv4Addr,
    /// Which camera is asked next.
    turn: usize,
    open: Option<TcpStream>,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Script {
    /// Such questions to these cameras; `alone` gives each a connection of its own.
    pub(crate) fn new(
        subject: &Subject,
        cameras: &[usize],
        question: Question,
        alone: bool,
        next: Arc<AtomicU64>,
    ) -> Result<Self> {
        let requests = cameras.iter().map(|n| Prepared::new(subject, *n, question, alone));
        Ok(Self { target: subject.target.clone(), requests: requests.collect::<Result<_>>()?, next, alone })
    }
}

impl Prepared {
    fn new(subject: &Subject, n: usize, question: Question, alone: bool) -> Result<Self> {
        let (before, behind) = question.path(n)?;
        let start = format!("GET {before}");
        let close = if alone { "connection: close\r\n" } else { "" };
        let text = format!(
            "{start}{FIRST_TIME}{behind} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n{close}\r\n",
            subject.target.address, subject.key
        );
        Ok(Self { bytes: text.into_bytes(), digits_at: start.len() })
    }
}

impl Caller {
    /// The `n`th caller, from this address.
    pub(crate) fn new(script: Arc<Script>, n: usize, source: Ipv4Addr) -> Self {
        Self { script, source, turn: n, open: None, request: Vec::new(), buffer: vec![0; READ_BYTES] }
    }

    /// Asks one question and takes the whole answer.
    pub(crate) async fn ask(&mut self) -> Result<()> {
        self.prepare()?;
        let mut stream = match self.open.take() {
            Some(stream) => stream,
            None => self.script.target.tcp(self.source, false).await.doing("connecting")?,
        };
        stream.write_all(&self.request).await.doing("asking")?;
        self.take(&mut stream).await?;
        if self.script.alone {
            // Whoever ends a connection first remembers it for a minute: that is the server, as it would be elsewhere.
            self.end(&mut stream).await
        } else {
            self.open = Some(stream);
            Ok(())
        }
    }

    fn prepare(&mut self) -> Result<()> {
        let prepared = &self.script.requests[self.turn % self.script.requests.len()];
        self.turn += 1;
        self.request.clear();
        self.request.extend_from_slice(&prepared.bytes);
        let number = FIRST_TIME + self.script.next.fetch_add(1, Ordering::Relaxed);
        let mut digits = &mut self.request[prepared.digits_at..prepared.digits_at + DIGITS];
        Ok(write!(digits, "{number}")?)
    }

    async fn take(&mut self, stream: &mut TcpStream) -> Result<()> {
        let mut filled = 0;
        let whole = loop {
            filled += self.read(stream, filled).await?;
            if let Some(whole) = whole(&self.buffer[..filled])? {
                break whole;
            }
        };
        // Of what comes behind the head only the length counts.
        while filled < whole {
            filled += self.read(stream, 0).await?;
        }
        Ok(())
    }

    /// Reads into the buffer from this place on.
    async fn read(&mut self, stream: &mut TcpStream, from: usize) -> Result<usize> {
        match stream.read(&mut self.buffer[from..]).await.doing("taking the answer")? {
            0 => Err(Failure::new("an answer ended in the middle")),
            read => Ok(read),
        }
    }

    async fn end(&mut self, stream: &mut TcpStream) -> Result<()> {
        match stream.read(&mut self.buffer).await.doing("waiting for the end")? {
            0 => Ok(()),
            more => Err(Failure::new(format!("{more} bytes behind an answer"))),
        }
    }
}

/// The bytes of an answer with its head; none while the head is not whole. Anything but a 200 is a failure.
fn whole(answer: &[u8]) -> Result<Option<usize>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head_bytes) = head.parse(answer).doing("an answer's head")? else {
        return Ok(None);
    };
    if head.code != Some(200) {
        return Err(Failure::new(String::from_utf8_lossy(answer)));
    }
    let length = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|field| std::str::from_utf8(field.value).ok()?.parse::<usize>().ok());
    Ok(Some(head_bytes + length.ok_or_else(|| Failure::new("an answer without its length"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_as_long_as_its_head_says() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(whole(&head.as_bytes()[..20]).unwrap(), None);
        assert_eq!(whole(head.as_bytes()).unwrap(), Some(head.len() + 5));
    }

    #[test]
    fn a_refusal_is_no_answer() {
        assert!(whole(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").is_err());
        assert!(whole(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }
}
