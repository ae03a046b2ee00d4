//! `oriel cameras`: list, show, add, change and remove cameras.

use oriel_proto::{AgentId, CameraId};
use serde_json::{Map, Value, json};

use super::{
    Failure,
    output::{print_json, print_line},
    table::{Column, print_facts, print_list},
};
use crate::client::{Client, ClientOptions, MOST};

const COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("STATUS", "/status"),
    ("SINCE", "/since"),
    ("WHY", "/why"),
    ("TAGS", "/tags"),
];

/// Commands about cameras.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Cameras {
    /// List cameras
    List(List),
    /// Show one camera
    Show {
        /// The camera
        id: CameraId,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        client: ClientOptions,
    },
    /// Create a camera ahead of the device that will bring it
    Add(Change),
    /// Change name, tags or device of a camera
    Set(Set),
    /// Remove a camera and everything kept of it
    Remove {
        /// The camera
        id: CameraId,
        #[command(flatten)]
        client: ClientOptions,
    },
}

/// Options of `oriel cameras list`.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Only those whose id or name contains this
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
    /// Only those with this tag
    #[arg(long)]
    tag: Vec<String>,
    /// Only those with this status: online, degraded, offline, never_seen, refused
    #[arg(long)]
    status: Option<String>,
    /// What to order them by
    #[arg(long)]
    sort: Option<String>,
    /// The most to list
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientOptions,
}

/// Options of `oriel cameras add`.
#[derive(Debug, clap::Args)]
pub(crate) struct Change {
    /// The camera: lower-case letters, digits, '-' and '_'
    id: CameraId,
    /// Its name for people
    #[arg(long)]
    name: Option<String>,
    /// A tag of it; may be repeated
    #[arg(long)]
    tag: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientOptions,
}

/// Options of `oriel cameras set`.
#[derive(Debug, clap::Args)]
pub(crate) struct Set {
    #[command(flatten)]
    change: Change,
    /// Take all tags away
    #[arg(long, conflicts_with = "tag")]
    no_tags: bool,
    /// Move it to this device
    #[arg(long, value_name = "ID")]
    agent: Option<AgentId>,
}

impl Cameras {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run().await,
            Self::Show { id, json, client } => {
                let camera = Client::new(&client)?.get(&["cameras", id.as_str()], &[]).await?;
                show(&camera, json)
            }
            Self::Add(add) => {
                let mut body = add.facts();
                body.insert("id".into(), json!(add.id));
                let camera = Client::new(&add.client)?.post(&["cameras"], &body.into()).await?;
                show(&camera, add.json)
            }
            Self::Set(set) => set.run().await,
            Self::Remove { id, client } => {
                Client::new(&client)?.delete(&["cameras", id.as_str()]).await?;
                print_line(&format!("{id} is being removed"))
            }
        }
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let mut query: Vec<(&str, String)> = self.tag.into_iter().map(|tag| ("tag", tag)).collect();
        query.extend(
            [("q", self.q), ("status", self.status), ("sort", self.sort)]
                .into_iter()
                .filter_map(|(name, value)| value.map(|value| (name, value))),
        );
        let limit = self.limit.unwrap_or(MOST);
        let list = Client::new(&self.client)?.list(&["cameras"], &query, "cameras", limit).await?;
        if self.json { print_json(&list) } else { print_list("cameras", COLUMNS, &list["cameras"]) }
    }
}

impl Change {
    /// What is said about the camera beside its id.
    fn facts(&self) -> Map<String, Value> {
        let mut facts = Map::new();
        if let Some(name) = &self.name {
            facts.insert("name".into(), json!(name));
        }
        if !self.tag.is_empty() {
            facts.insert("tags".into(), json!(self.tag));
        }
        facts
    }
}

impl Set {
    async fn run(self) -> Result<(), Failure> {
        let mut facts = self.change.facts();
        if self.no_tags {
            facts.insert("tags".into(), json!([]));
        }
        if let Some(agent) = self.agent {
            facts.insert("agent".into(), json!(agent));
        }
        if facts.is_empty() {
            return Err(Failure::usage("nothing to change: give --name, --tag, --no-tags or --agent"));
        }
        let client = Client::new(&self.change.client)?;
        let camera = client.patch(&["cameras", self.change.id.as_str()], &facts.into()).await?;
        show(&camera, self.change.json)
    }
}

fn show(camera: &Value, json: bool) -> Result<(), Failure> {
    if json { print_json(camera) } else { print_facts(camera) }
}
