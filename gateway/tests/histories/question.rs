//! Questions about a log, and the answers as they come over HTTP.

use oriel_gateway::clock::{self, Rfc3339};
use oriel_proto::{
    EventId, Timestamp,
    call::{EventsCall, Order},
    event::Position,
};
use reqwest::Method;
use serde_json::Value;

use crate::common::{Answer as Http, TestGateway};

/// A question.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) call: EventsCall,
    /// The kind, severity or text that is wanted, as it is asked for.
    filter: &'static str,
}

/// What is asked, and what that means.
type Filter = (&'static str, fn(&mut EventsCall));

const FILTERS: [Filter; 4] = [
    ("", |_| {}),
    ("&kind=motion&kind=reset", |call| call.kinds = vec!["motion".into(), "reset".into()]),
    ("&severity=warning", |call| call.severity = vec!["warning".into()]),
    ("&q=UMBER%201", |call| call.text = Some("number 1".into())),
];

/// An event of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) place: Position,
    pub(crate) description: String,
}

/// A stretch that an answer speaks of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stretch {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// Who answered, or why nobody did.
    pub(crate) by: Result<String, String>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// What the camera wrote of it.
    pub(crate) events: Vec<Told>,
    /// Time and kind of each event, whoever wrote it.
    pub(crate) kinds: Vec<(Timestamp, String)>,
    /// The place of the last event, whoever wrote it.
    pub(crate) last: Option<Position>,
    pub(crate) coverage: Vec<Stretch>,
    pub(crate) complete: bool,
    pub(crate) next: Option<String>,
}

impl Question {
    /// The events of a time, or of all times.
    pub(crate) fn new(range: Option<(Timestamp, Timestamp)>, desc: bool, filter: usize) -> Self {
        let mut call = EventsCall::all(if desc { Order::Desc } else { Order::Asc });
        (call.from, call.to) = range.unzip();
        let (asked, meant) = FILTERS[filter % FILTERS.len()];
        meant(&mut call);
        Self { call, filter: asked }
    }

    pub(crate) fn is_desc(&self) -> bool {
        self.call.order == Order::Desc
    }

    fn path(&self, camera: &str, rest: &str) -> String {
        let time = |name, time: Option<Timestamp>| {
            time.map_or(String::new(), |time| format!("&{name}={}", Rfc3339(time)))
        };
        let (from, to) = (time("from", self.call.from), time("to", self.call.to));
        format!("/v1/cameras/{camera}/{rest}{from}{to}{}", self.filter)
    }

    /// How many there are in each step of so many seconds; what is asked must have a time.
    pub(crate) async fn timeline(&self, gateway: &TestGateway, camera: &str, step_s: u64) -> Timeline {
        let path = self.path(camera, &format!("timeline?step={step_s}s"));
        Timeline::read(&gateway.get(&path).await.expect(200).json())
    }

    /// The path of a list, with what else is asked of it.
    fn list(&self, camera: &str, rest: &str) -> String {
        self.path(camera, &format!("events?order={}{rest}", self.call.order.as_str()))
    }

    /// A page of at most so many events, behind a cursor.
    pub(crate) async fn page(
        &self,
        gateway: &TestGateway,
        camera: &str,
        limit: usize,
        cursor: Option<&str>,
    ) -> Answer {
        let cursor = cursor.map_or(String::new(), |cursor| format!("&cursor={cursor}"));
        let path = self.list(camera, &format!("&limit={limit}{cursor}"));
        let page = gateway.get(&path).await.expect(200).json();
        Answer::read(page["events"].as_array().unwrap(), &page)
    }

    /// All of it, or at most so many events, line by line.
    pub(crate) async fn lines(&self, gateway: &TestGateway, camera: &str, limit: Option<usize>) -> Answer {
        let limit = limit.map_or(String::new(), |limit| format!("&limit={limit}"));
        let request = gateway.request(Method::GET, &self.list(camera, &limit)).bearer_auth(&gateway.admin);
        let answer = Http::of(request.header("accept", "application/x-ndjson")).await.expect(200);
        let mut lines: Vec<Value> =
            answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let last = lines.pop().unwrap();
        Answer::read(&lines, &last["end"])
    }
}

impl Answer {
    fn read(events: &[Value], end: &Value) -> Self {
        let places: Vec<_> = events.iter().map(place).collect();
        let is_gateways = |event: &Value| event["data"]["by"] == "gateway";
        let written = events.iter().zip(&places).filter(|(event, _)| !is_gateways(event));
        let told = written.map(|(event, place)| Told {
            place: *place,
            description: event["description"].as_str().unwrap().to_owned(),
        });
        let kind = |event: &Value| event["kind"].as_str().unwrap().to_owned();
        Self {
            events: told.collect(),
            kinds: places.iter().zip(events).map(|(place, event)| (place.at, kind(event))).collect(),
            last: places.last().copied(),
            coverage: end["coverage"].as_array().unwrap().iter().map(Stretch::read).collect(),
            complete: end["complete"] == true,
            next: end["next"].as_str().map(str::to_owned),
        }
    }
}

/// Numbers of events, step by step.
#[derive(Debug)]
pub(crate) struct Timeline {
    /// The beginning of a step, a kind, and how many there are.
    pub(crate) numbers: Vec<(Timestamp, String, u64)>,
    pub(crate) coverage: Vec<Stretch>,
    pub(crate) complete: bool,
}

impl Timeline {
    fn read(timeline: &Value) -> Self {
        let steps = timeline["steps"].as_array().unwrap().iter();
        let numbers = steps.flat_map(|step| {
            let kinds = step["events"].as_object().unwrap().iter();
            kinds.map(|(kind, number)| (time(&step["at"]), kind.clone(), number.as_u64().unwrap()))
        });
        Self {
            numbers: numbers.collect(),
            coverage: timeline["coverage"].as_array().unwrap().iter().map(Stretch::read).collect(),
            complete: timeline["complete"] == true,
        }
    }
}

impl Stretch {
    fn read(stretch: &Value) -> Self {
        let word = |name: &str| stretch[name].as_str().map(str::to_owned);
        let by = match (word("source"), word("missing")) {
            (Some(source), None) => Ok(source),
            (None, Some(missing)) => Err(missing),
            _ => panic!("neither or both: {stretch}"),
        };
        let from = if stretch["from"].is_null() { Timestamp::MIN } else { time(&stretch["from"]) };
        Self { from, to: time(&stretch["to"]), by }
    }

    /// Whether it is about events that are known to be lost, whoever answered for the time in which they were.
    pub(crate) fn is_loss(&self) -> bool {
        matches!(&self.by, Err(why) if why == "lost_on_camera" || why == "past_retention")
    }
}

fn place(event: &Value) -> Position {
    let id: EventId = event["id"].as_str().unwrap().parse().unwrap();
    Position { at: time(&event["at"]), epoch: id.epoch, seq: id.seq }
}

fn time(text: &Value) -> Timestamp {
    clock::parse(text.as_str().unwrap(), Timestamp::default()).unwrap()
}
