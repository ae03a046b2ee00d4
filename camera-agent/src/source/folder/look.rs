//! Reads one file that somebody else wrote, and says what it is.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    path::Path,
};

use bytes::Bytes;
use oriel_proto::{
    jpeg::{self, JpegError},
    limits::{IMAGE_BYTES, IMAGE_PIXELS},
};

use super::scan::Stamp;
use crate::foreign::tame;

/// What a file is.
#[derive(Debug)]
pub(super) enum Look {
    /// A whole picture.
    Picture(Bytes, Stamp),
    /// The beginning of one: it is being written, or it was cut off.
    Cut(Stamp),
    /// Something else, or a file that cannot be read, and what is wrong with it.
    Foreign(String, Stamp),
    /// A folder.
    Folder,
    /// No file, or none any more.
    Gone,
}

/// Reads a file; never waits for one that is a pipe, follows no link, reads no more than a picture may have.
pub(super) fn look(path: &Path) -> Look {
    try_look(path).unwrap_or_else(|e| match path.symlink_metadata() {
        // A link is as good as nothing.
        Ok(about) if !about.is_symlink() => Look::Foreign(e.to_string(), Stamp::of(&about)),
        _ => {
            tracing::debug!("{} is gone: {e}", tame(&path.display().to_string()));
            Look::Gone
        }
    })
}

fn try_look(path: &Path) -> io::Result<Look> {
    let mut file = open(path)?;
    let about = file.metadata()?;
    if about.is_dir() {
        return Ok(Look::Folder);
    }
    if !about.is_file() {
        return Ok(Look::Gone);
    }
    let stamp = Stamp::of(&about);
    if stamp.bytes > IMAGE_BYTES as u64 {
        let why = JpegError::TooLarge(usize::try_from(stamp.bytes).unwrap_or(usize::MAX));
        return Ok(Look::Foreign(why.to_string(), stamp));
    }
    read(&mut file, &about, stamp)
}

fn read(file: &mut File, about: &Metadata, stamp: Stamp) -> io::Result<Look> {
    let mut begin = Vec::with_capacity(3);
    file.take(3).read_to_end(&mut begin)?;
    if begin.len() == 3 && !jpeg::begins(&begin) {
        return Ok(Look::Foreign(JpegError::Foreign.to_string(), stamp));
    }
    let mut bytes = begin;
    bytes.reserve_exact(usize::try_from(about.len()).unwrap_or(0));
    file.take(IMAGE_BYTES as u64).read_to_end(&mut bytes)?;
    if Stamp::of(&file.metadata()?) != stamp {
        return Ok(Look::Cut(stamp));
    }
    Ok(match jpeg::check(&bytes).map(jpeg::Facts::pixels) {
        Ok(pixels) if pixels > IMAGE_PIXELS => {
            Look::Foreign(format!("a picture of {pixels} pixels has more than {IMAGE_PIXELS}"), stamp)
        }
        Ok(_) => Look::Picture(bytes.into(), stamp),
        Err(JpegError::Cut(_)) => Look::Cut(stamp),
        Err(e) => Look::Foreign(e.to_string(), stamp),
    })
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits().cast_signed());
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::stand::logged;

    #[test]
    fn the_name_of_a_file_that_is_gone_is_one_line_of_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let said = logged(|| drop(look(&dir.path().join("a\nnonsense\u{202e}.jpg"))));
        assert!(said.lines().count() == 1 && said.contains("nonsense"), "{said}");
        assert!(!said.contains('\u{202e}'), "{said}");
    }
}
