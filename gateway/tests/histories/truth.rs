//! What an answer must be, by the plain list of what a camera wrote.

use std::collections::BTreeMap;

use oriel_proto::{EventId, LoggedEvent, Timestamp, event::Position, frame::Upload};

use crate::{
    camera::Camera,
    device::stretch,
    question::{Answer, Question, Stretch, Timeline, Told},
};

/// What is wrong with an answer.
pub(crate) type Verdict = Result<(), String>;

/// Compares one page, which begins behind `after`, with what was written.
pub(crate) fn page(
    camera: &Camera,
    is_online: bool,
    question: &Question,
    after: Option<Position>,
    answer: &Answer,
) -> Verdict {
    let desc = question.is_desc();
    let is_behind = |place: Position, other: Position| if desc { place < other } else { place > other };
    let filter = question.call.filter();
    let in_time = |event: &LoggedEvent| {
        question.call.from.is_none_or(|from| event.event.at >= from)
            && question.call.to.is_none_or(|to| event.event.at < to)
    };
    let end = answer.last.filter(|_| answer.next.is_some());
    let on_page = |place: Position| {
        after.is_none_or(|after| is_behind(place, after)) && end.is_none_or(|end| !is_behind(place, end))
    };
    let mut wanted: Vec<_> = camera
        .written()
        .filter(|event| in_time(event) && filter.matches(&event.event) && on_page(event.position()))
        .collect();
    wanted.sort_by_key(LoggedEvent::position);

    if !answer.events.windows(2).all(|pair| is_behind(pair[1].place, pair[0].place)) {
        return Err("events are out of order, or doubled".into());
    }
    removed_is_right(camera, answer)?;
    for told in &answer.events {
        let is_it = |event: &&LoggedEvent| {
            event.position() == told.place && event.event.description == told.description
        };
        if !wanted.iter().any(|event| is_it(&event)) {
            return Err(format!("{told:?} was not written, or is not wanted, or stands on another page"));
        }
        if camera.is_removed(EventId { epoch: told.place.epoch, seq: told.place.seq }) {
            return Err(format!("{told:?} was removed, and is told"));
        }
    }
    // Of a camera that is away nobody can know that its clock was set back since.
    wanted.retain(|event| is_online || camera.is_known(event));
    for event in &wanted {
        everything_covered_is_told(camera, event, answer)?;
        let is_excused = is_gone(camera, event) || is_to_come(camera, question, event);
        if is_online && !is_told(&answer.events, event) && !is_excused {
            return Err(format!("{event:?} is not told, though its camera answers"));
        }
    }
    if after.is_none() && end.is_none() {
        nothing_is_left_out(camera, question, answer)?;
    }
    missing_is_right(camera, is_online, &wanted, answer)
}

/// Whether an event came after what a camera told last: nobody asks a camera that uploads its events for what it has written since,
/// unless a time is asked for.
fn is_to_come(camera: &Camera, question: &Question, event: &LoggedEvent) -> bool {
    let told = camera.runs.iter().find(|run| run.id == event.epoch).map_or(0, |run| run.told);
    camera.upload == Upload::Live && question.call.to.is_none() && event.seq >= told
}

/// Whether an event has left the camera without having come, or was removed since.
fn is_gone(camera: &Camera, event: &LoggedEvent) -> bool {
    let id = EventId { epoch: event.epoch, seq: event.seq };
    camera.is_lost(id) || camera.is_removed(id)
}

/// Nothing is said to be past its time that lies behind everything which is.
fn removed_is_right(camera: &Camera, answer: &Answer) -> Verdict {
    let latest = camera.past_retention_to().max(camera.removed_to());
    let said = answer.coverage.iter().filter(|stretch| stretch.by == Err("past_retention".into()));
    match said.map(|stretch| stretch.to).max() {
        Some(to) if Some(to) > latest => Err(format!("{to:?} lies behind everything that is past its time")),
        _ => Ok(()),
    }
}

/// The stretches of a whole answer follow each other from the beginning of what is asked for to its end, or to the camera's clock.
fn nothing_is_left_out(camera: &Camera, question: &Question, answer: &Answer) -> Verdict {
    let begin = question.call.from.unwrap_or(Timestamp::MIN);
    // What was removed here stands before everything else.
    let first = answer.coverage.first().filter(|first| first.is_loss() && camera.removed_to() > Some(begin));
    let removed_to = first.map_or(begin, |first| first.to);
    let mut stretches: Vec<_> = answer.coverage.iter().filter(|stretch| !stretch.is_loss()).collect();
    stretches.sort_by_key(|stretch| stretch.from);
    let is_whole = stretches.windows(2).all(|pair| pair[0].to == pair[1].from)
        && stretches.first().is_none_or(|first| (begin..=removed_to).contains(&first.from));
    let reached = stretches.last().map_or(removed_to, |last| last.to.max(removed_to));
    let end = question.call.to.unwrap_or(reached).min(camera.said.max(begin));
    if is_whole && reached >= end {
        return Ok(());
    }
    Err(format!("the stretches leave something out before {end:?}"))
}

fn everything_covered_is_told(camera: &Camera, event: &LoggedEvent, answer: &Answer) -> Verdict {
    let (place, at) = (event.position(), event.event.at);
    let covers = |stretch: &&Stretch| stretch.from <= at && at < stretch.to && stretch.by.is_ok();
    let is_covered = answer.coverage.iter().any(|stretch| covers(&stretch));
    let is_told = answer.events.iter().any(|told| told.place == place);
    let is_said_lost =
        answer.coverage.iter().any(|stretch| stretch.is_loss() && stretch.from <= at && at <= stretch.to);
    match (is_covered, is_told, is_gone(camera, event)) {
        (true, false, false) => Err(format!("{place:?} lies in a stretch that is covered, and is not told")),
        (true, false, true) if !is_said_lost => Err(format!("{place:?} is gone, and no stretch says it")),
        _ => Ok(()),
    }
}

/// What is missing begins where it does: not later than the first event that is not told, and not earlier than has to be.
fn missing_is_right(camera: &Camera, is_online: bool, wanted: &[LoggedEvent], answer: &Answer) -> Verdict {
    let losses = answer.coverage.iter().filter(|stretch| stretch.is_loss()).count();
    if answer.complete != answer.coverage.iter().all(|stretch| stretch.by.is_ok()) {
        return Err("complete is not what the coverage says".into());
    }
    let missing: Vec<_> =
        answer.coverage.iter().filter(|stretch| stretch.by.is_err() && !stretch.is_loss()).collect();
    if is_online {
        let is_well = missing.is_empty() && (losses > 0 || answer.complete);
        return if is_well { Ok(()) } else { Err("something is missing of a camera that answers".into()) };
    }
    let Some(stretch) = missing.first() else { return Ok(()) };
    if missing.len() > 1 || stretch.by != Err("camera_offline".into()) {
        return Err("more is missing than one stretch of a camera that is away".into());
    }
    let unheld = wanted.iter().filter(|event| !is_told(&answer.events, event));
    if let Some(first) = unheld.filter(|event| !is_gone(camera, event)).map(|event| event.event.at).min()
        && first < stretch.from
    {
        return Err(format!("{first:?} is not told, and lies before what is said to be missing"));
    }
    let earliest = earliest(camera);
    let begins_with_question = answer.coverage.first() == Some(*stretch);
    if stretch.from < earliest && !begins_with_question {
        return Err(format!("what is missing begins before {earliest:?}"));
    }
    Ok(())
}

fn is_told(told: &[Told], event: &LoggedEvent) -> bool {
    told.iter().any(|told| told.place == event.position())
}

/// Up to here nothing is missing: the gateway has acknowledged everything that the camera told of, or everything before the first of
/// that which it has not.
fn earliest(camera: &Camera) -> Timestamp {
    let at = |run: &crate::camera::Run| if run.acked == 0 { Timestamp::MIN } else { run.at(run.acked) };
    let holes = camera.runs.iter().filter(|run| run.acked + 1 < run.told).map(at);
    let present = camera.runs.iter().rfind(|run| run.is_known());
    let reach = present.map_or(Timestamp::MIN, |present| at(present).max(present.told_at));
    holes.chain([reach]).min().unwrap_or(Timestamp::MIN)
}

/// The pages of an answer say what the whole of it says.
pub(crate) fn pages(whole: &Answer, pages: &[Answer], desc: bool) -> Verdict {
    let told: Vec<_> = pages.iter().flat_map(|page| page.events.clone()).collect();
    if told != whole.events {
        return Err("the pages' events are not those of the whole".into());
    }
    let stretches = |answers: &[Answer]| {
        let all = answers.iter().flat_map(|answer| answer.coverage.clone());
        let mut stretches: Vec<_> =
            all.filter(|stretch| !stretch.is_loss() && stretch.from < stretch.to).collect();
        stretches.sort_by_key(|stretch| (stretch.from, stretch.to));
        let mut joined: Vec<Stretch> = Vec::new();
        for stretch in stretches {
            match joined.last_mut() {
                Some(last) if last.to >= stretch.from && last.by == stretch.by => {
                    last.to = last.to.max(stretch.to)
                }
                _ => joined.push(stretch),
            }
        }
        joined
    };
    let (one, many) = (stretches(std::slice::from_ref(whole)), stretches(pages));
    if one != many {
        return Err(format!(
            "the coverage of {} pages (desc: {desc}) is {many:#?}, of the whole {one:#?}",
            pages.len()
        ));
    }
    Ok(())
}

/// The numbers of a timeline are those of the events of the whole answer, and say something about the same time.
pub(crate) fn timeline(whole: &Answer, timeline: &Timeline, step_s: u64) -> Verdict {
    let mut numbers = BTreeMap::new();
    for (at, kind) in &whole.kinds {
        *numbers.entry((stretch(*at, step_s * 1_000), kind.clone())).or_insert(0) += 1;
    }
    let told = timeline.numbers.iter().map(|(at, kind, number)| ((*at, kind.clone()), *number));
    if told.collect::<BTreeMap<_, _>>() != numbers {
        return Err("the numbers of the timeline are not those of the events".into());
    }
    if (&timeline.coverage, timeline.complete) != (&whole.coverage, whole.complete) {
        return Err("the timeline covers something else than the list".into());
    }
    Ok(())
}
