//! Seeds, each run in a process of its own.

use std::{
    env,
    panic::{set_hook, take_hook},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, available_parallelism},
    time::Instant,
};

use crate::{
    PANICKED, Plan,
    run::{Summary, run},
};

/// Says which seed to run.
const SEED: &str = "ORIEL_SEED";

/// Says how many to run.
const SEEDS: &str = "ORIEL_SEEDS";

/// How many are run when nobody says.
const USUALLY: u64 = 50;

/// Seeds that are run in one go, counted from here, so that everybody runs the same by default.
const FIRST: u64 = 1;

#[test]
fn networks_break_and_heal() {
    if let Some(seed) = number(SEED) {
        let summary = one(seed).unwrap_or_else(|wrong| panic!("{wrong}"));
        println!("{summary:?}");
        return;
    }
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let (begun, count) = (Instant::now(), number(SEEDS).unwrap_or(USUALLY));
    thread::scope(|scope| {
        for _ in 0..available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = FIRST + next.fetch_add(1, Ordering::Relaxed) as u64;
                    if seed >= FIRST + count {
                        return;
                    }
                    if let Err(output) = in_a_process(seed) {
                        println!("ORIEL_SEED={seed} fails:\n{output}");
                        failures.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    println!("{count} seeds from {FIRST} in {:?}, {} failed", begun.elapsed(), failures.len());
    assert!(failures.is_empty(), "repeat one of these with ORIEL_SEED: {failures:?}");
}

#[test]
fn a_seed_replays() {
    if number(SEED).is_some() {
        return;
    }
    let again = || in_a_process(7).unwrap_or_else(|output| panic!("{output}"));
    assert_eq!(again(), again());
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// Runs one seed in another process; gives its summary, or all that it printed.
fn in_a_process(seed: u64) -> Result<String, String> {
    let mut this = Command::new(env::current_exe().unwrap());
    this.args(["--exact", "seeds::networks_break_and_heal", "--nocapture"]).env(SEED, seed.to_string());
    let output = this.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let summary = text.lines().find(|line| line.starts_with("Summary")).map(str::to_owned);
    summary.filter(|_| output.status.success()).ok_or_else(|| text + &String::from_utf8_lossy(&output.stderr))
}

/// Runs one seed on a thread that has drawn nothing yet.
fn one(seed: u64) -> Result<Summary, String> {
    let print = take_hook();
    set_hook(Box::new(move |info| {
        PANICKED.store(true, Ordering::Relaxed);
        print(info);
    }));
    log();
    let plan = Plan::of(seed);
    let described = plan.to_string();
    // In memory where that is possible: a simulation waits for no disk.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let path = folder.path().to_owned();
    let ran = thread::spawn(move || run(plan, &path)).join();
    let ran = ran.unwrap_or_else(|_| Err("the simulation panicked".into()));
    ran.map_err(|wrong| format!("ORIEL_SEED={seed}: {wrong}\n  {described}"))
}

/// What the programs log, when `ORIEL_SIM_LOG` asks for it.
fn log() {
    if let Ok(filter) = env::var("ORIEL_SIM_LOG") {
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
        _ = log.with_writer(std::io::stdout).with_timer(SimulatedTime).try_init();
    }
}

/// The time of the simulation, as the log tells it.
struct SimulatedTime;

impl tracing_subscriber::fmt::time::FormatTime for SimulatedTime {
    fn format_time(&self, w: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(w, "{:>8.2}", crate::run::NOW.get().as_secs_f64())
    }
}
