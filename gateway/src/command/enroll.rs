//! `oriel enroll`: a one-time code that lets a device join, over HTTP or in the data folder itself.

use std::{path::PathBuf, time::Duration};

use oriel_gateway::{
    access::{AccessError, NewEnrollment},
    config::parse_duration,
    store::CameraPattern,
};
use oriel_proto::CameraId;
use serde_json::{Value, json};

use super::{
    Failure,
    failure::say,
    offline::{Offline, enrollment_json},
    output::{print_json, print_line, write_secret},
    text::local_time,
};
use crate::client::{Client, ClientOptions};

/// Options of `oriel enroll`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true))]
pub(crate) struct Enroll {
    /// A camera that the device serves; may be repeated
    #[arg(long, value_name = "ID", group = "which")]
    camera: Vec<CameraId>,
    /// Let the device bring new cameras whose ids match, such as 'site7-*'
    #[arg(long, value_name = "PATTERN", group = "which")]
    new_cameras: Option<CameraPattern>,
    /// How long the code is good, 1m to 24h
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = valid_for)]
    expires: Duration,
    /// Write the code to this file, which only its owner can read, instead of printing the command
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Work on this data folder itself, without a gateway and without a key
    #[arg(long, value_name = "DIR", requires = "out")]
    data: Option<PathBuf>,
    /// Make no code, and succeed, where one of the cameras belongs to an agent or to an open code already: for what runs at each start
    #[arg(long, requires = "data")]
    if_needed: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientOptions,
}

impl Enroll {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let made = match &self.data {
            Some(_) => self.offline().await,
            None => self.online().await,
        };
        let mut answer = match made {
            Err(Failure::Access(AccessError::Conflict(why))) if self.if_needed => {
                say(&format!("{why}: no code is made"));
                return Ok(());
            }
            made => made?,
        };
        let code = answer["code"].as_str().unwrap_or_default().to_owned();
        if let Some(path) = &self.out {
            write_secret(path, &code)?;
            for field in ["code", "command"] {
                answer[field].take();
            }
        }
        if self.json {
            return print_json(&answer);
        }
        let until = local_time(answer["enrollment"]["expires_at"].as_str().unwrap_or("?"));
        match &self.out {
            Some(path) => say(&format!("the code is in {}; good once, until {until}", path.display())),
            None => {
                say(&format!("run this on the device; good once, until {until}:"));
                print_line(&super::text::visible(answer["command"].as_str().unwrap_or_default()))?;
            }
        }
        Ok(())
    }

    async fn online(&self) -> Result<Value, Failure> {
        let mut body = json!({"cameras": self.camera, "expires_in_s": self.expires.as_secs()});
        if let Some(pattern) = &self.new_cameras {
            body["new_cameras"] = json!(pattern);
        }
        Ok(Client::new(&self.client)?.post(&["enrollments"], &body).await?)
    }

    async fn offline(&self) -> Result<Value, Failure> {
        let folder = self.data.clone().unwrap_or_default();
        let new = NewEnrollment {
            cameras: self.camera.clone(),
            new_cameras: self.new_cameras.clone(),
            valid_for: self.expires,
        };
        let offline = Offline::open(&folder).await?;
        let made = offline.access.create_enrollment(new).await;
        offline.close().await;
        let (enrollment, code) = made?;
        Ok(json!({"enrollment": enrollment_json(&enrollment), "code": code.expose(), "command": null}))
    }
}

/// How long a code may be good.
fn valid_for(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text)?;
    let allowed = Duration::from_secs(60)..=Duration::from_secs(86_400);
    if allowed.contains(&time) { Ok(time) } else { Err("must be 1m to 24h".into()) }
}
