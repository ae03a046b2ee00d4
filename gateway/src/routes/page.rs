//! Pages: how many rows they have, and the cursor that holds the place behind the last one.

use serde::{Serialize, de::DeserializeOwned};

use super::{Cursors, query::Query};
use crate::problem::Problem;

/// What cursors of pages are signed for.
const WORD: &str = "page";

/// Rows on a page unless the request says otherwise.
const PAGE: u64 = 100;

/// The fewest and the most rows on a page.
pub(super) const LIMITS: (u64, u64) = (1, 1_000);

/// How many rows the page may have.
pub(super) fn limit(query: &Query) -> Result<u64, Problem> {
    Ok(query.number("limit", LIMITS.0..=LIMITS.1)?.unwrap_or(PAGE))
}

/// Leaves one page of `rows`, ordered by `place`, and gives the cursor of the next one.
pub(super) fn cut<T, P: Ord + Serialize + DeserializeOwned>(
    cursors: &Cursors,
    rows: &mut Vec<T>,
    query: &Query,
    question: &impl Serialize,
    place: impl Fn(&T) -> P,
) -> Result<Option<String>, Problem> {
    let limit = limit(query)? as usize;
    let after = query.one("cursor")?.map(|cursor| self::place::<P>(cursors, question, cursor)).transpose()?;
    if let Some(after) = after {
        rows.retain(|row| place(row) > after);
    }
    rows.sort_by_cached_key(&place);
    let more = rows.len() > limit;
    rows.truncate(limit);
    Ok(rows.last().filter(|_| more).and_then(|last| cursor(cursors, question, &place(last))))
}

/// A cursor that continues `question` behind `place`.
pub(super) fn cursor(cursors: &Cursors, question: &impl Serialize, place: &impl Serialize) -> Option<String> {
    cursors.sign(WORD, question, place)
}

/// The place that a page's cursor of the same question holds.
pub(super) fn place<P: DeserializeOwned>(
    cursors: &Cursors,
    question: &impl Serialize,
    cursor: &str,
) -> Result<P, Problem> {
    cursors.place(WORD, question, cursor)
}
