//! Steps of a rotation that come too late.

use super::*;
use crate::store::UsedToken;

/// An agent and the hash of its token.
async fn agent_with_token(store: &Store) -> (AgentId, TokenHash) {
    let (code, token) = (some_hash(), some_hash());
    store.create_enrollment(code_for(&["porch"], None), code).await.unwrap();
    match store.trade_code(code, "box".into(), token, NOW).await.unwrap() {
        TradeOutcome::Traded(agent, _) => (agent.id, token),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_that_was_replaced_meanwhile_brings_no_new_one() {
    let (_folder, store) = opened();
    let (id, old) = agent_with_token(&store).await;
    let (new, newer) = (some_hash(), some_hash());
    assert!(!store.renew_token(id, old, some_hash()).await.unwrap(), "no rotation is wanted");
    assert!(store.rotate_token(id, new, |_| ()).await.unwrap());
    assert!(store.adopt_token(id, new).await.unwrap());
    let (tell, told) = tokio::sync::oneshot::channel();
    assert!(store.rotate_token(id, newer, |in_use| tell.send(in_use).unwrap()).await.unwrap());
    assert_eq!(told.await.unwrap(), new);
    assert!(!store.renew_token(id, old, some_hash()).await.unwrap());
    assert_eq!(store.agent_by_token(old).await.unwrap(), None);
    assert_eq!(store.agent_by_token(new).await.unwrap().unwrap().used, UsedToken::Old);
    assert_eq!(store.agent_by_token(newer).await.unwrap().unwrap().used, UsedToken::New);
}

#[tokio::test]
async fn a_token_that_was_overtaken_meanwhile_is_not_adopted() {
    let (_folder, store) = opened();
    let (id, old) = agent_with_token(&store).await;
    let (overtaken, new) = (some_hash(), some_hash());
    assert!(store.rotate_token(id, overtaken, |_| ()).await.unwrap());
    assert!(store.renew_token(id, old, new).await.unwrap());
    assert!(!store.adopt_token(id, overtaken).await.unwrap());
    assert!(store.adopt_token(id, new).await.unwrap());
}

#[tokio::test]
async fn a_revoked_agent_takes_no_further_step() {
    let (_folder, store) = opened();
    let (id, old) = agent_with_token(&store).await;
    let new = some_hash();
    assert!(store.rotate_token(id, new, |_| ()).await.unwrap());
    store.revoke_agent(id, NOW, || ()).await.unwrap().unwrap();
    assert!(!store.renew_token(id, old, some_hash()).await.unwrap());
    assert!(!store.adopt_token(id, new).await.unwrap());
    let (tell, told) = tokio::sync::oneshot::channel();
    assert!(!store.rotate_token(id, some_hash(), |in_use| tell.send(in_use).unwrap()).await.unwrap());
    assert!(told.await.is_err(), "nothing was rotated");
}
