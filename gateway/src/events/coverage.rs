//! What an answer says something about, and what it cannot.

use oriel_proto::{
    FailureCode, Timestamp,
    call::{EventsCall, EventsTrailer, Order},
    event::{LossReason, LostRange, Position},
};

use crate::{clock, relay::RelayError, store::Extent};

/// A stretch of time and what an answer knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Where it begins; none means the beginning of the log.
    pub from: Option<Timestamp>,
    /// Where it ends.
    pub to: Timestamp,
    /// Who answered for it, or why nobody can.
    pub by: CoveredBy,
}

impl Coverage {
    /// The stretch of time of which events were lost.
    fn of_loss(lost: &LostRange) -> Self {
        let by = match lost.why {
            LossReason::PastRetention => CoveredBy::PastRetention,
            _ => CoveredBy::LostOnCamera,
        };
        Self { from: Some(lost.from), to: lost.to, by }
    }
}

/// Who answered for a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoveredBy {
    /// The camera.
    Camera,
    /// What is kept here.
    Store,
    /// Nobody: the camera lost it.
    LostOnCamera,
    /// Nobody: retention removed it, here or at the camera.
    PastRetention,
    /// Nobody: a search ended before it came there.
    SearchLimit,
    /// Nobody: it was not sent before the camera left.
    CameraOffline,
    /// Nobody: it was not sent yet, and the camera did not answer in time.
    CameraTimeout,
    /// Nobody: it was not sent yet, and the camera has too much to do.
    CameraBusy,
    /// Nobody: it was not sent yet, and the camera cannot be asked for it.
    CameraUnsupported,
    /// Nobody: it was not sent yet, and the camera answered with a failure.
    CameraFailed,
    /// Nobody: it was not sent yet, and the camera was not asked.
    NotUploaded,
}

impl CoveredBy {
    /// Nobody, because the camera that was asked gave no answer.
    pub(super) fn nobody(error: &RelayError) -> Self {
        match error {
            RelayError::Offline | RelayError::Interrupted => Self::CameraOffline,
            RelayError::Busy => Self::CameraBusy,
            RelayError::Timeout | RelayError::NoRoom => Self::CameraTimeout,
            RelayError::Failed(failure) => match failure.code {
                FailureCode::Deadline => Self::CameraTimeout,
                FailureCode::Busy => Self::CameraBusy,
                FailureCode::Unsupported => Self::CameraUnsupported,
                _ => Self::CameraFailed,
            },
        }
    }
}

/// Whether nothing in the covered range is missing.
pub fn is_complete(coverage: &[Coverage]) -> bool {
    coverage.iter().all(|stretch| matches!(stretch.by, CoveredBy::Camera | CoveredBy::Store))
}

/// Leaves what a page covers that ends at this time.
pub(super) fn clip(coverage: &mut Vec<Coverage>, order: &Order, end: Timestamp) {
    coverage.retain_mut(|stretch| {
        if *order == Order::Desc {
            let is_outside = stretch.to < end || (stretch.to == end && stretch.from < Some(end));
            stretch.from = stretch.from.max(Some(end));
            !is_outside
        } else {
            let is_outside = stretch.from >= Some(end);
            stretch.to = stretch.to.min(end);
            !is_outside
        }
    });
}

/// A camera's answer covers the range asked for, up to its clock, and ends at its `last` event when there is more. When there is
/// more but no event, the camera gave up searching, and nothing is known of the range: it does not say at what time it stopped.
pub(super) fn of_camera(
    call: &EventsCall,
    last: Option<Timestamp>,
    trailer: &EventsTrailer,
) -> Vec<Coverage> {
    let mut from = call.from;
    let mut to = call.to.map_or(trailer.as_of, |to| to.min(trailer.as_of));
    let descending = call.order == Order::Desc;
    if let Some(after) = call.after {
        if descending { to = to.min(after.at) } else { from = Some(after.at) }
    }
    if let (true, Some(last)) = (trailer.more, last) {
        if descending { from = Some(last) } else { to = last }
    }
    // The camera may vouch for less than was asked for, down to nothing.
    let to = from.map_or(to, |from| to.max(from));
    let gave_up = trailer.more && last.is_none();
    let by = if gave_up { CoveredBy::SearchLimit } else { CoveredBy::Camera };
    let mut stretches = vec![Coverage { from, to, by }];
    stretches.extend(trailer.lost.iter().map(Coverage::of_loss));
    stretches
}

/// Who answers for the time behind the horizon of what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beyond {
    /// The camera, up to its clock.
    Camera(Timestamp),
    /// The camera up to this time, where its answer broke off; from there on nobody, and why.
    Broken(Timestamp, CoveredBy),
    /// Nobody, and why.
    Nobody(CoveredBy),
}

/// Where an answer ends that is not the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    /// The place behind which there is more; none when there is not.
    pub(super) at: Option<Position>,
    /// Whether a search was given up there.
    pub(super) gave_up: bool,
}

/// What is kept covers the range asked for up to its horizon, and what lies `beyond` that is covered by somebody else or missing.
pub(super) fn of_kept(call: &EventsCall, end: End, extent: &Extent, beyond: Beyond) -> Vec<Coverage> {
    let (mut from, mut to) = range(call, extent, beyond);
    let whole = (from, to);
    if let Some(end) = end.at {
        if call.order == Order::Desc { from = Some(end.at) } else { to = to.min(end.at) }
    }
    let mut stretches = Vec::new();
    let mut add = |from: Option<Timestamp>, to: Timestamp, by| {
        if from.is_none_or(|from| from < to) {
            stretches.push(Coverage { from, to, by });
        }
    };
    let purged = extent.purged.filter(|purged| from.is_none_or(|from| from < *purged));
    if let Some(purged) = purged {
        add(from, purged.min(to), CoveredBy::PastRetention);
    }
    let start = purged.or(from);
    if let Some(horizon) = extent.horizon {
        add(start, horizon.min(to), CoveredBy::Store);
    }
    // Of a clock that was set back, what was removed may lie behind the horizon: beside what is covered there, and what is missing.
    let start = from.max(extent.horizon);
    match beyond {
        Beyond::Camera(_) => add(start, to, CoveredBy::Camera),
        Beyond::Nobody(why) => add(start, to, why),
        Beyond::Broken(until, why) => {
            add(start, until.min(to), CoveredBy::Camera);
            add(start.max(Some(until)), to, why);
        }
    }
    if end.gave_up {
        let (from, to) =
            if call.order == Order::Desc { (whole.0, from.unwrap_or(to)) } else { (Some(to), whole.1) };
        add(from, to, CoveredBy::SearchLimit);
    }
    let lost = extent.lost.iter().filter(|lost| lost.from < to && from.is_none_or(|from| lost.to >= from));
    stretches.extend(lost.map(Coverage::of_loss));
    stretches
}

/// The range that the answer speaks of, up to where a log that is still written has come.
fn range(call: &EventsCall, extent: &Extent, beyond: Beyond) -> (Option<Timestamp>, Timestamp) {
    let now = clock::now();
    let (latest, most) = match beyond {
        Beyond::Camera(as_of) => (as_of, as_of),
        // Of a camera that is there, nothing is missing that it has not written yet.
        Beyond::Nobody(CoveredBy::NotUploaded) => {
            let latest = extent.as_of.unwrap_or(now);
            (latest, now.max(latest))
        }
        Beyond::Nobody(_) | Beyond::Broken(..) => (now, now),
    };
    let (mut from, mut to) = (call.from, call.to.map_or(latest, |to| to.min(most)));
    if let Some(after) = call.after {
        if call.order == Order::Desc { to = to.min(after.at) } else { from = Some(after.at) }
    }
    (from, from.map_or(to, |from| to.max(from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_hides_nothing_that_is_missing() {
        let at = Timestamp::from_millis;
        // A clock that was set back: what was removed is later than all that is held of the present epoch.
        let extent = Extent { horizon: Some(at(10)), purged: Some(at(20)), ..Extent::default() };
        let call = EventsCall { from: Some(at(5)), to: Some(at(30)), ..EventsCall::all(Order::Asc) };
        let missing = Beyond::Nobody(CoveredBy::CameraOffline);
        let stretch = |from, to, by| Coverage { from: Some(at(from)), to: at(to), by };
        assert_eq!(
            of_kept(&call, End::default(), &extent, missing),
            [stretch(5, 20, CoveredBy::PastRetention), stretch(10, 30, CoveredBy::CameraOffline)]
        );
    }
}
