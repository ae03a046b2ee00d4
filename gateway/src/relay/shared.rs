//! Equal questions that are open at the same time share one answer.
//!
//! Whoever waits drives the question, so it needs no task of its own and ends with its last waiter, who takes it back at the
//! camera by that. Access is checked before anybody joins.

use std::{
    collections::HashMap,
    future::Future,
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared as SharedFuture, WeakShared},
};
use prometheus_client::metrics::counter::Counter;
use tokio::time::{Instant, sleep_until};

use crate::hash::Hashing;

/// Open questions by what they ask; clones share them.
#[derive(Clone, Debug)]
pub struct Shared<K, T: Clone> {
    open: Arc<Questions<K, T>>,
    joined: Counter,
}

type Questions<K, T> = Mutex<HashMap<K, Open<T>, Hashing>>;

/// A question that somebody has asked.
#[derive(Debug)]
struct Open<T: Clone> {
    answer: WeakShared<BoxFuture<'static, T>>,
    patience: Weak<Patience>,
}

/// How long those who wait for one answer wait.
#[derive(Debug)]
pub struct Patience {
    longest: Mutex<Instant>,
    begun: AtomicBool,
}

impl Patience {
    /// The last moment at which somebody still waits for the answer to begin; later ones may join.
    pub fn longest(&self) -> Instant {
        *self.longest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer has begun: from now on it lives as long as it makes progress.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    fn join(&self, deadline: Instant) {
        let mut longest = self.longest.lock().unwrap_or_else(PoisonError::into_inner);
        *longest = deadline.max(*longest);
    }
}

/// The answer had not begun by this caller's deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late;

impl<K, T> Shared<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// No question yet; `joined` counts callers who share another one's answer.
    pub fn new(joined: Counter) -> Self {
        Self { open: Arc::default(), joined }
    }

    /// The answer to the question `key`: of the open one that is equal, else of `ask`. Late when it has not begun by `deadline`.
    pub async fn answer<F>(
        &self,
        key: K,
        deadline: Instant,
        ask: impl FnOnce(Arc<Patience>) -> F,
    ) -> Result<T, Late>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (mut answer, patience) = self.join(key, deadline, ask);
        tokio::select! {
            biased;
            answer = &mut answer => Ok(answer),
            () = sleep_until(deadline) => match patience.begun.load(Ordering::Relaxed) {
                true => Ok(answer.await),
                false => Err(Late),
            },
        }
    }

    fn join<F>(
        &self,
        key: K,
        deadline: Instant,
        ask: impl FnOnce(Arc<Patience>) -> F,
    ) -> (SharedFuture<BoxFuture<'static, T>>, Arc<Patience>)
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut open = lock(&self.open);
        if let Some(open) = open.get(&key)
            && let (Some(answer), Some(patience)) = (open.answer.upgrade(), open.patience.upgrade())
        {
            patience.join(deadline);
            self.joined.inc();
            return (answer, patience);
        }
        let patience = Arc::new(Patience { longest: Mutex::new(deadline), begun: AtomicBool::new(false) });
        let done =
            Done { open: Arc::downgrade(&self.open), key: key.clone(), patience: Arc::clone(&patience) };
        let asked = ask(Arc::clone(&patience));
        let answer = async move {
            let _done = done;
            asked.await
        };
        let answer = answer.boxed().shared();
        if let Some(weak) = answer.downgrade() {
            open.insert(key, Open { answer: weak, patience: Arc::downgrade(&patience) });
        }
        (answer, patience)
    }

    /// How many questions are open.
    pub fn len(&self) -> usize {
        lock(&self.open).len()
    }

    /// Whether no question is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Takes a question out when it is answered or nobody waits for it any more.
struct Done<K: Eq + Hash, T: Clone> {
    open: Weak<Questions<K, T>>,
    key: K,
    patience: Arc<Patience>,
}

impl<K: Eq + Hash, T: Clone> Drop for Done<K, T> {
    fn drop(&mut self) {
        let Some(open) = self.open.upgrade() else { return };
        let mut open = lock(&open);
        // An equal question may have been asked anew meanwhile.
        let own = |open: &Open<T>| std::ptr::eq(open.patience.as_ptr(), Arc::as_ptr(&self.patience));
        if open.get(&self.key).is_some_and(own) {
            open.remove(&self.key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
