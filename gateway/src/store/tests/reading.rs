//! Readers: who waits for one, and does not look after it, keeps it from nobody else.

use futures_util::FutureExt;

use super::*;

#[tokio::test]
async fn questions_that_nobody_looks_after_keep_nobody_from_reading() {
    let (_folder, store) = opened();
    let mut left_alone: Vec<_> = (0..20).map(|_| Box::pin(store.has_log(camera("porch")))).collect();
    for question in &mut left_alone {
        // Asked, and not looked at again.
        assert!(question.now_or_never().is_none());
    }
    assert_eq!(store.has_log(camera("porch")).await.ok(), Some(false));
    drop(left_alone);
}
