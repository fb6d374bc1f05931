//! The parts of `rspdemo`: pool elements as child processes, what is shown while it runs, and what it comes to.

pub mod children;
pub mod display;
pub mod ports;
pub mod report;
