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
}

/// Checks that `bytes` are exactly one map of one entry from a name to a map of fields, that no declared length exceeds what is
/// there, and that no more than [`DEPTH`] levels of maps and arrays nest, the frame's own two included.
pub(crate) fn outline(bytes: &[u8]) -> Result<Outline<'_>, Violation> {
    let mut scanner = Scanner { rest: bytes };
    let Token::Map(1) = scanner.token()? else { return Err(Violation::NotAFrame) };
    let Token::Str(tag) = scanner.token()? else { return Err(Violation::NotAFrame) };
    let tag = std::str::from_utf8(tag).map_err(|_| Violation::NotAFrame)?;
    let Token::Map(fields) = scanner.token()? else { return Err(Violation::NotAFrame) };
    let mut id = None;
    for _ in 0..fields {
        let key = scanner.token()?;
        let is_id = matches!(key, Token::Str(b"id"));
        scanner.skip(key)?;
        let value = scanner.token()?;
        if let (true, Token::Bin(uuid)) = (is_id, &value) {
            id = Uuid::from_slice(uuid).ok().map(RequestId::from);
        }
        scanner.skip(value)?;
    }
    if scanner.rest.is_empty() { Ok(Outline { tag, id }) } else { Err(Violation::Trailing) }
}

/// Levels above the values of a frame's fields: the frame and its fields.
const OUTER_LEVELS: usize = 2;

/// One MessagePack marker and what belongs to it; of arrays and maps only the length.
enum Token<'a> {
    Str(&'a [u8]),
    Bin(&'a [u8]),
    Array(usize),
    Map(usize),
    Scalar,
}

impl Token<'_> {
    /// How many values follow that belong to it; none when it is not a level of its own.
    const fn children(&self) -> Option<usize> {
        match self {
            Self::Array(n) => Some(*n),
            Self::Map(n) => Some(2 * *n),
            Self::Str(_) | Self::Bin(_) | Self::Scalar => None,
        }
    }
}

struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    /// Passes over everything inside `token`, which has just been read, with a stack of fixed size.
    fn skip(&mut self, token: Token<'_>) -> Result<(), Violation> {
        let mut open = [0_usize; DEPTH - OUTER_LEVELS];
        let mut level = 0;
        let mut children = token.children();
        loop {
            if let Some(children) = children {
                *open.get_mut(level).ok_or(Violation::TooDeep)? = children;
                level += 1;
            }
            while level > 0 && open[level - 1] == 0 {
                level -= 1;
            }
            if level == 0 {
                return Ok(());
            }
            open[level - 1] -= 1;
            children = self.token()?.children();
        }
    }

    fn token(&mut self) -> Result<Token<'a>, Violation> {
        let marker = self.take(1)?[0];
        Ok(match marker {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => Token::Scalar,
            0x80..=0x8f => self.map(usize::from(marker & 0x0f))?,
            0x90..=0x9f => self.array(usize::from(marker & 0x0f))?,
            0xa0..=0xbf => Token::Str(self.take(usize::from(marker & 0x1f))?),
            0xc4..=0xc6 => Token::Bin(self.sized(marker - 0xc4)?),
            0xd9..=0xdb => Token::Str(self.sized(marker - 0xd9)?),
            0xc7..=0xc9 => {
                let length = self.length(marker - 0xc7)?;
                self.scalar(length.saturating_add(1))?
            }
            0xca | 0xce | 0xd2 => self.scalar(4)?,
            0xcb | 0xcf | 0xd3 => self.scalar(8)?,
            0xcc | 0xd0 => self.scalar(1)?,
            0xcd | 0xd1 => self.scalar(2)?,
            0xd4..=0xd8 => self.scalar(1 + (1 << (marker - 0xd4)))?,
            0xdc | 0xdd => {
                let length = self.length(marker - 0xdc + 1)?;
                self.array(length)?
            }
            0xde | 0xdf => {
                let length = self.length(marker - 0xde + 1)?;
                self.map(length)?
            }
            0xc1 => return Err(Violation::NotMessagePack),
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

    fn scalar(&mut self, bytes: usize) -> Result<Token<'a>, Violation> {
        self.take(bytes).map(|_| Token::Scalar)
    }

    /// Bytes behind a length of 1, 2 or 4 bytes.
    fn sized(&mut self, width: u8) -> Result<&'a [u8], Violation> {
        let length = self.length(width)?;
        self.take(length)
    }

    /// A big-endian length of `1 << width` bytes.
    fn length(&mut self, width: u8) -> Result<usize, Violation> {
        let bytes = self.take(1 << width)?;
        Ok(bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Violation> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(Violation::LyingLength)?;
        self.rest = rest;
        Ok(taken)
    }
}
