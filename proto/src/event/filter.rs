//! Which events a question wants, beside their time.

use super::{Event, Kind, Severity};

/// Which events a question wants, beside their time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    kinds: Vec<Kind>,
    severity: Vec<Severity>,
    /// Folded; empty wants every text.
    text: String,
}

impl EventFilter {
    /// Wants one of `kinds` (any when empty), one of `severity` (any when empty), and `text` somewhere in the description,
    /// whatever the case of either.
    pub fn new(kinds: Vec<Kind>, severity: Vec<Severity>, text: Option<&str>) -> Self {
        Self { kinds, severity, text: folded(text.unwrap_or_default()) }
    }

    /// Whether it wants everything.
    pub fn is_open(&self) -> bool {
        self.kinds.is_empty() && self.severity.is_empty() && self.text.is_empty()
    }

    /// Whether it wants this event; both ends use this one function, so that they always agree.
    pub fn matches(&self, event: &Event) -> bool {
        self.wants(event.kind.as_str(), event.severity.as_str(), &event.description)
    }

    /// Whether it wants an event of this kind and severity, with this description.
    pub fn wants(&self, kind: &str, severity: &str, description: &str) -> bool {
        (self.kinds.is_empty() || self.kinds.iter().any(|wanted| wanted.as_str() == kind))
            && (self.severity.is_empty() || self.severity.iter().any(|wanted| wanted.as_str() == severity))
            && (self.text.is_empty() || folded(description).contains(&self.text))
    }
}

/// `text` without case, each character by itself: lower-casing a whole text would write a final sigma differently from the one
/// inside a word, and a part of a text would no longer be found in the whole.
fn folded(text: &str) -> String {
    text.chars().flat_map(fold).collect()
}

/// Lower case of upper case, so that what has one upper case in common becomes the same; lower case first for 'ẞ'.
fn fold(c: char) -> impl Iterator<Item = char> {
    c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::Data, time::Timestamp};

    fn event(description: &str) -> Event {
        Event {
            at: Timestamp::from_millis(1),
            kind: Kind::Motion,
            severity: Severity::Info,
            description: description.into(),
            data: Data::new(),
            image_at: None,
            was: None,
        }
    }

    #[test]
    fn a_filter_wants_kind_severity_and_text_without_case() {
        let filter = EventFilter::new(vec![Kind::Motion], vec![Severity::Info], Some("ÄRGER"));
        assert!(filter.matches(&event("großer ärger im Hof")));
        assert!(!filter.matches(&event("nothing")));
        assert!(!EventFilter::new(vec![Kind::Reset], vec![], None).matches(&event("x")));
        assert!(!EventFilter::new(vec![], vec![Severity::Error], None).matches(&event("x")));
        assert!(EventFilter::default().is_open());
        assert!(EventFilter::new(vec![], vec![], Some("")).is_open());
    }

    #[test]
    fn a_sigma_inside_a_word_is_found_by_one_at_its_end() {
        for text in ["ΟΔΟΣ", "οδος", "οδοσ"] {
            assert!(EventFilter::new(vec![], vec![], Some(text)).matches(&event("ΠΑΡΟΔΟΣΑ")), "{text}");
        }
        assert!(EventFilter::new(vec![], vec![], Some("STRASSE")).matches(&event("straße")));
    }

    #[test]
    fn every_character_folds_as_its_upper_and_lower_case_do() {
        // No character beyond these has a case.
        for c in (0..=0x1_ffff).filter_map(char::from_u32) {
            assert!(c.to_lowercase().flat_map(fold).eq(fold(c)), "{c:?}");
            assert!(c.to_uppercase().flat_map(fold).eq(fold(c)), "{c:?}");
        }
    }
}
