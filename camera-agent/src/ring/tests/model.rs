//! Any history of a ring against a plain model: what it lists, finds, counts and reads is what its folder holds.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// The most blocks of the modelled ring: some twenty pictures.
const MOST: u64 = 40;

/// Something that happens to a ring. Times are milliseconds from where the clock stands, places count its pictures from the oldest.
#[derive(Clone, Debug)]
enum Step {
    Keep { ago_ms: i64, bytes: usize },
    Go { ms: i64 },
    Tidy,
    Reopen,
    Vanish { place: usize },
    Cut { place: usize },
    Foreign { name: usize },
    Ask { at_ms: i64, to_ms: i64, most: usize },
    Read { place: usize },
}

/// What lies about in folders, and is no picture of the ring.
const FOREIGN: [&str; 10] = [
    "new.tmp.jpg",
    "readme.txt",
    "20261122/notes.txt",
    "20261122/235800.1.jpg",
    "20261122/236000.000.jpg",
    "20261122/235800.000.jpg.tmp",
    "20261122/235900.0x0.jpg",
    "20261322/235900.000.jpg",
    "2026112/235900.000.jpg",
    "20261123/000000.000.JPG",
];

fn step() -> impl Strategy<Value = Step> {
    let hours = -7_200_000..7_200_000_i64;
    prop_oneof![
        8 => (-100..1_000_i64, LEAST..12_000_usize).prop_map(|(ago_ms, bytes)| Step::Keep { ago_ms, bytes }),
        2 => (hours.clone(), LEAST..12_000_usize).prop_map(|(ago_ms, bytes)| Step::Keep { ago_ms, bytes }),
        4 => (0..200_000_i64).prop_map(|ms| Step::Go { ms }),
        1 => hours.clone().prop_map(|ms| Step::Go { ms }),
        1 => Just(Step::Tidy),
        1 => Just(Step::Reopen),
        1 => any::<usize>().prop_map(|place| Step::Vanish { place }),
        1 => any::<usize>().prop_map(|place| Step::Cut { place }),
        1 => (0..FOREIGN.len()).prop_map(|name| Step::Foreign { name }),
        4 => (hours.clone(), hours, 0..9_usize).prop_map(|(at_ms, to_ms, most)| Step::Ask { at_ms, to_ms, most }),
        2 => any::<usize>().prop_map(|place| Step::Read { place }),
    ]
}

/// The blocks that files of these sizes take.
fn blocks(sizes: impl Iterator<Item = usize>) -> u64 {
    sizes.map(|bytes| (bytes as u64).div_ceil(BLOCK)).sum()
}

/// What a ring should be.
#[derive(Default)]
struct Model {
    now_ms: i64,
    /// What it believes to hold: times and sizes.
    rows: BTreeMap<i64, usize>,
    /// What lies in its folder: times, sizes, and whether each is whole.
    files: BTreeMap<i64, (usize, bool)>,
    foreign: Vec<&'static str>,
}

impl Model {
    fn drop_row(&mut self, at_ms: i64) {
        self.rows.remove(&at_ms);
        self.files.remove(&at_ms);
    }

    fn drop_expired(&mut self) {
        let oldest = self.now_ms - 3_600_000;
        let expired: Vec<i64> = self.rows.keys().copied().filter(|at_ms| *at_ms < oldest).collect();
        expired.into_iter().for_each(|at_ms| self.drop_row(at_ms));
    }

    /// The time that goes first when all of `rows` are too many.
    fn victim(&self, rows: &BTreeMap<i64, usize>) -> i64 {
        let room = |ahead: bool| {
            blocks(rows.iter().filter(|(at, _)| (**at > self.now_ms + 60_000) == ahead).map(|(_, n)| *n))
        };
        let from_future = room(true) > room(false);
        *rows.keys().find(|at| (**at > self.now_ms + 60_000) == from_future).unwrap()
    }

    fn make_room(&mut self, new: Option<(i64, usize)>) -> bool {
        loop {
            let rows: BTreeMap<i64, usize> = self.rows.iter().map(|(at, n)| (*at, *n)).chain(new).collect();
            if blocks(rows.values().copied()) <= MOST {
                return true;
            }
            match self.victim(&rows) {
                itself if new.is_some_and(|(at_ms, _)| at_ms == itself) => return false,
                other => self.drop_row(other),
            }
        }
    }

    fn keep(&mut self, mut at_ms: i64, bytes: usize) -> Option<i64> {
        self.drop_expired();
        while self.rows.contains_key(&at_ms) || self.files.contains_key(&at_ms) {
            at_ms += 1;
        }
        if at_ms < self.now_ms - 3_600_000 || !self.make_room(Some((at_ms, bytes))) {
            return None;
        }
        self.rows.insert(at_ms, bytes);
        self.files.insert(at_ms, (bytes, true));
        Some(at_ms)
    }

    fn reopen(&mut self) {
        self.rows = self.files.iter().map(|(at_ms, (bytes, _))| (*at_ms, *bytes)).collect();
        self.drop_expired();
        self.make_room(None);
    }

    fn latest(&self) -> Option<i64> {
        self.rows.range(..=self.now_ms + 60_000).next_back().or(self.rows.last_key_value()).map(|(at, _)| *at)
    }

    fn nth(&self, place: usize) -> Option<i64> {
        let place = place.checked_rem(self.rows.len())?;
        self.rows.keys().nth(place).copied()
    }
}

/// A ring and its model.
struct Pair {
    bench: Bench,
    model: Model,
}

impl Pair {
    fn new() -> Self {
        let model = Model { now_ms: START_MS, ..Model::default() };
        Self { bench: Bench::new(MOST), model }
    }

    fn file(&self, at_ms: i64) -> PathBuf {
        files::path(&self.bench.folder(), at_ms).unwrap()
    }

    async fn step(&mut self, step: Step) {
        let now_ms = self.model.now_ms;
        match step {
            Step::Keep { ago_ms, bytes } => {
                let at = Timestamp::from_millis(now_ms - ago_ms);
                let kept = self.bench.ring.keep(at, picture(bytes, 7)).await.unwrap();
                let wanted = self.model.keep(now_ms - ago_ms, bytes);
                assert_eq!(kept, wanted.map(Timestamp::from_millis));
            }
            Step::Go { ms } => {
                self.bench.go(ms);
                self.model.now_ms += ms;
            }
            Step::Tidy => {
                self.bench.ring.tidy().await.unwrap();
                self.model.drop_expired();
            }
            Step::Reopen => {
                self.bench.reopen();
                self.model.reopen();
            }
            Step::Vanish { place } => {
                let Some(at_ms) = self.model.nth(place) else { return };
                let _ = fs::remove_file(self.file(at_ms));
                self.model.files.remove(&at_ms);
            }
            Step::Cut { place } => {
                let Some(at_ms) = self.model.nth(place) else { return };
                let Some((bytes, whole)) = self.model.files.get_mut(&at_ms) else { return };
                (*bytes, *whole) = (bytes.div_ceil(2), false);
                let file = fs::File::options().write(true).open(self.file(at_ms)).unwrap();
                file.set_len(self.model.files[&at_ms].0 as u64).unwrap();
            }
            Step::Foreign { name } => {
                let path = self.bench.folder().join(FOREIGN[name]);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, picture(LEAST, 0)).unwrap();
                self.model.foreign.push(FOREIGN[name]);
            }
            Step::Ask { at_ms, to_ms, most } => self.ask(now_ms + at_ms, now_ms + to_ms, most).await,
            Step::Read { place } => self.read(place).await,
        }
    }

    async fn ask(&self, at_ms: i64, to_ms: i64, most: usize) {
        let (rows, at) = (&self.model.rows, Timestamp::from_millis(at_ms));
        let before = rows.range(..=at_ms).next_back().map(|(at, _)| *at);
        let after = rows.range(at_ms..).next().map(|(at, _)| *at);
        for (matching, wanted) in [
            (ImageMatch::Exact, rows.get_key_value(&at_ms).map(|(at, _)| *at)),
            (ImageMatch::Before, before),
            (ImageMatch::After, after),
            (ImageMatch::Latest, self.model.latest()),
        ] {
            let found = self.bench.ring.find(&matching, at).await.unwrap();
            assert_eq!(found.map(|row| row.at_ms), wanted, "{matching}");
            if let Some(Row { at_ms, bytes }) = found {
                let exact = self.bench.ring.find(&ImageMatch::Exact, Timestamp::from_millis(at_ms));
                assert_eq!(exact.await.unwrap(), Some(Row { at_ms, bytes }));
                let neighbours = self.bench.ring.around(Timestamp::from_millis(at_ms));
                let prev = rows.range(..at_ms).next_back().map(|(at, _)| Timestamp::from_millis(*at));
                let next = rows.range(at_ms + 1..).next().map(|(at, _)| Timestamp::from_millis(*at));
                assert_eq!(neighbours, (prev, next));
            }
        }
        let mut wanted: Vec<i64> = rows.keys().copied().filter(|at| (at_ms..to_ms).contains(at)).collect();
        for order in [Order::Asc, Order::Desc] {
            let mut span = Span::new(Some(at), Some(Timestamp::from_millis(to_ms)), &order);
            let mut listed = Vec::new();
            loop {
                let page = self.bench.ring.page(&span, most + 1).await.unwrap();
                let Some(last) = page.last() else { break };
                span.go_on_behind(*last);
                listed.extend(page.into_iter().map(|row| row.at_ms));
            }
            assert_eq!(listed, wanted, "{order}");
            wanted.reverse();
        }
    }

    async fn read(&mut self, place: usize) {
        let Some(at_ms) = self.model.nth(place) else { return };
        let row = Row { at_ms, bytes: self.model.rows[&at_ms] as u32 };
        let read = self.bench.ring.read(row).await.unwrap();
        match self.model.files.get(&at_ms) {
            Some((bytes, true)) => assert_eq!(read.unwrap(), picture(*bytes, 7)),
            Some((_, false)) | None => {
                assert!(read.is_none());
                self.model.drop_row(at_ms);
            }
        }
    }

    /// What it holds, and what is in the folder, is what it should be.
    async fn check(&self) {
        let rows = self.bench.ring.page(&Span::new(None, None, &Order::Asc), usize::MAX).await.unwrap();
        let rows: BTreeMap<i64, usize> =
            rows.into_iter().map(|row| (row.at_ms, row.bytes as usize)).collect();
        assert_eq!(rows, self.model.rows);
        assert_eq!(self.bench.ring.bytes(), blocks(rows.values().copied()) * BLOCK);
        for (at_ms, (bytes, _)) in &self.model.files {
            assert_eq!(fs::metadata(self.file(*at_ms)).unwrap().len() as usize, *bytes);
        }
        for name in &self.model.foreign {
            assert!(self.bench.folder().join(name).exists(), "{name} was removed");
        }
        let files = count_files(&self.bench.folder());
        let foreign: std::collections::BTreeSet<_> = self.model.foreign.iter().collect();
        assert_eq!(files, self.model.files.len() + foreign.len(), "something is left behind");
    }
}

fn count_files(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let count = |path: PathBuf| if path.is_dir() { count_files(&path) } else { 1 };
    entries.map(|entry| count(entry.unwrap().path())).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn any_history_leaves_what_the_model_holds(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new();
            for step in steps {
                pair.step(step).await;
                pair.check().await;
            }
        });
    }
}
