//! The target named by `FUZZ_TARGET`, guided by coverage. `.ci/fuzz` builds and runs it.

#![no_main]

use std::env;
use std::sync::OnceLock;

use sctp::fuzz_bridge::{TARGETS, Target};

fn chosen() -> &'static Target {
    static CHOSEN: OnceLock<&Target> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let name = env::var("FUZZ_TARGET").unwrap_or_default();
        let target = TARGETS.iter().find(|target| target.name == name);
        target.unwrap_or_else(|| panic!("FUZZ_TARGET={name} is no target: see sctp::fuzz_bridge::TARGETS"))
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| (chosen().body)(data));
