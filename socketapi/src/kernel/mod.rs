//! The kernel backend: the SCTP sockets of a Linux kernel. What it cannot do fails with
//! [`Error::Unsupported`](crate::Error::Unsupported).
//!
//! | file | what |
//! |---|---|
//! | `opening` | how sockets are made |
//! | `socket`, `listener`, `bound`, `stream` | what the public socket types hold |
//! | `target` | whose options are read and set, and what can be asked of an association |
//! | `snmp` | the counters of the kernel as a whole |
//! | `config`, `keys`, `paths`, `status` | the options as a configuration, those of keys and paths, snapshots |
//! | `send`, `receive`, `notification` | messages and notifications out and in |
//! | `readiness` | attempts made once, awaited, or waited for by a thread |
//! | `core` | a socket of any style: its descriptor and options |
//! | `close` | how sockets end |
//! | `state`, `waiters`, `reactor` | what is known beside what the kernel knows, who waits, and who watches descriptors |
//! | `errno` | the kernel's error numbers as errors |
//! | `cmsg`, `abi`, `address`, `field` | the kernel's structures as bytes |
//! | `sys` | system calls: the only `unsafe` code |
//!
//! # How it differs from the userland backend
//!
//! - The kernel tells neither how large the buffered data are nor what RFC 9260 §11.1.8 calls flight size, slow start
//!   threshold and error count: they are zero in snapshots.
//! - An association that a peer without a cause aborts, of a one-to-many socket, ends as if the peer were unreachable.
//! - Only an association that was peeled off can give its peer a reason when it is aborted from a one-to-one socket.
//! - A message that fails comes back in as many pieces as it had fragments.
//! - Buffers, and after how long an idle association is closed, belong to sockets, not to associations.
//!
//! # Locks
//!
//! A socket's state before its descriptor's slot; both for moments. Wakers are called under neither.

mod abi;
mod address;
mod bound;
mod close;
mod cmsg;
mod config;
mod core;
mod errno;
mod field;
mod keys;
mod listener;
mod notification;
mod opening;
mod paths;
mod reactor;
mod readiness;
mod receive;
mod send;
mod snmp;
mod socket;
mod state;
mod status;
mod stream;
mod sys;
mod target;
mod waiters;

pub(crate) use listener::Listener;
pub(crate) use opening::Opening;
pub use snmp::kernel_stats;
pub(crate) use socket::Socket;
pub(crate) use stream::Stream;
pub(crate) use target::Target;
