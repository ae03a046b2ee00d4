//! How many pictures come through in a second, against the null relay in the same rounds, and how many bytes.
//!
//! Every question is for another picture, because the gateway lets equal ones share an answer, and keeps what was asked for.

use std::time::Duration;

use rand::{SeedableRng, rngs::SmallRng};
use tokio::task::JoinSet;

use super::World;
use crate::{
    failure::{Doing, Failure, Result},
    measure::{Bench, Measured, NULL, ORIEL, Question, Ratio, Subject, Way, taken},
    null_relay::{self, devices},
    program::Program,
    report::Report,
    target::Target,
};

/// The least share of the null relay's bytes a second.
const LEAST: f64 = 0.70;

/// Cameras that are asked in turn.
const ASKED: usize = 100;

/// One way of asking.
struct Phase {
    name: &'static str,
    class: &'static str,
    callers: usize,
    cameras: usize,
}

/// All of them, in the order in which they are measured. A caller of full-size pictures has 256 KiB of them under way.
const PHASES: [Phase; 4] = [
    Phase { name: "previews, 1 caller of one camera", class: "preview", callers: 1, cameras: 1 },
    Phase { name: "previews, 32 callers of 100 cameras", class: "preview", callers: 32, cameras: ASKED },
    Phase { name: "full size, 1 caller of one camera", class: "main", callers: 1, cameras: 1 },
    Phase { name: "full size, 8 callers of 100 cameras", class: "main", callers: 8, cameras: ASKED },
];

/// The null relay and its devices.
struct Null {
    subject: Subject,
    _relay: Program,
    _devices: JoinSet<()>,
}

/// Measures both sides in turn.
pub(super) async fn measure(
    world: &World,
    rounds: usize,
    time: Duration,
    seed: u64,
    report: &mut Report,
) -> Result<()> {
    let before = report.faults().len();
    let joined = joined(world).await?;
    let null = Null::start(world).await?;
    let (oriel, bench) = (Subject::oriel(&world.gateway), Bench::new(time)?);
    let subjects = [&null.subject, &oriel];
    let mut all = PHASES.each_ref().map(|_| [const { Vec::<Measured>::new() }; 2]);
    for round in 0..rounds {
        for (phase, all) in PHASES.iter().zip(&mut all) {
            for turn in 0..subjects.len() {
                // Whoever was first is last in the next round.
                let side = (turn + round) % subjects.len();
                let measured = bench.measure(subjects[side], &phase.way(), &[]).await.doing(phase.name)?;
                let (round, name) = (round + 1, subjects[side].name);
                report.progress(format!("round {round}, {}: {name}: {measured}", phase.name));
                all[side].push(measured);
            }
        }
    }
    let mut rng = SmallRng::seed_from_u64(seed);
    for (phase, [null, oriel]) in PHASES.iter().zip(&all) {
        let ratio = Ratio::between((ORIEL, oriel), (NULL, null), &mut rng);
        phase.tell(world, null, oriel, &ratio, report);
    }
    report.figure("taken by other programs", taken(all.iter().flatten().flatten().map(|one| one.others)));
    let joined = self::joined(world).await? - joined;
    report.none("callers who shared an answer", joined as u64);
    report.step("pictures a second", before);
    Ok(())
}

async fn joined(world: &World) -> Result<f64> {
    let joined = world.gateway.metric("oriel_calls_joined_total").await?;
    joined.ok_or_else(|| Failure::new("the gateway does not count who shared an answer"))
}

impl Null {
    async fn start(world: &World) -> Result<Self> {
        let (relay, address) = Program::serving(null_relay::NAME, &[]).await?;
        let (target, handle) = (Target { address, tls: None }, world.devices.handle());
        let devices = devices::start_with_pictures(&target, 0..ASKED, &world.album, handle).await?;
        let subject = Subject::open(NULL, address, vec![relay.pid()]);
        Ok(Self { subject, _relay: relay, _devices: devices })
    }
}

impl Phase {
    fn way(&self) -> Way {
        let (cameras, question) = ((0..self.cameras).collect(), Question::Picture(self.class));
        Way { callers: self.callers, cameras, alone: false, question }
    }

    fn tell(&self, world: &World, null: &[Measured], oriel: &[Measured], ratio: &Ratio, report: &mut Report) {
        let album = &world.album;
        let bytes = if self.class == "main" { album.main.len() } else { album.preview.len() };
        for (name, rounds) in [(NULL, null), (ORIEL, oriel)] {
            let middle = Measured::middle(rounds);
            let rate = middle.rate * bytes as f64 / 1e6;
            report.figure(&format!("{}: {name}", self.name), format!("{rate:.0} MB/s, {middle}"));
        }
        let (name, told) = (format!("{}: {ORIEL} / {NULL}", self.name), &ratio.rate);
        report.figure(&name, format!("MB/s {told}, processor time {}", ratio.processor));
        let why = format!("{}: at least {LEAST:.2} of the MB/s of {NULL} but {told}", self.name);
        report.check(ratio.rate.median >= LEAST, why);
    }
}
