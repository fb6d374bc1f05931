//! Errors, in three families that never mix: what is wrong with bytes ([`DecodeError`]), why an association failed
//! ([`FailureReason`], with the peer's [`Violation`]s), and what is wrong with a call ([`BindError`] and the others).

use bytes::Bytes;
use thiserror::Error;

use crate::tlv::ReadError;

/// Why a packet or a chunk cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// A field is cut off, a length is wrong, or something is left over.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The CRC32c does not fit (RFC 9260 §6.8).
    #[error("wrong checksum")]
    Checksum,
    /// A field has a value that its definition rules out.
    #[error("invalid value of {field}")]
    InvalidValue {
        /// The field, in the RFC's words.
        field: &'static str,
    },
}

/// Why an association ended, or never came to be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FailureReason {
    /// The user aborted it.
    #[error("aborted by the user")]
    UserAbort,
    /// The peer sent an ABORT.
    #[error("aborted by the peer{}", cause_text(*.cause))]
    PeerAbort {
        /// The first error cause in it, if it had one.
        cause: Option<u16>,
        /// What a User-Initiated Abort cause carried (RFC 9260 §3.3.10.12).
        reason: Bytes,
    },
    /// Association.Max.Retrans was exceeded (RFC 9260 §8.1).
    #[error("the peer does not answer")]
    PeerUnreachable,
    /// The peer's host says by ICMP that it has no SCTP, or nothing at the UDP port that was asked for (RFC 9260 §10).
    #[error("connection refused: there is no SCTP at the address")]
    ProtocolUnreachable,
    /// The set-up was repeated Max.Init.Retransmits times without an answer (RFC 9260 §5.1.6).
    #[error("no answer to the association set-up")]
    SetupTimeout,
    /// The peer's cookie answer was too late, again and again (RFC 9260 §5.2.6).
    #[error("the peer finds the cookie stale")]
    StaleCookie,
    /// The peer broke the protocol; it was told by an ABORT.
    #[error("the peer broke the protocol: {0}")]
    PeerMisbehaved(Violation),
    /// The shutdown took longer than T5-shutdown-guard allows (RFC 9260 §9.2).
    #[error("the shutdown took too long")]
    ShutdownTimeout,
    /// The end point it belonged to was closed.
    #[error("the end point was closed")]
    EndpointClosed,
}

impl FailureReason {
    /// The code of the error cause in the ABORT that ended the association, whoever sent it (RFC 9260 §3.3.10); `None`
    /// if it ended otherwise, or if the ABORT had none.
    pub const fn cause(&self) -> Option<u16> {
        match self {
            Self::UserAbort | Self::EndpointClosed => Some(USER_INITIATED_ABORT),
            Self::PeerAbort { cause, .. } => *cause,
            Self::StaleCookie => Some(STALE_COOKIE),
            Self::PeerMisbehaved(_) => Some(PROTOCOL_VIOLATION),
            Self::PeerUnreachable | Self::ProtocolUnreachable | Self::SetupTimeout | Self::ShutdownTimeout => None,
        }
    }
}

const STALE_COOKIE: u16 = 3;
const USER_INITIATED_ABORT: u16 = 12;
const PROTOCOL_VIOLATION: u16 = 13;

fn cause_text(cause: Option<u16>) -> String {
    cause.map_or_else(String::new, |cause| format!(" (cause {cause})"))
}

/// What a peer did against the protocol, one variant a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Violation {
    /// An INIT or INIT ACK with an Initiate Tag of zero (RFC 9260 §3.3.2, §3.3.3).
    #[error("an initiate tag of zero")]
    ZeroInitiateTag,
    /// An INIT or INIT ACK that offers no streams in one direction (RFC 9260 §3.3.2).
    #[error("no streams")]
    NoStreams,
    /// An INIT or INIT ACK whose a_rwnd is below 1500 bytes (RFC 9260 §3.3.2).
    #[error("an initial receive window below 1500 bytes")]
    WindowTooSmall,
    /// An INIT ACK without a State Cookie (RFC 9260 §3.3.3).
    #[error("no State Cookie in the INIT ACK")]
    MissingCookie,
    /// A host name in place of addresses (RFC 9260 §3.3.2.1.4).
    #[error("a host name address")]
    HostName,
    /// A mandatory parameter that cannot be read.
    #[error("a malformed parameter")]
    MalformedParameter,
    /// A chunk that cannot be read.
    #[error("a malformed chunk")]
    MalformedChunk,
    /// A DATA chunk without user data (RFC 9260 §6.2).
    #[error("a DATA chunk without user data")]
    NoUserData,
    /// A SACK that takes back nothing it may but acknowledges a TSN that was never sent.
    #[error("an acknowledgement of data that was never sent")]
    AcknowledgedUnsent,
    /// SACKs that take back what they acknowledged (RFC 9260 §6.2.1), far more often than want of memory explains.
    #[error("acknowledgements taken back over and over")]
    RenegedTooOften,
    /// Fragments that do not fit together.
    #[error("inconsistent fragments")]
    InconsistentFragments,
    /// DATA or FORWARD-TSN where interleaving was negotiated (RFC 8260 §2.2.3, §2.3.1).
    #[error("chunks without interleaving although it was negotiated")]
    MissingInterleaving,
    /// I-DATA or I-FORWARD-TSN where that was not negotiated (RFC 8260 §2.2.3, §2.3.1).
    #[error("chunks with interleaving that was not negotiated")]
    UnexpectedInterleaving,
    /// A message that is larger than this side can ever take.
    #[error("a message that is too large")]
    MessageTooLarge,
    /// The peer's addresses include none that could be used.
    #[error("no usable address")]
    NoUsableAddress,
    /// A RANDOM parameter whose number has not 32 bytes (RFC 4895 §6.1).
    #[error("a random number of a wrong length")]
    BadRandom,
    /// A CHUNKS parameter that is too long, or whose sender does not take part in AUTH (RFC 4895 §3.2).
    #[error("a bad list of authenticated chunks")]
    BadChunkList,
    /// An HMAC-ALGO parameter without SHA-1, or with more identifiers than there can be (RFC 4895 §6.1).
    #[error("a bad list of HMAC identifiers")]
    BadHmacList,
    /// A parameter of AUTH that stands twice (RFC 4895 §3).
    #[error("a repeated parameter of AUTH")]
    RepeatedAuthParameter,
    /// An ASCONF-ACK for an ASCONF that was never sent (RFC 5061 §5.3 F0).
    #[error("an answer to an address change that was never asked for")]
    IllegalAsconfAck,
    /// Address changes offered without authentication (RFC 5061 §4.2.7, §6).
    #[error("address changes without authentication")]
    AsconfWithoutAuth,
    /// A restart that claims addresses the association does not have (RFC 9260 §5.2.3).
    #[error("a restart with new addresses")]
    RestartWithNewAddresses,
}

/// Why an end point cannot be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BindError {
    /// Another end point has the port on one of the addresses.
    #[error("the port is in use")]
    PortInUse,
    /// No ephemeral port is free.
    #[error("no port is free")]
    NoPortFree,
    /// The stack does not have the address.
    #[error("not a local address")]
    AddressNotAvailable,
}

/// Why an association cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// The end point does not exist.
    #[error("no such end point")]
    NoSuchEndpoint,
    /// There is an association with this peer already.
    #[error("an association with this peer exists")]
    AlreadyConnected,
    /// The list of addresses is empty, or holds one that cannot be a peer's.
    #[error("not an address of a peer")]
    BadAddress,
    /// The port is zero.
    #[error("port zero is no peer's")]
    BadPort,
    /// No own address can reach any of the peer's (family or scope).
    #[error("no own address of a fitting family")]
    NoSource,
    /// The stack holds as many associations as it may.
    #[error("too many associations")]
    TooManyAssociations,
}

/// Why a message was not taken. The message was not queued, not even in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// There is no such association, or it has ended.
    #[error("no such association")]
    NoSuchAssociation,
    /// The send buffer is full: wait for [`Event::Writable`](crate::Event::Writable).
    #[error("the send buffer is full")]
    WouldBlock,
    /// The stream was not negotiated.
    #[error("no such stream")]
    InvalidStream,
    /// The message has no bytes (RFC 9260 §6.2: a DATA chunk must have user data).
    #[error("the message is empty")]
    Empty,
    /// The message is larger than the send buffer.
    #[error("the message is too large")]
    TooLarge,
    /// The association is being shut down (RFC 9260 §9.2).
    #[error("the association is shutting down")]
    ShuttingDown,
    /// A message that was given in part has to be completed first: of the same stream, or, without interleaving, of any
    /// ([`Stack::send_more`](crate::Stack::send_more)).
    #[error("another message is not complete")]
    Unfinished,
    /// The message of which this is a piece was given up before its end. The next piece begins another message.
    #[error("the message was given up before its end")]
    GivenUp,
    /// The key that the message asks for does not exist or is deactivated, or the peer does not take part in AUTH
    /// (RFC 4895).
    #[error("no such authentication key")]
    NoSuchKey,
}

/// A command names an association that does not exist (any more).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no such association")]
pub struct NoSuchAssociation;

/// Why a command about one of the peer's addresses was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    /// There is no such association.
    #[error("no such association")]
    NoSuchAssociation,
    /// The association has no such peer address.
    #[error("not an address of the peer")]
    NoSuchPath,
    /// The address has not been confirmed yet (RFC 9260 §5.4).
    #[error("the address is not confirmed")]
    Unconfirmed,
}

/// Why a command about an endpoint pair shared key was refused (RFC 6458 §8.1.18, §8.3.4, §8.3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AuthKeyError {
    /// There is no such association or end point.
    #[error("no such association")]
    NoSuchAssociation,
    /// The association does not offer AUTH.
    #[error("the association does not offer authentication")]
    NotOffered,
    /// There is no key of this number.
    #[error("no such key")]
    NoSuchKey,
    /// The key is the active one.
    #[error("the key is active")]
    Active,
    /// The key was deactivated.
    #[error("the key is deactivated")]
    Deactivated,
    /// The key must be deactivated first.
    #[error("the key is not deactivated")]
    NotDeactivated,
    /// A message that is not acknowledged yet uses the key.
    #[error("the key is in use")]
    InUse,
}

/// Why a command about a stream was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StreamError {
    /// There is no such association.
    #[error("no such association")]
    NoSuchAssociation,
    /// The stream was not negotiated.
    #[error("no such stream")]
    InvalidStream,
}

/// Why a re-configuration (RFC 6525) was not asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReconfigError {
    /// There is no such association.
    #[error("no such association")]
    NoSuchAssociation,
    /// The association is being set up or shut down.
    #[error("the association is not established")]
    NotEstablished,
    /// The peer does not support it, or it is switched off here (RFC 6525 §5.1.1).
    #[error("re-configuration was not negotiated")]
    NotSupported,
    /// Another request has not been answered yet (RFC 6525 §5.1.1).
    #[error("a request is in progress")]
    InProgress,
    /// A stream does not exist.
    #[error("no such stream")]
    InvalidStream,
    /// The streams would be more than there can be, or than the own configuration allows.
    #[error("too many streams")]
    TooManyStreams,
    /// A message of one of the streams was given in part, and its rest is to come.
    #[error("a message is not complete")]
    Unfinished,
    /// The list of streams does not fit into a packet.
    #[error("the list of streams is too long for a packet")]
    ListTooLong,
    /// Nothing was asked for.
    #[error("no streams to be added")]
    Nothing,
    /// The last reset of the association was less than 30 seconds ago (RFC 6525 §5.1.4).
    #[error("the association was reset less than 30 seconds ago")]
    TooSoon,
}

/// Why the settings of an association or of a path were not changed. Nothing was changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SettingError {
    /// There is no such association, or it has ended.
    #[error("no such association")]
    NoSuchAssociation,
    /// The association has no such peer address.
    #[error("not an address of the peer")]
    NoSuchPath,
    /// Something differs that was fixed when the association was set up: streams, extensions, congestion control.
    #[error("fixed since the association was set up")]
    Fixed,
}

/// Why a change of own addresses was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no such association.
    #[error("no such association")]
    NoSuchAssociation,
    /// There is no such end point.
    #[error("no such end point")]
    NoSuchEndpoint,
    /// The association is shutting down, or has ended.
    #[error("the association is shutting down")]
    ShuttingDown,
    /// Its addresses cannot change: this side or the peer does not offer ASCONF (RFC 5061).
    #[error("addresses cannot change: not negotiated")]
    NotNegotiated,
    /// The peer has said that it does not understand such requests (RFC 5061 §5.1 A9, §5.3 F3).
    #[error("the peer does not understand such requests")]
    NotSupported,
    /// The host does not have the address.
    #[error("not a local address")]
    AddressNotAvailable,
    /// The association or end point does not use the address.
    #[error("not an address in use")]
    NoSuchAddress,
    /// The peer could not use the address: it does not reach as far (RFC 9260 §5.1.2).
    #[error("not an address that the peer could use")]
    OutOfScope,
    /// No address would be left (RFC 5061 §5.3 F5).
    #[error("the last address")]
    LastAddress,
    /// The end point is bound to all addresses.
    #[error("bound to all addresses")]
    BoundToAll,
    /// Another end point has the port on the address.
    #[error("the port is in use")]
    PortInUse,
    /// Too many changes wait for the peer's answer.
    #[error("too many changes")]
    TooMany,
}

/// A configuration value outside what makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{name} out of range: {expected}")]
pub struct ConfigError {
    /// The parameter, in the RFC's words.
    pub name: &'static str,
    /// What would be accepted.
    pub expected: &'static str,
}
