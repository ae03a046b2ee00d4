//! Any bytes as a picture.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| oriel_proto_fuzz::walk_any(bytes));
