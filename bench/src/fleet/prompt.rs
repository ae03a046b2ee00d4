//! Light agents that answer with what was prepared, as cheaply as they can: what they cost is not to be seen in a measurement.
//!
//! What has come is answered in one flush. A question is not decoded: its id stands at the same place in every one.

use std::sync::Arc;

use camera_agent::backoff::Ending;
use futures_util::FutureExt;
use oriel_proto::{
    AgentFrame, Answer, Body, Call, CameraId, GatewayFrame, Items, RequestId,
    call::{EventsCall, Order},
    decode, encode,
    frame::Request,
};
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    Member,
    answer::{event, trailer},
    life::Roll,
};
use crate::failure::{Failure, Result};

/// The bytes of an id in a frame.
const ID_BYTES: usize = 16;

/// What every answer says, and where ids stand.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// How every question begins, up to its id.
    beginning: Vec<u8>,
    reply: Vec<u8>,
    /// Where the id of the reply stands.
    id_at: usize,
}

impl Prepared {
    /// An answer of so many events.
    pub(crate) fn new(events: u64) -> Result<Self> {
        let id = RequestId::new();
        let log = (0..events).map(|back| event(events - back, "detected motion")).collect();
        let answer = Answer { body: vec![Body::Items(Items::Events(log))], trailer: trailer() };
        let reply = encode(&AgentFrame::Reply { id, answer })?;
        let camera: CameraId = super::camera(0)?;
        let call = Call::Events(EventsCall::all(Order::Desc));
        let question = encode(&GatewayFrame::Request(Request { id, camera, deadline_ms: 1, call }))?;
        let begins_at = place(&question, id)?;
        Ok(Self { beginning: question[..begins_at].to_vec(), id_at: place(&reply, id)?, reply })
    }

    /// The bytes of an answer.
    pub(crate) const fn len(&self) -> usize {
        self.reply.len()
    }

    /// The answer to a frame, if it is a question.
    fn answer(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let id = frame.strip_prefix(&*self.beginning)?.get(..ID_BYTES)?;
        let mut reply = self.reply.clone();
        reply.get_mut(self.id_at..self.id_at + ID_BYTES)?.copy_from_slice(id);
        Some(reply)
    }
}

/// Where an id stands in a frame.
fn place(frame: &[u8], id: RequestId) -> Result<usize> {
    let uuid = id.as_uuid();
    let place = frame.windows(ID_BYTES).position(|window| window == uuid.as_bytes());
    place.ok_or_else(|| Failure::new("a frame without its id"))
}

/// Starts them on `handle`; each serves one connection, and its end is told.
pub(crate) fn start(
    members: Vec<Member>,
    prepared: &Arc<Prepared>,
    handle: &Handle,
) -> (Arc<Roll>, JoinSet<Ending>) {
    let (roll, mut lives) = (Arc::<Roll>::default(), JoinSet::new());
    for member in members {
        let life = serve(member, Arc::clone(&roll), Arc::clone(prepared));
        let life = async move {
            match life.await {
                Ok(never) => match never {},
                Err(ending) => ending,
            }
        };
        lives.spawn_on(life, handle);
    }
    (roll, lives)
}

async fn serve(
    mut member: Member,
    roll: Arc<Roll>,
    prepared: Arc<Prepared>,
) -> Result<std::convert::Infallible, Ending> {
    let mut socket = member.dial(false).await?;
    member.announce(&mut socket).await?;
    let (pause, mut unbound) = (socket.heartbeat.mul_f64(0.9), member.cameras.len());
    let mut ping_at = Instant::now() + pause;
    loop {
        let first = tokio::select! {
            frame = socket.next_bytes() => Some(frame?),
            () = sleep_until(ping_at) => None,
        };
        let Some(first) = first else {
            socket.ping().await?;
            ping_at = Instant::now() + pause;
            continue;
        };
        let mut next = Some(first);
        while let Some(frame) = next {
            if let Some(reply) = prepared.answer(&frame) {
                socket.feed_bytes(reply).await?;
            } else if let Ok(GatewayFrame::Bound(_)) = decode(&frame) {
                unbound = unbound.saturating_sub(1);
                if unbound == 0 {
                    roll.enter();
                }
            }
            next = socket.next_bytes().now_or_never().transpose()?;
        }
        socket.flush().await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_answered_under_its_own_id() {
        let prepared = Prepared::new(20).unwrap();
        let id = RequestId::new();
        let call = Call::Events(EventsCall { limit: Some(20), ..EventsCall::all(Order::Desc) });
        let request = Request { id, camera: "porch".parse().unwrap(), deadline_ms: 10_000, call };
        let reply = prepared.answer(&encode(&GatewayFrame::Request(request)).unwrap()).unwrap();
        let Ok(AgentFrame::Reply { id: answered, answer }) = decode(&reply) else { panic!("{reply:?}") };
        let [Body::Items(Items::Events(events))] = &*answer.body else { panic!("{answer:?}") };
        assert_eq!((answered, events.len()), (id, 20));
    }

    #[test]
    fn other_frames_are_not_answered() {
        let cancel = encode(&GatewayFrame::Cancel { id: RequestId::new() }).unwrap();
        assert_eq!(Prepared::new(1).unwrap().answer(&cancel), None);
    }
}
