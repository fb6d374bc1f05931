//! Bytes as type, flags and value of a chunk. Run it with `cargo +nightly fuzz run chunk corpus/chunk seeds/chunk`, from this package's folder.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sctp::fuzz_bridge::chunk(data));
