//! When something begins and ends to move.

use std::time::Duration;

use oriel_picture::blocks::Blocks;
use oriel_proto::Timestamp;

use super::change::{Size, Usual};

/// How long nothing must have moved for a movement to be over.
const QUIET: Duration = Duration::from_secs(3);

/// How long after one movement the next may begin.
const COOL_DOWN: Duration = Duration::from_secs(2);

/// How much older than the last a picture may be that merely comes late. If it is older still the clock was set back.
const LATE: Duration = Duration::from_secs(60);

/// A movement that begins or ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Told {
    /// Whether it begins.
    pub(super) begins: bool,
    /// The picture that shows it: the first one, or the last one.
    pub(super) image_at: Timestamp,
    /// How large it is, or was at most.
    pub(super) size: Size,
}

/// Compares each picture with the one before.
#[derive(Debug, Default)]
pub(super) struct Detector {
    before: Option<(Timestamp, Blocks)>,
    usual: Option<Usual>,
    movement: Option<Movement>,
    ended: Option<Timestamp>,
}

/// Something that moves now.
#[derive(Clone, Copy, Debug)]
struct Movement {
    last: Timestamp,
    size: Size,
}

impl Detector {
    /// The next picture; what it begins or ends. One that comes late is not looked at.
    pub(super) fn look(&mut self, at: Timestamp, blocks: Blocks) -> Option<Told> {
        if self.before.as_ref().is_some_and(|(seen, _)| seen.since(at) > LATE) {
            let told = self.give_up();
            *self = Self { before: Some((at, blocks)), ..Self::default() };
            return told;
        }
        let before = match self.before.take() {
            Some((seen, before)) if seen >= at => {
                self.before = Some((seen, before));
                return None;
            }
            before => before,
        };
        let usual = match self.usual.take() {
            Some(usual) if before.as_ref().is_some_and(|(_, before)| before.size() == blocks.size()) => usual,
            _ => Usual::new(&blocks),
        };
        let usual = self.usual.insert(usual);
        let before = before.filter(|(_, before)| before.size() == blocks.size());
        let moved = before.and_then(|(_, before)| usual.look(&before, &blocks));
        self.before = Some((at, blocks));
        match moved {
            Some(size) => self.moves(at, size),
            None => self.rests(at),
        }
    }

    /// No picture comes any more: what moves ends.
    pub(super) fn give_up(&mut self) -> Option<Told> {
        let ended = self.movement.take()?;
        self.ended = Some(ended.last);
        Some(Told { begins: false, image_at: ended.last, size: ended.size })
    }

    fn moves(&mut self, at: Timestamp, size: Size) -> Option<Told> {
        if let Some(movement) = &mut self.movement {
            *movement = Movement { last: at, size: movement.size.max(size) };
            return None;
        }
        if self.ended.is_some_and(|ended| at.since(ended) < COOL_DOWN) {
            return None;
        }
        self.movement = Some(Movement { last: at, size });
        Some(Told { begins: true, image_at: at, size })
    }

    fn rests(&mut self, at: Timestamp) -> Option<Told> {
        let movement = self.movement.filter(|movement| at.since(movement.last) >= QUIET)?;
        self.movement = None;
        self.ended = Some(at);
        Some(Told { begins: false, image_at: movement.last, size: movement.size })
    }
}
