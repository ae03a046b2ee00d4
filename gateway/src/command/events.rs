//! `oriel events`: the log of one or more cameras.

mod merge;

use futures_util::{StreamExt, stream};
use oriel_proto::CameraId;
use serde_json::Value;

use super::{
    Failure,
    failure::say,
    output::{print, print_json},
    table::{Column, print_list},
    text::csv_line,
};
use crate::client::{Client, ClientError, ClientOptions};

/// How many cameras are asked at once.
const AT_ONCE: usize = 16;

const COLUMNS: &[Column] = &[
    ("AT", "/at"),
    ("CAMERA", "/camera"),
    ("KIND", "/kind"),
    ("SEVERITY", "/severity"),
    ("DESCRIPTION", "/description"),
];

const CSV: [&str; 8] = ["id", "camera", "at", "received_at", "kind", "severity", "description", "data"];

/// Options of `oriel events`.
#[derive(Debug, clap::Args)]
pub(crate) struct Events {
    /// The cameras
    #[arg(required = true, value_name = "CAMERA")]
    cameras: Vec<CameraId>,
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
    /// Who answers: what the gateway keeps and the camera for the rest, or one of them alone
    #[arg(long, value_enum, default_value_t = Source::Auto)]
    source: Source,
    /// Newest first or oldest first
    #[arg(long, value_enum, default_value_t = Order::Desc)]
    order: Order,
    /// The most events, of all cameras together
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV
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

/// What one camera answered.
type Answered = (CameraId, Result<Value, ClientError>);

impl Events {
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        let mut seen = std::collections::HashSet::new();
        self.cameras.retain(|camera| seen.insert(camera.clone()));
        let client = Client::new(&self.client)?;
        let query = self.query();
        let ask = |camera: CameraId| {
            let (client, query) = (&client, &query);
            async move {
                let path = ["cameras", camera.as_str(), "events"];
                let answer = client.list(&path, query, "events", self.limit as usize).await;
                (camera, answer)
            }
        };
        let mut answers: Vec<Answered> =
            stream::iter(self.cameras.clone()).map(ask).buffered(AT_ONCE).collect().await;
        if let [(_, answer)] = &mut answers[..] {
            let only = std::mem::replace(answer, Ok(Value::Null))?;
            return self.write(&only);
        }
        self.write_merged(answers)
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let order = match self.order {
            Order::Asc => "asc",
            Order::Desc => "desc",
        };
        let timeout = format!("{}ms", self.client.timeout.as_millis());
        let mut query = vec![("order", order.to_owned()), ("timeout", timeout)];
        if self.source != Source::Auto {
            query.push(("source", self.source.as_str().to_owned()));
        }
        let once = [("from", &self.from), ("to", &self.to), ("q", &self.q)];
        query.extend(once.into_iter().filter_map(|(name, value)| value.clone().map(|value| (name, value))));
        query.extend(self.kind.iter().map(|kind| ("kind", kind.clone())));
        query.extend(self.severity.iter().map(|severity| ("severity", severity.clone())));
        query
    }

    /// Writes what came, names the cameras that failed, and fails when any did.
    fn write_merged(&self, answers: Vec<Answered>) -> Result<(), Failure> {
        let asked = answers.len();
        let mut failed = Vec::new();
        for (camera, answer) in &answers {
            if let Err(error) = answer {
                say(&format!("oriel: {camera}: {error}"));
                failed.push(error.clone());
            }
        }
        if failed.len() < asked {
            self.write(&merge::merged(answers, self.order, self.limit as usize))?;
        }
        if failed.is_empty() { Ok(()) } else { Err(Failure::of_cameras(&failed, asked)) }
    }

    fn write(&self, list: &Value) -> Result<(), Failure> {
        if self.json {
            return print_json(list);
        }
        if self.csv {
            print(&csv(&list["events"]))?;
        } else {
            print_list("events", COLUMNS, &list["events"])?;
        }
        say_missing(list);
        Ok(())
    }
}

/// Says on standard error which stretches of time nothing is known of.
fn say_missing(list: &Value) {
    for stretch in list["coverage"].as_array().into_iter().flatten() {
        let Some(why) = stretch["missing"].as_str() else { continue };
        let text = |name: &str| super::text::local_time(stretch[name].as_str().unwrap_or("?"));
        say(&format!("missing: {} from {} to {}: {why}", text("camera"), text("from"), text("to")));
    }
}

fn csv(events: &Value) -> String {
    let mut text = csv_line(&CSV);
    for event in events.as_array().into_iter().flatten() {
        let cells = CSV.map(|name| match &event[name] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        text.push_str(&csv_line(&cells.each_ref().map(String::as_str)));
    }
    text
}
