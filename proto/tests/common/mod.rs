//! What the tests of the protocol share.
#![allow(dead_code, unused_imports, reason = "each test binary uses its own part")]

pub(crate) mod arbitrary;
pub(crate) mod samples;
pub(crate) mod wire;

/// The words of `kind`, as serde lists them for an enum that it was given an unknown variant of.
pub(crate) fn variants<T: serde::de::DeserializeOwned>() -> Vec<String> {
    let Err(error) = serde_json::from_str::<T>(r#"{"?":{}}"#) else { panic!("not an enum") };
    let text = error.to_string();
    let (_, list) = text.split_once("expected").unwrap();
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
