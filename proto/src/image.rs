//! Pictures as the protocol names them.

use serde::{Deserialize, Serialize};

use crate::{text::text_enum, time::Timestamp};

text_enum! {
    /// Which series of pictures of a camera is meant.
    ImageClass {
        /// Small and often.
        Preview = "preview",
        /// Full size and seldom.
        Main = "main",
    }
}

/// One picture that the camera keeps; its time is its identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageInfo {
    /// The series it belongs to.
    pub class: ImageClass,
    /// When it was taken, by the camera's clock.
    pub at: Timestamp,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Pictures of one stretch of time, for a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageCount {
    /// Where the stretch begins.
    pub at: Timestamp,
    /// How many pictures lie in it.
    pub count: u64,
    /// Their sizes added up, in bytes.
    pub bytes: u64,
}
