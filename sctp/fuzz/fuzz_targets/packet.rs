//! Bytes as a packet. Run it with `cargo +nightly fuzz run packet corpus/packet seeds/packet`, from this package's folder.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sctp::fuzz_bridge::packet(data));
