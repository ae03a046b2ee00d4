//! What cameras of the older system post: their whole list each time, of which each entry is kept once.
//!
//! The gateway is their agent. An entry that it sees for the first time gets the next number of the camera's epoch; its name,
//! which says what it is and at which place among equal ones, finds it again in every later list.

use std::sync::Arc;

use oriel_proto::{
    AgentId, CameraId, Epoch, Event, Kind, Seq, Severity, Timestamp,
    event::Data,
    frame::{Digest, SpoolState},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    super::row,
    NewEvent, Store, StoreError,
    epoch::{EpochRow, Stretch, bytes},
    find, log_of, signed, unsigned, write,
};

/// Entries that are written in one transaction, so that others who write need not wait for the first list of a busy camera.
const STEP: usize = 1_000;

/// What an entry says, in lower case, and the kind of event that it means.
const WORDS: [(&str, Kind); 4] = [
    ("detected motion", Kind::Motion),
    ("user started viewing live video", Kind::ViewStarted),
    ("brightness adjusted", Kind::Brightness),
    ("camera reset", Kind::Reset),
];

/// An entry of a posted list.
#[derive(Clone, Debug, PartialEq)]
pub struct PostedEntry {
    /// Digest of its time, its description, and how many equal entries stand before it in the list.
    pub name: Digest,
    /// When it happened, in seconds since 1970 as the camera wrote it.
    pub timestamp: f64,
    /// What happened.
    pub description: Box<str>,
}

/// What became of a posted list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The number and the time that each of its entries has in the log, in the order of the list.
    pub places: Vec<(Seq, Timestamp)>,
    /// Where the log stands now.
    pub spool: SpoolState,
    /// Entries that are new.
    pub stored: u64,
}

impl PostedEntry {
    /// The time that it says.
    #[allow(clippy::cast_possible_truncation, reason = "a time beyond all calendars is held at the nearest")]
    pub fn at(&self) -> Timestamp {
        Timestamp::from_micros((self.timestamp * 1e6).round() as i64)
    }

    /// What is kept of it, at this time; its own stays in `data.timestamp`.
    pub fn event(&self, at: Timestamp) -> Event {
        let said = self.description.to_lowercase();
        let known = WORDS.into_iter().find(|(words, _)| said.contains(words));
        let (kind, severity) = (known.map_or(Kind::Log, |(_, kind)| kind), Severity::Info);
        let data = Data::from_iter([("timestamp".to_owned(), self.timestamp.into())]);
        let description = self.description.to_string();
        Event { at, kind, severity, description, data, image_at: None, was: None }.within_limits()
    }
}

impl Store {
    /// Keeps what is new in the list that a camera began to post at `began`; none when the camera is not this agent's. A camera writes
    /// its lists whole, so that everything it wrote up to then is held afterwards. Times never go back: an entry that says it is older
    /// than one that is held gets the time of that.
    ///
    /// Only what is new is written, a thousand entries in a transaction.
    pub async fn keep_posted(
        &self,
        camera: CameraId,
        agent: AgentId,
        entries: Vec<PostedEntry>,
        began: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Posted>, StoreError> {
        let (id, entries) = (camera.clone(), Arc::new(entries));
        let list = Arc::clone(&entries);
        let mut places = self.readers.run(move |db| known(db, &id, &list)).await?;
        let oldest = places.iter().flatten().map(|(_, at)| *at).min().unwrap_or(Timestamp::MAX);
        let unknown: Vec<usize> = (0..places.len()).filter(|n| places[*n].is_none()).collect();
        let (mut steps, mut stored) = (unknown.chunks(STEP).peekable(), 0);
        loop {
            let step = steps.next().unwrap_or_default().to_vec();
            let whole = steps.peek().is_none().then_some(Whole { began, oldest });
            let (camera, list, new) = (camera.clone(), Arc::clone(&entries), step.clone());
            let write = move |db: &Connection| {
                let Some(log) = log_of(db, &camera, Some(agent))? else { return Ok(None) };
                add(db, log, new.iter().map(|n| &list[*n]), whole, now).map(Some)
            };
            let Some(added) = self.writer.run(write, |_| ()).await? else { return Ok(None) };
            step.iter().zip(added.places).for_each(|(n, place)| places[*n] = Some(place));
            stored += added.stored;
            if whole.is_some() {
                let places = places.into_iter().flatten().collect();
                return Ok(Some(Posted { places, spool: added.spool, stored }));
            }
        }
    }

    /// Where the log of a camera of the older system stands; none when it has never posted a list.
    pub async fn posted_spool(&self, camera: CameraId) -> Result<Option<SpoolState>, StoreError> {
        let read = move |db: &Connection| {
            let Some(log) = find(db, &camera)? else { return Ok(None) };
            Ok(posted_epoch(db, log)?
                .map(|epoch| EpochRow::load(db, log, epoch))
                .transpose()?
                .map(|row| spool(&row)))
        };
        self.readers.run(read).await
    }
}

/// The end of a list: what is known once all of it is held.
#[derive(Clone, Copy, Debug)]
struct Whole {
    /// When it began to be posted.
    began: Timestamp,
    /// The time of its oldest entry that was held before.
    oldest: Timestamp,
}

/// What one step of writing a list came to.
struct Added {
    places: Vec<(Seq, Timestamp)>,
    spool: SpoolState,
    stored: u64,
}

/// The places of those entries that are held, or were.
fn known(
    db: &Connection,
    camera: &CameraId,
    entries: &[PostedEntry],
) -> Result<Vec<Option<(Seq, Timestamp)>>, StoreError> {
    let Some(log) = find(db, camera)? else { return Ok(vec![None; entries.len()]) };
    entries.iter().map(|entry| place(db, log, entry)).collect()
}

fn place(db: &Connection, log: i64, entry: &PostedEntry) -> Result<Option<(Seq, Timestamp)>, StoreError> {
    let mut statement = db.prepare_cached("SELECT seq, at FROM posted WHERE log = ?1 AND name = ?2")?;
    let found = |row: &rusqlite::Row<'_>| Ok((unsigned(row.get("seq")?), row::time(row, "at")?));
    Ok(statement.query_row(params![log, entry.name.as_bytes()], found).optional()?)
}

/// Writes entries down that were not held a moment ago.
fn add<'a>(
    db: &Connection,
    log: i64,
    entries: impl Iterator<Item = &'a PostedEntry>,
    whole: Option<Whole>,
    now: Timestamp,
) -> Result<Added, StoreError> {
    let mut epoch = match posted_epoch(db, log)? {
        Some(epoch) => EpochRow::load(db, log, epoch)?,
        None => begin(db, log)?,
    };
    let (mut places, mut stored) = (Vec::new(), 0);
    for entry in entries {
        // Another list may have brought it meanwhile.
        if let Some(place) = place(db, log, entry)? {
            places.push(place);
            continue;
        }
        let (seq, at) = (epoch.acked + 1, entry.at().max(epoch.acked_at));
        let new = NewEvent::of(entry.event(at));
        write::insert(db, log, epoch.id, seq, &new, now)?;
        let sql = "INSERT INTO posted (log, name, seq, at) VALUES (?1, ?2, ?3, ?4)";
        db.prepare_cached(sql)?.execute(params![log, entry.name.as_bytes(), signed(seq), at.as_micros()])?;
        epoch.cover(Stretch { last: seq, last_at: at, hash: Some(new.hash) });
        places.push((seq, at));
        stored += 1;
    }
    if let Some(Whole { began, oldest }) = whole {
        epoch.told(epoch.acked + 1, began.max(epoch.acked_at));
        forget(db, &epoch, oldest)?;
    }
    epoch.save(db)?;
    Ok(Added { places, spool: spool(&epoch), stored })
}

/// Forgets entries that retention removed and that are older than everything in the camera's list: it has dropped them too, and
/// does not bring them again.
fn forget(db: &Connection, epoch: &EpochRow, oldest: Timestamp) -> Result<(), StoreError> {
    let sql = "DELETE FROM posted WHERE log = ?1 AND seq IN
               (SELECT seq FROM posted WHERE log = ?1 AND seq <= ?2 AND at < ?3 ORDER BY seq LIMIT ?4)";
    let step = i64::try_from(STEP).unwrap_or(i64::MAX);
    db.prepare_cached(sql)?.execute(params![epoch.log, signed(epoch.purged), oldest.as_micros(), step])?;
    Ok(())
}

/// The epoch that the gateway writes for the camera of a log, if it does.
fn posted_epoch(db: &Connection, log: i64) -> Result<Option<Epoch>, StoreError> {
    let mut statement = db.prepare_cached("SELECT posted_epoch FROM logs WHERE n = ?1")?;
    Ok(statement.query_row([log], |row| row::opt_id(row, "posted_epoch"))?)
}

fn begin(db: &Connection, log: i64) -> Result<EpochRow, StoreError> {
    let id = Epoch::new();
    db.prepare_cached("UPDATE logs SET posted_epoch = ?2 WHERE n = ?1")?.execute(params![log, bytes(id)])?;
    Ok(EpochRow::new(log, id, false))
}

/// An epoch as its camera's agent would announce it.
fn spool(epoch: &EpochRow) -> SpoolState {
    SpoolState { epoch: epoch.id, first: epoch.purged + 1, next: epoch.next, as_of: epoch.as_of }
}
