//! A stream of messages that a gateway sends as they come.

use std::time::Duration;

use reqwest::{Method, Response, header};
use serde_json::Value;

use super::{ANSWER_BYTES, Client, ClientError};

/// A stream that is silent for this long is broken: the gateway says every ten seconds that it lives.
const SILENCE: Duration = Duration::from_secs(30);

/// What a stream of messages is.
const EVENT_STREAM: &str = "text/event-stream";

/// One message.
#[derive(Debug, Default)]
pub(crate) struct Message {
    /// What it is about.
    pub(crate) kind: String,
    /// From where to go on behind it.
    pub(crate) place: String,
    /// What it says.
    pub(crate) data: Value,
}

/// A stream that is open.
#[derive(Debug)]
pub(crate) struct Messages {
    answer: Response,
    /// What has come and was not read yet.
    waiting: Vec<u8>,
}

impl Client {
    /// Follows what is at `path`, behind this place if one is given.
    pub(crate) async fn follow(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        place: Option<&str>,
    ) -> Result<Messages, ClientError> {
        let mut request = self.request(Method::GET, path)?.query(query).timeout(Duration::MAX);
        request = request.header(header::ACCEPT, EVENT_STREAM);
        if let Some(place) = place {
            request = request.header("last-event-id", place);
        }
        let answer = self.open(request).await?;
        let media = answer.headers().get(header::CONTENT_TYPE).map(|media| media.as_bytes());
        if !media.is_some_and(|media| media.starts_with(EVENT_STREAM.as_bytes())) {
            return Err(ClientError::answer(&self.base, "it does not tell of events as they come"));
        }
        Ok(Messages { answer, waiting: Vec::new() })
    }

    /// Why a stream that has said nothing is none.
    pub(crate) fn broken(&self) -> ClientError {
        ClientError::answer(&self.base, "the stream ended before it began")
    }

    /// The next message; none when the stream has ended, or broke off.
    pub(crate) async fn next_message(&self, messages: &mut Messages) -> Result<Option<Message>, ClientError> {
        loop {
            if let Some(message) = messages.take() {
                return Ok(Some(message));
            }
            match tokio::time::timeout(SILENCE, messages.answer.chunk()).await {
                Ok(Ok(Some(chunk))) => messages.waiting.extend_from_slice(&chunk),
                // To go on from the last place is right whatever ended it.
                Ok(Ok(None) | Err(_)) | Err(_) => return Ok(None),
            }
            if messages.waiting.len() > ANSWER_BYTES {
                return Err(ClientError::answer(&self.base, "larger than any message of a gateway"));
            }
        }
    }
}

impl Messages {
    /// The first message that has come whole.
    fn take(&mut self) -> Option<Message> {
        let end = self.waiting.windows(2).position(|two| two == b"\n\n")?;
        let text: Vec<u8> = self.waiting.drain(..end + 2).collect();
        let mut message = Message::default();
        for line in String::from_utf8_lossy(&text).lines() {
            match line.split_once(':') {
                Some(("event", kind)) => message.kind = kind.trim_start().to_owned(),
                Some(("id", place)) => message.place = place.trim_start().to_owned(),
                Some(("data", data)) => message.data = serde_json::from_str(data).unwrap_or_default(),
                _ => {}
            }
        }
        Some(message)
    }
}
