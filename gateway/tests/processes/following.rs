//! Somebody follows while gateway and agent are killed, and reads slowly: each event is told, and once.

use std::{
    collections::{HashMap, HashSet},
    io::{BufRead, BufReader, Result, Write},
    net::{SocketAddr, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Instant,
};

use super::{device::Device, gateway::Gateway, process::WITHIN};

/// Somebody who follows all cameras from the beginning, and goes on behind the last event when told to connect again.
struct Follower {
    connect_tx: Sender<()>,
    /// Has one hang up that has stopped to read after some events, in the middle of what was sent to it; none for one that reads on.
    hang_up_tx: Option<Sender<()>>,
    /// It has stopped.
    stopped_rx: Receiver<()>,
    told_rx: Receiver<String>,
}

/// Events after which a slow reader stops.
const SOME: usize = 10;

impl Follower {
    fn new(gateway: &Gateway, is_slow: bool) -> Self {
        let ((connect_tx, connect_rx), (told_tx, told_rx)) = (channel(), channel());
        let ((hang_up_tx, hang_up_rx), (stopped_tx, stopped_rx)) = (channel::<()>(), channel());
        let (address, key) = (gateway.url.replace("http://", ""), gateway.key.clone());
        thread::spawn(move || {
            let mut place = String::new();
            while connect_rx.recv().is_ok() {
                let (mut id, mut count) = (String::new(), 0);
                let lines = connect(&address, &key, &place).unwrap().lines();
                for line in lines.map_while(Result::ok) {
                    if let Some(said) = line.strip_prefix("id:") {
                        said.clone_into(&mut id);
                    }
                    let Some(data) = line.strip_prefix("data:{\"id\":\"") else { continue };
                    place.clone_from(&id);
                    // Nobody listens any more when the test has failed.
                    _ = told_tx.send(data[..data.find('"').unwrap()].to_owned());
                    count += 1;
                    if is_slow && count == SOME {
                        _ = stopped_tx.send(());
                        if hang_up_rx.recv().is_ok() {
                            break;
                        }
                    }
                }
            }
        });
        Self { connect_tx, hang_up_tx: Some(hang_up_tx).filter(|_| is_slow), stopped_rx, told_rx }
    }

    /// Connects, once the connection before has ended.
    fn connect(&self) {
        self.connect_tx.send(()).unwrap();
    }

    /// Waits until it has stopped to read, if it ever does.
    fn stopped(&self) {
        if self.hang_up_tx.is_some() {
            self.stopped_rx.recv_timeout(WITHIN).unwrap();
        }
    }

    /// Hangs up, once it has stopped to read.
    fn hang_up(&self) {
        if let Some(hang_up_tx) = &self.hang_up_tx {
            hang_up_tx.send(()).unwrap();
        }
    }

    /// Everything that it was told, once that has all of these; it stops to read no more.
    fn told(mut self, all: &[String]) -> Vec<String> {
        self.hang_up_tx = None;
        let (mut told, mut missing) = (Vec::new(), all.iter().collect::<HashSet<_>>());
        // For all of them: others come for ever.
        let until = Instant::now() + WITHIN;
        while !missing.is_empty() {
            let id = self.told_rx.recv_timeout(until.saturating_duration_since(Instant::now()));
            let id = id
                .unwrap_or_else(|_| panic!("{} were never told: {:?}", missing.len(), missing.iter().next()));
            missing.remove(&id);
            told.push(id);
        }
        told
    }
}

/// A connection that follows from a place on, with little room for what is not read yet.
fn connect(address: &str, key: &str, place: &str) -> Result<BufReader<TcpStream>> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_recv_buffer_size(4_096)?;
    let to: SocketAddr = address.parse().map_err(std::io::Error::other)?;
    socket.connect(&to.into())?;
    let mut tcp = TcpStream::from(socket);
    let head = format!(
        "GET /v1/events?from=0 HTTP/1.0\r\nAuthorization: Bearer {key}\r\nAccept: text/event-stream\r\n\
         Last-Event-ID: {place}\r\n\r\n"
    );
    tcp.write_all(head.as_bytes())?;
    Ok(BufReader::with_capacity(1_024, tcp))
}

/// Checks that nothing was told twice, and of each epoch everything in its order.
#[track_caller]
fn once_and_in_order(told: &[String]) {
    let mut last: HashMap<&str, u64> = HashMap::new();
    for id in told {
        let (epoch, seq) = id.rsplit_once('-').unwrap();
        let seq: u64 = seq.parse().unwrap();
        assert_eq!(seq, last.insert(epoch, seq).unwrap_or(0) + 1, "{id}");
    }
}

#[test]
fn killed_gateways_and_agents_and_a_slow_reader_make_no_hole_and_no_double() {
    let mut gateway = Gateway::start();
    let device = Device::enrolled(&gateway, &["porch"]);
    device.write_fast(3_000);
    let followers = [false, true].map(|is_slow| Follower::new(&gateway, is_slow));
    followers.iter().for_each(Follower::connect);
    for _ in 0..2 {
        // An outage of the camera,
        let mut agent = device.start_connected();
        agent.kill();
        // and one of the gateway, during which it writes what comes late.
        let _agent = device.start_connected();
        followers.iter().for_each(Follower::stopped);
        gateway.process.kill();
        gateway.restart();
        followers.iter().for_each(Follower::hang_up);
        followers.iter().for_each(Follower::connect);
        gateway.http().until_status("porch", "online");
    }
    let _agent = device.start_connected();
    let written = gateway.log("porch");
    assert!(written.len() > 3_000, "{}", written.len());
    for follower in followers {
        once_and_in_order(&follower.told(&written));
    }
}
