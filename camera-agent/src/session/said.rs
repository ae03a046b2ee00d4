//! What a gateway says for people, written down but not without end.

use oriel_proto::CameraId;

use crate::foreign::tame;

/// What is written down per connection: one word for each camera that an agent may have, and some more.
const SAID: u32 = 2_048;

/// How often the gateway said something.
#[derive(Debug, Default)]
pub(super) struct Said(u32);

impl Said {
    /// Writes it down.
    pub(super) fn say(&mut self, camera: Option<&CameraId>, code: &str, message: &str) {
        self.0 = self.0.saturating_add(1);
        if self.0 <= SAID {
            let (code, message) = (tame(code), tame(message));
            tracing::warn!(camera = camera.map(CameraId::as_str), code, "the gateway says: {message}");
        }
    }
}
