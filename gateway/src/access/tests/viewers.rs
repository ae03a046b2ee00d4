//! What a key's holder may see and do.

use super::*;

async fn viewer(world: &World, role: Role, scope: Scope) -> crate::access::Viewer {
    let (_, secret) = key(&world.access, role, scope).await;
    world.access.viewer(secret.expose(), PEER).await.unwrap()
}

#[tokio::test]
async fn a_key_for_cameras_sees_those_alone() {
    let world = World::new().await;
    let scope =
        Scope { cameras: vec!["yard".parse().unwrap(), "porch".parse().unwrap()], ..Scope::default() };
    let viewer = viewer(&world, Role::Operator, scope).await;
    assert!(viewer.may_see(&camera("porch", &[])) && viewer.may_see(&camera("yard", &[])));
    assert!(!viewer.may_see(&camera("gate", &["porch"])));
    assert!(!viewer.is_everywhere(Role::Viewer));
}

#[tokio::test]
async fn a_key_for_a_tag_sees_what_carries_it() {
    let world = World::new().await;
    let scope = Scope { tags: vec!["site:7".into()], ..Scope::default() };
    let viewer = viewer(&world, Role::Viewer, scope).await;
    assert!(viewer.may_see(&camera("porch", &["north", "site:7"])));
    assert!(!viewer.may_see(&camera("site:7".replace(':', "").as_str(), &["site:70"])));
}

#[tokio::test]
async fn a_key_for_all_sees_all() {
    let world = World::new().await;
    let viewer = viewer(&world, Role::Admin, everything()).await;
    assert!(viewer.may_see(&camera("anything", &[])));
    assert!(viewer.is_everywhere(Role::Admin) && viewer.require_everywhere(Role::Operator).is_ok());
}

#[tokio::test]
async fn a_role_may_what_lesser_ones_may_and_no_more() {
    let world = World::new().await;
    let scope = Scope { cameras: vec!["porch".parse().unwrap()], ..Scope::default() };
    let viewer = viewer(&world, Role::Operator, scope).await;
    let (mine, foreign) = (camera("porch", &[]), camera("yard", &[]));
    assert!(viewer.may(Role::Viewer, &mine) && viewer.may(Role::Operator, &mine));
    assert!(!viewer.may(Role::Admin, &mine) && !viewer.may(Role::Viewer, &foreign));
    assert!(matches!(viewer.require(Role::Admin, &mine), Err(AccessError::Forbidden { .. })));
    assert!(matches!(viewer.require(Role::Admin, &foreign), Err(AccessError::NotFound)));
    assert!(matches!(viewer.require_everywhere(Role::Viewer), Err(AccessError::Forbidden { .. })));
}
