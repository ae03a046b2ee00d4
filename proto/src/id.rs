//! The names of things: cameras, agents, requests, epochs, events.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, Visitor},
};

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not `[a-z0-9][a-z0-9_-]{0,63}`.
    #[error(
        "{0:?} is not a camera id: 1 to 64 lower-case letters, digits, '-' or '_', beginning with a letter or digit"
    )]
    Camera(String),
    /// Not a UUID.
    #[error("{0:?} is not a UUID")]
    Uuid(String),
    /// Not `<epoch>-<seq>`.
    #[error("{0:?} is not an event id of the form <epoch>-<seq>")]
    Event(String),
}

impl IdError {
    /// The error for a text that is not a UUID.
    pub fn not_a_uuid(text: &str) -> Self {
        Self::Uuid(shortened(text))
    }
}

/// A camera's name in URLs, folders and files: `[a-z0-9][a-z0-9_-]{0,63}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct CameraId(Arc<str>);

impl CameraId {
    /// The longest camera id in bytes.
    pub const MAX_BYTES: usize = 64;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CameraId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let valid = text.len() <= Self::MAX_BYTES
            && text.bytes().next().is_some_and(word)
            && text.bytes().all(|b| word(b) || b == b'-' || b == b'_');
        if valid { Ok(Self(text.into())) } else { Err(IdError::Camera(shortened(text))) }
    }
}

impl<'de> Deserialize<'de> for CameraId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = CameraId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a camera id")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<CameraId, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl Borrow<str> for CameraId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CameraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for CameraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Enough of a wrong text to recognise it in an error, bounded because it came from outside.
fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Defines an id that is a UUID, made by the named constructor of `uuid::Uuid`; its serde and text forms are the UUID's.
#[macro_export]
macro_rules! uuid_id {
    ($(#[$meta:meta])* $name:ident, $make:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(::uuid::Uuid);

        impl $name {
            /// A new one, unlike any other.
            #[allow(clippy::new_without_default, reason = "each call gives another value")]
            pub fn new() -> Self {
                Self(::uuid::Uuid::$make())
            }

            /// The UUID itself.
            pub const fn as_uuid(self) -> ::uuid::Uuid {
                self.0
            }
        }

        impl From<::uuid::Uuid> for $name {
            fn from(uuid: ::uuid::Uuid) -> Self {
                Self(uuid)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::id::IdError;
            fn from_str(text: &str) -> Result<Self, $crate::id::IdError> {
                ::uuid::Uuid::try_parse(text).map(Self).map_err(|_| $crate::id::IdError::not_a_uuid(text))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

uuid_id! {
    /// One device: what an agent token stands for.
    AgentId, now_v7
}
uuid_id! {
    /// One state folder of an agent: tells a restarted agent from a cloned one.
    InstanceId, new_v4
}
uuid_id! {
    /// One accepted camera socket.
    SessionId, now_v7
}
uuid_id! {
    /// One question to a camera; random, so that a late answer can never meet another question.
    RequestId, new_v4
}
uuid_id! {
    /// One unbroken run of a camera's spool; inside it sequence numbers have no gap and time never goes back.
    Epoch, now_v7
}

/// An event's identity beside its camera; shown as `<epoch>-<seq>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventId {
    /// The run of the spool it was written in.
    pub epoch: Epoch,
    /// Its place in that run, from 1.
    pub seq: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

impl FromStr for EventId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError::Event(shortened(text));
        let (epoch, seq) = text.rsplit_once('-').ok_or_else(wrong)?;
        Ok(Self { epoch: epoch.parse().map_err(|_| wrong())?, seq: seq.parse().map_err(|_| wrong())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_id_is_safe_as_folder_url_segment_and_token() {
        for good in ["porch", "0", "cam-1_b", &"a".repeat(64)] {
            assert!(good.parse::<CameraId>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "_a", "A", "a.b", "a/b", "a b", "ä", "..", &"a".repeat(65)] {
            assert!(bad.parse::<CameraId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_event_id_reads_back() {
        let id = EventId { epoch: Epoch::new(), seq: 42 };
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("nonsense".parse::<EventId>().is_err());
    }
}
