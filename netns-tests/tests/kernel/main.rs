//! The engine against the SCTP of a Linux kernel, in a guest: in UDP and directly on IP.

mod asconf;
mod auth;
mod backend;
mod base;
mod captured;
mod common;
mod devices;
mod ecn;
mod interleaving;
mod ipv6;
mod mtu;
mod multihoming;
mod partial;
mod reconfig;
