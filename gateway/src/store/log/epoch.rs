//! How far an epoch is held.

use oriel_proto::{
    CameraId, Epoch, Seq, Timestamp,
    event::{LossReason, LostRange},
    frame::{Acked, Digest, SpoolState},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{super::row, StoreError, find, signed, unsigned};

/// Epochs that an agent names at most: of one that names as many there may be more.
pub(super) const ANNOUNCED: usize = 128;

/// Epochs that an answer to an announcement names at most: what fits a frame.
const NAMED: usize = 192;

/// One epoch of a log.
#[derive(Clone, Debug)]
pub(super) struct EpochRow {
    pub(super) log: i64,
    pub(super) id: Epoch,
    /// Whether the gateway itself writes it.
    pub(super) own: bool,
    /// Everything up to it is held or known lost.
    pub(super) acked: Seq,
    /// The latest time of that.
    pub(super) acked_at: Timestamp,
    pub(super) hash: Option<Digest>,
    pub(super) next: Seq,
    pub(super) as_of: Timestamp,
    /// The highest number, and the latest time, that retention removed.
    pub(super) purged: Seq,
    pub(super) purged_at: Timestamp,
    /// The highest number that is held beyond `acked`, where nobody knows what lies between; 0 for none.
    pub(super) ahead: Seq,
}

/// The end of a stretch that is now held, or known lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) last: Seq,
    /// The latest time of it.
    pub(super) last_at: Timestamp,
    /// Digest of the event `last`, where it is held.
    pub(super) hash: Option<Digest>,
}

const COLUMNS: &str = "log, id, own, acked, acked_at, hash, next, as_of, purged, purged_at, ahead";

impl EpochRow {
    /// An epoch of which nothing is held yet.
    pub(super) const fn new(log: i64, id: Epoch, own: bool) -> Self {
        let (acked_at, as_of, purged_at) = (Timestamp::MIN, Timestamp::MIN, Timestamp::MIN);
        Self { log, id, own, acked: 0, acked_at, hash: None, next: 1, as_of, purged: 0, purged_at, ahead: 0 }
    }

    /// The epoch as it stands, or a new one.
    pub(super) fn load(db: &Connection, log: i64, id: Epoch) -> Result<Self, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM epochs WHERE log = ?1 AND id = ?2");
        let found = db.prepare_cached(&sql)?.query_row(params![log, bytes(id)], read).optional()?;
        Ok(found.unwrap_or(Self::new(log, id, false)))
    }

    /// All epochs of a log.
    pub(super) fn all(db: &Connection, log: i64) -> Result<Vec<Self>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM epochs WHERE log = ?1");
        let mut statement = db.prepare_cached(&sql)?;
        let rows = statement.query_map([log], read)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// Writes down how it stands now.
    pub(super) fn save(&self, db: &Connection) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT OR REPLACE INTO epochs ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
        );
        db.prepare_cached(&sql)?.execute(params![
            self.log,
            bytes(self.id),
            self.own,
            signed(self.acked),
            self.acked_at.as_micros(),
            self.hash.as_ref().map(Digest::as_bytes),
            signed(self.next),
            self.as_of.as_micros(),
            signed(self.purged),
            self.purged_at.as_micros(),
            signed(self.ahead),
        ])?;
        Ok(())
    }

    /// Writes down how it stands now; one that came for the first time is the present one of its log.
    pub(super) fn save_sent(&self, db: &Connection) -> Result<(), StoreError> {
        let known = "SELECT 1 FROM epochs WHERE log = ?1 AND id = ?2";
        if !db.prepare_cached(known)?.exists(params![self.log, bytes(self.id)])? {
            let begun = "UPDATE logs SET present = ?2 WHERE n = ?1";
            db.prepare_cached(begun)?.execute(params![self.log, bytes(self.id)])?;
        }
        self.save(db)
    }

    /// Whether nothing of it is missing.
    pub(super) const fn is_whole(&self) -> bool {
        self.acked + 1 >= self.next
    }

    fn announced<'a>(&self, spools: &'a [SpoolState]) -> Option<&'a SpoolState> {
        spools.iter().find(|spool| spool.epoch == self.id)
    }

    /// Whether something is missing that its camera, which announces these epochs, has not got any more.
    fn will_not_come(&self, spools: &[SpoolState]) -> bool {
        let ends = |spool: &SpoolState| spool.next <= self.acked + 1;
        !self.own && !self.is_whole() && self.announced(spools).is_none_or(ends)
    }

    /// What was told of it: everything written up to `as_of` is below `next`.
    pub(super) fn told(&mut self, next: Seq, as_of: Timestamp) {
        (self.next, self.as_of) = (self.next.max(next), self.as_of.max(as_of));
    }

    /// A stretch that begins at or before `acked + 1` is held or known lost from now on.
    pub(super) fn cover(&mut self, stretch: Stretch) {
        if stretch.last > self.acked {
            (self.acked, self.hash) = (stretch.last, stretch.hash);
        }
        self.acked_at = self.acked_at.max(stretch.last_at);
        self.next = self.next.max(stretch.last.saturating_add(1));
    }

    /// Writes down that a stretch will never come, which begins at or before `acked + 1`; what of it is held is not lost.
    pub(super) fn lose(&mut self, db: &Connection, lost: &LostRange) -> Result<(), StoreError> {
        if lost.last <= self.acked {
            return Ok(());
        }
        let sql = "INSERT INTO lost (log, epoch, first, last, from_at, to_at, why) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        db.prepare_cached(sql)?.execute(params![
            self.log,
            bytes(self.id),
            signed(self.acked + 1),
            signed(lost.last),
            lost.from.as_micros(),
            lost.to.max(lost.from).as_micros(),
            lost.why.as_str(),
        ])?;
        self.cover(Stretch { last: lost.last, last_at: lost.to, hash: None });
        Ok(())
    }
}

/// How far the epochs of a camera's log are held, and whether one of them was never finished and will not be.
pub(super) fn acked(
    db: &Connection,
    camera: &CameraId,
    spools: &[SpoolState],
) -> Result<(Vec<Acked>, bool), StoreError> {
    let Some(log) = find(db, camera)? else { return Ok((Vec::new(), false)) };
    let mut epochs = EpochRow::all(db, log)?;
    epochs.retain(|epoch| !epoch.own);
    let unfinished = epochs.iter().any(|epoch| epoch.will_not_come(spools));
    // Those that are not announced may still be asked about; the newest ones.
    epochs.sort_by_key(|epoch| (epoch.announced(spools).is_some(), epoch.id));
    let known = epochs.into_iter().rev().take(NAMED).filter(|epoch| epoch.acked > 0);
    Ok((
        known.map(|epoch| Acked { epoch: epoch.id, seq: epoch.acked, hash: epoch.hash }).collect(),
        unfinished,
    ))
}

/// The announced epochs of which more is held, ahead of what is missing, than their camera has written: its spool is an older copy, and
/// goes on with numbers that are taken.
pub(super) fn overtaken(
    db: &Connection,
    camera: &CameraId,
    spools: &[SpoolState],
) -> Result<Vec<Epoch>, StoreError> {
    let Some(log) = find(db, camera)? else { return Ok(Vec::new()) };
    let mut epochs = EpochRow::all(db, log)?;
    epochs.retain(|epoch| {
        let is_behind = |spool: &SpoolState| spool.next <= epoch.ahead;
        epoch.ahead > epoch.acked && epoch.announced(spools).is_some_and(is_behind)
    });
    Ok(epochs.into_iter().map(|epoch| epoch.id).collect())
}

/// What a wiped spool had not sent is lost; what has a new name since a conflict will come by that.
pub(super) fn give_up_vanished(
    db: &Connection,
    camera: &CameraId,
    spools: &[SpoolState],
    why: &LossReason,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(log) = find(db, camera)? else { return Ok(()) };
    for mut epoch in EpochRow::all(db, log)?.into_iter().filter(|epoch| epoch.will_not_come(spools)) {
        if epoch.announced(spools).is_some() {
            epoch.next = epoch.acked + 1;
        } else {
            let (id, first, last) = (epoch.id, epoch.acked + 1, epoch.next - 1);
            // Nothing was ever sent of an epoch that was only told of: then nothing is known of its beginning.
            let from = if epoch.acked == 0 { Timestamp::default() } else { epoch.acked_at };
            let to = if epoch.as_of == Timestamp::MIN { now } else { epoch.as_of };
            epoch.lose(db, &LostRange { epoch: id, first, last, from, to, why: why.clone() })?;
        }
        epoch.save(db)?;
    }
    Ok(())
}

/// An epoch's name as SQLite keeps it.
pub(super) fn bytes(id: Epoch) -> [u8; 16] {
    id.as_uuid().into_bytes()
}

fn read(row: &Row<'_>) -> rusqlite::Result<EpochRow> {
    Ok(EpochRow {
        log: row.get("log")?,
        id: row::id(row, "id")?,
        own: row.get("own")?,
        acked: unsigned(row.get("acked")?),
        acked_at: row::time(row, "acked_at")?,
        hash: row.get::<_, Option<[u8; 16]>>("hash")?.map(Digest::from_bytes),
        next: unsigned(row.get("next")?),
        as_of: row::time(row, "as_of")?,
        purged: unsigned(row.get("purged")?),
        purged_at: row::time(row, "purged_at")?,
        ahead: unsigned(row.get("ahead")?),
    })
}
