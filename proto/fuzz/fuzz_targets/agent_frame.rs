//! Any bytes as a frame of an agent.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| oriel_proto_fuzz::decode_any::<oriel_proto::AgentFrame>(bytes));
