//! All that can be told of a log: what is kept here, and beside that what the camera itself answers, which is asked only for what
//! is not kept. What neither has is said by the coverage.
//!
//! The camera's answer is taken first, and only then what is kept is read as far as that reaches: what left the camera before it
//! answered had been acknowledged, and so is among what is kept.

use std::{sync::Arc, time::Duration};

use oriel_proto::{
    Call, Epoch, FailureCode, Timestamp,
    call::{EventCount, EventsCall, EventsTrailer, Order},
    event::{LostRange, Position},
};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Page, Timing,
    camera::{Answered, CameraPage, EventStream, counts},
    coverage::{Beyond, CoveredBy, End},
    merge::{Merge, Reached},
    stored::{Finish, StoredLog},
    text::Text,
};
use crate::{
    relay::{Question, Relay, RelayError},
    store::{Read, StoreError},
};

/// The camera's answer and what is kept, as one page; `log` knows how far the log reached before the camera was asked.
pub(super) async fn page(
    log: &StoredLog,
    answer: &CameraPage,
    text: Text,
    timing: Timing,
) -> Result<Page, StoreError> {
    let start = Instant::now();
    let limit = log.call().limit.unwrap_or(u64::MAX);
    let (bound, beyond) = ends(&answer.trailer, answer.events.text.last());
    let merge = Merge::new(text, (answer.events.clone(), 0), log.call().order.clone(), limit, bound);
    let read = log.anew().look(limit, bound, merge, Merge::kept).await?;
    let Read { into: mut merge, last, more, gave_up, .. } = read;
    let reached = merge.end(last, more, gave_up);
    let more = answer.trailer.more || reached != Reached::Bound;
    let last = match reached {
        Reached::SearchLimit(place) => Some(place),
        Reached::Here(place) => place,
        Reached::Bound => merge.last,
    };
    let end = End { at: last.filter(|_| more), gave_up: matches!(reached, Reached::SearchLimit(_)) };
    Ok(Page {
        events: merge.text,
        last,
        more,
        coverage: log.covered(end, &answer.trailer.lost, beyond),
        timing: Timing {
            camera: Some(answer.waited),
            store: timing.store.map(|store| store + start.elapsed()),
        },
    })
}

/// The place before everything of this time.
pub(super) fn before(at: Timestamp) -> Position {
    Position { at, epoch: Epoch::from(Uuid::nil()), seq: 0 }
}

/// How far a list may go that has an answer which ends like this with this event, and what that covers.
fn ends(trailer: &EventsTrailer, last: Option<Position>) -> (Option<Position>, Beyond) {
    match (trailer.more, last) {
        // It gave up searching, and does not say where.
        (true, None) => (None, Beyond::Nobody(CoveredBy::SearchLimit)),
        (true, last) => (last, Beyond::Camera(trailer.as_of)),
        (false, _) => (None, Beyond::Camera(trailer.as_of)),
    }
}

/// All that can be told of a log, on its way.
#[derive(Debug)]
pub struct MergedLog {
    log: StoredLog,
    relay: Relay,
    patience: Duration,
    /// What the camera has yet to be asked for.
    gap: Option<EventsCall>,
    /// Its answer, while it goes on.
    stream: Option<EventStream>,
    /// What is given, without an event.
    text: Text,
    /// What came of it last, and how much of that has been given.
    answered: (Arc<Answered>, usize),
    /// The place of the last event of its answer.
    answered_to: Option<Position>,
    /// How its answer ended.
    trailer: Option<EventsTrailer>,
    beyond: Beyond,
    /// Events given so far.
    count: u64,
    /// The place of the last event given.
    pub last: Option<Position>,
}

impl MergedLog {
    /// All of a log, written like `text`, of which the camera is asked with this much patience for its first word.
    pub(super) async fn begin(
        mut log: StoredLog,
        relay: Relay,
        patience: Duration,
        text: Text,
    ) -> Result<Self, StoreError> {
        log.learn_extent().await?;
        let (gap, beyond) = (log.gap(), log.beyond());
        let answered = (Arc::new(Answered::new(text.clone())), 0);
        let (stream, answered_to, trailer, count, last) = (None, None, None, 0, None);
        Ok(Self {
            log,
            relay,
            patience,
            gap,
            stream,
            text,
            answered,
            answered_to,
            trailer,
            beyond,
            count,
            last,
        })
    }

    /// Gives the next events, at most so many of what is kept; then the end, if there is nothing more to give.
    pub async fn read(&mut self, most: u64) -> Result<(Text, Option<Finish>), StoreError> {
        loop {
            let (events, finish) = self.step(most).await?;
            if finish.is_some() || events.count() > 0 {
                return Ok((events, finish));
            }
        }
    }

    async fn step(&mut self, most: u64) -> Result<(Text, Option<Finish>), StoreError> {
        if self.order() == Order::Desc {
            self.ask().await;
        }
        self.hear().await;
        let left = self.log.call().limit.map_or(u64::MAX, |limit| limit - self.count);
        let bound = self.bound();
        let merge = Merge::new(self.text.clone(), self.answered.clone(), self.order(), left, bound);
        let read = self.log.look(left.min(most), bound, merge, Merge::kept).await?;
        let Read { into: mut merge, last, more, gave_up, .. } = read;
        let reached = merge.end(last, more, gave_up);
        self.answered.1 = merge.taken;
        self.count += left - merge.left;
        self.last = merge.last.or(self.last);
        if let Reached::Here(Some(place)) = reached {
            self.last = Some(place);
        }
        self.log.last = self.last;
        let finish = match reached {
            Reached::SearchLimit(place) => {
                self.hang_up();
                Some(self.finish(Some(place), true))
            }
            _ if merge.left == 0 && (merge.is_cut() || more || self.goes_on()) => {
                self.hear_out().await;
                Some(self.finish(self.last, false))
            }
            Reached::Here(_) => None,
            Reached::Bound if self.gap.is_some() => {
                self.ask().await;
                None
            }
            Reached::Bound if self.stream.is_some() => None,
            Reached::Bound if self.trailer.as_ref().is_some_and(|trailer| trailer.more) => {
                Some(self.finish(self.answered_to, false))
            }
            Reached::Bound => Some(self.finish(None, false)),
        };
        Ok((merge.text, finish))
    }

    fn order(&self) -> Order {
        self.log.call().order.clone()
    }

    /// Whether the camera has or may have more to say than was given.
    fn goes_on(&self) -> bool {
        let (answered, taken) = &self.answered;
        let has_more = self.trailer.as_ref().is_some_and(|trailer| trailer.more);
        self.gap.is_some() || self.stream.is_some() || *taken < answered.text.count() || has_more
    }

    /// The place up to which the list is known.
    fn bound(&self) -> Option<Position> {
        if let Some(gap) = &self.gap {
            return Some(before(gap.from.unwrap_or(Timestamp::MIN)));
        }
        let has_more = self.trailer.as_ref().is_some_and(|trailer| trailer.more);
        self.answered_to.filter(|_| self.stream.is_some() || has_more)
    }

    /// Asks the camera for what it has to be asked for.
    async fn ask(&mut self) {
        let Some(mut gap) = self.gap.take() else { return };
        gap.limit = gap.limit.map(|limit| limit - self.count);
        let deadline = Instant::now() + self.patience;
        let camera = self.log.camera().clone();
        let mut question = Question::new(camera, Call::Events(gap.clone()), deadline);
        match self.relay.ask(&mut question).await {
            Ok(answer) => self.stream = Some(EventStream::new(answer, gap)),
            Err(error) => self.beyond = Beyond::Nobody(CoveredBy::nobody(&error)),
        }
    }

    /// Takes the camera's next events when all before them were given.
    async fn hear(&mut self) {
        while self.answered.1 == self.answered.0.text.count() && self.stream.is_some() {
            let mut events = Answered::new(self.text.clone());
            if let Some(last) = self.answered_to {
                // What has the same time may come only now.
                events.renamed = self.answered.0.renamed_at(last.at);
            }
            self.piece(&mut events).await;
            self.answered_to = events.text.last().or(self.answered_to);
            self.answered = (Arc::new(events), 0);
        }
    }

    /// Hears the rest of an answer of which nothing more is given, for what it says in its end. It has a limit.
    async fn hear_out(&mut self) {
        while self.stream.is_some() {
            self.piece(&mut Answered::new(self.text.clone())).await;
        }
    }

    /// Takes one piece of the camera's answer.
    async fn piece(&mut self, events: &mut Answered) {
        let Some(stream) = &mut self.stream else { return };
        let piece = match stream.next().await {
            Ok(piece) => stream.read(&piece, |event| events.push(event)),
            Err(error) => Err(error),
        };
        match piece {
            Ok(None) => {}
            Ok(Some(trailer)) => {
                self.beyond = ends(&trailer, stream.last).1;
                (self.trailer, self.stream) = (Some(trailer), None);
            }
            Err(error) => self.ended_by(CoveredBy::nobody(&error)),
        }
    }

    /// Hears nothing more of an answer that still goes on.
    fn hang_up(&mut self) {
        if self.stream.is_some() {
            self.ended_by(CoveredBy::SearchLimit);
        }
    }

    /// The camera's answer ended before its end.
    fn ended_by(&mut self, why: CoveredBy) {
        self.stream = None;
        self.beyond = match self.answered_to {
            Some(last) if self.order() != Order::Desc => Beyond::Broken(last.at, why),
            _ => Beyond::Nobody(why),
        };
    }

    /// What is kept of the log.
    pub(super) const fn kept(&self) -> &StoredLog {
        &self.log
    }

    /// Goes on behind this place; what is kept before it has been given otherwise.
    pub(super) fn skip_to(&mut self, place: Position) {
        self.last = Some(place);
        self.log.last = self.last;
    }

    /// Asks no camera.
    pub(super) fn without_camera(&mut self) {
        self.gap = None;
    }

    /// Lets the camera count what it would have to be asked for, of which nothing may be kept; one that does not count can still be
    /// asked for its events.
    pub(super) async fn ask_counts(&mut self, bucket_ms: u64) -> Vec<EventCount> {
        let Some(gap) = self.gap.take() else { return Vec::new() };
        let call = Call::Events(EventsCall { bucket_ms: Some(bucket_ms), ..gap.clone() });
        let deadline = Instant::now() + self.patience;
        let mut question = Question::new(self.log.camera().clone(), call, deadline);
        match counts(&self.relay, &mut question).await {
            Ok((counts, trailer)) => {
                self.beyond = ends(&trailer, None).1;
                self.trailer = Some(trailer);
                return counts;
            }
            Err(RelayError::Failed(failure)) if failure.code == FailureCode::Unsupported => {
                self.gap = Some(gap);
            }
            Err(error) => self.beyond = Beyond::Nobody(CoveredBy::nobody(&error)),
        }
        Vec::new()
    }

    /// Ends behind the last event given.
    pub(super) fn give_up(&mut self) -> Finish {
        self.hang_up();
        let begin = before(self.log.call().from.unwrap_or(Timestamp::MIN));
        self.finish(self.last.or(Some(begin)), true)
    }

    /// The end of a list that goes on behind `at`, if that is somewhere.
    fn finish(&self, at: Option<Position>, gave_up: bool) -> Finish {
        let lost: &[LostRange] = self.trailer.as_ref().map_or(&[], |trailer| &trailer.lost);
        let has_more = self.trailer.as_ref().is_some_and(|trailer| trailer.more);
        Finish {
            more: at.is_some() || has_more,
            coverage: self.log.covered(End { at, gave_up }, lost, self.beyond),
        }
    }
}
