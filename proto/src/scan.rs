//! One pass over a frame before serde sees it, so that hostile input can cost neither stack nor memory.

use uuid::Uuid;

use crate::{codec::Violation, id::RequestId, limits::DEPTH};

/// What the pass learns of a frame: enough to skip it or to fail its question when the rest cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline<'a> {
    /// The frame's name.
    pub tag: &'a str,
    /// The question that it belongs to.
    pub id: Option<RequestId>,
    /// Its place among the pieces of an answer.
    pub n: Option<u64>,
}

/// Checks that `bytes` are exactly one map of one entry from a name to a map of fields, that no declared length exceeds what is
/// there, and that no more than [`DEPTH`] levels of maps and arrays nest, the frame's own two included.
pub(crate) fn outline(bytes: &[u8]) -> Result<Outline<'_>, Violation> {
    let mut scanner = Scanner { rest: bytes };
    let Token::Map(1) = scanner.token()? else { return Err(Violation::NotAFrame) };
    let Token::Str(tag) = scanner.token()? else { return Err(Violation::NotAFrame) };
    let tag = std::str::from_utf8(tag).map_err(|_| Violation::NotAFrame)?;
    let Token::Map(fields) = scanner.token()? else { return Err(Violation::NotAFrame) };
    let (mut id, mut n) = (None, None);
    for _ in 0..fields {
        let key = scanner.token()?;
        let name = if let Token::Str(name) = key { name } else { b"" };
        scanner.skip(key)?;
        let value = scanner.token()?;
        match (name, &value) {
            (b"id", Token::Bin(uuid)) => id = Uuid::from_slice(uuid).ok().map(RequestId::from),
            (b"n", value) => n = value.number(),
            _ => {}
        }
        scanner.skip(value)?;
    }
    if scanner.rest.is_empty() { Ok(Outline { tag, id, n }) } else { Err(Violation::Trailing) }
}

/// Levels above the values of a frame's fields: the frame and its fields.
const OUTER_LEVELS: usize = 2;

/// Bytes of a value with its marker, where the marker alone says how many: small numbers and texts, nil, booleans, numbers,
/// extensions of fixed size. 0 for all others.
const FIXED: [u8; 256] = {
    let mut fixed = [0; 256];
    let mut marker = 0;
    while marker < 256 {
        fixed[marker] = match marker {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => 1,
            0xa0..=0xbf => 1 + (marker as u8 & 0x1f),
            0xcc..=0xcf => 1 + (1 << (marker - 0xcc)),
            0xd0..=0xd3 => 1 + (1 << (marker - 0xd0)),
            0xca => 5,
            0xcb => 9,
            0xd4..=0xd8 => 2 + (1 << (marker - 0xd4)),
            _ => 0,
        };
        marker += 1;
    }
    fixed
};

/// One MessagePack marker and what belongs to it; of arrays and maps only the length.
#[derive(Clone, Copy)]
pub(crate) enum Token<'a> {
    Nil,
    Uint(u64),
    /// A negative number, or one that its writer took for signed.
    Int(i64),
    Str(&'a [u8]),
    Bin(&'a [u8]),
    Array(usize),
    Map(usize),
    /// A boolean, a float or an extension.
    Other,
}

impl Token<'_> {
    /// A number that is not negative, however its writer wrote it.
    pub(crate) fn number(&self) -> Option<u64> {
        match self {
            Self::Uint(number) => Some(*number),
            Self::Int(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// How many values follow that belong to it; none when it is not a level of its own.
    const fn children(&self) -> Option<usize> {
        match self {
            Self::Array(n) => Some(*n),
            Self::Map(n) => Some(2 * *n),
            _ => None,
        }
    }
}

/// Reads one token after the other.
pub(crate) struct Scanner<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    /// Passes over everything inside `token`, which has just been read, with a stack of fixed size.
    pub(crate) fn skip(&mut self, token: Token<'_>) -> Result<(), Violation> {
        // How many values are still to come on each level.
        let mut open = [0_usize; DEPTH - OUTER_LEVELS];
        let mut level = 0;
        let mut children = token.children();
        loop {
            if let Some(children) = children {
                *open.get_mut(level).ok_or(Violation::TooDeep)? = children;
                level += 1;
            }
            loop {
                let Some(innermost) = level.checked_sub(1) else { return Ok(()) };
                while open[innermost] > 0 && self.pass_fixed() {
                    open[innermost] -= 1;
                }
                if open[innermost] > 0 {
                    open[innermost] -= 1;
                    break;
                }
                level = innermost;
            }
            children = self.token()?.children();
        }
    }

    /// Passes over the next value, if its marker alone says how long it is. This and what follows up to [`token`](Self::token) is
    /// here for speed alone: `token` knows all of it.
    #[inline]
    fn pass_fixed(&mut self) -> bool {
        let length = self.rest.first().map_or(0, |marker| usize::from(FIXED[usize::from(*marker)]));
        let fixed = length > 0 && length <= self.rest.len();
        if fixed {
            self.rest = &self.rest[length..];
        }
        fixed
    }

    /// The text that comes next, if it is one of less than 256 bytes.
    #[inline]
    pub(crate) fn short_text(&mut self) -> Option<&'a [u8]> {
        let (header, length) = match *self.rest {
            [marker @ 0xa0..=0xbf, ..] => (1, usize::from(marker & 0x1f)),
            [0xd9, length, ..] => (2, usize::from(length)),
            _ => return None,
        };
        let text = self.rest.get(header..header + length)?;
        self.rest = &self.rest[header + length..];
        Some(text)
    }

    /// The length of the map that comes next, if it has less than 16 entries.
    #[inline]
    pub(crate) fn short_map(&mut self) -> Option<usize> {
        let (marker @ 0x80..=0x8f, rest) = self.rest.split_first()? else { return None };
        self.rest = rest;
        Some(usize::from(marker & 0x0f))
    }

    /// The number that comes next, if it has eight bytes and no sign.
    #[inline]
    pub(crate) fn long_number(&mut self) -> Option<u64> {
        let (number, rest) = self.rest.strip_prefix(&[0xcf])?.split_first_chunk()?;
        self.rest = rest;
        Some(u64::from_be_bytes(*number))
    }

    /// Passes over these bytes, if they come next.
    #[inline]
    pub(crate) fn literal<const N: usize>(&mut self, bytes: &[u8; N]) -> Option<()> {
        let (first, rest) = self.rest.split_first_chunk::<N>()?;
        (first == bytes).then(|| self.rest = rest)
    }

    /// The UUID that comes next, if there is one.
    #[inline]
    pub(crate) fn uuid(&mut self) -> Option<Uuid> {
        let (uuid, rest) = self.rest.strip_prefix(&[0xc4, 16])?.split_first_chunk()?;
        self.rest = rest;
        Some(Uuid::from_bytes(*uuid))
    }

    /// The next token.
    #[inline(always)]
    pub(crate) fn token(&mut self) -> Result<Token<'a>, Violation> {
        let marker = self.take(1)?[0];
        Ok(match marker {
            0x00..=0x7f => Token::Uint(marker.into()),
            0x80..=0x8f => self.map(usize::from(marker & 0x0f))?,
            0x90..=0x9f => self.array(usize::from(marker & 0x0f))?,
            0xa0..=0xbf => Token::Str(self.take(usize::from(marker & 0x1f))?),
            0xc0 => Token::Nil,
            0xc1 => return Err(Violation::NotMessagePack),
            0xc2 | 0xc3 => Token::Other,
            0xc4..=0xc6 => Token::Bin(self.sized(marker - 0xc4)?),
            0xc7..=0xc9 => {
                let length = self.number(1 << (marker - 0xc7))?;
                self.other(usize::try_from(length).unwrap_or(usize::MAX).saturating_add(1))?
            }
            0xca => self.other(4)?,
            0xcb => self.other(8)?,
            0xcc..=0xcf => Token::Uint(self.number(1 << (marker - 0xcc))?),
            0xd0..=0xd3 => self.signed(1 << (marker - 0xd0))?,
            0xd4..=0xd8 => self.other(1 + (1 << (marker - 0xd4)))?,
            0xd9..=0xdb => Token::Str(self.sized(marker - 0xd9)?),
            0xdc | 0xdd => {
                let length = self.number(2 << (marker - 0xdc))?;
                self.array(usize::try_from(length).unwrap_or(usize::MAX))?
            }
            0xde | 0xdf => {
                let length = self.number(2 << (marker - 0xde))?;
                self.map(usize::try_from(length).unwrap_or(usize::MAX))?
            }
            0xe0..=0xff => Token::Int(i64::from(marker.cast_signed())),
        })
    }

    /// An array of `n` values, each of which takes at least one byte.
    fn array(&self, n: usize) -> Result<Token<'a>, Violation> {
        if n <= self.rest.len() { Ok(Token::Array(n)) } else { Err(Violation::LyingLength) }
    }

    /// A map of `n` entries, each of which takes at least two bytes.
    fn map(&self, n: usize) -> Result<Token<'a>, Violation> {
        if n <= self.rest.len() / 2 { Ok(Token::Map(n)) } else { Err(Violation::LyingLength) }
    }

    fn other(&mut self, bytes: usize) -> Result<Token<'a>, Violation> {
        self.take(bytes).map(|_| Token::Other)
    }

    /// Bytes behind a length of `1 << width` bytes.
    fn sized(&mut self, width: u8) -> Result<&'a [u8], Violation> {
        let length = self.number(1 << width)?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// A big-endian number of `bytes` bytes.
    #[inline]
    fn number(&mut self, bytes: usize) -> Result<u64, Violation> {
        Ok(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A big-endian number of `bytes` bytes in two's complement.
    fn signed(&mut self, bytes: usize) -> Result<Token<'a>, Violation> {
        let unused = 64 - 8 * bytes;
        Ok(Token::Int(self.number(bytes)?.cast_signed() << unused >> unused))
    }

    #[inline]
    fn take(&mut self, n: usize) -> Result<&'a [u8], Violation> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(Violation::LyingLength)?;
        self.rest = rest;
        Ok(taken)
    }
}
