//! `oriel live`: a camera's pictures as they come, each in a file of its own.

use std::path::PathBuf;

use oriel_proto::{CameraId, jpeg};

use super::{
    Failure,
    comeback::Comeback,
    failure::say,
    folder::{Folder, file_name},
    images::Class,
    output::print_line,
    progress::Progress,
    stop,
    text::visible,
};
use crate::client::{Client, ClientOptions, FRAME_WITHIN, Picture, TakenAt};

/// Options of `oriel live`.
#[derive(Debug, clap::Args)]
pub(crate) struct Live {
    /// The camera
    camera: CameraId,
    /// Small pictures or full-size ones
    #[arg(long, value_enum, default_value_t = Class::Preview)]
    class: Class,
    /// The most pictures a second, 0.1 to 30
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = rate)]
    fps: f32,
    /// End after so many pictures
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = "frames")]
    out: PathBuf,
    #[command(flatten)]
    client: ClientOptions,
}

/// What has come so far.
#[derive(Debug)]
struct Seen {
    count: u64,
    /// The time of the last picture.
    last: Option<TakenAt>,
    comeback: Comeback,
}

impl Live {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.client.waiting(FRAME_WITHIN))?;
        let stop = stop::on_signal().map_err(Failure::Runtime)?;
        let mut seen = Seen { count: 0, last: None, comeback: Comeback::new() };
        let ended = stop.run_until_cancelled(self.watch(&client, &mut seen)).await;
        if seen.count > 0 {
            let out = self.out.display().to_string();
            print_line(&format!("{}: {} written to {}", self.camera, seen.count, visible(&out)))?;
        }
        ended.unwrap_or(Ok(()))
    }

    async fn watch(&self, client: &Client, seen: &mut Seen) -> Result<(), Failure> {
        let folder = Folder::make(&self.out).await?;
        loop {
            let ended = self.watch_once(client, &folder, seen).await;
            if seen.comeback.after(ended, client).await? {
                return Ok(());
            }
        }
    }

    /// Watches over one connection; whether there are as many pictures as were asked for.
    async fn watch_once(&self, client: &Client, folder: &Folder, seen: &mut Seen) -> Result<bool, Failure> {
        let mut frames = client.live(&self.camera, &self.query()).await?;
        let mut progress = Progress::of("pictures");
        while let Some(Picture { at, jpeg }) = client.next_frame(&mut frames).await? {
            seen.comeback.heard();
            if let Err(why) = jpeg::check(&jpeg) {
                progress.clear();
                say(&format!("oriel: {} {at}: {why}; left out", self.camera));
                continue;
            }
            // A new connection may begin with the picture that the old one ended with.
            if seen.last.replace(at) == Some(at) {
                continue;
            }
            folder.show(file_name(&self.camera, at), jpeg).await?;
            seen.count += 1;
            progress.tell(seen.count);
            if self.count == Some(seen.count) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        vec![self.class.asked(), self.client.patience(), ("fps", self.fps.to_string())]
    }
}

/// A number of pictures a second.
fn rate(text: &str) -> Result<f32, String> {
    let rate = text.parse().ok().filter(|rate: &f32| (0.1..=30.0).contains(rate));
    rate.ok_or_else(|| "must be 0.1 to 30".into())
}
