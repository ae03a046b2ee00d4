//! One camera: which polls it has open, who waits for its list, and which list answers whom.
//!
//! What happens to a camera happens in turns: a wake-up takes one, and the beginning of a list. A list answers those who were woken
//! for in an earlier turn than the one in which it began. So nobody gets a list that was on its way before the camera was asked for
//! them, and who has left takes nothing along.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// Polls that a camera may have open: one, and some whose connections died without a word.
const POLLS: usize = 8;

/// Those who may wait for one camera.
const WAITING: usize = 1_024;

/// How often a camera is woken for one who waits: again when it polls without having begun a list.
const WAKE_UPS: u8 = 5;

/// A camera, whose lists answer with `T`.
#[derive(Debug)]
pub(super) struct Camera<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    /// The last one.
    turn: u64,
    /// Oldest first, by the turn in which they began.
    polls: VecDeque<(u64, oneshot::Sender<()>)>,
    waiting: Vec<Waiting<T>>,
    /// Lists on their way, by the turn in which they began.
    lists: BTreeSet<u64>,
}

#[derive(Debug)]
struct Waiting<T> {
    /// The turn in which they asked.
    asked: u64,
    /// The turn in which the camera was first woken for them.
    woken: Option<u64>,
    wake_ups: u8,
    answer_tx: oneshot::Sender<T>,
}

impl<T> Waiting<T> {
    /// Whether the camera is to be woken for them: no list is on its way that will answer them.
    fn wants_it_awake(&self, lists: &BTreeSet<u64>) -> bool {
        match self.woken {
            None => true,
            Some(turn) => self.wake_ups < WAKE_UPS && lists.last().is_none_or(|last| *last < turn),
        }
    }
}

impl<T> Default for Camera<T> {
    fn default() -> Self {
        let (polls, waiting, lists) = (VecDeque::new(), Vec::new(), BTreeSet::new());
        Self(Mutex::new(State { turn: 0, polls, waiting, lists }))
    }
}

impl<T> Camera<T> {
    /// The camera polls; none when it is wanted at once.
    pub(super) fn poll(self: &Arc<Self>) -> Option<OpenPoll<T>> {
        let mut state = self.lock();
        if state.is_wanted() {
            state.woke();
            return None;
        }
        if state.polls.len() == POLLS {
            state.polls.pop_front();
        }
        let (began, (wake_tx, wake_rx)) = (state.take_turn(), oneshot::channel());
        state.polls.push_back((began, wake_tx));
        Some(OpenPoll { camera: Arc::clone(self), began, wake_rx })
    }

    /// Somebody asks for the list; none when too many do already.
    pub(super) fn ask(self: &Arc<Self>) -> Option<Asking<T>> {
        let mut state = self.lock();
        if state.waiting.len() == WAITING {
            return None;
        }
        let (asked, (answer_tx, answer_rx)) = (state.take_turn(), oneshot::channel());
        state.waiting.push(Waiting { asked, woken: None, wake_ups: 0, answer_tx });
        state.wake();
        Some(Asking { camera: Arc::clone(self), asked, answer_rx })
    }

    /// The camera begins to post its list.
    pub(super) fn begin(self: &Arc<Self>) -> List<T> {
        let mut state = self.lock();
        let began = state.take_turn();
        state.lists.insert(began);
        List { camera: Arc::clone(self), began }
    }

    /// The camera is not served any more: its polls end, and nobody gets an answer.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.polls.clear();
        state.waiting.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    const fn take_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    fn is_wanted(&self) -> bool {
        self.waiting.iter().any(|waiting| waiting.wants_it_awake(&self.lists))
    }

    /// Wakes the camera if it is wanted and polls: by every poll, since all but one may be of connections that are dead.
    fn wake(&mut self) {
        if self.is_wanted() {
            let reached = self.polls.drain(..).filter_map(|(_, wake_tx)| wake_tx.send(()).ok()).count();
            if reached > 0 {
                self.woke();
            }
        }
    }

    fn woke(&mut self) {
        let turn = self.take_turn();
        for waiting in &mut self.waiting {
            if waiting.wants_it_awake(&self.lists) {
                waiting.woken.get_or_insert(turn);
                waiting.wake_ups += 1;
            }
        }
    }
}

/// A poll that waits for somebody to ask; ends when it is dropped.
#[derive(Debug)]
pub(super) struct OpenPoll<T> {
    camera: Arc<Camera<T>>,
    began: u64,
    wake_rx: oneshot::Receiver<()>,
}

impl<T> OpenPoll<T> {
    /// Waits until the list is wanted; false when the poll is given up here.
    pub(super) async fn wanted(&mut self) -> bool {
        (&mut self.wake_rx).await.is_ok()
    }
}

impl<T> Drop for OpenPoll<T> {
    fn drop(&mut self) {
        self.camera.lock().polls.retain(|(began, _)| *began != self.began);
    }
}

/// Somebody who waits for the list; dropping it takes the question back.
#[derive(Debug)]
pub(super) struct Asking<T> {
    camera: Arc<Camera<T>>,
    asked: u64,
    answer_rx: oneshot::Receiver<T>,
}

impl<T> Asking<T> {
    /// What the list answers; none when the camera is not served any more.
    pub(super) async fn answer(&mut self) -> Option<T> {
        (&mut self.answer_rx).await.ok()
    }
}

impl<T> Drop for Asking<T> {
    fn drop(&mut self) {
        self.camera.lock().waiting.retain(|waiting| waiting.asked != self.asked);
    }
}

/// A list on its way. When it is dropped without an answer, the camera is woken again for those who counted on it.
#[derive(Debug)]
pub(super) struct List<T> {
    camera: Arc<Camera<T>>,
    began: u64,
}

impl<T: Clone> List<T> {
    /// Answers everybody for whom the camera was woken before this list began.
    pub(super) fn answer(self, answer: &T) {
        let mut state = self.camera.lock();
        for waiting in
            state.waiting.extract_if(.., |waiting| waiting.woken.is_some_and(|turn| turn < self.began))
        {
            // Who has left needs none.
            _ = waiting.answer_tx.send(answer.clone());
        }
    }
}

impl<T> Drop for List<T> {
    fn drop(&mut self) {
        let mut state = self.camera.lock();
        state.lists.remove(&self.began);
        state.wake();
    }
}

#[cfg(test)]
mod tests;
