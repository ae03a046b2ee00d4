//! Promises about pictures that are kept, and those that are taken when asked.

mod live;

use bytes::Bytes;
use oriel_proto::{
    ImageClass,
    call::{Head, ImageCall, ImageMatch, ImagesCall, LiveCall, SnapshotCall},
    image::ImageCount,
};

use super::*;
use crate::{
    config::Offers,
    pictures::{
        Picture,
        tests::{LEAST, picture},
    },
};

/// When the device's clock stands still.
const NOW_MS: i64 = 1_795_391_880_000;

const SECOND: Duration = Duration::from_secs(1);

/// A camera, and the questions that are put to it.
struct Desk {
    camera: Camera,
    jobs: Jobs,
    now: Arc<AtomicI64>,
    _dir: tempfile::TempDir,
}

impl Desk {
    async fn open() -> Self {
        Self::open_with(|_| ()).await
    }

    async fn open_with(change: impl FnOnce(&mut CameraConfig)) -> Self {
        let (dir, now) = (tempfile::tempdir().unwrap(), Arc::new(AtomicI64::new(NOW_MS)));
        let (state, time) = (State::open(dir.path()).await.unwrap(), now.clone());
        let clock = Arc::new(move || Timestamp::from_millis(time.load(Ordering::Relaxed)));
        let mut config = CameraConfig::simulated("porch".parse().unwrap());
        change(&mut config);
        let camera = Camera::open(config, &state, clock, watch::Sender::new(())).await.unwrap();
        Self { camera, jobs: Jobs::new(Limits::default(), 1), now, _dir: dir }
    }

    /// Keeps a preview that was taken so long ago.
    async fn keep(&self, ago_ms: i64, jpeg: Bytes) {
        let kept = self.camera.pictures.keep(preview(NOW_MS - ago_ms, jpeg)).await.unwrap();
        assert_eq!(kept, Some(Timestamp::from_millis(NOW_MS - ago_ms)));
    }

    fn ask(&mut self, call: Call) -> RequestId {
        let (id, camera) = (RequestId::new(), self.camera.id().clone());
        let request = Request { id, camera, deadline_ms: 10_000, call };
        self.jobs.start(request, Some(&self.camera)).unwrap();
        id
    }

    /// The whole answer to `id`, with credit given as it comes; checks that no Part is too large.
    async fn answer(&mut self, id: RequestId) -> Result<(Vec<Body>, Trailer), Fail> {
        let mut bodies = Vec::new();
        loop {
            match next(&mut self.jobs).await {
                AgentFrame::Part { id: of, n, body } if of == id => {
                    assert_eq!(n as usize, bodies.len());
                    let bytes = encoded_len(&AgentFrame::Part { id, n, body: body.clone() });
                    assert!(encoded_len(&body) <= PART_BYTES, "{bytes}");
                    self.jobs.credit(id, bytes as u32);
                    bodies.push(body);
                }
                AgentFrame::Done { id: of, trailer } if of == id => return Ok((bodies, trailer)),
                AgentFrame::Reply { id: of, answer } if of == id => return Ok((answer.body, answer.trailer)),
                AgentFrame::Fail(fail) if fail.id == id => return Err(fail),
                _ => {}
            }
        }
    }

    /// The picture that answers `call`.
    async fn picture(&mut self, call: Call) -> Result<(Head, Bytes), Fail> {
        let id = self.ask(call);
        let (bodies, trailer) = self.answer(id).await?;
        assert_eq!(trailer, Trailer::Nothing {});
        Ok(one(bodies))
    }

    /// The next picture of a live answer, whose whole frames are credited as they come.
    async fn live(&mut self, id: RequestId) -> (Head, Bytes) {
        let mut bodies = Vec::new();
        let mut left = u64::MAX;
        while left > 0 {
            let AgentFrame::Part { id: of, n, body } = next(&mut self.jobs).await else { panic!("it ended") };
            assert_eq!(of, id);
            self.jobs.credit(id, encoded_len(&AgentFrame::Part { id, n, body: body.clone() }) as u32);
            left = match &body {
                Body::Head(head) if bodies.is_empty() => head.length,
                Body::Bytes(bytes) => left - bytes.len() as u64,
                body => panic!("{body:?}"),
            };
            bodies.push(body);
        }
        one(bodies)
    }

    /// Whether nothing is sent for as long as the clock moves by this.
    async fn is_silent(&mut self, span: Duration) -> bool {
        tokio::time::timeout(span, next(&mut self.jobs)).await.is_err()
    }
}

/// Head and bytes of the one picture in an answer.
fn one(bodies: Vec<Body>) -> (Head, Bytes) {
    let mut bodies = bodies.into_iter();
    let Some(Body::Head(head)) = bodies.next() else { panic!("the Head comes first") };
    let pieces = bodies.map(|body| match body {
        Body::Bytes(bytes) => bytes,
        body => panic!("{body:?}"),
    });
    let jpeg = Bytes::from(pieces.collect::<Vec<_>>().concat());
    assert_eq!((head.length, head.media_type.as_str()), (jpeg.len() as u64, "image/jpeg"));
    (head, jpeg)
}

fn preview(at_ms: i64, jpeg: Bytes) -> Picture {
    Picture { class: ImageClass::Preview, at: Timestamp::from_millis(at_ms), jpeg }
}

fn image(matching: ImageMatch, ago_ms: i64, max_age_ms: Option<u64>) -> Call {
    let at = Timestamp::from_millis(NOW_MS - ago_ms);
    Call::Image(ImageCall { class: ImageClass::Preview, at, matching, max_age_ms })
}

fn snapshot() -> Call {
    Call::Snapshot(SnapshotCall { class: ImageClass::Preview })
}

fn live(max_fps: f32) -> Call {
    Call::Live(LiveCall { class: ImageClass::Preview, max_fps })
}

#[tokio::test(start_paused = true)]
async fn a_small_picture_is_one_reply_with_its_neighbours() {
    let mut desk = Desk::open().await;
    for (ago_ms, mark) in [(3_000, 1), (2_000, 2), (1_000, 3)] {
        desk.keep(ago_ms, picture(12_000, mark)).await;
    }
    let id = desk.ask(image(ImageMatch::Before, 1_999, None));
    let AgentFrame::Reply { id: of, answer } = next(&mut desk.jobs).await else { panic!("not a Reply") };
    assert_eq!(of, id);
    let (head, jpeg) = one(answer.body);
    assert_eq!(jpeg, picture(12_000, 2));
    let at = |ago_ms| Timestamp::from_millis(NOW_MS - ago_ms);
    assert_eq!((head.prev, head.at, head.next), (Some(at(3_000)), at(2_000), Some(at(1_000))));
    let (other, _) = desk.picture(image(ImageMatch::Latest, 0, None)).await.unwrap();
    assert_eq!((other.prev, other.next), (Some(at(2_000)), None));
    assert_ne!(head.etag, other.etag);
}

#[tokio::test(start_paused = true)]
async fn a_large_picture_comes_in_parts() {
    let mut desk = Desk::open().await;
    desk.keep(0, picture(300_000, 9)).await;
    desk.jobs.cut_into(3_000);
    let (_, jpeg) = desk.picture(image(ImageMatch::Exact, 0, None)).await.unwrap();
    assert_eq!(jpeg, picture(300_000, 9));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_there_is_none_says_why() {
    let mut desk = Desk::open().await;
    for matching in [ImageMatch::Exact, ImageMatch::Before, ImageMatch::After, ImageMatch::Latest] {
        let fail = desk.picture(image(matching, 0, None)).await.unwrap_err();
        assert_eq!(fail.code, FailureCode::NotFound);
    }
    let thermal: ImageClass = "thermal".into();
    let nearby: ImageMatch = "nearby".into();
    let wrong = |class, matching| {
        Call::Image(ImageCall { class, at: Timestamp::default(), matching, max_age_ms: None })
    };
    let shuffled = ImagesCall {
        class: ImageClass::Main,
        from: None,
        to: None,
        count: None,
        order: "shuffled".into(),
        bucket_ms: None,
    };
    for (call, words) in [
        (wrong(thermal.clone(), ImageMatch::Latest), "no pictures of class thermal"),
        (wrong(ImageClass::Main, nearby), "the match nearby"),
        (Call::Images(ImagesCall { class: thermal.clone(), ..shuffled.clone() }), "class thermal"),
        (Call::Images(shuffled), "the order shuffled"),
        (Call::Snapshot(SnapshotCall { class: thermal.clone() }), "class thermal"),
        (Call::Live(LiveCall { class: thermal, max_fps: 1.0 }), "class thermal"),
        (live(0.0), "0 pictures a second"),
        (live(f32::NAN), "NaN pictures a second"),
    ] {
        let id = desk.ask(call);
        let fail = desk.answer(id).await.unwrap_err();
        assert_eq!(fail.code, FailureCode::Unsupported);
        assert!(fail.message.contains(words), "{}", fail.message);
    }
}

#[tokio::test(start_paused = true)]
async fn pictures_are_counted_per_stretch_in_either_order() {
    let mut desk = Desk::open().await;
    for n in 0..10 {
        desk.keep(n * 400, picture(LEAST + n as usize, 0)).await;
    }
    for order in [Order::Asc, Order::Desc] {
        let (class, from) = (ImageClass::Preview, Some(Timestamp::from_millis(NOW_MS - 3_599)));
        let call = ImagesCall { class, from, to: None, count: Some(8), order, bucket_ms: Some(1_000) };
        let id = desk.ask(Call::Images(call.clone()));
        let (mut bodies, trailer) = desk.answer(id).await.unwrap();
        let Some(Body::Items(Items::ImageCounts(counts))) = bodies.pop() else { panic!("not counts") };
        assert_eq!(trailer, Trailer::Images { more: true });
        let listed = Call::Images(ImagesCall { bucket_ms: None, ..call.clone() });
        let id = desk.ask(listed);
        let (mut bodies, _) = desk.answer(id).await.unwrap();
        let Some(Body::Items(Items::Images(images))) = bodies.pop() else { panic!("not a list") };
        let mut wanted: Vec<ImageCount> = Vec::new();
        for image in images {
            let at = Timestamp::from_micros(image.at.as_micros().div_euclid(1_000_000) * 1_000_000);
            match wanted.last_mut().filter(|last| last.at == at) {
                Some(last) => (last.count, last.bytes) = (last.count + 1, last.bytes + image.bytes),
                None => wanted.push(ImageCount { at, count: 1, bytes: image.bytes }),
            }
        }
        assert_eq!(counts, wanted, "{}", call.order);
    }
}

#[tokio::test(start_paused = true)]
async fn a_newest_picture_that_is_too_old_is_taken_anew() {
    let mut desk = Desk::open().await;
    let pictures = desk.camera.pictures.clone();
    tokio::spawn(async move {
        for n in 0.. {
            let asked = pictures.asked().await;
            let taken = Picture { class: asked.class.clone(), ..preview(NOW_MS + n, picture(20_000, 7)) };
            pictures.keep(taken.clone()).await.unwrap();
            asked.answer(Ok(taken));
        }
    });
    let (head, _) = desk.picture(image(ImageMatch::Latest, 0, Some(1_000))).await.unwrap();
    assert_eq!(head.at, Timestamp::from_millis(NOW_MS), "there was none");
    desk.now.fetch_add(5_000, Ordering::Relaxed);
    for (max_age_ms, wanted) in [(Some(5_000), 0), (Some(4_999), 1), (None, 1), (Some(0), 2)] {
        let (head, jpeg) = desk.picture(image(ImageMatch::Latest, 0, max_age_ms)).await.unwrap();
        assert_eq!(head.at, Timestamp::from_millis(NOW_MS + wanted), "{max_age_ms:?}");
        assert_eq!(jpeg, picture(20_000, 7));
    }
    let (head, _) = desk.picture(image(ImageMatch::Before, 0, Some(1))).await.unwrap();
    assert_eq!(head.at, Timestamp::from_millis(NOW_MS), "age counts for the newest alone");
    desk.now.fetch_sub(10 * 60_000, Ordering::Relaxed);
    let (head, _) = desk.picture(image(ImageMatch::Latest, 0, Some(5_000))).await.unwrap();
    assert_eq!(head.at, Timestamp::from_millis(NOW_MS + 3), "the clock was set back");
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_takes_none_when_asked_says_how_old_its_newest_is() {
    let mut desk = Desk::open().await;
    desk.keep(5_000, picture(LEAST, 0)).await;
    let offers = Offers { snapshot: false, live: false, ..(*desk.camera.offers).clone() };
    desk.camera.offers = Arc::new(offers);
    for (call, words) in [
        (image(ImageMatch::Latest, 0, Some(4_000)), "5000 ms old"),
        (snapshot(), "no pictures when asked"),
        (live(1.0), "no moving pictures"),
    ] {
        let id = desk.ask(call);
        let fail = desk.answer(id).await.unwrap_err();
        assert_eq!(fail.code, FailureCode::Unsupported);
        assert!(fail.message.contains(words), "{}", fail.message);
    }
    desk.picture(image(ImageMatch::Latest, 0, Some(5_000))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn those_who_ask_at_the_same_time_share_one_picture() {
    let mut desk = Desk::open().await;
    let ids = [desk.ask(snapshot()), desk.ask(snapshot()), desk.ask(image(ImageMatch::Latest, 0, Some(0)))];
    assert!(desk.is_silent(SECOND).await);
    let asked = desk.camera.pictures.asked().await;
    let late = desk.ask(snapshot());
    assert!(desk.is_silent(SECOND).await);
    asked.answer(Ok(preview(NOW_MS, picture(1_000, 1))));
    for _ in 0..4 {
        let AgentFrame::Reply { id, .. } = next(&mut desk.jobs).await else { panic!("not a Reply") };
        assert!(ids.contains(&id) || id == late);
    }
    let id = desk.ask(snapshot());
    assert!(desk.is_silent(SECOND).await);
    desk.camera.pictures.asked().await.answer(Err("no light\u{1b}[2J".into()));
    let fail = desk.answer(id).await.unwrap_err();
    assert_eq!((fail.code, fail.message.as_str()), (FailureCode::SourceFailed, "no light\u{fffd}[2J"));
    let id = desk.ask(snapshot());
    assert!(desk.is_silent(SECOND).await);
    drop(desk.camera.pictures.asked().await);
    assert_eq!(desk.answer(id).await.unwrap_err().code, FailureCode::SourceFailed);
}

#[tokio::test(start_paused = true)]
async fn a_picture_that_nobody_waits_for_any_more_is_not_taken() {
    let mut desk = Desk::open().await;
    let ids = [desk.ask(snapshot()), desk.ask(snapshot())];
    assert!(desk.is_silent(SECOND).await);
    ids.into_iter().for_each(|id| desk.jobs.cancel(id));
    assert!(desk.is_silent(SECOND).await);
    let pictures = desk.camera.pictures.clone();
    assert!(tokio::time::timeout(SECOND, pictures.asked()).await.is_err());
    let id = desk.ask(snapshot());
    assert!(desk.is_silent(SECOND).await);
    pictures.asked().await.answer(Ok(preview(NOW_MS, picture(1_000, 1))));
    desk.answer(id).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_camera_whose_pictures_nobody_takes_leaves_room_for_those_of_others() {
    let (porch, yard, room) = (Desk::open().await, Desk::open().await, Room::default());
    let mut held = Vec::new();
    while let Ok(more) = tokio::time::timeout(SECOND, room.picture(&porch.camera, 8 << 20)).await {
        held.push(more.unwrap());
    }
    assert_eq!(held.len(), 4);
    tokio::time::timeout(SECOND, room.picture(&yard.camera, 16 << 20)).await.unwrap().unwrap();
    drop(held.pop());
    tokio::time::timeout(SECOND, room.picture(&porch.camera, 8 << 20)).await.unwrap().unwrap();
}
