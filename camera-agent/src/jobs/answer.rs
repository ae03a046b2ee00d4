//! What each call is answered with.

use oriel_proto::{Answer, Call, Failure, FailureCode, Trailer};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{events, images, live, outlet::Outlet};
use crate::{camera::Camera, pictures::SHARE_KIB};

/// Stretches of logs that the answers of one connection may hold in memory, each of at most 64 KiB: eight of the widest answers,
/// and as many of one epoch as there may be questions.
const STRETCHES: usize = 1_024;

/// Pages that may be in memory, beside those being sent, before they are needed; each of about 64 KiB.
const AHEAD: usize = 64;

/// KiB of pictures that the single answers of one connection may hold in memory: four of the largest.
const PICTURES_KIB: usize = 64 << 10;

const _: () = assert!(SHARE_KIB < PICTURES_KIB);

/// Room for one picture, until it is dropped.
#[derive(Debug)]
pub(super) struct Held<'a> {
    _share: SemaphorePermit<'a>,
    _room: SemaphorePermit<'a>,
}

/// What the answers of one connection may hold in memory together.
#[derive(Debug)]
pub(super) struct Room {
    /// Stretches of logs.
    pub(super) stretches: Semaphore,
    /// Pages of logs that are not needed yet.
    pub(super) ahead: Semaphore,
    pictures: Semaphore,
}

impl Room {
    /// Waits until there is room for a picture of so many bytes, first in its camera's share.
    pub(super) async fn picture<'a>(&'a self, camera: &'a Camera, bytes: usize) -> Option<Held<'a>> {
        let kib = u32::try_from(bytes.div_ceil(1 << 10).min(SHARE_KIB)).ok()?;
        let share = camera.pictures.share().acquire_many(kib).await.ok()?;
        Some(Held { _share: share, _room: self.pictures.acquire_many(kib).await.ok()? })
    }
}

impl Default for Room {
    fn default() -> Self {
        Self {
            stretches: Semaphore::new(STRETCHES),
            ahead: Semaphore::new(AHEAD),
            pictures: Semaphore::new(PICTURES_KIB),
        }
    }
}

/// Answers `call` into `outlet`.
pub(super) async fn answer(
    call: Call,
    camera: &Camera,
    room: &Room,
    outlet: &mut Outlet,
) -> Result<(), Failure> {
    match call {
        Call::Events(call) => events::answer(call, camera, room, outlet).await,
        Call::Images(call) => images::list(call, camera, outlet).await,
        Call::Image(call) => images::kept(call, camera, room, outlet).await,
        Call::Snapshot(call) => images::taken(&call.class, camera, room, outlet).await,
        Call::Live(call) => live::answer(&call, camera, outlet).await,
        Call::Describe {} => describe(camera, outlet).await,
    }
}

async fn describe(camera: &Camera, outlet: &mut Outlet) -> Result<(), Failure> {
    let Some(description) = camera.describe() else {
        return Err(Failure::new(FailureCode::Internal, "the camera's log is being opened"));
    };
    let trailer = Trailer::Description(Box::new(description));
    match outlet.reply(Answer { body: Vec::new(), trailer }).await? {
        Some(_) => Err(Failure::new(FailureCode::Internal, "the description does not fit a frame")),
        None => Ok(()),
    }
}
