//! Query parameters: known ones by name, typed, and a helpful refusal of all others.

use std::{ops::RangeInclusive, time::Duration};

use oriel_proto::Timestamp;

use crate::{
    clock::{self, parse_span},
    problem::Problem,
};

/// The most parameters that a query may have.
const MOST: usize = 256;

/// The parameters of one request.
#[derive(Debug)]
pub struct Query(Vec<(&'static str, String)>);

impl Query {
    /// Reads `raw`; a parameter that is not among `known` is refused, naming the nearest that is.
    pub(super) fn parse(raw: &str, known: &'static [&'static str]) -> Result<Self, Problem> {
        let mut pairs = Vec::new();
        for (name, value) in form_urlencoded::parse(raw.as_bytes()) {
            let known = known.iter().find(|known| **known == name).ok_or_else(|| unknown(&name, known))?;
            if pairs.len() == MOST {
                return Err(Problem::bad_request(format!("a query may have at most {MOST} parameters")));
            }
            pairs.push((*known, value.into_owned()));
        }
        Ok(Self(pairs))
    }

    /// The one value of `name`; an empty one counts as absent.
    pub fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        Ok(self.given(name)?.filter(|value| !value.is_empty()))
    }

    /// The one value of `name`, which may be empty.
    fn given(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.0.iter().filter(|(key, _)| *key == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Problem::bad_request(format!("{name} is given more than once"))),
            (value, None) => Ok(value),
        }
    }

    /// All values of a repeatable parameter, each of which may be a comma-separated list.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.0.iter().filter(move |(key, _)| *key == name);
        values.flat_map(|(_, value)| value.split(',')).map(str::trim).filter(|value| !value.is_empty())
    }

    /// A time in any form that the API takes.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let now = clock::now();
        self.one(name)?
            .map(|text| {
                clock::parse(text, now).map_err(|error| Problem::bad_request(format!("{name}: {error}")))
            })
            .transpose()
    }

    /// A whole number within `allowed`; an empty one is none.
    pub fn number(&self, name: &str, allowed: RangeInclusive<u64>) -> Result<Option<u64>, Problem> {
        let wrong = |text: &str| {
            let (low, high) = (allowed.start(), allowed.end());
            Problem::bad_request(format!("{name}: {text:?} is not a whole number from {low} to {high}"))
        };
        self.given(name)?
            .map(|text| text.parse().ok().filter(|n| allowed.contains(n)).ok_or_else(|| wrong(text)))
            .transpose()
    }

    /// A span within `allowed`: seconds, or a number with a unit such as `500ms` or `2m`.
    pub fn span(&self, name: &str, allowed: RangeInclusive<Duration>) -> Result<Option<Duration>, Problem> {
        let wrong = |text: &str| {
            let (low, high) = (allowed.start(), allowed.end());
            Problem::bad_request(format!(
                "{name}: {text:?} is not a span from {low:?} to {high:?}, such as 10s or 500ms"
            ))
        };
        self.one(name)?
            .map(|text| {
                seconds(text)
                    .or_else(|| parse_span(text))
                    .filter(|s| allowed.contains(s))
                    .ok_or_else(|| wrong(text))
            })
            .transpose()
    }
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

fn unknown(name: &str, known: &[&str]) -> Problem {
    let name: String = name.chars().take(80).collect();
    let nearest = known.iter().max_by(|a, b| strsim::jaro(&name, a).total_cmp(&strsim::jaro(&name, b)));
    Problem::bad_request(match nearest {
        Some(nearest) => format!("there is no parameter {name:?} here; the nearest is {nearest:?}"),
        None => format!("there is no parameter {name:?} here: this path takes none"),
    })
}
