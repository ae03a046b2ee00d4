//! `oriel-impair link`: a short question beside a long answer on the same socket, over a slow link.
//!
//! A question of 1 KB is asked again and again, alone and then beside an upload of a picture or of a log, in turns on one link.
//! Seen failing with an agent that lets the kernel take all it wants of an answer.

use std::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use comfy_table::{ContentArrangement, Table, presets::UTF8_HORIZONTAL_ONLY};

use crate::{
    direction::Counts,
    failure::Failure,
    impairment::{self, Impairment},
    link::Way,
    report::{Report, Samples, ms},
    world::{CAMERA, PICTURES, Programs, Setup, World},
};

/// The most loss at which the promise holds; beyond it the figures are only reported.
const PROMISED_LOSS: f64 = 0.01;

/// The longest one question is waited for.
const CALL_WITHIN: Duration = Duration::from_secs(60);

/// What an upload and the queues that it filled may take to be gone.
const SETTLE: Duration = Duration::from_secs(3);

/// A short question beside a long answer on the same socket.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SlowLink {
    /// One way, in each direction
    #[arg(long, value_name = "TIME", default_value = "150ms", value_parser = impairment::duration)]
    delay: Duration,
    /// Up to this much later, evenly spread
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = impairment::duration)]
    jitter: Duration,
    /// Bits in a second, in each direction
    #[arg(long, value_name = "RATE", default_value = "1mbit", value_parser = impairment::rate)]
    rate: u64,
    /// Bytes of the buffer before the bottleneck [default: what the rate carries in one round trip]
    #[arg(long, value_name = "BYTES", value_parser = impairment::bytes)]
    queue: Option<u64>,
    /// Shares of packets that are lost, one run for each
    #[arg(long, value_name = "SHARES", default_value = "0,1%,5%", value_delimiter = ',', value_parser = impairment::share)]
    loss: Vec<f64>,
    /// Turns of alone and beside
    #[arg(long, value_name = "N", default_value = "8")]
    rounds: u32,
    /// Questions in each half of a turn
    #[arg(long, value_name = "N", default_value = "40")]
    calls: u32,
    /// What is uploaded, one run for each
    #[arg(long, value_name = "WHAT", default_value = "picture,log", value_delimiter = ',')]
    upload: Vec<Large>,
    /// Events in the camera's log: 12,000 are about 2 MB
    #[arg(long, value_name = "N", default_value = "12000")]
    events: u32,
    /// Bytes of the picture
    #[arg(long, value_name = "BYTES", default_value = "2000000")]
    picture: usize,
    /// Decides which packets are lost [default: a random one, which is printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    programs: Programs,
}

/// A long answer.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Large {
    /// A picture of full size, of another camera of the same agent.
    Picture,
    /// The log of the camera that is asked.
    Log,
}

/// What one run measured.
#[derive(Debug, Default)]
struct Measured {
    alone: Half,
    beside: Half,
    /// Uploads that came to their end.
    whole_uploads: u64,
    /// Questions that were not answered with 200.
    failed: Vec<String>,
}

/// One half of all turns.
#[derive(Debug, Default)]
struct Half {
    samples: Samples,
    /// Bytes of packets that went up.
    up_bytes: u64,
    time: Duration,
    lost: u64,
    overflown: u64,
    /// How long packets waited before the bottleneck, the mean of each turn and the most of all.
    waits: Samples,
    most_wait: Duration,
}

impl Large {
    fn path(self) -> String {
        match self {
            Self::Picture => format!("/v1/cameras/{PICTURES}/images/latest?class=main&timeout=60s"),
            Self::Log => format!("/v1/cameras/{CAMERA}/events?timeout=60s"),
        }
    }
}

impl fmt::Display for Large {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Picture => "a picture",
            Self::Log => "a log",
        })
    }
}

impl SlowLink {
    /// Runs each loss; tells whether the promise held wherever it is made.
    pub(crate) fn run(&self) -> Result<bool, Failure> {
        let mut report = Report::default();
        for large in self.upload.iter().copied() {
            for loss in self.loss.iter().copied() {
                self.run_one(large, loss, &mut report)?;
            }
        }
        Ok(report.end())
    }

    fn run_one(&self, large: Large, loss: f64, report: &mut Report) -> Result<(), Failure> {
        let impairment = Impairment {
            delay: self.delay,
            jitter: self.jitter,
            rate: Some(self.rate),
            queue: self.queue,
            loss,
            seed: self.seed,
            ..Impairment::NONE
        };
        let impairment = impairment.seeded();
        println!("\n{}, beside {large}, {}", impairment.describe(), self.programs.congestion);
        let picture = matches!(large, Large::Picture).then_some(self.picture);
        let setup = Setup { impairment, heartbeat: "30s", events: self.events, picture };
        let world = World::start(&self.programs, &setup)?;
        let measured = world.beside_the_gateway(|| self.measure(&world, large))?;
        world.end()?;
        measured.print(large);
        measured.judge(large, loss, report);
        Ok(())
    }

    fn measure(&self, world: &World, large: Large) -> Result<Measured, Failure> {
        let mut measured = Measured::default();
        // The first one fills caches and opens files.
        ask(world, &mut Vec::new());
        for _ in 0..self.rounds {
            settle(world);
            let began = Instant::now();
            for _ in 0..self.calls {
                if let Some(took) = ask(world, &mut measured.failed) {
                    measured.alone.samples.push(took);
                }
            }
            measured.alone.add(&world.pair.link.take_counts(Way::Up), began.elapsed());
            self.beside(world, large, &mut measured)?;
        }
        Ok(measured)
    }

    /// Asks beside an upload; only questions that lie wholly within one count.
    fn beside(&self, world: &World, large: Large, measured: &mut Measured) -> Result<(), Failure> {
        let upload = Upload::default();
        thread::scope(|scope| {
            let uploader = scope.spawn(|| upload.run(world, large));
            let (began, mut counted) = (Instant::now(), 0);
            while counted < self.calls && !uploader.is_finished() {
                let number = upload.running();
                if number.is_none() {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                }
                let took = ask(world, &mut measured.failed);
                if upload.running() == number {
                    counted += 1;
                    took.into_iter().for_each(|took| measured.beside.samples.push(took));
                }
            }
            measured.beside.add(&world.pair.link.take_counts(Way::Up), began.elapsed());
            upload.stop.store(true, Ordering::SeqCst);
            measured.whole_uploads += uploader.join().unwrap_or_else(|e| std::panic::resume_unwind(e))?;
            Ok(())
        })
    }
}

/// Uploads that follow one another until they are stopped.
#[derive(Debug, Default)]
struct Upload {
    stop: AtomicBool,
    /// The number of the upload that is running; 0 when none is.
    running: AtomicU64,
}

impl Upload {
    /// Uploads; how many came to their end.
    fn run(&self, world: &World, large: Large) -> Result<u64, Failure> {
        let (path, mut whole) = (large.path(), 0);
        while !self.stop.load(Ordering::SeqCst) {
            let ended = world.api.pieces(&path, |_| {
                self.running.store(whole + 1, Ordering::SeqCst);
                !self.stop.load(Ordering::SeqCst)
            });
            self.running.store(0, Ordering::SeqCst);
            whole += u64::from(ended?);
        }
        Ok(whole)
    }

    /// Which upload is running.
    fn running(&self) -> Option<u64> {
        Some(self.running.load(Ordering::SeqCst)).filter(|number| *number != 0)
    }
}

/// Asks the short question; how long it took.
fn ask(world: &World, failed: &mut Vec<String>) -> Option<Duration> {
    let answer = world.api.ask(&format!("/v1/cameras/{CAMERA}/events?limit=5&timeout=60s"), CALL_WITHIN);
    let good = answer.status == 200 && answer.body["events"].as_array().is_some_and(|list| list.len() == 5);
    if !good {
        failed.push(answer.summary());
    }
    good.then_some(answer.took)
}

/// Waits until what was under way is gone, and asks once, so that the next turn begins as the first did.
fn settle(world: &World) {
    thread::sleep(SETTLE);
    ask(world, &mut Vec::new());
    world.pair.link.take_counts(Way::Up);
}

impl Half {
    fn add(&mut self, counts: &Counts, time: Duration) {
        self.up_bytes += counts.passed_bytes;
        self.time += time;
        self.lost += counts.lost;
        self.overflown += counts.overflown;
        self.waits.push(counts.mean_wait());
        self.most_wait = self.most_wait.max(counts.most_wait);
    }

    fn row(&self, name: &str) -> Vec<String> {
        let at = |percent| ms(self.samples.percentile(percent));
        let kbit = self.up_bytes as f64 * 8.0 / 1e3 / self.time.as_secs_f64().max(f64::MIN_POSITIVE);
        vec![
            name.into(),
            self.samples.count().to_string(),
            at(50.0),
            at(90.0),
            at(99.0),
            ms(self.samples.most()),
            format!("{kbit:.0} kbit/s"),
            format!("{} / {}", ms(self.waits.percentile(50.0)), ms(self.most_wait)),
            format!("{} + {}", self.lost, self.overflown),
        ]
    }
}

impl Measured {
    fn print(&self, large: Large) {
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header([
            "question",
            "samples",
            "p50",
            "p90",
            "p99",
            "most",
            "going up",
            "wait before the bottleneck, mean / most",
            "packets lost + overflown",
        ]);
        table.add_row(self.alone.row("alone"));
        table.add_row(self.beside.row(&format!("beside {large}")));
        println!("{table}");
    }

    fn judge(&self, large: Large, loss: f64, report: &mut Report) {
        let ratio = |percent| {
            let (alone, beside) = (&self.alone.samples, &self.beside.samples);
            beside.percentile(percent).as_secs_f64() / alone.percentile(percent).as_secs_f64()
        };
        let (p50, p99) = (ratio(50.0), ratio(99.0));
        let figures = format!("p50 {p50:.2}x, p99 {p99:.2}x, {} whole uploads", self.whole_uploads);
        let what = format!("{} % lost: beside {large} p50 at most 2x, p99 at most 3x", loss * 100.0);
        if loss <= PROMISED_LOSS {
            report.check(&what, p50 <= 2.0 && p99 <= 3.0, &figures);
        } else {
            Report::note(&format!("{} % lost, beside {large}, reported only", loss * 100.0), &figures);
        }
        let figures = match self.failed.first() {
            None => "none failed".into(),
            Some(first) => format!("{} failed, the first with {first}", self.failed.len()),
        };
        report.check(
            &format!("{} % lost, beside {large}: every question is answered", loss * 100.0),
            self.failed.is_empty(),
            &figures,
        );
    }
}
