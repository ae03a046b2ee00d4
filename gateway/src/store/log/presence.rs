//! What the gateway itself writes into a log: that the camera came and went.

use oriel_proto::{CameraId, Epoch, Event, Kind, Severity, Timestamp, event::Data, frame::SpoolState};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    super::row,
    Kept, NewEvent, Store, StoreError,
    epoch::{EpochRow, Stretch, bytes},
    write,
};

/// The camera came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Whether it is connected now.
    pub online: bool,
    /// Since when.
    pub at: Timestamp,
    /// Why, where there is more to say than that.
    pub why: Option<&'static str>,
    /// What it had told of its log when it left, the present epoch last.
    pub told: Vec<SpoolState>,
}

impl Store {
    /// Writes down for each camera that a killed gateway left connected that it went, at the last time it was seen.
    pub async fn close_presences(&self, now: Timestamp) -> Result<(), StoreError> {
        let write = move |db: &Connection| {
            let sql =
                "SELECT l.n, c.last_seen_at FROM logs l JOIN cameras c ON c.id = l.camera WHERE l.online = 1";
            let mut statement = db.prepare(sql)?;
            let open =
                statement.query_map((), |row| Ok((row.get("n")?, row::opt_time(row, "last_seen_at")?)))?;
            let open: Vec<(i64, Option<Timestamp>)> = open.collect::<Result<_, _>>()?;
            for (log, seen) in open {
                let presence = Presence {
                    online: false,
                    at: seen.unwrap_or(now),
                    why: Some("gateway_killed"),
                    told: Vec::new(),
                };
                keep(db, log, &presence, now)?;
            }
            Ok(())
        };
        self.writer.run(write, |_| ()).await
    }

    /// The cameras of which the last thing written down is that they came.
    pub async fn present(&self) -> Result<Vec<CameraId>, StoreError> {
        let read = |db: &Connection| {
            let mut statement =
                db.prepare("SELECT camera FROM logs WHERE online = 1 AND camera IS NOT NULL")?;
            let cameras = statement.query_map((), |row| row::parsed(row, "camera"))?;
            Ok(cameras.collect::<Result<_, _>>()?)
        };
        self.readers.run(read).await
    }
}

/// Writes down that the camera of a log came or went, unless that is the last thing written.
pub(super) fn keep(
    db: &Connection,
    log: i64,
    presence: &Presence,
    now: Timestamp,
) -> Result<Kept, StoreError> {
    note_told(db, log, &presence.told)?;
    let mut epoch = own(db, log)?;
    let kept = |epoch: &EpochRow, stored| Kept::UpTo {
        epoch: epoch.id,
        acked: epoch.acked,
        stored,
        doubled: 1 - stored,
    };
    let sql = "UPDATE logs SET online = ?2 WHERE n = ?1 AND online <> ?2";
    if db.prepare_cached(sql)?.execute(params![log, presence.online])? == 0 {
        return Ok(kept(&epoch, 0));
    }
    // The order in which it is written is the order in which it happened, whatever the clock does.
    let at = presence.at.max(epoch.acked_at);
    let (seq, new) = (epoch.acked + 1, NewEvent::of(event(presence, at)));
    write::insert(db, log, epoch.id, seq, &new, now)?;
    epoch.cover(Stretch { last: seq, last_at: at, hash: Some(new.hash) });
    epoch.told(seq + 1, at);
    epoch.save(db)?;
    Ok(kept(&epoch, 1))
}

/// Writes down how far a log was said to be written, of which the last epoch is the present one: while its camera is away nothing else
/// tells it.
fn note_told(db: &Connection, log: i64, told: &[SpoolState]) -> Result<(), StoreError> {
    for spool in told {
        let mut epoch = EpochRow::load(db, log, spool.epoch)?;
        if !epoch.own {
            epoch.told(spool.next, spool.as_of);
            epoch.save_sent(db)?;
        }
    }
    if let Some(present) = told.last() {
        let sql = "UPDATE logs SET present = ?2 WHERE n = ?1 AND present IS NOT ?2";
        db.prepare_cached(sql)?.execute(params![log, bytes(present.epoch)])?;
    }
    Ok(())
}

/// The gateway's own epoch of a log.
fn own(db: &Connection, log: i64) -> Result<EpochRow, StoreError> {
    let mut statement = db.prepare_cached("SELECT id FROM epochs WHERE log = ?1 AND own = 1")?;
    let found = statement.query_row([log], |row| row::id::<Epoch>(row, "id")).optional()?;
    match found {
        Some(id) => EpochRow::load(db, log, id),
        None => Ok(EpochRow::new(log, Epoch::new(), true)),
    }
}

fn event(presence: &Presence, at: Timestamp) -> Event {
    let (kind, description) = match presence.online {
        true => (Kind::Online, "camera connected"),
        false => (Kind::Offline, "camera disconnected"),
    };
    let mut data = Data::new();
    data.insert("by".into(), "gateway".into());
    if let Some(why) = presence.why {
        data.insert("why".into(), why.into());
    }
    let (severity, description) = (Severity::Info, description.to_owned());
    Event { at, kind, severity, description, data, image_at: None, was: None }
}
