//! `oriel images get`: the newest pictures of a camera, each in a file of its own.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use oriel_proto::CameraId;

use super::{
    Class, Failure, Span,
    fetch::{Fetched, Fetcher},
};
use crate::{
    client::{Client, ClientError, ClientOptions},
    command::{failure::say, folder::Folder, output::print_line, progress::Bar, stop, text::visible},
};

/// The least time without a byte after which a picture is given up: the gateway ends what makes no progress after 30 s.
pub(crate) const PROGRESS_WITHIN: Duration = Duration::from_secs(30);

/// After so many failures without a success between them the rest is not tried: nothing comes any more.
const GIVEN_UP_AFTER: u32 = 10;

/// Options of `oriel images get`.
#[derive(Debug, clap::Args)]
pub(crate) struct Get {
    /// The camera
    #[arg(required_unless_present = "random")]
    pub(super) camera: Option<CameraId>,
    /// Any camera that is online and has at least --count pictures
    #[arg(long, conflicts_with = "camera")]
    random: bool,
    /// Small ones or full-size ones; the name of a file does not say which, so give each a folder of its own
    #[arg(long, value_enum, default_value_t = Class::Preview)]
    pub(super) class: Class,
    /// How many pictures, the newest ones
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) count: u32,
    /// How many are downloaded at the same time
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=32))]
    workers: u32,
    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = "downloads")]
    out: PathBuf,
    #[command(flatten)]
    pub(super) span: Span,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

/// What has become of the pictures.
#[derive(Debug, Default)]
struct Tally {
    /// Whose they are, once that is known.
    camera: Option<CameraId>,
    listed: usize,
    /// Those that were here before.
    there: usize,
    written: usize,
    /// Those that the camera has dropped since they were listed.
    dropped: usize,
    failed: usize,
    /// How many have failed since the last one that did not.
    in_a_row: u32,
    /// The last failure.
    why: Option<Failure>,
}

impl Get {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.client.waiting(PROGRESS_WITHIN))?;
        let stop = stop::on_signal().map_err(Failure::Runtime)?;
        let mut tally = Tally::default();
        let ended = stop.run_until_cancelled(self.download(&client, &mut tally)).await;
        tally.report(&self.out, ended)
    }

    async fn download(&self, client: &Client, tally: &mut Tally) -> Result<(), Failure> {
        let (camera, listed) = self.choose(client).await?;
        tally.camera = Some(camera.clone());
        tally.listed = listed.len();
        if listed.is_empty() {
            return Ok(());
        }
        let folder = Folder::make(&self.out).await?;
        let mut lacking = folder.lacks(camera.clone(), listed).await?;
        tally.there = tally.listed - lacking.len();
        // The oldest first: the camera drops them first.
        lacking.sort_by_key(|one| one.at);
        let query = [self.class.asked(), self.client.patience()];
        let fetcher = Fetcher { client, camera: &camera, query: &query, folder: &folder };
        let bar = Bar::of(camera.as_str(), lacking.len());
        let mut fetched =
            stream::iter(lacking).map(|one| fetcher.fetch(one.at)).buffer_unordered(self.workers as usize);
        while let Some((at, fetched)) = fetched.next().await {
            bar.step();
            tally.count(fetched, |why| bar.say(&format!("oriel: {camera} {at}: {why}")))?;
            if tally.in_a_row == GIVEN_UP_AFTER {
                bar.say("oriel: one after another fails; the rest is not tried");
                break;
            }
        }
        Ok(())
    }
}

impl Tally {
    /// Counts a picture and tells why it did not come; a failure that all others would share ends everything.
    fn count(&mut self, fetched: Fetched, tell: impl FnOnce(&str)) -> Result<(), Failure> {
        self.in_a_row = if matches!(fetched, Fetched::Failed(_)) { self.in_a_row + 1 } else { 0 };
        match fetched {
            Fetched::Written => self.written += 1,
            Fetched::Dropped(why) => {
                self.dropped += 1;
                tell(&why.to_string());
            }
            Fetched::Failed(why @ (Failure::Client(ClientError::Refused { .. }) | Failure::File { .. })) => {
                return Err(why);
            }
            Fetched::Failed(why) => {
                self.failed += 1;
                tell(&why.to_string());
                self.why = Some(why);
            }
        }
        Ok(())
    }

    /// Says what was written and what is missing; `ended` is none when a signal came before the end.
    fn report(self, out: &Path, ended: Option<Result<(), Failure>>) -> Result<(), Failure> {
        let Some(camera) = &self.camera else {
            return ended.unwrap_or_else(|| Err(Failure::incomplete("interrupted", None)));
        };
        if self.listed == 0 {
            say(&format!("oriel: {camera} has no such pictures"));
            return Ok(());
        }
        let (written, there, out) = (self.written, self.there, out.display().to_string());
        print_line(&format!("{camera}: {written} written to {}, {there} were there already", visible(&out)))?;
        let missing = self.listed - there - written;
        let of_all = format!("{missing} of {} pictures of {camera} are missing", self.listed);
        match ended {
            None => Err(Failure::incomplete(format!("interrupted: {of_all}"), None)),
            Some(Err(error)) => Err(error),
            Some(Ok(())) if missing == 0 => Ok(()),
            Some(Ok(())) => {
                let parts = [
                    (self.dropped, "that it does not have any more"),
                    (self.failed, "that failed"),
                    (missing - self.dropped - self.failed, "not tried"),
                ];
                let parts = parts.iter().filter(|(count, _)| *count > 0);
                let parts: Vec<_> = parts.map(|(count, what)| format!("{count} {what}")).collect();
                Err(Failure::incomplete(format!("{of_all}: {}", parts.join(", ")), self.why.as_ref()))
            }
        }
    }
}
