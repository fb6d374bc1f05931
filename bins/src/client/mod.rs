//! What the clients do: accounts without I/O, and what plays them over sessions.

pub mod pingpong;
pub mod play;
pub mod player;
pub mod terminal;
