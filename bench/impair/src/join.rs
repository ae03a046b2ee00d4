//! `oriel-impair join`: joins two namespaces and stays until told to end; lines on standard input and a signal control the link.

use std::{
    io::BufRead as _,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::{
    failure::Failure,
    impairment::{Impairment, duration},
    link::{Link, Way},
    namespace,
    pair::{DEVICE, GATEWAY, Pair},
    signals::{self, Signal},
};

/// Joins two namespaces and stays until a signal ends it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Join {
    /// What the link does
    #[command(flatten)]
    impairment: Impairment,
    /// What the namespaces are called: NAME-gateway and NAME-device [default: oriel-PID]
    #[arg(long)]
    name: Option<String>,
    /// Drop every packet from then on, as if `drop all` came
    #[arg(long, value_name = "TIME", value_parser = duration)]
    blackhole_after: Option<Duration>,
}

/// What is to happen next.
#[derive(Debug)]
enum Order {
    Line(String),
    Signal(Signal),
}

impl Join {
    /// Runs until SIGINT, SIGTERM or the line `quit`.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let impairment = self.impairment.seeded();
        let (tx, orders) = mpsc::channel();
        let (lines_tx, signals_tx) = (tx.clone(), tx);
        signals::listen(move |signal| signals_tx.send(Order::Signal(signal)).is_ok());
        let name = self.name.unwrap_or_else(namespace::own_name);
        let pair = Pair::join(&name, &impairment)?;
        println!("joined: {}", impairment.describe());
        println!("{:<24} {GATEWAY}", pair.gateway.name());
        println!("{:<24} {DEVICE}", pair.device.name());
        println!("lines: drop all|up|down, heal, counts, quit; SIGUSR1 drops all, or heals");
        thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if lines_tx.send(Order::Line(line)).is_err() {
                    return;
                }
            }
        });
        let mut blackhole = self.blackhole_after.map(|after| Instant::now() + after);
        loop {
            let order = match blackhole {
                Some(at) => orders.recv_timeout(at.saturating_duration_since(Instant::now())),
                None => orders.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
            };
            match order {
                Ok(Order::Signal(Signal::End(_))) => return Ok(()),
                Ok(Order::Signal(Signal::Toggle)) => obey(&pair.link, toggled(&pair.link)),
                Ok(Order::Line(line)) if line.trim() == "quit" => return Ok(()),
                Ok(Order::Line(line)) => obey(&pair.link, line.trim()),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    blackhole = None;
                    obey(&pair.link, "drop all");
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }
}

fn toggled(link: &Link) -> &'static str {
    if link.is_cut() { "heal" } else { "drop all" }
}

fn obey(link: &Link, line: &str) {
    match line {
        "" => return,
        "drop all" => link.cut_all(),
        "drop up" => link.cut(Way::Up, true),
        "drop down" => link.cut(Way::Down, true),
        "heal" => link.heal(),
        "counts" => {
            for (name, way) in [("up", Way::Up), ("down", Way::Down)] {
                let counts = link.take_counts(way);
                println!("{name}: {counts:?}");
            }
        }
        other => {
            println!("{other:?} is none of drop all, drop up, drop down, heal, counts, quit");
            return;
        }
    }
    println!("done: {line}");
}
