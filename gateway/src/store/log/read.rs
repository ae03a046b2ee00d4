//! Answering from what is kept: one page in the total order, and how far what is kept reaches.

use std::{cmp::Reverse, time::Duration};

use oriel_proto::{
    CameraId, Epoch, Seq, Timestamp,
    call::{EventsCall, Have, Order},
    event::{Data, EventFilter, LossReason, LostRange, Position, SeqRange},
    frame::SpoolState,
    limits::{HAVE_RANGES, SEARCH_ROWS},
    view::EventView,
};
use rusqlite::{Connection, OptionalExtension, Row, params, types::ValueRef};

use super::{
    super::row,
    Store, StoreError,
    epoch::{EpochRow, bytes},
    find, signed, unsigned,
};

/// Losses that one answer names at most: the newest.
const LOSSES: u32 = 48;

/// An event as it is kept, borrowed from its row.
#[derive(Debug)]
pub struct KeptEvent<'a> {
    /// The event, without its data.
    pub event: EventView<'a>,
    /// Its data as a JSON object; none for an empty one.
    pub data: Option<&'a str>,
    /// When it came here.
    pub received_at: Timestamp,
}

/// One page of a log.
#[derive(Debug)]
pub struct Read<T> {
    /// What the events were gathered in.
    pub into: T,
    /// The place of the last event given.
    pub last: Option<Position>,
    /// Whether more lie in the range.
    pub more: bool,
    /// The place up to which a search looked before it gave up; none when it did not.
    pub gave_up: Option<Position>,
    /// How far what is kept reaches.
    pub extent: Extent,
}

/// How far what is kept of a log reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Everything up to this time is held, or known lost, or was removed; none when the camera never sent anything.
    pub horizon: Option<Timestamp>,
    /// The latest time of the camera's clock of which something is known.
    pub as_of: Option<Timestamp>,
    /// Retention has removed events up to this time, which itself is later than all of them.
    pub purged: Option<Timestamp>,
    /// The newest losses in the range asked for, oldest first.
    pub lost: Vec<LostRange>,
    /// Whether something is missing that the camera has told of.
    pub has_holes: bool,
    /// What is held, or known lost, of the epochs that reach to the horizon or beyond: the largest.
    pub held: Vec<Held>,
}

/// How far an epoch is held, or known lost, from its first event on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The epoch.
    pub epoch: Epoch,
    /// The last number.
    pub acked: Seq,
    /// The latest time of it.
    pub acked_at: Timestamp,
}

impl Held {
    /// It as a camera is told that.
    pub fn have(&self) -> Have {
        Have { epoch: self.epoch, ranges: vec![SeqRange { first: 1, last: self.acked }] }
    }
}

impl Store {
    /// Gives the events of a camera that `call` asks for to `each`, in their order, with whatever they are gathered in. `told` is what
    /// the camera said last of its epochs, of which the present one is the last. Gives up a search after a million rows.
    pub async fn read_log<T: Send + 'static>(
        &self,
        camera: CameraId,
        call: EventsCall,
        told: Vec<SpoolState>,
        into: T,
        each: impl FnMut(&mut T, &KeptEvent<'_>) + Send + 'static,
    ) -> Result<Read<T>, StoreError> {
        let read = move |db: &Connection| {
            // One look at the file: what the extent promises must be among the rows.
            let transaction = db.unchecked_transaction()?;
            // No log has the number 0.
            let log = find(&transaction, &camera)?.unwrap_or(0);
            let extent = extent(&transaction, log, &call, &told)?;
            page(&transaction, log, &call, extent, into, each)
        };
        self.readers.run(read).await
    }

    /// Whether everything is here that the camera has written, where `told` is what it said last of its epochs.
    pub async fn is_whole(&self, camera: CameraId, told: Vec<SpoolState>) -> Result<bool, StoreError> {
        let read = move |db: &Connection| {
            let log = find(db, &camera)?.unwrap_or(0);
            Ok(sent(db, log, &told)?.iter().all(EpochRow::is_whole))
        };
        self.readers.run(read).await
    }

    /// Whether the camera itself has ever sent something that is or was kept.
    pub async fn has_log(&self, camera: CameraId) -> Result<bool, StoreError> {
        let read = move |db: &Connection| {
            let sql = "SELECT 1 FROM logs l JOIN epochs e ON e.log = l.n
                       WHERE l.camera = ?1 AND e.own = 0 AND (e.acked > 0 OR l.posted_epoch IS NOT NULL)";
            Ok(db.prepare_cached(sql)?.exists([camera.as_str()])?)
        };
        self.readers.run(read).await
    }
}

/// An answer begins or ends behind this place, which lies in no log: smaller than every epoch.
const BEFORE_ALL: &[u8] = &[];

fn page<T>(
    db: &Connection,
    log: i64,
    call: &EventsCall,
    extent: Extent,
    into: T,
    mut each: impl FnMut(&mut T, &KeptEvent<'_>),
) -> Result<Read<T>, StoreError> {
    let (filter, limit) = (call.filter(), call.limit.unwrap_or(u64::MAX));
    let mut read = Read { into, last: None, more: false, gave_up: None, extent };
    let mut statement = db.prepare_cached(&sql(&call.order))?;
    let (begin, end) = ends(call);
    let mut rows = statement.query(params![log, end, begin.0, begin.1, begin.2])?;
    let (mut given, mut examined) = (0, 0);
    let mut looked_at = None;
    while let Some(row) = rows.next()? {
        if given == limit {
            read.more = true;
            break;
        }
        if examined == SEARCH_ROWS && !filter.is_open() {
            (read.more, read.gave_up) = (true, looked_at);
            break;
        }
        examined += 1;
        let kept = kept(row)?;
        looked_at = Some(kept.event.position());
        if wants(&filter, &kept.event) {
            given += 1;
            read.last = looked_at;
            each(&mut read.into, &kept);
        }
    }
    Ok(read)
}

/// The place behind which an answer begins, and the time at which it ends at the latest.
pub(super) fn ends(call: &EventsCall) -> ((i64, Vec<u8>, i64), i64) {
    let (from, to) = (call.from.unwrap_or(Timestamp::MIN), call.to.unwrap_or(Timestamp::MAX));
    let desc = call.order == Order::Desc;
    let (begin, end) = if desc { (to, from) } else { (from, to) };
    let within = |after: &Position| if desc { after.at < begin } else { after.at >= begin };
    let begin = match call.after.filter(within) {
        Some(after) => (after.at.as_micros(), bytes(after.epoch).to_vec(), signed(after.seq)),
        None => (begin.as_micros(), BEFORE_ALL.to_vec(), 0),
    };
    (begin, end.as_micros())
}

/// One bound on each side, so that a page begins where it is and not where the question does.
fn sql(order: &Order) -> String {
    let (behind, until, direction) =
        if *order == Order::Desc { ('<', ">=", "DESC") } else { ('>', "<", "ASC") };
    format!(
        "SELECT epoch, seq, at, received_at, kind, severity, description, data, image_at FROM events
         WHERE log = ?1 AND at {until} ?2 AND (at, epoch, seq) {behind} (?3, ?4, ?5)
         ORDER BY at {direction}, epoch {direction}, seq {direction}"
    )
}

fn wants(filter: &EventFilter, event: &EventView<'_>) -> bool {
    filter.wants(event.kind, event.severity, event.description)
}

pub(super) fn kept<'a>(row: &'a Row<'_>) -> rusqlite::Result<KeptEvent<'a>> {
    let data = match row.get_ref("data")? {
        ValueRef::Null => None,
        text => Some(text.as_str()?),
    };
    let event = EventView {
        epoch: row::id(row, "epoch")?,
        seq: unsigned(row.get("seq")?),
        at: row::time(row, "at")?,
        kind: row.get_ref("kind")?.as_str()?,
        severity: row.get_ref("severity")?.as_str()?,
        description: row.get_ref("description")?.as_str()?,
        data: Data::new(),
        image_at: row::opt_time(row, "image_at")?,
        was: None,
    };
    Ok(KeptEvent { event, data, received_at: row::time(row, "received_at")? })
}

fn extent(db: &Connection, log: i64, call: &EventsCall, told: &[SpoolState]) -> Result<Extent, StoreError> {
    let epochs = sent(db, log, told)?;
    let purged = EpochRow::all(db, log)?.into_iter().filter(|epoch| !epoch.own && epoch.purged > 0);
    let purged = purged.map(|epoch| epoch.purged_at.after(Duration::from_micros(1))).max();
    let reach = |epoch: &EpochRow| epoch.as_of.max(epoch.acked_at);
    // A clock that was set back leaves epochs behind that reach further than the one which is still written.
    let present = match told.last() {
        Some(told) => Some(told.epoch),
        None => present(db, log)?,
    };
    let present = epochs.iter().find(|epoch| Some(epoch.id) == present).map(reach);
    let present = present.or_else(|| epochs.iter().map(reach).max());
    let with_holes = || epochs.iter().filter(|epoch| !epoch.is_whole());
    // What is missing of those stays missing, however far behind the present one it lies.
    let as_of = present.max(with_holes().map(reach).max());
    let first_hole = with_holes().map(|epoch| epoch.acked_at).min();
    let horizon = first_hole.into_iter().chain(present).min();
    // Of an epoch that has a hole at its beginning nothing is known, not even when it began.
    let horizon = horizon.filter(|horizon| *horizon > Timestamp::MIN);
    let has_holes = with_holes().next().is_some();
    let (lost, held) = (losses(db, log, call)?, held(&epochs, horizon));
    Ok(Extent { horizon, as_of, purged, lost, has_holes, held })
}

/// What need not be asked for, though it does not lie before the horizon.
fn held(epochs: &[EpochRow], horizon: Option<Timestamp>) -> Vec<Held> {
    let mut epochs: Vec<_> =
        epochs.iter().filter(|epoch| epoch.acked > 0 && Some(epoch.acked_at) >= horizon).collect();
    epochs.sort_by_key(|epoch| Reverse(epoch.acked));
    let held = |epoch: &EpochRow| Held { epoch: epoch.id, acked: epoch.acked, acked_at: epoch.acked_at };
    epochs.into_iter().take(HAVE_RANGES).map(held).collect()
}

/// The epoch that the camera wrote last, as far as the store knows.
fn present(db: &Connection, log: i64) -> Result<Option<Epoch>, StoreError> {
    let mut statement = db.prepare_cached("SELECT present FROM logs WHERE n = ?1 AND present IS NOT NULL")?;
    Ok(statement.query_row([log], |row| row::id(row, "present")).optional()?)
}

/// The epochs that the camera itself writes, as it told last: what the gateway wrote says nothing about how far those reach.
fn sent(db: &Connection, log: i64, told: &[SpoolState]) -> Result<Vec<EpochRow>, StoreError> {
    let mut epochs = EpochRow::all(db, log)?;
    epochs.retain(|epoch| !epoch.own);
    for told in told {
        let known = epochs.iter().position(|epoch| epoch.id == told.epoch);
        let mut epoch =
            known.map_or(EpochRow::new(log, told.epoch, false), |known| epochs.swap_remove(known));
        epoch.told(told.next, told.as_of);
        epochs.push(epoch);
    }
    Ok(epochs)
}

fn losses(db: &Connection, log: i64, call: &EventsCall) -> Result<Vec<LostRange>, StoreError> {
    let sql = "SELECT epoch, first, last, from_at, to_at, why FROM lost
               WHERE log = ?1 AND from_at < ?2 AND to_at >= ?3 ORDER BY to_at DESC LIMIT ?4";
    let (from, to) = (call.from.unwrap_or(Timestamp::MIN), call.to.unwrap_or(Timestamp::MAX));
    let mut statement = db.prepare_cached(sql)?;
    let found = statement.query_map(params![log, to.as_micros(), from.as_micros(), LOSSES], |row| {
        Ok(LostRange {
            epoch: row::id::<Epoch>(row, "epoch")?,
            first: unsigned(row.get("first")?),
            last: unsigned(row.get("last")?),
            from: row::time(row, "from_at")?,
            to: row::time(row, "to_at")?,
            why: LossReason::from(row.get_ref("why")?.as_str()?),
        })
    })?;
    let mut lost: Vec<_> = found.collect::<Result<_, _>>()?;
    lost.reverse();
    Ok(lost)
}
