//! A question to the spool, answered page by page: the epochs in one order, without what the asker holds.

use oriel_proto::{
    LoggedEvent, Timestamp,
    call::{EventsCall, EventsTrailer, Order},
    event::{EventFilter, Position},
    limits::SEARCH_ROWS,
};

use super::{SpoolError, db::Db, losses, run::Run};

/// The most events of one page.
pub(crate) const PAGE_ROWS: u32 = 256;

/// About the most bytes of text of one page.
const PAGE_BYTES: usize = 64 << 10;

/// The most events looked at for one page: a search must not keep the camera's writers waiting.
const PAGE_EXAMINED: u64 = 4_096;

/// The most epochs that one answer reads: what its trailer can name in one frame.
const RUNS: usize = 128;

/// The most losses that one trailer names: the newest.
const LOSSES: u32 = 48;

/// A question being answered.
#[derive(Debug)]
pub(crate) struct Plan {
    runs: Vec<Run>,
    filter: EventFilter,
    desc: bool,
    /// Events that may still be returned.
    left: u64,
    examined: u64,
    /// The place at which epochs begin that this answer cannot name.
    boundary: Option<Position>,
    times: (Timestamp, Timestamp),
    as_of: Timestamp,
    more: bool,
    ended: bool,
}

impl Plan {
    /// Finds what the question is about; reads no event yet.
    pub(crate) fn new(db: &Db, call: &EventsCall) -> Result<Self, SpoolError> {
        let now = db.now();
        let (as_of, epochs) = {
            let head = db.head();
            (head.as_of(now), head.epochs.clone())
        };
        let desc = call.order == Order::Desc;
        let mut runs = Vec::new();
        for epoch in epochs.into_iter().filter(|epoch| epoch.first < epoch.next) {
            runs.extend(Run::of(db, epoch, call)?);
        }
        runs.sort_by_key(Run::start);
        if desc {
            runs.reverse();
        }
        let boundary = runs.get(RUNS).map(Run::start);
        runs.truncate(RUNS);
        Ok(Self {
            runs,
            filter: call.filter(),
            desc,
            left: call.limit.unwrap_or(u64::MAX),
            examined: 0,
            boundary,
            times: (call.from.unwrap_or(Timestamp::MIN), call.to.unwrap_or(Timestamp::MAX)),
            as_of,
            more: false,
            ended: false,
        })
    }

    /// The next events; may be none before the answer has ended, when the filter wants few.
    pub(crate) fn page(&mut self, db: &Db) -> Result<Vec<LoggedEvent>, SpoolError> {
        let (mut page, mut bytes) = (Vec::new(), 0);
        let until = self.examined + PAGE_EXAMINED;
        while !self.ended && self.examined < until && page.len() < PAGE_ROWS as usize && bytes < PAGE_BYTES {
            let Some(event) = self.step(db)? else { break };
            if self.filter.matches(&event.event) {
                self.left = self.left.saturating_sub(1);
                bytes += event.event.description.len();
                page.push(event);
            }
        }
        Ok(page)
    }

    /// The next event in order, whether wanted or not.
    fn step(&mut self, db: &Db) -> Result<Option<LoggedEvent>, SpoolError> {
        let rows = (PAGE_ROWS / self.stretches()).max(16);
        for run in &mut self.runs {
            run.fill(db, rows, PAGE_BYTES)?;
        }
        let heads = self.runs.iter().enumerate().filter_map(|(i, run)| Some((run.head()?, i)));
        let next = if self.desc { heads.max() } else { heads.min() };
        let beyond = |at: Position| match self.boundary {
            Some(boundary) if self.desc => at <= boundary,
            Some(boundary) => at >= boundary,
            None => false,
        };
        let Some((_, run)) = next.filter(|(at, _)| !beyond(*at)) else {
            self.end(self.boundary.is_some());
            return Ok(None);
        };
        let searched = !self.filter.is_open() && self.examined >= SEARCH_ROWS;
        if self.left == 0 || searched {
            self.end(true);
            return Ok(None);
        }
        self.examined += 1;
        Ok(self.runs[run].pop())
    }

    fn end(&mut self, more: bool) {
        self.ended = true;
        self.more = more;
    }

    /// How many epochs are read side by side, at least one.
    pub(crate) fn stretches(&self) -> u32 {
        u32::try_from(self.runs.len().max(1)).unwrap_or(u32::MAX)
    }

    /// Whether every event wanted has been returned.
    pub(crate) const fn is_ended(&self) -> bool {
        self.ended
    }

    /// How complete the answer was.
    pub(crate) fn trailer(&self, db: &Db) -> Result<EventsTrailer, SpoolError> {
        Ok(EventsTrailer {
            scanned: self.runs.iter().flat_map(Run::scanned).take(RUNS).collect(),
            lost: losses::within(&db.conn, self.times.0, self.times.1, LOSSES)?,
            as_of: self.as_of,
            more: self.more,
        })
    }
}
