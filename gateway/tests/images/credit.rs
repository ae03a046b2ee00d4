//! Cameras with large pictures, which send as much as they are allowed.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use oriel_proto::{AgentFrame, GatewayFrame, RequestId, encode, limits::FIRST_CREDIT};

use crate::common::*;

/// What one answer may still send.
pub(crate) struct Credit {
    id: RequestId,
    left: usize,
}

impl Credit {
    pub(crate) fn of(id: RequestId) -> Self {
        Self { id, left: FIRST_CREDIT as usize }
    }

    /// Sends a frame of the answer once it may be sent; gives what came meanwhile and was no credit. None when the answer is taken
    /// back, or the gateway has gone.
    pub(crate) async fn send(
        &mut self,
        agent: &mut RawAgent,
        frame: AgentFrame,
    ) -> Option<Vec<GatewayFrame>> {
        let bytes = encode(&frame).unwrap();
        let cost = if matches!(frame, AgentFrame::Part { .. }) { bytes.len() } else { 0 };
        let mut others = Vec::new();
        while self.left < cost {
            match agent.next().await.ok()? {
                GatewayFrame::Credit { id, bytes } if id == self.id => self.left += bytes as usize,
                GatewayFrame::Cancel { id } if id == self.id => return None,
                other => others.push(other),
            }
        }
        self.left -= cost;
        agent.send_bytes(bytes).await;
        Some(others)
    }
}

/// A camera that answers every question by the same picture.
pub(crate) struct Giver {
    /// How often it was asked, and how many pictures it has sent to their ends.
    pub(crate) asked: Arc<AtomicU32>,
    pub(crate) gave: Arc<AtomicU32>,
}

impl Giver {
    pub(crate) fn start(agent: RawAgent, jpeg: Vec<u8>) -> Self {
        let (asked, gave) = (Arc::<AtomicU32>::default(), Arc::<AtomicU32>::default());
        tokio::spawn(give(agent, jpeg, (asked.clone(), gave.clone())));
        Self { asked, gave }
    }
}

async fn give(mut agent: RawAgent, jpeg: Vec<u8>, (asked, gave): (Arc<AtomicU32>, Arc<AtomicU32>)) {
    let mut waiting = VecDeque::new();
    loop {
        let frame = match waiting.pop_front() {
            Some(frame) => frame,
            None => match agent.next().await {
                Ok(frame) => frame,
                Err(_) => return,
            },
        };
        let GatewayFrame::Request(request) = frame else { continue };
        asked.fetch_add(1, Ordering::Relaxed);
        let mut credit = Credit::of(request.id);
        let mut is_whole = true;
        for frame in picture(request.id, 5, &jpeg) {
            match credit.send(&mut agent, frame).await {
                Some(others) => waiting.extend(others),
                None => {
                    is_whole = false;
                    break;
                }
            }
        }
        gave.fetch_add(u32::from(is_whole), Ordering::Relaxed);
    }
}
