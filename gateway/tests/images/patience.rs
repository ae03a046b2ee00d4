//! How long moving pictures are waited for, over a socket in memory and with a clock that is moved, not waited for.

use std::{sync::Arc, time::Duration};

use oriel_gateway::{
    images::{Images, Series},
    link::{
        Budget, Link,
        pair::{Ear, Voice, pair},
        pump,
    },
    registry::{Joined, Offer, Registry},
    relay::Relay,
    store::CameraRecord,
};
use oriel_proto::{AgentFrame, CameraId, GatewayFrame, ImageClass, Timestamp, encode};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::{
    common::*,
    deaf::{Deaf, facts},
};

const HEARTBEAT: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);

/// A camera's device.
struct Device {
    voice: Voice,
    ear: Ear,
    _joined: Joined,
}

fn porch() -> (Images, Series, Device) {
    let (registry, camera): (_, CameraId) = (Registry::default(), "porch".parse().unwrap());
    let link = Link::new(facts(), Budget::shared(16 << 20), Arc::default());
    let joined = registry.join(link.clone()).unwrap();
    joined.bind(camera.clone(), Offer::default(), Timestamp::default());
    let (near, voice, ear) = pair();
    tokio::spawn(pump::run(near, link, Deaf, HEARTBEAT));
    let relay = Relay::new(registry.clone(), Arc::default(), CancellationToken::new());
    let record = CameraRecord {
        id: camera,
        name: "Porch".into(),
        tags: Vec::new(),
        agent: None,
        created_at: Timestamp::default(),
        last_seen_at: None,
    };
    let series = Series::of(&record, ImageClass::Preview);
    (Images::new(relay, registry, 32 << 20), series, Device { voice, ear, _joined: joined })
}

impl Device {
    /// Gives signs of life for so long; gives the last question that came meanwhile.
    async fn live(&mut self, span: Duration) -> Option<oriel_proto::RequestId> {
        let (end, mut asked) = (Instant::now() + span, None);
        while Instant::now() < end {
            match timeout_at(end.min(Instant::now() + HEARTBEAT), self.ear.next()).await {
                Ok(Some(GatewayFrame::Request(request))) => asked = Some(request.id),
                Ok(Some(_)) => {}
                Ok(None) => return asked,
                Err(_) => self.voice.ping(),
            }
        }
        asked
    }

    /// Answers with a picture each time so long has passed; then says nothing at all.
    async fn give(mut self, spans: &[Duration]) {
        let (mut asked, mut sent) = (None, 0);
        for (n, span) in (1..).zip(spans) {
            asked = self.live(*span).await.or(asked);
            for frame in parts(asked.unwrap(), sent, pieces(n, &jpeg_of(1_000))) {
                self.voice.say(encode::<AgentFrame>(&frame).unwrap()).await.unwrap();
                sent += 1;
            }
        }
        std::future::pending::<()>().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_picture_may_take_as_long_as_somebody_waits_for_it() {
    let (images, series, device) = porch();
    let spans = [Duration::from_secs(50)];
    let start = Instant::now();
    let brief = images.watch(&series, 1.0, start + MINUTE / 6);
    let watching = async {
        let (brief, patient) = tokio::join!(brief, images.watch(&series, 1.0, start + MINUTE));
        assert_eq!(brief.unwrap_err().to_string(), "the camera did not answer in time");
        patient.unwrap().next().await.unwrap().at
    };
    let at = tokio::select! {
        at = watching => at,
        () = device.give(&spans) => unreachable!(),
    };
    assert_eq!((at, start.elapsed().as_secs()), (taken(1), 50));
}

#[tokio::test(start_paused = true)]
async fn pictures_an_hour_apart_are_watched_as_long_as_their_device_is_there() {
    let (images, series, device) = porch();
    let spans = [Duration::from_secs(1), MINUTE * 60, MINUTE * 60];
    let watching = async {
        let mut viewing = images.watch(&series, 1.0, Instant::now() + MINUTE).await.unwrap();
        for n in 1..=3 {
            assert_eq!(viewing.next().await.unwrap().at, taken(n));
        }
        let silent = Instant::now();
        (viewing.next().await.is_err(), silent.elapsed())
    };
    let (has_ended, took) = tokio::select! {
        ended = watching => ended,
        () = device.give(&spans) => unreachable!(),
    };
    assert!(has_ended && took < 2 * MINUTE, "{took:?}");
}
