//! Packet formats of the applications, as RSPLIB's programs speak them.

pub mod pingpong;
