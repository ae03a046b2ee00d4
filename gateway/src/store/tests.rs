//! The store's promises.

mod arrivals;
mod cameras;
mod claims;
mod copying;
mod logs;
mod opening;
mod posted;
mod reading;
mod tokens;
mod writing;

use oriel_proto::{AgentId, CameraId, Timestamp};
use tempfile::TempDir;

use super::{EnrollmentId, EnrollmentRecord, NewCamera, Store, TokenHash, TradeOutcome};

/// The time at which everything happens.
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn opened() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

fn camera(id: &str) -> CameraId {
    id.parse().unwrap()
}

fn new_camera(id: &str) -> NewCamera {
    NewCamera { id: camera(id), name: Some(format!("The {id}")), tags: vec!["site:7".into()] }
}

/// A hash that no other call gives.
fn some_hash() -> TokenHash {
    let half = uuid::Uuid::new_v4().into_bytes();
    TokenHash::from_bytes([half, half].concat().try_into().unwrap())
}

fn code_for(cameras: &[&str], pattern: Option<&str>) -> EnrollmentRecord {
    EnrollmentRecord {
        id: EnrollmentId::new(),
        cameras: cameras.iter().map(|id| camera(id)).collect(),
        new_cameras: pattern.map(|pattern| pattern.parse().unwrap()),
        created_at: NOW,
        expires_at: NOW.after(std::time::Duration::from_secs(3_600)),
    }
}

/// An agent that has these cameras and may bring others.
async fn agent(store: &Store, cameras: &[&str], pattern: Option<&str>) -> AgentId {
    let code = some_hash();
    store.create_enrollment(code_for(cameras, pattern), code).await.unwrap();
    match store.trade_code(code, "box".into(), some_hash(), NOW).await.unwrap() {
        TradeOutcome::Traded(agent, _) => agent.id,
        other => panic!("{other:?}"),
    }
}
