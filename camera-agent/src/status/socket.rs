//! The socket that tells where an agent stands.

use std::{fs, io, path::Path, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    time::{sleep, timeout},
};

use super::{SOCKET, Standing, WITHIN};
use crate::disk::off_runtime;

/// What passes after nobody could be let in.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest answer that is read, in bytes: 1,024 cameras, each with a long reason.
const ANSWER_BYTES: u64 = 2 << 20;

/// Tells everybody who connects, one after the other, where the agent stands.
pub(super) async fn serve(standing: Standing) {
    let path = standing.folder.join(SOCKET);
    let listener = match listen(&path).await {
        Ok(listener) => listener,
        Err(error) => {
            return tracing::warn!(%error, "{}: not opened, so camera-agent status does not work", path.display());
        }
    };
    loop {
        let accepted = listener.accept().await;
        let Ok((mut stream, _)) = accepted else {
            // As when the process has no file left to open.
            sleep(PAUSE).await;
            continue;
        };
        let Ok(mut answer) = serde_json::to_vec(&standing.board.status(&standing.cameras)) else { continue };
        answer.push(b'\n');
        // Who reads nothing gets nothing more.
        let _ = timeout(WITHIN, stream.write_all(&answer)).await;
    }
}

/// The folder belongs to this agent alone, so a socket that lies there is one of an agent that was killed.
async fn listen(path: &Path) -> io::Result<UnixListener> {
    let removed = off_runtime({
        let path = path.to_owned();
        move || fs::remove_file(path)
    });
    match removed.await {
        Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => UnixListener::bind(path),
    }
}

/// What the agent behind a socket tells.
pub(super) async fn ask(path: &Path) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    UnixStream::connect(path).await?.take(ANSWER_BYTES).read_to_end(&mut answer).await?;
    Ok(answer)
}
