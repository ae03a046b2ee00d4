//! How many pictures a second a camera is asked for: at once more when somebody wants more, and fewer only when nobody has wanted as many
//! for a while, because each change makes the camera begin anew for everybody who watches.

use std::{future::pending, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// How long a camera goes on with more pictures than anybody wants.
const LINGER: Duration = Duration::from_secs(5);

/// What those who watch want together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    /// The most pictures a second.
    pub(super) fps: f32,
    /// When the last of them loses patience with a first picture.
    pub(super) by: Instant,
}

/// Waits until a camera that was asked for so many pictures a second should be asked for another number.
pub(super) async fn other_than(asked: f32, mut demand: watch::Receiver<Demand>) {
    let mut fewer_since = None;
    loop {
        let fps = demand.borrow_and_update().fps;
        if fps > asked {
            return;
        }
        fewer_since = (fps < asked).then(|| fewer_since.unwrap_or_else(Instant::now));
        let lingers = async {
            match fewer_since {
                Some(since) => sleep_until(since + LINGER).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = lingers => return,
            // Nobody watches any more: whoever waits here ends with the stream.
            changed = demand.changed() => if changed.is_err() { pending().await },
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    /// How long it takes until another number is asked for, of somebody who was asked for ten.
    async fn took(demand: &watch::Sender<Demand>) -> Option<Duration> {
        let start = Instant::now();
        timeout(LINGER * 100, other_than(10.0, demand.subscribe())).await.ok()?;
        Some(start.elapsed())
    }

    fn want(demand: &watch::Sender<Demand>, fps: f32) {
        demand.send_modify(|demand| demand.fps = fps);
    }

    #[tokio::test(start_paused = true)]
    async fn more_is_asked_for_at_once_and_less_when_nobody_wanted_as_many_for_a_while() {
        let demand = watch::Sender::new(Demand { fps: 10.0, by: Instant::now() });
        assert_eq!(took(&demand).await, None);
        want(&demand, 10.5);
        assert_eq!(took(&demand).await, Some(Duration::ZERO));
        want(&demand, 5.0);
        assert_eq!(took(&demand).await, Some(LINGER));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_and_goes_changes_nothing_and_others_do_not_put_it_off() {
        let demand = watch::Sender::new(Demand { fps: 10.0, by: Instant::now() });
        let flips = async {
            for _ in 0..20 {
                want(&demand, 5.0);
                advance(LINGER * 9 / 10).await;
                want(&demand, 10.0);
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = other_than(10.0, demand.subscribe()) => panic!("it was asked for less"),
            () = flips => {}
        }
        let start = Instant::now();
        let others = async {
            for fps in [5.0, 1.0, 5.0, 1.0, 5.0, 1.0] {
                want(&demand, fps);
                tokio::time::sleep(LINGER / 4).await;
            }
            pending::<()>().await;
        };
        tokio::select! {
            () = other_than(10.0, demand.subscribe()) => assert_eq!(start.elapsed(), LINGER),
            () = others => {}
        }
    }
}
