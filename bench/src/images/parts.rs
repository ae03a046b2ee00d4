//! The parts of a multipart body as they come, in pieces of any size.

use oriel_gateway::clock;
use oriel_proto::Timestamp;

use crate::failure::{Doing, Failure, Result};

/// The longest head of a part, with the boundary before it.
const HEAD_BYTES: usize = 4 << 10;

/// The longest part that is no picture.
const TEXT_BYTES: usize = 1 << 20;

/// One part that has come whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Part {
    /// When the picture was taken; none of a part that is none.
    pub(super) at: Option<Timestamp>,
    /// Whose it is; empty of a part that is no picture.
    pub(super) camera: String,
    /// Its length.
    pub(super) bytes: usize,
    /// All of it, when it is no picture.
    pub(super) text: Vec<u8>,
}

/// Where in a body its reader is.
#[derive(Debug, Default)]
pub(super) struct Parts {
    head: Vec<u8>,
    /// The part that is coming, and how much of it is to come.
    coming: Option<(Part, usize)>,
}

impl Parts {
    /// Takes the next piece; `whole` is told of each part that it completes.
    pub(super) fn take(&mut self, mut piece: &[u8], mut whole: impl FnMut(Part)) -> Result<()> {
        loop {
            if self.coming.is_none() {
                match self.take_head(piece)? {
                    Some(rest) => piece = rest,
                    None => return Ok(()),
                }
            }
            let Some((part, left)) = &mut self.coming else { return Ok(()) };
            let now = piece.len().min(*left);
            if part.at.is_none() {
                part.text.extend_from_slice(&piece[..now]);
            }
            (*left, piece) = (*left - now, &piece[now..]);
            if *left > 0 {
                return Ok(());
            }
            whole(std::mem::take(part));
            self.coming = None;
        }
    }

    /// Looks for the end of a part's head; what is behind it, if it has come.
    fn take_head<'a>(&mut self, piece: &'a [u8]) -> Result<Option<&'a [u8]>> {
        let had = self.head.len();
        self.head.extend_from_slice(&piece[..piece.len().min(HEAD_BYTES + 1)]);
        let Some(end) = self.head.windows(4).position(|four| four == b"\r\n\r\n") else {
            return match self.head.len() {
                ..=HEAD_BYTES => Ok(None),
                _ => Err(Failure::new("the head of a part does not end")),
            };
        };
        self.coming = Some(read(std::str::from_utf8(&self.head[..end]).doing("the head of a part")?)?);
        self.head.clear();
        Ok(Some(&piece[end + 4 - had..]))
    }
}

/// What a head says: the part, and how long it is.
fn read(head: &str) -> Result<(Part, usize)> {
    let field = |name: &str| {
        head.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let length = field("content-length").and_then(|length| length.parse().ok());
    let bytes: usize = length.ok_or_else(|| Failure::new(format!("a part without its length: {head:?}")))?;
    let at = field("x-image-at").map(|at| clock::parse(at, Timestamp::default()).doing(at)).transpose()?;
    if at.is_none() && bytes > TEXT_BYTES {
        return Err(Failure::new(format!("a text of {bytes} bytes")));
    }
    let camera = field("x-camera").unwrap_or_default().to_owned();
    Ok((Part { at, camera, bytes, text: Vec::new() }, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: 5\r\nX-Camera: porch\r\n\
        x-image-at: 2026-11-22T08:15:30.123000Z\r\n\r\n\xff\r\n\r\n\r\n--b\r\nContent-Type: application/json\r\n\
        Content-Length: 2\r\n\r\n{}\r\n--b--\r\n";

    #[test]
    fn parts_are_found_however_they_are_cut() {
        for size in 1..BODY.len() {
            let (mut parts, mut found) = (Parts::default(), Vec::new());
            for piece in BODY.chunks(size) {
                parts.take(piece, |part| found.push(part)).unwrap();
            }
            let [picture, text] = &*found else { panic!("{found:?}") };
            assert_eq!((&*picture.camera, picture.bytes, &*picture.text), ("porch", 5, &b""[..]));
            assert_eq!(picture.at, Some(Timestamp::from_millis(1_795_335_330_123)), "{size}");
            assert_eq!((text.at, &*text.text), (None, &b"{}"[..]));
        }
    }

    #[test]
    fn a_part_must_say_how_long_it_is() {
        assert!(Parts::default().take(b"--b\r\nX-Camera: porch\r\n\r\n", drop).is_err());
        assert!(Parts::default().take(&[b'a'; HEAD_BYTES + 1], drop).is_err());
    }
}
