//! Which events go up next, and how many may be on their way: the oldest first, each camera in its turn.

use std::collections::{HashMap, VecDeque};

use oriel_proto::{
    AgentFrame, CameraId, Epoch, Event, Seq,
    codec::encoded_len,
    frame::{Acked, Events, Lost},
    limits::{FRAME_BYTES, Limits},
};

use crate::spool::Next;

/// What an Events frame needs beside its events.
const EVENTS_HEAD: usize = 256;

/// A log to be read for the next frame.
#[derive(Debug)]
pub(super) struct Reading {
    /// Whose.
    pub(super) camera: CameraId,
    /// The last number sent or acknowledged, per epoch.
    pub(super) sent: Vec<(Epoch, Seq)>,
    /// How many bytes there is room for.
    pub(super) bytes: usize,
}

/// A frame on its way.
#[derive(Debug)]
struct Sent {
    camera: CameraId,
    epoch: Epoch,
    last: Seq,
    bytes: usize,
}

/// One camera's place.
#[derive(Debug, Default)]
struct Place {
    /// The last number sent or acknowledged, per epoch.
    sent: HashMap<Epoch, Seq>,
    /// Whether its log may hold more.
    more: bool,
    /// Whether what the gateway holds has still to be compared with the log.
    uncompared: bool,
    /// Whether only what is written from now on goes up, of a log that is otherwise asked for.
    followed: bool,
}

/// The uploads of one connection.
#[derive(Debug)]
pub(super) struct Uploads {
    places: HashMap<CameraId, Place>,
    turns: VecDeque<CameraId>,
    on_the_way: Vec<Sent>,
    unacked: usize,
    frame: usize,
    /// Whether a log is being read for the next frame.
    reading: bool,
    /// Whether the next event does not fit until something is acknowledged.
    blocked: bool,
}

impl Uploads {
    /// None yet.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            places: HashMap::new(),
            turns: VecDeque::new(),
            on_the_way: Vec::new(),
            unacked: limits.unacked as usize,
            frame: (limits.frame as usize).clamp(1_024, FRAME_BYTES),
            reading: false,
            blocked: false,
        }
    }

    /// A camera is bound: what the gateway said it holds is where its upload begins, however much the log remembers.
    pub(super) fn bound(&mut self, camera: &CameraId, acked: &[Acked]) {
        let mut sent: HashMap<_, _> = acked.iter().map(|acked| (acked.epoch, acked.seq)).collect();
        // What is on its way to this gateway is not sent again.
        for frame in self.on_the_way.iter().filter(|frame| frame.camera == *camera) {
            let last: &mut Seq = sent.entry(frame.epoch).or_default();
            *last = frame.last.max(*last);
        }
        // With something to compare, the log is read only after it was compared.
        let place = Place { sent, more: true, uncompared: !acked.is_empty(), followed: false };
        if self.places.insert(camera.clone(), place).is_none() {
            self.turns.push_back(camera.clone());
        }
    }

    /// Somebody follows a camera whose log is otherwise asked for: what is written behind these `ends` goes up.
    pub(super) fn follow(&mut self, camera: &CameraId, ends: impl IntoIterator<Item = (Epoch, Seq)>) {
        if !self.places.contains_key(camera) {
            let sent = ends.into_iter().collect();
            let place = Place { sent, more: true, uncompared: false, followed: true };
            self.places.insert(camera.clone(), place);
            self.turns.push_back(camera.clone());
        }
    }

    /// A camera is refused, or followed no longer.
    pub(super) fn end(&mut self, camera: &CameraId) {
        self.places.remove(camera);
        self.turns.retain(|turn| turn != camera);
        self.on_the_way.retain(|sent| sent.camera != *camera);
        self.blocked = false;
    }

    /// What the gateway holds was compared with the log; frames of epochs that ended by it are waited for no longer.
    pub(super) fn compared(&mut self, camera: &CameraId, is_alive: impl Fn(Epoch) -> bool) {
        self.on_the_way.retain(|sent| sent.camera != *camera || is_alive(sent.epoch));
        self.blocked = false;
        if let Some(place) = self.places.get_mut(camera) {
            (place.more, place.uncompared) = (true, false);
        }
    }

    /// A log may have grown; cameras that are not bound are passed over.
    pub(super) fn grown(&mut self, camera: &CameraId) {
        if let Some(place) = self.places.get_mut(camera) {
            place.more = true;
        }
    }

    /// Everything of `epoch` up to `seq` has arrived.
    pub(super) fn acked(&mut self, camera: &CameraId, epoch: Epoch, seq: Seq) {
        self.on_the_way.retain(|sent| sent.camera != *camera || sent.epoch != epoch || sent.last > seq);
        self.blocked = false;
    }

    /// The next log to read, what has been sent of it, and how many bytes there is room for; none while there is nothing to do.
    pub(super) fn next(&mut self) -> Option<Reading> {
        let room = self.room();
        if self.reading || self.blocked || room <= EVENTS_HEAD {
            return None;
        }
        let has_more = |place: &Place| place.more && !place.uncompared;
        let turn = self.turns.iter().position(|camera| self.places.get(camera).is_some_and(has_more))?;
        let camera = self.turns.remove(turn)?;
        self.turns.push_back(camera.clone());
        let sent = self.places.get(&camera)?.sent.iter().map(|(epoch, seq)| (*epoch, *seq)).collect();
        self.reading = true;
        Some(Reading { camera, sent, bytes: room })
    }

    /// The frame for what was read; none when the camera has no more, or no room is left until something is acknowledged.
    pub(super) fn read(&mut self, camera: &CameraId, next: Option<Next>) -> Option<AgentFrame> {
        self.reading = false;
        let room = self.room();
        let place = self.places.get_mut(camera)?;
        if place.uncompared {
            // It was read before the gateway said what it holds.
            return None;
        }
        let Some(next) = next else {
            place.more = false;
            return None;
        };
        let camera = camera.clone();
        let (frame, epoch, last) = match next {
            Next::Lost(lost) if place.followed => {
                // Whoever asks for the log is told of it.
                place.sent.insert(lost.epoch, lost.last);
                return None;
            }
            Next::Lost(lost) => {
                let (epoch, last) = (lost.epoch, lost.last);
                let (first, from, to, why) = (lost.first, lost.from, lost.to, lost.why);
                (
                    AgentFrame::Lost(Lost { camera: camera.clone(), epoch, first, last, from, to, why }),
                    epoch,
                    last,
                )
            }
            Next::Events { epoch, first, mut events, next, as_of } => {
                let fits = fitting(&events, room.saturating_sub(EVENTS_HEAD));
                if fits == 0 {
                    // Reading the same again would bring the same, until something is acknowledged or written.
                    self.blocked = !self.on_the_way.is_empty();
                    place.more = self.blocked;
                    return None;
                }
                events.truncate(fits);
                let last = first + fits as Seq - 1;
                (
                    AgentFrame::Events(Events { camera: camera.clone(), epoch, first, events, next, as_of }),
                    epoch,
                    last,
                )
            }
        };
        place.sent.insert(epoch, last);
        self.on_the_way.push(Sent { camera, epoch, last, bytes: encoded_len(&frame) });
        Some(frame)
    }

    fn room(&self) -> usize {
        let bytes: usize = self.on_the_way.iter().map(|sent| sent.bytes).sum();
        // A small window still carries one frame.
        if self.on_the_way.is_empty() {
            self.frame
        } else {
            self.unacked.saturating_sub(bytes).min(self.frame)
        }
    }
}

/// How many of `events` fit `bytes`.
fn fitting(events: &[Event], bytes: usize) -> usize {
    let mut left = bytes;
    events
        .iter()
        .take_while(|event| {
            let size = encoded_len(*event);
            let fits = size <= left;
            left = left.saturating_sub(size);
            fits
        })
        .count()
}

#[cfg(test)]
mod tests {
    use oriel_proto::{Kind, Severity, Timestamp};

    use super::*;

    fn event() -> Event {
        let (kind, severity) = (Kind::Motion, Severity::Info);
        let (at, description) = (Timestamp::default(), "x".repeat(600));
        let data = oriel_proto::event::Data::new();
        Event { at, kind, severity, description, data, image_at: None, was: None }
    }

    fn events(epoch: Epoch, first: Seq) -> Option<Next> {
        let (events, as_of) = (vec![event(); 8], Timestamp::default());
        Some(Next::Events { epoch, first, events, next: 1_000, as_of })
    }

    fn porch() -> CameraId {
        "porch".parse().unwrap()
    }

    fn uploads() -> (Uploads, Epoch) {
        let mut uploads = Uploads::new(Limits { unacked: 6_500, ..Limits::default() });
        uploads.bound(&porch(), &[]);
        (uploads, Epoch::new())
    }

    #[test]
    fn a_window_that_is_nearly_full_is_not_read_for_again_and_again() {
        let (mut uploads, epoch) = uploads();
        let mut next = 1;
        for _ in 0..10 {
            let Some(reading) = uploads.next() else { break };
            if let Some(AgentFrame::Events(sent)) = uploads.read(&reading.camera, events(epoch, next)) {
                next = sent.first + sent.events.len() as Seq;
            }
        }
        assert!(uploads.next().is_none());
        let on_the_way: usize = uploads.on_the_way.iter().map(|sent| sent.bytes).sum();
        assert!(next > 8 && on_the_way <= 6_500, "{next} {on_the_way}");
        uploads.acked(&porch(), epoch, next - 1);
        assert!(uploads.next().is_some());
    }

    #[test]
    fn what_is_on_its_way_is_not_sent_again_when_the_camera_is_bound_again() {
        let (mut uploads, epoch) = uploads();
        uploads.next().unwrap();
        uploads.read(&porch(), events(epoch, 1)).unwrap();
        uploads.bound(&porch(), &[]);
        assert_eq!(uploads.next().unwrap().sent, [(epoch, 8)]);
    }

    #[test]
    fn nothing_goes_up_before_it_was_compared_and_a_dead_epoch_frees_its_room() {
        let (mut uploads, epoch) = uploads();
        uploads.next().unwrap();
        uploads.read(&porch(), events(epoch, 1)).unwrap();
        uploads.bound(&porch(), &[Acked { epoch, seq: 9_000, hash: None }]);
        uploads.grown(&porch());
        assert!(uploads.next().is_none());
        uploads.compared(&porch(), |_| false);
        assert!(uploads.on_the_way.is_empty() && uploads.next().is_some());
    }
}
