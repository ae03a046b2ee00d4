//! What several want comes once, and what was asked for lately is here.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use futures_util::future::join_all;
use oriel_proto::{Body, Call, GatewayFrame, call::ImageCall};

use super::{credit::Giver, one::get};
use crate::common::*;

const LATEST: &str = "/v1/cameras/porch/images/latest";
const EXACT: &str = "/v1/cameras/porch/images/20231114221325.000";

/// How many callers ask at once.
const CALLERS: usize = 100;

#[tokio::test]
async fn equal_questions_for_the_latest_picture_cost_the_camera_one() {
    let gateway = TestGateway::start().await;
    let mut porch = gateway.agent(&["porch"]).await;
    let jpeg = jpeg_of(30_000);
    let asking = join_all((0..CALLERS).map(|_| get(&gateway, LATEST, &[])));
    let answering = async {
        let id = porch.request().await.id;
        gateway.metric_reaches("oriel_calls_joined_total", CALLERS as f64 - 1.0).await;
        porch.send_all(picture(id, 5, &jpeg)).await;
    };
    let (all, ()) = tokio::join!(asking, answering);
    for got in all {
        assert_eq!(got.status, 200);
        assert!(got.body.unwrap() == jpeg);
    }
    assert_eq!(gateway.metric("oriel_calls_total{outcome=\"ok\"}").await, 1.0);
}

#[tokio::test]
async fn whoever_comes_in_the_middle_reads_the_same_picture_from_its_beginning() {
    let gateway = TestGateway::start().await;
    let mut porch = gateway.agent(&["porch"]).await;
    let jpeg = jpeg_of(30_000);
    let first = get(&gateway, LATEST, &[]);
    let rest = async {
        let id = porch.request().await.id;
        let bodies = pieces(5, &jpeg);
        porch.send_all(parts(id, 0, bodies[..2].iter().cloned())).await;
        let second = get(&gateway, LATEST, &[]);
        let more = async {
            gateway.metric_reaches("oriel_calls_joined_total", 1.0).await;
            let mut frames = parts(id, 2, bodies[2..].iter().cloned());
            frames.push(done(id));
            porch.send_all(frames).await;
        };
        tokio::join!(second, more).0
    };
    let (first, second) = tokio::join!(first, rest);
    assert!(first.body.unwrap() == jpeg && second.body.unwrap() == jpeg);
}

#[tokio::test]
async fn a_picture_that_was_asked_for_lately_is_here_also_when_its_camera_is_not() {
    let gateway = TestGateway::start().await;
    let enrolled = gateway.enroll(&["porch"]).await;
    let mut porch = enrolled.serving(&["porch"]).await;
    let jpeg = jpeg_of(20_000);
    let answering = async {
        let id = porch.request().await.id;
        porch.send_all(picture(id, 5, &jpeg)).await;
    };
    let (first, ()) = tokio::join!(get(&gateway, EXACT, &[]), answering);
    assert!(first.body.unwrap() == jpeg);
    drop(porch);
    let camera = "porch".parse().unwrap();
    until("the camera is gone", async || gateway.registry.find(&camera).is_none()).await;
    let again = get(&gateway, EXACT, &[]).await;
    assert!(again.body.unwrap() == jpeg);
    gateway.get(LATEST).await.expect_problem(503, "camera_offline");
}

#[tokio::test]
async fn a_picture_that_is_young_enough_is_taken_from_here_and_an_old_one_is_not() {
    let gateway = TestGateway::start().await;
    let porch = gateway.agent(&["porch"]).await;
    let (asked, counted) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (count, ages) = (asked.clone(), counted.clone());
    porch.answering(move |request| {
        count.fetch_add(1, Ordering::Relaxed);
        if let Call::Image(ImageCall { max_age_ms: Some(_), .. }) = request.call {
            ages.fetch_add(1, Ordering::Relaxed);
        }
        picture(request.id, 5, &jpeg_of(10_000))
    });
    let old = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let old = old - 1_700_000_005;
    for (age, asks) in [(old + 60, 1), (old + 60, 1), (old - 60, 2), (old + 60, 2)] {
        let got = get(&gateway, &format!("{LATEST}?max_age={age}s"), &[]).await;
        assert_eq!((got.status, asked.load(Ordering::Relaxed)), (200, asks), "{age}");
    }
    assert_eq!(counted.load(Ordering::Relaxed), 2, "the camera is told how old it may be");
    get(&gateway, LATEST, &[]).await;
    assert_eq!(asked.load(Ordering::Relaxed), 3, "without an age the camera says which is the latest");
}

#[tokio::test]
async fn a_picture_that_finds_no_room_passes_through_for_each_who_asks() {
    let gateway = TestGateway::with(|config| config.limits.image_bytes = 1 << 20).await;
    let jpeg = jpeg_of(2 << 20);
    let porch = Giver::start(gateway.agent(&["porch"]).await, jpeg.clone());
    for got in join_all((0..3).map(|_| get(&gateway, LATEST, &[]))).await {
        assert_eq!(got.status, 200);
        assert!(got.body.unwrap() == jpeg);
    }
    assert_eq!(porch.asked.load(Ordering::Relaxed), 3, "it is shared with nobody");
}

#[tokio::test]
async fn when_the_last_reader_leaves_the_camera_is_told_to_stop() {
    let gateway = TestGateway::start().await;
    let mut porch = gateway.agent(&["porch"]).await;
    let callers: Vec<_> = (0..3)
        .map(|_| {
            let request = gateway.request(reqwest::Method::GET, LATEST).bearer_auth(&gateway.admin);
            tokio::spawn(async move { request.send().await.unwrap().bytes().await })
        })
        .collect();
    let id = porch.request().await.id;
    gateway.metric_reaches("oriel_calls_joined_total", 2.0).await;
    let bodies = pieces(5, &jpeg_of(500_000));
    porch.send_all(parts(id, 0, bodies[..3].iter().cloned())).await;
    for caller in callers {
        caller.abort();
    }
    let cancelled = async {
        loop {
            if let GatewayFrame::Cancel { id: cancelled } = porch.frame().await {
                return cancelled;
            }
        }
    };
    assert_eq!(soon("the camera is told", cancelled).await, id);
}

#[tokio::test]
async fn a_picture_in_more_pieces_than_it_may_have_is_never_whole() {
    let gateway = TestGateway::start().await;
    gateway.agent(&["porch"]).await.answering(|request| {
        let jpeg = jpeg_of(9_000);
        let (first, rest) = jpeg.split_at(8_192);
        let mut bodies = vec![Body::Head(head(5, 9_000)), Body::Bytes(first.to_vec().into())];
        bodies.extend(rest.chunks(90).map(|piece| Body::Bytes(piece.to_vec().into())));
        let mut frames = parts(request.id, 0, bodies);
        frames.push(done(request.id));
        frames
    });
    for _ in 0..2 {
        let got = get(&gateway, "/v1/cameras/porch/images/20231114221325.000", &[]).await;
        assert!(got.body.is_err(), "{}", got.status);
    }
}
