//! The agent of the cameras that post lists: this gateway itself, over a link like every other's, whose socket is in memory.

use std::{collections::HashMap, sync::Arc, time::Duration};

use oriel_proto::{
    AgentFrame, CameraId, GatewayFrame, InstanceId, RequestId, SessionId, encode,
    frame::{Ability, Announce, Request, SpoolState, Upload},
};
use tokio::{
    sync::Semaphore,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Vc, answer::Answering, roster::News};
use crate::{
    clock,
    link::{
        Link, LinkFacts,
        pair::{Ear, Ended, Voice, pair},
    },
    routes::agent::serve,
};

/// How long after its link has ended the agent opens another.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A question that is being answered.
struct Open {
    /// Bytes that its answer may still send.
    credit: Arc<Semaphore>,
    _cancel: DropGuard,
}

impl Vc {
    /// Speaks for the cameras until the gateway stops, or until somebody revokes the agent.
    pub async fn run(self: Arc<Self>) {
        let instance = InstanceId::new();
        for generation in 1.. {
            self.roster.forget_told();
            if let Some((voice, ear)) = self.join(instance, generation) {
                _ = self.speak(voice, ear).await;
            }
            if self.app.stopping.is_cancelled() || self.is_revoked() {
                return;
            }
            tokio::select! {
                () = sleep(AGAIN_AFTER) => {}
                () = self.app.stopping.cancelled() => return,
            }
        }
    }

    /// Opens a link; none when there is no room for one.
    fn join(&self, instance: InstanceId, generation: u64) -> Option<(Voice, Ear)> {
        let app = &self.app;
        let permit = Arc::clone(&app.agent_permits).try_acquire_owned();
        let permit =
            permit.inspect_err(|_| tracing::warn!("no room for the agent of the older system's cameras"));
        let facts = LinkFacts {
            id: SessionId::new(),
            agent: self.agent,
            instance,
            generation,
            features: Box::default(),
            version: env!("CARGO_PKG_VERSION").into(),
            peer: self.settings.listen,
            since: clock::now(),
        };
        let link = Link::new(facts, Arc::clone(&app.credit), Arc::clone(&app.metrics.link));
        let permit = permit.ok()?;
        let joined = app.registry.join(link.clone());
        let joined =
            joined.inspect_err(|error| tracing::warn!(%error, "the older system's cameras are not served"));
        let (near, voice, ear) = pair();
        app.access.agent_seen(self.agent);
        app.tasks.spawn(serve(app.clone(), near, link, joined.ok()?, permit));
        Some((voice, ear))
    }

    /// Says who is here, and answers what is asked, until the link ends.
    async fn speak(self: &Arc<Self>, voice: Voice, mut ear: Ear) -> Result<(), Ended> {
        let mut open = HashMap::new();
        let mut beat = interval(self.app.settings.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        say(&voice, &AgentFrame::Ready {}).await?;
        loop {
            let (news, next) = self.roster.news(Instant::now());
            for news in news {
                say(&voice, &self.frame(news).await).await?;
            }
            tokio::select! {
                frame = ear.next() => match frame {
                    Some(frame) => self.hear(frame, &voice, &mut open),
                    None => return Ok(()),
                },
                () = self.roster.changed() => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
                _ = beat.tick() => voice.ping(),
            }
        }
    }

    async fn frame(&self, news: News) -> AgentFrame {
        match news {
            News::Gone(camera) => AgentFrame::Gone { camera },
            News::Here(camera) => {
                let spool = self.store.posted_spool(camera.clone()).await.unwrap_or_else(|error| {
                    tracing::error!(%error, %camera, "how far its log is held is not known");
                    None
                });
                if spool.is_some() {
                    self.roster.told_log(&camera);
                }
                AgentFrame::Camera(announce(camera, spool))
            }
        }
    }

    fn hear(self: &Arc<Self>, frame: GatewayFrame, voice: &Voice, open: &mut HashMap<RequestId, Open>) {
        match frame {
            GatewayFrame::Request(request) => {
                // What has ended has given its half of the credit back.
                open.retain(|_, open| Arc::strong_count(&open.credit) > 1);
                open.insert(request.id, self.begin(request, voice.clone()));
            }
            GatewayFrame::Cancel { id } => _ = open.remove(&id),
            GatewayFrame::Credit { id, bytes } => {
                if let Some(open) = open.get(&id) {
                    open.credit.add_permits(bytes as usize);
                }
            }
            GatewayFrame::Refused { camera, .. } => self.roster.remove(&camera),
            // The rest is for agents that have something of their own to keep.
            GatewayFrame::Welcome(_)
            | GatewayFrame::Bound(_)
            | GatewayFrame::Ack { .. }
            | GatewayFrame::Watch(_)
            | GatewayFrame::Token { .. }
            | GatewayFrame::Drain { .. }
            | GatewayFrame::Notice(_) => {}
        }
    }

    /// Begins to answer a question; dropping what it gives ends that.
    fn begin(self: &Arc<Self>, request: Request, voice: Voice) -> Open {
        let answering = Answering::new(request.id, voice);
        let (credit, cancel) = (answering.credit(), CancellationToken::new());
        let (vc, cancelled) = (Arc::clone(self), cancel.clone());
        self.app.tasks.spawn(async move {
            cancelled.run_until_cancelled(answering.run(&vc, request)).await;
        });
        Open { credit, _cancel: cancel.drop_guard() }
    }
}

/// A camera as its agent announces it; one that has never posted a list is asked instead of its stored log.
pub(super) fn announce(camera: CameraId, spool: Option<SpoolState>) -> Announce {
    Announce {
        name: camera.to_string(),
        camera,
        tags: Vec::new(),
        classes: Vec::new(),
        abilities: vec![Ability::Events],
        upload: Upload::Live,
        spools: spool.into_iter().collect(),
    }
}

async fn say(voice: &Voice, frame: &AgentFrame) -> Result<(), Ended> {
    match encode(frame) {
        Ok(bytes) => voice.say(bytes).await,
        Err(error) => {
            tracing::error!(%error, "frame not sent");
            Ok(())
        }
    }
}
