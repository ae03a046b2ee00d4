//! How many events of each kind there were, step by step: as many as a list of the same time has.
//!
//! A list tells by their names which events of a camera are kept already; numbers have no names. So each stretch of time is counted
//! in the way in which nothing can be counted twice, nor be left out because it was uploaded meanwhile:
//!
//! - Up to the horizon of what is kept no camera is asked: there the rows are counted, in short looks at the file.
//! - Behind it events are merged as for a list, of which only the kinds are written. Where events are uploaded that stretch is short.
//! - Where they are not, it is all of the log: such a camera counts for itself. Its numbers are taken if nothing that it wrote is kept of the
//!   time asked for, neither before it answers nor afterwards; else its events are merged.

use std::{collections::BTreeMap, mem, time::Duration};

use oriel_proto::{
    Call, CameraId, Timestamp,
    call::{EventCount, EventsCall},
    limits::SEARCH_ROWS,
};
use tokio::time::Instant;

use super::{
    Coverage, Events, MergedLog, StoredLog, camera::counts, coverage::of_camera, merged::before, text::Text,
};
use crate::{
    relay::{Question, RelayError},
    store::StoreError,
};

/// Rows of what is kept that are counted at one look: some milliseconds.
const ROWS: u64 = 5_000;

/// Events of what is kept that are merged at once.
const PAGE: u64 = 1_000;

/// How far one answer goes: it is sent whole, and somebody waits for it.
#[derive(Clone, Copy, Debug)]
struct Most {
    /// Events, or rows of what is kept, that are looked at.
    events: u64,
    /// Numbers that are told: some megabytes, if each is of another kind.
    numbers: usize,
    /// How long that takes.
    within: Duration,
}

const MOST: Most = Most { events: SEARCH_ROWS, numbers: 64_000, within: Duration::from_secs(60) };

/// Numbers of events by the beginning of their step and by their kind.
pub type Steps = BTreeMap<Timestamp, BTreeMap<String, u64>>;

/// How many events there were.
#[derive(Debug)]
pub struct Timeline {
    /// Of each step that has any.
    pub steps: Steps,
    /// What that says something about, and what it cannot.
    pub coverage: Vec<Coverage>,
}

impl Events {
    /// Counts all that can be told of a camera's log in steps of so many milliseconds since 1970. The camera may take so long for its
    /// first word, and is not asked at all without any patience. `call` asks oldest first, without a limit; the caller's access must
    /// have been checked.
    pub async fn timeline(
        &self,
        camera: &CameraId,
        call: EventsCall,
        step_ms: u64,
        patience: Option<Duration>,
    ) -> Result<Timeline, StoreError> {
        let log = self.stored(camera, call.clone());
        let begin = || Counting::begin(self, log.clone(), step_ms, patience, MOST);
        if patience.is_some() && log.is_on_demand() && !log.has_written().await? {
            let mut counting = begin().await?;
            counting.by_camera(step_ms).await;
            let timeline = counting.finish().await?;
            if !log.has_written().await? {
                return Ok(timeline);
            }
        }
        begin().await?.finish().await
    }

    /// What the camera itself counts; its first word must come by `deadline`. The caller's access must have been checked.
    pub async fn camera_timeline(
        &self,
        camera: &CameraId,
        call: EventsCall,
        step_ms: u64,
        deadline: Instant,
    ) -> Result<Timeline, RelayError> {
        let asked = Call::Events(EventsCall { bucket_ms: Some(step_ms), ..call.clone() });
        let mut question = Question::new(camera.clone(), asked, deadline);
        let (counts, trailer) = counts(&self.relay, &mut question).await?;
        let mut tally = Tally::new(&call, step_ms);
        tally.counts(counts);
        Ok(Timeline { steps: tally.steps, coverage: of_camera(&call, None, &trailer) })
    }
}

/// A log that is being counted.
struct Counting {
    log: MergedLog,
    tally: Tally,
    most: Most,
    begun: Instant,
}

impl Counting {
    async fn begin(
        events: &Events,
        log: StoredLog,
        step_ms: u64,
        patience: Option<Duration>,
        most: Most,
    ) -> Result<Self, StoreError> {
        let tally = Tally::new(log.call(), step_ms);
        let (relay, text) = (events.relay.clone(), Text::of_kinds());
        let mut log = MergedLog::begin(log, relay, patience.unwrap_or_default(), text).await?;
        if patience.is_none() {
            log.without_camera();
        }
        Ok(Self { log, tally, most, begun: Instant::now() })
    }

    /// Lets the camera count what is not here.
    async fn by_camera(&mut self, step_ms: u64) {
        let counts = self.log.ask_counts(step_ms).await;
        self.tally.counts(counts);
    }

    async fn finish(mut self) -> Result<Timeline, StoreError> {
        let finish = match self.count_kept().await? {
            Reached::Horizon => loop {
                let (kinds, finish) = self.log.read(PAGE).await?;
                self.tally.kinds(&kinds);
                match finish {
                    Some(finish) => break finish,
                    None if self.is_enough() => break self.log.give_up(),
                    None => {}
                }
            },
            Reached::Limit => self.log.give_up(),
        };
        Ok(Timeline { steps: self.tally.steps, coverage: finish.coverage })
    }

    /// Counts what is kept, up to where something beside it may have to be told.
    async fn count_kept(&mut self) -> Result<Reached, StoreError> {
        let Some(until) = self.log.kept().whole_until() else { return Ok(Reached::Horizon) };
        loop {
            let tally = mem::take(&mut self.tally);
            let counted = self.log.kept().count(until, ROWS, tally, |tally, at, kind| tally.add(at, kind, 1));
            let counted = counted.await?;
            self.tally = counted.into;
            self.tally.looked_at += counted.rows;
            match counted.last.filter(|_| counted.more) {
                Some(last) => self.log.skip_to(last),
                None => break,
            }
            if self.is_enough() {
                return Ok(Reached::Limit);
            }
        }
        self.log.skip_to(before(until));
        Ok(Reached::Horizon)
    }

    /// Whether no more is to be looked at.
    fn is_enough(&self) -> bool {
        let Tally { looked_at, numbers, .. } = self.tally;
        let Most { events, numbers: most, within } = self.most;
        looked_at >= events || numbers >= most || self.begun.elapsed() >= within
    }
}

/// How far what is kept was counted.
enum Reached {
    /// Up to where something beside it may have to be told.
    Horizon,
    /// As far as an answer goes at most.
    Limit,
}

/// Numbers that grow.
#[derive(Debug, Default)]
struct Tally {
    step_us: i64,
    /// The beginning of the first step, and the end of what is counted.
    range: (Timestamp, Timestamp),
    steps: Steps,
    /// How many numbers there are.
    numbers: usize,
    /// How many events or rows were looked at.
    looked_at: u64,
}

impl Tally {
    fn new(call: &EventsCall, step_ms: u64) -> Self {
        let step_us = i64::try_from(step_ms.max(1)).unwrap_or(i64::MAX).saturating_mul(1_000);
        let mut tally = Self { step_us, ..Self::default() };
        let from = call.from.map_or(Timestamp::MIN, |from| tally.step(from));
        tally.range = (from, call.to.unwrap_or(Timestamp::MAX));
        tally
    }

    /// The beginning of the step in which a time lies, as devices count it too.
    fn step(&self, at: Timestamp) -> Timestamp {
        let micros = at.as_micros();
        Timestamp::from_micros(micros.saturating_sub(micros.rem_euclid(self.step_us)))
    }

    /// Adds so many events; a camera may tell of others than it was asked for, which count for nothing.
    fn add(&mut self, at: Timestamp, kind: &str, count: u64) {
        if at < self.range.0 || at >= self.range.1 {
            return;
        }
        let step = self.step(at);
        let kinds = self.steps.entry(step).or_default();
        match kinds.get_mut(kind) {
            Some(number) => *number = number.saturating_add(count),
            None => {
                kinds.insert(kind.to_owned(), count);
                self.numbers += 1;
            }
        }
    }

    /// Adds events of which the kinds were written.
    fn kinds(&mut self, kinds: &Text) {
        for (place, kind) in (0..).map_while(|n| kinds.get(n)) {
            // It was text before it was written.
            self.add(place.at, &String::from_utf8_lossy(kind), 1);
        }
        self.looked_at += kinds.count() as u64;
    }

    /// Adds what a camera counted.
    fn counts(&mut self, counts: Vec<EventCount>) {
        for EventCount { at, kind, count } in counts {
            self.add(at, kind.as_str(), count);
        }
    }
}

#[cfg(test)]
mod tests;
