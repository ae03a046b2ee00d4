//! How each program ends when it is asked to.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use super::{device::Device, gateway::Gateway};

/// Whatever is open, a gateway that was asked to stop is gone by then.
const GONE_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn both_programs_end_with_code_0_when_asked() {
    let mut gateway = Gateway::start();
    let device = Device::enrolled(&gateway, &["porch"]);
    for signal in ["TERM", "INT"] {
        let mut agent = device.start_connected();
        agent.signal(signal);
        assert_eq!(agent.end().code(), Some(0), "{signal}");
    }
    let mut agent = device.start_connected();
    let asked = Instant::now();
    gateway.process.signal("TERM");
    assert_eq!(gateway.process.end().code(), Some(0));
    // Nothing was open that takes time.
    assert!(asked.elapsed() < GONE_WITHIN / 2, "{:?}", asked.elapsed());
    agent.says("closed by the gateway with code 1012");
    agent.signal("TERM");
    assert_eq!(agent.end().code(), Some(0), "while it waits for its next try");
}

#[test]
fn a_gateway_that_is_asked_to_stop_waits_for_nobody_longer_than_10_s() {
    let mut gateway = Gateway::start();
    let device = Device::enrolled(&gateway, &["porch"]);
    let agent = device.start_connected();
    agent.signal("STOP");
    let _request = unfinished_request(&gateway);
    let asked = Instant::now();
    gateway.process.signal("TERM");
    assert_eq!(gateway.process.end().code(), Some(0));
    assert!(asked.elapsed() < GONE_WITHIN, "{:?}", asked.elapsed());
}

#[test]
fn a_second_signal_ends_a_gateway_at_once() {
    for (first, second) in [("TERM", "TERM"), ("TERM", "INT"), ("INT", "TERM"), ("INT", "INT")] {
        let mut gateway = Gateway::start();
        let _request = unfinished_request(&gateway);
        gateway.process.signal(first);
        gateway.process.says("stopping");
        let asked = Instant::now();
        gateway.process.signal(second);
        assert_eq!(gateway.process.end().code(), Some(130), "{first}, {second}");
        assert!(asked.elapsed() < GONE_WITHIN / 2, "{first}, {second}: {:?}", asked.elapsed());
    }
}

/// A request whose body never comes, once the gateway has begun to wait for it.
fn unfinished_request(gateway: &Gateway) -> BufReader<TcpStream> {
    let (_, host) = gateway.url.split_once("://").unwrap();
    let mut stream = BufReader::new(TcpStream::connect(host).unwrap());
    let head = format!(
        "POST /v1/enroll HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\
         Expect: 100-continue\r\n\r\n"
    );
    stream.get_mut().write_all(head.as_bytes()).unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    stream
}
