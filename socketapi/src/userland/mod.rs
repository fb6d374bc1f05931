//! The userland backend: SCTP inside the process.
//!
//! | file | what |
//! |---|---|
//! | `stack` | [`StackHandle`]: a running stack, and how it is started |
//! | `snapshot` | counters and associations, for operators |
//! | `sharing` | whether a stack shares its UDP port with other processes |
//! | `shared` | the stacks that sockets of the process share by default |
//! | `handle` | what the public socket types hold: a socket of a stack |
//! | `addresses` | the addresses of a stack, which follow the host's |
//! | `target` | whose options are read and set: new associations, or one |
//! | `operation` | attempts made once, awaited, or waited for by a thread |
//! | `wait` | what they wait for, and who waits |
//! | `shard` | one engine with its sockets behind a lock, and the ways in and out for its packets |
//! | `wheel` | who drives a shard: the driver, or a caller that waits |
//! | `caller` | a caller that blocks, asleep or at the wheel |
//! | `driver` | the task of a shard: datagrams in, time, what callers left to send |
//! | `workers` | several shards of one stack, and which of them a packet is for |
//! | `clock` | the only reader of the clock |
//! | `sock` | RFC 6458's sockets on top of the engine, without I/O |
//! | `device` | what carries packets: UDP sockets, raw sockets, TUN interfaces, memory; captures |
//! | `port` | many processes on one UDP port |
//!
//! # Locks
//!
//! In this order: the list of shared stacks, the addresses of a stack, a shard's inlet, its outbox, its core, the
//! places of SCTP ports. The inlet is what datagrams are received to, and the outbox the buffer between engine and
//! network; whoever holds one receives, or sends, so packets keep their order. No system call is made, and no waker
//! called, under the core's lock.

mod addresses;
#[cfg(target_os = "linux")]
mod caller;
mod clock;
mod device;
mod driver;
mod handle;
mod operation;
#[cfg(target_os = "linux")]
mod port;
#[cfg(not(target_os = "linux"))]
#[path = "port/none.rs"]
mod port;
mod shard;
mod shared;
mod sharing;
mod snapshot;
mod sock;
mod stack;
mod target;
mod wait;
mod wheel;
mod workers;

pub use device::{DeviceConfig, DeviceStats, MemoryNetwork, TunConfig};
pub(crate) use handle::{Listener, Opening, Socket, Stream};
pub use snapshot::Associations;
pub use stack::{StackBuilder, StackHandle};
pub(crate) use target::Target;
