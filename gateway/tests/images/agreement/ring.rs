//! What should lie in a ring's folder, and what does.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use jiff::{Timestamp, ToSpan as _};

use super::Away;
use crate::real;

/// The most bytes of a ring: some ten pictures.
pub(super) const MOST: usize = 16 * BLOCK;

/// How long pictures are kept.
pub(super) const RETENTION: Duration = Duration::from_secs(7 * 3_600);

/// Every picture has whole blocks: one or three, and two when its end is missing.
pub(super) const BLOCK: usize = 4_096;

/// What lies about in folders, and is no picture of a ring.
pub(super) const FOREIGN: [&str; 6] = [
    "readme.txt",
    "20261122/notes.txt",
    "20261122/235800.1.jpg",
    "20261122/236000.000.jpg",
    "20261322/235900.000.jpg",
    "20261122/235900.000.jpg.tmp",
];

/// A file of the ring.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) jpeg: Vec<u8>,
    /// Whether its end is there.
    pub(super) is_whole: bool,
}

/// What should be kept.
#[derive(Debug)]
pub(super) struct Ring {
    folder: PathBuf,
    /// By time, in milliseconds since 1970.
    pub(super) kept: BTreeMap<i64, Kept>,
    /// What was kept, or was said to be.
    pub(super) gone: BTreeMap<i64, Vec<u8>>,
    foreign: Vec<PathBuf>,
    made: u32,
}

impl Ring {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, kept: BTreeMap::new(), gone: BTreeMap::new(), foreign: Vec::new(), made: 0 }
    }

    /// A picture unlike all others, of a time that no other one has had.
    pub(super) fn new_picture(&mut self, ago_ms: i64, large: bool) -> (i64, Vec<u8>) {
        let mut at_ms = Timestamp::now().as_millisecond() - ago_ms;
        while self.gone.contains_key(&at_ms) {
            at_ms += 1;
        }
        self.made += 1;
        (at_ms, picture(if large { 3 * BLOCK } else { BLOCK }, self.made))
    }

    /// A picture comes; whether it stays. It is moved on where another one has its time.
    pub(super) fn keep(&mut self, mut at_ms: i64, jpeg: &[u8]) -> bool {
        while self.kept.contains_key(&at_ms) {
            at_ms += 1;
        }
        let before = self.kept.clone();
        self.kept.insert(at_ms, Kept { jpeg: jpeg.to_vec(), is_whole: true });
        self.drop_oldest();
        let stays = self.kept.contains_key(&at_ms) && !self.gone.contains_key(&at_ms);
        if !stays {
            self.gone.remove(&at_ms);
            self.kept = before;
        }
        stays
    }

    pub(super) fn happen(&mut self, away: &Away) {
        match away {
            Away::Lay { ago_ms, large } => {
                let (at_ms, jpeg) = self.new_picture(*ago_ms, *large);
                self.write(at_ms, &jpeg);
                self.kept.insert(at_ms, Kept { jpeg, is_whole: true });
            }
            Away::Cut { place } => {
                let Some(at_ms) = self.at(place) else { return };
                let Some(kept) = self.kept.get_mut(&at_ms).filter(|kept| kept.jpeg.len() > BLOCK) else {
                    return;
                };
                self.gone.insert(at_ms, kept.jpeg.clone());
                kept.jpeg.truncate(2 * BLOCK);
                kept.is_whole = false;
                let jpeg = kept.jpeg.clone();
                self.write(at_ms, &jpeg);
            }
            Away::Remove { place } => {
                let Some(at_ms) = self.at(place) else { return };
                fs::remove_file(self.path(at_ms)).unwrap();
                self.drop(at_ms);
            }
            Away::Foreign { name } => {
                let path = self.folder.join(FOREIGN[*name]);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, "no picture").unwrap();
                self.foreign.push(path);
            }
        }
    }

    /// The ring is read from its folder: what is too much goes, the oldest first.
    pub(super) fn is_opened(&mut self) {
        self.drop_oldest();
    }

    /// The time of a picture; none when there is none.
    pub(super) fn at(&self, place: &proptest::sample::Index) -> Option<i64> {
        (!self.kept.is_empty()).then(|| *self.kept.keys().nth(place.index(self.kept.len())).unwrap())
    }

    /// Those of which all is there.
    pub(super) fn whole(&self) -> impl DoubleEndedIterator<Item = (i64, &Vec<u8>)> {
        self.kept.iter().filter(|(_, kept)| kept.is_whole).map(|(at_ms, kept)| (*at_ms, &kept.jpeg))
    }

    /// What should be there is; what has no end may have been removed by whoever came across it.
    pub(super) fn compare(&mut self) -> Result<(), String> {
        let lies = self.lies();
        let is_found = |at_ms: &i64, kept: &Kept| !kept.is_whole && !lies.contains_key(at_ms);
        let found = self.kept.iter().filter(|(at_ms, kept)| is_found(at_ms, kept));
        for at_ms in found.map(|(at_ms, _)| *at_ms).collect::<Vec<_>>() {
            self.drop(at_ms);
        }
        let should: Vec<_> = self.kept.iter().map(|(at_ms, kept)| (*at_ms, kept.jpeg.clone())).collect();
        if should != lies.iter().map(|(at_ms, jpeg)| (*at_ms, jpeg.clone())).collect::<Vec<_>>() {
            let (should, lies): (Vec<_>, Vec<_>) = (self.kept.keys().collect(), lies.keys().collect());
            return Err(format!("in the folder is {lies:?}, and should be {should:?}"));
        }
        match self.foreign.iter().find(|path| !path.exists()) {
            Some(path) => Err(format!("{} was removed", path.display())),
            None => Ok(()),
        }
    }

    fn drop(&mut self, at_ms: i64) {
        if let Some(kept) = self.kept.remove(&at_ms) {
            self.gone.entry(at_ms).or_insert(kept.jpeg);
        }
    }

    fn drop_oldest(&mut self) {
        let oldest = Timestamp::now() - (RETENTION.as_secs() as i64).seconds();
        while let Some(first) = self.kept.keys().next().copied()
            && (first < oldest.as_millisecond() || self.bytes() > MOST)
        {
            self.drop(first);
        }
    }

    fn bytes(&self) -> usize {
        self.kept.values().map(|kept| kept.jpeg.len()).sum()
    }

    /// The files that have names of pictures.
    fn lies(&self) -> BTreeMap<i64, Vec<u8>> {
        let mut lies = BTreeMap::new();
        for day in fs::read_dir(&self.folder).into_iter().flatten().map(|day| day.unwrap().path()) {
            for file in fs::read_dir(&day).into_iter().flatten().map(|file| file.unwrap().path()) {
                let name = format!("{}T{}", name_of(&day), name_of(&file));
                let at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S%.3f.jpg", &name);
                let at_ms = at.ok().and_then(|at| Some(at.in_tz("UTC").ok()?.timestamp().as_millisecond()));
                if let Some(at_ms) = at_ms.filter(|at_ms| self.path(*at_ms) == file) {
                    lies.insert(at_ms, fs::read(file).unwrap());
                }
            }
        }
        lies
    }

    fn path(&self, at_ms: i64) -> PathBuf {
        self.folder.join(time(at_ms).strftime("%Y%m%d/%H%M%S%.3f.jpg").to_string())
    }

    fn write(&self, at_ms: i64, jpeg: &[u8]) {
        let path = self.path(at_ms);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, jpeg).unwrap();
    }
}

fn name_of(path: &std::path::Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// A file that says when its picture was taken.
pub(super) fn name(at_ms: i64) -> String {
    time(at_ms).strftime("%Y%m%d%H%M%S%.3f.jpg").to_string()
}

/// A time in milliseconds since 1970.
pub(super) fn time(at_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(at_ms).unwrap()
}

/// A real picture of so many bytes, which says a number.
fn picture(bytes: usize, number: u32) -> Vec<u8> {
    let mut jpeg = real::jpeg(8, 8, real::USUAL);
    let comment = bytes - jpeg.len();
    let mut segment = vec![0xff, 0xfe];
    segment.extend(u16::try_from(comment - 2).unwrap().to_be_bytes());
    segment.extend(number.to_be_bytes());
    segment.resize(comment, 0);
    jpeg.splice(2..2, segment);
    jpeg
}
