//! A camera whose log is known before it is written: its events follow from a seed and their numbers, and wait in encoded frames.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use oriel_gateway::clock;
use oriel_proto::{
    AgentFrame, CameraId, Epoch, Event, Seq, Timestamp, encode,
    frame::{Events, SpoolState},
};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use crate::{
    failure::Result,
    fleet::{answer, life::CONNECT_WITHIN},
};

/// Events of a full frame: as many as surely fit 16 KiB.
pub(super) const FULL: u64 = 123;

/// Between two events by the camera's clock.
const BETWEEN: Duration = Duration::from_millis(1);

/// What a camera writes.
#[derive(Clone, Debug)]
pub(super) struct Story {
    /// Who it is.
    pub(super) id: CameraId,
    /// The one epoch of its log.
    pub(super) epoch: Epoch,
    /// The time before its first event: later than the gateway's own word that it came, so that the newest event is always its own.
    begin: Timestamp,
    seed: u64,
}

/// A simulated camera.
#[derive(Debug)]
pub(super) struct Camera {
    /// What it writes.
    pub(super) story: Story,
    /// Rung whenever there is more to send.
    bell: Arc<Notify>,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    /// What was written and not sent.
    ready: VecDeque<Ready>,
    counts: Counts,
    /// Who waits for the next event to be sent.
    mark: Option<oneshot::Sender<Handed>>,
}

/// A frame to be sent.
#[derive(Debug)]
struct Ready {
    bytes: Vec<u8>,
    last: Seq,
}

/// How far a camera is, or several are together: numbers of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Written.
    pub(super) written: u64,
    /// Given to the socket.
    pub(super) sent: u64,
    /// Acknowledged.
    pub(super) acked: u64,
}

/// An event that was given to the socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handed {
    /// Its number.
    pub(super) seq: Seq,
    /// When that was.
    pub(super) at: Instant,
}

impl Story {
    /// Another one for each seed.
    pub(super) fn new(id: CameraId, seed: u64) -> Self {
        Self { id, epoch: Epoch::new(), begin: clock::now().after(CONNECT_WITHIN), seed }
    }

    /// The event with this number.
    pub(super) fn event(&self, seq: Seq) -> Event {
        let mark = (self.seed ^ seq).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let text = format!("detected motion at the gate of {}: {seq}, {mark:08x}", self.id);
        let mut event = Event { at: self.at(seq), ..answer::event(seq, &text).event };
        event.data.insert("score".into(), (seq % 100).into());
        event
    }

    /// The frame of so many events from the `first` on.
    fn frame(&self, first: Seq, count: u64) -> Result<Vec<u8>> {
        let next = first + count;
        let events = (first..next).map(|seq| self.event(seq)).collect();
        let (camera, epoch, as_of) = (self.id.clone(), self.epoch, self.at(next - 1));
        Ok(encode(&AgentFrame::Events(Events { camera, epoch, first, events, next, as_of }))?)
    }

    fn at(&self, seq: Seq) -> Timestamp {
        self.begin.after(BETWEEN * u32::try_from(seq).unwrap_or(u32::MAX))
    }
}

impl Camera {
    /// One that has written nothing yet, and rings `bell` when it has.
    pub(super) fn new(story: Story, bell: Arc<Notify>) -> Self {
        Self { story, bell, log: Mutex::default() }
    }

    /// Writes so many events, in full frames, without a word to its agent.
    pub(super) fn prepare(&self, events: u64) -> Result<()> {
        let mut log = self.lock();
        let end = log.counts.written + events;
        while log.counts.written < end {
            let (first, count) = (log.counts.written + 1, FULL.min(end - log.counts.written));
            let (bytes, last) = (self.story.frame(first, count)?, first + count - 1);
            log.ready.push_back(Ready { bytes, last });
            log.counts.written = last;
        }
        Ok(())
    }

    /// Writes one event, and tells its agent.
    pub(super) fn write(&self) -> Result<()> {
        self.prepare(1)?;
        self.ring();
        Ok(())
    }

    /// Tells its agent that there is more to send.
    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Tells when the next event is given to the socket.
    pub(super) fn mark(&self) -> oneshot::Receiver<Handed> {
        let (mark, handed) = oneshot::channel();
        self.lock().mark = Some(mark);
        handed
    }

    /// Its spool as it is announced.
    pub(super) fn spool(&self) -> SpoolState {
        let next = self.counts().written + 1;
        SpoolState { epoch: self.story.epoch, first: 1, next, as_of: clock::now() }
    }

    /// The next frame if it has at most so many bytes, and the last number in it.
    pub(super) fn take(&self, bytes: usize) -> Option<(Vec<u8>, Seq)> {
        let mut log = self.lock();
        let Ready { bytes, last } = log.ready.pop_front_if(|ready| ready.bytes.len() <= bytes)?;
        log.counts.sent = last;
        if let Some(mark) = log.mark.take() {
            // Who waits no longer needs no answer.
            _ = mark.send(Handed { seq: last, at: Instant::now() });
        }
        Some((bytes, last))
    }

    /// Everything up to `seq` is safe, the gateway says; what is wrong with that.
    pub(super) fn acknowledge(&self, seq: Seq) -> Option<String> {
        let mut log = self.lock();
        let counts = &mut log.counts;
        if seq > counts.sent || seq < counts.acked {
            return Some(format!("{}: {seq} acknowledged, after {counts:?}", self.story.id));
        }
        counts.acked = seq;
        None
    }

    /// How far it is.
    pub(super) fn counts(&self) -> Counts {
        self.lock().counts
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Adds all of another.
    pub(super) fn add(&mut self, other: Self) {
        self.written += other.written;
        self.sent += other.sent;
        self.acked += other.acked;
    }
}

#[cfg(test)]
mod tests {
    use oriel_proto::limits::FRAME_BYTES;

    use super::*;

    fn camera() -> Camera {
        Camera::new(Story::new("camera-1000".parse().unwrap(), 7), Arc::default())
    }

    #[test]
    fn a_full_frame_is_nearly_as_large_as_may_be() {
        let story = camera().story;
        let least = story.frame(1, FULL).unwrap().len();
        let most = story.frame(9_999_999_999, FULL).unwrap().len();
        assert!(least > FRAME_BYTES * 9 / 10 && most <= FRAME_BYTES, "{least} to {most}");
    }

    #[test]
    fn events_go_up_in_their_order_as_far_as_there_is_room() {
        let camera = camera();
        camera.prepare(FULL + 1).unwrap();
        assert_eq!(camera.take(1_000), None);
        assert_eq!(camera.take(FRAME_BYTES).unwrap().1, FULL);
        assert_eq!(camera.take(1_000).unwrap().1, FULL + 1);
        assert_eq!(camera.counts(), Counts { written: FULL + 1, sent: FULL + 1, acked: 0 });
    }

    #[test]
    fn a_word_that_cannot_be_true_is_found_out() {
        let camera = camera();
        camera.prepare(10).unwrap();
        assert!(camera.acknowledge(10).is_some());
        camera.take(FRAME_BYTES).unwrap();
        assert!(camera.acknowledge(10).is_none() && camera.acknowledge(9).is_some());
    }

    #[test]
    fn who_marks_an_event_hears_when_it_leaves() {
        let camera = camera();
        let mut handed = camera.mark();
        camera.write().unwrap();
        assert!(handed.try_recv().is_err());
        camera.take(FRAME_BYTES).unwrap();
        assert_eq!(handed.try_recv().unwrap().seq, 1);
    }
}
