//! `oriel snapshot`: a picture that a camera takes now.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use oriel_proto::CameraId;
use tokio::task::spawn_blocking;

use super::{
    Failure,
    folder::{Folder, file_name},
    images::{Class, PROGRESS_WITHIN},
    output::{is_terminal, print_bytes, print_line},
    stop,
};
use crate::client::{Client, ClientOptions, Picture};

/// Options of `oriel snapshot`.
#[derive(Debug, clap::Args)]
pub(crate) struct Snapshot {
    /// The camera
    camera: CameraId,
    /// A small one or a full-size one
    #[arg(long, value_enum, default_value_t = Class::Preview)]
    class: Class,
    /// The file or folder to write to, - for standard output [default: CAMERA-YYYYMMDDhhmmss.xxx.jpeg]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    client: ClientOptions,
}

impl Snapshot {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let is_piped = self.out.as_deref() == Some(Path::new("-"));
        if is_piped && is_terminal() {
            return Err(Failure::usage(
                "--out - writes the bytes of a picture, and this is a terminal: send them to a file or a program",
            ));
        }
        let client = Client::new(&self.client.waiting(PROGRESS_WITHIN))?;
        let stop = stop::on_signal().map_err(Failure::Runtime)?;
        let taken = stop.run_until_cancelled(async {
            let picture = self.take(&client).await?;
            if is_piped { print_bytes(&picture.jpeg) } else { self.write(picture).await }
        });
        taken.await.unwrap_or_else(|| Err(Failure::incomplete("interrupted", None)))
    }

    async fn take(&self, client: &Client) -> Result<Picture, Failure> {
        let query = [self.class.asked(), self.client.patience()];
        Ok(client.snapshot(&self.camera, &query).await?)
    }

    async fn write(&self, picture: Picture) -> Result<(), Failure> {
        let name = file_name(&self.camera, picture.at);
        let path = match &self.out {
            None => name.into(),
            Some(out) if out.is_dir() => out.join(name),
            Some(out) => out.clone(),
        };
        if fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
            return pass(path, picture).await;
        }
        // Where a link stands, what it points to is replaced.
        let real = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        let Some(name) = real.file_name() else {
            let why = io::ErrorKind::InvalidFilename.into();
            return Err(Failure::File { path: path.display().to_string(), why });
        };
        let folder = real.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = Folder::open(folder.unwrap_or(Path::new("."))).await?;
        folder.keep(name, picture.jpeg).await?;
        print_line(&path.display().to_string())
    }
}

/// Writes to what is no file, such as a pipe with a name.
async fn pass(path: PathBuf, picture: Picture) -> Result<(), Failure> {
    let shown = path.display().to_string();
    let written = spawn_blocking(move || fs::write(path, &picture.jpeg)).await;
    written.map_err(io::Error::other).flatten().map_err(|why| Failure::File { path: shown, why })
}
