//! Moving pictures: one after the other as they come, always the newest, until nobody watches.

use std::time::Duration;

use oriel_proto::{
    Body, Failure, Timestamp,
    call::{ImageMatch, LiveCall},
};
use tokio::time::{Instant, sleep_until};

use super::{
    images::{head, ring, send_bytes, unsupported},
    outlet::Outlet,
};
use crate::{camera::Camera, pictures::Picture, precedence::Lane, ring::Row};

/// No source gives more pictures a second, whatever is asked for.
const MOST_FPS: f32 = 60.0;

/// Less than one picture an hour is one, as with sources.
const LEAST_FPS: f32 = 1.0 / 3_600.0;

/// How old a kept picture may be to be shown until the first new one comes.
const FIRST_AGE: Duration = Duration::from_secs(60);

/// Answers with pictures until the question is cancelled. While one is being sent others pass by unseen; the next one sent is the
/// newest of that moment.
pub(super) async fn answer(call: &LiveCall, camera: &Camera, outlet: &mut Outlet) -> Result<(), Failure> {
    ring(camera, &call.class)?;
    if !camera.offers.live {
        return Err(unsupported("this camera gives no moving pictures"));
    }
    if call.max_fps.is_nan() || call.max_fps <= 0.0 {
        return Err(unsupported(format!("{} pictures a second: expected more than 0", call.max_fps)));
    }
    let fps = call.max_fps.clamp(LEAST_FPS, MOST_FPS);
    let no_class = || unsupported(format!("this camera has no pictures of class {}", call.class));
    let mut viewer = camera.pictures.watch(&call.class, fps).ok_or_else(no_class)?;
    let distance = Duration::from_secs_f32(1.0 / fps);
    let (mut shown, mut next_at) = (None, Instant::now());
    if let Some(picture) = first(call, camera).await {
        next_at = Instant::now().checked_add(distance).unwrap_or(next_at);
        shown = Some(send(picture, camera, outlet).await?);
    }
    loop {
        viewer.wait().await;
        sleep_until(next_at).await;
        camera.pictures.uplink().take(0, Lane::Live).await;
        outlet.ready().await?;
        let Some(picture) = viewer.newest().filter(|picture| shown != Some(picture.at)) else { continue };
        next_at = Instant::now().checked_add(distance).unwrap_or(next_at);
        shown = Some(send(picture, camera, outlet).await?);
    }
}

/// The newest kept picture, if it is from a moment ago, so that there is something to see at once.
async fn first(call: &LiveCall, camera: &Camera) -> Option<Picture> {
    let ring = camera.pictures.ring(&call.class)?;
    let now = camera.pictures.time();
    let recent = |row: &Row| now.since(row.at()) <= FIRST_AGE && row.at() <= now.after(FIRST_AGE);
    // What cannot be read is told to who asks for it.
    let row = ring.find(&ImageMatch::Latest, Timestamp::MAX).await.ok()?.filter(recent)?;
    let jpeg = ring.read(row).await.ok()??;
    Some(Picture { class: call.class.clone(), at: row.at(), jpeg })
}

/// Sends a picture and gives its time.
async fn send(picture: Picture, camera: &Camera, outlet: &mut Outlet) -> Result<Timestamp, Failure> {
    outlet.part(Body::Head(head(&picture, camera).await?)).await?;
    let at = picture.at;
    send_bytes(picture.jpeg, camera, Lane::Live, outlet).await?;
    Ok(at)
}
