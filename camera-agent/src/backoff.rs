//! How long until the next try at a gateway: a table of endings, with time and chance handed in.

use std::time::Duration;

/// The shortest wait between two tries.
const LEAST: Duration = Duration::from_millis(500);
/// The longest wait while the network or the gateway is away.
const MOST: Duration = Duration::from_secs(60);
/// A connection that lived this long was healthy: the waits begin anew.
const HEALTHY: Duration = Duration::from_secs(60);
/// The bounds of the wait when only a person can help.
const PERSON: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(600));
/// The wait of an agent that is too old for its gateway.
const OUTDATED: Duration = Duration::from_secs(600);
/// The bounds of the wait for a gateway that restarts.
const RESTART: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
/// Restarts in a row that are taken for restarts; a gateway that closes so more often is treated like one that fails.
const RESTARTS: u32 = 3;
/// The bounds of the wait before another gateway of the list takes the place of one that was lost.
pub const SWITCH: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
/// The longest `Retry-After` that is believed.
const MOST_ASKED: Duration = Duration::from_secs(3_600);

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// No connection came about, or it broke without a word.
    Broken,
    /// The gateway refused with this HTTP status.
    Refused {
        /// The status.
        status: u16,
        /// What `Retry-After` said.
        retry_after: Option<Duration>,
    },
    /// The connection was closed with this WebSocket code.
    Closed(u16),
    /// A gateway's token is missing or its enrolment was refused.
    NoToken,
}

/// The waits for one gateway.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    /// Tries in a row that no healthy connection interrupted.
    tries: u32,
}

impl Backoff {
    /// How long to wait after a try that was connected for `connected` and ended so; `chance` is evenly spread over 0..1.
    pub fn after(&mut self, ending: Ending, connected: Duration, chance: f64) -> Duration {
        if connected >= HEALTHY {
            self.tries = 0;
        }
        let tries = self.tries;
        self.tries = self.tries.saturating_add(1);
        let patient = || spread(PERSON.0, grown(PERSON.0 * 2, tries).min(PERSON.1), chance);
        let jittered = spread(LEAST, grown(LEAST * 2, tries).min(MOST), chance);
        match ending {
            Ending::Broken => jittered,
            Ending::NoToken | Ending::Closed(4001 | 4003 | 4409) => patient(),
            Ending::Closed(1012) if tries < RESTARTS => spread(RESTART.0, RESTART.1, chance),
            Ending::Closed(_) => jittered,
            Ending::Refused { status: 401 | 403, .. } => patient(),
            Ending::Refused { status: 426, .. } => OUTDATED,
            Ending::Refused { retry_after: Some(asked), .. } => {
                // Spread over a tenth more, so that all who were told the same do not come at once.
                let asked = asked.min(MOST_ASKED);
                jittered.max(asked + (asked / 10).mul_f64(chance))
            }
            Ending::Refused { retry_after: None, .. } => jittered,
        }
    }
}

/// How long to wait before another gateway of the list is dialled, so that all agents of a lost one do not come at once.
pub fn switch(chance: f64) -> Duration {
    spread(SWITCH.0, SWITCH.1, chance)
}

/// `first`, doubled with each try.
fn grown(first: Duration, tries: u32) -> Duration {
    first.saturating_mul(1_u32.checked_shl(tries.min(20)).unwrap_or(u32::MAX))
}

fn spread(least: Duration, most: Duration, chance: f64) -> Duration {
    least + most.saturating_sub(least).mul_f64(chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Duration = Duration::ZERO;

    fn waits(ending: Ending, chance: f64) -> Vec<f64> {
        let mut backoff = Backoff::default();
        (0..20).map(|_| backoff.after(ending, NEVER, chance).as_secs_f64()).collect()
    }

    #[test]
    fn a_broken_connection_is_tried_again_after_half_a_second_to_a_minute() {
        assert!(waits(Ending::Broken, 0.0).iter().all(|wait| *wait == 0.5));
        assert_eq!(waits(Ending::Broken, 1.0)[..7], [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]);
        assert_eq!(waits(Ending::Broken, 1.0)[19], 60.0);
    }

    #[test]
    fn a_minute_of_health_begins_anew() {
        let mut backoff = Backoff::default();
        for _ in 0..10 {
            backoff.after(Ending::Broken, NEVER, 1.0);
        }
        assert_eq!(backoff.after(Ending::Broken, Duration::from_secs(59), 1.0), MOST);
        assert_eq!(backoff.after(Ending::Broken, HEALTHY, 1.0), Duration::from_secs(1));
        assert_eq!(backoff.after(Ending::Broken, NEVER, 1.0), Duration::from_secs(2));
    }

    #[test]
    fn what_only_a_person_can_mend_is_tried_every_one_to_ten_minutes() {
        let refused = |status| Ending::Refused { status, retry_after: None };
        for ending in [
            refused(401),
            refused(403),
            Ending::Closed(4003),
            Ending::Closed(4409),
            Ending::Closed(4001),
            Ending::NoToken,
        ] {
            assert!(waits(ending, 0.0).iter().all(|wait| *wait == 60.0), "{ending:?}");
            assert_eq!(waits(ending, 1.0)[..4], [120.0, 240.0, 480.0, 600.0], "{ending:?}");
            assert_eq!(waits(ending, 1.0)[19], 600.0, "{ending:?}");
        }
    }

    #[test]
    fn an_outdated_agent_waits_ten_minutes() {
        let ending = Ending::Refused { status: 426, retry_after: Some(Duration::from_secs(1)) };
        assert!(waits(ending, 0.3).iter().all(|wait| *wait == 600.0));
    }

    #[test]
    fn a_restarting_gateway_is_tried_soon_but_not_for_ever() {
        assert_eq!(waits(Ending::Closed(1012), 0.0)[..4], [0.2, 0.2, 0.2, 0.5]);
        assert_eq!(waits(Ending::Closed(1012), 1.0)[..5], [2.0, 2.0, 2.0, 8.0, 16.0]);
    }

    #[test]
    fn a_short_retry_after_does_not_stop_the_waits_from_growing() {
        let asked = Ending::Refused { status: 503, retry_after: Some(Duration::from_secs(1)) };
        assert_eq!(waits(asked, 1.0)[..4], [1.1, 2.0, 4.0, 8.0]);
        assert_eq!(waits(asked, 1.0)[19], 60.0);
    }

    #[test]
    fn another_gateway_is_not_dialled_by_all_at_once() {
        assert_eq!((switch(0.0), switch(1.0)), SWITCH);
        assert!(SWITCH.0 < SWITCH.1);
    }

    #[test]
    fn retry_after_is_honoured_and_spread_but_not_believed_beyond_an_hour() {
        let asked = |secs| Ending::Refused { status: 503, retry_after: Some(Duration::from_secs(secs)) };
        assert_eq!(waits(asked(20), 0.0)[0], 20.0);
        assert_eq!(waits(asked(20), 1.0)[4], 22.0);
        assert_eq!(waits(asked(0), 0.0)[0], 0.5);
        assert_eq!(waits(asked(u64::MAX), 0.0)[0], 3_600.0);
    }

    #[test]
    fn silence_violations_and_plain_closes_are_tried_again_with_jitter() {
        let busy = Ending::Refused { status: 429, retry_after: None };
        for ending in
            [Ending::Closed(4008), Ending::Closed(1000), Ending::Closed(1002), Ending::Closed(1009), busy]
        {
            assert_eq!(waits(ending, 1.0), waits(Ending::Broken, 1.0), "{ending:?}");
        }
    }
}
