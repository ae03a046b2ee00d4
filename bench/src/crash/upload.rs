//! Which events of an agent's cameras go up next: each camera in its turn, and no more than may be unacknowledged.

use std::sync::Arc;

use oriel_proto::{
    Epoch, Seq,
    codec::encode,
    frame::{Acked, SpoolState},
    limits::Limits,
};

use super::camera::Camera;
use crate::fleet::upload::{Spools, Window};

/// What a frame needs beside its events, in bytes.
const HEAD: usize = 256;

/// The uploads of one connection; cameras are known by their places.
#[derive(Debug)]
pub(super) struct Uploads {
    cameras: Arc<[Arc<Camera>]>,
    /// The last number that was sent or is held, per camera; none until that is bound.
    places: Vec<Option<Seq>>,
    /// Whose turn it is.
    turn: usize,
    window: Window,
}

impl Uploads {
    /// None yet.
    pub(super) fn new(cameras: Arc<[Arc<Camera>]>, limits: Limits) -> Self {
        Self { places: vec![None; cameras.len()], cameras, turn: 0, window: Window::new(limits) }
    }
}

impl Spools for Uploads {
    fn spool(&self, camera: usize) -> SpoolState {
        self.cameras[camera].spool()
    }

    fn bound(&mut self, camera: usize, held: &[Acked]) -> Option<String> {
        let (held, wrong) = self.cameras[camera].bound(held);
        self.places[camera] = Some(held);
        wrong
    }

    fn acked(&mut self, camera: usize, epoch: Epoch, seq: Seq) -> Option<String> {
        let own = &self.cameras[camera];
        if own.epoch != epoch {
            return Some(format!("{}: acknowledged in an epoch that it has not", own.id));
        }
        self.window.acked(camera, seq);
        own.acknowledge(seq)
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        let room = self.window.room().checked_sub(HEAD)?;
        for step in 0..self.cameras.len() {
            let turn = (self.turn + step) % self.cameras.len();
            let Some(sent) = self.places[turn] else { continue };
            let Some((frame, last)) = self.cameras[turn].frame(sent, room) else { continue };
            // It fits, so it can be encoded; what could not would never be acknowledged, and that is seen.
            let bytes = encode(&frame).ok()?;
            self.turn = turn + 1;
            self.places[turn] = Some(last);
            self.window.sent(turn, last, bytes.len());
            return Some(bytes);
        }
        None
    }
}
