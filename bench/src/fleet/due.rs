//! Frames that are to be sent later, in the order of their times.

use std::{collections::BTreeMap, time::Duration};

use camera_agent::backoff::Ending;
use oriel_proto::{AgentFrame, RequestId};
use tokio::time::Instant;

use super::Socket;

/// What is still to be sent on one connection.
#[derive(Debug, Default)]
pub(crate) struct Due {
    frames: BTreeMap<(Instant, u64), (RequestId, AgentFrame)>,
    count: u64,
}

impl Due {
    /// Sends `frame`, which belongs to the question `id`, in so long.
    pub(crate) fn push(&mut self, after: Duration, id: RequestId, frame: AgentFrame) {
        self.count += 1;
        self.frames.insert((Instant::now() + after, self.count), (id, frame));
    }

    /// Sends nothing more for a question.
    pub(crate) fn forget(&mut self, id: RequestId) {
        self.frames.retain(|_, (of, _)| *of != id);
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.frames.first_key_value().map(|((at, _), _)| *at)
    }

    /// Sends those whose time has come.
    pub(crate) async fn send(&mut self, socket: &mut Socket) -> Result<(), Ending> {
        let mut fed = false;
        while let Some(entry) = self.frames.first_entry()
            && entry.key().0 <= Instant::now()
        {
            let (_, frame) = entry.remove();
            socket.feed(&frame).await?;
            fed = true;
        }
        if fed { socket.flush().await } else { Ok(()) }
    }
}
