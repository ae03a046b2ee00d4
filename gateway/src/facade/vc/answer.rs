//! Answers to questions that come over the link: the list that a camera posts for them, as the events that it is stored as.

use std::{cmp::Reverse, sync::Arc, time::Duration};

use oriel_proto::{
    AgentFrame, Body, Call, Failure, FailureCode, Items, LoggedEvent, RequestId, Seq, Timestamp, Trailer,
    call::{self, EventsCall, EventsTrailer, Order},
    codec::encoded_len,
    encode,
    event::Position,
    frame::{Fail, Request},
    limits::{FIRST_CREDIT, PART_BYTES},
};
use tokio::{
    sync::Semaphore,
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

use super::{Vc, list::Answer};
use crate::{
    link::pair::{Ended, Voice},
    store::Posted,
};

/// Bytes of a Part that are no events.
const AROUND: usize = 64;

/// An answer on its way.
pub(super) struct Answering {
    id: RequestId,
    voice: Voice,
    credit: Arc<Semaphore>,
    /// The number of the next Part.
    n: u32,
}

impl Answering {
    /// The answer to the question `id`, of which nothing is said yet.
    pub(super) fn new(id: RequestId, voice: Voice) -> Self {
        Self { id, voice, credit: Arc::new(Semaphore::new(FIRST_CREDIT as usize)), n: 0 }
    }

    /// What the gateway allows it to send, in bytes.
    pub(super) fn credit(&self) -> Arc<Semaphore> {
        Arc::clone(&self.credit)
    }

    /// Answers. That the link ends meanwhile is nobody's concern any more.
    pub(super) async fn run(mut self, vc: &Vc, request: Request) {
        let said = match ask(vc, request).await {
            Ok((answer, call)) => self.events(answer, call).await,
            Err(failure) => self.say(&AgentFrame::Fail(Fail::of(self.id, failure))).await,
        };
        if said.is_err() {
            tracing::debug!(id = %self.id, "answered nobody");
        }
    }

    async fn events(&mut self, answer: Arc<Answer>, call: EventsCall) -> Result<(), Ended> {
        let Some(kept) = &answer.kept else {
            let failure = Failure::new(FailureCode::Internal, "the camera's list could not be stored");
            return self.say(&AgentFrame::Fail(Fail::of(self.id, failure))).await;
        };
        let (epoch, filter, limit) = (kept.spool.epoch, call.filter(), call.limit.unwrap_or(u64::MAX));
        let chosen = choose(Arc::clone(&answer), call).await;
        let (mut piece, mut bytes, mut given, mut more) = (Vec::new(), AROUND, 0, false);
        for (place, seq, at) in chosen {
            let Some(event) = answer.list.entry(place).map(|entry| entry.event(at)) else { continue };
            if !filter.matches(&event) {
                continue;
            }
            if given == limit {
                more = true;
                break;
            }
            given += 1;
            let logged = LoggedEvent { epoch, seq, event };
            let len = encoded_len(&logged);
            if bytes + len > PART_BYTES {
                self.part(std::mem::take(&mut piece)).await?;
                bytes = AROUND;
            }
            bytes += len;
            piece.push(logged);
        }
        let trailer = EventsTrailer { scanned: Vec::new(), lost: Vec::new(), as_of: kept.spool.as_of, more };
        self.end(piece, Trailer::Events(trailer)).await
    }

    /// Says a piece, once there is credit for it.
    async fn part(&mut self, events: Vec<LoggedEvent>) -> Result<(), Ended> {
        let body = Body::Items(Items::Events(events));
        let Ok(frame) = encode(&AgentFrame::Part { id: self.id, n: self.n, body }) else { return Err(Ended) };
        self.n += 1;
        let cost = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        self.credit.acquire_many(cost).await.map_err(|_| Ended)?.forget();
        self.voice.say(frame).await
    }

    /// Says the last piece and the end, in one frame when nothing was said before.
    async fn end(&mut self, events: Vec<LoggedEvent>, trailer: Trailer) -> Result<(), Ended> {
        let id = self.id;
        if self.n == 0 {
            let body = vec![Body::Items(Items::Events(events))];
            return self.say(&AgentFrame::Reply { id, answer: call::Answer { body, trailer } }).await;
        }
        self.part(events).await?;
        self.say(&AgentFrame::Done { id, trailer }).await
    }

    async fn say(&self, frame: &AgentFrame) -> Result<(), Ended> {
        match encode(frame) {
            Ok(bytes) => self.voice.say(bytes).await,
            Err(error) => {
                tracing::error!(%error, "frame not sent");
                Err(Ended)
            }
        }
    }
}

/// Wakes the camera and waits for the list that it posts then.
async fn ask(vc: &Vc, request: Request) -> Result<(Arc<Answer>, EventsCall), Failure> {
    let deadline = Instant::now() + Duration::from_millis(request.deadline_ms.into());
    let call = match request.call {
        Call::Events(call) if call.bucket_ms.is_none() => call,
        _ => {
            return Err(Failure::new(
                FailureCode::Unsupported,
                "the camera posts a list of events and nothing else",
            ));
        }
    };
    if !vc.is_old(&request.camera) {
        return Err(Failure::new(FailureCode::UnknownCamera, "the camera does not post lists here"));
    }
    let busy = || Failure::new(FailureCode::Busy, "too many wait for this camera");
    let mut asking = vc.roster.camera(&request.camera).ask().ok_or_else(busy)?;
    match timeout_at(deadline, asking.answer()).await {
        Ok(Some(answer)) => Ok((answer, call)),
        Ok(None) => Err(Failure::new(FailureCode::UnknownCamera, "the camera has left")),
        Err(_) => Err(Failure::new(FailureCode::Deadline, "the camera posted no list in time")),
    }
}

/// Which entries of the list lie in the range asked for, in the order asked for: where each stands there, and its number and time.
async fn choose(answer: Arc<Answer>, call: EventsCall) -> Vec<(usize, Seq, Timestamp)> {
    let choose = move || answer.kept.as_ref().map(|kept| chosen(kept, &call)).unwrap_or_default();
    spawn_blocking(choose).await.unwrap_or_default()
}

fn chosen(kept: &Posted, call: &EventsCall) -> Vec<(usize, Seq, Timestamp)> {
    let epoch = kept.spool.epoch;
    let wanted = |(_, seq, at): &(usize, Seq, Timestamp)| {
        let position = Position { at: *at, epoch, seq: *seq };
        let behind = call.after.is_none_or(|after| match call.order {
            Order::Desc => position < after,
            _ => position > after,
        });
        let held = call.have.iter().filter(|have| have.epoch == epoch).flat_map(|have| &have.ranges);
        behind
            && call.from.is_none_or(|from| from <= *at)
            && call.to.is_none_or(|to| *at < to)
            && !held.into_iter().any(|range| range.contains(*seq))
    };
    let places = kept.places.iter().enumerate().map(|(place, (seq, at))| (place, *seq, *at));
    let mut chosen: Vec<_> = places.filter(wanted).collect();
    // Inside an epoch the order of numbers is the order of times.
    match call.order {
        Order::Desc => chosen.sort_unstable_by_key(|(_, seq, _)| Reverse(*seq)),
        _ => chosen.sort_unstable_by_key(|(_, seq, _)| *seq),
    }
    chosen
}

#[cfg(test)]
mod tests {
    use oriel_proto::{Epoch, SeqRange, call::Have, frame::SpoolState};

    use super::*;

    #[test]
    fn entries_are_chosen_by_time_place_and_what_is_held() {
        let at = Timestamp::from_millis;
        let epoch = Epoch::new();
        let spool = SpoolState { epoch, first: 1, next: 5, as_of: at(9) };
        let kept = Posted { places: vec![(2, at(2)), (1, at(1)), (3, at(3)), (4, at(4))], spool, stored: 0 };
        let numbers =
            |call: EventsCall| -> Vec<Seq> { chosen(&kept, &call).iter().map(|(_, seq, _)| *seq).collect() };
        let all = EventsCall::all(Order::Asc);
        assert_eq!(numbers(all.clone()), [1, 2, 3, 4]);
        assert_eq!(numbers(EventsCall::all(Order::Desc)), [4, 3, 2, 1]);
        assert_eq!(numbers(EventsCall { from: Some(at(2)), to: Some(at(4)), ..all.clone() }), [2, 3]);
        let after = Some(Position { at: at(2), epoch, seq: 2 });
        assert_eq!(numbers(EventsCall { after, ..all.clone() }), [3, 4]);
        assert_eq!(numbers(EventsCall { after, ..EventsCall::all(Order::Desc) }), [1]);
        let have = vec![Have { epoch, ranges: vec![SeqRange { first: 1, last: 3 }] }];
        assert_eq!(numbers(EventsCall { have, ..all }), [4]);
    }
}
