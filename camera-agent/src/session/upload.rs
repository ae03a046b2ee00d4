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
        }
    }

    /// A camera is bound: what the gateway said it holds is where its upload begins, however much the log remembers.
    pub(super) fn bound(&mut self, camera: &CameraId, acked: &[Acked]) {
        let sent = acked.iter().map(|acked| (acked.epoch, acked.seq)).collect();
        // With something to compare, the log is read only after it was compared.
        let more = acked.is_empty();
        if self.places.insert(camera.clone(), Place { sent, more }).is_none() {
            self.turns.push_back(camera.clone());
        }
    }

    /// A camera is refused.
    pub(super) fn refused(&mut self, camera: &CameraId) {
        self.places.remove(camera);
        self.turns.retain(|turn| turn != camera);
        self.on_the_way.retain(|sent| sent.camera != *camera);
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
    }

    /// The next log to read, what has been sent of it, and how many bytes there is room for; none while there is nothing to do.
    pub(super) fn next(&mut self) -> Option<Reading> {
        let room = self.room();
        if self.reading || room == 0 {
            return None;
        }
        let turn =
            self.turns.iter().position(|camera| self.places.get(camera).is_some_and(|place| place.more))?;
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
        let Some(next) = next else {
            place.more = false;
            return None;
        };
        let camera = camera.clone();
        let (frame, epoch, last) = match next {
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
                let fits = fitting(&events, self.frame - EVENTS_HEAD);
                let bytes: usize = events.iter().take(fits).map(encoded_len).sum();
                if fits == 0 || (bytes > room && !self.on_the_way.is_empty()) {
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
