//! Why a log cannot be read.

use std::{io, path::PathBuf};

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// The system refuses it.
    #[error("the file {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is a folder or a device.
    #[error("{} is not a file", .0.display())]
    NoFile(PathBuf),
    /// The program is stopping.
    #[error("the file is closing")]
    Closing,
}
