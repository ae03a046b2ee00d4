//! Questions for pictures, and what must be answered.

use std::{collections::BTreeMap, io::Read as _};

use oriel_proto::call::ImageMatch;
use serde_json::Value;

use super::{
    Ask,
    ring::{self, Ring},
};
use crate::{common::*, one::get};

type Verdict = Result<(), String>;

/// Asks, and compares what comes with what should be kept.
pub(super) async fn asked(gateway: &TestGateway, camera: &str, ring: &mut Ring, ask: &Ask) -> Verdict {
    let path = format!("/v1/cameras/{camera}");
    let verdict = match ask {
        Ask::List { from, to, most, desc } => {
            let Some((from, to)) = between(ring, from, to) else { return nothing(gateway, &path).await };
            list(gateway, &path, ring, (from, to), *most, *desc).await
        }
        Ask::Latest => {
            let expected = ring.whole().next_back();
            one(gateway, &format!("{path}/images/latest"), expected).await
        }
        Ask::One { matching, place, beside_ms } => {
            let Some(at_ms) = ring.at(place) else { return nothing(gateway, &path).await };
            next_to(gateway, &path, ring, at_ms + beside_ms, matching).await
        }
        Ask::Numbers { minutes } => numbers(gateway, &path, ring, *minutes).await,
        Ask::Archive { from, to } => {
            let Some(span) = between(ring, from, to) else { return nothing(gateway, &path).await };
            archive(gateway, camera, ring, span).await
        }
    };
    verdict.map_err(|why| format!("{ask:?}: {why}"))
}

/// The times of two places, the earlier one first.
fn between(ring: &Ring, from: &proptest::sample::Index, to: &proptest::sample::Index) -> Option<(i64, i64)> {
    let (from, to) = (ring.at(from)?, ring.at(to)?);
    Some((from.min(to), from.max(to) + 1))
}

/// A camera without a picture says so in every way.
async fn nothing(gateway: &TestGateway, path: &str) -> Verdict {
    let list = gateway.get(&format!("{path}/images")).await.expect(200).json();
    check(&list["images"], &Value::Array(Vec::new()), "the list")?;
    for at in ["latest", "0?match=after", "now"] {
        let got = get(gateway, &format!("{path}/images/{at}"), &[]).await;
        check(got.status, 404, at)?;
    }
    Ok(())
}

/// A list in pages has all of them once, in order.
async fn list(
    gateway: &TestGateway,
    path: &str,
    ring: &Ring,
    (from, to): (i64, i64),
    most: usize,
    desc: bool,
) -> Verdict {
    let order = if desc { "desc" } else { "asc" };
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let query = format!("from={from}&to={to}&count={most}&order={order}&cursor={cursor}");
        let page = gateway.get(&format!("{path}/images?{query}")).await.expect(200).json();
        let images = page["images"].as_array().unwrap();
        listed.extend(images.iter().map(|image| (millis(&image["at"]), image["bytes"].as_u64().unwrap())));
        match page["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    let kept = ring.kept.range(from..to).map(|(at_ms, kept)| (*at_ms, kept.jpeg.len() as u64));
    let mut kept: Vec<_> = kept.collect();
    if desc {
        kept.reverse();
    }
    check(listed, kept, "the list")
}

/// The picture at a time or next to it; of what is gone its very bytes may still be at the gateway.
async fn next_to(
    gateway: &TestGateway,
    path: &str,
    ring: &Ring,
    at_ms: i64,
    matching: &ImageMatch,
) -> Verdict {
    let expected = match matching {
        ImageMatch::Before => ring.whole().rfind(|(at, _)| *at <= at_ms),
        ImageMatch::After => ring.whole().find(|(at, _)| *at >= at_ms),
        _ => ring.whole().find(|(at, _)| *at == at_ms),
    };
    let path = format!("{path}/images/{at_ms}?match={matching}");
    // The picture of the very time that is asked for is the right one, whichever is wanted.
    if let Some(jpeg) = ring.gone.get(&at_ms)
        && get(gateway, &path, &[]).await.header("x-image-at").parse().ok() == Some(ring::time(at_ms))
    {
        return one(gateway, &path, Some((at_ms, jpeg))).await;
    }
    one(gateway, &path, expected).await
}

async fn one(gateway: &TestGateway, path: &str, expected: Option<(i64, &Vec<u8>)>) -> Verdict {
    let got = get(gateway, path, &[]).await;
    let Some((at_ms, jpeg)) = expected else { return check(got.status, 404, path) };
    check(got.status, 200, path)?;
    check(millis(&got.header("x-image-at").into()), at_ms, path)?;
    check(got.body.unwrap() == *jpeg, true, "the bytes are those of the file")
}

/// How many pictures of how many bytes there are in each stretch of time.
async fn numbers(gateway: &TestGateway, path: &str, ring: &Ring, minutes: i64) -> Verdict {
    let step = minutes * 60_000;
    let to = jiff::Timestamp::now().as_millisecond();
    let from = to - 2 * ring::RETENTION.as_millis() as i64;
    let query = format!("from={from}&to={to}&step={minutes}m");
    let timeline = gateway.get(&format!("{path}/timeline?{query}")).await.expect(200).json();
    let mut counted = BTreeMap::new();
    for stretch in timeline["steps"].as_array().unwrap() {
        let preview = &stretch["images"]["preview"];
        if let (Some(count), Some(bytes)) = (preview["count"].as_u64(), preview["bytes"].as_u64()) {
            counted.insert(millis(&stretch["at"]), (count, bytes));
        }
    }
    let mut kept = BTreeMap::new();
    for (at_ms, picture) in ring.kept.range(from..to) {
        let (count, bytes) = kept.entry(at_ms.div_euclid(step) * step).or_insert((0, 0));
        (*count, *bytes) = (*count + 1, *bytes + picture.jpeg.len() as u64);
    }
    check(counted, kept, "the numbers")
}

/// An archive has all that are whole, and says of the others that it could not have them.
async fn archive(gateway: &TestGateway, camera: &str, ring: &Ring, (from, to): (i64, i64)) -> Verdict {
    let path = format!("/v1/cameras/{camera}/images.zip?from={from}&to={to}");
    let got = get(gateway, &path, &[]).await;
    check(got.status, 200, &path)?;
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(got.body.unwrap())).unwrap();
    let mut found = BTreeMap::new();
    for n in 0..archive.len() {
        let (mut bytes, mut file) = (Vec::new(), archive.by_index(n).unwrap());
        file.read_to_end(&mut bytes).unwrap();
        found.insert(file.name().unwrap().into_owned(), bytes);
    }
    let note = String::from_utf8(found.remove("missing.txt").unwrap_or_default()).unwrap();
    let name = |at_ms| format!("{camera}-{}", ring::time(at_ms).strftime("%Y%m%d%H%M%S%.3f.jpeg"));
    let is_in = |at_ms: &i64| (from..to).contains(at_ms);
    let mut lines = String::new();
    for (at_ms, _) in ring.kept.iter().rev().filter(|(at_ms, kept)| is_in(at_ms) && !kept.is_whole) {
        // All of it may still be at the gateway.
        if found.get(&name(*at_ms)).is_some_and(|jpeg| ring.gone.get(at_ms) == Some(jpeg)) {
            found.remove(&name(*at_ms));
        } else {
            lines += &format!("{}: not_found\n", name(*at_ms));
        }
    }
    check(note, lines, "what is missing")?;
    let whole = ring.whole().filter(|(at_ms, _)| is_in(at_ms));
    check(found, whole.map(|(at_ms, jpeg)| (name(at_ms), jpeg.clone())).collect(), "the archive")
}

/// A time in an answer, in milliseconds since 1970.
fn millis(at: &Value) -> i64 {
    at.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

fn check<T: PartialEq + std::fmt::Debug>(is: T, should: T, what: &str) -> Verdict {
    if is == should { Ok(()) } else { Err(format!("{what}: {is:?} instead of {should:?}")) }
}
