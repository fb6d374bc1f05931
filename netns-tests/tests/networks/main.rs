//! Sockets over UDP between hosts in network namespaces: cables, switches, routers, NAT, loss.
//!
//! Each test leaves its captures in the build's folder, under `tmp/networks`.

mod addresses;
mod cables;
mod common;
mod ecn;
mod loss;
mod marks;
mod mixed;
mod mtu;
mod nat;
