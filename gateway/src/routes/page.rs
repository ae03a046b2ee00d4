//! Pages and their cursors: the place behind the last row, and which question it belongs to.
//!
//! A cursor grants nothing: whoever brings one is asked for a credential again, and sees no more than without it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::query::Query;
use crate::problem::Problem;

/// The longest cursor that is looked at, in characters.
const LONGEST: usize = 2_048;

#[derive(Serialize, Deserialize)]
struct Cursor<P> {
    /// Of the question without its place.
    question: String,
    place: P,
}

/// Rows on a page unless the request says otherwise.
const PAGE: u64 = 100;

/// The most rows on a page.
const LARGEST: u64 = 1_000;

/// How many rows the page may have.
pub(super) fn limit(query: &Query) -> Result<u64, Problem> {
    Ok(given_limit(query)?.unwrap_or(PAGE))
}

/// How many rows the request says that the page may have.
pub(super) fn given_limit(query: &Query) -> Result<Option<u64>, Problem> {
    query.number("limit", 1..=LARGEST)
}

/// Leaves one page of `rows`, ordered by `place`, and gives the cursor of the next one.
pub(super) fn cut<T, P: Ord + Serialize + DeserializeOwned>(
    rows: &mut Vec<T>,
    query: &Query,
    question: &impl Serialize,
    place: impl Fn(&T) -> P,
) -> Result<Option<String>, Problem> {
    let limit = limit(query)? as usize;
    let after = query.one("cursor")?.map(|cursor| self::place::<P>(question, cursor)).transpose()?;
    if let Some(after) = after {
        rows.retain(|row| place(row) > after);
    }
    rows.sort_by_cached_key(&place);
    let more = rows.len() > limit;
    rows.truncate(limit);
    Ok(rows.last().filter(|_| more).and_then(|last| cursor(question, place(last))))
}

/// A cursor that continues `question` behind `place`.
pub(super) fn cursor<P: Serialize>(question: &impl Serialize, place: P) -> Option<String> {
    let json = serde_json::to_vec(&Cursor { question: fingerprint(question)?, place }).ok()?;
    Some(URL_SAFE_NO_PAD.encode(json))
}

/// The place that a cursor of the same question holds.
pub(super) fn place<P: DeserializeOwned>(question: &impl Serialize, cursor: &str) -> Result<P, Problem> {
    let read = || {
        let json = URL_SAFE_NO_PAD.decode(cursor.get(..LONGEST.min(cursor.len()))?).ok()?;
        let cursor: Cursor<P> = serde_json::from_slice(&json).ok()?;
        (fingerprint(question)? == cursor.question).then_some(cursor.place)
    };
    read().ok_or_else(Problem::bad_cursor)
}

fn fingerprint(question: &impl Serialize) -> Option<String> {
    let hash = Sha256::digest(serde_json::to_vec(question).ok()?);
    Some(URL_SAFE_NO_PAD.encode(&hash[..9]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_belongs_to_its_question() {
        let text = cursor(&("porch", "desc"), 42_u32).expect("it can be written");
        assert_eq!(place::<u32>(&("porch", "desc"), &text).ok(), Some(42));
        assert!(place::<u32>(&("yard", "desc"), &text).is_err());
        assert!(place::<u32>(&("porch", "desc"), "nonsense").is_err());
    }
}
