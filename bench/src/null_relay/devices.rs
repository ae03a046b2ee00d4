//! The null relay's devices: as cheap as the light agents that the gateway has, and just as eager to answer together
//! what came together.

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::FutureExt;
use tokio::{runtime::Handle, task::JoinSet};

use super::NUMBER_BYTES;
use crate::{
    failure::Result,
    fleet::{camera, opaque::Opaque},
    target::{Io, Target, source},
};

/// Connects one for each of these cameras and lets them serve on `handle`; they end when the set is dropped.
pub(crate) async fn start(
    target: &Target,
    cameras: impl IntoIterator<Item = usize>,
    answer: &Bytes,
    handle: &Handle,
) -> Result<JoinSet<()>> {
    let (mut dialling, mut serving) = (JoinSet::new(), JoinSet::new());
    for n in cameras {
        let (target, path) = (target.clone(), format!("/devices/{}", camera(n)?));
        dialling.spawn_on(async move { Opaque::dial(&target, source(n), &path).await }, handle);
    }
    while let Some(socket) = dialling.join_next().await {
        let (socket, answer) = (socket??, answer.clone());
        // Its end is seen by who asks it.
        serving.spawn_on(async move { _ = serve(socket, answer).await }, handle);
    }
    Ok(serving)
}

async fn serve(mut socket: Opaque<Box<dyn Io>>, answer: Bytes) -> Result<()> {
    while let Some(first) = socket.next().await {
        let mut next = Some(first);
        while let Some(question) = next {
            let Some(number) = question.get(..NUMBER_BYTES) else { return Ok(()) };
            let mut message = BytesMut::with_capacity(NUMBER_BYTES + answer.len());
            message.put_slice(number);
            message.put_slice(&answer);
            socket.feed(message.freeze()).await?;
            next = socket.next().now_or_never().flatten();
        }
        socket.flush().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{front, http::Caller, null_relay::serve};

    #[tokio::test]
    async fn the_null_relay_gives_a_devices_answer_to_who_asked() {
        let listener = front::listen(None).unwrap();
        let target = Target { address: listener.local_addr().unwrap(), tls: None };
        let mut relaying = JoinSet::new();
        relaying.spawn(serve(listener));
        let answer = Bytes::from("[1]");
        let _devices = start(&target, 0..2, &answer, &Handle::current()).await.unwrap();
        let mut caller = Caller::new(target, source(9), "");
        for (path, status) in [
            ("/v1/cameras/camera-0/events?limit=20", 200),
            ("/v1/cameras/camera-1/events", 200),
            ("/v1/cameras/camera-2/events", 404),
        ] {
            let reply = caller.get(path).await.unwrap();
            assert_eq!(reply.status, status, "{path}");
            assert_eq!(reply.body == answer, status == 200, "{path}");
        }
    }
}
