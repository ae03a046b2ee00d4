//! Work on the disk that a connection causes, done beside it so that it goes on reading.

use std::{collections::HashMap, time::Duration};

use oriel_proto::{CameraId, Epoch, Secret, Seq, frame::Acked};
use tokio::{
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    camera::Camera,
    spool::{Next, SpoolError},
    state::{StateError, Tokens},
};

/// Chores that may be open: each belongs to a frame of the gateway, which must not ask for more than the disk can do.
const CHORES: usize = 4_096;

/// The longest that the end of a connection waits for its chores.
const FINISH_WITHIN: Duration = Duration::from_secs(3);

/// The waits before a comparison that failed is tried again: the first, and the longest that doubling leads to.
const AGAIN_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What a chore brought.
#[derive(Debug)]
pub(super) enum Done {
    /// A rotated token is on the disk, or not.
    Token(Result<(), StateError>),
    /// A camera's log knows what the gateway holds; true when a new epoch began.
    Reconciled(CameraId, bool),
    /// A camera's log began a new epoch.
    Superseded(CameraId, Result<(), SpoolError>),
    /// A camera's log noted an acknowledgement.
    Acknowledged(CameraId, Result<(), SpoolError>),
    /// What a camera's log has to upload.
    Upload(CameraId, Result<Option<Next>, SpoolError>),
}

/// The chores of one connection.
#[derive(Debug, Default)]
pub(super) struct Chores {
    tasks: JoinSet<Done>,
    /// The last comparison of each camera with what the gateway holds.
    comparing: HashMap<CameraId, AbortHandle>,
    /// The connection ends: what failed is not tried again.
    ending: CancellationToken,
}

impl Chores {
    /// Whether the gateway causes more work than is done.
    pub(super) fn is_full(&self) -> bool {
        self.tasks.len() >= CHORES
    }

    pub(super) fn rotate(&mut self, tokens: &Tokens, token: Secret) {
        let tokens = tokens.clone();
        self.tasks.spawn(async move { Done::Token(tokens.rotate(token).await) });
    }

    /// Compares a camera's log with what the gateway holds, again and again until the disk lets it: nothing goes up before. What
    /// the gateway said of it earlier counts no longer.
    pub(super) fn reconcile(&mut self, camera: &Camera, acked: Vec<Acked>) {
        let (camera, id, ending) = (camera.clone(), camera.id().clone(), self.ending.clone());
        let compare = self.tasks.spawn(async move {
            let mut wait = AGAIN_AFTER.0;
            loop {
                match camera.spool.reconcile(acked.clone()).await {
                    Ok(changed) => return Done::Reconciled(camera.id().clone(), changed),
                    Err(e) => tracing::error!(camera = %camera.id(), again_in_s = wait.as_secs(), "{e}"),
                }
                tokio::select! {
                    () = sleep(wait) => wait = (wait * 2).min(AGAIN_AFTER.1),
                    // Nobody looks at what the chores of an ended connection bring.
                    () = ending.cancelled() => return Done::Reconciled(camera.id().clone(), false),
                }
            }
        });
        if let Some(older) = self.comparing.insert(id, compare) {
            older.abort();
        }
    }

    pub(super) fn supersede(&mut self, camera: &Camera, epoch: Epoch) {
        let camera = camera.clone();
        self.tasks.spawn(async move {
            let done = camera.spool.supersede(epoch).await;
            Done::Superseded(camera.id().clone(), done)
        });
    }

    pub(super) fn acknowledge(&mut self, camera: &Camera, epoch: Epoch, seq: Seq) {
        let camera = camera.clone();
        self.tasks.spawn(async move {
            let done = camera.spool.acknowledge(epoch, seq).await;
            Done::Acknowledged(camera.id().clone(), done)
        });
    }

    pub(super) fn upload(&mut self, camera: &Camera, sent: Vec<(Epoch, Seq)>, bytes: usize) {
        let camera = camera.clone();
        self.tasks.spawn(async move {
            let next = camera.spool.next_upload(sent, bytes).await;
            Done::Upload(camera.id().clone(), next)
        });
    }

    /// The next finished chore; waits for ever when there is none.
    pub(super) async fn next(&mut self) -> Done {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(done)) => return done,
                Some(Err(e)) if e.is_cancelled() => {}
                Some(Err(e)) => tracing::error!("a chore failed: {e}"),
                None => std::future::pending::<()>().await,
            }
        }
    }

    /// Waits for what was begun, as a token half written would be one lost; but not for ever, as disks hang.
    pub(super) async fn finish(mut self) {
        self.ending.cancel();
        let finished = timeout(FINISH_WITHIN, async { while self.tasks.join_next().await.is_some() {} });
        if finished.await.is_err() {
            tracing::warn!("the disk is slow: some of what the gateway said may not have been kept");
        }
    }
}
