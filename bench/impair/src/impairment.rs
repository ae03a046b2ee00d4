//! What a link does to the packets that cross it: the options, and how each is written.

use std::time::Duration;

/// Bytes of the largest IP packet on the link.
pub(crate) const MTU: usize = 1_500;

/// The smallest buffer before the bottleneck unless one is given: ten full packets.
const LEAST_QUEUE: u64 = 10 * MTU as u64;

/// What a link does, the same in both directions.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Impairment {
    /// How long each packet is under way, in one direction: half of the round trip
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = duration)]
    pub(crate) delay: Duration,
    /// Up to this much later, evenly spread; the order stays
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = duration)]
    pub(crate) jitter: Duration,
    /// Bits of IP packets in a second, in each direction, such as 1mbit [default: no limit]
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(crate) rate: Option<u64>,
    /// Bytes that may wait before the bottleneck, such as 37500b or 64kb; what comes when they do is dropped
    /// [default: what the rate carries in one round trip, but ten full packets at least]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) queue: Option<u64>,
    /// Share of the packets that is lost behind the bottleneck, such as 1% or 0.01
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    pub(crate) loss: f64,
    /// Share of the packets that is held back, so that others overtake them
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    pub(crate) reorder: f64,
    /// How long they are held back
    #[arg(long, value_name = "TIME", default_value = "30ms", value_parser = duration)]
    pub(crate) reorder_by: Duration,
    /// Decides which packets are lost and held back; the same seed and the same packets, the same fate
    /// [default: a random one, which is printed]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

impl Impairment {
    /// A link without any fault.
    pub(crate) const NONE: Self = Self {
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        rate: None,
        queue: None,
        loss: 0.0,
        reorder: 0.0,
        reorder_by: Duration::from_millis(30),
        seed: None,
    };

    /// Bytes that may wait before the bottleneck; none without one.
    pub(crate) fn queue_bytes(&self) -> Option<u64> {
        let rate = self.rate?;
        let round_trip = 2 * self.delay;
        let product = u128::from(rate) * round_trip.as_micros() / 8_000_000;
        Some(self.queue.unwrap_or_else(|| u64::try_from(product).unwrap_or(u64::MAX).max(LEAST_QUEUE)))
    }

    /// The seed, a random one when none was given.
    pub(crate) fn seeded(mut self) -> Self {
        self.seed.get_or_insert_with(|| rand::random_range(0..1_000_000));
        self
    }

    /// One line for people.
    pub(crate) fn describe(&self) -> String {
        let mut parts = vec![format!("{} ms one way", self.delay.as_secs_f64() * 1e3)];
        if !self.jitter.is_zero() {
            parts.push(format!("up to {} ms later", self.jitter.as_secs_f64() * 1e3));
        }
        if let (Some(rate), Some(queue)) = (self.rate, self.queue_bytes()) {
            let ms = queue as f64 * 8e3 / rate as f64;
            parts.push(format!(
                "{} kbit/s each way behind a buffer of {queue} bytes ({ms:.0} ms)",
                rate as f64 / 1e3
            ));
        }
        parts.push(format!("{} % lost", self.loss * 100.0));
        if self.reorder > 0.0 {
            let ms = self.reorder_by.as_secs_f64() * 1e3;
            parts.push(format!("{} % held back by {ms} ms", self.reorder * 100.0));
        }
        if let Some(seed) = self.seed {
            parts.push(format!("seed {seed}"));
        }
        parts.join(", ")
    }
}

/// A time such as `150ms`, `2s` or `500us`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" => 60.0,
        _ => return Err(format!("{unit:?} is none of us, ms, s, m")),
    };
    Duration::try_from_secs_f64(number * seconds).map_err(|e| e.to_string())
}

/// Bits in a second such as `1mbit` or `300kbit`.
pub(crate) fn rate(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text)?;
    let bits = match unit {
        "bit" => 1.0,
        "kbit" => 1e3,
        "mbit" => 1e6,
        "gbit" => 1e9,
        _ => return Err(format!("{unit:?} is none of bit, kbit, mbit, gbit")),
    };
    let rate = (number * bits) as u64;
    if rate == 0 { Err("nothing would pass".into()) } else { Ok(rate) }
}

/// Bytes such as `37500b`, `64kb` or `1mb`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text)?;
    let each = match unit {
        "b" | "" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        _ => return Err(format!("{unit:?} is none of b, kb, mb")),
    };
    let bytes = (number * each) as u64;
    if bytes < MTU as u64 { Err(format!("a packet has up to {MTU} bytes")) } else { Ok(bytes) }
}

/// A share such as `1%` or `0.01`.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let (number, unit) = split(text)?;
    let share = match unit {
        "%" => number / 100.0,
        "" => number,
        _ => return Err(format!("{unit:?} is not %")),
    };
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("not between 0 and 100%".into()) }
}

fn split(text: &str) -> Result<(f64, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number = number.parse().map_err(|_| format!("{text:?} does not begin with a number"))?;
    Ok((number, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_people_write_them() {
        assert_eq!(duration("150ms"), Ok(Duration::from_millis(150)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(rate("1mbit"), Ok(1_000_000));
        assert_eq!(bytes("64kb"), Ok(64_000));
        assert_eq!(share("1%"), Ok(0.01));
        for wrong in ["", "ms", "5 parsecs", "-1s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(rate("0mbit").is_err());
        assert!(bytes("100b").is_err());
        assert!(share("101%").is_err());
    }

    #[test]
    fn the_buffer_holds_a_round_trip_and_never_less_than_ten_packets() {
        let slow =
            Impairment { rate: Some(1_000_000), delay: Duration::from_millis(150), ..Impairment::NONE };
        assert_eq!(slow.queue_bytes(), Some(37_500));
        assert_eq!(Impairment { delay: Duration::ZERO, ..slow.clone() }.queue_bytes(), Some(15_000));
        assert_eq!(Impairment { queue: Some(9_000), ..slow }.queue_bytes(), Some(9_000));
        assert_eq!(Impairment::NONE.queue_bytes(), None);
    }
}
