//! What the clients do, without I/O.

pub mod pingpong;
