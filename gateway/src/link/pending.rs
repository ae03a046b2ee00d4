//! Who waits for which answer. An entry leaves the table when its answer ends, when its asker leaves, or when the link closes:
//! whichever comes first, and only once.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use oriel_proto::{
    Answer, Body, Failure, RequestId, Trailer,
    limits::{CALLS, FIRST_CREDIT, WINDOW},
};
use tokio::sync::Notify;

use super::Link;

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

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// More of it.
    Body(Body),
    /// The end of it.
    End(Trailer),
}

/// The table of open questions; allocates with the first one.
#[derive(Debug, Default)]
pub(super) struct Pending(Mutex<Table>);

#[derive(Debug)]
enum Table {
    Open(HashMap<RequestId, Arc<Slot>>),
    Closed,
}

impl Default for Table {
    fn default() -> Self {
        Self::Open(HashMap::new())
    }
}

/// A sender went over its credit, or counted its Parts wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OverCredit;

impl Pending {
    fn insert(&self, id: RequestId, slot: &Arc<Slot>) -> Result<(), CallError> {
        match &mut *self.lock() {
            Table::Closed => Err(CallError::Closed),
            Table::Open(slots) if slots.len() >= CALLS as usize => Err(CallError::Busy),
            Table::Open(slots) => {
                slots.insert(id, Arc::clone(slot));
                Ok(())
            }
        }
    }

    /// A piece of an answer of `cost` bytes; false when nobody waits for it.
    pub(super) fn part(&self, id: RequestId, n: u32, body: Body, cost: u32) -> Result<bool, OverCredit> {
        let slot = match &*self.lock() {
            Table::Open(slots) => slots.get(&id).cloned(),
            Table::Closed => None,
        };
        slot.map_or(Ok(false), |slot| slot.push(n, body, cost).map(|()| true))
    }

    /// The whole answer; false when nobody waits for it.
    pub(super) fn reply(&self, id: RequestId, answer: Answer) -> bool {
        self.end(id, answer.body, Ok(answer.trailer))
    }

    /// The end of an answer; false when nobody waits for it.
    pub(super) fn done(&self, id: RequestId, trailer: Trailer) -> bool {
        self.end(id, Vec::new(), Ok(trailer))
    }

    /// There is no answer, or no more of it; false when nobody waits for it.
    pub(super) fn fail(&self, id: RequestId, failure: Failure) -> bool {
        self.end(id, Vec::new(), Err(CallError::Failed(failure)))
    }

    /// Answers every waiter and refuses late tickets.
    pub(super) fn close(&self) {
        let table = mem::replace(&mut *self.lock(), Table::Closed);
        if let Table::Open(slots) = table {
            for slot in slots.into_values() {
                slot.finish(Vec::new(), Err(CallError::Closed));
            }
        }
    }

    /// Takes out a question that was never asked.
    pub(super) fn forget(&self, id: RequestId) {
        self.remove(id);
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

    fn end(&self, id: RequestId, bodies: Vec<Body>, end: Result<Trailer, CallError>) -> bool {
        self.remove(id).map(|slot| slot.finish(bodies, end)).is_some()
    }

    fn remove(&self, id: RequestId) -> Option<Arc<Slot>> {
        match &mut *self.lock() {
            Table::Open(slots) => {
                let slot = slots.remove(&id);
                // A burst must not leave its table behind on an idle connection.
                if slots.is_empty() && slots.capacity() > 64 {
                    *slots = HashMap::new();
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
struct Slot {
    state: Mutex<Gathered>,
    news: Notify,
}

#[derive(Debug)]
struct Gathered {
    bodies: VecDeque<(Body, u32)>,
    end: Option<Result<Trailer, CallError>>,
    next_n: u32,
    /// Bytes that the sender may still send.
    credit: u32,
}

impl Slot {
    fn new() -> Self {
        let gathered = Gathered { bodies: VecDeque::new(), end: None, next_n: 0, credit: FIRST_CREDIT };
        Self { state: Mutex::new(gathered), news: Notify::new() }
    }

    fn push(&self, n: u32, body: Body, cost: u32) -> Result<(), OverCredit> {
        let mut state = self.lock();
        if n != state.next_n || cost > state.credit {
            return Err(OverCredit);
        }
        state.next_n += 1;
        state.credit -= cost;
        state.bodies.push_back((body, cost));
        drop(state);
        self.news.notify_one();
        Ok(())
    }

    fn finish(&self, bodies: Vec<Body>, end: Result<Trailer, CallError>) {
        let mut state = self.lock();
        state.bodies.extend(bodies.into_iter().map(|body| (body, 0)));
        state.end = Some(end);
        drop(state);
        self.news.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one answer. Dropping it takes the question back.
#[derive(Debug)]
pub struct Ticket {
    link: Link,
    id: RequestId,
    slot: Arc<Slot>,
    /// Bytes taken so far.
    taken: u32,
    /// Bytes that the sender has been allowed since the beginning, less those taken: what may be unread at most.
    window: u32,
}

impl Ticket {
    pub(super) fn take(link: &Link, id: RequestId) -> Result<Self, CallError> {
        let slot = Arc::new(Slot::new());
        link.0.pending.insert(id, &slot)?;
        Ok(Self { link: link.clone(), id, slot, taken: 0, window: FIRST_CREDIT })
    }

    /// The question's name.
    pub const fn id(&self) -> RequestId {
        self.id
    }

    /// The next piece, as it comes. Safe to drop and call again. After the end it never returns.
    pub async fn next(&mut self) -> Result<Piece, CallError> {
        loop {
            let (body, end) = {
                let mut state = self.slot.lock();
                let body = state.bodies.pop_front();
                let end = if body.is_none() { state.end.take() } else { None };
                (body, end)
            };
            match (body, end) {
                (Some((body, cost)), _) => {
                    self.give_credit(cost);
                    return Ok(Piece::Body(body));
                }
                (None, Some(end)) => return end.map(Piece::End),
                (None, None) => self.slot.news.notified().await,
            }
        }
    }

    /// Gives back what was taken, and lets the window grow with it, in steps of at least a quarter of the window.
    fn give_credit(&mut self, cost: u32) {
        self.taken += cost;
        if self.taken < self.window / 4 {
            return;
        }
        let window = self.window.saturating_mul(2).min(WINDOW);
        let bytes = self.taken + (window - self.window);
        let mut state = self.slot.lock();
        if state.end.is_some() {
            return;
        }
        state.credit += bytes;
        drop(state);
        self.window = window;
        self.taken = 0;
        self.link.0.outbox.credit(self.id, bytes);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.link.0.pending.remove(self.id).is_some() {
            self.link.0.outbox.cancel(self.id);
        }
    }
}
