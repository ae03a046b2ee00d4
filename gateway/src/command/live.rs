//! `oriel live`: a camera's pictures as they come, each in a file of its own.

use std::path::PathBuf;

use oriel_proto::CameraId;

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
use crate::client::{Client, ClientOptions, FRAME_WITHIN, Picture, TakenAt, is_whole_jpeg};

/// Options of `oriel live`.
#[derive(Debug, clap::Args)]
pub(crate) struct Live {
    /// The camera
    camera: CameraId,
    /// Small pictures or full-size ones [default: as the gateway sends them]
    #[arg(long, value_enum)]
    class: Option<Class>,
    /// The most pictures a second [default: as many as the camera gives]
    #[arg(long, value_name = "N", value_parser = rate)]
    fps: Option<f32>,
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
            if !is_whole_jpeg(&jpeg) {
                progress.clear();
                say(&format!("oriel: {} {at}: not a whole JPEG; left out", self.camera));
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
        let mut query = vec![self.client.patience()];
        query.extend(self.class.map(Class::asked));
        query.extend(self.fps.map(|fps| ("fps", fps.to_string())));
        query
    }
}

/// A number of pictures a second.
fn rate(text: &str) -> Result<f32, String> {
    let rate = text.parse().ok().filter(|rate: &f32| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| format!("{text:?} is not a number above 0"))
}
