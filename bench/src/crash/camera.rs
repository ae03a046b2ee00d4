//! A camera that exists here alone: its writer, its spool in memory, and a list of all that it wrote, from which nothing is taken.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use oriel_proto::{
    AgentFrame, CameraId, Epoch, Event, Kind, Seq, Severity, Timestamp,
    codec::{digest, encoded_len},
    event::{Data, LossReason},
    frame::{Acked, Events, Lost, SpoolState},
};
use rand::{RngExt, rngs::SmallRng};
use tokio::{
    sync::Notify,
    time::{Instant, interval_at},
};

use super::{
    compare::{Tally, compare},
    row::{self, Row},
};

/// One event as its writer remembers it.
#[derive(Debug)]
struct Written {
    at: Timestamp,
    description: Box<str>,
}

/// A simulated camera.
#[derive(Debug)]
pub(super) struct Camera {
    /// Its name.
    pub(super) id: CameraId,
    /// The one epoch of its spool.
    pub(super) epoch: Epoch,
    /// Rung whenever something was written.
    bell: Arc<Notify>,
    log: Mutex<Log>,
}

#[derive(Debug)]
struct Log {
    /// Everything that was ever written; the number of an event is its place, from 1.
    written: Vec<Written>,
    /// What the gateway has not acknowledged: the end of what was written.
    spool: VecDeque<Event>,
    /// The highest number that was ever acknowledged.
    acked: Seq,
    /// The highest number that was ever sent.
    sent: Seq,
    /// Events that were sent more than once, each time counted.
    again: u64,
    /// Up to this time everything was said to be written: what comes later is later.
    said: Timestamp,
}

/// How far a camera is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Events that were written.
    pub(super) written: u64,
    /// Those that the gateway has acknowledged.
    pub(super) acked: u64,
    /// Events that had to be sent again.
    pub(super) again: u64,
}

impl Camera {
    /// One that has written nothing yet, and rings `bell` when it has.
    pub(super) fn new(id: CameraId, bell: Arc<Notify>) -> Self {
        let (written, spool, said) = (Vec::new(), VecDeque::new(), Timestamp::MIN);
        let log = Mutex::new(Log { written, spool, acked: 0, sent: 0, again: 0, said });
        Self { id, epoch: Epoch::new(), bell, log }
    }

    /// Writes `rate` events a second for as long as it is polled.
    pub(super) async fn keep_writing(self: Arc<Self>, rate: u32, mut chance: SmallRng) {
        let between = Duration::from_secs(1) / rate;
        // Not all cameras at the same moment.
        let mut next = interval_at(Instant::now() + between.mul_f64(chance.random()), between);
        loop {
            next.tick().await;
            self.write(chance.random());
        }
    }

    /// Writes an event; `mark` is what nobody else could guess.
    fn write(&self, mark: u32) {
        let mut log = self.lock();
        let seq = log.next();
        let last = log.written.last().map_or(Timestamp::MIN, |last| last.at);
        let at = now().max(last).max(log.said.after(Duration::from_micros(1)));
        let description = format!("detected motion at the gate of {}: {seq}, {mark:08x}", self.id).into();
        let written = Written { at, description };
        log.spool.push_back(event(seq, &written));
        log.written.push(written);
        drop(log);
        self.bell.notify_one();
    }

    /// Its spool as it is announced.
    pub(super) fn spool(&self) -> SpoolState {
        let mut log = self.lock();
        SpoolState { epoch: self.epoch, first: log.first(), next: log.next(), as_of: log.as_of() }
    }

    /// What goes up after the event `after`, with events of so many bytes at most, and the last number in it; none when there is
    /// nothing that fits.
    pub(super) fn frame(&self, after: Seq, bytes: usize) -> Option<(AgentFrame, Seq)> {
        let mut log = self.lock();
        let (camera, epoch, first) = (self.id.clone(), self.epoch, after + 1);
        if first < log.first() {
            // The gateway has forgotten what it had acknowledged. An honest agent says so and goes on.
            let (last, why) = (log.first() - 1, LossReason::Dropped);
            let (from, to) = (log.written[place(first)].at, log.written[place(last)].at);
            return Some((AgentFrame::Lost(Lost { camera, epoch, first, last, from, to, why }), last));
        }
        let mut left = bytes;
        let fits = |event: &&Event| {
            let size = encoded_len(*event);
            let fits = size <= left;
            left = left.saturating_sub(size);
            fits
        };
        let behind = place(first) - place(log.first());
        let events: Vec<Event> = log.spool.iter().skip(behind).take_while(fits).cloned().collect();
        if events.is_empty() {
            return None;
        }
        let last = after + events.len() as Seq;
        log.again += (log.sent.min(last) + 1).saturating_sub(first);
        log.sent = log.sent.max(last);
        let (next, as_of) = (log.next(), log.as_of());
        Some((AgentFrame::Events(Events { camera, epoch, first, events, next, as_of }), last))
    }

    /// Everything up to `seq` is safe, the gateway says; what is wrong with that.
    pub(super) fn acknowledge(&self, seq: Seq) -> Option<String> {
        let mut log = self.lock();
        if seq > log.sent {
            return Some(format!("{}: {seq} acknowledged, and only {} sent", self.id, log.sent));
        }
        while log.first() <= seq {
            log.spool.pop_front();
        }
        log.acked = log.acked.max(seq);
        None
    }

    /// The gateway holds this of it; where the upload begins, and what is wrong with that.
    pub(super) fn bound(&self, acked: &[Acked]) -> (Seq, Option<String>) {
        let held = acked.iter().find(|acked| acked.epoch == self.epoch);
        let seq = held.map_or(0, |held| held.seq);
        let before = self.lock().acked;
        if seq < before {
            return (seq, Some(format!("{}: {before} acknowledged, and only {seq} held later", self.id)));
        }
        let wrong = self.acknowledge(seq);
        let hash = held.and_then(|held| held.hash);
        let log = self.lock();
        let own = log.written.get(place(seq)).filter(|_| seq > 0).map(|own| digest(&event(seq, own)));
        let mistaken = hash.is_some() && hash != own;
        (seq, wrong.or_else(|| mistaken.then(|| format!("{}: another event is held as {seq}", self.id))))
    }

    /// How far it is.
    pub(super) fn counts(&self) -> Counts {
        let log = self.lock();
        Counts { written: log.written.len() as u64, acked: log.acked, again: log.again }
    }

    /// Compares what the gateway tells with what was written; and how many it lost of what it had acknowledged.
    pub(super) fn compare(&self, told: &row::Log) -> (Tally, u64) {
        let log = self.lock();
        let rows = (1..).zip(&log.written).map(|(seq, own)| Row::of(self.epoch, seq, event(seq, own)));
        let (rows, acked) = (rows.collect::<Vec<_>>(), log.acked as usize);
        drop(log);
        (compare(&rows, &told.rows), compare(&rows[..acked], &told.rows).lost)
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// The number of the oldest event in the spool; that of the next one when there is none.
    fn first(&self) -> Seq {
        (self.written.len() - self.spool.len()) as Seq + 1
    }

    /// The number of the next event.
    const fn next(&self) -> Seq {
        self.written.len() as Seq + 1
    }

    /// Says up to when everything is written: what comes later will be later.
    fn as_of(&mut self) -> Timestamp {
        let last = self.written.last().map_or(Timestamp::MIN, |last| last.at);
        self.said = self.said.max(now()).max(last);
        self.said
    }
}

/// The event that was written under this number.
fn event(seq: Seq, written: &Written) -> Event {
    let mut data = Data::new();
    data.insert("score".into(), (seq % 100).into());
    Event {
        at: written.at,
        kind: Kind::Motion,
        severity: Severity::Notice,
        description: written.description.to_string(),
        data,
        image_at: None,
        was: None,
    }
}

/// Where the event with this number stands in the list.
const fn place(seq: Seq) -> usize {
    seq.saturating_sub(1) as usize
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A camera that wrote ten events and sent all of them.
    fn camera() -> Camera {
        let camera = Camera::new("porch".parse().unwrap(), Arc::default());
        (0..10).for_each(|n| camera.write(n));
        assert!(matches!(camera.frame(0, 1 << 14), Some((AgentFrame::Events(_), 10))));
        camera
    }

    #[test]
    fn what_was_acknowledged_leaves_the_spool_and_stays_in_the_list() {
        let camera = camera();
        assert_eq!(camera.acknowledge(4), None);
        assert_eq!((camera.spool().first, camera.spool().next), (5, 11));
        assert_eq!((camera.counts().written, camera.counts().acked), (10, 4));
        let (tally, acked) = camera.compare(&row::Log::default());
        assert_eq!((tally.lost, acked), (10, 4));
    }

    #[test]
    fn what_was_not_acknowledged_is_sent_again_and_no_more_than_fits() {
        let camera = camera();
        camera.acknowledge(4);
        let Some((AgentFrame::Events(events), last)) = camera.frame(4, 300) else { panic!() };
        assert_eq!((events.first, events.events.len() as u64 + 4), (5, last));
        assert!(last < 10 && camera.counts().again == last - 4);
        assert!(camera.frame(10, 1 << 14).is_none());
    }

    #[test]
    fn a_gateway_that_forgot_or_invented_something_is_found_out() {
        let camera = camera();
        assert!(camera.acknowledge(11).is_some());
        assert_eq!(camera.acknowledge(6), None);
        let acked = |seq, hash| [Acked { epoch: camera.epoch, seq, hash }];
        assert!(matches!(camera.bound(&acked(3, None)), (3, Some(_))));
        let Some((AgentFrame::Lost(lost), 6)) = camera.frame(3, 1 << 14) else { panic!() };
        assert_eq!((lost.first, lost.last), (4, 6));
        let own = event(7, &camera.lock().written[6]);
        assert_eq!(camera.bound(&acked(7, Some(digest(&own)))), (7, None));
        assert!(camera.bound(&acked(8, Some(digest(&own)))).1.is_some());
    }

    #[test]
    fn nothing_is_written_at_or_before_what_was_said_to_be_complete() {
        let camera = camera();
        let said = camera.spool().as_of;
        camera.write(11);
        assert!(camera.lock().written[10].at > said);
    }
}
