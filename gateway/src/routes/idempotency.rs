//! `Idempotency-Key`: a repeated request gets the first answer again instead of a second effect.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
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

/// Answers by caller and key.
#[derive(Default)]
pub struct Idempotency(Mutex<HashMap<Name, Kept>>);

/// A caller and the key it chose.
pub(super) type Name = (String, String);

struct Kept {
    question: Value,
    answer: Value,
    until: Instant,
}

impl std::fmt::Debug for Idempotency {
    /// Answers may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Idempotency(…)")
    }
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

    /// The first answer to this request; a conflict when the key was used for another one.
    pub(super) fn earlier(&self, name: &Name, question: &Value) -> Result<Option<Value>, Problem> {
        let now = Instant::now();
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.get(name).filter(|kept| kept.until > now) {
            Some(kept) if kept.question == *question => Ok(Some(kept.answer.clone())),
            Some(_) => Err(Problem::conflict("this Idempotency-Key was used for another request")),
            None => Ok(None),
        }
    }

    /// Keeps an answer. When there is no room the oldest gives way.
    pub(super) fn keep(&self, name: Name, question: Value, answer: Value) {
        let now = Instant::now();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| kept.until > now);
        if kept.len() >= MOST {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.until).map(|(name, _)| name.clone());
            oldest.map(|name| kept.remove(&name));
        }
        kept.insert(name, Kept { question, answer, until: now + KEEP });
    }
}
