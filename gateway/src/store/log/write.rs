//! Keeping what came: each event once, whatever is sent again.

use oriel_proto::{Epoch, EventId, Seq, Timestamp, event::LostRange};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Batch, Content, Delivery, Kept, NewEvent, NewEvents, StoreError,
    epoch::{EpochRow, Stretch, bytes},
    give_way, log_of, presence, signed,
};

/// Keeps one delivery, or says why not.
pub(super) fn keep(db: &Connection, delivery: &Delivery, now: Timestamp) -> Result<Kept, StoreError> {
    let Some(log) = log_of(db, &delivery.camera, delivery.agent)? else { return Ok(Kept::NotYours) };
    match &delivery.content {
        Content::Events(batch) => keep_events(db, log, batch, now),
        Content::Lost(lost) => keep_lost(db, log, lost),
        Content::Presence(presence) => presence::keep(db, log, presence, now),
    }
}

fn keep_events(db: &Connection, log: i64, batch: &Batch, now: Timestamp) -> Result<Kept, StoreError> {
    let mut epoch = EpochRow::load(db, log, batch.epoch)?;
    let conflict = Kept::Conflict { epoch: epoch.id };
    if epoch.own {
        return Ok(conflict);
    }
    if batch.first > epoch.acked + 1 && !batch.ahead {
        return Ok(Kept::Gap { epoch: epoch.id });
    }
    let NewEvents(events) = &batch.events;
    let mut fresh = Vec::with_capacity(events.len());
    for (seq, new) in (batch.first..).zip(events) {
        let known = match seq {
            _ if seq <= epoch.acked => Some(is_same(db, &epoch, seq, new)?),
            _ if seq <= epoch.ahead => compare(db, log, EventId { epoch: epoch.id, seq }, new)?,
            _ => None,
        };
        match known {
            None => fresh.push((seq, new)),
            Some(true) => {}
            Some(false) => return Ok(conflict),
        }
    }
    let mut stored = 0;
    for (n, (seq, new)) in fresh.into_iter().enumerate() {
        give_way(n);
        if !is_held_elsewhere(db, log, new)? {
            insert(db, log, epoch.id, seq, new, now)?;
            stored += 1;
        }
    }
    let doubled = events.len() as u64 - stored;
    let end = batch.first + events.len() as Seq - 1;
    epoch.told(batch.next, batch.as_of);
    if batch.ahead {
        // Acknowledged as what came, which frees its agent's window; how far the log is held stays as it is.
        epoch.ahead = epoch.ahead.max(end);
        epoch.save_sent(db)?;
        return Ok(Kept::UpTo { epoch: epoch.id, acked: end, stored, doubled });
    }
    if let Some(last) = events.last() {
        let last_at = events.iter().map(|new| new.event.at).fold(Timestamp::MIN, Timestamp::max);
        epoch.cover(Stretch { last: end, last_at, hash: Some(last.hash) });
    }
    epoch.save_sent(db)?;
    Ok(Kept::UpTo { epoch: epoch.id, acked: epoch.acked, stored, doubled })
}

fn keep_lost(db: &Connection, log: i64, lost: &LostRange) -> Result<Kept, StoreError> {
    let mut epoch = EpochRow::load(db, log, lost.epoch)?;
    if epoch.own {
        return Ok(Kept::Conflict { epoch: epoch.id });
    }
    if lost.first > epoch.acked + 1 {
        return Ok(Kept::Gap { epoch: epoch.id });
    }
    epoch.lose(db, lost)?;
    epoch.save_sent(db)?;
    Ok(Kept::UpTo { epoch: epoch.id, acked: epoch.acked, stored: 0, doubled: 0 })
}

/// Whether an event is the one that is known by its name: held with the same content, or not held for a reason that is known.
fn is_same(db: &Connection, epoch: &EpochRow, seq: Seq, new: &NewEvent) -> Result<bool, StoreError> {
    if let Some(same) = compare(db, epoch.log, EventId { epoch: epoch.id, seq }, new)? {
        return Ok(same);
    }
    Ok(seq <= epoch.purged || is_lost(db, epoch, seq)? || is_held_elsewhere(db, epoch.log, new)?)
}

/// Whether the event of this name and time has the same content; none when there is no such event.
fn compare(db: &Connection, log: i64, id: EventId, new: &NewEvent) -> Result<Option<bool>, StoreError> {
    let sql = "SELECT hash = ?5 FROM events WHERE log = ?1 AND at = ?2 AND epoch = ?3 AND seq = ?4";
    let name = params![log, new.event.at.as_micros(), bytes(id.epoch), signed(id.seq), new.hash.as_bytes()];
    Ok(db.prepare_cached(sql)?.query_row(name, |row| row.get(0)).optional()?)
}

fn is_lost(db: &Connection, epoch: &EpochRow, seq: Seq) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM lost WHERE log = ?1 AND epoch = ?2 AND first <= ?3 AND last >= ?3";
    Ok(db.prepare_cached(sql)?.exists(params![epoch.log, bytes(epoch.id), signed(seq)])?)
}

/// Whether an event that had another name before is held by that, or by a third one, with the same content.
fn is_held_elsewhere(db: &Connection, log: i64, new: &NewEvent) -> Result<bool, StoreError> {
    let Some(was) = new.event.was else { return Ok(false) };
    if compare(db, log, was, new)? == Some(true) {
        return Ok(true);
    }
    let sql = "SELECT 1 FROM events WHERE log = ?1 AND was_epoch = ?2 AND was_seq = ?3 AND hash = ?4";
    let name = params![log, bytes(was.epoch), signed(was.seq), new.hash.as_bytes()];
    Ok(db.prepare_cached(sql)?.exists(name)?)
}

/// Writes one event.
pub(super) fn insert(
    db: &Connection,
    log: i64,
    epoch: Epoch,
    seq: Seq,
    new: &NewEvent,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO events (log, epoch, seq, at, received_at, kind, severity, description, data,
                                   image_at, was_epoch, was_seq, hash)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    let event = &new.event;
    db.prepare_cached(sql)?.execute(params![
        log,
        bytes(epoch),
        signed(seq),
        event.at.as_micros(),
        now.as_micros(),
        event.kind.as_str(),
        event.severity.as_str(),
        event.description,
        new.data,
        event.image_at.map(Timestamp::as_micros),
        event.was.map(|was| bytes(was.epoch)),
        event.was.map(|was| signed(was.seq)),
        new.hash.as_bytes(),
    ])?;
    Ok(())
}
