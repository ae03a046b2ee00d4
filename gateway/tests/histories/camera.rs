//! A camera as a plain list: all that it ever wrote, what of that it still has, and what it says of it.

use std::time::Duration;

use oriel_gateway::clock;
use oriel_proto::{
    CameraId, Epoch, Event, EventId, Kind, LoggedEvent, Seq, Severity, Timestamp,
    call::{EventsCall, EventsTrailer, Order},
    event::{Data, LossReason, LostRange},
    frame::{Events, Lost, SpoolState, Upload},
};

/// One run of its spool.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: Epoch,
    /// Everything that was ever written in it; the first one has the number 1.
    pub(crate) events: Vec<Event>,
    /// The first one that the camera still has.
    first: Seq,
    /// What the gateway has acknowledged.
    pub(crate) acked: Seq,
    /// The highest `next` that the gateway was told.
    pub(crate) told: Seq,
    /// The latest time at which it was told that nothing more was written.
    pub(crate) told_at: Timestamp,
}

impl Run {
    fn new() -> Self {
        Self { id: Epoch::new(), events: Vec::new(), first: 1, acked: 0, told: 1, told_at: Timestamp::MIN }
    }

    /// The number of the next event.
    pub(crate) fn next(&self) -> Seq {
        self.events.len() as Seq + 1
    }

    /// Whether the gateway has heard of it.
    pub(crate) fn is_known(&self) -> bool {
        self.told_at > Timestamp::MIN
    }

    /// When an event was, by its number.
    pub(crate) fn at(&self, seq: Seq) -> Timestamp {
        self.events[seq as usize - 1].at
    }
}

/// A camera.
#[derive(Debug)]
pub(crate) struct Camera {
    pub(crate) id: CameraId,
    /// Its clock, in microseconds.
    now: i64,
    /// Everything written up to this time has been told of, by its present run.
    pub(crate) said: Timestamp,
    pub(crate) runs: Vec<Run>,
    pub(crate) lost: Vec<LostRange>,
    /// Runs that it announced no more when it left its log on its device: what they have lost is past its time to whoever knows only that.
    vanished: Vec<Epoch>,
    /// What was uploaded, in the order in which it came, and when it was sent by the gateway's clock.
    came: Vec<(Timestamp, EventId)>,
    /// How many of those the gateway has removed.
    removed: usize,
    pub(crate) upload: Upload,
}

/// What travels up next.
pub(crate) enum Next {
    Events(Events),
    Lost(Lost),
}

impl Camera {
    pub(crate) fn new(id: CameraId, now: Timestamp) -> Self {
        let (said, upload) = (Timestamp::MIN, Upload::Live);
        let (lost, vanished, came) = (Vec::new(), Vec::new(), Vec::new());
        let runs = vec![Run::new()];
        Self { id, now: now.as_micros(), said, runs, lost, vanished, came, removed: 0, upload }
    }

    /// Writes an event so long after the last one, or as soon after it as order allows.
    pub(crate) fn write(&mut self, after_ms: i64) {
        self.now += after_ms * 1_000;
        let written: usize = self.runs.iter().map(|run| run.events.len()).sum();
        let said = self.said.as_micros().saturating_add(1);
        let run = self.runs.last_mut().unwrap();
        let last = run.events.last().map_or(i64::MIN, |event| event.at.as_micros());
        let kind = [Kind::Motion, Kind::Reset, Kind::Brightness][written % 3].clone();
        let severity = if written.is_multiple_of(5) { Severity::Warning } else { Severity::Info };
        run.events.push(Event {
            at: Timestamp::from_micros(self.now.max(last).max(said)),
            kind,
            severity,
            description: format!("number {written}"),
            data: Data::new(),
            image_at: None,
            was: None,
        });
    }

    /// Nothing happens for so long.
    pub(crate) fn wait(&mut self, ms: i64) {
        self.now += ms * 1_000;
    }

    /// The clock is set back, by more than is held.
    pub(crate) fn set_back(&mut self, ms: i64) {
        self.now -= (2_001 + ms) * 1_000;
        let last = self.present().events.last().map_or(Timestamp::MIN, |event| event.at);
        if self.now < last.max(self.said).as_micros().saturating_sub(2_000_000) {
            self.runs.push(Run::new());
            self.said = Timestamp::MIN;
        }
    }

    /// Its oldest events leave it: what was not acknowledged is lost.
    pub(crate) fn drop_oldest(&mut self, count: u64) {
        let Some(run) = self.runs.iter_mut().find(|run| run.first < run.next()) else { return };
        let last = (run.first + count).min(run.next()) - 1;
        let free = if self.upload == Upload::OnDemand { last } else { run.acked.min(last) };
        let parts = [
            (run.first, free, LossReason::PastRetention),
            (run.first.max(free + 1), last, LossReason::Dropped),
        ];
        for (first, last, why) in parts.into_iter().filter(|(first, last, _)| first <= last) {
            let (epoch, from, to) = (run.id, run.at(first), run.at(last));
            // One stretch grows as long as the reason is the same.
            let grows =
                |lost: &&mut LostRange| (lost.epoch, lost.last + 1, &lost.why) == (epoch, first, &why);
            match self.lost.iter_mut().find(grows) {
                Some(lost) => (lost.last, lost.to) = (last, to),
                None => self.lost.push(LostRange { epoch, first, last, from, to, why }),
            }
        }
        run.first = last + 1;
    }

    /// The run that it writes now.
    pub(crate) fn present(&self) -> &Run {
        self.runs.last().unwrap()
    }

    /// Its clock as it tells it: nothing is written later at or before that.
    pub(crate) fn as_of(&mut self) -> Timestamp {
        let last = self.present().events.last().map_or(i64::MIN, |event| event.at.as_micros());
        self.said = self.said.max(Timestamp::from_micros(self.now.max(last)));
        self.said
    }

    /// The gateway is told how far the present run was written up to this time; gives its name and what comes next.
    pub(crate) fn tell(&mut self, as_of: Timestamp) -> (Epoch, Seq) {
        let run = self.runs.last_mut().unwrap();
        (run.told, run.told_at) = (run.next(), as_of);
        (run.id, run.next())
    }

    /// Whether the gateway has heard of the run in which an event was written.
    pub(crate) fn is_known(&self, event: &LoggedEvent) -> bool {
        self.runs.iter().any(|run| run.id == event.epoch && run.is_known())
    }

    /// What it announces: the runs that it has something of, and the present one.
    pub(crate) fn spools(&mut self) -> Vec<SpoolState> {
        let as_of = self.as_of();
        let (present, _) = self.tell(as_of);
        let mut spools = Vec::new();
        // One that has lost all that it had not sent has still to tell that, where all of a log goes up.
        let is_live = self.upload == Upload::Live;
        let owes = |run: &Run| is_live && run.acked + 1 < run.next();
        let announced = |run: &Run| run.first < run.next() || owes(run) || run.id == present;
        for run in &mut self.runs {
            if announced(run) {
                (run.told, run.told_at) = (run.next(), run.told_at.max(as_of));
                spools.push(SpoolState { epoch: run.id, first: run.first, next: run.next(), as_of });
            } else if !is_live {
                self.vanished.push(run.id);
            }
        }
        spools
    }

    /// The last time of what is past its time to the gateway. Of a run that is announced no more it knows but when it was announced last.
    pub(crate) fn past_retention_to(&self) -> Option<Timestamp> {
        let to = |lost: &LostRange| match self.vanished.contains(&lost.epoch) {
            true => self.runs.iter().find(|run| run.id == lost.epoch).map(|run| run.told_at.max(lost.to)),
            false => Some(lost.to).filter(|_| lost.why == LossReason::PastRetention),
        };
        self.lost.iter().filter_map(to).max()
    }

    /// The next events, at most so many, or what of them will never come.
    pub(crate) fn next_upload(&mut self, most: u64) -> Option<Next> {
        let as_of = self.as_of();
        let camera = self.id.clone();
        let run = self.runs.iter_mut().find(|run| run.acked + 1 < run.next())?;
        let (epoch, first) = (run.id, run.acked + 1);
        let lost = self.lost.iter().find(|lost| lost.epoch == epoch && lost.last >= first);
        if let Some(lost) = lost.filter(|lost| lost.first <= first) {
            let LostRange { last, from, to, ref why, .. } = *lost;
            run.told = run.told.max(last + 1);
            return Some(Next::Lost(Lost { camera, epoch, first, last, from, to, why: why.clone() }));
        }
        let end = (first + most).min(run.next()).min(lost.map_or(Seq::MAX, |lost| lost.first));
        let events = run.events[first as usize - 1..end as usize - 1].to_vec();
        let next = run.next();
        (run.told, run.told_at) = (next, as_of);
        let now = clock::now();
        self.came.extend((first..end).map(|seq| (now, EventId { epoch, seq })));
        Some(Next::Events(Events { camera, epoch, first, events, next, as_of }))
    }

    /// Everything that it ever wrote.
    pub(crate) fn written(&self) -> impl Iterator<Item = LoggedEvent> {
        self.runs.iter().flat_map(|run| {
            (1..).zip(&run.events).map(|(seq, event)| LoggedEvent {
                epoch: run.id,
                seq,
                event: event.clone(),
            })
        })
    }

    /// Whether an event has left the camera without having come to the gateway.
    pub(crate) fn is_lost(&self, id: EventId) -> bool {
        let lost = |lost: &LostRange| lost.epoch == id.epoch && (lost.first..=lost.last).contains(&id.seq);
        self.lost.iter().any(lost) && !self.came.iter().any(|(_, came)| *came == id)
    }

    /// The gateway removes at least so many more of those that came first, as they came together; gives the time of the gateway before
    /// which those came.
    pub(crate) fn expire(&mut self, count: usize) -> Timestamp {
        self.removed = (self.removed + count).min(self.came.len());
        let sent = |n: usize| self.came.get(n).map(|(sent, _)| *sent);
        while self.removed > 0 && sent(self.removed) == sent(self.removed - 1) {
            self.removed += 1;
        }
        sent(self.removed).unwrap_or_else(clock::now)
    }

    /// Whether the gateway has removed an event.
    pub(crate) fn is_removed(&self, id: EventId) -> bool {
        self.came[..self.removed].iter().any(|(_, removed)| *removed == id)
    }

    /// A time behind everything that the gateway has removed.
    pub(crate) fn removed_to(&self) -> Option<Timestamp> {
        let at = |id: &EventId| Some(self.runs.iter().find(|run| run.id == id.epoch)?.at(id.seq));
        self.came[..self.removed]
            .iter()
            .filter_map(|(_, id)| at(id))
            .max()
            .map(|at| at.after(Duration::from_micros(1)))
    }

    /// Its answer to a question.
    pub(crate) fn answer(&mut self, call: &EventsCall) -> (Vec<LoggedEvent>, EventsTrailer) {
        let as_of = self.as_of();
        let filter = call.filter();
        let has =
            |event: &LoggedEvent| self.runs.iter().any(|run| run.id == event.epoch && run.first <= event.seq);
        let is_held = |event: &LoggedEvent| {
            let mut have = call.have.iter().filter(|have| have.epoch == event.epoch);
            have.any(|have| have.ranges.iter().any(|range| (range.first..=range.last).contains(&event.seq)))
        };
        let in_time = |event: &LoggedEvent| {
            call.from.is_none_or(|from| event.event.at >= from)
                && call.to.is_none_or(|to| event.event.at < to)
        };
        let desc = call.order == Order::Desc;
        let behind = |event: &LoggedEvent| {
            let place = event.position();
            call.after.is_none_or(|after| if desc { place < after } else { place > after })
        };
        let mut events: Vec<_> = self
            .written()
            .filter(|event| has(event) && in_time(event) && behind(event) && !is_held(event))
            .filter(|event| filter.matches(&event.event))
            .collect();
        events.sort_by_key(LoggedEvent::position);
        if desc {
            events.reverse();
        }
        let limit = call.limit.map_or(usize::MAX, |limit| limit as usize);
        let more = events.len() > limit;
        events.truncate(limit);
        let overlaps = |lost: &&LostRange| {
            call.to.is_none_or(|to| lost.from < to) && call.from.is_none_or(|from| lost.to >= from)
        };
        let lost = self.lost.iter().filter(overlaps).cloned().collect();
        (events, EventsTrailer { scanned: Vec::new(), lost, as_of, more })
    }
}
