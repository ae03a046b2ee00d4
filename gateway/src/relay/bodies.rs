//! An answer as the bodies that it is made of, whichever frames they came in.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use oriel_proto::{AgentFrame, Body, Trailer, decode, view::read_bytes};

use super::{Answering, RelayError};

/// An answer that is read body by body.
#[derive(Debug)]
pub struct Bodies {
    answering: Answering,
    waiting: VecDeque<Body>,
    trailer: Option<Trailer>,
}

/// What comes next of an answer.
#[derive(Debug)]
pub enum Next {
    /// A body.
    Body(Body),
    /// Nothing comes behind it.
    End(Trailer),
}

impl Bodies {
    /// Those of an answer that has begun.
    pub const fn of(answering: Answering) -> Self {
        Self { answering, waiting: VecDeque::new(), trailer: None }
    }

    /// From the question to the camera's first word.
    pub const fn waited(&self) -> Duration {
        self.answering.waited
    }

    /// Waits until something more has come, however long that takes, as long as the camera's agent gives signs of life. Safe to drop
    /// and call again.
    pub async fn wait(&mut self) -> Result<(), RelayError> {
        match self.waiting.is_empty() && self.trailer.is_none() {
            true => self.answering.wait().await,
            false => Ok(()),
        }
    }

    /// The next body, or the end, behind which there is nothing. Safe to drop and call again.
    pub async fn next(&mut self) -> Result<Next, RelayError> {
        if let Some(body) = self.waiting.pop_front() {
            return Ok(Next::Body(body));
        }
        if let Some(trailer) = self.trailer.take() {
            return Ok(Next::End(trailer));
        }
        let piece = self.answering.next().await?;
        // Nearly all of an answer that is long.
        if let Some(bytes) = bytes_of(piece.frame()) {
            return Ok(Next::Body(Body::Bytes(bytes)));
        }
        let frame = decode(piece.frame()).map_err(|error| self.answering.unreadable(&piece, error))?;
        match frame {
            AgentFrame::Part { body, .. } => Ok(Next::Body(body)),
            AgentFrame::Done { trailer, .. } => Ok(Next::End(trailer)),
            AgentFrame::Reply { answer, .. } => {
                self.waiting.extend(answer.body);
                let first = self.waiting.pop_front();
                Ok(match first {
                    Some(body) => {
                        self.trailer = Some(answer.trailer);
                        Next::Body(body)
                    }
                    None => Next::End(answer.trailer),
                })
            }
            _ => Err(RelayError::other_content()),
        }
    }
}

/// What a frame may have beside the bytes of a picture that are not copied out of it.
const BESIDE: usize = 512;

/// The bytes of a picture in a Part: those of the frame itself, unless it is much larger, for they may be kept for long.
fn bytes_of(frame: &Bytes) -> Option<Bytes> {
    let bytes = read_bytes(frame)?;
    let is_lean = frame.len() <= bytes.len() + BESIDE;
    Some(if is_lean { frame.slice_ref(bytes) } else { Bytes::copy_from_slice(bytes) })
}

#[cfg(test)]
mod tests {
    use oriel_proto::{RequestId, encode};

    use super::*;

    #[test]
    fn the_bytes_of_a_part_are_its_own_unless_they_would_keep_much_more() {
        let picture = Bytes::from(vec![7; 5_000]);
        let part = AgentFrame::Part { id: RequestId::new(), n: 1, body: Body::Bytes(picture.clone()) };
        let lean = encode(&part).unwrap();
        // A field that nobody knows, in a map of one field more.
        let mut bulky = lean.clone();
        let fields = bulky.iter().position(|byte| *byte == 0x83).unwrap();
        bulky[fields] = 0x84;
        bulky.extend([0xa1, b'x', 0xc5, 0x03, 0xe8]);
        bulky.resize(bulky.len() + 1_000, 0);
        for (frame, is_shared) in [(lean, true), (bulky, false)] {
            let frame = Bytes::from(frame);
            let bytes = bytes_of(&frame).unwrap();
            assert_eq!((&bytes, frame.is_unique()), (&picture, !is_shared));
        }
    }
}
