//! An answer as the bodies that it is made of, whichever frames they came in.

use std::{collections::VecDeque, time::Duration};

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
        // Nearly all of an answer that is long; not copied once more.
        if let Some(bytes) = read_bytes(piece.frame()) {
            return Ok(Next::Body(Body::Bytes(piece.frame().slice_ref(bytes))));
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
