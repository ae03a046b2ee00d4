//! Moving pictures, and word of new ones.

use oriel_proto::{
    AgentFrame, Body, Call, CameraId, GatewayFrame, ImageClass, RequestId,
    call::LiveCall,
    frame::{Request, Watch},
};
use reqwest::{Method, Response};
use serde_json::json;

use super::credit::Credit;
use crate::common::*;

const LIVE: &str = "/v1/cameras/porch/live";

/// Somebody who watches.
pub(crate) struct Viewer {
    response: Response,
    boundary: String,
    waiting: Vec<u8>,
}

impl Viewer {
    pub(crate) async fn open(gateway: &TestGateway, query: &str) -> Self {
        Self::open_as(gateway, &gateway.admin, query).await
    }

    pub(crate) async fn open_as(gateway: &TestGateway, key: &str, query: &str) -> Self {
        let request = gateway.request(Method::GET, &format!("{LIVE}{query}")).bearer_auth(key);
        let response = soon("the stream begins", request.send()).await.unwrap();
        assert_eq!(response.status(), 200);
        let media_type = response.headers()["content-type"].to_str().unwrap();
        let boundary = media_type.strip_prefix("multipart/x-mixed-replace; boundary=").unwrap().to_owned();
        Self { response, boundary, waiting: Vec::new() }
    }

    /// When the next picture was taken, and its bytes; none at the end.
    pub(crate) async fn next(&mut self) -> Option<(String, Vec<u8>)> {
        soon("a picture", self.take()).await
    }

    async fn take(&mut self) -> Option<(String, Vec<u8>)> {
        loop {
            if let Some(end) = self.waiting.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8(self.waiting[..end].to_vec()).unwrap().to_lowercase();
                let field = |name: &str| {
                    let line = head.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap_or_else(|| panic!("{head}")).trim().to_owned()
                };
                let length: usize = field("content-length:").parse().unwrap();
                let at = field("x-image-at:");
                assert_eq!(
                    (field("content-type:"), field("x-camera:")),
                    ("image/jpeg".into(), "porch".into())
                );
                // The part is known to be whole by what stands behind it.
                let (from, to) = (end + 4, end + 4 + length);
                let boundary = format!("\r\n--{}\r\n", self.boundary);
                if self.waiting.len() >= to + boundary.len() {
                    let rest = self.waiting.split_off(to + boundary.len());
                    assert!(self.waiting[to..] == *boundary.as_bytes());
                    let jpeg = self.waiting[from..to].to_vec();
                    self.waiting = rest;
                    return Some((at, jpeg));
                }
            }
            self.waiting.extend_from_slice(&self.response.chunk().await.ok()??);
        }
    }
}

/// A camera that is asked for moving pictures, and answers when it is told to.
struct Camera {
    agent: RawAgent,
    id: RequestId,
    sent: u32,
    credit: Credit,
}

impl Camera {
    async fn asked(mut agent: RawAgent, fps: f32) -> Self {
        let Request { id, call, .. } = agent.request().await;
        let Call::Live(LiveCall { class, max_fps }) = call else { panic!("{call:?}") };
        assert_eq!((class, max_fps), (ImageClass::Preview, fps));
        Self { agent, id, sent: 0, credit: Credit::of(id) }
    }

    async fn send(&mut self, n: i64) {
        self.send_pieces(pieces(n, &jpeg_of(5_000))).await;
    }

    async fn send_pieces(&mut self, pieces: Vec<Body>) {
        for frame in parts(self.id, self.sent, pieces) {
            self.sent += 1;
            assert!(self.credit.send(&mut self.agent, frame).await.is_some(), "it is still wanted");
        }
    }

    /// The next question that is taken back.
    async fn cancelled(&mut self) -> RequestId {
        let cancelled = async {
            loop {
                if let GatewayFrame::Cancel { id } = self.agent.frame().await {
                    return id;
                }
            }
        };
        soon("the camera is told to stop", cancelled).await
    }
}

async fn watched(gateway: &TestGateway) -> (Viewer, Camera) {
    let agent = gateway.agent(&["porch"]).await;
    let camera = async {
        let mut camera = Camera::asked(agent, 10.0).await;
        camera.send(1).await;
        camera
    };
    let (mut viewer, camera) = tokio::join!(Viewer::open(gateway, ""), camera);
    let (at, jpeg) = viewer.next().await.unwrap();
    assert_eq!((at.as_str(), jpeg.len()), ("2023-11-14t22:13:21.000000z", 5_000));
    (viewer, camera)
}

#[tokio::test]
async fn however_many_watch_the_camera_sends_one_stream_and_stops_with_the_last() {
    let gateway = TestGateway::start().await;
    let (first, mut camera) = watched(&gateway).await;
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(Viewer::open(&gateway, "").await);
    }
    assert_eq!(gateway.metric("oriel_live_viewers").await, 21.0);
    assert_eq!(gateway.metric("oriel_live_streams").await, 1.0);
    camera.send(2).await;
    for viewer in &mut others {
        let mut at = viewer.next().await.unwrap().0;
        if at.contains("22:13:21") {
            at = viewer.next().await.unwrap().0;
        }
        assert!(at.contains("22:13:22"), "{at}");
    }
    drop(first);
    others.truncate(1);
    until("the others are gone", async || gateway.metric("oriel_live_viewers").await == 1.0).await;
    camera.send(3).await;
    assert!(others[0].next().await.unwrap().0.contains("22:13:23"));
    drop(others);
    assert_eq!(camera.cancelled().await, camera.id);
    until("the stream is gone", async || gateway.metric("oriel_live_streams").await == 0.0).await;
}

#[tokio::test]
async fn the_camera_sends_as_many_pictures_as_the_most_demanding_viewer_wants() {
    let gateway = TestGateway::start().await;
    let (viewer, mut camera) = watched(&gateway).await;
    let quick = Viewer::open(&gateway, "?fps=25").await;
    assert_eq!(camera.cancelled().await, camera.id);
    let mut camera = Camera::asked(camera.agent, 25.0).await;
    camera.send(2).await;
    drop(quick);
    assert_eq!(camera.cancelled().await, camera.id);
    let mut camera = Camera::asked(camera.agent, 10.0).await;
    camera.send(3).await;
    drop(viewer);
    assert_eq!(camera.cancelled().await, camera.id);
}

#[tokio::test]
async fn a_viewer_who_comes_and_goes_with_another_rate_disturbs_nobody() {
    let gateway = TestGateway::start().await;
    let (mut viewer, mut camera) = watched(&gateway).await;
    let mut bodies = pieces(2, &jpeg_of(30_000));
    let rest = bodies.split_off(2);
    camera.send_pieces(bodies).await;
    // Whatever was sent before has come when this is answered.
    camera.agent.announce("porch").await.unwrap();
    let quick = Viewer::open(&gateway, "?fps=25").await;
    camera.send_pieces(rest).await;
    assert!(viewer.next().await.unwrap().0.contains("22:13:22"), "a picture under way is not lost");
    assert_eq!(camera.cancelled().await, camera.id);
    let mut camera = Camera::asked(camera.agent, 25.0).await;
    drop(quick);
    until("it has left", async || gateway.metric("oriel_live_viewers").await == 1.0).await;
    let _again = Viewer::open(&gateway, "?fps=25").await;
    camera.send(3).await;
    assert!(viewer.next().await.unwrap().0.contains("22:13:23"), "the camera need not begin anew");
}

#[tokio::test]
async fn whoever_does_not_read_holds_nobody_up_and_sees_the_newest_later() {
    let gateway = TestGateway::start().await;
    let (mut quick, mut camera) = watched(&gateway).await;
    let mut slow = Viewer::open(&gateway, "").await;
    // More than what systems hold between two programs.
    let (pictures, jpeg) = (24, jpeg_of(1 << 20));
    for n in 2..2 + pictures {
        camera.send_pieces(pieces(n, &jpeg)).await;
        assert!(quick.next().await.unwrap().0.contains(&format!("22:13:{}", 20 + n)));
    }
    let (mut seen, newest) = (0, format!("22:13:{}", 21 + pictures));
    while !slow.next().await.unwrap().0.contains(&newest) {
        seen += 1;
    }
    assert!(seen < pictures, "it has skipped some");
}

#[tokio::test]
async fn where_slow_viewers_hold_all_the_room_another_one_is_told_so() {
    let gateway = TestGateway::start().await;
    let agent = gateway.agent(&["porch"]).await;
    // Two of them are more than what slow viewers may hold.
    let jpeg = jpeg_of(12 << 20);
    let camera = async {
        let mut camera = Camera::asked(agent, 10.0).await;
        camera.send_pieces(pieces(1, &jpeg)).await;
        camera
    };
    let (slow, mut camera) = tokio::join!(Viewer::open(&gateway, ""), camera);
    camera.send_pieces(pieces(2, &jpeg)).await;
    let told = async || {
        let request = gateway.request(Method::GET, &format!("{LIVE}?timeout=300ms"));
        let response = request.bearer_auth(&gateway.admin).send().await.unwrap();
        // Whoever comes before the second picture sees the first one.
        response.status() == 503 && response.text().await.unwrap().contains("\"overloaded\"")
    };
    until("another one is told that there is no room", told).await;
    drop(slow);
    until("there is room again", async || gateway.metric("oriel_live_viewers").await == 0.0).await;
}

#[tokio::test]
async fn a_stream_goes_on_when_its_camera_comes_back_and_ends_when_the_gateway_stops() {
    let gateway = TestGateway::start().await;
    let enrolled = gateway.enroll(&["porch"]).await;
    let agent = enrolled.serving(&["porch"]).await;
    let camera = async {
        let mut camera = Camera::asked(agent, 10.0).await;
        camera.send(1).await;
        camera
    };
    let (mut viewer, camera) = tokio::join!(Viewer::open(&gateway, ""), camera);
    viewer.next().await.unwrap();
    drop(camera);
    let camera: CameraId = "porch".parse().unwrap();
    until("the camera is gone", async || gateway.registry.find(&camera).is_none()).await;
    let agent = enrolled.serving(&["porch"]).await;
    let mut camera = Camera::asked(agent, 10.0).await;
    camera.send(2).await;
    assert!(viewer.next().await.unwrap().0.contains("22:13:22"));
    gateway.stop.cancel();
    assert!(viewer.next().await.is_none());
    assert!(viewer.waiting.is_empty(), "it ends between two pictures");
}

#[tokio::test]
async fn a_camera_that_cannot_is_a_failure_and_not_an_empty_stream() {
    let gateway = TestGateway::start().await;
    let porch = gateway.agent(&["porch"]).await;
    porch.answering(|request| vec![fail(request.id, oriel_proto::FailureCode::Unsupported, "no")]);
    gateway.get(LIVE).await.expect_problem(501, "camera_unsupported");
    for fps in ["0", "31", "x", "NaN", "inf"] {
        gateway.get(&format!("{LIVE}?fps={fps}")).await.expect_problem(400, "bad_request");
    }
}

/// What the camera is told next of who watches it.
async fn watch(agent: &mut RawAgent) -> Watch {
    loop {
        if let GatewayFrame::Watch(watch) = agent.frame().await {
            return watch;
        }
    }
}

#[tokio::test]
async fn new_pictures_of_named_cameras_are_told_as_long_as_somebody_listens() {
    let gateway = TestGateway::start().await;
    let mut porch = gateway.agent(&["porch", "yard"]).await;
    let mut stream = Sse::open(&gateway, &gateway.admin, "?camera=porch&types=image").await;
    let camera: CameraId = "porch".parse().unwrap();
    let told = watch(&mut porch).await;
    let classes = vec![ImageClass::Preview, ImageClass::Main];
    assert_eq!(told, Watch { camera: camera.clone(), classes, events: false, on: true });
    let fresh = |camera: &str, class, n| {
        let camera = camera.parse().unwrap();
        AgentFrame::Fresh { camera, class, at: taken(n) }
    };
    porch.send(fresh("yard", ImageClass::Preview, 1)).await;
    porch.send(fresh("porch", ImageClass::Other("huge".into()), 2)).await;
    porch.send(fresh("porch", ImageClass::Preview, 3)).await;
    let message = stream.next_of("image").await;
    let at = "2023-11-14T22:13:23.000000Z";
    assert_eq!(message.data, json!({"camera": "porch", "class": "preview", "at": at}));
    // Events are a wish of their own.
    let events = Sse::open(&gateway, &gateway.admin, "?camera=porch&types=event").await;
    let told = watch(&mut porch).await;
    assert!(told.on && told.events && told.classes.len() == 2);
    drop(stream);
    let told = watch(&mut porch).await;
    assert!(told.on && told.events && told.classes.is_empty());
    drop(events);
    assert_eq!(watch(&mut porch).await, Watch { camera, classes: Vec::new(), events: false, on: false });
}
