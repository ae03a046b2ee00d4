//! `oriel agents`: the devices that speak for cameras, and their tokens.

use oriel_proto::AgentId;
use serde_json::json;

use super::{
    Failure,
    output::{print_json, print_line},
    table::{Column, print_list},
};
use crate::client::{Client, ClientOptions, MOST};

const COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("CONNECTED", "/connected"),
    ("SINCE", "/since"),
    ("VERSION", "/version"),
    ("ADDRESS", "/address"),
    ("CAMERAS", "/cameras"),
    ("WARNING", "/warning"),
];

/// Commands about devices.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Agents {
    /// List devices
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        client: ClientOptions,
    },
    /// Take a device's token away, cut its connection and unbind its cameras
    Revoke {
        /// The device
        id: AgentId,
        #[command(flatten)]
        client: ClientOptions,
    },
    /// Give a device a new token over its connection, now or when it is back
    Rotate {
        /// The device
        id: AgentId,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        client: ClientOptions,
    },
}

impl Agents {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List { json, client } => {
                let list = Client::new(&client)?.list(&["agents"], &[], "agents", MOST).await?;
                if json { print_json(&list) } else { print_list("agents", COLUMNS, &list["agents"]) }
            }
            Self::Revoke { id, client } => {
                Client::new(&client)?.delete(&["agents", &id.to_string()]).await?;
                print_line(&format!("{id} is revoked"))
            }
            Self::Rotate { id, json, client } => {
                let path = ["agents", &id.to_string(), "rotate"];
                let answer = Client::new(&client)?.post(&path, &json!({})).await?;
                if json {
                    return print_json(&answer);
                }
                let when = if answer["agent"]["connected"] == true { "now" } else { "when it connects" };
                print_line(&format!("{id} gets a new token {when}"))
            }
        }
    }
}
