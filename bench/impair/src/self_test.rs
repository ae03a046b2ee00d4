//! `oriel-impair self-test`: the link does what its options say, and leaves nothing behind.
//!
//! Each promise was seen failing against a link that was broken for it: a delay of two thirds, a rate that counts payloads
//! only, losses drawn from the clock instead of the seed, a buffer without a bound, no held-back packets, jitter that
//! overtakes, a cut that stops one way alone, and a program that does not listen to signals.

mod ending;
mod probe;

use std::{collections::BTreeSet, time::Duration};

use rustix::process::setpriority_process;

use crate::{
    failure::Failure,
    impairment::Impairment,
    link::{PRIORITY, Way},
    pair::Pair,
    report::{Report, Samples, ms},
    self_test::probe::Probe,
};

const MS: Duration = Duration::from_millis(1);

/// Bytes of the headers before what a UDP packet carries.
const UDP_HEADERS: usize = 28;

/// Runs every promise; tells whether all held.
pub(crate) fn run(seed: Option<u64>) -> Result<bool, Failure> {
    let seed = Impairment { seed, ..Impairment::NONE }.seeded().seed.unwrap_or_default();
    println!("seed {seed}");
    // What measures must not wait for what else the machine does.
    let _ = setpriority_process(None, PRIORITY);
    let mut report = Report::default();
    round_trip(&mut report)?;
    for (rate, name) in [(1_000_000, "1 Mbit/s"), (10_000_000, "10 Mbit/s"), (50_000_000, "50 Mbit/s")] {
        datagrams(&mut report, rate, name)?;
    }
    stream(&mut report)?;
    losses(&mut report, seed)?;
    buffer(&mut report)?;
    disorder(&mut report, seed)?;
    jitter(&mut report, seed)?;
    cuts(&mut report)?;
    ending::run(&mut report)?;
    Ok(report.end())
}

fn round_trip(report: &mut Report) -> Result<(), Failure> {
    let pair = Pair::of_this_process(&Impairment { delay: 150 * MS, ..Impairment::NONE })?;
    let probe = Probe::new(&pair)?;
    let mut samples = Samples::default();
    probe.echo(300, 20 * MS, |time| samples.push(time))?;
    let (p50, p99) = (samples.percentile(50.0), samples.percentile(99.0));
    let held = samples.count() == 300 && samples.least() >= 300 * MS && p50 <= 302 * MS && p99 <= 305 * MS;
    let figures = format!(
        "{} of 300 echoes, least {:.2}, p50 {:.2}, p99 {:.2}, most {:.2} ms",
        samples.count(),
        samples.least().as_secs_f64() * 1e3,
        p50.as_secs_f64() * 1e3,
        p99.as_secs_f64() * 1e3,
        samples.most().as_secs_f64() * 1e3,
    );
    report.check("150 ms each way make 300 ms, p50 within 2 ms, p99 within 5 ms", held, &figures);
    Ok(())
}

/// Sends a fifth more than the rate for five seconds.
fn datagrams(report: &mut Report, rate: u64, name: &str) -> Result<(), Failure> {
    let pair = Pair::of_this_process(&Impairment { rate: Some(rate), delay: 10 * MS, ..Impairment::NONE })?;
    let probe = Probe::new(&pair)?;
    let payload = 1_200;
    let gap = Duration::from_secs_f64((payload + UDP_HEADERS) as f64 * 8.0 / (1.2 * rate as f64));
    let count = (5.0 / gap.as_secs_f64()) as u32;
    let arrived = probe.send(Way::Up, count, payload, gap)?;
    let (Some(first), Some(last)) = (arrived.first(), arrived.last()) else {
        report.check(name, false, "nothing arrived");
        return Ok(());
    };
    let bits = (arrived.len() - 1) as f64 * (payload + UDP_HEADERS) as f64 * 8.0;
    let measured = bits / (last.at - first.at).as_secs_f64();
    let share = measured / rate as f64;
    let held = (0.95..=1.05).contains(&share);
    let figures = format!("{:.1} kbit/s of IP packets, {:+.2} %", measured / 1e3, (share - 1.0) * 100.0);
    report.check(&format!("{name} of datagrams within 5 %"), held, &figures);
    Ok(())
}

fn stream(report: &mut Report) -> Result<(), Failure> {
    let rate = 10_000_000;
    let pair = Pair::of_this_process(&Impairment { rate: Some(rate), delay: 20 * MS, ..Impairment::NONE })?;
    let measured = Probe::new(&pair)?.stream(Duration::from_secs(2), Duration::from_secs(5))?;
    // TCP with timestamps carries 1,448 bytes in a packet of 1,500.
    let share = measured * 1_500.0 / 1_448.0 / rate as f64;
    let held = (0.95..=1.05).contains(&share);
    let figures =
        format!("{:.1} kbit/s of payload, {:+.2} % with headers", measured / 1e3, (share - 1.0) * 100.0);
    report.check("10 Mbit/s of one TCP stream within 5 %", held, &figures);
    Ok(())
}

/// Numbers of the packets of 10,000 that did not arrive.
fn lost(seed: u64) -> Result<BTreeSet<u32>, Failure> {
    let pair = Pair::of_this_process(&Impairment { loss: 0.01, seed: Some(seed), ..Impairment::NONE })?;
    let arrived = Probe::new(&pair)?.send(Way::Up, 10_000, 100, Duration::from_micros(200))?;
    let arrived: BTreeSet<u32> = arrived.iter().map(|packet| packet.n).collect();
    Ok((0..10_000).filter(|n| !arrived.contains(n)).collect())
}

fn losses(report: &mut Report, seed: u64) -> Result<(), Failure> {
    let (first, again, other) = (lost(seed)?, lost(seed)?, lost(seed + 1)?);
    // Four standard deviations of a hundred.
    let held = (60..=140).contains(&first.len());
    report.check("1 % of 10,000 packets lost, within 0.4 %", held, &format!("{} lost", first.len()));
    let common = first.intersection(&again).count();
    let held = first == again && first != other;
    let figures = format!("{common} of {} the same, with another seed {}", first.len(), {
        first.intersection(&other).count()
    });
    report.check("the same seed loses the same packets", held, &figures);
    Ok(())
}

fn buffer(report: &mut Report) -> Result<(), Failure> {
    let slow = Impairment { rate: Some(1_000_000), delay: 150 * MS, ..Impairment::NONE };
    let pair = Pair::of_this_process(&slow)?;
    // 1,000 bytes with headers; the bottleneck sends one in 8 ms.
    let arrived = Probe::new(&pair)?.send(Way::Down, 100, 1_000 - UDP_HEADERS, Duration::ZERO)?;
    let overflown = pair.link.take_counts(Way::Down).overflown;
    let held = (37..=40).contains(&arrived.len()) && overflown == 100 - arrived.len() as u64;
    let figures = format!("{} of 100 arrived, {overflown} were dropped", arrived.len());
    report.check("a buffer of 37,500 bytes takes 37 packets of 1,000 at once", held, &figures);
    Ok(())
}

fn disorder(report: &mut Report, seed: u64) -> Result<(), Failure> {
    let mixed = Impairment { reorder: 0.1, seed: Some(seed), ..Impairment::NONE };
    let pair = Pair::of_this_process(&mixed)?;
    let arrived = Probe::new(&pair)?.send(Way::Up, 2_000, 100, MS)?;
    let late = arrived.iter().scan(0, |most, packet| {
        *most = packet.n.max(*most);
        Some(packet.n < *most)
    });
    let late = late.filter(|late| *late).count();
    let held = arrived.len() == 2_000 && (150..=250).contains(&late);
    report.check(
        "a tenth of 2,000 packets comes behind later ones",
        held,
        &format!("{late} of {}", arrived.len()),
    );
    Ok(())
}

fn jitter(report: &mut Report, seed: u64) -> Result<(), Failure> {
    let shaky = Impairment { delay: 20 * MS, jitter: 30 * MS, seed: Some(seed), ..Impairment::NONE };
    let pair = Pair::of_this_process(&shaky)?;
    let arrived = Probe::new(&pair)?.send(Way::Down, 300, 100, 10 * MS)?;
    let mut samples = Samples::default();
    arrived.iter().for_each(|packet| samples.push(packet.took));
    let ordered = arrived.iter().map(|packet| packet.n).is_sorted();
    let (p1, p99) = (samples.percentile(1.0), samples.percentile(99.0));
    let spread = samples.least() >= 20 * MS && p1 < 26 * MS && p99 > 45 * MS && p99 < 55 * MS;
    let held = arrived.len() == 300 && ordered && spread;
    let figures = format!(
        "{} of 300, least {}, p1 {}, p99 {}, in order: {ordered}",
        arrived.len(),
        ms(samples.least()),
        ms(p1),
        ms(p99)
    );
    report.check("30 ms of jitter spread the delay and keep the order", held, &figures);
    Ok(())
}

fn cuts(report: &mut Report) -> Result<(), Failure> {
    let pair = Pair::of_this_process(&Impairment { delay: 20 * MS, ..Impairment::NONE })?;
    let probe = Probe::new(&pair)?;
    let passed = || -> Result<[usize; 2], Failure> {
        Ok([probe.send(Way::Up, 20, 100, MS)?.len(), probe.send(Way::Down, 20, 100, MS)?.len()])
    };
    let whole = passed()?;
    pair.link.cut_all();
    let cut = passed()?;
    pair.link.heal();
    pair.link.cut(Way::Up, true);
    let half = passed()?;
    pair.link.heal();
    let healed = passed()?;
    let held = (whole, cut, half, healed) == ([20, 20], [0, 0], [0, 20], [20, 20]);
    let figures =
        format!("up and down of 20: whole {whole:?}, cut {cut:?}, up cut {half:?}, healed {healed:?}");
    report.check("a cut swallows everything, one way or both, until it is healed", held, &figures);
    Ok(())
}
