//! `oriel backup`: a gateway's database as it is in one moment, in a file of its own.

use std::{
    io,
    path::{Path, PathBuf, absolute},
};

use oriel_gateway::store::{Copied, CopyError, Original};
use tempfile::NamedTempFile;
use tokio::task::spawn_blocking;

use super::{Failure, folder::Folder, output::print_line, stop, text::visible};

/// Options of `oriel backup`.
#[derive(Debug, clap::Args)]
pub(crate) struct Backup {
    /// The data folder of a gateway, which may run meanwhile
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The file to write, which only its owner can read; nothing is overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Backup {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let target = absolute(&self.out).map_err(|why| self.failed(why))?;
        let (Some(folder), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(self.failed(io::ErrorKind::InvalidFilename.into()));
        };
        if target.symlink_metadata().is_ok() {
            return Err(self.failed(io::Error::other("it is there already, and nothing is overwritten")));
        }
        if !folder.is_dir() {
            return Err(self.failed(io::Error::other(format!("there is no folder {}", folder.display()))));
        }
        let original = Original::open(&self.data).map_err(|why| self.not_copied(why))?;
        let folder = Folder::open(folder).await?;
        let file = folder.begin()?;
        let copied = copy(original, &file).await?.map_err(|why| self.not_copied(why))?;
        folder.settle(file, name)?;
        let Copied { bytes, events, cameras } = copied;
        let path = self.out.display().to_string();
        print_line(&format!("{}: {bytes} bytes, {events} events, {cameras} cameras", visible(&path)))
    }

    /// What the user is told when there is no copy.
    fn not_copied(&self, why: CopyError) -> Failure {
        match why {
            CopyError::NoDatabase(_) => Failure::usage(why.to_string()),
            CopyError::Full => self.failed(io::Error::other(why)),
            other => Failure::Backup(other),
        }
    }

    fn failed(&self, why: io::Error) -> Failure {
        Failure::File { path: self.out.display().to_string(), why }
    }
}

/// Copies the database into an empty file; a signal ends that, and then nothing stays of it.
async fn copy(original: Original, file: &NamedTempFile) -> Result<Result<Copied, CopyError>, Failure> {
    let stop = stop::on_signal().map_err(Failure::Runtime)?;
    let interrupt = original.interrupt();
    let path: PathBuf = Path::to_owned(file.path());
    let mut copying = spawn_blocking(move || original.copy_into(&path));
    let copied = tokio::select! {
        copied = &mut copying => copied,
        () = stop.cancelled() => {
            interrupt.now();
            copying.await
        }
    };
    copied.map_err(|why| Failure::Runtime(io::Error::other(why)))
}
