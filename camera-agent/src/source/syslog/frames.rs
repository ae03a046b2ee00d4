//! Where messages begin and end on a TCP connection: counted, or a line each (RFC 6587), as every single one chooses.

/// The most bytes of a message that are kept; of the rest only the number counts.
pub(super) const MESSAGE_BYTES: usize = 8 << 10;

/// The most digits of a count.
const DIGITS: usize = 9;

/// One message as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Raw {
    /// Its beginning.
    pub(super) head: Vec<u8>,
    /// How many bytes it has.
    pub(super) bytes: u64,
}

impl Raw {
    /// A message that came whole.
    pub(super) fn whole(message: &[u8]) -> Self {
        let mut raw = Self::default();
        raw.push(message);
        raw
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = MESSAGE_BYTES - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.bytes += bytes.len() as u64;
    }
}

/// What a connection has brought of the message that is not whole yet.
#[derive(Debug, Default)]
pub(super) struct Frames {
    state: State,
    message: Raw,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// Between two messages.
    #[default]
    Between,
    /// In a count, or in a line that begins with digits.
    Count,
    /// In a message of which so many bytes are missing.
    Counted(u64),
    /// In a line.
    Line,
}

impl Frames {
    /// Takes bytes up to the end of a message, and gives that; what is left of them follows it.
    pub(super) fn take(&mut self, bytes: &mut &[u8]) -> Option<Raw> {
        while let Some(&first) = bytes.first() {
            match self.state {
                State::Between => self.begin(first, bytes),
                State::Count => self.count(first, bytes),
                State::Counted(missing) => {
                    let (part, rest) =
                        bytes.split_at(bytes.len().min(usize::try_from(missing).unwrap_or(usize::MAX)));
                    (*bytes, self.state) = (rest, State::Counted(missing - part.len() as u64));
                    self.message.push(part);
                    if missing == part.len() as u64 {
                        return Some(self.end());
                    }
                }
                State::Line => {
                    let end = bytes.iter().position(|byte| is_end(*byte));
                    let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
                    self.message.push(part);
                    *bytes = rest.get(1..).unwrap_or_default();
                    if end.is_some() {
                        return Some(self.end());
                    }
                }
            }
        }
        None
    }

    /// What is left when the connection ends.
    pub(super) fn finish(mut self) -> Option<Raw> {
        if let State::Counted(missing) = self.state {
            self.message.bytes += missing;
        }
        (!self.message.head.is_empty()).then(|| self.end())
    }

    fn begin(&mut self, first: u8, bytes: &mut &[u8]) {
        match first {
            b'1'..=b'9' => self.state = State::Count,
            // Some end their counted messages with a line's end too.
            _ if is_end(first) => *bytes = &bytes[1..],
            _ => self.state = State::Line,
        }
    }

    fn count(&mut self, first: u8, bytes: &mut &[u8]) {
        let digits = std::str::from_utf8(&self.message.head).unwrap_or_default();
        match first {
            b'0'..=b'9' if digits.len() < DIGITS => self.message.push(&[first]),
            b' ' => {
                self.state = State::Counted(digits.parse().unwrap_or_default());
                self.message = Raw::default();
            }
            _ => return self.state = State::Line,
        }
        *bytes = &bytes[1..];
    }

    fn end(&mut self) -> Raw {
        self.state = State::Between;
        std::mem::take(&mut self.message)
    }
}

/// Whether a line ends with this byte.
const fn is_end(byte: u8) -> bool {
    matches!(byte, b'\n' | 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The messages in what comes in pieces of these sizes.
    fn messages(mut text: &[u8], sizes: &[usize]) -> Vec<Raw> {
        let (mut frames, mut messages) = (Frames::default(), Vec::new());
        let mut sizes = sizes.iter().cycle();
        while !text.is_empty() {
            let (mut piece, rest) = text.split_at(text.len().min(sizes.next().copied().unwrap_or(1)));
            while let Some(message) = frames.take(&mut piece) {
                messages.push(message);
            }
            text = rest;
        }
        messages.extend(frames.finish());
        messages
    }

    fn texts(text: &str) -> Vec<String> {
        let messages = messages(text.as_bytes(), &[usize::MAX]);
        messages.into_iter().map(|message| String::from_utf8(message.head).unwrap()).collect()
    }

    #[test]
    fn counted_messages_and_lines_are_told_apart() {
        assert_eq!(texts("<1>a\n<2>b\n"), ["<1>a", "<2>b"]);
        assert_eq!(texts("6 <1>a\nb4 <2>c\n<3>d\n5 <4>ee"), ["<1>a\nb", "<2>c", "<3>d", "<4>ee"]);
        assert_eq!(texts("\n\0<1>a\0<2>the last has no end"), ["<1>a", "<2>the last has no end"]);
        assert_eq!(texts("12 monkeys"), ["monkeys"]);
        assert_eq!(texts("12monkeys\n1234567890 x\n"), ["12monkeys", "1234567890 x"]);
    }

    #[test]
    fn of_a_long_message_the_beginning_is_kept_and_the_rest_counted() {
        let long = "x".repeat(3 * MESSAGE_BYTES);
        for text in [format!("{long}\n<1>a\n"), format!("{} {long}4 <1>a", long.len())] {
            let messages = messages(text.as_bytes(), &[1_000]);
            assert_eq!(
                (messages[0].head.len(), messages[0].bytes),
                (MESSAGE_BYTES, 3 * MESSAGE_BYTES as u64)
            );
            assert_eq!(messages[1], Raw::whole(b"<1>a"));
        }
        let broken_off = messages(b"100 <1>a", &[3]);
        assert_eq!((broken_off[0].head.as_slice(), broken_off[0].bytes), (&b"<1>a"[..], 100));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_in_which_pieces_messages_come(
            sent in prop::collection::vec((any::<bool>(), "<[0-9]{1,3}>[a-z ]{0,20}"), 0..8),
            sizes in prop::collection::vec(1..9_usize, 1..5),
        ) {
            let framed: String = sent.iter().map(|(counted, message)| match counted {
                true => format!("{} {message}", message.len()),
                false => format!("{message}\n"),
            }).collect();
            let expected: Vec<_> = sent.iter().map(|(_, message)| Raw::whole(message.as_bytes())).collect();
            prop_assert_eq!(messages(framed.as_bytes(), &sizes), expected);
        }

        #[test]
        fn nothing_is_too_strange(bytes: Vec<u8>, sizes in prop::collection::vec(1..9_usize, 1..5)) {
            for message in messages(&bytes, &sizes) {
                prop_assert!(message.head.len() <= MESSAGE_BYTES && message.head.len() as u64 <= message.bytes);
            }
        }
    }
}
