//! Pictures that are taken when somebody asks: those who ask at the same time share one taking.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use oriel_proto::ImageClass;
use tokio::sync::{Notify, watch};

use super::Picture;

/// What a taking brought; the failure is what people read.
type Answer = Result<Picture, String>;

/// A picture being taken, for those who wait for it. When the last of them leaves, the source need not take it.
#[derive(Debug)]
pub(crate) struct Taking {
    class: ImageClass,
    answer: watch::Receiver<Option<Answer>>,
}

impl Taking {
    /// Waits for the picture.
    pub(crate) async fn done(&self) -> Answer {
        let mut answer = self.answer.clone();
        let answered = answer.wait_for(Option::is_some).await;
        let answered = answered.ok().and_then(|answer| answer.clone());
        answered.unwrap_or_else(|| Err("the source stopped before it took the picture".into()))
    }

    /// Whether the source has still to answer.
    fn is_open(&self) -> bool {
        self.answer.has_changed().is_ok_and(|answered| !answered)
    }
}

/// A picture that somebody waits for. Dropped without an answer it has failed.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Of which series.
    pub(crate) class: ImageClass,
    answer: watch::Sender<Option<Answer>>,
}

impl Asked {
    /// Gives those who wait what they asked for, or why that cannot be.
    pub(crate) fn answer(self, result: Answer) {
        self.answer.send_replace(Some(result));
    }
}

/// The takings of one camera.
#[derive(Debug, Default)]
pub(super) struct Takings {
    queue: Mutex<Queue>,
    bell: Notify,
}

/// At most one taking of each series is open, so neither list grows.
#[derive(Debug, Default)]
struct Queue {
    /// Not yet with the source.
    waiting: VecDeque<Asked>,
    open: Vec<Weak<Taking>>,
}

impl Takings {
    /// Joins the taking of a class, or begins one.
    pub(super) fn ask(&self, class: &ImageClass) -> Arc<Taking> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.open.retain(|taking| taking.upgrade().is_some_and(|taking| taking.is_open()));
        queue.waiting.retain(|asked| !asked.answer.is_closed());
        if let Some(taking) =
            queue.open.iter().filter_map(Weak::upgrade).find(|taking| taking.class == *class)
        {
            return taking;
        }
        let (answer_tx, answer) = watch::channel(None);
        let taking = Arc::new(Taking { class: class.clone(), answer });
        queue.open.push(Arc::downgrade(&taking));
        queue.waiting.push_back(Asked { class: class.clone(), answer: answer_tx });
        self.bell.notify_one();
        taking
    }

    /// The next one that somebody still waits for; cancelled at any time, nothing is lost.
    pub(super) async fn next(&self) -> Asked {
        loop {
            if let Some(asked) = self.pop() {
                return asked;
            }
            self.bell.notified().await;
        }
    }

    fn pop(&self) -> Option<Asked> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.waiting.retain(|asked| !asked.answer.is_closed());
        let asked = queue.waiting.pop_front();
        if !queue.waiting.is_empty() {
            // One bell stands for any number of takings; another reader may take the next.
            self.bell.notify_one();
        }
        asked
    }
}
