//! What access promises.

mod agents;
mod enrollments;
mod keys;
mod secrets;
mod viewers;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use oriel_proto::{Secret, Timestamp};
use tempfile::TempDir;

use super::{Access, AccessError, Clock, Enrolled, NewEnrollment, NewKey};
use crate::store::{CameraRecord, KeyRecord, Role, Scope, Store};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// An access over a folder of its own, whose clock stands still until it is moved.
struct World {
    folder: TempDir,
    store: Store,
    access: Access,
    micros: Arc<AtomicI64>,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let micros = Arc::new(AtomicI64::new(1_800_000_000_000_000));
        let access = Access::open_with_clock(store.clone(), clock(&micros)).await.unwrap();
        Self { folder, store, access, micros }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }

    fn pass(&self, span: Duration) {
        self.micros.fetch_add(span.as_micros() as i64, Ordering::SeqCst);
    }

    /// Another process on the same folder, at the same time.
    async fn other_process(&self) -> Access {
        let store = Store::open(self.folder.path()).unwrap();
        Access::open_with_clock(store, clock(&self.micros)).await.unwrap()
    }

    async fn code(&self, cameras: &[&str], pattern: Option<&str>) -> Secret {
        self.access.create_enrollment(enrollment(cameras, pattern)).await.unwrap().1
    }

    async fn enrolled(&self, cameras: &[&str]) -> Enrolled {
        let code = self.code(cameras, None).await;
        self.access.enroll(code.expose(), "box", PEER).await.unwrap()
    }
}

fn clock(micros: &Arc<AtomicI64>) -> Clock {
    let micros = micros.clone();
    Clock::new(move || Timestamp::from_micros(micros.load(Ordering::SeqCst)))
}

async fn key(access: &Access, role: Role, scope: Scope) -> (KeyRecord, Secret) {
    access.add_key(NewKey { name: "test".into(), role, scope, expires_at: None }).await.unwrap()
}

fn everything() -> Scope {
    Scope { all: true, ..Scope::default() }
}

fn enrollment(cameras: &[&str], pattern: Option<&str>) -> NewEnrollment {
    NewEnrollment {
        cameras: cameras.iter().map(|id| id.parse().unwrap()).collect(),
        new_cameras: pattern.map(|pattern| pattern.parse().unwrap()),
        valid_for: Duration::from_secs(3_600),
    }
}

fn camera(id: &str, tags: &[&str]) -> CameraRecord {
    CameraRecord {
        id: id.parse().unwrap(),
        name: id.into(),
        tags: tags.iter().map(|tag| (*tag).into()).collect(),
        agent: None,
        created_at: Timestamp::default(),
        last_seen_at: None,
    }
}

/// The secret with its last character changed.
fn mistyped(secret: &Secret) -> String {
    let mut text = secret.expose().to_owned();
    let other = if text.ends_with('0') { "1" } else { "0" };
    text.replace_range(text.len() - 1.., other);
    text
}

/// A well-formed credential of the kind that begins with `prefix` and that nobody was given.
fn wrong(prefix: &str) -> String {
    use super::token::{TokenKind, make};
    let kinds = [TokenKind::Agent, TokenKind::Enrollment, TokenKind::Key];
    let kind = kinds.into_iter().find(|kind| kind.prefix() == prefix).unwrap();
    make(kind).unwrap().0.expose().to_owned()
}
