//! The time that a client asks for: `?from=&to=`, in any form that the API takes.

use oriel_proto::Timestamp;

use crate::{clock, problem::LegacyProblem};

/// From a time, included, to another, not included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Span {
    /// None means from the beginning.
    pub(super) from: Option<Timestamp>,
    /// None means without end.
    pub(super) to: Option<Timestamp>,
}

impl Span {
    /// Reads a query. What it has beside the two is of no concern here: an older client may say anything.
    pub(super) fn read(query: &str) -> Result<Self, LegacyProblem> {
        let (mut span, now) = (Self::default(), clock::now());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let bound = match &*name {
                "from" => &mut span.from,
                "to" => &mut span.to,
                _ => continue,
            };
            if !value.is_empty() {
                *bound = Some(clock::parse(&value, now).map_err(|_| LegacyProblem::BadRequest)?);
            }
        }
        Ok(span)
    }

    /// Whether it is all of time.
    pub(super) const fn is_all(self) -> bool {
        self.from.is_none() && self.to.is_none()
    }

    /// Whether a time lies in it.
    pub(super) fn contains(self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at < to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_begins_with_its_first_moment_and_ends_before_its_last() {
        let span = Span::read("from=1700000000&to=1700000001.5&_=7").unwrap();
        let at = |millis: i64| Timestamp::from_millis(1_700_000_000_000 + millis);
        assert!(span.contains(at(0)) && span.contains(at(1_499)));
        assert!(!span.contains(at(-1)) && !span.contains(at(1_500)));
        assert!(Span::read("").unwrap().is_all() && Span::read("from=&to=").unwrap().is_all());
        assert_eq!(Span::read("from=yesterday"), Err(LegacyProblem::BadRequest));
    }
}
