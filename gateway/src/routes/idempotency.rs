//! `Idempotency-Key`: a repeated request gets the first answer again instead of a second effect, a concurrent one a conflict.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::time::Instant;

use crate::problem::Problem;

/// How long an answer is kept; it may hold a one-time code, so not for long.
const KEEP: Duration = Duration::from_secs(10 * 60);

/// Answers kept at most.
const MOST: usize = 1_000;

/// The longest key in bytes.
const LONGEST: usize = 200;

/// Answers by caller and key; clones share them.
#[derive(Clone, Default)]
pub struct Idempotency(Arc<Mutex<HashMap<Name, Kept>>>);

/// A caller and the key it chose.
pub(super) type Name = (String, String);

struct Kept {
    question: Value,
    /// None while the first request is worked on.
    answer: Option<Value>,
    until: Instant,
}

impl std::fmt::Debug for Idempotency {
    /// Answers may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Idempotency(…)")
    }
}

/// What becomes of a request that carries a key.
pub(super) enum Claim {
    /// It is the first: it is worked on while this is held.
    Reserved(Reserved),
    /// It was answered before.
    Answered(Value),
}

/// A key whose request is worked on; free again when this is dropped without an answer.
pub(super) struct Reserved {
    all: Idempotency,
    name: Name,
}

impl Idempotency {
    /// The name of a request that carries a key.
    pub(super) fn name(caller: String, headers: &warp::http::HeaderMap) -> Result<Option<Name>, Problem> {
        let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
        let key = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= LONGEST);
        let key = key.ok_or_else(|| {
            Problem::bad_request(format!("Idempotency-Key: 1 to {LONGEST} visible characters"))
        })?;
        Ok(Some((caller, key.to_owned())))
    }

    /// Takes the key for this request or gives the first answer to it; a conflict when the key is in use or was used for
    /// another request. When there is no room the oldest answer gives way.
    pub(super) fn claim(&self, name: Name, question: Value) -> Result<Claim, Problem> {
        let now = Instant::now();
        let mut kept = self.lock();
        kept.retain(|_, kept| kept.until > now);
        if let Some(kept) = kept.get(&name) {
            return match &kept.answer {
                _ if kept.question != question => {
                    Err(Problem::conflict("this Idempotency-Key was used for another request"))
                }
                Some(answer) => Ok(Claim::Answered(answer.clone())),
                None => Err(Problem::conflict("the first request with this Idempotency-Key is worked on")),
            };
        }
        if kept.len() >= MOST {
            let answered = kept.iter().filter(|(_, kept)| kept.answer.is_some());
            let oldest = answered.min_by_key(|(_, kept)| kept.until).map(|(name, _)| name.clone());
            let oldest = oldest.ok_or_else(|| Problem::overloaded("too many requests are worked on"))?;
            kept.remove(&oldest);
        }
        kept.insert(name.clone(), Kept { question, answer: None, until: now + KEEP });
        Ok(Claim::Reserved(Reserved { all: self.clone(), name }))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reserved {
    /// Keeps the answer for whoever asks again.
    pub(super) fn keep(self, answer: Value) {
        if let Some(kept) = self.all.lock().get_mut(&self.name) {
            kept.answer = Some(answer);
            kept.until = Instant::now() + KEEP;
        }
    }
}

impl Drop for Reserved {
    /// Without an answer nothing was done: the next request with this key is the first.
    fn drop(&mut self) {
        let mut kept = self.all.lock();
        if kept.get(&self.name).is_some_and(|kept| kept.answer.is_none()) {
            kept.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(all: &Idempotency, question: u32) -> Result<Claim, Problem> {
        all.claim(("a key".into(), "once".into()), question.into())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_kept_for_ten_minutes() {
        let all = Idempotency::default();
        let Ok(Claim::Reserved(first)) = claim(&all, 1) else { panic!("not the first") };
        first.keep("made".into());
        assert!(matches!(claim(&all, 1), Ok(Claim::Answered(answer)) if answer == "made"));
        assert_eq!(claim(&all, 2).err().map(|problem| problem.code()), Some("conflict"));
        tokio::time::advance(KEEP).await;
        assert!(matches!(claim(&all, 2), Ok(Claim::Reserved(_))));
    }

    #[test]
    fn while_the_first_is_worked_on_nobody_does_it_again() {
        let all = Idempotency::default();
        let first = claim(&all, 1);
        assert_eq!(claim(&all, 1).err().map(|problem| problem.code()), Some("conflict"));
        drop(first);
        assert!(matches!(claim(&all, 1), Ok(Claim::Reserved(_))), "it failed, so another may try");
    }

    #[test]
    fn what_is_worked_on_never_gives_way() {
        let all = Idempotency::default();
        let claim = |n: usize| all.claim((String::new(), n.to_string()), n.into());
        let mut claims: Vec<_> = (0..MOST).map(claim).collect();
        assert_eq!(claim(MOST).err().map(|problem| problem.code()), Some("overloaded"));
        let Some(Ok(Claim::Reserved(last))) = claims.pop() else { panic!("not reserved") };
        last.keep("made".into());
        assert!(matches!(claim(MOST), Ok(Claim::Reserved(_))));
    }
}
