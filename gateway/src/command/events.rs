//! `oriel events`: the log of one camera, of several, or of all.

mod follow;

use std::{collections::HashSet, env};

use oriel_gateway::{csv, events::table};
use oriel_proto::CameraId;
use serde_json::{Value, json};

use super::{
    Failure,
    failure::say,
    output::{is_terminal, print_bytes, print_json},
    progress::Progress,
    table::{Color, Column, Look, print_list_as, print_row_as},
    text::{Zone, visible},
};
use crate::client::{Client, ClientOptions};

const COLUMNS: &[Column] = &[
    ("AT", "/at"),
    ("CAMERA", "/camera"),
    ("KIND", "/kind"),
    ("SEVERITY", "/severity"),
    ("DESCRIPTION", "/description"),
];

/// The most events of a list unless `--limit` says otherwise.
const LIMIT: u32 = 100;

/// Options of `oriel events`.
#[derive(Debug, clap::Args)]
pub(crate) struct Events {
    /// The cameras [default: all that the key may see]
    #[arg(value_name = "CAMERA")]
    cameras: Vec<CameraId>,
    /// Only cameras with this tag; may be repeated
    #[arg(long)]
    tag: Vec<String>,
    /// The earliest time: 2026-11-22T08:00:00Z, -15m, -2h, -7d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// The time before which the events lie, in the same forms
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// Only this kind, such as motion; may be repeated
    #[arg(long)]
    kind: Vec<String>,
    /// Only this severity; may be repeated
    #[arg(long)]
    severity: Vec<String>,
    /// Only those whose description contains this
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
    /// Who answers: what the gateway keeps and the camera for the rest, or, for one camera, one of them alone
    #[arg(long, value_enum, default_value_t = Source::Auto)]
    source: Source,
    /// Newest first or oldest first
    #[arg(long, value_enum, default_value_t = Order::Desc)]
    order: Order,
    /// The most events, of all cameras together [default: 100, and with --follow no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: Option<u32>,
    /// Go on with events as they come; with --from after those that have come since then
    #[arg(long, short, conflicts_with_all = ["to", "order", "source"])]
    follow: bool,
    /// Show times in UTC, not in the zone of this machine; JSON and CSV have them in UTC always
    #[arg(long)]
    utc: bool,
    /// Where to use colours: auto is on a terminal; nowhere if NO_COLOR is set
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = When::Auto)]
    color: When,
    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV, with a row for each stretch of time that nobody can answer for
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    client: ClientOptions,
}

/// The direction of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Order {
    /// Oldest first.
    Asc,
    /// Newest first.
    Desc,
}

impl Order {
    /// The word of the API for it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Asc => "asc",
            Self::Desc => "desc",
        }
    }
}

/// Where colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum When {
    /// On a terminal.
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Source {
    /// What the gateway keeps, and the camera for what it does not.
    Auto,
    /// What the gateway keeps.
    Store,
    /// The camera itself.
    Camera,
}

impl Source {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Store => "store",
            Self::Camera => "camera",
        }
    }
}

impl Events {
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        let mut seen = HashSet::new();
        self.cameras.retain(|camera| seen.insert(camera.clone()));
        let only = self.only();
        if self.source != Source::Auto && only.is_none() {
            return Err(Failure::usage(
                "--source store and --source camera are about one camera: name one, without --tag",
            ));
        }
        if self.follow {
            return self.follow().await;
        }
        let path = self.path();
        let client = Client::new(&self.client)?;
        let mut progress = Progress::of("events");
        let tell = |count| progress.tell(count);
        let list = client
            .list_telling(&path, &self.query(), "events", self.limit.unwrap_or(LIMIT) as usize, tell)
            .await;
        drop(progress);
        self.write(&list?)
    }

    /// Where the log is, below `/v1`.
    fn path(&self) -> Vec<&str> {
        self.only().map_or(vec!["events"], |camera| vec!["cameras", camera, "events"])
    }

    /// The one camera that is asked, if it is one.
    fn only(&self) -> Option<&str> {
        match &self.cameras[..] {
            [camera] if self.tag.is_empty() => Some(camera.as_str()),
            _ => None,
        }
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let mut query = vec![("order", self.order.as_str().to_owned()), self.client.patience()];
        if self.source != Source::Auto {
            query.push(("source", self.source.as_str().to_owned()));
        }
        query.extend(self.filters());
        query
    }

    /// What a list and following have in common.
    fn filters(&self) -> Vec<(&'static str, String)> {
        let once = [("from", &self.from), ("to", &self.to), ("q", &self.q)].into_iter();
        let mut query: Vec<_> = once.filter_map(|(name, value)| Some((name, value.clone()?))).collect();
        query.extend(self.kind.iter().map(|kind| ("kind", kind.clone())));
        query.extend(self.severity.iter().map(|severity| ("severity", severity.clone())));
        if self.only().is_none() {
            let cameras: Vec<_> = self.cameras.iter().map(CameraId::as_str).collect();
            query.extend(Some(("camera", cameras.join(","))).filter(|_| !cameras.is_empty()));
            query.extend(self.tag.iter().map(|tag| ("tag", tag.clone())));
        }
        query
    }

    fn write(&self, list: &Value) -> Result<(), Failure> {
        if self.json {
            return print_json(list);
        }
        if self.csv {
            print_bytes(&rows(list, self.only().unwrap_or_default()))?;
        } else {
            print_list_as(self.look(), "events", COLUMNS, &list["events"])?;
        }
        self.say_missing(list);
        Ok(())
    }

    fn zone(&self) -> Zone {
        if self.utc { Zone::Utc } else { Zone::Local }
    }

    fn look(&self) -> Look {
        let is_wanted = match self.color {
            When::Auto => is_terminal(),
            When::Always => true,
            When::Never => false,
        };
        let may = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Look { zone: self.zone(), is_exact: false, paint: (is_wanted && may).then_some(paint) }
    }

    /// Says on standard error which stretches of time nothing is known of.
    fn say_missing(&self, list: &Value) {
        for (camera, from, to, why) in missing(list) {
            let show = |time| self.zone().show(time);
            let from = from.map_or("the beginning".into(), show);
            say(&format!("missing: {camera} from {from} to {}: {why}", show(to)));
        }
    }
}

/// The colour of a cell of the list: what went wrong stands out.
fn paint(column: &str, text: &str) -> Option<Color> {
    match (column, text) {
        ("/severity", "error" | "critical") => Some(Color::Red),
        ("/severity", "warning") | ("/kind", "offline") => Some(Color::Yellow),
        ("/kind", "online") => Some(Color::Green),
        ("/kind", _) => Some(Color::Cyan),
        _ => None,
    }
}

/// The stretches of time that nobody answers for: whose, from when, to when, and why.
fn missing(list: &Value) -> impl Iterator<Item = (&str, Option<&str>, &str, &str)> {
    let coverage = list["coverage"].as_array().into_iter().flatten();
    coverage.filter_map(|stretch| {
        let text = |name: &str| stretch[name].as_str();
        Some((text("camera")?, text("from"), text("to")?, text("missing")?))
    })
}

/// The list as the gateway's own CSV; `camera` is the one whose it is.
fn rows(list: &Value, camera: &str) -> Vec<u8> {
    let mut text = Vec::new();
    table::write_head(&mut text);
    for event in list["events"].as_array().into_iter().flatten() {
        write_row(&mut text, event);
    }
    for (camera, from, to, why) in missing(list) {
        table::write_missing(&mut text, camera, from, to, why);
    }
    if let Some(next) = list["next"].as_str() {
        table::write_more(&mut text, camera, next);
    }
    let complete = list["complete"] == true;
    table::write_end(&mut text, complete, &json!({"complete": complete}));
    text
}

/// An event as a row of CSV.
fn write_row(text: &mut Vec<u8>, event: &Value) {
    let cells = table::COLUMNS.map(|name| match &event[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let cells = cells.map(|text| if is_terminal() { visible(&text).into_owned() } else { text });
    csv::line(text, &cells.each_ref().map(String::as_str));
}
