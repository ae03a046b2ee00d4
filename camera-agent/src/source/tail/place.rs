//! How far a log is read: the file, the byte, and marks of what stands before it, by which the file is known again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, Metadata},
    io::{self, Read as _, Seek as _, SeekFrom},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// How many bytes before the place are looked at: several lines, of which one has another time.
pub(super) const BEFORE: u64 = 1_024;

/// How far apart the earlier marks are, in powers of two of bytes: near the place 256 bytes, far from it 16 MiB.
const STEPS: std::ops::RangeInclusive<u32> = 8..=24;

/// How far a log is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The file's number in its file system; 0 where none was seen yet, or there are no such numbers.
    pub(super) inode: u64,
    /// The byte behind the last line that was read.
    pub(super) offset: u64,
    /// The mark of the bytes before it.
    before: String,
    /// When the file was last changed, in nanoseconds: what it was rotated to later is newer.
    pub(super) changed: u64,
    /// The marks of what stands before some earlier bytes: by them a file that lost its end is known, and how much of it is
    /// left. None in a place that an older agent wrote.
    #[serde(default)]
    earlier: BTreeMap<u64, String>,
}

impl Place {
    /// Before the first byte of the file that comes next after `changed`.
    pub(super) fn nowhere(changed: SystemTime) -> Self {
        Self { inode: 0, offset: 0, before: mark(&[]), changed: nanos(changed), earlier: BTreeMap::new() }
    }

    /// Before the first byte of a file that follows one last changed then.
    pub(super) fn beginning(about: &Metadata, changed: u64) -> Self {
        Self { inode: inode(about), offset: 0, before: mark(&[]), changed, earlier: BTreeMap::new() }
    }

    /// Before the byte at `offset` of a file.
    pub(super) fn inside(file: &File, about: &Metadata, offset: u64) -> io::Result<Self> {
        let before = mark_at(file, offset)?;
        let earlier = marks(file, offset, &BTreeMap::new())?;
        Ok(Self { inode: inode(about), offset, before, changed: changed(about), earlier })
    }

    /// The place so many bytes further in its file, before which these bytes stand.
    pub(super) fn after(&self, file: &File, about: &Metadata, bytes: u64, before: &[u8]) -> io::Result<Self> {
        let offset = self.offset + bytes;
        let from = before.len().saturating_sub(offset.min(BEFORE) as usize);
        let before = mark(&before[from..]);
        let earlier = marks(file, offset, &self.earlier)?;
        Ok(Self { inode: inode(about), offset, before, changed: changed(about), earlier })
    }

    /// How many bytes before it must be what they were.
    pub(super) fn marked(&self) -> u64 {
        self.offset.min(BEFORE)
    }

    /// Whether these are the bytes that stood before it.
    pub(super) fn is_behind(&self, before: &[u8]) -> bool {
        before.len() as u64 == self.marked() && mark(before) == self.before
    }

    /// Whether a file still has what was read of it.
    pub(super) fn is_in(&self, file: &File) -> io::Result<bool> {
        Ok(self.is_behind(&read_at(file, self.offset - self.marked(), self.marked())?))
    }

    /// The last byte up to which a file that lost its end is known to have what was read of it; none when it begins otherwise or
    /// too little is left.
    pub(super) fn left_in(&self, file: &File) -> io::Result<Option<u64>> {
        let mut left = None;
        for (at, known) in &self.earlier {
            if mark_at(file, *at)? != *known {
                break;
            }
            left = Some(*at);
        }
        Ok(left)
    }
}

/// Where marks of what was read up to `offset` are kept: at the first ones, and of each step the last two multiples. So there is one
/// not much further back than any byte, seen from the place, and there are few.
fn stops(offset: u64) -> BTreeSet<u64> {
    let last_two = STEPS.flat_map(|step| {
        let last = offset >> step;
        [last.saturating_sub(1) << step, last << step]
    });
    last_two.chain([BEFORE]).filter(|at| (1..=offset).contains(at)).collect()
}

/// The marks of a file up to `offset`, of which some are known.
fn marks(file: &File, offset: u64, known: &BTreeMap<u64, String>) -> io::Result<BTreeMap<u64, String>> {
    let mark = |at| known.get(&at).cloned().map_or_else(|| mark_at(file, at), Ok);
    stops(offset).into_iter().map(|at| Ok((at, mark(at)?))).collect()
}

/// Behind the last end of a line that stands before a byte; none when that is more than `most` bytes earlier.
pub(super) fn line_begin(file: &File, at: u64, most: u64) -> io::Result<Option<u64>> {
    let from = at.saturating_sub(most);
    let bytes = read_at(file, from, at - from)?;
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map(|end| from + end as u64 + 1);
    Ok(end.or((from == 0).then_some(0)))
}

/// The bytes of a file from `offset` on, at most `most`; fewer where it ends.
pub(super) fn read_at(mut file: &File, offset: u64, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))?;
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The number of a file in its file system.
pub(super) fn inode(about: &Metadata) -> u64 {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::ino(about);
    #[cfg(not(unix))]
    return 0;
}

/// When a file was last changed, in nanoseconds.
pub(super) fn changed(about: &Metadata) -> u64 {
    about.modified().map_or(0, nanos)
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The mark of what stands before a byte of a file.
fn mark_at(file: &File, at: u64) -> io::Result<String> {
    Ok(mark(&read_at(file, at.saturating_sub(BEFORE), at.min(BEFORE))?))
}

fn mark(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_mark_is_not_much_further_back_than_any_byte(offset in 1..1_u64 << 40, back in 1..16_u64 << 20) {
            let (stops, back) = (stops(offset), back.min(offset));
            let at = offset - back;
            // Where there is none, the file begins.
            let mark = stops.range(..=at).last().copied().unwrap_or(0);
            prop_assert!(at - mark <= (3 * back).max(512), "{at} {stops:?}");
        }
    }

    #[test]
    fn a_place_fits_into_a_page_of_the_spool_beside_others() {
        let file = tempfile::tempfile().unwrap();
        let about = file.metadata().unwrap();
        for offset in [0, 1 << 20, (1 << 40) - 1] {
            let place = serde_json::to_string(&Place::inside(&file, &about, offset).unwrap()).unwrap();
            assert!(place.len() < 1_000, "{}", place.len());
        }
    }
}
