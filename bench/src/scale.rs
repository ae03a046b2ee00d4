//! Fleet: what a question and a camera cost when 100 cameras are connected, and when 19,000 are.
//!
//! One fleet grows step by step at one gateway, and the same one at the null relay; at every size a hundred cameras,
//! evenly spread, are asked in alternating rounds. Each fleet has as many processes at every size, so that nothing but
//! the number of connections changes. A second gateway stays as small as the first one was at first, and is asked in the same
//! rounds: sizes are compared by it, since from one minute to the next a shared machine changes more than they do.

mod outcome;
mod servers;

use std::{fs, path::PathBuf, time::Duration};

use rand::{SeedableRng, rngs::SmallRng};

pub(crate) use self::outcome::Outcome;
use self::{
    outcome::{Return, Size},
    servers::Servers,
};
use crate::{
    failure::{Doing, Failure, Result},
    measure::{Bench, Measured, Question, Way, taken},
    report::Report,
};

/// Callers that ask at the same time.
const CALLERS: usize = 256;

/// Cameras that are asked.
const ASKED: usize = 100;

/// One gateway with ever more cameras
#[derive(Debug, clap::Args)]
pub(crate) struct Scale {
    /// Numbers of cameras, rising
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "100,1000,10000,19000")]
    cameras: Vec<usize>,
    /// Rounds at each size, in each of which every server is measured once
    #[arg(long, value_name = "N", default_value = "15")]
    rounds: usize,
    /// How long a server is measured each time, in milliseconds
    #[arg(long, value_name = "MS", default_value = "700")]
    phase: u64,
    /// Events of an answer
    #[arg(long, value_name = "N", default_value = "20")]
    events: u64,
    /// File to write the table to, as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Repeats the run with this seed
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Another gateway than the program beside this one
    #[arg(long, value_name = "FILE")]
    oriel: Option<PathBuf>,
}

impl Scale {
    /// Runs it; whether everything held.
    pub(crate) async fn run(self, seed: u64) -> Result<bool> {
        let mut report = Report::begin("fleet", seed);
        let outcome = self.measure(seed, &mut report).await?;
        if let Some(path) = &self.markdown {
            fs::write(path, outcome.markdown()).doing(path.display())?;
        }
        Ok(report.verdict())
    }

    /// Measures every size and tells what came of it.
    pub(crate) async fn measure(&self, seed: u64, report: &mut Report) -> Result<Outcome> {
        let ends = self.cameras.first().copied().zip(self.cameras.last().copied());
        let Some(ends) = ends.filter(|(fewest, _)| *fewest > 0 && self.cameras.is_sorted()) else {
            return Err(Failure::new("--cameras must be numbers that rise"));
        };
        let mut servers = Servers::start(self.oriel.clone(), ends, self.events, report).await?;
        let bench = Bench::new(Duration::from_millis(self.phase))?;
        let (mut sizes, mut others) = (Vec::new(), Vec::new());
        let mut rng = SmallRng::seed_from_u64(seed);
        for cameras in self.cameras.iter().copied() {
            servers.grow(cameras).await?;
            report.progress(format!("{cameras} cameras are connected"));
            let memory = servers.memory().await?;
            let rounds = self.rounds(&bench, &servers, cameras, report).await?;
            servers.all_present().await?;
            others.extend(rounds.iter().flatten().map(|measured| measured.others));
            sizes.push(Size::of(cameras, &rounds, memory, &mut rng));
        }
        let before = sizes.last().map_or(0, |size| size.memory.gateway);
        let gone = servers.leave().await?;
        report.progress("all have left");
        servers.come_back().await?;
        let returned = Return { before, gone, after: servers.memory().await?.gateway };
        let (taken, empty) = (taken(others.into_iter()), servers.empty());
        let outcome = Outcome { sizes, returned, empty, taken, rounds: self.rounds };
        outcome.tell(report);
        Ok(outcome)
    }

    /// What the null relay, the gateway and the small one did, round by round.
    async fn rounds(
        &self,
        bench: &Bench,
        servers: &Servers,
        cameras: usize,
        report: &Report,
    ) -> Result<[Vec<Measured>; 3]> {
        let (mut all, subjects) = ([const { Vec::new() }; 3], servers.subjects());
        let question = Question::Events(self.events);
        let way = |cameras| Way { callers: CALLERS, cameras: asked(cameras), alone: false, question };
        let ways = [way(cameras), way(cameras), way(self.cameras[0])];
        for round in 0..self.rounds {
            for turn in 0..subjects.len() {
                // Whoever was first is last in the next round.
                let turn = (turn + round) % subjects.len();
                let measured = bench.measure(&subjects[turn], &ways[turn], &servers.crews()).await?;
                let name = subjects[turn].name;
                report.progress(format!("{cameras} cameras, round {}: {name}: {measured}", round + 1));
                all[turn].push(measured);
            }
        }
        Ok(all)
    }
}

/// The cameras that are asked when there are so many.
fn asked(cameras: usize) -> Vec<usize> {
    (0..ASKED.min(cameras)).map(|n| n * cameras / ASKED.min(cameras)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_cameras_are_asked_all_over_the_fleet() {
        assert_eq!(asked(100), (0..100).collect::<Vec<_>>());
        assert_eq!(asked(3), [0, 1, 2]);
        let far = asked(19_000);
        assert!(far.len() == 100 && far[1] == 190 && far[99] == 18_810);
    }
}
