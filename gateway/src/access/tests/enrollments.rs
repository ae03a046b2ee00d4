//! One-time codes.

use futures_util::future::join_all;

use super::*;

#[tokio::test]
async fn a_code_gives_an_agent_its_token_and_cameras_once() {
    let world = World::new().await;
    let code = world.code(&["porch", "yard"], Some("site7-*")).await;
    let enrolled = world.access.enroll(code.expose(), "box\n", PEER).await.unwrap();
    assert_eq!(enrolled.agent.name, "box");
    assert_eq!(enrolled.agent.new_cameras.as_ref().unwrap().as_str(), "site7-*");
    assert_eq!(enrolled.cameras.len(), 2);
    assert!(enrolled.cameras.iter().all(|camera| camera.agent == Some(enrolled.agent.id)));
    assert_eq!(world.store.cameras().await.unwrap(), enrolled.cameras);
    let grant = world.access.agent(enrolled.token.expose(), PEER).await.unwrap();
    assert_eq!(grant.id, enrolled.agent.id);
    let again = world.access.enroll(code.expose(), "box", PEER).await;
    assert!(matches!(again, Err(AccessError::Unknown)));
    assert_eq!(world.access.enrollments().await.unwrap(), []);
}

#[tokio::test]
async fn of_many_devices_that_trade_one_code_exactly_one_wins() {
    let world = World::new().await;
    let other = world.other_process().await;
    let code = world.code(&["porch"], None).await;
    let trades = (0..20).map(|n| {
        let access = if n % 2 == 0 { &world.access } else { &other };
        access.enroll(code.expose(), "box", PEER)
    });
    let traded = join_all(trades).await;
    assert_eq!(traded.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(world.access.agents().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_code_expires() {
    let world = World::new().await;
    let code = world.code(&["porch"], None).await;
    world.pass(Duration::from_secs(3_600));
    assert_eq!(world.access.enrollments().await.unwrap(), []);
    let refused = world.access.enroll(code.expose(), "box", PEER).await;
    assert!(matches!(refused, Err(AccessError::Expired)));
    world.code(&["porch"], None).await;
}

#[tokio::test]
async fn a_wrong_code_is_told_apart_and_throttled() {
    let world = World::new().await;
    let code = world.code(&["porch"], None).await;
    let malformed = world.access.enroll(&mistyped(&code), "box", PEER).await;
    assert!(matches!(malformed, Err(AccessError::Malformed(_))));
    for _ in 1..30 {
        let refused = world.access.enroll(&wrong("oen_"), "box", PEER).await;
        assert!(matches!(refused, Err(AccessError::Unknown)));
    }
    let refused = world.access.enroll(&wrong("oen_"), "box", PEER).await;
    assert!(matches!(refused, Err(AccessError::Throttled { .. })));
    world.access.enroll(code.expose(), "box", PEER).await.unwrap();
}

#[tokio::test]
async fn a_camera_is_promised_to_one_code_and_taken_from_nobody() {
    let world = World::new().await;
    world.enrolled(&["porch"]).await;
    let (open, _) = world.access.create_enrollment(enrollment(&["yard"], None)).await.unwrap();
    for taken in ["porch", "yard"] {
        let refused = world.access.create_enrollment(enrollment(&["new", taken], None)).await;
        assert!(matches!(&refused, Err(AccessError::Conflict(why)) if why.contains(taken)), "{refused:?}");
    }
    assert_eq!(world.access.enrollments().await.unwrap(), vec![open.clone()]);
    world.access.delete_enrollment(open.id).await.unwrap();
    world.access.create_enrollment(enrollment(&["yard"], None)).await.unwrap();
}

#[tokio::test]
async fn a_closed_code_is_worth_nothing() {
    let world = World::new().await;
    let (open, code) = world.access.create_enrollment(enrollment(&["porch"], None)).await.unwrap();
    assert_eq!(world.access.enrollment(open.id).await.unwrap(), open);
    world.access.delete_enrollment(open.id).await.unwrap();
    assert!(matches!(world.access.enrollment(open.id).await, Err(AccessError::NotFound)));
    assert!(matches!(world.access.delete_enrollment(open.id).await, Err(AccessError::NotFound)));
    let refused = world.access.enroll(code.expose(), "box", PEER).await;
    assert!(matches!(refused, Err(AccessError::Unknown)));
}

#[tokio::test]
async fn a_code_without_sense_is_not_made() {
    let world = World::new().await;
    let many: Vec<_> = (0..1_025).map(|n| format!("c{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let brief = NewEnrollment { valid_for: Duration::from_secs(59), ..enrollment(&["porch"], None) };
    let twice = enrollment(&["porch", "porch"], None);
    for wrong in [enrollment(&[], None), enrollment(&many, None), twice, brief] {
        assert!(matches!(world.access.create_enrollment(wrong).await, Err(AccessError::Invalid(_))));
    }
}

#[tokio::test]
async fn a_code_made_by_another_process_can_be_traded() {
    let world = World::new().await;
    let offline = world.other_process().await;
    let (_, code) = offline.create_enrollment(enrollment(&["porch"], None)).await.unwrap();
    world.access.enroll(code.expose(), "box", PEER).await.unwrap();
}
