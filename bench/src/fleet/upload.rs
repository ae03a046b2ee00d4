//! The uploading side of a light agent's connection: what its spools hold goes up, and no more than may be unacknowledged.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use camera_agent::backoff::Ending;
use oriel_proto::{
    CameraId, Epoch, GatewayFrame, Seq,
    frame::{Acked, SpoolState, Upload},
    limits::Limits,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{Member, Socket, life::Roll};

/// What one agent uploads; its cameras are known by their places.
pub(crate) trait Spools: Send + Sync {
    /// The spool of a camera as it is announced.
    fn spool(&self, camera: usize) -> SpoolState;

    /// A camera is bound, and the gateway holds this of it; what is wrong with that.
    fn bound(&mut self, camera: usize, held: &[Acked]) -> Option<String>;

    /// Everything in an epoch of a camera up to `seq` is safe; what is wrong with that.
    fn acked(&mut self, camera: usize, epoch: Epoch, seq: Seq) -> Option<String>;

    /// The next frame, encoded; none until something is written or acknowledged.
    fn next(&mut self) -> Option<Vec<u8>>;
}

/// What agents that upload share.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    /// Who is registered.
    pub(crate) roll: Roll,
    /// Whether the power has failed: nobody would hear how connections end.
    dark: AtomicBool,
    faults: Mutex<Vec<String>>,
}

impl Stage {
    /// What the gateway said or did that nobody had given it a reason for.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The power has failed, or is there again; meanwhile no end of a connection is wrong.
    pub(crate) fn darken(&self, dark: bool) {
        self.dark.store(dark, Ordering::Relaxed);
    }

    /// Whether the power has failed.
    pub(crate) fn is_dark(&self) -> bool {
        self.dark.load(Ordering::Relaxed)
    }

    /// Notes such a thing.
    pub(crate) fn fault(&self, what: String) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }
}

/// What is on its way on one connection, and how much more may be.
#[derive(Debug)]
pub(crate) struct Window {
    on_the_way: VecDeque<Sent>,
    /// Of all that is on its way.
    bytes: usize,
    limits: Limits,
}

/// A frame that is not acknowledged yet.
#[derive(Debug)]
struct Sent {
    camera: usize,
    last: Seq,
    bytes: usize,
}

impl Window {
    /// Nothing is on its way yet.
    pub(crate) const fn new(limits: Limits) -> Self {
        Self { on_the_way: VecDeque::new(), bytes: 0, limits }
    }

    /// The most bytes that the next frame may have.
    pub(crate) fn room(&self) -> usize {
        (self.limits.unacked as usize).saturating_sub(self.bytes).min(self.limits.frame as usize)
    }

    /// A frame goes up whose last event has this number.
    pub(crate) fn sent(&mut self, camera: usize, last: Seq, bytes: usize) {
        self.on_the_way.push_back(Sent { camera, last, bytes });
        self.bytes += bytes;
    }

    /// Everything of a camera up to `seq` is safe.
    pub(crate) fn acked(&mut self, camera: usize, seq: Seq) {
        self.on_the_way.retain(|sent| sent.camera != camera || sent.last > seq);
        self.bytes = self.on_the_way.iter().map(|sent| sent.bytes).sum();
    }
}

/// Announces an agent's cameras and uploads until the connection ends; `bell` is rung whenever there is more to send.
pub(crate) async fn upload(
    member: &Member,
    socket: &mut Socket,
    spools: impl Spools,
    bell: &Notify,
    stage: &Stage,
) -> Ending {
    if !socket.ingest {
        stage.fault("the gateway does not say that it stores events".into());
    }
    let mut session = Session { member, spools, unbound: member.cameras.len(), stage };
    let ending = match session.serve(socket, bell).await {
        Ok(never) => match never {},
        Err(ending) => ending,
    };
    if session.unbound == 0 {
        stage.roll.leave();
    }
    ending
}

/// One connection.
struct Session<'a, S> {
    member: &'a Member,
    spools: S,
    /// Cameras that have not been bound yet.
    unbound: usize,
    stage: &'a Stage,
}

impl<S: Spools> Session<'_, S> {
    async fn serve(&mut self, socket: &mut Socket, bell: &Notify) -> Result<Infallible, Ending> {
        let spools = &self.spools;
        self.member.announce_spools(socket, Upload::Live, |place| vec![spools.spool(place)]).await?;
        let heartbeat = socket.heartbeat.mul_f64(0.9);
        let mut ping_at = Instant::now() + heartbeat;
        loop {
            let mut fed = false;
            while let Some(frame) = self.spools.next() {
                socket.feed_bytes(frame).await?;
                fed = true;
            }
            if fed {
                socket.flush().await?;
            }
            tokio::select! {
                frame = socket.next() => self.hear(frame?),
                () = bell.notified() => {}
                () = sleep_until(ping_at) => {
                    socket.ping().await?;
                    ping_at = Instant::now() + heartbeat;
                }
            }
        }
    }

    fn hear(&mut self, frame: GatewayFrame) {
        let wrong = match frame {
            GatewayFrame::Bound(bound) => {
                let Some(place) = self.place(&bound.camera) else { return };
                let wrong = self.spools.bound(place, &bound.acked);
                if self.unbound > 0 {
                    self.unbound -= 1;
                    if self.unbound == 0 {
                        self.stage.roll.enter();
                    }
                }
                wrong
            }
            GatewayFrame::Ack { camera, epoch, seq } => match self.place(&camera) {
                Some(place) => self.spools.acked(place, epoch, seq),
                None => Some(format!("{camera}: acknowledged to an agent that has not got it")),
            },
            GatewayFrame::Refused { camera, code, .. } => Some(format!("{camera}: refused: {code}")),
            GatewayFrame::Notice(notice) => Some(format!("{:?}: {}", notice.camera, notice.message)),
            _ => None,
        };
        if let Some(wrong) = wrong {
            self.stage.fault(wrong);
        }
    }

    fn place(&self, camera: &CameraId) -> Option<usize> {
        self.member.cameras.iter().position(|own| own == camera)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_full_until_what_filled_it_is_acknowledged() {
        let mut window = Window::new(Limits { frame: 100, unacked: 250, ..Limits::default() });
        window.sent(0, 5, 100);
        window.sent(1, 7, 100);
        assert_eq!(window.room(), 50);
        window.acked(0, 4);
        assert_eq!(window.room(), 50);
        window.acked(1, 9);
        assert_eq!(window.room(), 100);
    }
}
