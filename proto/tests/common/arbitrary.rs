//! Any value of every type that travels, edges included.

use bytes::Bytes;
use oriel_proto::{
    AgentFrame, Answer, Body, CameraId, Event, EventId, GatewayFrame, ImageInfo, Items, LoggedEvent,
    SeqRange, Timestamp, Trailer,
    call::{
        Call, Description, EventCount, EventsCall, EventsTrailer, Have, Head, ImageCall, ImagesCall,
        LiveCall, Scanned, SnapshotCall,
    },
    event::{Data, LostRange, Position},
    frame::{
        Acked, AgentFacts, AgentHealth, Announce, Bound, CameraHealth, Digest, Events, Fail, Health, Hello,
        Lost, Notice, Request, SpoolState, Watch, Welcome,
    },
    image::ImageCount,
    limits::Limits,
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::Value;
use uuid::Uuid;

/// A number anywhere, its edges and those of its encodings often.
fn number() -> impl Strategy<Value = u64> {
    let edges = [0, 1, 31, 32, 127, 128, 255, 256, 65_535, 65_536, u32::MAX.into(), 1 << 32, i64::MAX as u64];
    prop_oneof![select(edges.to_vec()), Just(u64::MAX), any::<u64>()]
}

fn small() -> impl Strategy<Value = u32> {
    prop_oneof![select(vec![0, 127, 128, 255, 256, 65_535, 65_536, u32::MAX]), any::<u32>()]
}

fn time() -> impl Strategy<Value = Timestamp> {
    let edges =
        [i64::MIN, i64::MIN + 1, i32::MIN.into(), -32_769, -129, -128, -33, -32, -1, 0, 127, i64::MAX];
    prop_oneof![select(edges.to_vec()), any::<i64>()].prop_map(Timestamp::from_micros)
}

fn uuid<T: From<Uuid> + std::fmt::Debug>() -> impl Strategy<Value = T> {
    prop_oneof![Just(0), Just(u128::MAX), any::<u128>()].prop_map(|n| Uuid::from_u128(n).into())
}

fn camera() -> impl Strategy<Value = CameraId> {
    "[a-z0-9][a-z0-9_-]{0,63}".prop_map(|text| text.parse().unwrap())
}

/// A word that is known, or any other text.
pub(crate) fn word<T>(words: &'static [&'static str]) -> impl Strategy<Value = T>
where
    T: for<'a> From<&'a str> + std::fmt::Debug,
{
    prop_oneof![
        select(words.to_vec()).prop_map(T::from),
        "[a-z_]{0,40}".prop_map(|text| T::from(text.as_str())),
        text().prop_map(|text| T::from(text.as_str())),
    ]
}

macro_rules! word {
    ($name:ident) => {
        word::<oriel_proto::$name>(oriel_proto::$name::WORDS)
    };
    ($module:ident::$name:ident) => {
        word::<oriel_proto::$module::$name>(oriel_proto::$module::$name::WORDS)
    };
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[ -~]{0,300}", Just(String::new())]
}

/// An event's `data`, as deep and as odd as JSON allows, without NaN.
pub(crate) fn data() -> impl Strategy<Value = Data> {
    let finite = any::<f64>().prop_filter("JSON has no NaN", |number| number.is_finite());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        number().prop_map(Value::from),
        finite.prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((text(), inner), 0..4).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    });
    vec((text(), value), 0..4).prop_map(|entries| entries.into_iter().collect())
}

prop_compose! {
    fn event_id()(epoch in uuid(), seq in number()) -> EventId { EventId { epoch, seq } }
}
prop_compose! {
    pub(crate) fn event()(
        at in time(), kind in word!(Kind), severity in word!(Severity), description in text(), data in data(),
        image_at in option::of(time()), was in option::of(event_id()),
    ) -> Event { Event { at, kind, severity, description, data, image_at, was } }
}
prop_compose! {
    pub(crate) fn logged_event()(epoch in uuid(), seq in number(), event in event()) -> LoggedEvent {
        LoggedEvent { epoch, seq, event }
    }
}
prop_compose! {
    fn position()(at in time(), epoch in uuid(), seq in number()) -> Position { Position { at, epoch, seq } }
}
prop_compose! {
    fn range()(first in number(), last in number()) -> SeqRange { SeqRange { first, last } }
}
prop_compose! {
    fn have()(epoch in uuid(), ranges in vec(range(), 0..4)) -> Have { Have { epoch, ranges } }
}
prop_compose! {
    fn lost_range()(
        epoch in uuid(), first in number(), last in number(), from in time(), to in time(),
        why in word!(event::LossReason),
    ) -> LostRange { LostRange { epoch, first, last, from, to, why } }
}
prop_compose! {
    fn scanned()(epoch in uuid(), first in number(), last in number()) -> Scanned { Scanned { epoch, first, last } }
}
prop_compose! {
    fn spool()(epoch in uuid(), first in number(), next in number(), as_of in time()) -> SpoolState {
        SpoolState { epoch, first, next, as_of }
    }
}
prop_compose! {
    fn camera_health()(
        camera in camera(), epoch in uuid(), next in number(), spool in number(), ring in number(),
        source in word!(frame::SourceState), why in option::of(text()),
    ) -> CameraHealth { CameraHealth { camera, epoch, next, spool, ring, source, why } }
}
prop_compose! {
    fn events_call()(
        span in (option::of(time()), option::of(time())), after in option::of(position()),
        order in word!(call::Order), limit in option::of(number()), kinds in vec(word!(Kind), 0..4),
        severity in vec(word!(Severity), 0..4), text in option::of(text()), have in vec(have(), 0..4),
        bucket_ms in option::of(number()),
    ) -> EventsCall {
        let (from, to) = span;
        EventsCall { from, to, after, order, limit, kinds, severity, text, have, bucket_ms }
    }
}
prop_compose! {
    fn images_call()(
        class in word!(ImageClass), from in option::of(time()), to in option::of(time()),
        count in option::of(number()), order in word!(call::Order), bucket_ms in option::of(number()),
    ) -> ImagesCall { ImagesCall { class, from, to, count, order, bucket_ms } }
}
prop_compose! {
    fn image_call()(
        class in word!(ImageClass), at in time(), matching in word!(call::ImageMatch),
        max_age_ms in option::of(number()),
    ) -> ImageCall { ImageCall { class, at, matching, max_age_ms } }
}

fn call() -> impl Strategy<Value = Call> {
    let fps = any::<f32>().prop_filter("NaN is unlike itself", |fps| !fps.is_nan());
    prop_oneof![
        events_call().prop_map(Call::Events),
        images_call().prop_map(Call::Images),
        image_call().prop_map(Call::Image),
        word!(ImageClass).prop_map(|class| Call::Snapshot(SnapshotCall { class })),
        (word!(ImageClass), fps).prop_map(|(class, max_fps)| Call::Live(LiveCall { class, max_fps })),
        Just(Call::Describe {}),
    ]
}

prop_compose! {
    fn head()(
        media_type in text(), length in number(), at in time(), etag in text(), prev in option::of(time()),
        next in option::of(time()),
    ) -> Head { Head { media_type, length, at, etag, prev, next } }
}

fn items() -> impl Strategy<Value = Items> {
    let event_count =
        (time(), word!(Kind), number()).prop_map(|(at, kind, count)| EventCount { at, kind, count });
    let image =
        (word!(ImageClass), time(), number()).prop_map(|(class, at, bytes)| ImageInfo { class, at, bytes });
    let image_count =
        (time(), number(), number()).prop_map(|(at, count, bytes)| ImageCount { at, count, bytes });
    prop_oneof![
        vec(logged_event(), 0..3).prop_map(Items::Events),
        vec(event_count, 0..5).prop_map(Items::EventCounts),
        vec(image, 0..5).prop_map(Items::Images),
        vec(image_count, 0..5).prop_map(Items::ImageCounts),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        head().prop_map(Body::Head),
        items().prop_map(Body::Items),
        vec(any::<u8>(), 0..600).prop_map(|bytes| Body::Bytes(Bytes::from(bytes))),
    ]
}

prop_compose! {
    fn description()(
        name in text(), source in text(), classes in vec(word!(ImageClass), 0..3),
        abilities in vec(word!(frame::Ability), 0..5), spools in vec(spool(), 0..3), health in camera_health(),
    ) -> Description { Description { name, source, classes, abilities, spools, health } }
}
prop_compose! {
    fn events_trailer()(
        scanned in vec(scanned(), 0..3), lost in vec(lost_range(), 0..3), as_of in time(), more in any::<bool>(),
    ) -> EventsTrailer { EventsTrailer { scanned, lost, as_of, more } }
}

fn trailer() -> impl Strategy<Value = Trailer> {
    prop_oneof![
        events_trailer().prop_map(Trailer::Events),
        any::<bool>().prop_map(|more| Trailer::Images { more }),
        description().prop_map(|facts| Trailer::Description(Box::new(facts))),
        Just(Trailer::Nothing {}),
    ]
}

prop_compose! {
    fn hello()(
        protocol in small(), features in vec(word!(frame::Feature), 0..4), instance in uuid(),
        generation in number(), facts in (text(), text(), text()),
    ) -> Hello {
        let agent = AgentFacts { version: facts.0, os: facts.1, arch: facts.2 };
        Hello { protocol, features, instance, generation, agent }
    }
}
prop_compose! {
    fn announce()(
        camera in camera(), name in text(), tags in vec(text(), 0..4), classes in vec(word!(ImageClass), 0..3),
        abilities in vec(word!(frame::Ability), 0..5), upload in word!(frame::Upload), spools in vec(spool(), 0..3),
    ) -> Announce { Announce { camera, name, tags, classes, abilities, upload, spools } }
}
prop_compose! {
    fn events()(
        camera in camera(), epoch in uuid(), first in number(), events in vec(event(), 0..4), next in number(),
        as_of in time(),
    ) -> Events { Events { camera, epoch, first, events, next, as_of } }
}
prop_compose! {
    fn lost()(camera in camera(), range in lost_range()) -> Lost {
        let LostRange { epoch, first, last, from, to, why } = range;
        Lost { camera, epoch, first, last, from, to, why }
    }
}
prop_compose! {
    fn fail()(
        id in uuid(), code in word!(FailureCode), message in text(), retry_after_ms in option::of(small()),
    ) -> Fail { Fail { id, code, message, retry_after_ms } }
}
prop_compose! {
    fn health()(
        as_of in time(), uptime_s in number(), rtt_ms in option::of(small()),
        offset in option::of(time()), cameras in vec(camera_health(), 0..4),
    ) -> Health {
        let clock_offset_ms = offset.map(Timestamp::as_micros);
        Health { as_of, agent: AgentHealth { uptime_s, rtt_ms, clock_offset_ms }, cameras }
    }
}

/// Any frame of an agent.
pub(crate) fn agent_frame() -> impl Strategy<Value = AgentFrame> {
    let answer = (vec(body(), 0..4), trailer()).prop_map(|(body, trailer)| Answer { body, trailer });
    prop_oneof![
        hello().prop_map(AgentFrame::Hello),
        announce().prop_map(AgentFrame::Camera),
        camera().prop_map(|camera| AgentFrame::Gone { camera }),
        Just(AgentFrame::Ready {}),
        events().prop_map(AgentFrame::Events),
        lost().prop_map(AgentFrame::Lost),
        (uuid(), answer).prop_map(|(id, answer)| AgentFrame::Reply { id, answer }),
        (uuid(), small(), body()).prop_map(|(id, n, body)| AgentFrame::Part { id, n, body }),
        (uuid(), trailer()).prop_map(|(id, trailer)| AgentFrame::Done { id, trailer }),
        fail().prop_map(AgentFrame::Fail),
        (camera(), word!(ImageClass), time()).prop_map(|(camera, class, at)| AgentFrame::Fresh {
            camera,
            class,
            at
        }),
        health().prop_map(AgentFrame::Health),
    ]
}

prop_compose! {
    fn welcome()(
        session in uuid(), now in time(), heartbeat_ms in small(), features in vec(word!(frame::Feature), 0..4),
        sizes in [small(), small(), small(), small(), small(), small()],
    ) -> Welcome {
        let [frame, part, window, socket_window, unacked, calls] = sizes;
        let limits = Limits { frame, part, window, socket_window, unacked, calls };
        Welcome { session, now, heartbeat_ms, features, limits }
    }
}
prop_compose! {
    fn acked()(epoch in uuid(), seq in number(), hash in option::of(any::<[u8; 16]>())) -> Acked {
        Acked { epoch, seq, hash: hash.map(Digest::from_bytes) }
    }
}
prop_compose! {
    fn notice()(
        code in word!(frame::NoticeCode), message in text(), camera in option::of(camera()),
        epoch in option::of(uuid()),
    ) -> Notice { Notice { code, message, camera, epoch } }
}
prop_compose! {
    fn watch()(
        camera in camera(), classes in vec(word!(ImageClass), 0..3), events in any::<bool>(), on in any::<bool>(),
    ) -> Watch { Watch { camera, classes, events, on } }
}
prop_compose! {
    fn request()(id in uuid(), camera in camera(), deadline_ms in small(), call in call()) -> Request {
        Request { id, camera, deadline_ms, call }
    }
}

/// Any frame of a gateway.
pub(crate) fn gateway_frame() -> impl Strategy<Value = GatewayFrame> {
    prop_oneof![
        welcome().prop_map(GatewayFrame::Welcome),
        (camera(), vec(acked(), 0..4))
            .prop_map(|(camera, acked)| GatewayFrame::Bound(Bound { camera, acked })),
        (camera(), word!(frame::RefusalCode), text())
            .prop_map(|(camera, code, message)| GatewayFrame::Refused { camera, code, message }),
        request().prop_map(GatewayFrame::Request),
        uuid().prop_map(|id| GatewayFrame::Cancel { id }),
        (uuid(), small()).prop_map(|(id, bytes)| GatewayFrame::Credit { id, bytes }),
        (camera(), uuid(), number()).prop_map(|(camera, epoch, seq)| GatewayFrame::Ack {
            camera,
            epoch,
            seq
        }),
        watch().prop_map(GatewayFrame::Watch),
        text().prop_map(|token| GatewayFrame::Token { token: token.into() }),
        small().prop_map(|within_ms| GatewayFrame::Drain { within_ms }),
        notice().prop_map(GatewayFrame::Notice),
    ]
}
