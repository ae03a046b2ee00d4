//! Any bytes as a frame of a gateway.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| oriel_proto_fuzz::decode_any::<oriel_proto::GatewayFrame>(bytes));
