//! Keys: letting in, expiring, revoking, other processes, throttling.

use super::*;

#[tokio::test]
async fn a_key_lets_in_and_anything_else_is_told_apart() {
    let world = World::new().await;
    assert!(!world.access.has_any_key());
    let (record, secret) = key(&world.access, Role::Admin, everything()).await;
    assert!(world.access.has_any_key());
    let viewer = world.access.viewer(secret.expose(), PEER).await.unwrap();
    assert_eq!((viewer.key_id(), viewer.role()), (record.id, Role::Admin));
    let refused = async |text: &str| world.access.viewer(text, PEER).await.unwrap_err();
    assert!(matches!(refused(&mistyped(&secret)).await, AccessError::Malformed(_)));
    assert!(matches!(refused(&wrong("oat_")).await, AccessError::Malformed(_)));
    assert!(matches!(refused(&wrong("oak_")).await, AccessError::Unknown));
}

#[tokio::test]
async fn keys_outlive_a_restart() {
    let world = World::new().await;
    let scope = Scope { all: false, cameras: vec!["porch".parse().unwrap()], tags: vec!["a".into()] };
    let (record, secret) = key(&world.access, Role::Operator, scope).await;
    world.store.close().await;
    let again = world.other_process().await;
    assert_eq!(again.viewer(secret.expose(), PEER).await.unwrap().key_id(), record.id);
    assert_eq!(again.keys().await.unwrap(), vec![record.clone()]);
    assert_eq!(again.key(record.id).await.unwrap(), record);
}

#[tokio::test]
async fn a_key_ends_when_it_expires() {
    let world = World::new().await;
    let expires_at = Some(world.now().after(Duration::from_secs(60)));
    let new = NewKey { name: "short".into(), role: Role::Viewer, scope: everything(), expires_at };
    let (_, secret) = world.access.add_key(new).await.unwrap();
    let viewer = world.access.viewer(secret.expose(), PEER).await.unwrap();
    world.pass(Duration::from_secs(60));
    let refused = world.access.viewer(secret.expose(), PEER).await;
    assert!(matches!(refused, Err(AccessError::Expired)));
    assert!(matches!(viewer.ended().await, AccessError::Expired));
}

#[tokio::test(start_paused = true)]
async fn whoever_streams_is_woken_when_the_key_expires() {
    let world = World::new().await;
    let expires_at = Some(world.now().after(Duration::from_secs(100)));
    let new = NewKey { name: "short".into(), role: Role::Viewer, scope: everything(), expires_at };
    let (_, secret) = world.access.add_key(new).await.unwrap();
    let viewer = world.access.viewer(secret.expose(), PEER).await.unwrap();
    let start = tokio::time::Instant::now();
    let moving = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.pass(Duration::from_secs(1));
        }
    };
    tokio::select! { _ = viewer.ended() => {}, () = moving => {} }
    let waited = start.elapsed();
    assert!((100..=102).contains(&waited.as_secs()), "{waited:?}");
}

#[tokio::test]
async fn revoking_a_key_ends_everybody_who_uses_it_at_once() {
    let world = World::new().await;
    let (record, secret) = key(&world.access, Role::Viewer, everything()).await;
    let viewer = world.access.viewer(secret.expose(), PEER).await.unwrap();
    let (ended, revoked) = tokio::join!(viewer.ended(), world.access.revoke_key(record.id));
    revoked.unwrap();
    assert!(matches!(ended, AccessError::Revoked));
    let refused = world.access.viewer(secret.expose(), PEER).await;
    assert!(matches!(refused, Err(AccessError::Unknown)));
    assert!(matches!(world.access.revoke_key(record.id).await, Err(AccessError::NotFound)));
}

#[tokio::test]
async fn a_key_added_by_another_process_is_found() {
    let world = World::new().await;
    let offline = world.other_process().await;
    let (record, secret) = key(&offline, Role::Admin, everything()).await;
    assert_eq!(world.access.viewer(secret.expose(), PEER).await.unwrap().key_id(), record.id);
}

#[tokio::test]
async fn what_another_process_does_to_keys_takes_effect_at_the_next_tick() {
    let world = World::new().await;
    let (record, secret) = key(&world.access, Role::Viewer, everything()).await;
    let viewer = world.access.viewer(secret.expose(), PEER).await.unwrap();
    world.access.tick().await.unwrap();
    assert!(viewer.check().is_ok());
    let offline = world.other_process().await;
    offline.revoke_key(record.id).await.unwrap();
    world.access.tick().await.unwrap();
    assert!(matches!(viewer.check(), Err(AccessError::Revoked)));
    assert!(!world.access.has_any_key());
    key(&offline, Role::Admin, everything()).await;
    world.access.tick().await.unwrap();
    assert!(world.access.has_any_key());
}

#[tokio::test]
async fn whoever_guesses_must_wait_while_a_right_key_from_there_still_passes() {
    let world = World::new().await;
    let (_, secret) = key(&world.access, Role::Viewer, everything()).await;
    for _ in 0..30 {
        let refused = world.access.viewer(&wrong("oak_"), PEER).await.unwrap_err();
        assert!(matches!(refused, AccessError::Unknown));
    }
    let refused = world.access.viewer(&wrong("oak_"), PEER).await.unwrap_err();
    assert!(matches!(refused, AccessError::Throttled { retry_after } if retry_after > Duration::ZERO));
    let mistyped = world.access.viewer(&mistyped(&secret), PEER).await.unwrap_err();
    assert!(matches!(mistyped, AccessError::Throttled { .. }));
    world.access.viewer(secret.expose(), PEER).await.unwrap();
    let elsewhere = world.access.viewer(&wrong("oak_"), Ipv4Addr::LOCALHOST.into()).await;
    assert!(matches!(elsewhere, Err(AccessError::Unknown)));
}

#[tokio::test]
async fn right_keys_never_use_up_tries() {
    let world = World::new().await;
    let (_, secret) = key(&world.access, Role::Viewer, everything()).await;
    for _ in 0..1_000 {
        world.access.viewer(secret.expose(), PEER).await.unwrap();
    }
    assert!(matches!(world.access.viewer(&wrong("oak_"), PEER).await, Err(AccessError::Unknown)));
}

#[tokio::test]
async fn a_key_without_sense_is_not_made() {
    let world = World::new().await;
    let good = NewKey { name: "x".into(), role: Role::Viewer, scope: everything(), expires_at: None };
    let many = Scope { tags: vec!["x".into(); 1_025], ..Scope::default() };
    for wrong in [
        NewKey { name: " ".into(), ..good.clone() },
        NewKey { name: "x".repeat(201), ..good.clone() },
        NewKey { scope: Scope::default(), ..good.clone() },
        NewKey { scope: many, ..good.clone() },
        NewKey { expires_at: Some(world.now()), ..good.clone() },
    ] {
        assert!(matches!(world.access.add_key(wrong).await, Err(AccessError::Invalid(_))));
    }
    assert!(!world.access.has_any_key());
}
