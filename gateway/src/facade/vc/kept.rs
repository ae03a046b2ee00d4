//! A log in the older system's words: what is kept of a camera that posts lists, or the log of one that has an agent.

use bytes::Bytes;
use oriel_proto::{
    CameraId, Epoch, Timestamp,
    call::{EventsCall, Order},
};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::{
    Vc,
    body::{MOST, Place},
    logs::Made,
    span::Span,
};
use crate::{
    events::{EventStream, StoredLog},
    problem::LegacyProblem,
    relay::RelayError,
    store::KeptEvent,
};

/// The most entries of a list that is made here: the newest, a fortnight of one every ten seconds.
const ENTRIES: u64 = 100_000;

/// The most bytes of them: as many as a posted list may have.
const BYTES: usize = MOST;

/// Entries that are read at once.
const PAGE: u64 = 1_000;

impl Vc {
    /// What a camera has posted in `span`, as far as it is kept; none when it has never posted anything.
    pub(super) async fn posted(&self, camera: &CameraId, span: Span) -> Made {
        let Some(spool) = self.store.posted_spool(camera.clone()).await? else { return Ok(None) };
        let each = |(list, epoch): &mut (NewestFirst, Option<Epoch>), kept: &KeptEvent<'_>| {
            // What the gateway wrote beside it was never posted.
            if *epoch == Some(kept.event.epoch) {
                let said = kept.data.and_then(|data| serde_json::from_str::<Said>(data).ok());
                let seconds = said.map_or_else(|| seconds(kept.event.at), |said| said.timestamp);
                list.push(seconds, kept.event.description);
            }
        };
        let log = self.app.events.stored(camera, call(span));
        self.stored(log, Some(spool.epoch), each).await.map(Some)
    }

    /// The log in `span` of a camera that has an agent, from where it usually comes; the camera's first word must come by `deadline`,
    /// and so must the last.
    pub(super) async fn log(
        &self,
        camera: &CameraId,
        span: Span,
        deadline: Instant,
    ) -> Result<Bytes, LegacyProblem> {
        if let Some(log) = self.app.events.usually_stored(camera, call(span)).await? {
            let each = |(list, _): &mut (NewestFirst, Option<Epoch>), kept: &KeptEvent<'_>| {
                list.push(seconds(kept.event.at), kept.event.description);
            };
            return self.stored(log, None, each).await;
        }
        let whole = async {
            let stream = self.app.events.stream(camera, call(span), deadline).await.map_err(offline)?;
            streamed(stream, self.room.place()).await
        };
        timeout_at(deadline, whole).await.unwrap_or(Err(LegacyProblem::Offline))
    }

    async fn stored(
        &self,
        mut log: StoredLog,
        epoch: Option<Epoch>,
        each: fn(&mut (NewestFirst, Option<Epoch>), &KeptEvent<'_>),
    ) -> Result<Bytes, LegacyProblem> {
        let _turn = self.turn(BYTES).await?;
        let (mut gathered, mut place) = ((NewestFirst::default(), epoch), self.room.place());
        loop {
            let (more, end) = log.read(PAGE, gathered, each).await?;
            if end.is_some() || more.0.is_full() {
                return place.hold(more.0.into_json());
            }
            place.grow(more.0.text.len())?;
            gathered = more;
        }
    }
}

/// The newest entries of a span, newest first, so that those are left out which are too many.
fn call(span: Span) -> EventsCall {
    EventsCall { from: span.from, to: span.to, limit: Some(ENTRIES), ..EventsCall::all(Order::Desc) }
}

async fn streamed(mut stream: EventStream, mut place: Place) -> Result<Bytes, LegacyProblem> {
    let mut list = NewestFirst::default();
    loop {
        let piece = stream.next().await.map_err(offline)?;
        let end =
            stream.read(&piece, |event| list.push(seconds(event.at), event.description)).map_err(offline)?;
        if end.is_some() || list.is_full() {
            return place.hold(list.into_json());
        }
        place.grow(list.text.len())?;
    }
}

/// Whatever is wrong with a camera, older clients know one word for it.
fn offline(error: RelayError) -> LegacyProblem {
    tracing::info!(%error, "no log for a client of the older system");
    LegacyProblem::Offline
}

#[allow(clippy::cast_precision_loss, reason = "a time of this century has its microseconds")]
fn seconds(at: Timestamp) -> f64 {
    at.as_micros() as f64 / 1e6
}

/// What the camera said of an entry's time.
#[derive(Deserialize)]
struct Said {
    timestamp: f64,
}

/// An entry as clients know it.
#[derive(Serialize)]
struct Entry<'a> {
    timestamp: f64,
    description: &'a str,
}

/// Entries that come newest first, and go oldest first.
#[derive(Debug, Default)]
struct NewestFirst {
    text: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl NewestFirst {
    fn push(&mut self, timestamp: f64, description: &str) {
        if !self.is_full() {
            let written = serde_json::to_writer(&mut self.text, &Entry { timestamp, description });
            debug_assert!(written.is_ok(), "numbers and text are always JSON");
            self.ends.push(self.text.len());
        }
    }

    /// Whether no room is left for another one.
    const fn is_full(&self) -> bool {
        self.text.len() > BYTES
    }

    fn into_json(self) -> Vec<u8> {
        let Self { text, ends } = self;
        let mut json = Vec::with_capacity(text.len() + ends.len() + 16);
        json.extend_from_slice(b"{\"events\":[");
        for (n, end) in ends.iter().enumerate().rev() {
            let begin = if n == 0 { 0 } else { ends[n - 1] };
            json.extend_from_slice(&text[begin..*end]);
            if n > 0 {
                json.push(b',');
            }
        }
        json.extend_from_slice(b"]}");
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_newest_first_goes_oldest_first() {
        let mut list = NewestFirst::default();
        assert_eq!(NewestFirst::default().into_json(), b"{\"events\":[]}");
        list.push(seconds(Timestamp::from_micros(1_700_000_000_123_456)), "\"b\"");
        list.push(seconds(Timestamp::from_millis(1_700_000_000_000)), "a");
        let json = br#"{"events":[{"timestamp":1700000000.0,"description":"a"},{"timestamp":1700000000.123456,"description":"\"b\""}]}"#;
        assert_eq!(String::from_utf8(list.into_json()), String::from_utf8(json.to_vec()));
    }
}
