//! Promises of syslog: what is sent becomes events, nobody waits or fills memory for it, and what is lost is said.

use std::{net::TcpListener as StdListener, pin::pin, sync::Arc};

use futures_util::poll;
use oriel_proto::frame::SourceState;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use super::{room::CONNECTIONS, *};
use crate::{
    config::SourceConfig,
    source::tests::stand::{Stand, soon},
};

/// A camera that takes syslog.
struct Receiver {
    stand: Stand,
    address: SocketAddr,
    dir: TempDir,
}

impl Receiver {
    /// Starts it with these options beside its address.
    async fn start(options: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let address = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = toml::from_str(&format!("listen = \"{address}\"\n{options}")).unwrap();
        let mut stand = Stand::new(dir.path(), SourceConfig::Syslog(config)).await;
        stand.start();
        stand.is(SourceState::Ok).await;
        Self { stand, address, dir }
    }

    async fn connect(&self) -> TcpStream {
        self.connect_from("127.0.0.1").await
    }

    /// Connects from an address of this machine.
    async fn connect_from(&self, from: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
        soon(socket.connect(self.address)).await.unwrap()
    }

    /// Sends a datagram from an address of this machine.
    async fn send(&self, from: &str, message: &str) {
        let socket = UdpSocket::bind((from, 0)).await.unwrap();
        socket.send_to(message.as_bytes(), self.address).await.unwrap();
    }

    /// Waits until so many messages are events; gives their words.
    async fn has(&self, count: usize) -> Vec<String> {
        self.stand.lines(count).await.into_iter().map(|event| event.description).collect()
    }
}

fn feed_of(stand: &Stand) -> Feed {
    Feed::new(stand.camera.clone(), None)
}

fn everybody() -> Vec<ipnet::IpNet> {
    vec!["127.0.0.0/8".parse().unwrap()]
}

#[tokio::test]
async fn messages_come_by_datagram_and_by_connection_counted_or_as_lines() {
    let receiver = Receiver::start("kind = \"device\"").await;
    receiver.send("127.0.0.1", "<13>Nov 28 17:45:30 porch app[1]: by datagram").await;
    assert_eq!(receiver.has(1).await, ["by datagram"]);
    let mut sender = receiver.connect().await;
    sender
        .write_all(b"<13>1 - porch app 2 - - first\n27 <13>1 - porch app 2 - - two<13>1 - porch app 2 - - th")
        .await
        .unwrap();
    assert_eq!(receiver.has(3).await[1..], ["first", "two"]);
    sender.write_all(b"ree\nno syslog at all").await.unwrap();
    drop(sender);
    assert_eq!(receiver.has(5).await[3..], ["three", "no syslog at all"]);
    let events = receiver.stand.lines(5).await;
    assert!(events.iter().all(|event| event.kind.as_str() == "device" && event.data["from"] == "127.0.0.1"));
    receiver.stand.stop().await;
}

#[tokio::test]
async fn who_is_not_in_an_allowed_network_is_not_heard() {
    let receiver = Receiver::start("allow = [\"127.0.0.2\"]").await;
    let mut sender = receiver.connect().await;
    let _ = sender.write_all(b"<13>hello\n").await;
    assert!(matches!(soon(sender.read(&mut [0])).await, Ok(0) | Err(_)));
    receiver.send("127.0.0.1", "<13>from elsewhere").await;
    receiver.send("127.0.0.2", "<13>from there").await;
    receiver.has(1).await;
    assert_eq!(receiver.stand.lines(1).await[0].data["from"], "127.0.0.2");
    receiver.stand.stop().await;
}

#[tokio::test]
async fn only_so_many_are_connected_at_once() {
    let receiver = Receiver::start("").await;
    let mut senders = Vec::new();
    for (n, places) in [32, 16, 8, 4, 2, 1, 1].into_iter().enumerate() {
        for _ in 0..places {
            let mut sender = receiver.connect_from(&format!("127.0.0.{}", n + 1)).await;
            sender.write_all(b"<13>hello\n").await.unwrap();
            senders.push(sender);
        }
    }
    receiver.has(CONNECTIONS).await;
    let mut refused = receiver.connect_from("127.0.0.9").await;
    assert!(matches!(soon(refused.read(&mut [0])).await, Ok(0) | Err(_)));
    senders.pop();
    soon(async {
        // The place of who has left is free a moment later.
        loop {
            let mut sender = receiver.connect_from("127.0.0.9").await;
            let _ = sender.write_all(b"<13>next\n").await;
            let _ = sender.shutdown().await;
            let _ = sender.read(&mut [0]).await;
            if receiver.stand.events().await.len() > CONNECTIONS {
                break;
            }
        }
    })
    .await;
    receiver.stand.stop().await;
}

#[tokio::test]
async fn who_takes_every_place_for_one_address_keeps_no_other_out_and_who_is_quiet_stays() {
    let receiver = Receiver::start("").await;
    let mut quiet = receiver.connect_from("127.0.0.3").await;
    let mut greedy = Vec::new();
    for _ in 0..2 * CONNECTIONS {
        greedy.push(receiver.connect_from("127.0.0.1").await);
    }
    let mut honest = receiver.connect_from("127.0.0.2").await;
    honest.write_all(b"<13>let in\n").await.unwrap();
    assert_eq!(receiver.has(1).await, ["<13>let in"]);
    quiet.write_all(b"<13>still there\n").await.unwrap();
    assert_eq!(receiver.has(2).await[1], "<13>still there");
    receiver.stand.stop().await;
}

#[tokio::test]
async fn datagrams_that_find_no_room_are_counted_and_the_log_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let config: SyslogConfig = toml::from_str("listen = \"127.0.0.1:0\"").unwrap();
    let mut stand = Stand::new(dir.path(), SourceConfig::Syslog(config.clone())).await;
    let (received_tx, received) = mpsc::channel(2);
    let intake = Intake::new("porch".parse().unwrap(), everybody(), received_tx);
    let (socket, sender) =
        (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
    for n in 0..5 {
        sender.send_to(format!("<13>{n}").as_bytes(), socket.local_addr().unwrap()).await.unwrap();
    }
    let all_but_two_lost = async {
        let mut lost = 0;
        while lost < 3 {
            intake.has_lost().await;
            lost += intake.take_lost();
        }
        lost
    };
    let lost = soon(async {
        tokio::select! {
            e = intake.datagrams(&socket) => panic!("{e}"),
            lost = all_but_two_lost => lost,
        }
    });
    assert_eq!(lost.await, 3);

    intake.lose(7);
    let (feed, mut syslog, never) = (feed_of(&stand), Syslog::new(&config), CancellationToken::new());
    let why = soon(async {
        tokio::select! {
            () = syslog.write(&intake, received, &feed, &never) => panic!("nobody stops it"),
            why = stand.is(SourceState::Failing) => why,
        }
    });
    let why = why.await.unwrap();
    assert!(why.contains("7 datagrams found no room"), "{why}");
    let events = stand.lines(3).await;
    assert_eq!([&events[0].description, &events[1].description], ["<13>0", "<13>1"]);
    assert_eq!((events[2].severity.as_str(), &events[2].data["lost"]), ("warning", &7.into()));
}

#[tokio::test]
async fn a_connection_waits_for_room_and_loses_nothing() {
    let (received_tx, mut received) = mpsc::channel(1);
    let intake = Arc::new(Intake::new("porch".parse().unwrap(), everybody(), received_tx));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let taking = tokio::spawn(async move { intake.connections(&listener).await });
    let sending = tokio::spawn(async move {
        let mut sender = TcpStream::connect(address).await.unwrap();
        for n in 0..20_000 {
            sender.write_all(format!("<13>{n} {}\n", "x".repeat(1_000)).as_bytes()).await.unwrap();
        }
    });
    for n in 0..20_000 {
        let Received { raw, .. } = soon(received.recv()).await.unwrap();
        assert!(raw.head.starts_with(format!("<13>{n} ").as_bytes()));
    }
    soon(sending).await.unwrap();
    taking.abort();
}

#[tokio::test]
async fn what_cannot_be_written_is_written_later_once() {
    let mut receiver = Receiver::start("").await;
    let disk = rusqlite::Connection::open(receiver.dir.path().join("cameras/porch.db")).unwrap();
    disk.execute_batch("CREATE TRIGGER no BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'no room'); END")
        .unwrap();
    let mut sender = receiver.connect().await;
    sender.write_all(b"<13>a\n<13>b\n").await.unwrap();
    let why = receiver.stand.is(SourceState::Failing).await.unwrap();
    assert!(why.contains("no room"), "{why}");
    disk.execute_batch("DROP TRIGGER no").unwrap();
    assert_eq!(receiver.has(2).await, ["<13>a", "<13>b"]);
    receiver.stand.is(SourceState::Ok).await;
    receiver.stand.stop().await;
}

#[tokio::test]
async fn what_was_taken_is_written_before_the_program_stops() {
    let receiver = Receiver::start("").await;
    let disk = rusqlite::Connection::open(receiver.dir.path().join("cameras/porch.db")).unwrap();
    disk.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut sender = receiver.connect().await;
    let messages: String = (0..600).map(|n| format!("<13>{n}\n")).collect();
    sender.write_all(messages.as_bytes()).await.unwrap();
    sender.shutdown().await.unwrap();
    // The connection ends when all of that is taken.
    assert!(matches!(soon(sender.read(&mut [0])).await, Ok(0)));
    tokio::time::pause();
    let asked = Instant::now();
    let mut stopping = pin!(receiver.stand.stop());
    assert!(poll!(&mut stopping).is_pending());
    disk.execute_batch("COMMIT").unwrap();
    stopping.await;
    assert!(asked.elapsed() < Syslog::ENDS_WITHIN, "{:?}", asked.elapsed());
    let written: i64 = disk.query_row("SELECT count(*) FROM event", (), |row| row.get(0)).unwrap();
    assert_eq!(written, 600);
}

#[tokio::test]
async fn a_stop_waits_only_a_moment_for_what_cannot_be_written() {
    let mut receiver = Receiver::start("").await;
    let disk = rusqlite::Connection::open(receiver.dir.path().join("cameras/porch.db")).unwrap();
    disk.execute_batch("CREATE TRIGGER no BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'no room'); END")
        .unwrap();
    let mut sender = receiver.connect().await;
    sender.write_all(b"<13>a\n").await.unwrap();
    receiver.stand.is(SourceState::Failing).await;
    tokio::time::pause();
    let asked = Instant::now();
    receiver.stand.stop().await;
    assert!(asked.elapsed() < AGAIN * 2, "{:?}", asked.elapsed());
}

#[tokio::test]
async fn an_address_that_is_taken_is_said() {
    let taken = StdListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = toml::from_str(&format!("listen = \"{address}\"")).unwrap();
    let mut stand = Stand::new(dir.path(), SourceConfig::Syslog(config)).await;
    stand.start();
    let why = stand.is(SourceState::Failing).await.unwrap();
    assert!(why.contains(&format!("TCP at {address} cannot be listened at")), "{why}");
    stand.stop().await;
}
