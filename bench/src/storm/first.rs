//! The first arrival: all dial at once, without jitter, a server that has just started; gateway and null relay in turn.

use std::{
    fmt::{self, Write},
    time::Duration,
};

use bytes::Bytes;
use rand::Rng;
use tokio::{runtime::Handle, time::Instant};

use crate::{
    failure::Result,
    measure::{NULL, ORIEL, others, taken},
    null_relay::{self, devices},
    process,
    program::Program,
    report::{Report, seconds},
    stats::{Interval, median, median_time},
    target::Target,
};

/// By then all must be registered when nobody waits.
const WITHIN: Duration = Duration::from_millis(600);

/// What each may cost the gateway then, in processor time.
const COSTS: Duration = Duration::from_micros(60);

/// How one crowd arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// From the first dial until the last one is registered.
    pub(super) took: Duration,
    /// The server's processor time for each.
    pub(super) processor: Duration,
    /// What each took of this process.
    pub(super) own: Duration,
    /// The share of this machine that other programs took meanwhile, 0 to 1.
    pub(super) others: f64,
}

impl fmt::Display for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "all after {}, {:.0} us each", seconds(self.took), self.processor.as_secs_f64() * 1e6)
    }
}

/// How crowds arrived at both servers, round by round.
#[derive(Debug)]
pub(crate) struct First {
    /// How many came each time.
    pub(super) agents: usize,
    /// At the gateway.
    pub(super) gateway: Vec<Arrival>,
    /// At the null relay; none when the gateway was dialled by TLS, which that one does not speak.
    pub(super) null: Vec<Arrival>,
}

/// The gateway against the null relay.
struct Ratio {
    took: Interval,
    processor: Interval,
}

/// What is read when a crowd sets out.
pub(super) struct Departure {
    server: u32,
    at: Instant,
    busy: Duration,
    own: Duration,
    machine: Duration,
}

impl Departure {
    /// Towards a server with this process id.
    pub(super) fn to(server: u32) -> Result<Self> {
        let own = process::processor(std::process::id())?;
        let (busy, machine) = (process::processor(server)?, process::machine()?);
        Ok(Self { server, at: Instant::now(), busy, own, machine })
    }

    /// So many are there.
    pub(super) fn arrived(self, agents: usize) -> Result<Arrival> {
        let took = self.at.elapsed();
        let busy = process::processor(self.server)?.saturating_sub(self.busy);
        let own = process::processor(std::process::id())?.saturating_sub(self.own);
        let others = others(process::machine()? - self.machine, busy + own, took);
        let [processor, own] = [busy, own].map(|all| all.div_f64(agents as f64));
        Ok(Arrival { took, processor, own, others })
    }
}

/// So many arrive at a null relay that has just started, and leave.
pub(super) async fn at_null_relay(agents: usize) -> Result<Arrival> {
    let (relay, address) = Program::serving(null_relay::NAME, &[]).await?;
    let target = Target { address, tls: None };
    let departure = Departure::to(relay.pid())?;
    let mut devices = devices::start(&target, 0..agents, &Bytes::new(), &Handle::current()).await?;
    let arrival = departure.arrived(agents)?;
    devices.shutdown().await;
    Ok(arrival)
}

impl Arrival {
    /// The medians of some.
    fn middle(all: &[Self]) -> Self {
        Self {
            took: median_time(all.iter().map(|arrival| arrival.took)),
            processor: median_time(all.iter().map(|arrival| arrival.processor)),
            own: median_time(all.iter().map(|arrival| arrival.own)),
            others: median(all.iter().map(|arrival| arrival.others).collect()),
        }
    }

    /// Tells it.
    pub(super) fn tell(&self, which: &str, whose: &str, report: &Report) {
        report.figure(&format!("{which}: until the last is registered"), seconds(self.took));
        report.figure(&format!("{which}: {whose} processor time per agent"), micros(self.processor));
        report.figure(&format!("{which}: an agent's own processor time"), micros(self.own));
    }
}

impl First {
    /// Tells the medians of both.
    pub(super) fn tell(&self, report: &Report, rng: &mut impl Rng) {
        Arrival::middle(&self.gateway).tell("first", "gateway's", report);
        match self.ratio(rng) {
            Some(Ratio { took, processor }) => {
                Arrival::middle(&self.null).tell(&format!("first, {NULL}"), "its", report);
                let told = format!("time {took}, processor time {processor}");
                report.figure(&format!("first: {ORIEL} / {NULL}"), told);
            }
            None => report.figure(NULL, "speaks no TLS, so not measured"),
        }
        report.figure("first: taken by other programs", self.taken());
    }

    /// Notes what the gateway does not reach; by TLS nothing is asked of it.
    pub(super) fn check(&self, report: &mut Report) {
        if self.null.is_empty() {
            return;
        }
        let Arrival { took, processor, .. } = Arrival::middle(&self.gateway);
        report.check(took <= WITHIN, format!("all registered only after {}", seconds(took)));
        report.check(processor <= COSTS, format!("an agent's arrival costs {}", micros(processor)));
    }

    /// As a table in Markdown.
    pub(crate) fn markdown(&self, rng: &mut impl Rng) -> String {
        let rounds = self.gateway.len();
        let mut text = format!(
            "{} agents dial at once, without jitter, a server that has just started. Medians of {rounds} rounds; ratios are those of the same \
             round, with the interval of nine of ten medians. Other programs took {}. Wanted: {} and {} each.\n\n\
             | side | until the last is registered | processor time each | time / {NULL} | processor time / {NULL} |\n\
             |---|---|---|---|---|\n",
            self.agents,
            self.taken(),
            seconds(WITHIN),
            micros(COSTS)
        );
        let against = self.ratio(rng).map(|ratio| format!("{} | {}", ratio.took, ratio.processor));
        let against = against.unwrap_or_else(|| " | ".into());
        for (name, all, against) in [(NULL, &self.null, "1 | 1"), (ORIEL, &self.gateway, &against)] {
            if all.is_empty() {
                continue;
            }
            let Arrival { took, processor, .. } = Arrival::middle(all);
            let (took, processor) = (seconds(took), micros(processor));
            // Writing into a text cannot fail.
            _ = writeln!(text, "| {name} | {took} | {processor} | {against} |");
        }
        text
    }

    /// What other programs took of this machine, for people.
    fn taken(&self) -> String {
        taken(self.gateway.iter().chain(&self.null).map(|arrival| arrival.others))
    }

    /// The one against the other, where both were measured.
    fn ratio(&self, rng: &mut impl Rng) -> Option<Ratio> {
        if self.null.is_empty() {
            return None;
        }
        let mut interval = |figure: fn(&Arrival) -> Duration| {
            let pairs = self.gateway.iter().zip(&self.null);
            let ratios = pairs.map(|(own, null)| figure(own).as_secs_f64() / figure(null).as_secs_f64());
            Interval::of(ratios.collect(), rng)
        };
        Some(Ratio {
            took: interval(|arrival| arrival.took),
            processor: interval(|arrival| arrival.processor),
        })
    }
}

/// Processor time for people, in microseconds.
fn micros(time: Duration) -> String {
    format!("{:.0} us", time.as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;

    fn arrivals(milliseconds: [u64; 3]) -> Vec<Arrival> {
        let (processor, own) = (Duration::from_micros(50), Duration::from_micros(90));
        milliseconds.map(|ms| Arrival { took: Duration::from_millis(ms), processor, own, others: 0.0 }).into()
    }

    #[test]
    fn arrivals_are_compared_round_by_round() {
        let first =
            First { agents: 10, gateway: arrivals([600, 900, 2_000]), null: arrivals([300, 300, 1_000]) };
        let mut rng = SmallRng::seed_from_u64(1);
        let ratio = first.ratio(&mut rng).unwrap();
        assert!((ratio.took.median - 2.0).abs() < 1e-9 && (ratio.processor.median - 1.0).abs() < 1e-9);
        let text = first.markdown(&mut rng);
        assert!(
            text.contains("| oriel | 0.900 s | 50 us | 2.00 (2.00 to 3.00) | 1.00 (1.00 to 1.00) |"),
            "{text}"
        );
    }

    #[test]
    fn without_a_null_relay_there_is_no_ratio() {
        let first = First { agents: 10, gateway: arrivals([600, 900, 2_000]), null: Vec::new() };
        assert!(first.ratio(&mut SmallRng::seed_from_u64(1)).is_none());
    }
}
