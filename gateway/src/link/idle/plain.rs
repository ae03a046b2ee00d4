//! Messages that need no codec: binary ones in a single frame, of which all has come.

use std::{io::Cursor, mem};

use bytes::{Buf, Bytes, BytesMut};
use tokio_tungstenite::tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Data, OpCode},
};

/// What bytes begin with.
pub(super) enum Begins {
    /// A message that was taken; it shares its memory with nothing.
    Whole(Bytes),
    /// One of which more must come.
    Partly,
    /// Another's: the codec's are control frames, fragments, what is too long, and whatever breaks a rule.
    Foreign,
}

/// Takes the message that `came` begins with, of at most `most` bytes.
pub(super) fn take(came: &mut BytesMut, most: Option<usize>) -> Begins {
    let mut cursor = Cursor::new(&came[..]);
    let (header, length) = match FrameHeader::parse(&mut cursor) {
        Ok(Some(parsed)) => parsed,
        Ok(None) => return Begins::Partly,
        Err(_) => return Begins::Foreign,
    };
    let reserved = header.rsv1 || header.rsv2 || header.rsv3;
    let plain = header.is_final && !reserved && header.opcode == OpCode::Data(Data::Binary);
    let bounds = (usize::try_from(cursor.position()), usize::try_from(length));
    let (Ok(begin), Ok(length)) = bounds else { return Begins::Foreign };
    let Some(mask) = header.mask.filter(|_| plain && most.is_none_or(|most| length <= most)) else {
        return Begins::Foreign;
    };
    if came.len() - begin < length {
        return Begins::Partly;
    }
    came.advance(begin);
    Begins::Whole(if came.len() == length && came.capacity() <= length + SPARE {
        let mut payload = mem::take(came);
        unmask(&mut payload, mask);
        payload.freeze()
    } else {
        let mut payload = came[..length].to_vec();
        unmask(&mut payload, mask);
        came.advance(length);
        if came.is_empty() {
            // What is left of nothing would keep the memory of what it is left of for as long as the socket is silent.
            *came = BytesMut::new();
        }
        payload.into()
    })
}

/// Bytes of memory that a message may keep beside its own.
const SPARE: usize = 256;

/// Eight bytes at once, which is what makes it quick.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= mask;
    }
}
