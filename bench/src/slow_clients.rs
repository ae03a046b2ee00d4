//! Slow clients: thousands that send a byte a second and thousands of handshakes that stop half-way; all are closed in time, and
//! who asks properly notices little.
//!
//! The attackers come from as many addresses as there are. That is more connections than a gateway takes by default, so its
//! `limits.connections` is raised by a flag; `limits.connections_per_address` is left as it is.
//!
//! Seen failing against gateways that were broken on purpose: one without the time limit of the first request (not closed),
//! one without that of bodies (not closed), and one that spends a millisecond on every byte that comes (p99).

mod attack;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use tokio::time::sleep;

use self::attack::{Attack, Closed, Kind};
use crate::{
    failure::{Failure, Result},
    fleet::{self, life},
    gateway::{Gateway, Options},
    load::{Good, Traffic},
    report::{Report, mebibytes, millis, seconds},
    stats::{Times, median},
    target::source,
};

/// A connection that gets nowhere must be closed by then.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);

/// How much longer good traffic may take.
const RATIO: f64 = 2.0;

/// How long good traffic is measured in each phase; in that with the attack it begins with the first attacker.
const PHASE: Duration = Duration::from_secs(13);

/// Cameras that good traffic asks.
const CAMERAS: usize = 20;

/// Callers of the good traffic, and questions that they ask in a second.
const CALLERS: usize = 32;
const RATE: u32 = 500;

/// Clients that hold connections and do nothing with them
#[derive(Debug, clap::Args)]
pub(crate) struct SlowClients {
    /// Clients that send one byte a second
    #[arg(long, value_name = "N", default_value = "5000")]
    slow: usize,
    /// Handshakes that stop half-way
    #[arg(long, value_name = "N", default_value = "5000")]
    half: usize,
    /// Phases without and with the attack, in turn
    #[arg(long, value_name = "N", default_value = "5")]
    rounds: usize,
    /// Let everybody connect by TLS
    #[arg(long)]
    tls: bool,
    /// Repeats the run with this seed
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Another gateway than the program beside this one
    #[arg(long, value_name = "FILE")]
    oriel: Option<PathBuf>,
}

/// What all phases gave.
#[derive(Debug, Default)]
struct Measured {
    quiet: Traffic,
    attacked: Traffic,
    ratios: Vec<f64>,
    closed: BTreeMap<Kind, Times>,
    faults: Vec<String>,
}

impl SlowClients {
    /// Runs it; whether everything held.
    pub(crate) async fn run(self, seed: u64) -> Result<bool> {
        let mut report = Report::begin("slow-clients", seed);
        let room = (self.slow + self.half + 2_000).to_string();
        let flags = vec!["--limit-connections".into(), room];
        report.figure("flags of the gateway", flags.join(" "));
        let options = Options { program: self.oriel.clone(), tls: self.tls, flags, ..Options::default() };
        let gateway = Gateway::start(options).await?;
        let members = fleet::enrolled(&gateway, CAMERAS, 1).await?;
        let attack = Attack::new(&members, self.slow, self.half, seed)?;
        let (roll, lives) = life::start(members, seed);
        if !roll.reaches(CAMERAS, Duration::from_secs(30)).await {
            return Err(Failure::new("not all agents could connect"));
        }
        let before = gateway.resident()?;
        let measured = self.measure(&gateway, &attack, &report).await?;
        measured.tell(&mut report);
        sleep(Duration::from_secs(2)).await;
        report.figure("memory before", mebibytes(before));
        report.figure("memory after", mebibytes(gateway.resident()?));
        let open = gateway.metric("oriel_http_connections").await?.unwrap_or_default();
        report.figure("connections at the end", open);
        report.check(open <= CALLERS as f64 + 1.0, format!("{open} connections are open at the end"));
        report.check(roll.present() == CAMERAS, "agents lost their connection");
        drop(lives);
        Ok(report.verdict())
    }

    async fn measure(&self, gateway: &Gateway, attack: &Attack, report: &Report) -> Result<Measured> {
        let mut good = Good::new(gateway, (0..CALLERS).map(|n| source(n + 30_000)), CAMERAS, RATE)?;
        let mut measured = Measured::default();
        // Everybody connects before anything is measured.
        good.ask(Duration::from_secs(2)).await?;
        for round in 1..=self.rounds {
            let quiet = good.ask(PHASE).await?;
            let (attacked, closed) = tokio::join!(good.ask(PHASE), attack.run());
            let (attacked, closed) = (attacked?, closed?);
            let p99 = [&quiet, &attacked].map(|traffic| traffic.times.quantile(0.99));
            measured.ratios.push(p99[1].as_secs_f64() / p99[0].as_secs_f64());
            let [before, during] = p99.map(millis);
            report.progress(format!("round {round}: p99 {before}, under attack {during}"));
            measured.quiet.append(quiet);
            measured.attacked.append(attacked);
            closed.into_iter().for_each(|closed| measured.note(closed));
        }
        Ok(measured)
    }
}

impl Measured {
    fn note(&mut self, closed: Closed) {
        match closed.after {
            Ok(after) => self.closed.entry(closed.kind).or_default().push(after),
            Err(why) => self.faults.push(format!("{:?}: {why}", closed.kind)),
        }
    }

    fn tell(self, report: &mut Report) {
        for (kind, times) in &self.closed {
            let (count, longest) = (times.len(), times.longest());
            let told = format!("{count} closed, the last after {}", seconds(longest));
            report.figure(kind.name(), &told);
            report.check(longest <= CLOSED_WITHIN, format!("{}: {told}", kind.name()));
        }
        let kinds = self.closed.len();
        report.check(kinds >= 5, format!("only {kinds} kinds of attackers were closed"));
        self.faults.iter().take(5).for_each(|fault| report.progress(fault));
        report.none("attackers that were not closed or not let in", self.faults.len() as u64);
        report.figure("time that a connection without progress may last", seconds(CLOSED_WITHIN));
        for (name, traffic) in [("good traffic alone", &self.quiet), ("under attack", &self.attacked)] {
            let times = [0.5, 0.99, 1.0].map(|q| millis(traffic.times.quantile(q)));
            let told = format!(
                "{} answers, p50 {}, p99 {}, longest {}",
                traffic.times.len(),
                times[0],
                times[1],
                times[2]
            );
            report.figure(name, told);
            traffic.failures.iter().take(5).for_each(|failure| report.progress(failure));
            report.none(&format!("{name}: failed"), traffic.failures.len() as u64);
        }
        let told = self.ratios.iter().map(|ratio| format!("{ratio:.2}")).collect::<Vec<_>>().join(", ");
        let ratio = median(self.ratios);
        report.figure("p99 under attack to p99 alone", format!("{ratio:.2} (of {told})"));
        report.check(ratio <= RATIO, format!("p99 under attack is {ratio:.2} times that before"));
    }
}
