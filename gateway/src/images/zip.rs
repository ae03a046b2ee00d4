//! A zip of pictures, written while they come: no file, no seeking, and of the pictures only what passes.
//!
//! Pictures are stored as they are, since a JPEG does not compress. Their checksum is known only behind them and stands
//! there; sizes, names and times stand once more at the end, without which an archive is none.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use oriel_proto::{CameraId, Timestamp};
use rawzip::{Crc32, DataDescriptorOutput, ZipArchiveWriter, ZipEntryWriter, time::UtcDateTime};

use crate::clock;

/// The most pictures of one archive: a day of one a second and some more. Each is remembered until the end, in some 200
/// bytes.
pub const ENTRIES: usize = 100_000;

/// Seconds since 1970 of the first and the last time that an archive can tell.
const FIRST_TIME: i64 = 315_532_800;
const LAST_TIME: i64 = 4_294_967_295;

/// Bytes in front of a picture, behind it, and of what is told of it at the end, each without its name.
const BEFORE: u64 = 30;
const BEHIND: u64 = 16;
const AT_END: u64 = 46 + 9;
/// Bytes that a picture takes more at the end when it begins behind the first 4 GiB.
const FAR: u64 = 12;
/// Bytes of the end itself, and of what stands before it when there is more than it can tell.
const END: u64 = 22;
const LARGE_END: u64 = 76;

/// An archive that is being written.
#[derive(Debug)]
pub struct Zip {
    writer: ZipArchiveWriter<Sink>,
    sink: Sink,
    entries: usize,
}

impl Default for Zip {
    fn default() -> Self {
        Self::new()
    }
}

impl Zip {
    /// One without pictures.
    pub fn new() -> Self {
        Self::behind(0)
    }

    /// One that stands behind so many other bytes.
    fn behind(offset: u64) -> Self {
        let sink = Sink::default();
        let writer = ZipArchiveWriter::builder().with_offset(offset).build(sink.clone());
        Self { writer, sink, entries: 0 }
    }

    /// Begins a picture: gives the bytes that come before it, and what takes the picture.
    pub fn start(&mut self, camera: &CameraId, at: Timestamp) -> Result<(Bytes, Entry<'_>), ZipError> {
        if self.entries == ENTRIES {
            return Err(ZipError::Full);
        }
        self.entries += 1;
        let seconds = at.as_micros().div_euclid(1_000_000).clamp(FIRST_TIME, LAST_TIME);
        let name = name(camera, at);
        let file = self.writer.new_file(&*name).last_modified(UtcDateTime::from_unix(seconds));
        let (writer, _) = file.start()?;
        let sink = &self.sink;
        Ok((sink.take(), Entry { writer, sink, sum: Crc32::new(), bytes: 0 }))
    }

    /// Ends the archive: gives the bytes that come last.
    pub fn finish(self) -> Result<Bytes, ZipError> {
        self.writer.finish()?;
        Ok(self.sink.take())
    }
}

/// A picture of an archive; whoever drops it without an end may not go on with the archive.
#[derive(Debug)]
pub struct Entry<'a> {
    writer: ZipEntryWriter<'a, Sink>,
    sink: &'a Sink,
    sum: Crc32,
    bytes: u64,
}

impl Entry<'_> {
    /// Takes note of the next piece, which belongs into the archive as it is.
    pub fn piece(&mut self, piece: &[u8]) -> Result<(), ZipError> {
        self.sum.update(piece);
        self.bytes += piece.len() as u64;
        self.sink.counting(true);
        let counted = self.writer.write_all(piece);
        self.sink.counting(false);
        counted.map_err(|error| ZipError::Failed(error.to_string()))
    }

    /// Ends the picture: gives the bytes that come behind it.
    pub fn end(self) -> Result<Bytes, ZipError> {
        self.writer.finish(DataDescriptorOutput::new(self.sum.checksum(), self.bytes))?;
        Ok(self.sink.take())
    }
}

/// What a picture is called, here and where it is downloaded: `porch-20261122081530.123.jpeg`.
pub fn name(camera: &CameraId, at: Timestamp) -> String {
    format!("{camera}-{}.jpeg", clock::compact(at))
}

/// The length of an archive of these pictures: the camera of each, its time and its bytes.
pub fn length<'a>(pictures: impl IntoIterator<Item = (&'a CameraId, Timestamp, u64)>) -> u64 {
    length_behind(0, pictures)
}

fn length_behind<'a>(offset: u64, pictures: impl IntoIterator<Item = (&'a CameraId, Timestamp, u64)>) -> u64 {
    let (mut at, mut end, mut entries) = (offset, 0, 0_usize);
    for (camera, time, bytes) in pictures {
        let name = name(camera, time).len() as u64;
        end += AT_END + name + if at >= u64::from(u32::MAX) { FAR } else { 0 };
        at += BEFORE + name + bytes + BEHIND;
        entries += 1;
    }
    let large = entries >= usize::from(u16::MAX) || at.max(end) >= u64::from(u32::MAX);
    at - offset + end + END + if large { LARGE_END } else { 0 }
}

/// Why an archive does not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZipError {
    /// It has as many pictures as it may have.
    #[error("an archive has at most {ENTRIES} pictures")]
    Full,
    /// It could not be written.
    #[error("the archive cannot be written: {0}")]
    Failed(String),
}

impl From<rawzip::Error> for ZipError {
    fn from(error: rawzip::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Where the writer's bytes are taken from; pictures pass beside it and are only counted.
#[derive(Clone, Debug, Default)]
struct Sink(Arc<Mutex<Written>>);

#[derive(Debug, Default)]
struct Written {
    bytes: Vec<u8>,
    counting: bool,
}

impl Sink {
    fn written(&self) -> std::sync::MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Bytes {
        mem::take(&mut self.written().bytes).into()
    }

    fn counting(&self, counting: bool) {
        self.written().counting = counting;
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.written();
        if !written.counting {
            written.bytes.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
