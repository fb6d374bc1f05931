//! SCTP sockets.
//!
//! Three types: [`SctpSocket`] (one-to-many style: one socket, many associations), [`SctpListener`] and [`SctpStream`]
//! (one-to-one style: a socket an association). All are cheap to clone; the last handle that goes away closes the
//! socket, and what was sent is still delivered in the background.
//!
//! Every operation that may have to wait comes in three forms: `try_x` returns [`Error::WouldBlock`] instead, `x` is
//! asynchronous, `x_blocking` blocks the thread. The asynchronous ones are cancel-safe: a future that is dropped has
//! taken and sent nothing.
//!
//! # An echo server
//!
//! ```no_run
//! use socketapi::{Received, SctpSocket};
//!
//! # async fn serve() -> socketapi::Result<()> {
//! let socket = SctpSocket::bind("[::]:5000").await?;
//! socket.listen(128)?;
//! loop {
//!     match socket.recv().await? {
//!         Received::Data { payload, info } => socket.send(payload, &info.reply()).await?,
//!         Received::Notification(event) => println!("{event:?}"),
//!     }
//! }
//! # }
//! ```
//!
//! # Options
//!
//! [`SctpSocket::options`] and [`SctpListener::options`] are what new associations start with;
//! [`SctpSocket::association`] and [`SctpStream::association`] give one association, with [`Options`] of its own and
//! what can be asked of it. They have the names of RFC 6458 §8, and what they tell comes as a [`Notification`] to
//! whoever [subscribes](Subscriptions) to it.
//!
//! # Under the sockets
//!
//! The feature `userland` (the default) brings SCTP inside the process, carried in UDP (RFC 6951): a [`StackHandle`]
//! is one such instance with its addresses and its UDP port. Sockets share one by default, on UDP port 9899 or what
//! the environment variable `SCTP_UDP_PORT` says. On Linux, any number of processes of a user share port 9899, and have
//! one space of SCTP ports, as if the kernel had SCTP ([`StackBuilder::share_udp_port`]). A program that needs a stack
//! of its own builds it:
//!
//! ```
//! use socketapi::{SndInfo, SocketBuilder, StackHandle};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> socketapi::Result<()> {
//! // Port 0: a free one. Both ends live on the same stack here.
//! let stack = StackHandle::builder().addresses(["127.0.0.1".parse().unwrap()]).udp_port(0).start().await?;
//! let listener = SocketBuilder::new().stack(&stack).listen("127.0.0.1:7", 8).await?;
//! tokio::spawn(async move {
//!     let (stream, _peer) = listener.accept().await?;
//!     while let Some(message) = stream.recv().await? {
//!         stream.send(message.payload, &message.info.reply()).await?;
//!     }
//!     Ok::<(), socketapi::Error>(())
//! });
//!
//! let stream = SocketBuilder::new().stack(&stack).connect("127.0.0.1:7").await?;
//! stream.send("hello", &SndInfo::new()).await?;
//! assert_eq!(stream.recv().await?.unwrap().payload, "hello");
//! stream.shutdown()?;
//! assert_eq!(stream.recv().await?, None);
//! # Ok(())
//! # }
//! ```
//!
//! The feature `kernel` is for the SCTP of a Linux kernel: the same sockets over its own. Features add up; with both, a
//! [`Backend`] is chosen at run time, by [`SocketBuilder::backend`] or the environment variable `SCTP_BACKEND`. What
//! the kernel cannot do fails with [`Error::Unsupported`].
//!
//! # What goes on
//!
//! - **Statistics**: [`SctpSocket::stats`], [`Association::stats`] and, with paths, [`Association::status`];
//!   [`StackHandle::snapshot`] and [`StackHandle::associations`] tell of everything on a stack, `kernel_stats` of the
//!   kernel. Counters have the names of the SCTP MIB (RFC 3873), print themselves, and are serialized with the feature
//!   `serde`.
//! - **Log lines** by `tracing`, in the spans `association` (fields `assoc`, `tag`, `port`, `peer`) and `path`
//!   (field `path`): associations and paths that come up, fail and recover at the level info; timers, control chunks
//!   and what is sent again at debug; each packet at trace. A program that starts `tracing_subscriber` with its filter
//!   from the environment shows them with `RUST_LOG=sctp=info`. The target `sctp` is the protocol, `socketapi` what is
//!   around it.
//! - **Captures** for Wireshark: [`StackBuilder::capture`], or the environment variable `SCTP_PCAP`.

#[cfg(not(any(feature = "userland", feature = "kernel")))]
compile_error!("socketapi needs a backend: enable the feature `userland`, `kernel`, or both");
#[cfg(all(feature = "kernel", not(target_os = "linux")))]
compile_error!("the feature `kernel` is for Linux");

mod association;
mod backend;
mod blocking;
mod builder;
mod error;
mod info;
mod listener;
mod notification;
mod options;
mod resolve;
mod socket;
mod stream;

#[cfg(feature = "kernel")]
mod kernel;
#[cfg(feature = "userland")]
mod userland;

pub use association::Association;
pub use backend::Backend;
pub use builder::SocketBuilder;
pub use error::{Error, Result};
pub use info::{AssocId, Destination, Message, NxtInfo, RcvInfo, Received, SndInfo};
#[cfg(feature = "kernel")]
pub use kernel::kernel_stats;
pub use listener::SctpListener;
pub use notification::{AssociationChange, AssociationFeatures, AssociationState, Notification, Subscriptions};
pub use options::{AssocParams, AssocScope, DelayedSack, InitMsg, Options, RtoInfo};
pub use socket::SctpSocket;
pub use stream::SctpStream;
#[cfg(feature = "userland")]
pub use userland::{Associations, DeviceConfig, DeviceStats, MemoryNetwork, StackBuilder, StackHandle, TunConfig};

pub use sctp::config::{
    AsconfConfig, AssociationConfig, AuthConfig, CongestionControl, FlowLabel, FragmentInterleave, OotbPolicy,
    PathConfig, PathThresholds, ReconfigRequests, SendingConfig, StreamScheduler,
};
pub use sctp::error::{AddressError, AuthKeyError, FailureReason, ReconfigError};
pub use sctp::serial::{Mid, Ppid, SharedKeyId, Ssn, StreamId, Tsn, VerificationTag};
pub use sctp::wire::{AddressChange, ChunkType, ErrorDetectionMethod, HmacId};
pub use sctp::{
    AbandonedMessages, AssociationPhase, AssociationSnapshot, AssociationStats, AssociationStatus, AuthEvent,
    ConnectOptions, Instant, MtuDiscovery, PartialReliabilityPolicy, PathChange, PathState, PathStats, PathStatus,
    ReconfigOutcome, Reliability, StackSnapshot, StackStats, StreamDirection, StreamDirections,
};
