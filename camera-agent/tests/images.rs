//! Questions about kept pictures over a real socket: the answers agree with the files on disk.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use camera_agent::config::CameraConfig;
use common::{Agent, Peer, TestGateway, config};
use oriel_proto::{
    AgentFrame, Body, Call, FailureCode, GatewayFrame, ImageClass, ImageInfo, Items, RequestId, Timestamp,
    Trailer,
    call::{Head, ImageCall, ImageMatch, ImagesCall, Order},
    codec::encoded_len,
    frame::{Ability, Announce},
    image::ImageCount,
    limits::Limits,
};
use tempfile::TempDir;

/// A gray picture of 8 by 8 pixels.
const GRAY: &[u8] = include_bytes!("common/picture.jpg");

/// A picture of so many bytes more, which `mark` makes unlike others.
fn picture(more: usize, mark: u8) -> Vec<u8> {
    let length = u16::try_from(more + 2).unwrap().to_be_bytes();
    [&GRAY[..2], &[0xff, 0xfe], &length, &vec![mark; more], &GRAY[2..]].concat()
}

/// A camera that takes no picture beside those that lie there: at its address nobody listens.
fn away() -> CameraConfig {
    let source = toml::from_str("type = \"snapshot\"\nurl = \"http://127.0.0.1:0/\"").unwrap();
    CameraConfig { source, ..CameraConfig::simulated("porch".parse().unwrap()) }
}

/// A state folder in which pictures lie that an agent kept before.
struct Kept {
    dir: TempDir,
    /// Times and sizes, oldest first.
    rows: Vec<(Timestamp, u64)>,
}

impl Kept {
    /// So many pictures, 700 ms apart, the last a moment ago.
    fn write(count: u32) -> Self {
        let mut kept = Self { dir: tempfile::tempdir().unwrap(), rows: Vec::new() };
        let first = SystemTime::now() - Duration::from_millis(u64::from(count) * 700);
        for n in 0..count {
            let at = Timestamp::from(first + Duration::from_millis(u64::from(n) * 700));
            let at = Timestamp::from_millis(at.as_micros() / 1_000);
            let jpeg = picture(n as usize % 900, n as u8);
            kept.rows.push((at, jpeg.len() as u64));
            let path = kept.path(at);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, jpeg).unwrap();
        }
        kept
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("images/porch/preview")
    }

    fn path(&self, at: Timestamp) -> PathBuf {
        let at = jiff::Timestamp::from_microsecond(at.as_micros()).unwrap();
        self.folder().join(at.strftime("%Y%m%d/%H%M%S%.3f.jpg").to_string())
    }

    fn file(&self, at: Timestamp) -> Vec<u8> {
        fs::read(self.path(at)).unwrap()
    }

    /// An agent that finds them.
    async fn agent(&self) -> (Agent, Peer) {
        let gateway = TestGateway::listen().await;
        let agent = Agent::start(config(self.dir.path(), &gateway, vec![away()]));
        (agent, gateway.agent().await)
    }
}

fn images(order: Order) -> ImagesCall {
    ImagesCall { class: ImageClass::Preview, from: None, to: None, count: None, order, bucket_ms: None }
}

fn image(matching: ImageMatch, at: Timestamp) -> Call {
    Call::Image(ImageCall { class: ImageClass::Preview, at, matching, max_age_ms: None })
}

/// The whole answer to a question, with credit given as it comes.
async fn answer(peer: &mut Peer, call: Call) -> (Vec<Body>, Trailer) {
    let id = peer.ask("porch", call).await;
    let mut bodies = Vec::new();
    loop {
        match peer.frame().await {
            frame @ AgentFrame::Part { .. } => {
                let bytes = encoded_len(&frame) as u32;
                let AgentFrame::Part { id: of, body, .. } = frame else { continue };
                assert!(of == id && encoded_len(&body) <= Limits::default().part as usize);
                peer.send(GatewayFrame::Credit { id, bytes }).await;
                bodies.push(body);
            }
            AgentFrame::Done { id: of, trailer } if of == id => return (bodies, trailer),
            AgentFrame::Reply { id: of, answer } if of == id => return (answer.body, answer.trailer),
            AgentFrame::Fail(fail) if fail.id == id => panic!("{fail:?}"),
            _ => {}
        }
    }
}

/// A whole list, and whether there is more.
async fn list(peer: &mut Peer, call: ImagesCall) -> (Vec<(Timestamp, u64)>, bool) {
    let (bodies, trailer) = answer(peer, Call::Images(call)).await;
    let Trailer::Images { more } = trailer else { panic!("{trailer:?}") };
    let rows = bodies.into_iter().flat_map(|body| match body {
        Body::Items(Items::Images(images)) => images,
        body => panic!("{body:?}"),
    });
    let row = |ImageInfo { class, at, bytes }| {
        assert_eq!(class, ImageClass::Preview);
        (at, bytes)
    };
    (rows.map(row).collect(), more)
}

async fn one(peer: &mut Peer, call: Call) -> (Head, Vec<u8>) {
    let (bodies, trailer) = answer(peer, call).await;
    assert_eq!(trailer, Trailer::Nothing {});
    let mut bodies = bodies.into_iter();
    let Some(Body::Head(head)) = bodies.next() else { panic!("the Head comes first") };
    let bytes = bodies.map(|body| match body {
        Body::Bytes(bytes) => bytes,
        body => panic!("{body:?}"),
    });
    (head, bytes.collect::<Vec<_>>().concat())
}

async fn refused(peer: &mut Peer, call: Call) -> FailureCode {
    let id: RequestId = peer.ask("porch", call).await;
    peer.failure(id).await
}

#[tokio::test]
async fn a_camera_with_pictures_says_so() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    let _agent = Agent::start(config(dir.path(), &gateway, vec![away()]));
    let (mut peer, _) = gateway.greet(Limits::default(), vec![]).await;
    let announced = peer.find(|frame| match frame {
        AgentFrame::Camera(camera) => Some(camera),
        _ => None,
    });
    let Announce { classes, abilities, .. } = announced.await;
    assert_eq!(classes, [ImageClass::Preview, ImageClass::Main]);
    assert_eq!(abilities, [Ability::Events, Ability::Images, Ability::Snapshot, Ability::Live]);
    let (_, trailer) = answer(&mut peer, Call::Describe {}).await;
    let Trailer::Description(description) = trailer else { panic!("{trailer:?}") };
    assert_eq!((description.classes, description.abilities), (classes, abilities));
}

#[tokio::test]
async fn lists_and_counts_agree_with_the_files() {
    let kept = Kept::write(2_000);
    for foreign in ["notes.txt", "20261122.jpg", "new.tmp"] {
        fs::write(kept.folder().join(foreign), "not a picture of the ring").unwrap();
    }
    let (_agent, mut peer) = kept.agent().await;
    let mut rows = kept.rows.clone();
    assert_eq!(list(&mut peer, images(Order::Asc)).await, (rows.clone(), false));
    let (from, to) = (Some(rows[100].0), Some(rows[1_900].0));
    let some = ImagesCall { from, to, ..images(Order::Asc) };
    assert_eq!(list(&mut peer, some.clone()).await, (rows[100..1_900].to_vec(), false));
    let few = ImagesCall { count: Some(20), ..some.clone() };
    assert_eq!(list(&mut peer, few).await, (rows[100..120].to_vec(), true));
    let counted = ImagesCall { bucket_ms: Some(60_000), ..some.clone() };
    let (bodies, trailer) = answer(&mut peer, Call::Images(counted)).await;
    let [Body::Items(Items::ImageCounts(counts))] = bodies.as_slice() else { panic!("{bodies:?}") };
    assert_eq!(trailer, Trailer::Images { more: false });
    let sum = |part: fn(&ImageCount) -> u64| counts.iter().map(part).sum::<u64>();
    let bytes: u64 = rows[100..1_900].iter().map(|(_, bytes)| bytes).sum();
    assert_eq!((sum(|count| count.count), sum(|count| count.bytes)), (1_800, bytes));
    rows.reverse();
    assert_eq!(list(&mut peer, images(Order::Desc)).await, (rows.clone(), false));
    let few = ImagesCall { count: Some(1_800), ..ImagesCall { order: Order::Desc, ..some } };
    assert_eq!(list(&mut peer, few).await, (rows[100..1_900].to_vec(), false));
    let none = ImagesCall { class: ImageClass::Main, ..images(Order::Asc) };
    assert_eq!(list(&mut peer, none).await, (vec![], false));
}

#[tokio::test]
async fn each_match_finds_its_file_with_its_neighbours() {
    let kept = Kept::write(50);
    let (_agent, mut peer) = kept.agent().await;
    let at = |n: usize| kept.rows[n].0;
    let beside = |n: usize, micros: i64| Timestamp::from_micros(at(n).as_micros() + micros);
    for (matching, asked, found) in [
        (ImageMatch::Exact, at(7), Some(7)),
        (ImageMatch::Exact, beside(7, 1), None),
        (ImageMatch::Before, at(0), Some(0)),
        (ImageMatch::Before, beside(0, -1), None),
        (ImageMatch::Before, beside(7, 1), Some(7)),
        (ImageMatch::Before, beside(7, -1), Some(6)),
        (ImageMatch::After, beside(7, 1), Some(8)),
        (ImageMatch::After, beside(7, -1), Some(7)),
        (ImageMatch::After, at(49), Some(49)),
        (ImageMatch::After, beside(49, 1), None),
        (ImageMatch::Latest, Timestamp::default(), Some(49)),
    ] {
        let Some(n) = found else {
            assert_eq!(refused(&mut peer, image(matching, asked)).await, FailureCode::NotFound);
            continue;
        };
        let (head, jpeg) = one(&mut peer, image(matching.clone(), asked)).await;
        assert_eq!((head.at, jpeg), (at(n), kept.file(at(n))), "{matching}");
        assert_eq!(head.prev, n.checked_sub(1).map(at));
        assert_eq!(head.next, kept.rows.get(n + 1).map(|(at, _)| *at));
    }
}

#[tokio::test]
async fn a_file_that_was_cut_or_removed_is_passed_over_and_known_no_longer() {
    let kept = Kept::write(20);
    let (_agent, mut peer) = kept.agent().await;
    let at = |n: usize| kept.rows[n].0;
    let cut = kept.file(at(19));
    fs::write(kept.path(at(19)), &cut[..cut.len() / 2]).unwrap();
    fs::remove_file(kept.path(at(18))).unwrap();
    assert_eq!(list(&mut peer, images(Order::Asc)).await.0, kept.rows);
    let (head, _) = one(&mut peer, image(ImageMatch::Latest, Timestamp::default())).await;
    assert_eq!((head.at, head.next), (at(17), None));
    assert_eq!(refused(&mut peer, image(ImageMatch::Exact, at(19))).await, FailureCode::NotFound);
    assert_eq!(list(&mut peer, images(Order::Asc)).await.0, kept.rows[..18]);
}

#[tokio::test]
async fn a_camera_whose_pictures_cannot_be_read_serves_its_log_and_says_why() {
    let (dir, gateway) = (tempfile::tempdir().unwrap(), TestGateway::listen().await);
    fs::create_dir_all(dir.path().join("images/porch")).unwrap();
    let folder: &Path = &dir.path().join("images/porch/preview");
    fs::write(folder, "in the way").unwrap();
    let _agent = Agent::start(config(dir.path(), &gateway, vec![away()]));
    let mut peer = gateway.agent().await;
    let id = peer.ask("porch", Call::Images(images(Order::Asc))).await;
    assert_eq!(peer.failure(id).await, FailureCode::Internal);
    answer(&mut peer, Call::Events(oriel_proto::call::EventsCall::all(Order::Asc))).await;
    fs::remove_file(folder).unwrap();
    assert_eq!(list(&mut peer, images(Order::Asc)).await, (vec![], false));
}
