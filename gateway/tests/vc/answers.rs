//! Whose answer: a client gets the list that the camera began to post after it was woken for that client.

use std::{ops::RangeInclusive, sync::atomic::Ordering, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, pause},
};

use crate::{common::*, old::*};

/// What is said of a camera that is not there comes within this time.
const TEN_SECONDS: RangeInclusive<Duration> = Duration::from_secs(9)..=Duration::from_secs(10);

/// A request on a connection of its own.
async fn open(gateway: &TestGateway, path: &str) -> TcpStream {
    let mut tcp = TcpStream::connect(gateway.legacy.unwrap()).await.unwrap();
    tcp.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    tcp
}

#[tokio::test]
async fn a_client_gets_what_the_camera_posts_then_as_it_was_written() {
    let gateway = gateway().await;
    let camera = Old::new(&gateway);
    let (poll, ask) = (camera.polling(), camera.asking());
    assert_eq!(ended("the camera is woken", poll).await, 200);
    let body = r#"{ "events": [{"description": "detected motion", "timestamp": 1700000000.1230}] }"#;
    assert_eq!(camera.post_text(body.into()).await.expect(201).text, body);
    let answer = ended("an answer", ask).await.expect(200);
    assert_eq!((answer.text.as_str(), answer.header("content-type").as_str()), (body, "application/json"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_clients_at_once_each_get_an_answer_made_for_their_question() {
    let gateway = gateway().await;
    let camera = Old::new(&gateway);
    let (begun, _life) = camera.living();
    let mut clients = JoinSet::new();
    for _ in 0..50 {
        let (client, begun) = (Old::new(&gateway), begun.clone());
        clients.spawn(async move {
            for _ in 0..4 {
                let before = begun.load(Ordering::SeqCst);
                let answer = said(&client.ask().await.expect(200));
                let number: u64 = answer[0].strip_prefix("list ").unwrap().parse().unwrap();
                assert!(
                    number > before,
                    "list {number} was begun before the question, which came after {before}"
                );
            }
        });
    }
    let all = clients.join_all();
    assert_eq!(soon("all are answered", all).await.len(), 50);
}

#[tokio::test]
async fn a_client_that_hangs_up_affects_nobody() {
    let gateway = gateway().await;
    let camera = Old::new(&gateway);
    let poll = camera.polling();
    let gone = open(&gateway, "/verkada/api/v1.0/logs").await;
    assert_eq!(ended("the camera is woken", poll).await, 200);
    drop(gone);
    let ask = camera.asking();
    camera.post(&list(&["for who has gone"])).await;
    assert_eq!(ended("the camera is woken again", camera.polling()).await, 200);
    camera.post(&list(&["for who is there"])).await;
    assert_eq!(said(&ended("an answer", ask).await.expect(200)), ["for who is there"]);
    // And nobody is left for whom the next poll would be answered.
    let poll = camera.polling();
    camera.post(&list(&["for nobody"])).await;
    assert!(!poll.is_finished());
}

#[tokio::test]
async fn a_list_that_nobody_asked_for_answers_nobody() {
    let gateway = gateway().await;
    let camera = Old::new(&gateway);
    let ask = camera.asking();
    camera.post(&list(&["by itself"])).await;
    assert_eq!(ended("the camera is woken", camera.polling()).await, 200);
    camera.post(&list(&["asked"])).await;
    assert_eq!(said(&ended("an answer", ask).await.expect(200)), ["asked"]);
}

#[tokio::test]
async fn a_wake_up_whose_connection_died_is_repeated() {
    let gateway = gateway().await;
    let camera = Old::new(&gateway);
    let mut dead = open(&gateway, "/").await;
    // Now its poll is open.
    camera.post(&list(&[])).await;
    until("the camera is online", async || gateway.registry.presence(&"default".parse().unwrap()).is_some())
        .await;
    let ask = camera.asking();
    // It is answered, and nobody takes it.
    let mut word = [0; 8];
    soon("a wake-up", dead.read_exact(&mut word)).await.unwrap();
    drop(dead);
    assert_eq!(ended("a second wake-up", camera.polling()).await, 200);
    camera.post(&list(&["at last"])).await;
    assert_eq!(said(&ended("an answer", ask).await.expect(200)), ["at last"]);
}

#[tokio::test]
async fn a_list_that_breaks_off_is_asked_for_again() {
    let gateway = gateway().await;
    let camera = Old::new(&gateway);
    let (poll, ask) = (camera.polling(), camera.asking());
    assert_eq!(ended("the camera is woken", poll).await, 200);
    camera.post_text("{\"events\":[".into()).await.expect(400);
    assert_eq!(ended("the camera is woken again", camera.polling()).await, 200);
    camera.post(&list(&["whole"])).await;
    assert_eq!(said(&ended("an answer", ask).await.expect(200)), ["whole"]);
}

#[tokio::test]
async fn a_dead_camera_gives_its_stored_list_within_ten_seconds() {
    let gateway = gateway().await;
    let camera = Old::new(&gateway);
    let list = list(&["one", "two"]);
    camera.post(&list).await;
    let mut clients: Vec<_> = (0..3).map(|_| Old::new(&gateway)).collect();
    pause();
    let start = Instant::now();
    let asked = clients.iter_mut().map(|client| client.asking()).collect::<Vec<_>>();
    for ask in asked {
        assert_eq!(ask.await.unwrap().expect(200).json(), list);
    }
    assert!(TEN_SECONDS.contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_camera_of_which_nothing_is_known_is_offline_within_ten_seconds() {
    let gateway = gateway().await;
    let client = Old::new(&gateway);
    pause();
    let start = Instant::now();
    let answer = client.ask().await.expect(503);
    assert_eq!(answer.text, r#"{"error":"Camera offline"}"#);
    assert!(TEN_SECONDS.contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_camera_that_is_woken_and_says_nothing_keeps_nobody_waiting() {
    let gateway = gateway().await;
    let camera = Old::new(&gateway);
    let (poll, ask) = (camera.polling(), camera.asking());
    assert_eq!(ended("the camera is woken", poll).await, 200);
    pause();
    let start = Instant::now();
    assert_eq!(ask.await.unwrap().status, 503);
    assert!(start.elapsed() <= *TEN_SECONDS.end(), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_poll_that_nobody_asks_for_ends_after_a_minute() {
    let gateway = gateway().await;
    let camera = Old::new(&gateway);
    // The first poll makes the camera, which takes real time.
    let first = camera.polling();
    until("the camera is there", async || gateway.get("/v1/cameras/default").await.status == 200).await;
    drop(first);
    pause();
    let start = Instant::now();
    assert_eq!(camera.poll().await, 204);
    let minute = Duration::from_secs(60);
    assert!((minute..minute + Duration::from_secs(1)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn two_cameras_are_asked_by_their_ids() {
    let gateway = gateway().await;
    let [porch, yard] = ["porch", "yard"].map(|id| Old::named(&gateway, id));
    let (porch_poll, yard_poll) = (porch.polling(), yard.polling());
    until("the camera is there", async || gateway.get("/v1/cameras/yard").await.status == 200).await;
    let ask = yard.asking();
    assert_eq!(ended("the yard is woken", yard_poll).await, 200);
    porch.post(&list(&["porch"])).await;
    yard.post(&list(&["yard"])).await;
    assert_eq!(said(&ended("an answer", ask).await.expect(200)), ["yard"]);
    assert!(!porch_poll.is_finished(), "nobody has asked for it");
}

#[tokio::test]
async fn who_names_no_camera_means_the_only_one() {
    let gateway = gateway().await;
    let (porch, anybody) = (Old::named(&gateway, "porch"), Old::new(&gateway));
    porch.post(&list(&["before"])).await;
    let (poll, ask) = (porch.polling(), anybody.asking());
    assert_eq!(ended("the camera is woken", poll).await, 200);
    porch.post(&list(&["now"])).await;
    assert_eq!(said(&ended("an answer", ask).await.expect(200)), ["now"]);
}
