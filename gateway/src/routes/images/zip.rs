//! `GET /v1/cameras/{id}/images.zip`: pictures of a camera as one file, which is written while they come.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use oriel_proto::{
    CameraId, Timestamp,
    call::{ImageMatch, ImagesCall, Order},
    image::ImageInfo,
};
use tokio::time::Instant;
use warp::{
    http::{HeaderValue, header::CONTENT_DISPOSITION},
    reply::Response,
};

use super::{
    App, Inbound, LARGEST, Problem, Viewer,
    answer::{BrokenOff, Roomy, Watched},
    behind, parameters, patience, read,
};
use crate::{
    access::AccessError,
    clock,
    images::{
        Series, Wanted,
        zip::{ENTRIES, Zip, name},
    },
    relay::RelayError,
    routes::chunks::{self, Chunk, Chunks, Place},
    store::Role,
};

/// The parameters of an archive.
const KNOWN: &[&str] =
    &["class", "from", "to", "after", "before", "count", "order", "timeout", "wait_online"];

/// How long one picture may take to come whole.
const GATHER_WITHIN: Duration = Duration::from_secs(60);

/// What is written into an archive about what is missing from it.
const NOTE: &str = "missing.txt";

/// Pictures of a camera as a zip.
#[utoipa::path(get, path = "/v1/cameras/{id}/images.zip", tag = "images", operation_id = "download_images",
    params(("id" = String, Path, description = "The camera", example = "porch"),
        ("class" = Option<String>, Query, description = parameters::CLASS),
        ("from" = Option<String>, Query, description = parameters::FROM),
        ("to" = Option<String>, Query, description = parameters::TO),
        ("after" = Option<String>, Query, description = parameters::AFTER),
        ("before" = Option<String>, Query, description = parameters::BEFORE),
        ("count" = Option<u64>, Query, description = "The most pictures; all by default", minimum = 1, maximum = 100_000),
        ("order" = Option<String>, Query, description = parameters::ORDER),
        ("timeout" = Option<String>, Query, description = "How long each picture may take to begin: 100ms to 60s, 10s by default"),
        ("wait_online" = Option<String>, Query, description = patience::ABOUT_WAIT_ONLINE)),
    responses((status = 200, description = "The pictures, named <camera>-<YYYYMMDDhhmmss.mmm>.jpeg. What could not be had stands in missing.txt, the last entry. An archive that broke off has no end and cannot be opened", body = Vec<u8>, content_type = "application/zip"),
        (status = 501, description = "The camera keeps no pictures", body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 502, description = "The camera answered with a failure", body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The camera did not answer in time", body = crate::problem::ProblemBody, content_type = "application/problem+json")))]
pub async fn download(inbound: Inbound<Viewer>, id: CameraId) -> Result<Response, Problem> {
    let record = inbound.app.cameras.get(&inbound.who, &id)?;
    if !inbound.who.may(Role::Operator, &record) {
        return Err(AccessError::Forbidden { needs: Role::Operator, everywhere: false }.into());
    }
    let query = inbound.query(KNOWN)?;
    let count = query.number("count", 1..=ENTRIES as u64)?;
    let call = read(&inbound.app.cursors, &query, &id, None)?;
    let patience = patience::timeout(&query)?;
    patience::wait(&inbound.app, &inbound.who, &id, patience::wait_online(&query)?).await?;
    let left = count.unwrap_or(ENTRIES as u64);
    let series = Series::of(&record, call.class.clone());
    let mut archive = Archive {
        watched: Watched { app: inbound.app.clone(), viewer: inbound.who.clone(), series: series.clone() },
        app: inbound.app,
        series,
        call,
        timeout: patience,
        left,
        waiting: VecDeque::new(),
        has_more: true,
        // Whoever wants to wait for it at the beginning says so.
        is_away: true,
        zip: Some(Zip::new()),
        missing: Vec::new(),
    };
    // So that a camera that cannot be asked is a failure, and not a broken file.
    archive.look_on().await.map_err(|error| Problem::relay(error, &id))?;
    let file = format!("attachment; filename=\"{id}-images.zip\"");
    let mut response = chunks::response(archive, inbound.who, "application/zip", id);
    if let Ok(file) = HeaderValue::try_from(file) {
        response.headers_mut().insert(CONTENT_DISPOSITION, file);
    }
    Ok(response)
}

/// An archive on its way.
struct Archive {
    watched: Watched,
    app: App,
    series: Series,
    /// What is still to be listed.
    call: ImagesCall,
    timeout: Duration,
    /// The most pictures that may still be listed.
    left: u64,
    /// Those that are listed and not written.
    waiting: VecDeque<ImageInfo>,
    /// Whether more may be listed.
    has_more: bool,
    /// Whether the camera is not connected, and was waited for already.
    is_away: bool,
    /// None behind its end.
    zip: Option<Zip>,
    /// What could not be had, and why.
    missing: Vec<String>,
}

impl Archive {
    /// Lists the next pictures.
    async fn look_on(&mut self) -> Result<(), RelayError> {
        self.call.count = Some(self.left.min(LARGEST));
        let (images, series, call) = (self.app.images.clone(), self.series.clone(), self.call.clone());
        let timeout = self.timeout;
        let list = self.ask(|| images.list(&series.camera, &call, Instant::now() + timeout)).await?;
        self.left = self.left.saturating_sub(list.images.len() as u64);
        self.has_more = list.more && self.left > 0 && !list.images.is_empty();
        if let Some(last) = list.images.last() {
            match self.call.order {
                Order::Asc => self.call.from = Some(behind(last.at)),
                _ => self.call.to = Some(last.at),
            }
        }
        self.waiting.extend(list.images.iter().cloned());
        Ok(())
    }

    /// Asks, and once more when the camera's connection was lost and has come back in time. Until it has, nothing else waits for it.
    async fn ask<T, F>(&mut self, ask: impl Fn() -> F) -> Result<T, RelayError>
    where
        F: Future<Output = Result<T, RelayError>>,
    {
        let answer = ask().await;
        if !matches!(answer, Err(RelayError::Offline | RelayError::Interrupted)) {
            self.is_away = false;
            return answer;
        }
        if !self.is_away {
            self.is_away = !self.app.images.comes_online(&self.series.camera, self.timeout).await;
            if !self.is_away {
                return ask().await;
            }
        }
        answer
    }

    /// A picture with what stands around it in the archive; none when it cannot be had.
    async fn picture(&mut self, at: Timestamp) -> Result<Option<Roomy>, BrokenOff> {
        let wanted = Wanted { series: self.series.clone(), at, matching: ImageMatch::Exact, max_age: None };
        let (images, key, timeout) = (self.app.images.clone(), self.watched.viewer.key_id(), self.timeout);
        let picture = || async {
            let reading = images.picture(&wanted, Instant::now() + timeout).await?;
            // One that trickles may not hold the room of others for ever.
            images.gather(reading, key, GATHER_WITHIN).await
        };
        let gathered = match self.ask(picture).await {
            Ok(gathered) => gathered,
            Err(error) => {
                let file = name(&self.series.camera, at);
                let why = Problem::relay(error, &self.series.camera);
                self.missing.push(format!("{file}: {}", why.code()));
                return Ok(None);
            }
        };
        let Some(zip) = &mut self.zip else { return Ok(None) };
        let (before, mut entry) = zip.start(&self.series.camera, at)?;
        entry.piece(&gathered.jpeg)?;
        let bytes = [&before[..], &gathered.jpeg, &entry.end()?].concat();
        Ok(Some(Roomy { bytes, _room: gathered.room }))
    }

    /// What stands behind the last picture.
    fn end(&mut self) -> Result<Bytes, BrokenOff> {
        let Some(mut zip) = self.zip.take() else { return Ok(Bytes::new()) };
        let mut end = Vec::new();
        if !self.missing.is_empty() {
            let text = self.missing.join("\n") + "\n";
            end.extend_from_slice(&zip.note(NOTE, clock::now(), text.as_bytes())?);
        }
        end.extend_from_slice(&zip.finish()?);
        Ok(end.into())
    }
}

impl Chunks for Archive {
    type Error = BrokenOff;

    async fn next(&mut self, place: &Place) -> Result<Chunk, BrokenOff> {
        loop {
            self.watched.check()?;
            if let Some(image) = self.waiting.front() {
                let at = image.at;
                let picture = self.picture(at).await?;
                // Only now, because this may be dropped before it is done.
                self.waiting.pop_front();
                match picture {
                    Some(picture) => return Ok(Chunk::More(place.hold(picture))),
                    None => continue,
                }
            }
            if !self.has_more {
                return Ok(Chunk::Last(self.end()?));
            }
            if let Err(error) = self.look_on().await {
                let why = Problem::relay(error, &self.series.camera);
                self.missing.push(format!("the rest of the list: {}", why.code()));
                self.has_more = false;
            }
        }
    }
}
