//! Answers from a camera's log, which is read in pages while they are being sent.

use oriel_proto::{
    Failure, FailureCode, LoggedEvent, Trailer,
    call::{EventCount, EventsCall},
};

use super::{answer::Room, counts::EventCounts, outlet::Outlet, pieces::Pieces};
use crate::{
    camera::Camera,
    spool::{Query, SpoolError},
};

/// Answers a question about events.
pub(super) async fn answer(
    call: EventsCall,
    camera: &Camera,
    room: &Room,
    outlet: &mut Outlet,
) -> Result<(), Failure> {
    let bucket_ms = call.bucket_ms;
    let mut query = camera.spool.query(call).await.map_err(unreadable)?;
    let _held = room.stretches.acquire_many(query.stretches()).await;
    match bucket_ms {
        None => {
            let mut list = Pieces::<LoggedEvent>::new(outlet);
            list_events(&mut query, room, &mut list).await?;
            list.end(trailer(query).await?).await
        }
        Some(bucket_ms) => {
            let mut list = Pieces::<EventCount>::new(outlet);
            count(&mut query, bucket_ms, &mut list).await?;
            list.end(trailer(query).await?).await
        }
    }
}

/// Lists events. The next page is read while the present one is sent, as long as there is room: else an answer that reads on
/// passes over turns, and the disk and the link wait for each other.
async fn list_events(
    query: &mut Query,
    room: &Room,
    list: &mut Pieces<'_, LoggedEvent>,
) -> Result<(), Failure> {
    let (mut page, mut ended) = query.page().await.map_err(unreadable)?;
    while !ended {
        let next = match room.ahead.try_acquire() {
            Ok(_held) => {
                let (sent, next) = tokio::join!(list.extend(page), query.page());
                sent.map(|()| next)?
            }
            Err(_) => {
                list.extend(page).await?;
                query.page().await
            }
        };
        (page, ended) = next.map_err(unreadable)?;
    }
    list.extend(page).await
}

/// Counts instead of listing: one stretch of time is in memory at once.
async fn count(query: &mut Query, bucket_ms: u64, list: &mut Pieces<'_, EventCount>) -> Result<(), Failure> {
    let mut counts = EventCounts::new(bucket_ms);
    loop {
        let (page, ended) = query.page().await.map_err(unreadable)?;
        for event in page {
            list.extend(counts.add(&event.event)).await?;
        }
        if ended {
            return list.extend(counts.take()).await;
        }
    }
}

async fn trailer(query: Query) -> Result<Trailer, Failure> {
    query.trailer().await.map(Trailer::Events).map_err(unreadable)
}

fn unreadable(error: SpoolError) -> Failure {
    tracing::warn!("a log could not be read: {error}");
    Failure::new(FailureCode::Internal, "the camera's log could not be read")
}
