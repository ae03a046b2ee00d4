//! `oriel-impair cancel`: callers who hang up in the middle of a large picture; when the agent stops, and what it sent meanwhile.
//!
//! What counts is what leaves the device: what its agent had given to the kernel before it was told still goes out. Whether packets
//! carry a picture is told by their size, since nothing else goes up meanwhile.
//!
//! Seen failing with an agent that passes over `Cancel`: the next picture comes too late behind those that nobody wants.

use std::{
    thread,
    time::{Duration, Instant},
};

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

use crate::{
    failure::Failure,
    impairment::{self, Impairment},
    link::Way,
    report::{Report, Samples, ms},
    world::{CAMERA, PICTURES, Programs, Setup, World},
};

/// How much later than a round trip the agent may stop.
const STOPS_WITHIN: Duration = Duration::from_millis(250);

/// What may leave the device after the hang-up, in bytes of packets.
const SENT_AFTER: u64 = 256_000;

/// The agent has stopped when nothing of the picture left the device for so long.
const QUIET: Duration = Duration::from_secs(2);

/// The longest an agent that does not stop is watched.
const WATCHED: Duration = Duration::from_secs(20);

/// How often the link is asked.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The longest a question is waited for.
const CALL_WITHIN: Duration = Duration::from_secs(60);

/// Callers who hang up in the middle of a large picture.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Cancel {
    /// One way, in each direction
    #[arg(long, value_name = "TIME", default_value = "150ms", value_parser = impairment::duration)]
    delay: Duration,
    /// Bits in a second, in each direction
    #[arg(long, value_name = "RATE", default_value = "10mbit", value_parser = impairment::rate)]
    rate: u64,
    /// Callers who hang up, one after the other
    #[arg(long, value_name = "N", default_value = "12")]
    hang_ups: u32,
    /// Bytes of the picture; the largest that an agent keeps has 16 MiB
    #[arg(long, value_name = "BYTES", default_value = "15000000")]
    picture: usize,
    /// Decides when they hang up [default: a random one, which is printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    programs: Programs,
}

/// What one hang-up came to.
struct HungUp {
    /// From the hang-up until the last packet of the picture left the device; zero when none did.
    stopped: Duration,
    /// Bytes of all packets that left it in that time.
    sent: u64,
    /// The first question after it.
    asked: Duration,
}

impl Cancel {
    /// Hangs up again and again; tells whether the promise held.
    pub(crate) fn run(&self) -> Result<bool, Failure> {
        let impairment =
            Impairment { delay: self.delay, rate: Some(self.rate), seed: self.seed, ..Impairment::NONE };
        let impairment = impairment.seeded();
        println!("{}, {}", impairment.describe(), self.programs.congestion);
        println!("a picture of {} bytes", self.picture);
        // From where the agent sends as much as it may, to where it has half left.
        let taken = self.picture / 30..self.picture / 2;
        let mut chance = SmallRng::seed_from_u64(impairment.seed.unwrap_or_default());
        let setup = Setup { impairment, heartbeat: "30s", events: 100, picture: Some(self.picture) };
        let world = World::start(&self.programs, &setup)?;
        let hung_up = world.beside_the_gateway(|| {
            let all = (0..self.hang_ups).map(|_| hang_up(&world, chance.random_range(taken.clone())));
            all.collect::<Result<Vec<_>, _>>()
        })?;
        world.end()?;
        let mut report = Report::default();
        self.judge(&hung_up, &mut report);
        Ok(report.end())
    }

    fn judge(&self, hung_up: &[HungUp], report: &mut Report) {
        let stopped = samples(hung_up, |one| one.stopped);
        let (round_trip, most) = (2 * self.delay, hung_up.iter().map(|one| one.sent).max());
        let told = |samples: &Samples| {
            let [middle, ninth] = [50.0, 90.0].map(|percent| ms(samples.percentile(percent)));
            format!("p50 {middle}, p90 {ninth}, longest {}", ms(samples.most()))
        };
        report.check(
            &format!("the agent stops within a round trip and {}", ms(STOPS_WITHIN)),
            stopped.count() > 0 && stopped.most() <= round_trip + STOPS_WITHIN,
            &told(&stopped),
        );
        let most = most.unwrap_or_default();
        let promise = format!("it sends at most {SENT_AFTER} bytes after a hang-up");
        report.check(&promise, most <= SENT_AFTER, &format!("{most} bytes at most"));
        let asked = samples(hung_up, |one| one.asked);
        Report::note("the first question after a hang-up", &told(&asked));
    }
}

/// Takes so many bytes of the picture, hangs up, and watches the link until the agent has stopped.
fn hang_up(world: &World, bytes: usize) -> Result<HungUp, Failure> {
    let mut taken = 0;
    let path = format!("/v1/cameras/{PICTURES}/images/latest?class=main&timeout=60s");
    let whole = world.api.pieces(&path, |piece| {
        taken += piece;
        taken < bytes
    })?;
    let at = Instant::now();
    if whole {
        return Err(Failure::Odd(format!("the whole picture came before {bytes} bytes were taken")));
    }
    world.pair.link.take_counts(Way::Up);
    // Asked at once: whoever comes next must not wait for what nobody wants.
    let asked = ask(world)?;
    let (mut sent, mut last) = (0, at);
    while last.elapsed() < QUIET && at.elapsed() < WATCHED {
        let counts = world.pair.link.take_counts(Way::Up);
        sent += counts.bytes;
        last = counts.last_large.map_or(last, |large| large.max(last));
        thread::sleep(LOOK_EVERY);
    }
    Ok(HungUp { stopped: last - at, sent, asked })
}

/// Asks for one event; how long it took.
fn ask(world: &World) -> Result<Duration, Failure> {
    let answer = world.api.ask(&format!("/v1/cameras/{CAMERA}/events?limit=1&timeout=60s"), CALL_WITHIN);
    if answer.status == 200 { Ok(answer.took) } else { Err(Failure::Odd(answer.summary())) }
}

fn samples(hung_up: &[HungUp], of: impl Fn(&HungUp) -> Duration) -> Samples {
    let mut samples = Samples::default();
    hung_up.iter().for_each(|one| samples.push(of(one)));
    samples
}
