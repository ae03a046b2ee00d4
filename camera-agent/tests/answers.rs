//! Questions and their answers over a real socket.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

mod common;

use common::{Agent, TestGateway, camera, config};
use oriel_proto::{
    AgentFrame, Body, Call, FailureCode, GatewayFrame, Items, LoggedEvent, RequestId, Trailer,
    call::{EventsCall, EventsTrailer, Order, SnapshotCall},
    codec::encoded_len,
    frame::Request,
    image::ImageClass,
    limits::{FIRST_CREDIT, FRAME_BYTES, Limits},
};

fn all() -> Call {
    Call::Events(EventsCall::all(Order::Asc))
}

fn events(body: Body) -> Vec<LoggedEvent> {
    let Body::Items(Items::Events(events)) = body else { panic!("not a list of events: {body:?}") };
    events
}

fn trailer(trailer: Trailer) -> EventsTrailer {
    let Trailer::Events(trailer) = trailer else { panic!("not a list's trailer: {trailer:?}") };
    trailer
}

/// Reads the whole answer to `id`, giving credit as it comes.
async fn whole(peer: &mut common::Peer, id: RequestId) -> (Vec<LoggedEvent>, EventsTrailer) {
    let mut list = Vec::new();
    loop {
        match peer.frame().await {
            AgentFrame::Part { id: of, body, .. } if of == id => {
                list.extend(events(body));
                peer.send(GatewayFrame::Credit { id, bytes: 20_000 }).await;
            }
            AgentFrame::Done { id: of, trailer: end } if of == id => return (list, trailer(end)),
            AgentFrame::Fail(fail) if fail.id == id => panic!("{fail:?}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_small_log_is_one_reply() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let _agent = Agent::start(config(dir.path(), &gateway, vec![camera("porch", 9)]));
    let mut peer = gateway.agent().await;
    assert_eq!(peer.token, "oat_first");
    let id = peer.ask("porch", all()).await;
    let mut answer = peer.reply(id).await;
    let list = events(answer.body.remove(0));
    let end = trailer(answer.trailer);
    assert!((9..=10).contains(&list.len()));
    assert_eq!(end.scanned[0].last, list.len() as u64);
    assert!(!end.more);
}

#[tokio::test]
async fn a_large_log_comes_in_parts_and_stops_at_its_credit() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let _agent = Agent::start(config(dir.path(), &gateway, vec![camera("porch", 3_000)]));
    let mut peer = gateway.agent().await;
    let id = peer.ask("porch", all()).await;
    let mut sent = 0;
    let mut list = Vec::new();
    // Without credit it sends what is free; another question is answered meanwhile, so what it sent has arrived.
    let mut probe = None;
    loop {
        let frame = peer.frame().await;
        let bytes = encoded_len(&frame);
        match frame {
            AgentFrame::Part { id: of, n, body } if of == id => {
                assert!(bytes <= FRAME_BYTES && encoded_len(&body) <= Limits::default().part as usize + 32);
                if n == 0 {
                    probe = Some(peer.ask("porch", Call::Describe {}).await);
                }
                sent += bytes;
                list.extend(events(body));
                if sent + 8_400 > FIRST_CREDIT as usize {
                    break;
                }
            }
            AgentFrame::Done { .. } => panic!("it ended within its first credit"),
            _ => {}
        }
    }
    assert!(sent <= FIRST_CREDIT as usize);
    let again = peer.ask("porch", Call::Describe {}).await;
    loop {
        match peer.frame().await {
            frame @ AgentFrame::Part { .. } => {
                sent += encoded_len(&frame);
                assert!(sent <= FIRST_CREDIT as usize, "it sent more than its credit");
                let AgentFrame::Part { body, .. } = frame else { continue };
                list.extend(events(body));
            }
            AgentFrame::Reply { id, .. } if id == again => break,
            AgentFrame::Reply { id, .. } => assert_eq!(Some(id), probe),
            _ => {}
        }
    }
    peer.send(GatewayFrame::Credit { id, bytes: 100_000 }).await;
    let (rest, end) = whole(&mut peer, id).await;
    list.extend(rest);
    assert!(list.len() >= 3_000);
    assert!(list.iter().zip(1..).all(|(event, seq)| event.seq == seq));
    assert_eq!((end.scanned[0].first, end.scanned[0].last), (1, list.len() as u64));
}

/// Rows that an agent reads from its log at a time.
const PAGE: u64 = 256;

/// Events of a log that is two pages long.
const ROWS: u64 = 500;

/// Lets the answer to `id` come Part by Part until its last page is in the agent's memory, and leaves it waiting for credit.
async fn into_last_page(peer: &mut common::Peer, id: RequestId) {
    // Enough for one Part of 2 KiB and never for two.
    const ONE: usize = 2_500;
    let mut left = FIRST_CREDIT as usize;
    loop {
        let (bytes, last) = peer
            .find(|frame| {
                let bytes = encoded_len(&frame);
                let AgentFrame::Part { body, .. } = frame else { return None };
                Some((bytes, events(body).last().unwrap().seq))
            })
            .await;
        left -= bytes;
        // A Part is sent when the next event does not fit it any more, and that one has been read.
        if last >= PAGE {
            assert!(left < 1_750 && last < PAGE + PAGE / 4, "it waits with most of the page");
            return;
        }
        if left < ONE {
            peer.send(GatewayFrame::Credit { id, bytes: (ONE - left) as u32 }).await;
            left = ONE;
        }
    }
}

#[tokio::test]
async fn answers_take_turns_and_a_small_one_waits_for_one_turn_of_each() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let _agent = Agent::start(config(dir.path(), &gateway, vec![camera("porch", ROWS)]));
    let mut peer = gateway.agent_with(Limits { part: 2 << 10, ..Limits::default() }, vec![]).await;
    let mut large = Vec::new();
    for _ in 0..2 {
        large.push(peer.ask("porch", all()).await);
        into_last_page(&mut peer, large[large.len() - 1]).await;
    }
    let small = RequestId::new();
    let credit = |id: &RequestId| GatewayFrame::Credit { id: *id, bytes: 1 << 20 };
    let request =
        Request { id: small, camera: "porch".parse().unwrap(), deadline_ms: 10_000, call: Call::Describe {} };
    peer.send_together(large.iter().map(credit).chain([GatewayFrame::Request(request)])).await;
    // The last Part comes with what the log says of itself, for which the disk may take as long as it likes.
    let mut order = Vec::new();
    loop {
        match peer.frame().await {
            AgentFrame::Part { body, .. } if events(body.clone()).last().unwrap().seq >= ROWS => break,
            AgentFrame::Part { id, .. } | AgentFrame::Reply { id, .. } => order.push(id),
            AgentFrame::Health(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(order.len() > 10 && order.remove(2) == small, "it was the third in the queue");
    for (n, id) in order.iter().enumerate() {
        assert_eq!(*id, large[n % 2], "{n}th of {}", order.len());
    }
}

#[tokio::test]
async fn after_cancel_nothing_more_comes() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let _agent = Agent::start(config(dir.path(), &gateway, vec![camera("porch", 5_000)]));
    let mut peer = gateway.agent().await;
    let id = peer.ask("porch", all()).await;
    peer.find(|frame| matches!(frame, AgentFrame::Part { .. }).then_some(())).await;
    peer.send(GatewayFrame::Cancel { id }).await;
    // Frames keep their order: the answer to this question follows the Cancel.
    let probe = peer.ask("porch", Call::Describe {}).await;
    peer.reply(probe).await;
    peer.send(GatewayFrame::Credit { id, bytes: 1 << 20 }).await;
    let probe = peer.ask("porch", Call::Describe {}).await;
    loop {
        match peer.frame().await {
            AgentFrame::Reply { id, .. } if id == probe => break,
            AgentFrame::Part { .. } | AgentFrame::Done { .. } | AgentFrame::Fail(_) => panic!("it went on"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn one_question_too_many_is_busy() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let _agent = Agent::start(config(dir.path(), &gateway, vec![camera("porch", 3_000)]));
    let mut peer = gateway.agent_with(Limits { calls: 2, ..Limits::default() }, vec![]).await;
    for _ in 0..2 {
        peer.ask("porch", all()).await;
    }
    let third = peer.ask("porch", all()).await;
    assert_eq!(peer.failure(third).await, FailureCode::Busy);
}

#[tokio::test]
async fn a_question_without_time_fails_as_late() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let _agent = Agent::start(config(dir.path(), &gateway, vec![camera("porch", 3_000)]));
    let mut peer = gateway.agent().await;
    let id = peer.ask_within("porch", all(), 0).await;
    assert_eq!(peer.failure(id).await, FailureCode::Deadline);
}

#[tokio::test]
async fn what_it_cannot_do_it_says() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let _agent = Agent::start(config(dir.path(), &gateway, vec![camera("porch", 0)]));
    let mut peer = gateway.agent().await;
    let id = peer.ask("yard", all()).await;
    assert_eq!(peer.failure(id).await, FailureCode::UnknownCamera);
    let id = peer.ask("porch", Call::Snapshot(SnapshotCall { class: ImageClass::from("thermal") })).await;
    assert_eq!(peer.failure(id).await, FailureCode::Unsupported);
}

#[tokio::test]
async fn events_are_counted_per_stretch_and_kind() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let _agent = Agent::start(config(dir.path(), &gateway, vec![camera("porch", 50)]));
    let mut peer = gateway.agent().await;
    let call = EventsCall { bucket_ms: Some(10 * 3_600_000), limit: None, ..EventsCall::all(Order::Desc) };
    let id = peer.ask("porch", Call::Events(call)).await;
    let mut answer = peer.reply(id).await;
    let Body::Items(Items::EventCounts(counts)) = answer.body.remove(0) else { panic!("not counts") };
    let last = trailer(answer.trailer).scanned[0].last;
    assert_eq!(counts.iter().map(|count| count.count).sum::<u64>(), last);
    assert!(counts.windows(2).all(|pair| pair[0].at >= pair[1].at));
}
