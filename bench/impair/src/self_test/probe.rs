//! Traffic whose arrival is noted: numbered datagrams, echoes, and one TCP stream.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use crate::{
    failure::Failure,
    link::Way,
    pair::{DEVICE, GATEWAY, Pair},
};

/// Longer than any packet is under way here: whoever waited this long waits for nothing.
const QUIET: Duration = Duration::from_millis(1_000);

/// A packet that arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    /// Its number, from 0.
    pub(super) n: u32,
    /// When it came.
    pub(super) at: Instant,
    /// How long it was under way.
    pub(super) took: Duration,
}

/// A socket at each end of a link.
#[derive(Debug)]
pub(super) struct Probe<'a> {
    pair: &'a Pair,
    gateway: UdpSocket,
    device: UdpSocket,
}

impl<'a> Probe<'a> {
    /// Opens both ends.
    pub(super) fn new(pair: &'a Pair) -> Result<Self, Failure> {
        let gateway = pair.gateway.inside(|| UdpSocket::bind((GATEWAY, 0)))??;
        let device = pair.device.inside(|| UdpSocket::bind((DEVICE, 0)))??;
        gateway.connect(device.local_addr()?)?;
        device.connect(gateway.local_addr()?)?;
        for end in [&gateway, &device] {
            end.set_read_timeout(Some(QUIET))?;
        }
        Ok(Self { pair, gateway, device })
    }

    /// Sends `count` numbered datagrams with `gap` between them, and gives those that arrive, in the order in which they do.
    pub(super) fn send(
        &self,
        way: Way,
        count: u32,
        payload: usize,
        gap: Duration,
    ) -> Result<Vec<Arrived>, Failure> {
        let (from, to) = match way {
            Way::Up => (&self.device, &self.gateway),
            Way::Down => (&self.gateway, &self.device),
        };
        thread::scope(|scope| {
            let sender = scope.spawn(|| paced(from, count, payload, gap));
            let mut arrived = Vec::new();
            let mut buffer = [0; 2_048];
            loop {
                match to.recv(&mut buffer) {
                    Ok(_) => arrived.push((number(&buffer), Instant::now())),
                    Err(_) if sender.is_finished() => break,
                    Err(_) => {}
                }
            }
            let sent = sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            let arrived = arrived.into_iter().filter_map(|(n, at)| {
                let took = at.saturating_duration_since(*sent.get(n as usize)?);
                Some(Arrived { n, at, took })
            });
            Ok(arrived.collect())
        })
    }

    /// Sends `count` datagrams that come back, and gives the time of each that does.
    pub(super) fn echo(
        &self,
        count: u32,
        gap: Duration,
        mut took: impl FnMut(Duration),
    ) -> Result<(), Failure> {
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut buffer = [0; 2_048];
                while let Ok(len) = self.gateway.recv(&mut buffer) {
                    let _ = self.gateway.send(&buffer[..len]);
                }
            });
            let sender = scope.spawn(|| paced(&self.device, count, 64, gap));
            let mut back = Vec::new();
            let mut buffer = [0; 2_048];
            while self.device.recv(&mut buffer).is_ok() {
                back.push((number(&buffer), Instant::now()));
            }
            let sent = sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            for (n, at) in back {
                if let Some(sent) = sent.get(n as usize) {
                    took(at.saturating_duration_since(*sent));
                }
            }
            Ok(())
        })
    }

    /// Bits in a second that one TCP stream carries upwards, from `after` on for `time`.
    pub(super) fn stream(&self, after: Duration, time: Duration) -> Result<f64, Failure> {
        let listener = self.pair.gateway.inside(|| TcpListener::bind((GATEWAY, 0)))??;
        let address = listener.local_addr()?;
        let mut sender = self.pair.device.inside(|| TcpStream::connect(address))??;
        let (mut receiver, _) = listener.accept()?;
        thread::scope(|scope| {
            scope.spawn(move || {
                let block = [0; 16 << 10];
                while sender.write_all(&block).is_ok() {}
            });
            let (begin, mut counted) = (Instant::now() + after, 0_u64);
            let mut block = [0; 64 << 10];
            loop {
                let read = receiver.read(&mut block)?;
                let now = Instant::now();
                if now >= begin {
                    counted += read as u64;
                }
                if now >= begin + time {
                    // Nothing else would end the sender.
                    receiver.shutdown(Shutdown::Both)?;
                    return Ok(counted as f64 * 8.0 / (now - begin).as_secs_f64());
                }
            }
        })
    }
}

/// Sends numbered datagrams; tells when each was.
fn paced(from: &UdpSocket, count: u32, payload: usize, gap: Duration) -> Result<Vec<Instant>, Failure> {
    let mut packet = vec![0; payload];
    let (start, mut sent) = (Instant::now(), Vec::with_capacity(count as usize));
    for n in 0..count {
        let due = start + gap * n;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        packet[..4].copy_from_slice(&n.to_be_bytes());
        sent.push(Instant::now());
        from.send(&packet)?;
    }
    Ok(sent)
}

fn number(packet: &[u8]) -> u32 {
    packet.first_chunk().map_or(u32::MAX, |first| u32::from_be_bytes(*first))
}
