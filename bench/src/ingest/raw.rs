//! The least that keeping events costs: the same rows go into the same table of a file of their own, and nothing else is done.

use std::time::{Duration, Instant};

use oriel_gateway::{
    clock,
    store::{FILE_NAME, Store},
};
use oriel_proto::{Event, Seq, codec::digest, event::Data, frame::Digest};
use rusqlite::{Connection, TransactionBehavior, params};
use tempfile::TempDir;

use super::camera::Story;
use crate::failure::{Failure, Result};

/// Kibibytes of the file that a connection keeps, as in `gateway/src/store/open.rs`.
const CACHE: i32 = 256;

/// Rows of a commit, as in `gateway/src/ingest.rs`.
const GROUP: usize = 1_000;

/// The statement of `gateway/src/store/log/write.rs`.
const INSERT: &str = "INSERT INTO events (log, epoch, seq, at, received_at, kind, severity, description,
                                          data, image_at, was_epoch, was_seq, hash)
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";

/// A file with the gateway's tables, in the same folder for temporary files as the gateway's own.
#[derive(Debug)]
pub(super) struct Raw {
    db: Connection,
    _folder: TempDir,
}

/// An event as it is written down.
#[derive(Debug)]
pub(super) struct Row {
    log: usize,
    epoch: [u8; 16],
    seq: Seq,
    /// Without its data.
    event: Event,
    data: String,
    hash: Digest,
}

impl Row {
    /// That of an event of the `log`th camera.
    pub(super) fn of(log: usize, story: &Story, seq: Seq) -> Self {
        let mut event = story.event(seq);
        let (epoch, hash) = (story.epoch.as_uuid().into_bytes(), digest(&event));
        let data = serde_json::Value::from(std::mem::replace(&mut event.data, Data::new())).to_string();
        Self { log, epoch, seq, event, data, hash }
    }
}

impl Raw {
    /// Makes the file.
    pub(super) async fn open() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("oriel-bench-raw-").tempdir()?;
        // So the tables and the indexes are those of every version, and the file is made the same way.
        Store::open(folder.path())?.close().await;
        let db = Connection::open(folder.path().join(FILE_NAME))?;
        db.pragma_update(None, "foreign_keys", true)?;
        db.pragma_update(None, "cache_size", -CACHE)?;
        db.pragma_update(None, "synchronous", "FULL")?;
        let journal: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        if journal != "wal" {
            return Err(Failure::new(format!("the raw file's journal is {journal}, not a write-ahead log")));
        }
        Ok(Self { db, _folder: folder })
    }

    /// Writes rows, all of them durable when this returns; how long it took.
    pub(super) fn write(&mut self, rows: &[Row]) -> Result<Duration> {
        let start = Instant::now();
        for group in rows.chunks(GROUP) {
            let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let now = clock::now().as_micros();
            let mut insert = transaction.prepare_cached(INSERT)?;
            for Row { log, epoch, seq, event, data, hash } in group {
                insert.execute(params![
                    i64::try_from(*log)?,
                    epoch,
                    i64::try_from(*seq)?,
                    event.at.as_micros(),
                    now,
                    event.kind.as_str(),
                    event.severity.as_str(),
                    event.description,
                    data,
                    None::<i64>,
                    None::<[u8; 16]>,
                    None::<i64>,
                    hash.as_bytes(),
                ])?;
            }
            drop(insert);
            transaction.commit()?;
        }
        Ok(start.elapsed())
    }

    /// How many rows there are.
    pub(super) fn count(&self) -> Result<u64> {
        let count: i64 = self.db.query_row("SELECT count(*) FROM events", (), |row| row.get(0))?;
        Ok(u64::try_from(count)?)
    }
}
