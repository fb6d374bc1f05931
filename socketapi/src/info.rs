//! What goes with a message: where it is sent, where it came from.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use sctp::Reliability;
use sctp::serial::{Mid, Ppid, SharedKeyId, Ssn, StreamId, Tsn};

use crate::Notification;

/// Names an association. Never used again for another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssocId(pub(crate) AssocRepr);

/// How each backend names its associations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum AssocRepr {
    /// The engine's name for it.
    #[cfg(feature = "userland")]
    Userland(sctp::AssocId),
    /// The kernel's `sctp_assoc_t`.
    #[cfg(feature = "kernel")]
    Kernel(i32),
}

#[cfg(feature = "userland")]
impl AssocId {
    /// The engine's name for it.
    ///
    /// # Errors
    ///
    /// [`crate::Error::NoSuchAssociation`] if it belongs to another backend.
    pub(crate) const fn userland(self) -> crate::Result<sctp::AssocId> {
        match self.0 {
            AssocRepr::Userland(id) => Ok(id),
            #[cfg(feature = "kernel")]
            AssocRepr::Kernel(_) => Err(crate::Error::NoSuchAssociation),
        }
    }
}

#[cfg(feature = "kernel")]
impl AssocId {
    /// The kernel's name for it.
    ///
    /// # Errors
    ///
    /// [`crate::Error::NoSuchAssociation`] if it belongs to another backend.
    pub(crate) const fn kernel(self) -> crate::Result<i32> {
        match self.0 {
            AssocRepr::Kernel(id) => Ok(id),
            #[cfg(feature = "userland")]
            AssocRepr::Userland(_) => Err(crate::Error::NoSuchAssociation),
        }
    }
}

impl fmt::Debug for AssocId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            #[cfg(feature = "userland")]
            AssocRepr::Userland(id) => id.fmt(f),
            #[cfg(feature = "kernel")]
            AssocRepr::Kernel(id) => write!(f, "AssocId({id})"),
        }
    }
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Destination {
    /// The peer of a socket that has just one.
    #[default]
    Peer,
    /// This association.
    Association(AssocId),
    /// The association with this address; it is set up first if there is none.
    Address(SocketAddr),
}

impl Destination {
    /// What an error is for who sends there, or ends an association. The kernel has another number for them than for
    /// those who ask for options, or would end what an address does not have (RFC 6458 §3.1.4: `EINVAL`).
    pub(crate) fn refused(&self, error: crate::Error) -> crate::Error {
        match (error, self) {
            (crate::Error::NoSuchAssociation, Self::Association(_) | Self::Peer) => crate::Error::AssociationGone,
            (crate::Error::NoSuchPath, _) => crate::Error::AddressNotAvailable,
            (error, _) => error,
        }
    }
}

/// How a message is to be sent (RFC 6458 §5.3.4, `struct sctp_sndinfo`; §5.3.7, `sctp_prinfo`; §5.3.8,
/// `sctp_authinfo`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SndInfo {
    /// Where it goes.
    pub destination: Destination,
    /// The stream it goes on.
    pub stream: StreamId,
    /// What the payload is, for the peer.
    pub ppid: Ppid,
    /// Whether the peer may deliver it as soon as it is there, regardless of order (RFC 9260 §6.6).
    pub unordered: bool,
    /// Whether the peer is asked to acknowledge at once (the I bit, RFC 9260 §3.3.1).
    pub sack_immediately: bool,
    /// A number that a failure notification gives back.
    pub context: u32,
    /// The peer's address to send it to, rather than the primary one (`SCTP_ADDR_OVER`).
    pub to_address: Option<IpAddr>,
    /// How long to try to deliver it (RFC 3758, RFC 7496); `None` for what
    /// [`Options::set_default_prinfo`](crate::Options::set_default_prinfo) says.
    pub reliability: Option<Reliability>,
    /// The key to authenticate it with, even if the peer does not ask for that; `None` for the active key, if it does.
    pub auth_key: Option<SharedKeyId>,
    /// Whether the association is shut down behind it (`SCTP_EOF`). With an empty message, that is all that happens.
    pub eof: bool,
    /// Whether it is no message at all: the association ends at once (`SCTP_ABORT`), and the payload, which may be
    /// empty, goes to the peer as the reason.
    pub abort: bool,
    /// Whether it ends its message, where [`Options::set_explicit_eor`](crate::Options::set_explicit_eor) says that a
    /// message may come in several sends (`SCTP_EOR`); otherwise every send is a whole message.
    pub end_of_record: bool,
    /// Whether `stream`, `ppid`, `unordered`, `sack_immediately` and `context` are not those here, but what
    /// [`Options::set_default_sndinfo`](crate::Options::set_default_sndinfo) says; `eof` holds if either says so.
    pub use_defaults: bool,
}

impl SndInfo {
    /// An ordered message on stream 0 to the peer of a one-to-one style socket.
    pub fn new() -> Self {
        Self::default()
    }

    /// An ordered message on stream 0 of an association.
    pub fn to(assoc: AssocId) -> Self {
        Self {
            destination: Destination::Association(assoc),
            ..Self::default()
        }
    }

    /// An ordered message on stream 0 to an address. One-to-many style sockets set the association up if needed.
    pub fn to_address(address: SocketAddr) -> Self {
        Self {
            destination: Destination::Address(address),
            ..Self::default()
        }
    }

    /// On this association, whatever was said of a destination.
    pub(crate) const fn on(mut self, assoc: AssocId) -> Self {
        self.destination = Destination::Association(assoc);
        self
    }

    /// On this stream.
    #[must_use]
    pub const fn on_stream(mut self, stream: u16) -> Self {
        self.stream = StreamId(stream);
        self
    }

    /// With this payload protocol identifier.
    #[must_use]
    pub const fn with_ppid(mut self, ppid: u32) -> Self {
        self.ppid = Ppid(ppid);
        self
    }

    /// Delivered regardless of order.
    #[must_use]
    pub const fn unordered(mut self) -> Self {
        self.unordered = true;
        self
    }

    /// With this number in a failure notification.
    #[must_use]
    pub const fn with_context(mut self, context: u32) -> Self {
        self.context = context;
        self
    }

    /// Acknowledged by the peer at once, if it will (the I bit).
    #[must_use]
    pub const fn sack_immediately(mut self) -> Self {
        self.sack_immediately = true;
        self
    }

    /// Sent to this address of the peer rather than to the primary one.
    #[must_use]
    pub const fn over(mut self, address: IpAddr) -> Self {
        self.to_address = Some(address);
        self
    }

    /// Given up as this says.
    #[must_use]
    pub const fn with_reliability(mut self, reliability: Reliability) -> Self {
        self.reliability = Some(reliability);
        self
    }

    /// Authenticated with this key.
    #[must_use]
    pub const fn with_auth_key(mut self, key: SharedKeyId) -> Self {
        self.auth_key = Some(key);
        self
    }

    /// The last one: the association is shut down behind it.
    #[must_use]
    pub const fn eof(mut self) -> Self {
        self.eof = true;
        self
    }

    /// No message, but the end of the association, with the payload as the reason (`SCTP_ABORT`).
    #[must_use]
    pub const fn abort(mut self) -> Self {
        self.abort = true;
        self
    }

    /// The end of a message that came in several sends (`SCTP_EOR`).
    #[must_use]
    pub const fn end_of_record(mut self) -> Self {
        self.end_of_record = true;
        self
    }

    /// With the socket's or association's defaults instead of what is set here.
    #[must_use]
    pub const fn with_defaults(mut self) -> Self {
        self.use_defaults = true;
        self
    }
}

/// How a message came (RFC 6458 §5.3.5, `struct sctp_rcvinfo`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RcvInfo {
    /// The association it came on.
    pub assoc: AssocId,
    /// The stream it came on.
    pub stream: StreamId,
    /// Its stream sequence number; meaningless for an unordered message. With interleaving, the low 16 bits of `mid`.
    pub ssn: Ssn,
    /// Its Message Identifier, with interleaving (RFC 8260 §2.1).
    pub mid: Option<Mid>,
    /// What the payload is, as the sender says.
    pub ppid: Ppid,
    /// Whether it was sent unordered.
    pub unordered: bool,
    /// The TSN of its first fragment.
    pub tsn: Tsn,
    /// Up to which TSN everything has arrived, if it was sent unordered.
    pub cumulative_tsn: Option<Tsn>,
    /// What [`Options::set_context`](crate::Options::set_context) says.
    pub context: u32,
    /// Whether this is the end of the message (`MSG_EOR`). A message that the receive buffer cannot hold comes in
    /// pieces, as does one beyond [`Options::set_partial_delivery_point`](crate::Options::set_partial_delivery_point).
    pub end_of_message: bool,
    /// What can be received next from the association, where
    /// [`Options::set_recv_nxtinfo`](crate::Options::set_recv_nxtinfo) asks for it (RFC 6458 §5.3.6).
    pub next: Option<NxtInfo>,
}

impl RcvInfo {
    /// How to send an answer: on the same association and stream, with the same payload protocol identifier and
    /// ordering.
    pub fn reply(&self) -> SndInfo {
        SndInfo {
            stream: self.stream,
            ppid: self.ppid,
            unordered: self.unordered,
            ..SndInfo::to(self.assoc)
        }
    }
}

/// What is received next from an association (RFC 6458 §5.3.6, `struct sctp_nxtinfo`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NxtInfo {
    /// A notification.
    Notification,
    /// A message, or a piece of one.
    Message {
        /// The stream it came on.
        stream: StreamId,
        /// What the payload is, as the sender says.
        ppid: Ppid,
        /// Whether it was sent unordered.
        unordered: bool,
        /// How many bytes are there.
        length: usize,
        /// Whether the end of the message is among them.
        complete: bool,
    },
}

/// A message, or a piece of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The bytes.
    pub payload: Bytes,
    /// How it came.
    pub info: RcvInfo,
}

/// What a one-to-many style socket receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A message, or a piece of one.
    Data {
        /// The bytes.
        payload: Bytes,
        /// How it came.
        info: RcvInfo,
    },
    /// Something happened to an association.
    Notification(Notification),
}

impl Received {
    /// The association it belongs to.
    pub const fn assoc(&self) -> AssocId {
        match self {
            Self::Data { info, .. } => info.assoc,
            Self::Notification(notification) => notification.assoc(),
        }
    }

    /// The message, if it is one.
    pub fn into_data(self) -> Option<Message> {
        match self {
            Self::Data { payload, info } => Some(Message { payload, info }),
            Self::Notification(_) => None,
        }
    }
}

impl From<Message> for Received {
    fn from(Message { payload, info }: Message) -> Self {
        Self::Data { payload, info }
    }
}
