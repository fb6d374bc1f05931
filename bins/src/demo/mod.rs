//! `rspdemo`: a registrar and a user in one process, pool elements as child processes, and what is shown of them.

pub mod children;
pub mod display;
pub mod layout;
pub mod report;
mod show;
pub mod timing;

pub use show::{Plan, Show};
