//! RFC 6458 section by section, as its text demands it; `COMPLIANCE.md` says which test shows what.

#[path = "../common/mod.rs"]
mod common;

mod extensions;
mod functions;
mod messages;
mod notifications;
mod one_to_many;
mod one_to_one;
mod options;
mod status;
