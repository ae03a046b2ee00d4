//! What a camera's log holds, and what a question about it must be answered with.

use serde_json::Value;

/// An event as the gateway tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Unlike any other, of this camera and of all others.
    pub(crate) id: String,
    /// As text of fixed width, so that the order of texts is that of times.
    pub(crate) at: String,
    pub(crate) kind: String,
    pub(crate) description: String,
}

impl Entry {
    /// Reads one event; none when the value is something else.
    pub(crate) fn read(value: &Value) -> Option<Self> {
        let field = |name: &str| value[name].as_str().map(str::to_owned);
        let (id, at) = (field("id")?, field("at")?);
        Some(Self { id, at, kind: field("kind")?, description: field("description")? })
    }
}

/// Which events of a log are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    /// The earliest time, included.
    pub(crate) from: String,
    /// The time before which all lie.
    pub(crate) to: String,
    pub(crate) kind: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) newest_first: bool,
    pub(crate) limit: Option<usize>,
}

impl Filter {
    /// The ids of the events that must come, and whether there are more of them.
    pub(crate) fn answer(&self, log: &[Entry]) -> (Vec<String>, bool) {
        let wanted = |entry: &&Entry| {
            (&self.from..&self.to).contains(&&entry.at)
                && self.kind.as_ref().is_none_or(|kind| *kind == entry.kind)
                && self.text.as_ref().is_none_or(|text| entry.description.contains(text))
        };
        let mut ids: Vec<String> = log.iter().filter(wanted).map(|entry| entry.id.clone()).collect();
        if self.newest_first {
            ids.reverse();
        }
        let more = self.limit.is_some_and(|limit| ids.len() > limit);
        ids.truncate(self.limit.unwrap_or(usize::MAX));
        (ids, more)
    }

    /// The parameters of a URL.
    pub(crate) fn parameters(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("from", &self.from).append_pair("to", &self.to);
        query.append_pair("order", if self.newest_first { "desc" } else { "asc" });
        self.limit.iter().for_each(|limit| _ = query.append_pair("limit", &limit.to_string()));
        self.kind.iter().for_each(|kind| _ = query.append_pair("kind", kind));
        self.text.iter().for_each(|text| _ = query.append_pair("q", text));
        query.finish()
    }
}

/// What an answer tells.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) entries: Vec<Entry>,
    /// Whether nothing is missing, and whether there is more; none when the answer broke off.
    pub(crate) end: Option<(bool, bool)>,
}

impl Told {
    /// Reads an answer in JSON; none when it is none.
    pub(crate) fn page(body: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let entries = value["events"].as_array()?.iter().map(Entry::read).collect::<Option<_>>()?;
        Some(Self { entries, end: Some((value["complete"].as_bool()?, !value["next"].is_null())) })
    }

    /// Reads whole lines of an answer line by line; none when one of them is nothing known.
    pub(crate) fn lines(body: &[u8]) -> Option<Self> {
        let mut told = Self::default();
        for line in body.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            let value: Value = serde_json::from_slice(line).ok()?;
            match &value["end"] {
                Value::Null => told.entries.push(Entry::read(&value)?),
                end => told.end = Some((end["complete"].as_bool()?, !end["next"].is_null())),
            }
        }
        Some(told)
    }

    /// What is wrong with this as an answer to `filter` about `log`.
    pub(crate) fn fault(&self, filter: &Filter, log: &[Entry]) -> Option<String> {
        let (wanted, more) = filter.answer(log);
        let got: Vec<&String> = self.entries.iter().map(|entry| &entry.id).collect();
        let alike = got.iter().zip(&wanted).take_while(|(got, wanted)| **got == *wanted).count();
        if alike < got.len() {
            let right = wanted.get(alike);
            return Some(format!("event {alike} is {} and should be {right:?}", got[alike]));
        }
        match self.end {
            None => None,
            Some(_) if got.len() < wanted.len() => {
                Some(format!("{} events of {} in a whole answer", got.len(), wanted.len()))
            }
            Some((false, _)) => Some("it says that something is missing".into()),
            Some((_, said)) if more && !said => Some("it does not say that there is more".into()),
            // More lies in the range, which what was asked for beside it may leave out.
            Some((_, true)) if !more && filter.kind.is_none() && filter.text.is_none() => {
                Some("it says that there is more".into())
            }
            Some(_) => None,
        }
    }
}
