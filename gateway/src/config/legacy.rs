//! The table `[legacy]`: who may use the older system's listener, and what they see there.

use std::{fmt, str::FromStr};

use ipnet::IpNet;
use oriel_proto::{CameraId, limits::TAG_BYTES};
use serde::{Serialize, Serializer};

use crate::store::Scope;

/// How a tag is written among cameras.
const TAG: &str = "tag:";

/// Who may use the older system's listener, and what they see there; the table `[legacy]` of the file.
#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct Legacy {
    /// Networks whose cameras and clients may use legacy_listen, which asks nobody for a key
    #[arg(id = "legacy.allow", long = "legacy-allow", env = "ORIEL_LEGACY_ALLOW", value_name = "CIDR",
        value_delimiter = ',', default_values = ["127.0.0.0/8", "::1/128"])]
    pub allow: Vec<IpNet>,
    /// Cameras with an agent that clients of legacy_listen may ask too: ids, tags as tag:garden, or * for all
    #[arg(
        id = "legacy.cameras",
        long = "legacy-cameras",
        env = "ORIEL_LEGACY_CAMERAS",
        value_name = "CAMERA",
        value_delimiter = ','
    )]
    pub cameras: Vec<LegacyCameras>,
}

impl Legacy {
    /// The cameras with an agent that clients may ask.
    pub fn scope(&self) -> Scope {
        let mut scope = Scope::default();
        for cameras in &self.cameras {
            match cameras {
                LegacyCameras::All => scope.all = true,
                LegacyCameras::One(camera) => scope.cameras.push(camera.clone()),
                LegacyCameras::Tagged(tag) => scope.tags.push(tag.clone()),
            }
        }
        scope
    }
}

/// Cameras that clients of the older system may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegacyCameras {
    /// All of them; written `*`.
    All,
    /// This one.
    One(CameraId),
    /// Those that carry this tag; written `tag:` and the tag.
    Tagged(String),
}

impl FromStr for LegacyCameras {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix(TAG)) {
            ("*", _) => Ok(Self::All),
            (_, Some(tag)) if (1..=TAG_BYTES).contains(&tag.len()) => Ok(Self::Tagged(tag.to_owned())),
            (_, Some(_)) => Err(format!("a tag has 1 to {TAG_BYTES} bytes")),
            (id, None) => {
                id.parse().map(Self::One).map_err(|_| "neither *, nor a camera id, nor tag:<tag>".into())
            }
        }
    }
}

impl fmt::Display for LegacyCameras {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::One(camera) => f.write_str(camera.as_str()),
            Self::Tagged(tag) => write!(f, "{TAG}{tag}"),
        }
    }
}

impl Serialize for LegacyCameras {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn only_this_machine_may_use_a_listener_that_is_off_and_sees_nothing_unless_somebody_says_so() {
        let Config { legacy_listen, legacy, .. } = Config::default();
        assert_eq!((legacy_listen.address(), legacy.scope()), (None, Scope::default()));
        let networks: Vec<_> = legacy.allow.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["127.0.0.0/8", "::1/128"]);
    }

    #[test]
    fn cameras_are_named_by_id_by_tag_or_all_at_once() {
        let options = ["--legacy-cameras", "porch,tag:garden", "--legacy-allow", "10.0.0.0/8"];
        let Legacy { allow, cameras } = Config::load(options).unwrap().legacy;
        assert_eq!(allow, ["10.0.0.0/8".parse().unwrap()]);
        let scope = Legacy { allow, cameras }.scope();
        assert_eq!(
            (scope.all, scope.cameras[0].as_str(), scope.tags[0].as_str()),
            (false, "porch", "garden")
        );
        assert!(Config::load(["--legacy-cameras", "*"]).unwrap().legacy.scope().all);
        for wrong in ["Porch", "tag:", "", "a b"] {
            assert!(wrong.parse::<LegacyCameras>().is_err(), "{wrong}");
        }
    }
}
