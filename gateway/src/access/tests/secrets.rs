//! Secrets are shown once and nowhere else.

use std::fs;

use super::*;

#[tokio::test]
async fn no_secret_is_in_debug_output_or_errors() {
    let world = World::new().await;
    let (record, secret) = key(&world.access, Role::Admin, everything()).await;
    let code = world.code(&["yard"], None).await;
    let enrolled = world.enrolled(&["porch"]).await;
    let new = world.access.rotate_agent(enrolled.agent.id).await.unwrap();
    let viewer = world.access.viewer(secret.expose(), PEER).await.unwrap();
    let grant = world.access.agent(enrolled.token.expose(), PEER).await.unwrap();
    let errors = [
        world.access.viewer(enrolled.token.expose(), PEER).await.unwrap_err(),
        world.access.agent(&mistyped(&enrolled.token), PEER).await.unwrap_err(),
    ];
    let shown = format!("{world:?} {record:?} {enrolled:?} {viewer:?} {grant:?} {errors:?} {}", errors[0]);
    for secret in [&secret, &code, &enrolled.token, &new, &grant.rotate.unwrap()] {
        assert!(!shown.contains(&secret.expose()[4..20]), "{shown}");
    }
}

#[tokio::test]
async fn no_secret_is_on_disk() {
    let world = World::new().await;
    let (_, secret) = key(&world.access, Role::Admin, everything()).await;
    let enrolled = world.enrolled(&["porch"]).await;
    let mut bytes = 0;
    for entry in fs::read_dir(world.folder.path()).unwrap() {
        let content = fs::read(entry.unwrap().path()).unwrap();
        bytes += content.len();
        for secret in [&secret, &enrolled.token] {
            let needle = &secret.expose().as_bytes()[4..20];
            assert!(!content.windows(needle.len()).any(|window| window == needle));
        }
    }
    assert!(bytes > 0);
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.store, self.access)
    }
}
