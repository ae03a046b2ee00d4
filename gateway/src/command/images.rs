//! `oriel images`: lists pictures of a camera and brings them here.

mod choose;
mod fetch;
mod get;

pub(super) use get::PROGRESS_WITHIN;
use oriel_proto::CameraId;
use serde_json::Value;

use super::{
    Failure,
    events::Order,
    output::print_json_line,
    progress::Progress,
    table::{Column, Look, print_list_as},
    text::Zone,
};
use crate::client::{Client, ClientOptions};

const COLUMNS: &[Column] = &[("AT", "/at"), ("CLASS", "/class"), ("BYTES", "/bytes")];

/// The most pictures of a list unless `--count` says otherwise.
const COUNT: u32 = 100;

/// Commands about pictures.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Images {
    /// List the pictures that a camera has
    List(List),
    /// Download pictures, as files called CAMERA-YYYYMMDDhhmmss.xxx.jpeg
    Get(get::Get),
}

/// Which series of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Class {
    /// Small and often.
    Preview,
    /// Full size and seldom.
    Main,
}

/// The stretch of time that pictures lie in.
#[derive(Debug, clap::Args)]
pub(crate) struct Span {
    /// The earliest time: 2026-11-22T08:00:00Z, -15m, -2h, -7d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// The time before which the pictures lie, in the same forms
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
}

/// Options of `oriel images list`.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// The camera
    camera: CameraId,
    /// Small ones or full-size ones
    #[arg(long, value_enum, default_value_t = Class::Preview)]
    class: Class,
    #[command(flatten)]
    span: Span,
    /// The pictures nearest before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "to")]
    before: Option<String>,
    /// The pictures nearest after this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "from")]
    after: Option<String>,
    /// The most pictures
    #[arg(long, value_name = "N", default_value_t = COUNT, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: u32,
    /// Newest first or oldest first [default: desc, but asc with --after alone]
    #[arg(long, value_enum)]
    order: Option<Order>,
    /// Show times in UTC, not in the zone of this machine; JSON has them in UTC always
    #[arg(long)]
    utc: bool,
    /// Print JSON, one picture a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientOptions,
}

impl Images {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run().await,
            Self::Get(get) => get.run().await,
        }
    }
}

impl Class {
    /// The class as a parameter of a question.
    pub(super) fn asked(self) -> (&'static str, String) {
        ("class", self.as_str().to_owned())
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Preview => "preview",
            Self::Main => "main",
        }
    }
}

impl Span {
    fn asked(&self) -> impl Iterator<Item = (&'static str, String)> {
        given([("from", &self.from), ("to", &self.to)])
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.client)?;
        let path = ["cameras", self.camera.as_str(), "images"];
        let mut progress = Progress::of("images");
        let tell = |count| progress.tell(count);
        let list = client.list_telling(&path, &self.query(), "images", self.count as usize, tell).await;
        drop(progress);
        self.write(&list?["images"])
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let mut query = vec![self.class.asked(), self.client.patience()];
        query.extend(self.order.map(|order| ("order", order.as_str().to_owned())));
        query.extend(self.span.asked());
        query.extend(given([("before", &self.before), ("after", &self.after)]));
        query
    }

    fn write(&self, images: &Value) -> Result<(), Failure> {
        if self.json {
            return images.as_array().into_iter().flatten().try_for_each(print_json_line);
        }
        let zone = if self.utc { Zone::Utc } else { Zone::Local };
        print_list_as(Look { zone, is_exact: true, paint: None }, "images", COLUMNS, images)
    }
}

fn given<const N: usize>(
    options: [(&'static str, &Option<String>); N],
) -> impl Iterator<Item = (&'static str, String)> {
    options.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)))
}
