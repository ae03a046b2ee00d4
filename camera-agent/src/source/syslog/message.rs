//! One syslog message (RFC 5424 or 3164, or whatever a program takes for it) as an event.

use std::net::IpAddr;

use chrono::Utc;
use jiff::tz::TimeZone;
use oriel_proto::{Kind, Severity, event::Data, limits::DESCRIPTION_BYTES};
use serde_json::{Map, Value};
use syslog_loose::{Message, Protocol, SyslogSeverity, Variant, parse_message_with_year_exact_tz};

use super::frames::Raw;
use crate::{source::logged::logged_at, spool::Draft};

/// The longest name of a host or a program that is kept, in bytes; RFC 5424 allows 255 of a host.
const NAME_BYTES: usize = 255;

/// The most bytes of all names of a message, as JSON.
const NAMES_BYTES: usize = 600;

/// The most bytes of structured data that an event has room for, beside the names.
const STRUCTURED_BYTES: usize = 600;

/// A year in which every day of a calendar is one; which year it was is found out later.
const ANY_YEAR: i32 = 2024;

/// What is the same for all messages of a camera.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// The kind of their events.
    pub(super) kind: Kind,
    /// The zone of times that name none.
    pub(super) zone: TimeZone,
}

impl Reading {
    /// The event that a message becomes; none when it is empty.
    pub(super) fn draft(&self, raw: &Raw, from: IpAddr, now: jiff::Timestamp) -> Option<Draft> {
        let text = String::from_utf8_lossy(&raw.head);
        let text = text.trim_matches(['\n', '\r', '\0', ' ', '\u{feff}']);
        let mut cut = raw.bytes - raw.head.len() as u64;
        let mut data = Data::new();
        data.insert("from".into(), from.to_string().into());
        let parsed = parse_message_with_year_exact_tz(text, |_| ANY_YEAR, Some(Utc), Variant::Either).ok();
        let severity = parsed.as_ref().and_then(|message| message.severity);
        let description = match &parsed {
            Some(message) => {
                cut += about(message, &mut data);
                said(message, text)
            }
            None => text.to_owned(),
        };
        if let Some(at) = logged_at(header(text), &self.zone, now) {
            data.insert("logged_at".into(), at.to_string().into());
        }
        // What has no words of its own is shown as it came.
        let mut description = if description.is_empty() { text.to_owned() } else { description };
        let kept = description.floor_char_boundary(DESCRIPTION_BYTES);
        cut += (description.len() - kept) as u64;
        description.truncate(kept);
        if cut > 0 {
            data.insert("cut_bytes".into(), cut.into());
        }
        let severity = severity.map_or(Severity::Info, severity_of);
        let draft = Draft { at: None, kind: self.kind.clone(), severity, description, data, image_at: None };
        (!draft.description.is_empty()).then_some(draft)
    }
}

/// A message without its priority and version: what its time may be in.
fn header(text: &str) -> &str {
    match text.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        Some((priority, rest)) if priority.len() <= 3 => rest.strip_prefix("1 ").unwrap_or(rest).trim_start(),
        _ => text,
    }
}

/// The words of a message, which was taken out of `text`.
fn said(message: &Message<&str>, text: &str) -> String {
    let words = dashed(message, text).unwrap_or(message.msg).trim_start_matches('\u{feff}');
    // In an older message such brackets are words.
    let brackets = message.structured_data.iter().filter(|_| message.protocol == Protocol::RFC3164);
    let mut said: String = brackets.map(|element| format!("{element} ")).collect();
    said += words;
    said.truncate(said.trim_end().len());
    said
}

/// The words of an older message with the dash that they begin with: the library takes that for structured data that is absent.
fn dashed<'a>(message: &Message<&str>, text: &'a str) -> Option<&'a str> {
    let before = text.trim_end().strip_suffix(message.msg)?.trim_end();
    let at = before.strip_suffix('-')?.len();
    let is_word = before[..at].ends_with(|c: char| c == ':' || c.is_whitespace());
    let is_older = message.protocol == Protocol::RFC3164 && message.structured_data.is_empty();
    (is_word && is_older).then(|| &text[at..])
}

/// Puts who wrote a message into `data`; gives how many bytes it has no room for.
fn about(message: &Message<&str>, data: &mut Data) -> u64 {
    let mut cut = 0;
    let process = message.procid.as_ref().map(ToString::to_string);
    let names = [
        ("host", message.hostname),
        ("app", message.appname),
        ("pid", process.as_deref()),
        ("msgid", message.msgid),
        ("facility", message.facility.map(|facility| facility.as_str())),
    ];
    let mut room = NAMES_BYTES;
    for (key, name) in names {
        let Some(name) = name else { continue };
        let kept = &name[..name.floor_char_boundary(NAME_BYTES)];
        let value = Value::from(kept);
        let bytes = value.to_string().len();
        if bytes > room {
            cut += name.len() as u64;
            continue;
        }
        cut += (name.len() - kept.len()) as u64;
        room -= bytes;
        data.insert(key.into(), value);
    }
    if message.protocol != Protocol::RFC3164 && !message.structured_data.is_empty() {
        let structured = structured(message);
        match structured.to_string().len() {
            bytes if bytes <= STRUCTURED_BYTES => drop(data.insert("structured".into(), structured)),
            bytes => cut += bytes as u64,
        }
    }
    cut
}

fn structured(message: &Message<&str>) -> Value {
    let elements = message.structured_data.iter().map(|element| {
        let params: Map<_, _> =
            element.params().map(|(key, value)| ((*key).to_owned(), value.into())).collect();
        (element.id.to_owned(), Value::from(params))
    });
    elements.collect::<Map<_, _>>().into()
}

const fn severity_of(severity: SyslogSeverity) -> Severity {
    match severity {
        SyslogSeverity::SEV_EMERG | SyslogSeverity::SEV_ALERT | SyslogSeverity::SEV_CRIT => {
            Severity::Critical
        }
        SyslogSeverity::SEV_ERR => Severity::Error,
        SyslogSeverity::SEV_WARNING => Severity::Warning,
        SyslogSeverity::SEV_NOTICE => Severity::Notice,
        SyslogSeverity::SEV_INFO => Severity::Info,
        SyslogSeverity::SEV_DEBUG => Severity::Debug,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use oriel_proto::limits::DATA_BYTES;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn draft(text: impl AsRef<[u8]>) -> Option<Draft> {
        let reading = Reading { kind: Kind::Log, zone: TimeZone::fixed(jiff::tz::offset(1)) };
        // 2026-11-28 17:45:30 UTC.
        let now = jiff::Timestamp::from_second(1_795_887_930).unwrap();
        reading.draft(&Raw::whole(text.as_ref()), Ipv4Addr::LOCALHOST.into(), now)
    }

    fn read(text: &str) -> (String, Severity, Value) {
        let draft = draft(text).unwrap();
        (draft.description, draft.severity, draft.data.into())
    }

    #[test]
    fn a_message_of_either_form_is_taken_apart() {
        let about = |app: &str| json!({ "from": "127.0.0.1", "host": "porch", "app": app, "pid": "12", "facility": "daemon", "logged_at": "2026-11-28T16:45:30Z" });
        let older = "<27>Nov 28 17:45:30 porch nvr[12]: disk [sda] is full\n";
        assert_eq!(read(older), ("disk [sda] is full".into(), Severity::Error, about("nvr")));
        let mut newer = about("nvr/1");
        newer["msgid"] = "DISK".into();
        newer["structured"] = json!({ "disk@32473": { "name": "s\"da" } });
        let text = "<28>1 2026-11-28T17:45:30+01:00 porch nvr/1 12 DISK [disk@32473 name=\"s\\\"da\"] \u{feff}disk is full";
        assert_eq!(read(text), ("disk is full".into(), Severity::Warning, newer));
    }

    #[test]
    fn what_is_neither_keeps_all_its_words() {
        for text in ["hello", "<x>hello", "<27>", "[warn] hello", "<27 hello"] {
            assert_eq!(read(text).0, text);
        }
        assert_eq!(read("<13>Nov 28 17:45:30 porch app: [warn] [a] hello").0, "[warn] [a] hello");
        for empty in ["", "\n", " \0"] {
            assert_eq!(draft(empty), None);
        }
    }

    #[test]
    fn a_dash_that_words_begin_with_is_kept() {
        for words in ["-5 degrees", "- hello", "-", "--- begin", "-  two blanks", "-[a b=\"c\"]"] {
            assert_eq!(read(&format!("<13>Nov 28 17:45:30 porch app[1]: {words}")).0, words);
            assert_eq!(read(&format!("<13>Nov 28 17:45:30 porch app {words}")).0, words);
        }
        for text in [
            "<13>Nov 28 17:45:30 porch app-: hello",
            "<13>Nov 28 17:45:30 porch app- hello",
            "<13>1 - porch app - - - hello",
        ] {
            assert_eq!(read(text).0, "hello");
        }
    }

    #[test]
    fn each_severity_has_one_of_ours() {
        use Severity as S;
        let ours =
            [S::Critical, S::Critical, S::Critical, S::Error, S::Warning, S::Notice, S::Info, S::Debug];
        for (theirs, ours) in ours.into_iter().enumerate() {
            assert_eq!(read(&format!("<{theirs}>Nov 28 17:45:30 porch app: hello")).1, ours);
        }
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let (long, longer) = ("x".repeat(1_000), "x".repeat(5_000));
        let draft = draft(format!("<13>1 - {long} {long} - - [a b=\"{long}\"] hello")).unwrap();
        assert_eq!(draft.description, "hello");
        assert_eq!(draft.data["host"].as_str().map(str::len), Some(NAME_BYTES));
        let draft = draft_of(&longer);
        assert_eq!((draft.description.len(), draft.data["cut_bytes"].as_u64()), (2_000, Some(3_000)));
    }

    fn draft_of(words: &str) -> Draft {
        draft(format!("<13>Nov 28 17:45:30 porch app: {words}")).unwrap()
    }

    proptest! {
        #[test]
        fn every_message_becomes_an_event_within_the_limits(
            head in "(<[0-9]{1,4}>)?(1 )?([A-Z][a-z]{2} [0-9]{1,2} [0-9:]{8}|-|[0-9T:.+Z-]{4,25})?( [!-~]{1,400}){0,5}",
            rest: Vec<u8>,
        ) {
            if let Some(draft) = draft([head.as_bytes(), &rest].concat()) {
                prop_assert!(Value::from(draft.data.clone()).to_string().len() <= DATA_BYTES);
                prop_assert!(draft.description.len() <= DESCRIPTION_BYTES);
            }
        }
    }
}
