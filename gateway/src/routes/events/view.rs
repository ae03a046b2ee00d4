//! The shapes of a log: pages, events, and what an answer covers.

use std::{borrow::Cow, fmt::Display};

use oriel_proto::{CameraId, EventId, Kind, Severity};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    clock::Rfc3339,
    events::{Coverage, CoveredBy, PAGE_HEAD, Page, is_complete},
};

/// A page of a log, as `list` writes it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventList)]
pub struct List<'a> {
    /// The events in the order asked for.
    pub(super) events: Vec<Event<'a>>,
    /// Give it as `cursor` for the next page; null on the last one.
    pub(super) next: Option<String>,
    /// Where to follow from, so that nothing is missed that is not here yet.
    pub(super) follow: Option<String>,
    /// Whether nothing of the covered time is missing.
    pub(super) complete: bool,
    /// What this page says something about, and what it cannot.
    pub(super) coverage: Vec<Stretch<'a>>,
}

/// An entry of a log; a [`Writer`](crate::events::text::Writer) writes it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event<'a> {
    /// `<epoch>-<seq>`: unlike any other of this camera.
    #[serde(serialize_with = "shown")]
    #[schema(value_type = String, example = "01997a5c-5f60-7000-8000-0123456789ab-42")]
    id: EventId,
    /// Whose log it is.
    #[schema(value_type = String, example = "porch")]
    camera: &'a CameraId,
    /// When it happened, by the camera's clock.
    #[schema(value_type = String, format = DateTime)]
    at: Rfc3339,
    /// What happened.
    #[schema(value_type = String, example = "motion")]
    kind: &'a Kind,
    /// How much it matters.
    #[schema(value_type = String, example = "info")]
    severity: &'a Severity,
    /// One line for people.
    #[schema(example = "detected motion")]
    description: &'a str,
    /// Small facts for programs.
    #[schema(value_type = Object)]
    data: &'a Map<String, Value>,
    /// The time of the picture that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    image_at: Option<Rfc3339>,
    /// When it came here, for an event that is kept here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    received_at: Option<Rfc3339>,
}

/// A stretch of time, and who answered for it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Coverage)]
pub struct Stretch<'a> {
    /// Whose log.
    #[schema(value_type = String, example = "porch")]
    camera: &'a CameraId,
    /// Where it begins; null means the beginning of the log.
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<Rfc3339>,
    /// Where it ends.
    #[schema(value_type = String, format = DateTime)]
    to: Rfc3339,
    /// Who answered for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "camera")]
    source: Option<Cow<'static, str>>,
    /// Why nobody can.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "lost_on_camera")]
    missing: Option<Cow<'static, str>>,
}

/// A page as the JSON of a [`List`], whose events have been written already.
pub(super) fn list(
    camera: &CameraId,
    page: Page,
    next: Option<String>,
    follow: Option<String>,
) -> serde_json::Result<Vec<u8>> {
    let coverage = Stretch::all(camera, &page.coverage);
    end(page.events.into_bytes(), (next, follow), is_complete(&page.coverage), &coverage)
}

/// A page of many cameras, whose events are these.
pub(super) fn list_of_many(
    events: &[u8],
    next: Option<String>,
    follow: Option<String>,
    coverage: &[(CameraId, Vec<Coverage>)],
) -> serde_json::Result<Vec<u8>> {
    let complete = coverage.iter().all(|(_, coverage)| is_complete(coverage));
    let stretches = coverage.iter().flat_map(|(camera, coverage)| Stretch::all(camera, coverage));
    let json = [PAGE_HEAD.as_bytes(), events].concat();
    end(json, (next, follow), complete, &stretches.collect::<Vec<_>>())
}

/// Ends a page behind its events.
fn end(
    mut json: Vec<u8>,
    (next, follow): (Option<String>, Option<String>),
    complete: bool,
    coverage: &[Stretch<'_>],
) -> serde_json::Result<Vec<u8>> {
    json.extend_from_slice(b"],\"next\":");
    serde_json::to_writer(&mut json, &next)?;
    json.extend_from_slice(b",\"follow\":");
    serde_json::to_writer(&mut json, &follow)?;
    json.extend_from_slice(b",\"complete\":");
    serde_json::to_writer(&mut json, &complete)?;
    json.extend_from_slice(b",\"coverage\":");
    serde_json::to_writer(&mut json, coverage)?;
    json.push(b'}');
    Ok(json)
}

fn shown<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

impl<'a> Stretch<'a> {
    pub(super) fn all(camera: &'a CameraId, coverage: &[Coverage]) -> Vec<Self> {
        coverage.iter().map(|stretch| Self::of(camera, stretch)).collect()
    }

    fn of(camera: &'a CameraId, stretch: &Coverage) -> Self {
        let (source, missing) = match words(stretch.by) {
            Ok(source) => (Some(source), None),
            Err(missing) => (None, Some(missing)),
        };
        Self {
            camera,
            from: stretch.from.map(Rfc3339),
            to: Rfc3339(stretch.to),
            source: source.map(Cow::Borrowed),
            missing: missing.map(Cow::Borrowed),
        }
    }
}

/// The word for who answered, or the one for why nobody did.
pub(super) const fn words(by: CoveredBy) -> Result<&'static str, &'static str> {
    match by {
        CoveredBy::Camera => Ok("camera"),
        CoveredBy::Store => Ok("store"),
        CoveredBy::LostOnCamera => Err("lost_on_camera"),
        CoveredBy::PastRetention => Err("past_retention"),
        CoveredBy::SearchLimit => Err("search_limit"),
        CoveredBy::CameraOffline => Err("camera_offline"),
        CoveredBy::CameraTimeout => Err("camera_timeout"),
        CoveredBy::CameraBusy => Err("camera_busy"),
        CoveredBy::CameraUnsupported => Err("camera_unsupported"),
        CoveredBy::CameraFailed => Err("camera_failed"),
        CoveredBy::NotUploaded => Err("not_uploaded"),
    }
}

#[cfg(test)]
mod tests;
