//! `oriel keys`: API keys, over HTTP or in the data folder itself.

use std::{path::PathBuf, time::Duration};

use oriel_gateway::{
    access::NewKey,
    config::parse_duration,
    store::{KeyId, Role, Scope},
};
use oriel_proto::CameraId;
use serde_json::{Value, json};

use super::{
    Failure,
    failure::say,
    offline::{Offline, in_future, key_json},
    output::{print_json, print_line, write_secret},
    table::{Column, print_list},
};
use crate::client::{Client, ClientOptions, MOST};

const COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("ROLE", "/role"),
    ("ALL", "/all"),
    ("CAMERAS", "/cameras"),
    ("TAGS", "/tags"),
    ("CREATED", "/created_at"),
    ("EXPIRES", "/expires_at"),
];

/// Commands about API keys.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Keys {
    /// List keys, without their secrets
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Make a key and print its secret, this once
    Add(Add),
    /// Take a key away and cut whoever uses it
    Revoke {
        /// The key's id
        id: KeyId,
        #[command(flatten)]
        place: Place,
    },
}

/// Where the keys are: behind a gateway's API or in its data folder.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// Work on this data folder itself, without a gateway and without a key
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    client: ClientOptions,
}

/// Options of `oriel keys add`.
#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    /// What the key is for [default: its role]
    #[arg(long)]
    name: Option<String>,
    /// What it may do: viewer, operator or admin
    #[arg(long)]
    role: Role,
    /// A camera it may see; may be repeated
    #[arg(long, value_name = "ID")]
    camera: Vec<CameraId>,
    /// A tag whose cameras it may see; may be repeated
    #[arg(long)]
    tag: Vec<String>,
    /// Let it see all cameras; an admin's key without --camera and --tag does
    #[arg(long)]
    all: bool,
    /// How long it is good, such as 30d [default: until revoked]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    expires: Option<Duration>,
    /// Write the secret to this file, which only its owner can read, instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Make none, and succeed, where there is a key already: for what runs at each start
    #[arg(long, requires = "data")]
    if_none: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

impl Keys {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List { json, place } => {
                let list = place.list().await?;
                if json { print_json(&list) } else { print_list("keys", COLUMNS, &list["keys"]) }
            }
            Self::Add(add) => add.run().await,
            Self::Revoke { id, place } => {
                place.revoke(id).await?;
                print_line(&format!("{id} is revoked"))
            }
        }
    }
}

impl Place {
    async fn list(&self) -> Result<Value, Failure> {
        let Some(folder) = &self.data else {
            return Ok(Client::new(&self.client)?.list(&["keys"], &[], "keys", MOST).await?);
        };
        let offline = Offline::open_existing(folder).await?;
        let keys = offline.access.keys().await;
        offline.close().await;
        Ok(json!({"keys": keys?.iter().map(key_json).collect::<Vec<_>>(), "next": null}))
    }

    async fn revoke(&self, id: KeyId) -> Result<(), Failure> {
        let Some(folder) = &self.data else {
            return Ok(Client::new(&self.client)?.delete(&["keys", &id.to_string()]).await?);
        };
        let offline = Offline::open_existing(folder).await?;
        let revoked = offline.access.revoke_key(id).await;
        offline.close().await;
        Ok(revoked?)
    }

    /// Makes a key; the answer is the API's. None where the data folder has a key and that is enough.
    async fn add(&self, key: NewKey, if_none: bool) -> Result<Option<Value>, Failure> {
        let Some(folder) = &self.data else {
            let body = json!({
                "name": key.name, "role": key.role, "cameras": key.scope.cameras, "tags": key.scope.tags,
                "all": key.scope.all, "expires_at": key.expires_at.map(oriel_gateway::clock::format),
            });
            return Ok(Some(Client::new(&self.client)?.post(&["keys"], &body).await?));
        };
        let offline = Offline::open(folder).await?;
        let is_enough = if_none && offline.access.has_any_key();
        let added = if is_enough { None } else { Some(offline.access.add_key(key).await) };
        offline.close().await;
        let added = added.transpose()?;
        Ok(added.map(|(key, secret)| json!({"key": key_json(&key), "secret": secret.expose()})))
    }
}

impl Add {
    async fn run(self) -> Result<(), Failure> {
        let Some(mut answer) = self.place.add(self.new_key()?, self.if_none).await? else {
            say("there is a key already: none is made");
            return Ok(());
        };
        let secret = answer["secret"].as_str().unwrap_or_default().to_owned();
        if let Some(path) = &self.out {
            write_secret(path, &secret)?;
            answer["secret"].take();
        }
        if self.json {
            return print_json(&answer);
        }
        let id = answer["key"]["id"].as_str().unwrap_or("?");
        match &self.out {
            Some(path) => say(&format!("key {id} is in {}", path.display())),
            None => {
                say(&format!("key {id}; its secret is shown this once:"));
                print_line(&secret)?;
            }
        }
        Ok(())
    }

    fn new_key(&self) -> Result<NewKey, Failure> {
        let everything = self.camera.is_empty() && self.tag.is_empty();
        if everything && !self.all && self.role != Role::Admin {
            return Err(Failure::usage("say what the key may see: --camera, --tag or --all"));
        }
        let all = self.all || everything;
        let scope = Scope { all, cameras: self.camera.clone(), tags: self.tag.clone() };
        let name = self.name.clone().unwrap_or_else(|| self.role.to_string());
        Ok(NewKey { name, role: self.role, scope, expires_at: self.expires.map(in_future) })
    }
}
