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
//! | `bindx` | own addresses, more and fewer |
//! | `send`, `receive`, `notification` | messages and notifications out and in |
//! | `readiness` | attempts made once, awaited, or waited for by a thread |
//! | `core` | a socket of any style: its descriptor and options |
//! | `close` | how sockets end |
//! | `state`, `waiters`, `reactor` | what is known beside the kernel, who waits, who watches descriptors |
//! | `errno` | the kernel's error numbers as errors |
//! | `cmsg`, `abi`, `address`, `field` | the kernel's structures as bytes |
//! | `sys` | system calls: the only `unsafe` code |
//!
//! # How it differs from the userland backend
//!
//! - The kernel tells neither how large the buffered data are nor what RFC 9260 §11.1.8 calls flight size, slow start
//!   threshold and error count, nor how far path MTU discovery is: they are zero, or off, in snapshots. Of the counters
//!   it has those of packets, chunks with user data and acknowledgements.
//! - An association that a peer without a cause aborts, of a one-to-many socket, ends as if the peer were unreachable.
//! - Only an association that was peeled off can give its peer a reason when it is aborted from a one-to-one socket.
//! - A message that fails comes back in as many pieces as it had fragments.
//! - A received message has no Message Identifier, and a partial delivery that ends early no TSN.
//! - Buffers belong to sockets, not to associations, as does whether messages tell what comes next where an association
//!   was not asked.
//! - There are no [`LocalAddressChange`](crate::Notification::LocalAddressChange) and
//!   [`NotificationsStopped`](crate::Notification::NotificationsStopped).
//!
//! # What fails with [`Error::Unsupported`](crate::Error::Unsupported)
//!
//! | what | why: Linux 6.1 |
//! |---|---|
//! | `set_explicit_eor` | has no `SCTP_EXPLICIT_EOR` |
//! | `set_accept_zero_checksum` | knows no RFC 9653 |
//! | a choice of congestion control | has one |
//! | numbers of fragments from zero | numbers them with interleaving alone |
//! | a limit of outbound streams | has none |
//! | settings of address changes but `offered` and `automatic` | has no others |
//! | an MTU to search up to | searches as `net.sctp.plpmtud_probe_interval` says |
//! | fragment interleave level 2 without interleaving | treats 2 as 1 |
//! | `set_autoclose` of one association | takes it from the socket when an association begins |
//! | `set_nodelay`, `set_disable_fragments`, `set_partial_delivery_point` of an association of many | has them of sockets |
//! | `add_local_address`, `remove_local_address` of an association of many | changes those of sockets |
//! | `open` with a configuration of its own | takes it from the socket |
//! | `next_info` of an association behind another one's message | has one queue a socket |
//! | `set_auto_asconf` of a socket that is not bound to all addresses | has it of those only |
//!
//! # Locks
//!
//! A socket's state before its descriptor's slot; both for moments. Wakers are called under neither.

mod abi;
mod address;
mod bindx;
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
