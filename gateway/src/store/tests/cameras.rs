//! Making, changing, removing and touching cameras.

use std::time::Duration;

use super::*;
use crate::store::{CameraPatch, StoreError};

#[tokio::test]
async fn a_camera_is_made_once() {
    let (_folder, store) = opened();
    let made = store.create_camera(new_camera("porch"), NOW).await.unwrap();
    assert_eq!((made.name.as_str(), made.agent, made.created_at), ("The porch", None, NOW));
    let again = store.create_camera(new_camera("porch"), NOW).await;
    assert!(matches!(again, Err(StoreError::Exists(id)) if id == camera("porch")));
    let plain = NewCamera { id: camera("yard"), name: None, tags: vec![] };
    assert_eq!(store.create_camera(plain, NOW).await.unwrap().name, "yard");
}

#[tokio::test]
async fn a_patch_changes_what_it_names() {
    let (_folder, store) = opened();
    let owner = agent(&store, &["porch"], None).await;
    let patch = CameraPatch { tags: Some(vec!["a".into(), "b".into()]), ..CameraPatch::default() };
    let changed = store.update_camera(camera("porch"), patch).await.unwrap().unwrap();
    assert_eq!((changed.name.as_str(), changed.agent), ("porch", Some(owner)));
    assert_eq!(changed.tags, ["a", "b"]);
    assert_eq!(store.cameras().await.unwrap(), [changed]);
    assert_eq!(store.update_camera(camera("yard"), CameraPatch::default()).await.unwrap(), None);
}

#[tokio::test]
async fn names_and_tags_are_bounded() {
    let (_folder, store) = opened();
    let too_long = NewCamera { name: Some("x".repeat(201)), ..new_camera("porch") };
    let too_many = NewCamera { tags: vec!["x".into(); 33], ..new_camera("porch") };
    for wrong in [too_long, too_many] {
        assert!(matches!(store.create_camera(wrong, NOW).await, Err(StoreError::Invalid(_))));
    }
}

#[tokio::test]
async fn a_camera_moves_only_to_an_agent_that_is_there() {
    let (_folder, store) = opened();
    agent(&store, &["porch"], None).await;
    let other = agent(&store, &["yard"], None).await;
    let to = |agent| CameraPatch { agent: Some(agent), ..CameraPatch::default() };
    let moved = store.update_camera(camera("porch"), to(other)).await.unwrap().unwrap();
    assert_eq!(moved.agent, Some(other));
    store.revoke_agent(other, NOW, || ()).await.unwrap().unwrap();
    let refused = store.update_camera(camera("porch"), to(other)).await;
    assert!(matches!(refused, Err(StoreError::NoAgent(id)) if id == other));
}

#[tokio::test]
async fn a_camera_that_an_admin_gives_away_leaves_the_code_that_named_it() {
    let (_folder, store) = opened();
    let owner = agent(&store, &["yard"], None).await;
    store.create_camera(new_camera("porch"), NOW).await.unwrap();
    store.create_enrollment(code_for(&["porch", "gate"], None), some_hash()).await.unwrap();
    let patch = CameraPatch { agent: Some(owner), ..CameraPatch::default() };
    store.update_camera(camera("porch"), patch).await.unwrap().unwrap();
    assert_eq!(store.enrollments(NOW).await.unwrap()[0].cameras, [camera("gate")]);
}

#[tokio::test]
async fn the_last_sight_never_goes_back() {
    let (_folder, store) = opened();
    store.create_camera(new_camera("porch"), NOW).await.unwrap();
    let later = NOW.after(Duration::from_secs(5));
    store.touch_cameras(&[camera("porch"), camera("nobody")], later).await.unwrap();
    store.touch_cameras(&[camera("porch")], NOW).await.unwrap();
    assert_eq!(store.cameras().await.unwrap()[0].last_seen_at, Some(later));
}
