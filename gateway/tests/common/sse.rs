//! A reader of server-sent events.

use reqwest::{Response, header::HeaderMap};
use serde_json::Value;

use super::{TestGateway, soon};

/// One message of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) kind: String,
    /// The place behind it; empty where it has none.
    pub(crate) id: String,
    pub(crate) data: Value,
}

/// An open stream.
#[derive(Debug)]
pub(crate) struct Sse {
    response: Response,
    text: String,
    /// Everything that has come.
    pub(crate) whole: String,
}

impl Sse {
    /// Opens `/v1/stream` with this query.
    pub(crate) async fn open(gateway: &TestGateway, key: &str, query: &str) -> Self {
        Self::follow(gateway, key, &format!("/v1/stream{query}"), "").await
    }

    /// Follows a path from this place on, from now on where that is empty.
    pub(crate) async fn follow(gateway: &TestGateway, key: &str, path: &str, place: &str) -> Self {
        let request = gateway.request(reqwest::Method::GET, path).bearer_auth(key);
        let request = request.header("accept", "text/event-stream").header("last-event-id", place);
        let response = soon("a stream opens", request.send()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new(), whole: String::new() }
    }

    /// The headers of the answer.
    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The next message, or none at the end.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        soon("a message", self.take()).await
    }

    /// The next message of this kind.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Message {
        // Heartbeats come for ever.
        let next = async {
            loop {
                let message = self.take().await.unwrap();
                if message.kind == kind {
                    return message;
                }
            }
        };
        soon(kind, next).await
    }

    async fn take(&mut self) -> Option<Message> {
        loop {
            if let Some((message, rest)) = self.text.split_once("\n\n") {
                let field = |name| message.lines().find_map(|line: &str| line.strip_prefix(name));
                let kind = field("event:").unwrap_or_default().trim().to_owned();
                let data = serde_json::from_str(field("data:").unwrap_or("null")).unwrap();
                let id = field("id:").unwrap_or_default().to_owned();
                self.text = rest.to_owned();
                return Some(Message { kind, id, data });
            }
            let chunk = self.response.chunk().await.ok()??;
            let chunk = String::from_utf8(chunk.to_vec()).unwrap();
            self.text.push_str(&chunk);
            self.whole.push_str(&chunk);
        }
    }
}
