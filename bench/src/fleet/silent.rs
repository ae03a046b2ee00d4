//! Light agents that are there and answer nothing: each takes its questions and forgets them.

use std::{convert::Infallible, sync::Arc};

use camera_agent::backoff::Ending;
use oriel_proto::GatewayFrame;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{Member, Socket, life::Roll};

/// Starts all of them, for one connection each; they end when the set is dropped.
pub(crate) fn start(members: Vec<Member>) -> (Arc<Roll>, JoinSet<()>) {
    let (roll, mut lives) = (Arc::<Roll>::default(), JoinSet::new());
    for member in members {
        lives.spawn(live(member, Arc::clone(&roll)));
    }
    (roll, lives)
}

async fn live(mut member: Member, roll: Arc<Roll>) {
    let mut unbound = member.cameras.len();
    let ending = match member.dial(false).await {
        Ok(mut socket) => match serve(&member, &mut socket, &mut unbound, &roll).await {
            Ok(never) => match never {},
            Err(ending) => ending,
        },
        Err(ending) => ending,
    };
    if unbound == 0 {
        roll.leave();
    }
    roll.ended(ending);
}

async fn serve(
    member: &Member,
    socket: &mut Socket,
    unbound: &mut usize,
    roll: &Roll,
) -> Result<Infallible, Ending> {
    // Without a log that is uploaded, so that the gateway has to ask.
    member.announce(socket).await?;
    let heartbeat = socket.heartbeat.mul_f64(0.9);
    let mut ping_at = Instant::now() + heartbeat;
    loop {
        let frame = tokio::select! {
            frame = socket.next() => frame?,
            () = sleep_until(ping_at) => {
                socket.ping().await?;
                ping_at = Instant::now() + heartbeat;
                continue;
            }
        };
        if matches!(frame, GatewayFrame::Bound(_)) && *unbound > 0 {
            *unbound -= 1;
            if *unbound == 0 {
                roll.enter();
            }
        }
    }
}
