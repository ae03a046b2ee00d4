//! What is kept of a log and what its camera answered, as one list in the total order in which each event stands once.

use std::sync::Arc;

use oriel_proto::{EventId, call::Order, event::Position};

use super::{
    camera::{Answered, Said},
    text::Text,
};
use crate::store::KeptEvent;

/// A list that is being merged: events that are kept are given to it one by one, and it puts those of the camera between them.
#[derive(Debug)]
pub(super) struct Merge {
    /// What has been written.
    pub(super) text: Text,
    /// The place of the last event written.
    pub(super) last: Option<Position>,
    /// Events that may still be written.
    pub(super) left: u64,
    /// How many of the camera's have been dealt with.
    pub(super) taken: usize,
    answered: Arc<Answered>,
    order: Order,
    /// The place behind which nothing may be written yet.
    bound: Option<Position>,
    /// Whether something that is kept lies behind that.
    reached_bound: bool,
    /// Whether there was no room for an event.
    is_cut: bool,
}

/// How far a list came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// All of it up to the bound, or to its end.
    Bound,
    /// This place, from which it can be continued; none when that is its beginning.
    Here(Option<Position>),
    /// The place at which a search through what is kept was given up.
    SearchLimit(Position),
}

impl Merge {
    /// A list that begins with `text` and has room for so many events; `taken` of the camera's stand before it.
    pub(super) fn new(
        text: Text,
        (answered, taken): (Arc<Answered>, usize),
        order: Order,
        left: u64,
        bound: Option<Position>,
    ) -> Self {
        Self { text, last: None, left, taken, answered, order, bound, reached_bound: false, is_cut: false }
    }

    /// The next event that is kept.
    pub(super) fn kept(&mut self, kept: &KeptEvent<'_>) {
        let place = kept.event.position();
        if self.reached_bound || self.bound.is_some_and(|bound| self.is_behind(place, bound)) {
            self.reached_bound = true;
            return;
        }
        self.take_up_to(place);
        if self.left == 0 {
            self.is_cut = true;
        } else if !self.is_renamed(kept) {
            self.text.push_kept(kept);
            (self.last, self.left) = (Some(place), self.left - 1);
        }
    }

    /// Everything that is kept has been given up to the event `last`; there may be `more` behind it, or a search through it was given
    /// up at a place.
    pub(super) fn end(&mut self, last: Option<Position>, more: bool, gave_up: Option<Position>) -> Reached {
        let read_to = gave_up.or(last).filter(|_| more && !self.reached_bound);
        match read_to {
            Some(place) => self.take_up_to(place),
            None => self.take_while(|_| true),
        }
        match read_to {
            _ if self.is_cut => Reached::Here(self.last),
            None => Reached::Bound,
            Some(place) if gave_up.is_some() => Reached::SearchLimit(place),
            // Further than what was written, where that was left out which has a newer name.
            Some(place) => Reached::Here(Some(place)),
        }
    }

    /// Whether there was no room for an event.
    pub(super) const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Writes the camera's events up to this place, but the one of the same name that is kept.
    fn take_up_to(&mut self, place: Position) {
        let order = self.order.clone();
        self.take_while(|at| is_behind(&order, place, at));
        if self.answered.text.get(self.taken).is_some_and(|(at, _)| at == place) {
            self.taken += 1;
        }
    }

    fn take_while(&mut self, wanted: impl Fn(Position) -> bool) {
        let answered = self.answered.clone();
        while let Some((at, json)) = answered.text.get(self.taken).filter(|(at, _)| wanted(*at)) {
            if self.left == 0 {
                self.is_cut = true;
                return;
            }
            self.text.push_written(at, json);
            (self.last, self.left) = (Some(at), self.left - 1);
            self.taken += 1;
        }
    }

    /// Whether the camera answered with the same event under a newer name.
    fn is_renamed(&self, kept: &KeptEvent<'_>) -> bool {
        let id = EventId { epoch: kept.event.epoch, seq: kept.event.seq };
        let renamed = self.answered.renamed.get(&id);
        renamed.is_some_and(|said| *said == Said::of(&kept.event, kept.data))
    }

    fn is_behind(&self, place: Position, other: Position) -> bool {
        is_behind(&self.order, place, other)
    }
}

/// Whether `place` comes after `other` in this order.
pub(super) fn is_behind(order: &Order, place: Position, other: Position) -> bool {
    if *order == Order::Desc { place < other } else { place > other }
}
