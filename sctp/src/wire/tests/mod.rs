//! Tests of the codec as a whole: packets seen on a network, packets of our own making, and any bytes at all.

mod captured;
mod captured_extensions;
mod extension_forms;
mod extensions;
mod properties;

use super::exercise::{rewrite, walk_any_packet};
