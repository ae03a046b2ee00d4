//! Who waits for which answer. An entry leaves the table when its answer ends, when its asker leaves, or when the link closes:
//! whichever comes first, and only once.
//!
//! What comes is kept as the bytes that came, and read by who takes it: the pump stays quick, and an answer that waits for a
//! slow reader takes no more than its credit.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use oriel_proto::{
    Failure, FailureCode, RequestId,
    limits::{CALLS, FIRST_CREDIT},
};
use tokio::sync::Notify;

use crate::hash::Hashing;

/// Why a question has no answer, or no more of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The socket ended.
    #[error("the camera's connection ended")]
    Closed,
    /// Too many questions are open on this socket.
    #[error("too many questions are open on the camera's connection")]
    Busy,
    /// The camera said that it has no answer.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl CallError {
    /// The camera answered with something that cannot be read.
    pub(super) fn unreadable(why: &str) -> Self {
        let why = format!("the camera's answer cannot be read by this gateway: {why}");
        Self::Failed(Failure::new(FailureCode::Internal, why))
    }
}

/// The table of open questions; allocates with the first one.
#[derive(Debug, Default)]
pub(super) struct Pending(Mutex<Table>);

#[derive(Debug)]
enum Table {
    Open(HashMap<RequestId, Arc<Slot>, Hashing>),
    Closed,
}

impl Default for Table {
    fn default() -> Self {
        Self::Open(HashMap::default())
    }
}

/// A sender went over its credit, or counted its Parts wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OverCredit;

impl Pending {
    /// Adds a question, of which the answer gathers in `slot`.
    pub(super) fn insert(&self, id: RequestId, slot: &Arc<Slot>) -> Result<(), CallError> {
        match &mut *self.lock() {
            Table::Closed => Err(CallError::Closed),
            Table::Open(slots) if slots.len() >= CALLS as usize => Err(CallError::Busy),
            Table::Open(slots) => {
                slots.insert(id, Arc::clone(slot));
                Ok(())
            }
        }
    }

    /// The `n`th Part, which costs its length in credit; gives where it lies until whoever takes it is told, none when nobody waits.
    pub(super) fn part(&self, id: RequestId, n: u64, frame: &Bytes) -> Result<Option<Arc<Slot>>, OverCredit> {
        let slot = match &*self.lock() {
            Table::Open(slots) => slots.get(&id).cloned(),
            Table::Closed => None,
        };
        slot.map(|slot| slot.push(n, frame).map(|()| slot)).transpose()
    }

    /// A Reply or Done; false when nobody waits for it.
    pub(super) fn end(&self, id: RequestId, frame: Bytes) -> bool {
        self.finish(id, End::Frame(frame))
    }

    /// There is no answer, or no more of it; false when nobody waits for it.
    pub(super) fn fail(&self, id: RequestId, failure: Failure) -> bool {
        self.finish(id, End::Error(CallError::Failed(failure)))
    }

    /// Answers every waiter and refuses late tickets.
    pub(super) fn close(&self) {
        let table = mem::replace(&mut *self.lock(), Table::Closed);
        if let Table::Open(slots) = table {
            for slot in slots.into_values() {
                slot.finish(End::Error(CallError::Closed));
            }
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.lock(), Table::Closed)
    }

    pub(super) fn len(&self) -> usize {
        match &*self.lock() {
            Table::Open(slots) => slots.len(),
            Table::Closed => 0,
        }
    }

    fn finish(&self, id: RequestId, end: End) -> bool {
        self.remove(id).map(|slot| slot.finish(end)).is_some()
    }

    /// Takes a question out, if it is still open.
    pub(super) fn remove(&self, id: RequestId) -> Option<Arc<Slot>> {
        match &mut *self.lock() {
            Table::Open(slots) => {
                let slot = slots.remove(&id);
                // An idle connection keeps no table.
                if slots.is_empty() {
                    *slots = HashMap::default();
                }
                slot
            }
            Table::Closed => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where an answer gathers until its asker takes it; bounded by the credit that was given.
#[derive(Debug)]
pub(super) struct Slot {
    state: Mutex<Gathered>,
    news: Notify,
}

#[derive(Debug)]
struct Gathered {
    /// Parts in the order they came.
    parts: VecDeque<Bytes>,
    end: Option<End>,
    /// Bytes that the sender may still send.
    credit: u32,
    /// The number of the next Part.
    next: u64,
}

/// The last that comes of an answer.
#[derive(Debug)]
pub(super) enum End {
    /// A Reply or Done.
    Frame(Bytes),
    /// No frame will come.
    Error(CallError),
}

impl Default for Slot {
    fn default() -> Self {
        let gathered = Gathered { parts: VecDeque::new(), end: None, credit: FIRST_CREDIT, next: 0 };
        Self { state: Mutex::new(gathered), news: Notify::new() }
    }
}

impl Slot {
    /// The next that comes. Safe to drop and call again.
    pub(super) async fn next(&self) -> Came {
        loop {
            match self.pop() {
                Some(came) => return came,
                None => self.news.notified().await,
            }
        }
    }

    fn push(&self, n: u64, frame: &Bytes) -> Result<(), OverCredit> {
        let cost = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let mut state = self.lock();
        if n != state.next {
            return Err(OverCredit);
        }
        state.credit = state.credit.checked_sub(cost).ok_or(OverCredit)?;
        state.next += 1;
        state.parts.push_back(frame.clone());
        Ok(())
    }

    /// Tells whoever takes it that Parts have come.
    pub(super) fn tell(&self) {
        self.news.notify_one();
    }

    fn finish(&self, end: End) {
        self.lock().end = Some(end);
        self.news.notify_one();
    }

    fn pop(&self) -> Option<Came> {
        let mut state = self.lock();
        match state.parts.pop_front() {
            Some(part) => Some(Came::Part(part)),
            None => state.end.take().map(Came::End),
        }
    }

    /// Allows more, unless the answer has ended; says whether it has not.
    pub(super) fn allow(&self, bytes: u32) -> bool {
        let mut state = self.lock();
        if state.end.is_none() {
            state.credit = state.credit.saturating_add(bytes);
        }
        state.end.is_none()
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What comes of an answer.
pub(super) enum Came {
    /// A Part.
    Part(Bytes),
    /// Nothing comes behind it.
    End(End),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_without_open_questions_keeps_no_table() {
        let (pending, id) = (Pending::default(), RequestId::new());
        assert_eq!(pending.insert(id, &Arc::default()), Ok(()));
        assert!(pending.remove(id).is_some());
        let room = match &*pending.lock() {
            Table::Open(slots) => slots.capacity(),
            Table::Closed => usize::MAX,
        };
        assert_eq!(room, 0);
    }
}
