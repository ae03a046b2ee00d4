//! Why a folder cannot be looked through.

use std::{io, path::PathBuf};

/// Why a folder cannot be looked through.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It is not there.
    #[error("the folder {} is not there", .0.display())]
    Missing(PathBuf),
    /// It cannot be read.
    #[error("the folder {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The program is stopping.
    #[error("the folder is closing")]
    Closing,
}
