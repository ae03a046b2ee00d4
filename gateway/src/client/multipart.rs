//! Reads `multipart/x-mixed-replace`, strictly: each part says its length, and nothing stands between two parts.

use bytes::{Buf, Bytes, BytesMut};

/// The most bytes of one part's header lines.
const HEAD_BYTES: usize = 4 << 10;

/// The most header lines of one part.
const HEADERS: usize = 16;

/// The most bytes of a boundary (RFC 2046).
const BOUNDARY_BYTES: usize = 70;

/// Why something is not such a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(&'static str);

/// One part of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Its media type, as it was given.
    pub(super) media: String,
    /// The value of `X-Image-At`, empty without it.
    pub(super) at: String,
    /// Its content.
    pub(super) body: Bytes,
}

/// What has come of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// A whole part.
    Part(Part),
    /// Less than a part: more bytes are needed.
    Little,
    /// The end.
    End,
}

/// A stream of parts, fed with what comes over the wire.
#[derive(Debug)]
pub(super) struct Parts {
    /// Two dashes and the boundary.
    delimiter: Vec<u8>,
    /// The most bytes of one body.
    most: usize,
    /// What has come and was not taken yet.
    waiting: BytesMut,
    place: Place,
}

/// What comes next.
#[derive(Debug)]
enum Place {
    /// The first delimiter.
    Start,
    /// The delimiter behind a body.
    Between,
    /// Header lines.
    Head,
    /// A body of so many bytes.
    Body { media: String, at: String, length: usize },
    /// Nothing any more.
    End,
}

impl Parts {
    /// For an answer with this `Content-Type`; a body has at most `most` bytes.
    pub(super) fn of(media: &str, most: usize) -> Result<Self, Malformed> {
        let mut words = media.split(';').map(str::trim);
        if !words.next().is_some_and(|media| media.eq_ignore_ascii_case("multipart/x-mixed-replace")) {
            return Err(Malformed("it does not send pictures one after another"));
        }
        let boundary = words.find_map(|word| {
            let (name, value) = word.split_once('=')?;
            name.eq_ignore_ascii_case("boundary").then(|| value.trim_matches('"'))
        });
        let boundary = boundary.filter(|text| is_boundary(text)).ok_or(Malformed("it names no boundary"))?;
        let delimiter = [b"--", boundary.as_bytes()].concat();
        Ok(Self { delimiter, most, waiting: BytesMut::new(), place: Place::Start })
    }

    /// Adds what has come.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// Takes the next part, if it has come whole.
    pub(super) fn take(&mut self) -> Result<Came, Malformed> {
        loop {
            let is_known = match &mut self.place {
                Place::Start => self.delimiter(true)?,
                Place::Between => self.delimiter(false)?,
                Place::Head => self.head()?,
                Place::End => return Ok(Came::End),
                Place::Body { length, .. } if self.waiting.len() < *length => false,
                Place::Body { media, at, length } => {
                    let body = self.waiting.split_to(*length).freeze();
                    let part = Part { media: std::mem::take(media), at: std::mem::take(at), body };
                    self.place = Place::Between;
                    return Ok(Came::Part(part));
                }
            };
            if !is_known {
                return Ok(Came::Little);
            }
        }
    }

    /// Reads a delimiter, which begins on a line of its own; whether it has come.
    fn delimiter(&mut self, is_first: bool) -> Result<bool, Malformed> {
        const STRAY: Malformed = Malformed("something stands between two parts");
        let break_before: &[u8] = if is_first && !self.waiting.starts_with(b"\r") { b"" } else { b"\r\n" };
        let expected = [break_before, &self.delimiter].concat();
        let there = expected.len().min(self.waiting.len());
        if self.waiting[..there] != expected[..there] {
            return Err(STRAY);
        }
        let Some(behind) = self.waiting.get(expected.len()..expected.len() + 2) else { return Ok(false) };
        self.place = match behind {
            b"\r\n" => Place::Head,
            b"--" => Place::End,
            _ => return Err(STRAY),
        };
        self.waiting.advance(expected.len() + 2);
        Ok(true)
    }

    /// Reads the header lines; whether they have come.
    fn head(&mut self) -> Result<bool, Malformed> {
        if self.waiting.starts_with(b"\r") {
            // A part without lines and content: nobody knew, when it was begun, that there would be no other picture.
            return match self.delimiter(false)? {
                true if !matches!(self.place, Place::End) => Err(Malformed("a part is empty")),
                is_known => Ok(is_known),
            };
        }
        let text = &self.waiting[..self.waiting.len().min(HEAD_BYTES)];
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let read = match httparse::parse_headers(text, &mut headers) {
            Ok(httparse::Status::Complete((read, _))) => read,
            Ok(httparse::Status::Partial) if text.len() < HEAD_BYTES => return Ok(false),
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Err(Malformed("a part has too many header lines"));
            }
            Err(_) => return Err(Malformed("a part has broken header lines")),
        };
        let one = |name: &str| one(&headers, name);
        let length = length(one("content-length")?, self.most)?;
        let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
        let (media, at) = (text(one("content-type")?), text(one("x-image-at")?));
        self.waiting.advance(read);
        self.place = Place::Body { media, at, length };
        Ok(true)
    }
}

fn is_boundary(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
    (1..=BOUNDARY_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

/// The value of a header that may be there once.
fn one<'a>(headers: &[httparse::Header<'a>], name: &str) -> Result<Option<&'a [u8]>, Malformed> {
    let mut found = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(Malformed("a part says something twice")),
        (first, None) => Ok(first.map(|header| header.value)),
    }
}

/// A length in digits alone, which is at most `most`.
fn length(text: Option<&[u8]>, most: usize) -> Result<usize, Malformed> {
    let text = text.ok_or(Malformed("a part does not say its length"))?;
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let length = digits.filter(|text| !text.is_empty()).ok_or(Malformed("a part's length is no number"))?;
    let length = length.parse().ok().filter(|length| *length <= most);
    length.ok_or(Malformed("a part is larger than a picture may be"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MEDIA: &str = "multipart/x-mixed-replace; boundary=frame";
    const HEAD: &str = "Content-Type: image/jpeg\r\nContent-Length: ";

    fn fed(bytes: &[u8]) -> Parts {
        let mut parts = Parts::of(MEDIA, 100).unwrap();
        parts.feed(bytes);
        parts
    }

    fn taken(parts: &mut Parts, into: &mut Vec<Came>) -> Result<(), Malformed> {
        loop {
            match parts.take()? {
                Came::Little => return Ok(()),
                Came::End => {
                    if into.last() != Some(&Came::End) {
                        into.push(Came::End);
                    }
                    return Ok(());
                }
                part => into.push(part),
            }
        }
    }

    /// Two parts and the end; one's content looks like delimiters, and the end.
    fn two() -> Vec<u8> {
        let at = "X-Image-At: 2026-11-22T08:15:30.123Z";
        format!("--frame\r\n{HEAD}11\r\n{at}\r\n\r\n\r\n--frame--\r\n--frame\r\nx-image-at: b\r\ncontent-type: c\r\nContent-Length: 0\r\n\r\n\r\n--frame--")
            .into_bytes()
    }

    #[test]
    fn parts_are_the_same_wherever_the_stream_is_cut() {
        let part = |media: &str, at: &str, body: &'static str| {
            Came::Part(Part { media: media.into(), at: at.into(), body: body.into() })
        };
        let whole =
            [part("image/jpeg", "2026-11-22T08:15:30.123Z", "\r\n--frame--"), part("c", "b", ""), Came::End];
        let stream = two();
        let empty = [&stream[..stream.len() - 2], b"\r\n\r\n--frame--\r\n"].concat();
        let mut came = Vec::new();
        taken(&mut fed(&empty), &mut came).unwrap();
        assert_eq!(came, whole, "a delimiter before anybody knew that the end would come");
        for (start, cut) in
            ["", "\r\n"].iter().flat_map(|start| (0..=stream.len()).map(move |cut| (start, cut)))
        {
            let mut parts = fed(start.as_bytes());
            let mut came = Vec::new();
            for piece in [&stream[..cut], &stream[cut..]] {
                parts.feed(piece);
                taken(&mut parts, &mut came).unwrap();
            }
            assert_eq!(came, whole, "cut at {cut}");
        }
        let (mut parts, mut came) = (fed(b""), Vec::new());
        for byte in stream.chunks(1) {
            parts.feed(byte);
            taken(&mut parts, &mut came).unwrap();
        }
        assert_eq!(came, whole);
    }

    #[test]
    fn what_is_no_stream_of_parts_is_refused_and_said() {
        let many = "A: b\r\n".repeat(HEADERS + 1);
        let long = format!("A: {}", "b".repeat(HEAD_BYTES));
        for (stream, why) in [
            ("<html>", "stands between"),
            ("\r\r\n--frame\r\n", "stands between"),
            ("--frame--x", ""),
            ("--framework\r\n", "stands between"),
            ("--frame\r\nA: b\r\n\r\nx", "does not say its length"),
            ("--frame\r\n\r\nx", "stands between"),
            ("--frame\r\n\r\n--frame\r\n", "is empty"),
            ("--frame\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "twice"),
            ("--frame\r\nContent-Length: +1\r\n\r\n", "no number"),
            ("--frame\r\nContent-Length: -1\r\n\r\n", "no number"),
            ("--frame\r\nContent-Length:\r\n\r\n", "no number"),
            ("--frame\r\nContent-Length: 101\r\n\r\n", "larger"),
            ("--frame\r\nContent-Length: 99999999999999999999999\r\n\r\n", "larger"),
            ("--frame\r\nContent Length: 1\r\n\r\n", "broken header"),
            (&format!("--frame\r\n{many}"), "too many"),
            (&format!("--frame\r\n{long}"), "too many"),
            ("--frame\r\nContent-Length: 1\r\n\r\nabc--frame", "stands between"),
        ] {
            let mut came = Vec::new();
            match taken(&mut fed(stream.as_bytes()), &mut came) {
                Err(Malformed(said)) => assert!(!why.is_empty() && said.contains(why), "{stream:?}: {said}"),
                Ok(()) => assert!(why.is_empty() && came == [Came::End], "{stream:?}: {came:?}"),
            }
        }
    }

    #[test]
    fn only_a_stream_with_a_usable_boundary_is_taken() {
        for media in
            ["multipart/x-mixed-replace;boundary=\"a b\"", "multipart/x-mixed-replace", "image/jpeg", ""]
        {
            assert!(Parts::of(media, 1).is_err(), "{media}");
        }
        let long = format!("multipart/x-mixed-replace; boundary={}", "b".repeat(BOUNDARY_BYTES + 1));
        assert!(Parts::of(&long, 1).is_err());
        assert!(Parts::of("Multipart/X-Mixed-Replace; a=b; Boundary=\"frame\"", 1).is_ok());
    }

    proptest! {
        #[test]
        fn no_stream_makes_it_panic_or_hold_more_than_came(
            pieces in prop::collection::vec(prop_oneof![
                Just("--frame".to_owned()), Just("\r\n".to_owned()), Just("--".to_owned()),
                Just("Content-Length: 3\r\n".to_owned()), Just("Content-Length: 100\r\n".to_owned()), ".{0,6}"
            ], 0..40),
        ) {
            let mut parts = fed(b"");
            let mut came = Vec::new();
            for piece in &pieces {
                parts.feed(piece.as_bytes());
                if taken(&mut parts, &mut came).is_err() || came.last() == Some(&Came::End) {
                    break;
                }
                prop_assert!(parts.waiting.len() <= 100 + HEAD_BYTES);
            }
        }
    }
}
