//! A camera's log: one page of it, from the camera itself, with what the page covers.

use std::time::Duration;

use oriel_proto::{
    Body, Call, CameraId, Failure, FailureCode, Items, Kind, LoggedEvent, Severity, Timestamp, Trailer,
    call::{EventsCall, EventsTrailer, Order},
    event::{LossReason, Position},
};
use tokio::time::Instant;

use crate::{
    link::Piece,
    relay::{Relay, RelayError},
};

/// Pieces that one page may come in: far more than any honest agent needs for the largest page.
const PIECES: usize = 4_096;

/// Which events are wanted.
#[derive(Clone, Debug)]
pub struct EventsQuery {
    /// The earliest time, included.
    pub from: Option<Timestamp>,
    /// The time before which all lie.
    pub to: Option<Timestamp>,
    /// Behind this place.
    pub after: Option<Position>,
    /// The direction.
    pub order: Order,
    /// The most events of one page.
    pub limit: usize,
    /// Only these kinds; empty means any.
    pub kinds: Vec<Kind>,
    /// Only these severities; empty means any.
    pub severity: Vec<Severity>,
    /// Only descriptions that contain this.
    pub text: Option<String>,
}

/// One page of a log.
#[derive(Debug)]
pub struct Page {
    /// The events in the order asked for.
    pub events: Vec<LoggedEvent>,
    /// Whether more lie in the range.
    pub more: bool,
    /// What the page says something about, and what it cannot.
    pub coverage: Vec<Coverage>,
    /// From the question to the camera's first word.
    pub waited: Duration,
}

/// A stretch of time and what the page knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Where it begins; none means the beginning of the log.
    pub from: Option<Timestamp>,
    /// Where it ends.
    pub to: Timestamp,
    /// Who answered for it, or why nobody can.
    pub by: CoveredBy,
}

/// Who answered for a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoveredBy {
    /// The camera.
    Camera,
    /// Nobody: the camera lost it.
    LostOnCamera,
    /// Nobody: the camera's retention removed it.
    PastRetention,
    /// Nobody: the camera stopped searching before it came there.
    SearchLimit,
}

impl Page {
    /// Whether nothing in the covered range is missing.
    pub fn is_complete(&self) -> bool {
        self.coverage.iter().all(|stretch| stretch.by == CoveredBy::Camera)
    }
}

/// Asks the camera for one page, its first word until `deadline`.
pub async fn page(
    relay: &Relay,
    camera: &CameraId,
    query: &EventsQuery,
    deadline: Instant,
) -> Result<Page, RelayError> {
    let mut answer = relay.ask(camera, Call::Events(question(query)), deadline).await?;
    let mut events = Vec::new();
    for _ in 0..PIECES {
        match answer.next().await.map_err(nothing_sent)? {
            Piece::Body(Body::Items(Items::Events(mut items)))
                if events.len() + items.len() <= query.limit =>
            {
                events.append(&mut items);
            }
            Piece::End(Trailer::Events(trailer)) => {
                let coverage = coverage(query, &events, &trailer);
                return Ok(Page { events, more: trailer.more, coverage, waited: answer.waited });
            }
            _ => break,
        }
    }
    let why = "the camera answered with something other than the events asked for";
    Err(RelayError::Failed(Failure::new(FailureCode::Internal, why)))
}

/// A page is sent when it is whole: whatever a link that ended had said of it, its caller has heard nothing yet.
fn nothing_sent(error: RelayError) -> RelayError {
    match error {
        RelayError::Interrupted => RelayError::Offline,
        other => other,
    }
}

fn question(query: &EventsQuery) -> EventsCall {
    EventsCall {
        from: query.from,
        to: query.to,
        after: query.after,
        limit: Some(query.limit as u64),
        kinds: query.kinds.clone(),
        severity: query.severity.clone(),
        text: query.text.clone(),
        ..EventsCall::all(query.order.clone())
    }
}

/// A page covers the range asked for, up to the camera's clock, and ends at its last row when there is more. When there is
/// more but no row, the camera gave up searching, and nothing is known of the range: it does not say at what time it stopped.
fn coverage(query: &EventsQuery, events: &[LoggedEvent], trailer: &EventsTrailer) -> Vec<Coverage> {
    let mut from = query.from;
    let mut to = query.to.map_or(trailer.as_of, |to| to.min(trailer.as_of));
    let descending = query.order == Order::Desc;
    if let Some(after) = query.after {
        if descending { to = to.min(after.at) } else { from = Some(after.at) }
    }
    if let (true, Some(last)) = (trailer.more, events.last()) {
        if descending { from = Some(last.event.at) } else { to = last.event.at }
    }
    let gave_up = trailer.more && events.is_empty();
    let by = if gave_up { CoveredBy::SearchLimit } else { CoveredBy::Camera };
    let mut stretches = vec![Coverage { from, to, by }];
    stretches.extend(trailer.lost.iter().map(|lost| Coverage {
        from: Some(lost.from),
        to: lost.to,
        by: match lost.why {
            LossReason::PastRetention => CoveredBy::PastRetention,
            _ => CoveredBy::LostOnCamera,
        },
    }));
    stretches
}
