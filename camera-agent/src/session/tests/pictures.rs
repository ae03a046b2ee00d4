//! Promises about what a gateway is told of new pictures.

use oriel_proto::ImageClass;

use super::*;
use crate::pictures::{
    Picture,
    tests::{LEAST, picture},
};

impl Gateway {
    /// Keeps a picture; gives the time it is known by.
    async fn keep(&self, class: ImageClass) -> Timestamp {
        let (at, jpeg) = (self.camera.pictures.time(), picture(LEAST, 0));
        self.camera.pictures.keep(Picture { class, at, jpeg }).await.unwrap().unwrap()
    }

    /// Watches these classes of the camera, or none of it any more.
    async fn watch_classes(&self, classes: &[ImageClass], on: bool) {
        let (camera, classes) = (self.camera.id().clone(), classes.to_vec());
        self.say(GatewayFrame::Watch(Watch { camera, classes, events: false, on })).await;
    }

    /// What is told of new pictures within a second.
    async fn fresh(&mut self) -> Vec<(ImageClass, Timestamp)> {
        let until = Instant::now() + Duration::from_secs(1);
        let mut fresh = Vec::new();
        while let Ok(up) = tokio::time::timeout_at(until, self.up_rx.recv()).await {
            if let Up::Frame(AgentFrame::Fresh { camera, class, at }) = up.unwrap() {
                assert_eq!(camera, *self.camera.id());
                fresh.push((class, at));
            }
        }
        fresh
    }
}

const PREVIEW: ImageClass = ImageClass::Preview;
const MAIN: ImageClass = ImageClass::Main;

#[tokio::test(start_paused = true)]
async fn new_pictures_are_told_of_while_their_class_is_watched() {
    let mut gateway = Gateway::meet(64).await;
    gateway.welcome().await;
    gateway.keep(PREVIEW).await;
    assert_eq!(gateway.fresh().await, [], "nobody watches");
    gateway.watch_classes(&[PREVIEW, "thermal".into(), PREVIEW], true).await;
    assert_eq!(gateway.fresh().await, [], "what was there before is asked for");
    gateway.keep(MAIN).await;
    let long_ago = Timestamp::from_millis(1_600_000_000_000);
    let old = Picture { class: PREVIEW, at: long_ago, jpeg: picture(LEAST, 0) };
    gateway.camera.pictures.keep(old).await.unwrap();
    assert_eq!(gateway.fresh().await, [], "one is of another class, one is past its time");
    let at = gateway.keep(PREVIEW).await;
    assert_eq!(gateway.fresh().await, [(PREVIEW, at)]);
    gateway.watch_classes(&[MAIN], true).await;
    gateway.fresh().await;
    gateway.keep(PREVIEW).await;
    let at = gateway.keep(MAIN).await;
    assert_eq!(gateway.fresh().await, [(MAIN, at)], "the later Watch replaces the earlier one");
    gateway.watch_classes(&[MAIN], false).await;
    gateway.fresh().await;
    gateway.keep(MAIN).await;
    assert_eq!(gateway.fresh().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_does_not_read_is_told_of_the_newest_alone() {
    let mut gateway = Gateway::meet(4).await;
    gateway.welcome().await;
    gateway.watch_classes(&[PREVIEW, MAIN], true).await;
    gateway.fresh().await;
    let mut newest = gateway.keep(PREVIEW).await;
    for _ in 0..50 {
        newest = gateway.keep(PREVIEW).await;
    }
    let main = gateway.keep(MAIN).await;
    let fresh = gateway.fresh().await;
    assert!(fresh.len() <= 4 + 3, "{} were queued", fresh.len());
    assert!(fresh.contains(&(MAIN, main)));
    assert_eq!(fresh.iter().rfind(|(class, _)| *class == PREVIEW), Some(&(PREVIEW, newest)));
}

#[tokio::test(start_paused = true)]
async fn a_refused_camera_is_told_of_no_more() {
    let mut gateway = Gateway::meet(64).await;
    gateway.welcome().await;
    gateway.watch_classes(&[PREVIEW], true).await;
    let (camera, code) = (gateway.camera.id().clone(), oriel_proto::frame::RefusalCode::Removed);
    gateway.say(GatewayFrame::Refused { camera, code, message: String::new() }).await;
    gateway.fresh().await;
    gateway.keep(PREVIEW).await;
    assert_eq!(gateway.fresh().await, []);
}

#[tokio::test(start_paused = true)]
async fn what_pictures_take_on_disk_is_told_with_the_regular_health_alone() {
    let mut gateway = Gateway::meet(64).await;
    gateway.welcome().await;
    assert_eq!(gateway.health().await.cameras[0].ring, 0);
    gateway.keep_talking();
    let started = Instant::now();
    for _ in 0..10 {
        gateway.keep(PREVIEW).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let health = gateway.health().await;
    assert_eq!((started.elapsed().as_secs(), health.cameras[0].ring), (60, 10 * 4_096));
}
