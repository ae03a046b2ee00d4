//! Which cameras' new pictures the gateway wants to be told of, and the Fresh frames that tell it.

use std::{
    collections::HashMap,
    sync::Arc,
    task::{Context, Poll},
};

use oriel_proto::{AgentFrame, CameraId, frame::Watch};

use crate::{
    camera::Camera,
    pictures::{Mailbox, Subscription},
};

/// What is watched on one connection. A picture that comes before the one ahead of it was told takes its place.
#[derive(Debug, Default)]
pub(super) struct Watched {
    mailbox: Arc<Mailbox>,
    subscriptions: HashMap<CameraId, Vec<Subscription>>,
}

impl Watched {
    /// Obeys the gateway: a `Watch` replaces the earlier one of its camera.
    pub(super) fn watch(&mut self, camera: &Camera, watch: &Watch) {
        let mut classes = camera.offers.classes.clone();
        classes.retain(|class| watch.on && watch.classes.contains(class));
        let subscribe = |class| camera.pictures.subscribe(class, &self.mailbox);
        let subscriptions = classes.iter().filter_map(subscribe).collect();
        self.subscriptions.insert(camera.id().clone(), subscriptions);
        // What was not told yet of a class that is still watched is told.
        self.mailbox.keep(camera.id(), &classes);
    }

    /// The camera is not the gateway's any more.
    pub(super) fn end(&mut self, camera: &CameraId) {
        self.subscriptions.remove(camera);
        self.mailbox.keep(camera, &[]);
    }

    /// The next frame to send.
    pub(super) fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<AgentFrame> {
        self.mailbox.poll(cx).map(|(camera, class, at)| AgentFrame::Fresh { camera, class, at })
    }
}
