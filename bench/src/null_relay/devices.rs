//! The null relay's devices: as cheap as the light agents that the gateway has, and just as eager to answer together
//! what came together.

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::FutureExt;
use tokio::{runtime::Handle, task::JoinSet};

use super::NUMBER_BYTES;
use crate::{
    failure::Result,
    fleet::{
        camera,
        opaque::Opaque,
        pictures::{Album, PIECE},
    },
    target::{Io, Target, source},
};

/// What devices answer.
#[derive(Clone, Debug)]
enum Answer {
    /// The same to every question.
    Same(Bytes),
    /// The picture of the class that is asked for, in pieces as large as the gateway's.
    Pictures(Album),
}

/// Connects one for each of these cameras, which answers with `answer`, and lets them serve on `handle`; they end when the set is
/// dropped.
pub(crate) async fn start(
    target: &Target,
    cameras: impl IntoIterator<Item = usize>,
    answer: &Bytes,
    handle: &Handle,
) -> Result<JoinSet<()>> {
    start_with(target, cameras, Answer::Same(answer.clone()), handle).await
}

/// The same with pictures of an album.
pub(crate) async fn start_with_pictures(
    target: &Target,
    cameras: impl IntoIterator<Item = usize>,
    album: &Album,
    handle: &Handle,
) -> Result<JoinSet<()>> {
    start_with(target, cameras, Answer::Pictures(album.clone()), handle).await
}

async fn start_with(
    target: &Target,
    cameras: impl IntoIterator<Item = usize>,
    answer: Answer,
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

async fn serve(mut socket: Opaque<Box<dyn Io>>, answer: Answer) -> Result<()> {
    while let Some(first) = socket.next().await {
        let mut next = Some(first);
        while let Some(question) = next {
            let Some(number) = question.get(..NUMBER_BYTES) else { return Ok(()) };
            match &answer {
                Answer::Same(answer) => socket.feed(message(&[number, &answer[..]])).await?,
                Answer::Pictures(album) => {
                    let is_main = question.ends_with(b"class=main");
                    let mut jpeg = if is_main { &album.main[..] } else { &album.preview[..] };
                    while !jpeg.is_empty() {
                        let (piece, rest) = jpeg.split_at(PIECE.min(jpeg.len()));
                        let left = (jpeg.len() as u64).to_be_bytes();
                        socket.feed(message(&[number, &left[..], piece])).await?;
                        jpeg = rest;
                    }
                }
            }
            next = socket.next().now_or_never().flatten();
        }
        socket.flush().await?;
    }
    Ok(())
}

fn message(parts: &[&[u8]]) -> Bytes {
    let mut message = BytesMut::with_capacity(parts.iter().map(|part| part.len()).sum());
    parts.iter().for_each(|part| message.put_slice(part));
    message.freeze()
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

    #[tokio::test]
    async fn the_null_relay_passes_a_picture_on_piece_by_piece() {
        let listener = front::listen(None).unwrap();
        let target = Target { address: listener.local_addr().unwrap(), tls: None };
        let mut relaying = JoinSet::new();
        relaying.spawn(serve(listener));
        let album = Album::new(20_000, 300_000);
        let _devices = start_with_pictures(&target, [0], &album, &Handle::current()).await.unwrap();
        let mut caller = Caller::new(target, source(9), "");
        for (query, picture) in [("", &album.preview), ("?class=main", &album.main)] {
            let reply =
                caller.get(&format!("/v1/cameras/camera-0/images/1600000000000{query}")).await.unwrap();
            assert_eq!((reply.status, &reply.body), (200, picture), "{query}");
        }
    }
}
