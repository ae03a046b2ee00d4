//! The agents that upload, with a camera each: nothing goes up but while the gate is open.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use oriel_proto::{
    Epoch, Seq,
    frame::{Acked, SpoolState},
};
use tokio::{
    runtime::Handle,
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::camera::{Camera, Counts, Story};
use crate::{
    failure::{Failure, Result},
    fleet::{
        Member,
        life::CONNECT_WITHIN,
        upload::{Spools, Stage, Window, upload},
    },
    thread::Thread,
};

/// How often the upload is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// An upload without any progress for so long has got stuck.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// All of them, on a thread of their own; they end when it is dropped.
#[derive(Debug)]
pub(super) struct Fleet {
    /// Their cameras.
    pub(super) cameras: Arc<[Arc<Camera>]>,
    stage: Arc<Stage>,
    open: Arc<AtomicBool>,
    thread: Thread,
    _lives: JoinSet<()>,
}

impl Fleet {
    /// Starts all of them, and waits until they are connected.
    pub(super) async fn start(members: Vec<Member>, seed: u64) -> Result<Self> {
        let (stage, open, thread) = (Arc::<Stage>::default(), Arc::<AtomicBool>::default(), Thread::start()?);
        let (mut cameras, mut lives) = (Vec::new(), JoinSet::new());
        for member in members {
            let [id] = &*member.cameras else { return Err(Failure::new("an agent without its one camera")) };
            let bell = Arc::<Notify>::default();
            let camera = Arc::new(Camera::new(Story::new(id.clone(), seed), Arc::clone(&bell)));
            cameras.push(Arc::clone(&camera));
            let life = live(member, camera, Arc::clone(&open), bell, Arc::clone(&stage));
            lives.spawn_on(life, thread.handle());
        }
        let fleet = Self { cameras: cameras.into(), stage, open, thread, _lives: lives };
        if fleet.stage.roll.reaches(fleet.cameras.len(), CONNECT_WITHIN).await {
            Ok(fleet)
        } else {
            Err(Failure::new(format!("not all agents could connect: {:?}", fleet.faults())))
        }
    }

    /// Sees to it that each camera has at least so many events to send.
    pub(super) fn prepare(&self, each: u64) -> Result<()> {
        for camera in self.cameras.iter() {
            let Counts { written, sent, .. } = camera.counts();
            camera.prepare((sent + each).saturating_sub(written))?;
        }
        Ok(())
    }

    /// Lets everything go up that is written, and what will be.
    pub(super) fn open(&self) {
        self.open.store(true, Ordering::Relaxed);
        self.cameras.iter().for_each(|camera| camera.ring());
    }

    /// Lets nothing more go up.
    pub(super) fn close(&self) {
        self.open.store(false, Ordering::Relaxed);
    }

    /// How far all cameras are together.
    pub(super) fn counts(&self) -> Counts {
        let mut all = Counts::default();
        self.cameras.iter().for_each(|camera| all.add(camera.counts()));
        all
    }

    /// Waits until everything is acknowledged that is of this kind.
    pub(super) async fn acknowledged(&self, of: fn(&Counts) -> u64) -> Result<()> {
        let (mut most, mut since) = (0, Instant::now());
        loop {
            let counts = self.counts();
            if counts.acked >= of(&counts) {
                return Ok(());
            }
            if counts.acked > most {
                (most, since) = (counts.acked, Instant::now());
            } else if since.elapsed() > STUCK_AFTER {
                return Err(Failure::new(format!("stuck: {counts:?}, {:?}", self.faults())));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// What the gateway said or did that nobody had given it a reason for.
    pub(super) fn faults(&self) -> Vec<String> {
        self.stage.faults()
    }

    /// Where they are.
    pub(super) const fn handle(&self) -> &Handle {
        self.thread.handle()
    }
}

/// Lives for one connection, which must not end.
async fn live(
    mut member: Member,
    camera: Arc<Camera>,
    open: Arc<AtomicBool>,
    bell: Arc<Notify>,
    stage: Arc<Stage>,
) {
    let ending = match member.dial(false).await {
        Ok(mut socket) => {
            let uploads = Uploads { camera, window: Window::new(socket.limits), open };
            upload(&member, &mut socket, uploads, &bell, &stage).await
        }
        Err(ending) => ending,
    };
    stage.fault(format!("agent {} was cut off: {ending:?}", member.number));
}

/// The uploads of one connection.
struct Uploads {
    camera: Arc<Camera>,
    window: Window,
    /// Whether anything may go up.
    open: Arc<AtomicBool>,
}

impl Spools for Uploads {
    fn spool(&self, _: usize) -> SpoolState {
        self.camera.spool()
    }

    fn bound(&mut self, _: usize, held: &[Acked]) -> Option<String> {
        (!held.is_empty()).then(|| format!("{}: {held:?} is held of a new log", self.camera.story.id))
    }

    fn acked(&mut self, camera: usize, epoch: Epoch, seq: Seq) -> Option<String> {
        if epoch != self.camera.story.epoch {
            return Some(format!("{}: acknowledged in an epoch that it has not", self.camera.story.id));
        }
        self.window.acked(camera, seq);
        self.camera.acknowledge(seq)
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        if !self.open.load(Ordering::Relaxed) {
            return None;
        }
        let (bytes, last) = self.camera.take(self.window.room())?;
        self.window.sent(0, last, bytes.len());
        Some(bytes)
    }
}
