//! How pictures lie on disk: `<YYYYMMDD>/<HHMMSS.mmm>.jpg` by their time in UTC; whatever else lies there is left alone.

use std::{
    fs::{self, DirEntry, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use oriel_proto::{jpeg, limits::IMAGE_BYTES};

use super::index::Row;

/// What a picture is called until it is whole; one name, so that at most one is left behind.
const TEMPORARY: &str = "new.tmp";

/// A day's folder and a picture's file, as numbers: `20261122` and `081530.123`.
type Names<'a> = (&'a str, &'a str);

/// Where the picture of this time lies in the ring's folder; none outside the years 1970 to 9999.
pub(super) fn path(folder: &Path, at_ms: i64) -> Option<PathBuf> {
    let time = Timestamp::from_millisecond(at_ms).ok().filter(|_| at_ms >= 0)?;
    let name = time.strftime("%Y%m%d/%H%M%S%.3f.jpg").to_string();
    Some(folder.join(name))
}

/// All pictures in the ring's folder, in any order; a folder that is not there holds none.
pub(super) fn scan(folder: &Path) -> io::Result<Vec<Row>> {
    let days = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        days => days?,
    };
    let mut rows = Vec::new();
    for day in days {
        let day = day?;
        let name = day.file_name();
        let Some(name) = name.to_str().filter(|name| time_of((name, "000000.000")).is_some()) else {
            continue;
        };
        if !day.file_type()?.is_dir() {
            continue;
        }
        match fs::read_dir(day.path()) {
            Ok(files) => {
                rows.extend(files.filter_map(|file| row(name, &file.ok()?)));
            }
            Err(e) => tracing::warn!("{} is passed over: {e}", day.path().display()),
        }
    }
    Ok(rows)
}

/// The row of a file; none when it is something else, or empty.
fn row(day: &str, file: &DirEntry) -> Option<Row> {
    let name = file.file_name();
    let at_ms = time_of((day, name.to_str()?.strip_suffix(".jpg")?))?;
    let about = file.metadata().ok().filter(fs::Metadata::is_file)?;
    let bytes = u32::try_from(about.len()).ok().filter(|bytes| (1..=IMAGE_BYTES as u32).contains(bytes))?;
    Some(Row { at_ms, bytes })
}

/// The time that names mean, in milliseconds since 1970.
fn time_of((day, clock): Names<'_>) -> Option<i64> {
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i32>().ok())?;
    let (clock, millis) = clock.split_once('.')?;
    if (day.len(), clock.len(), millis.len()) != (8, 6, 3) {
        return None;
    }
    let (day, clock, millis) = (number(day)?, number(clock)?, number(millis)?);
    let part = |number: i32, unit: i32| i8::try_from(number / unit % 100).ok();
    let year = i16::try_from(day / 10_000).ok().filter(|year| *year >= 1970)?;
    let time = DateTime::new(
        year,
        part(day, 100)?,
        part(day, 1)?,
        part(clock, 10_000)?,
        part(clock, 100)?,
        part(clock, 1)?,
        millis * 1_000_000,
    );
    Some(TimeZone::UTC.to_timestamp(time.ok()?).ok()?.as_millisecond())
}

/// Writes a picture under a temporary name and gives it its own.
pub(super) fn write(folder: &Path, path: &Path, jpeg: &[u8]) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(folder))?;
    let temporary = folder.join(TEMPORARY);
    let written = File::create(&temporary).and_then(|mut file| file.write_all(jpeg));
    let done = written.and_then(|()| fs::rename(&temporary, path));
    if done.is_err() {
        // On a full disk the half picture is in the way of everybody else.
        let _ = fs::remove_file(&temporary);
    }
    done
}

/// Has a picture and its name survive a power cut.
pub(super) fn sync(folder: &Path, path: &Path) -> io::Result<()> {
    File::options().write(true).open(path)?.sync_all()?;
    if cfg!(unix) {
        // Its day may be new to the ring's folder.
        for folder in [path.parent().unwrap_or(folder), folder] {
            File::open(folder)?.sync_all()?;
        }
    }
    Ok(())
}

/// What lies where a picture should.
#[derive(Debug)]
pub(super) enum Found {
    /// It does.
    Picture(Vec<u8>),
    /// Nothing, or no file.
    Nothing,
    /// A file that was cut, or is no picture.
    Broken,
}

/// Reads a picture.
pub(super) fn read(path: &Path) -> io::Result<Found> {
    // Opening something that is no file might wait for ever.
    let length = match fs::symlink_metadata(path) {
        Ok(about) if about.is_file() => about.len(),
        Ok(_) => return Ok(Found::Nothing),
        Err(e) => return missing(e),
    };
    let Some(length) = usize::try_from(length).ok().filter(|length| *length <= IMAGE_BYTES) else {
        return Ok(Found::Broken);
    };
    let mut jpeg = Vec::with_capacity(length);
    match File::open(path) {
        Ok(file) => file.take(IMAGE_BYTES as u64 + 1).read_to_end(&mut jpeg)?,
        Err(e) => return missing(e),
    };
    Ok(if jpeg::check(&jpeg).is_ok() { Found::Picture(jpeg) } else { Found::Broken })
}

fn missing(error: io::Error) -> io::Result<Found> {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(Found::Nothing),
        _ => Err(error),
    }
}

/// Removes a picture, and its day's folder when nothing else is in it.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    discard(path)?;
    if let Some(day) = path.parent() {
        // It fails as long as there is anything.
        let _ = fs::remove_dir(day);
    }
    Ok(())
}

/// Removes a picture, or what is left of it; what is no file is left alone.
pub(super) fn discard(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if fs::symlink_metadata(path).is_ok_and(|about| about.is_file()) => Err(e),
        _ => Ok(()),
    }
}

/// Whether something has this name.
pub(super) fn is_taken(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
