//! One value of every frame, call, body and trailer, with everything optional present once and absent once.

use bytes::Bytes;
use oriel_proto::{
    AgentFrame, Answer, Body, CameraId, Epoch, Event, EventId, Failure, FailureCode, GatewayFrame,
    ImageClass, ImageInfo, Items, Kind, LoggedEvent, RequestId, SeqRange, Severity, Timestamp, Trailer,
    call::{
        Call, Description, EventCount, EventsCall, EventsTrailer, Have, Head, ImageCall, ImageMatch,
        ImagesCall, LiveCall, Order, Scanned, SnapshotCall,
    },
    event::{Data, LossReason, LostRange, Position},
    frame::{
        Ability, Acked, AgentFacts, AgentHealth, Announce, Bound, CameraHealth, Digest, Events, Fail,
        Feature, Health, Hello, Lost, Notice, NoticeCode, RefusalCode, Request, SourceState, SpoolState,
        Upload, Watch, Welcome,
    },
    image::ImageCount,
    limits::Limits,
};
use serde_json::json;
use uuid::Uuid;

const AT: Timestamp = Timestamp::from_micros(1_795_335_330_123_456);
const LATER: Timestamp = Timestamp::from_micros(1_795_335_390_000_000);

pub(crate) fn camera() -> CameraId {
    "porch".parse().unwrap()
}

pub(crate) fn epoch() -> Epoch {
    Uuid::from_u128(0x019a_a9f2_6c00_7a11_8b22_9c33_ad44_be55).into()
}

pub(crate) fn id() -> RequestId {
    Uuid::from_u128(0x1f0e_2d3c_4b5a_4978_8796_a5b4_c3d2_e1f0).into()
}

fn old_event() -> EventId {
    EventId { epoch: Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0001).into(), seq: 17 }
}

pub(crate) fn full_event() -> Event {
    let Ok(data) = serde_json::from_value::<Data>(json!({
        "area": 0.125, "on": true, "zones": ["door", {"n": -3}], "big": u64::MAX, "none": null,
    })) else {
        panic!("a map")
    };
    let description = "detected motion at the door".into();
    let (kind, severity) = (Kind::Motion, Severity::Notice);
    Event { at: AT, kind, severity, description, data, image_at: Some(AT), was: Some(old_event()) }
}

pub(crate) fn bare_event() -> Event {
    Event {
        at: Timestamp::from_micros(-1),
        kind: "door_bell".into(),
        severity: Severity::Info,
        description: String::new(),
        data: Data::new(),
        image_at: None,
        was: None,
    }
}

fn logged() -> Vec<LoggedEvent> {
    let of = |seq, event| LoggedEvent { epoch: epoch(), seq, event };
    vec![of(41, full_event()), of(42, bare_event())]
}

fn spool() -> SpoolState {
    SpoolState { epoch: epoch(), first: 1, next: 43, as_of: LATER }
}

fn camera_health(why: Option<&str>) -> CameraHealth {
    CameraHealth {
        camera: camera(),
        epoch: epoch(),
        next: 43,
        spool: 65_536,
        ring: 268_435_456,
        source: if why.is_some() { SourceState::Failing } else { SourceState::Ok },
        why: why.map(Into::into),
    }
}

fn description(why: Option<&str>) -> Trailer {
    let some = why.is_some();
    Trailer::Description(Box::new(Description {
        name: "Front porch".into(),
        source: "simulator".into(),
        classes: if some { vec![ImageClass::Preview, ImageClass::Main] } else { vec![] },
        abilities: if some { vec![Ability::Events, Ability::Live] } else { vec![] },
        spools: if some { vec![spool()] } else { vec![] },
        health: camera_health(why),
    }))
}

fn events_trailer(full: bool) -> Trailer {
    let (first, last) = (1, 42);
    let lost =
        LostRange { epoch: epoch(), first: 3, last: 9, from: AT, to: LATER, why: LossReason::PastRetention };
    Trailer::Events(EventsTrailer {
        scanned: if full { vec![Scanned { epoch: epoch(), first, last }] } else { vec![] },
        lost: if full { vec![lost] } else { vec![] },
        as_of: LATER,
        more: full,
    })
}

fn head(full: bool) -> Body {
    let around = |time| if full { Some(time) } else { None };
    Body::Head(Head {
        media_type: "image/jpeg".into(),
        length: 18_211,
        at: AT,
        etag: "5e1f".into(),
        prev: around(Timestamp::from_micros(AT.as_micros() - 1_000_000)),
        next: around(LATER),
    })
}

fn counts() -> (EventCount, ImageCount, ImageInfo) {
    (
        EventCount { at: AT, kind: Kind::Reset, count: 3 },
        ImageCount { at: AT, count: 60, bytes: 1_092_660 },
        ImageInfo { class: ImageClass::Preview, at: AT, bytes: 18_211 },
    )
}

/// Every frame of an agent, by the name of its golden file.
pub(crate) fn agent() -> Vec<(&'static str, AgentFrame)> {
    let mut frames = about_the_agent();
    frames.extend(answers());
    frames
}

fn about_the_agent() -> Vec<(&'static str, AgentFrame)> {
    let hello = |features| {
        let agent = AgentFacts { version: "0.1.0".into(), os: "linux".into(), arch: "aarch64".into() };
        let instance = Uuid::from_u128(0x2b1c_0d9e_8f7a_4b6c_9d5e_4f3a_2b1c_0d9e).into();
        AgentFrame::Hello(Hello { protocol: 1, features, instance, generation: 7, agent })
    };
    let announce = |full: bool| {
        AgentFrame::Camera(Announce {
            camera: camera(),
            name: "Front porch".into(),
            tags: if full { vec!["site:7".into()] } else { vec![] },
            classes: if full { vec![ImageClass::Preview, ImageClass::Main] } else { vec![] },
            abilities: if full { vec![Ability::Events, Ability::Images, Ability::Snapshot] } else { vec![] },
            upload: if full { Upload::Live } else { Upload::OnDemand },
            spools: if full { vec![spool()] } else { vec![] },
        })
    };
    let events = |events| {
        AgentFrame::Events(Events {
            camera: camera(),
            epoch: epoch(),
            first: 41,
            events,
            next: 43,
            as_of: LATER,
        })
    };
    let (first, last, why) = (3, 9, LossReason::Dropped);
    let lost = Lost { camera: camera(), epoch: epoch(), first, last, from: AT, to: LATER, why };
    let health = |rtt_ms, clock_offset_ms, cameras| {
        let agent = AgentHealth { uptime_s: 86_400, rtt_ms, clock_offset_ms };
        AgentFrame::Health(Health { as_of: LATER, agent, cameras })
    };
    let cameras = vec![camera_health(Some("no route to host")), camera_health(None)];
    vec![
        ("agent-Hello", hello(vec![Feature::Ingest, "sealed".into()])),
        ("agent-Hello-bare", hello(vec![])),
        ("agent-Camera", announce(true)),
        ("agent-Camera-bare", announce(false)),
        ("agent-Gone", AgentFrame::Gone { camera: camera() }),
        ("agent-Ready", AgentFrame::Ready {}),
        ("agent-Events", events(vec![full_event(), bare_event()])),
        ("agent-Events-bare", events(vec![])),
        ("agent-Lost", AgentFrame::Lost(lost)),
        ("agent-Fresh", AgentFrame::Fresh { camera: camera(), class: ImageClass::Preview, at: AT }),
        ("agent-Health", health(Some(23), Some(-12), cameras)),
        ("agent-Health-bare", health(None, None, vec![])),
    ]
}

fn answers() -> Vec<(&'static str, AgentFrame)> {
    let id = id();
    let reply = |body, trailer| AgentFrame::Reply { id, answer: Answer { body, trailer } };
    let part = |n, body| AgentFrame::Part { id, n, body };
    let done = |trailer| AgentFrame::Done { id, trailer };
    let (event_count, image_count, image) = counts();
    let mut fail = Failure::new(FailureCode::Busy, "too many questions");
    let bare_fail = AgentFrame::Fail(Fail::of(id, fail.clone()));
    fail.retry_after_ms = Some(1_500);
    let whole = vec![head(true), Body::Bytes(Bytes::from_static(b"\xff\xd8\xff\xd9"))];
    vec![
        ("agent-Reply-Events", reply(vec![Body::Items(Items::Events(logged()))], events_trailer(true))),
        ("agent-Reply-Images", reply(vec![], Trailer::Images { more: false })),
        ("agent-Reply-Nothing", reply(whole, Trailer::Nothing {})),
        ("agent-Part-Head", part(0, head(true))),
        ("agent-Part-Head-bare", part(0, head(false))),
        ("agent-Part-Bytes", part(1, Body::Bytes(Bytes::from_static(b"\xff\xd8\xff\xe0\0\x10JFIF")))),
        ("agent-Part-Items-Events", part(0, Body::Items(Items::Events(logged())))),
        ("agent-Part-Items-EventCounts", part(1, Body::Items(Items::EventCounts(vec![event_count])))),
        ("agent-Part-Items-Images", part(2, Body::Items(Items::Images(vec![image])))),
        ("agent-Part-Items-ImageCounts", part(3, Body::Items(Items::ImageCounts(vec![image_count])))),
        ("agent-Done-Events", done(events_trailer(true))),
        ("agent-Done-Events-bare", done(events_trailer(false))),
        ("agent-Done-Images", done(Trailer::Images { more: true })),
        ("agent-Done-Description", done(description(Some("no route to host")))),
        ("agent-Done-Description-bare", done(description(None))),
        ("agent-Done-Nothing", done(Trailer::Nothing {})),
        ("agent-Fail", AgentFrame::Fail(Fail::of(id, fail))),
        ("agent-Fail-bare", bare_fail),
    ]
}

/// Every frame of a gateway, by the name of its golden file.
pub(crate) fn gateway() -> Vec<(&'static str, GatewayFrame)> {
    let mut frames = about_the_gateway();
    frames.extend(questions());
    frames
}

fn about_the_gateway() -> Vec<(&'static str, GatewayFrame)> {
    let welcome = |features| {
        let session = Uuid::from_u128(0x019a_a9f2_7000_7c11_8d22_9e33_af44_b055).into();
        let limits = Limits::default();
        GatewayFrame::Welcome(Welcome { session, now: AT, heartbeat_ms: 30_000, features, limits })
    };
    let hash = Digest::from_bytes(*b"0123456789abcdef");
    let acked = vec![
        Acked { epoch: epoch(), seq: 40, hash: Some(hash) },
        Acked { epoch: old_event().epoch, seq: 17, hash: None },
    ];
    let (code, message) = (RefusalCode::NotYours, "porch belongs to another agent".into());
    let notice = |camera, epoch| {
        let message = "two events came as one".into();
        GatewayFrame::Notice(Notice { code: NoticeCode::EpochConflict, message, camera, epoch })
    };
    let watch = |classes, on| GatewayFrame::Watch(Watch { camera: camera(), classes, events: on, on });
    vec![
        ("gateway-Welcome", welcome(vec![Feature::Ingest])),
        ("gateway-Welcome-bare", welcome(vec![])),
        ("gateway-Bound", GatewayFrame::Bound(Bound { camera: camera(), acked })),
        ("gateway-Bound-bare", GatewayFrame::Bound(Bound { camera: camera(), acked: vec![] })),
        ("gateway-Refused", GatewayFrame::Refused { camera: camera(), code, message }),
        ("gateway-Ack", GatewayFrame::Ack { camera: camera(), epoch: epoch(), seq: 42 }),
        ("gateway-Watch", watch(vec![ImageClass::Preview], true)),
        ("gateway-Watch-bare", watch(vec![], false)),
        ("gateway-Token", GatewayFrame::Token { token: "oat_example".into() }),
        ("gateway-Drain", GatewayFrame::Drain { within_ms: 8_000 }),
        ("gateway-Notice", notice(Some(camera()), Some(epoch()))),
        ("gateway-Notice-bare", notice(None, None)),
    ]
}

fn questions() -> Vec<(&'static str, GatewayFrame)> {
    let ask = |call| GatewayFrame::Request(Request { id: id(), camera: camera(), deadline_ms: 9_750, call });
    let (from, to, class) = (Some(AT), Some(LATER), ImageClass::Main);
    let events = EventsCall {
        from,
        to,
        after: Some(Position { at: AT, epoch: epoch(), seq: 41 }),
        order: Order::Desc,
        limit: Some(100),
        kinds: vec![Kind::Motion, "door_bell".into()],
        severity: vec![Severity::Warning],
        text: Some("door".into()),
        have: vec![Have { epoch: epoch(), ranges: vec![SeqRange { first: 1, last: 40 }] }],
        bucket_ms: Some(60_000),
    };
    let images = |from, to, count, bucket_ms, order| {
        let class = ImageClass::Preview;
        Call::Images(ImagesCall { class, from, to, count, order, bucket_ms })
    };
    let image = |at, matching, max_age_ms| {
        Call::Image(ImageCall { class: ImageClass::Main, at, matching, max_age_ms })
    };
    vec![
        ("gateway-Request-Events", ask(Call::Events(events))),
        ("gateway-Request-Events-bare", ask(Call::Events(EventsCall::all(Order::Asc)))),
        ("gateway-Request-Images", ask(images(from, to, Some(20), Some(3_600_000), Order::Desc))),
        ("gateway-Request-Images-bare", ask(images(None, None, None, None, Order::Asc))),
        ("gateway-Request-Image", ask(image(Timestamp::default(), ImageMatch::Latest, Some(2_000)))),
        ("gateway-Request-Image-bare", ask(image(AT, ImageMatch::Before, None))),
        ("gateway-Request-Snapshot", ask(Call::Snapshot(SnapshotCall { class: class.clone() }))),
        ("gateway-Request-Live", ask(Call::Live(LiveCall { class, max_fps: 12.5 }))),
        ("gateway-Request-Describe", ask(Call::Describe {})),
        ("gateway-Cancel", GatewayFrame::Cancel { id: id() }),
        ("gateway-Credit", GatewayFrame::Credit { id: id(), bytes: 65_536 }),
    ]
}
