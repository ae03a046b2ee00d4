//! Reading in the order in which events came, which is how they are followed: what comes late stands at the end all the same.

use oriel_proto::{CameraId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{
    super::row,
    Store, StoreError, find,
    read::{KeptEvent, kept},
    signed, unsigned,
};

/// Rows that one reading passes over at most where no index leads to the wanted ones: a few milliseconds.
const SCAN: u64 = 10_000;

/// Of so many rows fewer than one is wanted where an index pays, which leads to those of a log through all that it has of the time.
const SPARSE: u64 = 100;

/// A place in the order in which events came; 0 lies before all of them. Numbers grow, and none is ever given twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Arrival(u64);

impl Arrival {
    /// The place before this one.
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    const fn plus(self, places: u64) -> Self {
        Self(self.0.saturating_add(places))
    }
}

/// Which arrivals are read.
#[derive(Clone, Debug)]
pub struct Arrivals {
    /// Those behind this place,
    pub after: Arrival,
    /// up to this one,
    pub up_to: Arrival,
    /// of the log of this camera, or of all of them,
    pub camera: Option<CameraId>,
    /// that happened at this time or later.
    pub from: Option<Timestamp>,
    /// Whether few of what came are of this camera, as the reading before has found.
    pub is_sparse: bool,
}

/// What a reading came to.
#[derive(Debug)]
pub struct Arrived<T> {
    /// What the events were gathered in.
    pub into: T,
    /// Everything wanted up to this place was given.
    pub up_to: Arrival,
    /// Whether retention has removed events behind the place from which on it read.
    pub purged: bool,
    /// Whether few of what came are of the wanted camera.
    pub is_sparse: bool,
}

/// Where a history begins in the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryStart {
    /// The place before its first event; none when it has no event.
    pub after: Option<Arrival>,
    /// Whether retention has removed events of it.
    pub purged: bool,
}

impl Store {
    /// The last event that is on disk.
    pub fn arrived(&self) -> Arrival {
        *self.writer.arrived.borrow()
    }

    /// Tells of each commit that brought events, as [`Store::arrived`].
    pub fn arrivals(&self) -> watch::Receiver<Arrival> {
        self.writer.arrived.clone()
    }

    /// Gives events with their cameras in the order in which they came to `each`, at most so many.
    pub async fn read_arrivals<T: Send + 'static>(
        &self,
        wanted: Arrivals,
        most: u64,
        into: T,
        each: impl FnMut(&mut T, Arrival, &CameraId, &KeptEvent<'_>) + Send + 'static,
    ) -> Result<Arrived<T>, StoreError> {
        let read = move |db: &Connection| {
            // One look at the file: what is said to be removed must not be among the rows.
            let transaction = db.unchecked_transaction()?;
            read(&transaction, &wanted, most, into, each)
        };
        self.readers.run(read).await
    }

    /// Where the history of these cameras from a time on begins.
    pub async fn history_start(
        &self,
        cameras: Vec<CameraId>,
        from: Timestamp,
    ) -> Result<HistoryStart, StoreError> {
        let read = move |db: &Connection| {
            let first =
                "SELECT min(arrival) FROM events INDEXED BY events_in_order WHERE log = ?1 AND at >= ?2";
            let purged = "SELECT 1 FROM epochs WHERE log = ?1 AND own = 0 AND purged > 0 AND purged_at >= ?2";
            let mut start = HistoryStart { after: None, purged: false };
            for camera in &cameras {
                let Some(log) = find(db, camera)? else { continue };
                let place = params![log, from.as_micros()];
                let first: Option<i64> = db.prepare_cached(first)?.query_row(place, |row| row.get(0))?;
                let after = first.map(|first| Arrival(unsigned(first)).before());
                start.after = [start.after, after].into_iter().flatten().min();
                start.purged |= db.prepare_cached(purged)?.exists(place)?;
            }
            Ok(start)
        };
        self.readers.run(read).await
    }
}

/// The last event that was ever written.
pub(in crate::store) fn newest(db: &Connection) -> Result<Arrival, StoreError> {
    let mut statement = db.prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'events'")?;
    let newest = statement.query_row((), |row| row.get(0)).optional()?;
    Ok(Arrival(newest.map_or(0, unsigned)))
}

fn read<T>(
    db: &Connection,
    wanted: &Arrivals,
    most: u64,
    mut into: T,
    mut each: impl FnMut(&mut T, Arrival, &CameraId, &KeptEvent<'_>),
) -> Result<Arrived<T>, StoreError> {
    let log = match &wanted.camera {
        // No log has the number 0.
        Some(camera) => Some(find(db, camera)?.unwrap_or(0)),
        None => None,
    };
    let purged = wanted.after < purged(db, log)?;
    // What is gone need not be looked at.
    let after = wanted.after.max(self::purged(db, None)?);
    let is_far = wanted.up_to > after.plus(SCAN);
    let (sql, end) = match log {
        Some(_) if is_far && wanted.is_sparse => (LED, wanted.up_to),
        _ => (SCANNED, wanted.up_to.min(after.plus(SCAN)).max(wanted.after)),
    };
    let from = wanted.from.unwrap_or(Timestamp::MIN).as_micros();
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![signed(after.0), signed(end.0), log, from, signed(most)])?;
    let (mut given, mut up_to) = (0, end);
    while let Some(row) = rows.next()? {
        let arrival = Arrival(unsigned(row.get("arrival")?));
        given += 1;
        if given == most {
            up_to = arrival;
        }
        // Of a removed camera nobody hears any more.
        if let Some(camera) = row::opt_parsed(row, "camera")? {
            each(&mut into, arrival, &camera, &kept(row)?);
        }
    }
    let is_sparse = wanted.is_sparse || (is_far && given < SCAN / SPARSE);
    Ok(Arrived { into, up_to, purged, is_sparse })
}

/// The highest arrival that retention removed, of a log or of all.
fn purged(db: &Connection, log: Option<i64>) -> Result<Arrival, StoreError> {
    let purged: Option<i64> = match log {
        Some(log) => {
            let mut statement = db.prepare_cached("SELECT purged FROM logs WHERE n = ?1")?;
            statement.query_row([log], |row| row.get(0)).optional()?
        }
        None => {
            db.prepare_cached("SELECT purged FROM arrivals")?.query_row((), |row| row.get(0)).optional()?
        }
    };
    Ok(Arrival(purged.map_or(0, unsigned)))
}

/// Passes over what came in between.
const SCANNED: &str = "
    SELECT v.arrival, l.camera, v.epoch, v.seq, v.at, v.received_at, v.kind, v.severity, v.description, v.data, v.image_at
    FROM events v CROSS JOIN logs l ON l.n = v.log
    WHERE v.arrival > ?1 AND v.arrival <= ?2 AND (?3 IS NULL OR v.log = ?3) AND v.at >= ?4
    ORDER BY v.arrival LIMIT ?5";

/// Led to the arrivals of one log by its index.
const LED: &str = "
    SELECT v.arrival, l.camera, v.epoch, v.seq, v.at, v.received_at, v.kind, v.severity, v.description, v.data, v.image_at
    FROM (SELECT arrival FROM events INDEXED BY events_in_order
          WHERE log = ?3 AND at >= ?4 AND arrival > ?1 AND arrival <= ?2 ORDER BY arrival LIMIT ?5) AS w
    CROSS JOIN events v ON v.arrival = w.arrival CROSS JOIN logs l ON l.n = v.log
    ORDER BY v.arrival";
