//! The body of a post: read as it comes, against a budget that all of them share, and held until the last who reads it has gone.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::problem::LegacyProblem;

/// The largest list in bytes: some 200,000 entries, a month of one every ten seconds.
pub(super) const MOST: usize = 16 << 20;

/// How long a list may take to come.
const WITHIN: Duration = Duration::from_secs(60);

/// How long nothing may come of it.
const PROGRESS: Duration = Duration::from_secs(9);

/// Bytes that one permit stands for.
const UNIT: usize = 1 << 10;

/// Room for lists that come, are read, or are on their way to clients; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Semaphore>);

impl Room {
    /// Room for so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / UNIT)))
    }

    /// A place in it that takes nothing yet.
    pub(super) fn place(&self) -> Place {
        Place { room: self.clone(), permit: None }
    }

    /// Reads a body.
    pub(super) async fn read<B: Buf>(
        &self,
        body: impl Stream<Item = Result<B, warp::Error>>,
    ) -> Result<Bytes, LegacyProblem> {
        let (mut body, mut bytes, mut place) = (pin!(body), Vec::new(), self.place());
        let end = Instant::now() + WITHIN;
        loop {
            let by = end.min(Instant::now() + PROGRESS);
            let mut chunk = match timeout_at(by, body.next()).await {
                Ok(Some(Ok(chunk))) => chunk,
                Ok(None) => return place.hold(bytes),
                Ok(Some(Err(_))) | Err(_) => return Err(LegacyProblem::BadRequest),
            };
            let len = bytes.len() + chunk.remaining();
            if len > MOST {
                return Err(LegacyProblem::TooLarge);
            }
            place.grow(len)?;
            bytes.extend_from_slice(&chunk.copy_to_bytes(chunk.remaining()));
        }
    }
}

/// A place in a room.
#[derive(Debug)]
pub(super) struct Place {
    room: Room,
    permit: Option<OwnedSemaphorePermit>,
}

impl Place {
    /// Takes room for so many bytes in all. Nobody waits for room, since all who wait might hold what the others need.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), LegacyProblem> {
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more =
            u32::try_from(bytes.div_ceil(UNIT).saturating_sub(held)).map_err(|_| LegacyProblem::Busy)?;
        let more = Arc::clone(&self.room.0).try_acquire_many_owned(more).map_err(|_| LegacyProblem::Busy)?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }

    /// Keeps the place until the last who reads these bytes has gone.
    pub(super) fn hold(mut self, bytes: Vec<u8>) -> Result<Bytes, LegacyProblem> {
        self.grow(bytes.len())?;
        Ok(Bytes::from_owner(Held { bytes, _place: self }))
    }
}

/// Bytes and their place.
struct Held {
    bytes: Vec<u8>,
    _place: Place,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    async fn read(room: &Room, chunks: &[usize]) -> Result<Bytes, LegacyProblem> {
        let chunks: Vec<_> = chunks.iter().map(|bytes| Ok(Bytes::from(vec![0; *bytes]))).collect();
        room.read(stream::iter(chunks)).await
    }

    #[tokio::test]
    async fn room_is_given_back_with_the_last_of_a_body() {
        let room = Room::new(4 << 10);
        let body = read(&room, &[1_000, 1_000, 1]).await.unwrap();
        assert_eq!((body.len(), room.0.available_permits()), (2_001, 2));
        assert_eq!(read(&room, &[2_049]).await, Err(LegacyProblem::Busy));
        assert_eq!(room.place().hold(vec![0; 3_000]), Err(LegacyProblem::Busy));
        let part = body.slice(..1);
        drop(body);
        assert_eq!(room.0.available_permits(), 2);
        drop(part);
        assert_eq!(room.0.available_permits(), 4);
    }

    #[tokio::test]
    async fn a_list_has_at_most_16_mib() {
        let room = Room::new(64 << 20);
        assert_eq!(read(&room, &[8 << 20, 8 << 20]).await.unwrap().len(), 16 << 20);
        assert_eq!(read(&room, &[16 << 20, 1]).await, Err(LegacyProblem::TooLarge));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_of_which_nothing_comes_is_given_up() {
        let (room, start) = (Room::new(1 << 10), Instant::now());
        let read = room.read(stream::pending::<Result<Bytes, warp::Error>>());
        assert_eq!((read.await, start.elapsed()), (Err(LegacyProblem::BadRequest), PROGRESS));
    }
}
