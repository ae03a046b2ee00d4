//! What a gateway says it holds, compared with what is here; and a new epoch when the two cannot both be true.

use oriel_proto::{Epoch, Seq, Timestamp, codec::digest, frame::Acked};
use rusqlite::params;

use super::{
    SpoolError,
    db::{Db, insert_epoch},
    head::EpochHead,
    losses,
    rows::{self, signed},
};

impl Db {
    /// Takes what a gateway acknowledged for good; true when that contradicts the spool, which then began a new epoch.
    pub(crate) fn reconcile(&mut self, acked: &[Acked]) -> Result<bool, SpoolError> {
        let mut changed = false;
        for said in acked {
            let Some(epoch) = self.head().find(said.epoch).map(|epoch| *epoch) else { continue };
            if epoch.superseded {
                continue;
            }
            if self.contradicts(&epoch, said)? {
                tracing::warn!(epoch = %epoch.id, "the gateway holds other events of this epoch: a new one begins");
                self.supersede(epoch.id)?;
                changed = true;
            } else {
                self.acknowledge(epoch.id, said.seq)?;
            }
        }
        Ok(changed)
    }

    /// Whether the gateway holds what this spool has not written, or wrote differently.
    fn contradicts(&self, epoch: &EpochHead, said: &Acked) -> Result<bool, SpoolError> {
        if said.seq >= epoch.next {
            return Ok(true);
        }
        let Some(hash) = said.hash else { return Ok(false) };
        let own = rows::read(&self.conn, epoch, (said.seq, said.seq), false, 1, usize::MAX)?;
        Ok(own.events.first().is_some_and(|own| digest(&own.event) != hash))
    }

    /// Notes that everything of `epoch` up to `seq` is safe; never lowers it.
    pub(crate) fn acknowledge(&mut self, epoch: Epoch, seq: Seq) -> Result<(), SpoolError> {
        let Some(known) = self.head().find(epoch).map(|epoch| *epoch) else { return Ok(()) };
        let seq = seq.min(known.next - 1);
        if seq > known.acked {
            losses::set_acked(&self.conn, epoch, seq)?;
            if let Some(epoch) = self.head().find(epoch) {
                epoch.acked = seq;
            }
        }
        Ok(())
    }

    /// Ends `epoch` for a conflict: what was not acknowledged moves to a new epoch and keeps its old identity in `was`.
    pub(crate) fn supersede(&mut self, epoch: Epoch) -> Result<(), SpoolError> {
        let Some(old) = self.head().find(epoch).map(|epoch| *epoch) else { return Ok(()) };
        if old.superseded {
            return Ok(());
        }
        let first = (old.acked + 1).max(old.first).min(old.next);
        let moved = old.next - first;
        let id = Epoch::new();
        let tx = self.conn.transaction()?;
        let n = insert_epoch(&tx, id, 1)?;
        tx.execute("UPDATE epoch SET next = ?2 WHERE n = ?1", params![n, signed(moved + 1)])?;
        tx.execute(
            "UPDATE event SET epoch = ?1, seq = seq - ?2, was_epoch = coalesce(was_epoch, ?3), was_seq = coalesce(was_seq, seq) WHERE epoch = ?4 AND seq >= ?5",
            params![n, signed(first - 1), old.id.as_uuid().into_bytes(), old.n, signed(first)],
        )?;
        tx.execute(
            "UPDATE epoch SET next = ?2, first = min(first, ?2), superseded = 1 WHERE n = ?1",
            params![old.n, signed(first)],
        )?;
        losses::forget_oldest(&tx)?;
        tx.commit()?;
        let last_at = rows::at(&self.conn, n, moved)?.unwrap_or(Timestamp::MIN);
        let mut head = self.head();
        if let Some(old) = head.find(epoch) {
            (old.next, old.superseded) = (first, true);
        }
        head.begin_epoch(EpochHead { next: moved + 1, ..EpochHead::new(n, id) }, last_at);
        Ok(())
    }
}
