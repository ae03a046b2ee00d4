//! `GET /v1/cameras`: the cameras that the caller may see, filtered, sorted, by pages or as a random sample.

use rand::seq::IndexedRandom;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use warp::reply::Response;

use super::view::Camera;
use crate::{
    access::Viewer,
    cameras::Status,
    problem::Problem,
    routes::{App, inbound::Inbound, page, query::Query, reply},
    store::CameraRecord,
};

/// A page of cameras.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CameraList)]
pub struct List {
    /// The cameras in the order asked for.
    cameras: Vec<Camera>,
    /// Give it as `cursor` for the next page; null on the last one.
    next: Option<String>,
}

/// Which cameras are wanted; what a cursor belongs to.
#[derive(Debug, Serialize)]
struct Question {
    q: Option<String>,
    tags: Vec<String>,
    status: Vec<&'static str>,
    by_name: bool,
}

/// Behind which camera a page begins.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place(String, String);

/// Lists the cameras that the caller may see.
#[utoipa::path(get, path = "/v1/cameras", tag = "cameras", operation_id = "list_cameras",
    params(("q" = Option<String>, Query, description = "Only those whose id or name contains this, whatever the case"),
        ("tag" = Option<Vec<String>>, Query, description = "Only those with one of these tags; repeatable"),
        ("status" = Option<Vec<String>>, Query, description = "Only those that are so: online, degraded, offline, never_seen, refused; repeatable"),
        ("sort" = Option<String>, Query, description = "id (default) or name"),
        ("sample" = Option<u64>, Query, description = "This many of them by chance, instead of pages: neither limit nor cursor goes with it", minimum = 1, maximum = 1000),
        ("limit" = Option<u64>, Query, description = "The most on one page; 100 by default", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before")),
    responses((status = 200, description = "A page of cameras", body = List)))]
pub async fn list(inbound: Inbound<Viewer>) -> Result<Response, Problem> {
    let query = inbound.query(&["q", "tag", "status", "sort", "sample", "limit", "cursor"])?;
    let question = Question::read(&query)?;
    let sample = query.number("sample", 1..=1_000)?;
    let mut records = inbound.app.cameras.visible(&inbound.who);
    records.retain(|record| question.wants(&inbound.app, record));
    let next = if let Some(sample) = sample {
        if query.number("limit", 1..=1_000)?.is_some() || query.one("cursor")?.is_some() {
            return Err(Problem::bad_request(
                "sample: a random sample has no pages: leave limit and cursor out",
            ));
        }
        records = records.sample(&mut rand::rng(), sample as usize).cloned().collect();
        None
    } else {
        page::cut(&inbound.app.cursors, &mut records, &query, &question, |record| question.place(record))?
    };
    let cameras = records.iter().map(|record| Camera::of(&inbound.app, record)).collect();
    reply::json(&List { cameras, next })
}

impl Question {
    fn read(query: &Query) -> Result<Self, Problem> {
        let status = query.all("status").map(|word| {
            let known = Status::WORDS.iter().find(|(known, _)| *known == word).map(|(known, _)| *known);
            known.ok_or_else(|| {
                let words = Status::WORDS.map(|(word, _)| word).join(", ");
                Problem::bad_request(format!("status: {word:?} is none of {words}"))
            })
        });
        let by_name = match query.one("sort")? {
            None | Some("id") => false,
            Some("name") => true,
            Some(other) => {
                return Err(Problem::bad_request(format!("sort: {other:?} is neither id nor name")));
            }
        };
        Ok(Self {
            q: query.one("q")?.map(str::to_lowercase),
            tags: query.all("tag").map(str::to_owned).collect(),
            status: status.collect::<Result<_, _>>()?,
            by_name,
        })
    }

    fn wants(&self, app: &App, record: &CameraRecord) -> bool {
        let contains = |q: &String| record.id.as_str().contains(q) || record.name.to_lowercase().contains(q);
        self.q.as_ref().is_none_or(contains)
            && (self.tags.is_empty() || record.tags.iter().any(|tag| self.tags.contains(tag)))
            && (self.status.is_empty() || self.status.contains(&app.cameras.state(record).status.as_str()))
    }

    fn place(&self, record: &CameraRecord) -> Place {
        let name = if self.by_name { record.name.to_lowercase() } else { String::new() };
        Place(name, record.id.to_string())
    }
}
