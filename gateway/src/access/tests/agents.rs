//! Agents' tokens: letting in, rotating, revoking.

use super::*;

async fn token_of(world: &World, token: &Secret) -> Result<Option<Secret>, AccessError> {
    world.access.agent(token.expose(), PEER).await.map(|grant| grant.rotate)
}

#[tokio::test]
async fn a_wrong_token_is_told_apart() {
    let world = World::new().await;
    let enrolled = world.enrolled(&["porch"]).await;
    let malformed = world.access.agent(&mistyped(&enrolled.token), PEER).await;
    assert!(matches!(malformed, Err(AccessError::Malformed(_))));
    for _ in 1..30 {
        assert!(matches!(world.access.agent(&wrong("oat_"), PEER).await, Err(AccessError::Unknown)));
    }
    let throttled = world.access.agent(&wrong("oat_"), PEER).await;
    assert!(matches!(throttled, Err(AccessError::Throttled { .. })));
    world.access.agent(enrolled.token.expose(), PEER).await.unwrap();
}

#[tokio::test]
async fn a_rotated_token_replaces_the_old_one_once_it_was_used() {
    let world = World::new().await;
    let enrolled = world.enrolled(&["porch"]).await;
    let new = world.access.rotate_agent(enrolled.agent.id).await.unwrap();
    assert_eq!(token_of(&world, &new).await.unwrap(), None);
    assert_eq!(token_of(&world, &new).await.unwrap(), None);
    assert!(matches!(token_of(&world, &enrolled.token).await, Err(AccessError::Unknown)));
}

#[tokio::test]
async fn the_old_token_works_until_then_and_brings_a_new_one_each_time() {
    let world = World::new().await;
    let enrolled = world.enrolled(&["porch"]).await;
    assert_eq!(token_of(&world, &enrolled.token).await.unwrap(), None);
    let lost = world.access.rotate_agent(enrolled.agent.id).await.unwrap();
    let also_lost = token_of(&world, &enrolled.token).await.unwrap().unwrap();
    let new = token_of(&world, &enrolled.token).await.unwrap().unwrap();
    for lost in [lost, also_lost] {
        // The agent falls back to the old one when a newer delivery overtook what it has.
        assert!(matches!(token_of(&world, &lost).await, Err(AccessError::Unknown)));
    }
    assert_eq!(token_of(&world, &new).await.unwrap(), None);
    assert!(matches!(token_of(&world, &enrolled.token).await, Err(AccessError::Unknown)));
}

#[tokio::test]
async fn a_wanted_rotation_outlives_a_restart() {
    let world = World::new().await;
    let enrolled = world.enrolled(&["porch"]).await;
    world.access.rotate_agent(enrolled.agent.id).await.unwrap();
    world.store.close().await;
    let again = world.other_process().await;
    let grant = again.agent(enrolled.token.expose(), PEER).await.unwrap();
    let new = grant.rotate.unwrap();
    assert!(again.agent(new.expose(), PEER).await.unwrap().rotate.is_none());
}

#[tokio::test]
async fn links_opened_at_once_with_both_tokens_leave_exactly_one_good() {
    let world = World::new().await;
    let enrolled = world.enrolled(&["porch"]).await;
    let new = world.access.rotate_agent(enrolled.agent.id).await.unwrap();
    let (with_old, with_new) = tokio::join!(token_of(&world, &enrolled.token), token_of(&world, &new));
    let candidates = [Some(enrolled.token), Some(new), with_old.ok().flatten(), with_new.ok().flatten()];
    let mut good = 0;
    for token in candidates.iter().flatten() {
        good += usize::from(token_of(&world, token).await.is_ok());
    }
    assert_eq!(good, 1);
}

#[tokio::test]
async fn revoking_an_agent_ends_its_links_and_frees_its_cameras() {
    let world = World::new().await;
    let enrolled = world.enrolled(&["porch", "yard"]).await;
    let id = enrolled.agent.id;
    let new = world.access.rotate_agent(id).await.unwrap();
    let grant = world.access.agent(enrolled.token.expose(), PEER).await.unwrap();
    assert!(!world.access.is_revoked(grant.id));
    let (ended_tx, ended) = tokio::sync::oneshot::channel();
    let freed = world.access.revoke_agent(id, move || ended_tx.send(()).unwrap()).await;
    ended.await.unwrap();
    assert!(world.access.is_revoked(grant.id), "a link that is being opened finds it");
    assert_eq!(freed.unwrap().len(), 2);
    assert!(matches!(token_of(&world, &enrolled.token).await, Err(AccessError::Revoked)));
    assert!(matches!(token_of(&world, &new).await, Err(AccessError::Unknown)), "it was overtaken");
    assert!(matches!(world.access.revoke_agent(id, || ()).await, Err(AccessError::NotFound)));
    assert!(matches!(world.access.rotate_agent(id).await, Err(AccessError::NotFound)));
    assert!(matches!(world.access.agent_record(id).await, Err(AccessError::NotFound)));
    assert_eq!(world.access.agents().await.unwrap(), []);
}

#[tokio::test]
async fn both_tokens_of_a_revoked_agent_are_told_so_also_after_a_restart() {
    let world = World::new().await;
    let enrolled = world.enrolled(&["porch"]).await;
    let new = world.access.rotate_agent(enrolled.agent.id).await.unwrap();
    world.access.revoke_agent(enrolled.agent.id, || ()).await.unwrap();
    world.store.close().await;
    let again = world.other_process().await;
    for token in [enrolled.token, new] {
        assert!(matches!(again.agent(token.expose(), PEER).await, Err(AccessError::Revoked)));
    }
}

#[tokio::test]
async fn a_fleet_that_comes_back_asks_nothing_of_the_disk() {
    let world = World::new().await;
    let enrolled = world.enrolled(&["porch"]).await;
    let rotated = world.enrolled(&["yard"]).await;
    world.access.rotate_agent(rotated.agent.id).await.unwrap();
    let again = world.other_process().await;
    again.load_tokens().await.unwrap();
    again.inner.store.close().await;
    assert_eq!(again.agent(enrolled.token.expose(), PEER).await.unwrap().id, enrolled.agent.id);
    let asked = again.agent(rotated.token.expose(), PEER).await;
    assert!(matches!(asked, Err(AccessError::Store(_))), "it is to get another token: {asked:?}");
}

#[tokio::test]
async fn an_agent_that_another_process_revoked_is_let_in_no_more() {
    let world = World::new().await;
    let enrolled = world.enrolled(&["porch"]).await;
    world.access.tick().await.unwrap();
    world.access.agent(enrolled.token.expose(), PEER).await.unwrap();
    let other = world.other_process().await;
    other.revoke_agent(enrolled.agent.id, || ()).await.unwrap();
    world.access.tick().await.unwrap();
    assert!(matches!(token_of(&world, &enrolled.token).await, Err(AccessError::Revoked)));
}

#[tokio::test]
async fn the_last_link_of_an_agent_is_written_down() {
    let world = World::new().await;
    let enrolled = world.enrolled(&["porch"]).await;
    world.pass(Duration::from_secs(7));
    world.access.agent(enrolled.token.expose(), PEER).await.unwrap();
    world.access.tick().await.unwrap();
    let record = world.access.agent_record(enrolled.agent.id).await.unwrap();
    assert_eq!(record.last_seen_at, Some(world.now()));
}
