//! Answers from a camera's pictures: lists, those it keeps, and those that are taken when asked.

use std::time::Duration;

use oriel_proto::{
    Answer, Body, Failure, FailureCode, ImageClass, ImageInfo, Timestamp, Trailer,
    call::{Head, ImageCall, ImageMatch, ImagesCall, Order},
    image::ImageCount,
};
use sha2::{Digest as _, Sha256};

use super::{answer::Room, counts::ImageCounts, outlet::Outlet, pieces::Pieces};
use crate::{
    camera::Camera,
    disk::off_runtime,
    foreign::tame,
    pictures::Picture,
    precedence::Lane,
    ring::{Ring, RingError, Row, Span},
};

/// Rows that are taken from a ring at a time.
const PAGE: usize = 512;

/// How far a picture's time may be ahead of the clock and the picture still be a new one.
const AHEAD: Duration = Duration::from_secs(60);

/// What the names and lengths of a piece take beside its bytes.
const BYTES_HEAD: usize = 16;

/// What a small answer's names, head and trailer take at most beside its picture.
const REPLY_HEAD: usize = 512;

/// Answers with a list, or with counts.
pub(super) async fn list(call: ImagesCall, camera: &Camera, outlet: &mut Outlet) -> Result<(), Failure> {
    let ring = ring(camera, &call.class)?;
    if let Order::Other(word) = &call.order {
        return Err(unsupported(format!("this agent does not know the order {}", tame(word))));
    }
    let rows = Rows { ring, span: Span::new(call.from, call.to, &call.order), left: call.count };
    match call.bucket_ms {
        None => list_rows(rows, &call.class, Pieces::new(outlet)).await,
        Some(bucket_ms) => count_rows(rows, bucket_ms, Pieces::new(outlet)).await,
    }
}

async fn list_rows(
    mut rows: Rows<'_>,
    class: &ImageClass,
    mut list: Pieces<'_, ImageInfo>,
) -> Result<(), Failure> {
    let info = |row: Row| ImageInfo { class: class.clone(), at: row.at(), bytes: row.bytes.into() };
    while let Some(page) = rows.page().await? {
        list.extend(page.into_iter().map(info)).await?;
    }
    list.end(rows.trailer().await?).await
}

async fn count_rows(
    mut rows: Rows<'_>,
    bucket_ms: u64,
    mut list: Pieces<'_, ImageCount>,
) -> Result<(), Failure> {
    let mut counts = ImageCounts::new(bucket_ms);
    while let Some(page) = rows.page().await? {
        list.extend(page.into_iter().filter_map(|row| counts.add(row))).await?;
    }
    list.extend(counts.end()).await?;
    list.end(rows.trailer().await?).await
}

/// What a list is still to be made of.
struct Rows<'a> {
    ring: &'a Ring,
    span: Span,
    /// How many more are wanted; none is all.
    left: Option<u64>,
}

impl Rows<'_> {
    /// The next rows; none when there are no more, or no more are wanted.
    async fn page(&mut self) -> Result<Option<Vec<Row>>, Failure> {
        let most = self.left.map_or(PAGE, |left| usize::try_from(left).unwrap_or(PAGE).min(PAGE));
        let page = self.ring.page(&self.span, most).await.map_err(unreadable)?;
        let Some(last) = page.last() else { return Ok(None) };
        self.span.go_on_behind(*last);
        self.left = self.left.map(|left| left - page.len() as u64);
        Ok(Some(page))
    }

    /// Whether there are more than were wanted.
    async fn trailer(self) -> Result<Trailer, Failure> {
        let more = !self.ring.page(&self.span, 1).await.map_err(unreadable)?.is_empty();
        Ok(Trailer::Images { more })
    }
}

/// Answers with a picture that is kept, or for a newest one that is too old, with one that is taken now.
pub(super) async fn kept(
    call: ImageCall,
    camera: &Camera,
    room: &Room,
    outlet: &mut Outlet,
) -> Result<(), Failure> {
    let ring = ring(camera, &call.class)?;
    if let ImageMatch::Other(word) = &call.matching {
        return Err(unsupported(format!("this agent does not know the match {}", tame(word))));
    }
    let max_age = call.max_age_ms.filter(|_| call.matching == ImageMatch::Latest).map(Duration::from_millis);
    // Files that vanished are found out one by one; the question is then about what is left.
    loop {
        let row = ring.find(&call.matching, call.at).await.map_err(unreadable)?;
        if let Some(max_age) = max_age
            && let Some(why) = too_old(row, max_age, camera.pictures.time())
        {
            if !camera.offers.snapshot {
                return Err(unsupported(format!("{why}, and this camera takes none when asked")));
            }
            return taken(&call.class, camera, room, outlet).await;
        }
        let Some(row) = row else {
            return Err(Failure::new(FailureCode::NotFound, "there is no such picture"));
        };
        let _held = room.picture(camera, row.bytes as usize).await;
        if let Some(jpeg) = ring.read(row).await.map_err(unreadable)? {
            return send(Picture { class: call.class, at: row.at(), jpeg }, camera, outlet).await;
        }
    }
}

/// Why the newest picture is too old, if it is.
fn too_old(newest: Option<Row>, max_age: Duration, now: Timestamp) -> Option<String> {
    let Some(newest) = newest else { return Some("there is no picture yet".into()) };
    if newest.at() > now.after(AHEAD) {
        return Some("the newest picture is from before the clock was set back".into());
    }
    let age = now.since(newest.at());
    (age > max_age).then(|| format!("the newest picture is {} ms old", age.as_millis()))
}

/// Answers with a picture that is taken now.
pub(super) async fn taken(
    class: &ImageClass,
    camera: &Camera,
    room: &Room,
    outlet: &mut Outlet,
) -> Result<(), Failure> {
    ring(camera, class)?;
    if !camera.offers.snapshot {
        return Err(unsupported("this camera takes no pictures when asked"));
    }
    let taken = camera.pictures.take(class).done().await;
    let picture = taken.map_err(|why| Failure::new(FailureCode::SourceFailed, tame(&why)))?;
    let _held = room.picture(camera, picture.jpeg.len()).await;
    send(picture, camera, outlet).await
}

/// Sends one picture as a whole answer: a Reply when it fits, else Parts.
async fn send(picture: Picture, camera: &Camera, outlet: &mut Outlet) -> Result<(), Failure> {
    let (head, jpeg) = (head(&picture, camera).await?, picture.jpeg);
    if jpeg.len() + REPLY_HEAD <= outlet.frame_bytes() {
        camera.pictures.uplink().take(jpeg.len(), Lane::Single).await;
        let body = vec![Body::Head(head), Body::Bytes(jpeg)];
        return match outlet.reply(Answer { body, trailer: Trailer::Nothing {} }).await? {
            Some(_) => Err(Failure::new(FailureCode::Internal, "a small picture does not fit a frame")),
            None => Ok(()),
        };
    }
    outlet.part(Body::Head(head)).await?;
    send_bytes(jpeg, camera, Lane::Single, outlet).await?;
    outlet.done(Trailer::Nothing {}).await
}

/// Sends the bytes of a picture, as fast as its camera's uplink allows.
pub(super) async fn send_bytes(
    mut jpeg: bytes::Bytes,
    camera: &Camera,
    lane: Lane,
    outlet: &mut Outlet,
) -> Result<(), Failure> {
    let uplink = camera.pictures.uplink();
    while !jpeg.is_empty() {
        let piece = jpeg.split_to((outlet.part_bytes() - BYTES_HEAD).min(jpeg.len()));
        if !uplink.is_free() {
            outlet.rest();
        }
        uplink.take(piece.len(), lane).await;
        outlet.part(Body::Bytes(piece)).await?;
    }
    Ok(())
}

/// What is known of a picture before its first byte.
pub(super) async fn head(picture: &Picture, camera: &Camera) -> Result<Head, Failure> {
    let jpeg = picture.jpeg.clone();
    let hash = off_runtime(move || Sha256::digest(&jpeg)).await;
    let hash = hash.ok_or_else(|| Failure::new(FailureCode::Internal, "the agent is stopping"))?;
    let (prev, next) = ring(camera, &picture.class)?.around(picture.at);
    Ok(Head {
        media_type: "image/jpeg".into(),
        length: picture.jpeg.len() as u64,
        at: picture.at,
        etag: hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect(),
        prev,
        next,
    })
}

/// The ring of a class that the camera offers.
pub(super) fn ring<'a>(camera: &'a Camera, class: &ImageClass) -> Result<&'a Ring, Failure> {
    let offered = camera.offers.classes.contains(class);
    let ring = camera.pictures.ring(class).filter(|_| offered);
    ring.ok_or_else(|| unsupported(format!("this camera has no pictures of class {}", tame(class.as_str()))))
}

/// The failure that the camera cannot do what it is asked.
pub(super) fn unsupported(why: impl Into<String>) -> Failure {
    Failure::new(FailureCode::Unsupported, why)
}

/// The failure that a ring could not be read.
fn unreadable(error: RingError) -> Failure {
    tracing::warn!("a picture could not be read: {error}");
    Failure::new(FailureCode::Internal, "the camera's pictures could not be read")
}
