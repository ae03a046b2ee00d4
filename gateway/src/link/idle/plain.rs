//! Messages that need no codec: binary ones in a single frame, of which all has come.

use std::{io::Cursor, mem};

use bytes::{Buf, Bytes, BytesMut};
use tokio_tungstenite::tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Data, OpCode},
};

/// Takes the message that `came` begins with, unless it is another's: the codec's are control frames, fragments, what is longer
/// than `most`, what is not whole, and whatever breaks a rule.
pub(super) fn take(came: &mut BytesMut, most: Option<usize>) -> Option<Bytes> {
    let mut cursor = Cursor::new(&came[..]);
    let (header, length) = FrameHeader::parse(&mut cursor).ok()??;
    let begin = usize::try_from(cursor.position()).ok()?;
    let length = usize::try_from(length).ok()?;
    let reserved = header.rsv1 || header.rsv2 || header.rsv3;
    let plain = header.is_final && !reserved && header.opcode == OpCode::Data(Data::Binary);
    let mask = header.mask.filter(|_| plain && most.is_none_or(|most| length <= most))?;
    if came.len() - begin < length {
        return None;
    }
    came.advance(begin);
    // The last one takes all: a remainder of nothing would keep what it is a remainder of for as long as the socket is silent.
    let mut payload = if came.len() == length { mem::take(came) } else { came.split_to(length) };
    unmask(&mut payload, mask);
    Some(payload.freeze())
}

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
