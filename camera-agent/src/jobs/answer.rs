//! What each call is answered with; lists are read in pages while they are being sent.

use oriel_proto::{
    Answer, Body, Call, Failure, FailureCode, Items, LoggedEvent, Trailer,
    call::{EventCount, EventsCall},
    codec::encoded_len,
};
use tokio::sync::Semaphore;

use super::{counts::Counts, outlet::Outlet};
use crate::{
    camera::Camera,
    spool::{Query, SpoolError},
};

/// Stretches of logs that the answers of one connection may hold in memory, each of at most 64 KiB: eight of the widest answers,
/// and as many of one epoch as there may be questions.
const STRETCHES: usize = 1_024;

/// Pages that may be in memory, beside those being sent, before they are needed; each of about 64 KiB.
const AHEAD: usize = 64;

/// What the answers of one connection may hold in memory together.
#[derive(Debug)]
pub(super) struct Room {
    stretches: Semaphore,
    ahead: Semaphore,
}

impl Default for Room {
    fn default() -> Self {
        Self { stretches: Semaphore::new(STRETCHES), ahead: Semaphore::new(AHEAD) }
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
        Call::Events(call) => events(call, camera, room, outlet).await,
        Call::Describe {} => describe(camera, outlet).await,
        Call::Images(_) | Call::Image(_) | Call::Snapshot(_) | Call::Live(_) => {
            Err(Failure::new(FailureCode::Unsupported, "this camera gives no pictures"))
        }
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

async fn events(call: EventsCall, camera: &Camera, room: &Room, outlet: &mut Outlet) -> Result<(), Failure> {
    let bucket_ms = call.bucket_ms;
    let mut query = camera.spool.query(call).await.map_err(unreadable)?;
    let _held = room.stretches.acquire_many(query.stretches()).await;
    let mut list = Pieces::new(outlet);
    match bucket_ms {
        None => list_events(&mut query, room, &mut list).await?,
        Some(bucket_ms) => count(&mut query, bucket_ms, &mut list).await?,
    }
    let trailer = Trailer::Events(query.trailer().await.map_err(unreadable)?);
    list.end(trailer, bucket_ms.is_some()).await
}

/// Lists events. The next page is read while the present one is sent, as long as there is room: else an answer that reads on
/// passes over turns, and the disk and the link wait for each other.
async fn list_events(query: &mut Query, room: &Room, list: &mut Pieces<'_>) -> Result<(), Failure> {
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
async fn count(query: &mut Query, bucket_ms: u64, list: &mut Pieces<'_>) -> Result<(), Failure> {
    let mut counts = Counts::new(bucket_ms);
    loop {
        let (page, ended) = query.page().await.map_err(unreadable)?;
        for event in page {
            for full in counts.add(&event.event) {
                list.push(Item::Count(full)).await?;
            }
        }
        if ended {
            break;
        }
    }
    for last in counts.take() {
        list.push(Item::Count(last)).await?;
    }
    Ok(())
}

fn unreadable(error: SpoolError) -> Failure {
    tracing::warn!("a log could not be read: {error}");
    Failure::new(FailureCode::Internal, "the camera's log could not be read")
}

#[derive(Debug)]
enum Item {
    Event(LoggedEvent),
    Count(EventCount),
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Event(event) => encoded_len(event),
            Self::Count(count) => encoded_len(count),
        }
    }
}

/// What a list's names and lengths take beside its items.
const LIST_HEAD: usize = 24;

/// Gathers items into pieces; as long as all fit one frame they are kept for a Reply.
struct Pieces<'a> {
    outlet: &'a mut Outlet,
    items: Vec<(Item, usize)>,
    bytes: usize,
    begun: bool,
}

impl<'a> Pieces<'a> {
    const fn new(outlet: &'a mut Outlet) -> Self {
        Self { outlet, items: Vec::new(), bytes: 0, begun: false }
    }

    async fn extend(&mut self, events: Vec<LoggedEvent>) -> Result<(), Failure> {
        for event in events {
            self.push(Item::Event(event)).await?;
        }
        Ok(())
    }

    async fn push(&mut self, item: Item) -> Result<(), Failure> {
        let bytes = item.bytes();
        let most = if self.begun { self.outlet.part_bytes() - LIST_HEAD } else { self.outlet.frame_bytes() };
        if !self.items.is_empty() && self.bytes + bytes > most {
            self.flush().await?;
        }
        self.bytes += bytes;
        self.items.push((item, bytes));
        Ok(())
    }

    /// Sends what has been gathered, cut into Parts.
    async fn flush(&mut self) -> Result<(), Failure> {
        self.begun = true;
        self.bytes = 0;
        let most = self.outlet.part_bytes() - LIST_HEAD;
        let (mut part, mut size) = (Vec::new(), 0);
        for (item, bytes) in std::mem::take(&mut self.items) {
            if !part.is_empty() && size + bytes > most {
                self.outlet.part(Body::Items(listed(std::mem::take(&mut part)))).await?;
                size = 0;
            }
            size += bytes;
            part.push(item);
        }
        if part.is_empty() {
            return Ok(());
        }
        self.outlet.part(Body::Items(listed(part))).await
    }

    /// Ends the list: one Reply when everything fits, else the rest and Done.
    async fn end(mut self, trailer: Trailer, counted: bool) -> Result<(), Failure> {
        if self.begun {
            self.flush().await?;
            return self.outlet.done(trailer).await;
        }
        let items: Vec<Item> = self.items.drain(..).map(|(item, _)| item).collect();
        let body = match (items.is_empty(), counted) {
            (true, true) => Items::EventCounts(Vec::new()),
            (true, false) => Items::Events(Vec::new()),
            (false, _) => listed(items),
        };
        let Some(answer) = self.outlet.reply(Answer { body: vec![Body::Items(body)], trailer }).await? else {
            return Ok(());
        };
        for body in answer.body {
            self.items.extend(unlisted(body));
        }
        self.flush().await?;
        self.outlet.done(answer.trailer).await
    }
}

/// Items of one sort as a list; the first decides the sort.
fn listed(items: Vec<Item>) -> Items {
    if matches!(items.first(), Some(Item::Count(_))) {
        let counts = items.into_iter().filter_map(|item| match item {
            Item::Count(count) => Some(count),
            Item::Event(_) => None,
        });
        return Items::EventCounts(counts.collect());
    }
    let events = items.into_iter().filter_map(|item| match item {
        Item::Event(event) => Some(event),
        Item::Count(_) => None,
    });
    Items::Events(events.collect())
}

fn unlisted(body: Body) -> Vec<(Item, usize)> {
    let items: Vec<Item> = match body {
        Body::Items(Items::Events(events)) => events.into_iter().map(Item::Event).collect(),
        Body::Items(Items::EventCounts(counts)) => counts.into_iter().map(Item::Count).collect(),
        _ => Vec::new(),
    };
    items
        .into_iter()
        .map(|item| {
            let bytes = item.bytes();
            (item, bytes)
        })
        .collect()
}
