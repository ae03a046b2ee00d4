//! What becomes of an agent's claim to a camera.

use std::time::Duration;

use oriel_proto::limits::CAMERAS_PER_AGENT;

use super::*;
use crate::store::{BindOutcome, CameraPatch};

async fn claim(store: &Store, agent: AgentId, id: &str) -> BindOutcome {
    store.bind_camera(agent, new_camera(id), NOW).await.unwrap()
}

fn is_bound(outcome: &BindOutcome) -> bool {
    matches!(outcome, BindOutcome::Bound(_))
}

#[tokio::test]
async fn an_agent_gets_its_own_cameras_and_nobody_elses() {
    let (_folder, store) = opened();
    let mine = agent(&store, &["porch"], None).await;
    let theirs = agent(&store, &["yard"], Some("*")).await;
    assert!(is_bound(&claim(&store, mine, "porch").await));
    assert_eq!(claim(&store, theirs, "porch").await, BindOutcome::NotYours);
    assert_eq!(claim(&store, mine, "yard").await, BindOutcome::NotYours);
    assert_eq!(claim(&store, mine, "new").await, BindOutcome::Unknown);
}

#[tokio::test]
async fn a_camera_is_on_the_disk_as_seen_before_its_first_claim_is_answered() {
    let (folder, store) = opened();
    let id = agent(&store, &["porch", "yard"], Some("*")).await;
    let patch = CameraPatch { name: Some("Named ahead".into()), ..CameraPatch::default() };
    store.update_camera(camera("yard"), patch).await.unwrap().unwrap();
    for (n, id_of) in ["porch", "yard", "new"].into_iter().enumerate() {
        let BindOutcome::Bound(bound) = claim(&store, id, id_of).await else { panic!("refused") };
        assert_eq!(bound.last_seen_at, Some(NOW));
        // What another process finds there is what a killed gateway leaves.
        let on_disk = Store::open(folder.path()).unwrap().cameras().await.unwrap();
        assert_eq!(on_disk.iter().filter(|camera| camera.last_seen_at == Some(NOW)).count(), n + 1);
    }
}

#[tokio::test]
async fn a_pattern_brings_new_and_ownerless_cameras_that_match() {
    let (_folder, store) = opened();
    let id = agent(&store, &[], Some("site7-*")).await;
    let BindOutcome::Bound(made) = claim(&store, id, "site7-a").await else { panic!("refused") };
    assert_eq!((made.name.as_str(), made.agent), ("The site7-a", Some(id)));
    store.create_camera(NewCamera { name: None, ..new_camera("site7-b") }, NOW).await.unwrap();
    let BindOutcome::Bound(taken) = claim(&store, id, "site7-b").await else { panic!("refused") };
    assert_eq!(taken.name, "site7-b", "the gateway's name is the truth");
    assert_eq!(claim(&store, id, "site8-a").await, BindOutcome::Unknown);
}

#[tokio::test]
async fn a_camera_named_in_an_open_code_is_reserved_until_it_closes() {
    let (_folder, store) = opened();
    let id = agent(&store, &[], Some("*")).await;
    store.create_camera(new_camera("porch"), NOW).await.unwrap();
    let code = code_for(&["porch", "yard"], None);
    store.create_enrollment(code.clone(), some_hash()).await.unwrap();
    assert_eq!(claim(&store, id, "porch").await, BindOutcome::Unknown);
    assert_eq!(claim(&store, id, "yard").await, BindOutcome::Unknown);
    let closed = store.bind_camera(id, new_camera("yard"), code.expires_at).await.unwrap();
    assert!(is_bound(&closed));
    assert!(store.delete_enrollment(code.id).await.unwrap());
    assert!(is_bound(&claim(&store, id, "porch").await));
}

#[tokio::test]
async fn a_removed_camera_stays_away_until_somebody_makes_it_anew() {
    let (_folder, store) = opened();
    let id = agent(&store, &["porch"], Some("*")).await;
    assert_eq!(store.remove_camera(camera("porch")).await.unwrap().unwrap().agent, Some(id));
    assert_eq!(store.remove_camera(camera("porch")).await.unwrap(), None);
    assert_eq!(claim(&store, id, "porch").await, BindOutcome::Removed);
    let other = agent(&store, &[], Some("*")).await;
    assert!(is_bound(&claim(&store, other, "porch").await));
    assert_eq!(claim(&store, id, "porch").await, BindOutcome::NotYours);
    store.remove_camera(camera("porch")).await.unwrap().unwrap();
    assert_eq!(claim(&store, id, "porch").await, BindOutcome::Removed);
    store.create_camera(new_camera("porch"), NOW).await.unwrap();
    assert!(is_bound(&claim(&store, id, "porch").await));
}

#[tokio::test]
async fn an_admin_can_give_a_removed_camera_back() {
    let (_folder, store) = opened();
    let id = agent(&store, &["porch"], None).await;
    store.remove_camera(camera("porch")).await.unwrap().unwrap();
    store.create_camera(new_camera("porch"), NOW).await.unwrap();
    assert_eq!(claim(&store, id, "porch").await, BindOutcome::Unknown, "no pattern, no code");
    let patch = CameraPatch { agent: Some(id), ..CameraPatch::default() };
    store.update_camera(camera("porch"), patch).await.unwrap().unwrap();
    assert!(is_bound(&claim(&store, id, "porch").await));
}

#[tokio::test]
async fn a_revoked_agent_gets_nothing_and_leaves_its_cameras_free() {
    let (_folder, store) = opened();
    let id = agent(&store, &["porch"], Some("*")).await;
    let freed = store.revoke_agent(id, NOW, || ()).await.unwrap().unwrap();
    assert_eq!(freed.iter().map(|c| (c.id.as_str(), c.agent)).collect::<Vec<_>>(), [("porch", None)]);
    assert_eq!(claim(&store, id, "porch").await, BindOutcome::Unknown);
    let next = agent(&store, &["porch"], None).await;
    assert!(is_bound(&claim(&store, next, "porch").await));
}

#[tokio::test]
async fn an_announcement_is_made_to_fit() {
    let (_folder, store) = opened();
    let id = agent(&store, &[], Some("*")).await;
    let mut loud = new_camera("porch");
    loud.name = Some(format!("\u{1b}[2J{}", "ä".repeat(300)));
    loud.tags = (0..40).map(|n| n.to_string()).chain(["x".repeat(65)]).collect();
    let BindOutcome::Bound(made) = store.bind_camera(id, loud, NOW).await.unwrap() else { panic!("refused") };
    assert!(made.name.len() <= 200 && made.name.starts_with("[2Jä"), "{:?}", made.name);
    assert_eq!(made.tags.len(), 32);
    let silent = NewCamera { name: Some(" \n".into()), ..new_camera("yard") };
    let BindOutcome::Bound(made) = store.bind_camera(id, silent, NOW).await.unwrap() else {
        panic!("refused")
    };
    assert_eq!(made.name, "yard");
}

#[tokio::test]
async fn an_agent_cannot_bring_cameras_without_end() {
    let (_folder, store) = opened();
    let id = agent(&store, &[], Some("*")).await;
    for n in 0..CAMERAS_PER_AGENT {
        assert!(is_bound(&claim(&store, id, &format!("c{n}")).await));
    }
    assert_eq!(claim(&store, id, "one-more").await, BindOutcome::Unknown);
}

#[tokio::test]
async fn old_codes_are_dropped_when_a_new_one_is_made() {
    let (_folder, store) = opened();
    let old = some_hash();
    store.create_enrollment(code_for(&["porch"], None), old).await.unwrap();
    let mut later = code_for(&["porch"], None);
    later.created_at = NOW.after(Duration::from_secs(2 * 86_400));
    later.expires_at = later.created_at.after(Duration::from_secs(60));
    store.create_enrollment(later, some_hash()).await.unwrap();
    assert!(!store.knows_code(old).await.unwrap());
}
