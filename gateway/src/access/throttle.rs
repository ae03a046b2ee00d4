//! Wrong credentials by address: a few a minute are answered, more are told to wait.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::keyed::DashMapStateStore,
};

use super::AccessError;

/// Failures that one address may have in a burst, and again within a minute: enough for a site whose devices share one.
pub(super) const FAILURES_A_MINUTE: NonZeroU32 = NonZeroU32::new(30).unwrap();

/// Every so many failures, addresses that have calmed down are forgotten: bounds the memory even without a clock's tick.
const FORGET_EVERY: u32 = 4_096;

/// Counts failures, never successes.
#[derive(Debug)]
pub(super) struct Throttle<C: Clock = DefaultClock> {
    limiter: RateLimiter<IpAddr, DashMapStateStore<IpAddr>, C, NoOpMiddleware<C::Instant>>,
    clock: C,
    failures: AtomicU32,
}

impl Throttle {
    /// With the system's clock.
    pub(super) fn new() -> Self {
        Self::with_clock(DefaultClock::default())
    }
}

impl<C: Clock + Clone> Throttle<C> {
    /// With another clock.
    pub(super) fn with_clock(clock: C) -> Self {
        let quota = Quota::per_minute(FAILURES_A_MINUTE);
        let limiter = RateLimiter::dashmap_with_clock(quota, clock.clone());
        Self { limiter, clock, failures: AtomicU32::new(0) }
    }

    /// Counts a failure; fails when there were too many.
    pub(super) fn fail(&self, peer: IpAddr) -> Result<(), AccessError> {
        if self.failures.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.forget_calm();
        }
        self.limiter
            .check_key(&one_site(peer))
            .map_err(|until| AccessError::Throttled { retry_after: until.wait_time_from(self.clock.now()) })
    }

    /// Forgets the addresses that have all their tries again.
    pub(super) fn forget_calm(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

/// One IPv6 customer has a /64 and would otherwise have as many tries as addresses.
fn one_site(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn throttled(throttle: &Throttle<FakeRelativeClock>, peer: &str) -> Option<Duration> {
        match throttle.fail(peer.parse().unwrap()) {
            Err(AccessError::Throttled { retry_after }) => Some(retry_after),
            _ => None,
        }
    }

    #[test]
    fn an_address_waits_after_too_many_failures_and_then_may_try_again() {
        let clock = FakeRelativeClock::default();
        let throttle = Throttle::with_clock(clock.clone());
        for _ in 0..30 {
            assert_eq!(throttled(&throttle, "192.0.2.1"), None);
        }
        let wait = throttled(&throttle, "192.0.2.1").unwrap();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(2), "{wait:?}");
        assert_eq!(throttled(&throttle, "192.0.2.2"), None);
        clock.advance(wait);
        assert_eq!(throttled(&throttle, "192.0.2.1"), None);
    }

    #[test]
    fn addresses_of_one_ipv6_site_share_their_tries() {
        let throttle = Throttle::with_clock(FakeRelativeClock::default());
        for n in 0..30 {
            assert_eq!(throttled(&throttle, &format!("2001:db8::{n:x}")), None);
        }
        assert!(throttled(&throttle, "2001:db8::ffff").is_some());
        assert_eq!(throttled(&throttle, "2001:db8:0:1::1"), None);
    }

    #[test]
    fn calm_addresses_are_forgotten() {
        let clock = FakeRelativeClock::default();
        let throttle = Throttle::with_clock(clock.clone());
        for n in 0..FORGET_EVERY - 1 {
            assert_eq!(throttled(&throttle, &Ipv6Addr::from_bits(u128::from(n) << 64).to_string()), None);
        }
        assert_eq!(throttle.limiter.len(), FORGET_EVERY as usize - 1);
        clock.advance(Duration::from_secs(61));
        assert_eq!(throttled(&throttle, "192.0.2.1"), None);
        assert_eq!(throttle.limiter.len(), 1);
    }
}
