//! What can go wrong with a socket, and the `errno` each error stands for.

use std::io;
use std::net::IpAddr;

use sctp::error::{
    AddressError, AuthKeyError, BindError, ConfigError, ConnectError, FailureReason, NoSuchAssociation, PathError,
    ReconfigError, SendError, SettingError, StreamError,
};
use thiserror::Error;

/// Why an operation on a socket failed.
///
/// [`errno`](Self::errno) is the one table that maps each of them to the number that a C program sees.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// A `try_` method cannot do it now; its asynchronous and blocking forms wait.
    #[error("it would have to wait")]
    WouldBlock,
    /// The UDP port that carries the packets belongs to someone else on this host who does not share it.
    #[error(
        "UDP port {port} of {address} is taken by a program that does not share it: give this one another UDP port \
         (SCTP_UDP_PORT, or the stack's builder), or an address of its own (on one host, say 127.0.0.2)"
    )]
    UdpPortInUse {
        /// The address; unspecified for all of the host's.
        address: IpAddr,
        /// The UDP port.
        port: u16,
    },
    /// The system lets only privileged programs do it.
    #[error("not permitted: {0}")]
    NotPermitted(&'static str),
    /// The UDP port that carries the packets is shared by processes of another user, who alone may join them.
    #[error(
        "UDP port {port} is shared by processes of another user (uid {user}): give this one another UDP port \
         (SCTP_UDP_PORT, or the stack's builder)"
    )]
    UdpPortOfUser {
        /// The UDP port.
        port: u16,
        /// The number of the user.
        user: u32,
    },
    /// Another socket has the SCTP port on one of the addresses.
    #[error("the SCTP port is in use")]
    PortInUse,
    /// No ephemeral SCTP port is free.
    #[error("no SCTP port is free")]
    NoPortFree,
    /// The address to bind to is not one of this host's, or the device does not have it; or the address to send to is
    /// not one of the peer's, on a socket that has just one; or the association with that peer is another socket's of
    /// the same port.
    #[error("the address is not available")]
    AddressNotAvailable,
    /// The stack was started on other addresses of the host; one that uses all can be had by naming none
    /// ([`StackBuilder::addresses`](crate::StackBuilder::addresses)).
    #[error("{0} is an address of this host, but the stack was started on others only")]
    AddressOfOthers(IpAddr),
    /// The list of addresses is empty, or does not make one transport address: its ports differ, or families or
    /// wildcards are mixed with others.
    #[error("the addresses do not make one SCTP transport address")]
    InvalidAddress,
    /// There is an association with this peer already.
    #[error("there is an association with this peer already")]
    AlreadyConnected,
    /// An association with this peer is being set up already.
    #[error("an association with this peer is being set up already")]
    ConnectInProgress,
    /// No own address can reach the peer: none has a fitting family and scope.
    #[error("no own address can reach the peer")]
    Unreachable,
    /// The stack holds as many associations as it may.
    #[error("too many associations")]
    TooManyAssociations,
    /// There is no such association on this socket, or it has ended.
    #[error("no such association")]
    NoSuchAssociation,
    /// The association to send on, or to end, is not one of this socket, or has ended.
    #[error("the association is not there any more")]
    AssociationGone,
    /// The message names no destination on a socket with many, or another association than the one of its socket.
    #[error("the destination is missing or not this socket's")]
    NoDestination,
    /// The peer does not have this address.
    #[error("not an address of the peer")]
    NoSuchPath,
    /// The stream was not negotiated.
    #[error("no such stream")]
    InvalidStream,
    /// There is no such authentication key, or it is deactivated (RFC 6458 §5.3.8).
    #[error("no such authentication key")]
    NoSuchKey,
    /// The message has no bytes (RFC 9260 §6.2: a DATA chunk must have user data).
    #[error("the message is empty")]
    EmptyMessage,
    /// The message is larger than the send buffer.
    #[error("the message is larger than the send buffer")]
    MessageTooLarge,
    /// The association is being shut down, by this side or by the peer (RFC 9260 §9.2); nothing can be sent any more.
    #[error("the association is shutting down")]
    ShuttingDown,
    /// The peer's address is not known to be the peer's yet (RFC 9260 §5.4).
    #[error("the peer's address is not confirmed")]
    AddressUnconfirmed,
    /// The association could not be set up.
    #[error("the association could not be set up: {0}")]
    ConnectFailed(FailureReason),
    /// The association ended otherwise than by shutdown.
    #[error("the association was lost: {0}")]
    AssociationLost(FailureReason),
    /// The socket was closed, by another handle to it.
    #[error("the socket was closed")]
    Closed,
    /// The message of which this is a piece was given up before its end (RFC 3758); the next piece begins another one.
    #[error("the message was given up before its end")]
    MessageGivenUp,
    /// The stack under the socket has stopped.
    #[error("the stack has stopped")]
    StackStopped,
    /// What was asked for did not happen in the time given.
    #[error("the time is over")]
    TimedOut,
    /// The backend cannot do this.
    #[error("not supported: {0}")]
    Unsupported(&'static str),
    /// A configuration value was refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The setting cannot be changed any more: the peer was told, or it is built in.
    #[error("fixed since the association was set up")]
    Fixed,
    /// A command about an authentication key was refused (RFC 6458 §8.1.18, §8.3.4, §8.3.5).
    #[error(transparent)]
    AuthKey(AuthKeyError),
    /// A re-configuration was not asked for (RFC 6525).
    #[error(transparent)]
    Reconfig(ReconfigError),
    /// A change of own addresses was refused (RFC 6458 §9.1, RFC 5061).
    #[error(transparent)]
    AddressChange(AddressError),
    /// The operating system refused something.
    #[error("{doing}: {}", io_text(*.errno, *.kind))]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The system's error number, if it gave one.
        errno: Option<i32>,
        /// Its kind.
        kind: io::ErrorKind,
    },
}

/// What operations on sockets return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of the operating system while `doing` something.
    pub(crate) fn io(doing: &'static str, error: &io::Error) -> Self {
        Self::Io {
            doing,
            errno: error.raw_os_error(),
            kind: error.kind(),
        }
    }

    /// The error number of the sockets API that stands for this error: the one that a Linux kernel gives, as
    /// `tests/errno.rs` compares them.
    pub fn errno(&self) -> i32 {
        match self {
            Self::WouldBlock => libc::EAGAIN,
            Self::UdpPortInUse { .. } | Self::UdpPortOfUser { .. } | Self::PortInUse | Self::NoPortFree => {
                libc::EADDRINUSE
            }
            Self::NotPermitted(_) => libc::EPERM,
            Self::AddressNotAvailable | Self::AddressOfOthers(_) => libc::EADDRNOTAVAIL,
            Self::AlreadyConnected => libc::EISCONN,
            Self::ConnectInProgress => libc::EALREADY,
            Self::Unreachable => libc::ENETUNREACH,
            Self::TooManyAssociations => libc::ENOBUFS,
            Self::InvalidAddress
            | Self::NoSuchAssociation
            | Self::NoSuchPath
            | Self::InvalidStream
            | Self::NoSuchKey
            | Self::EmptyMessage
            | Self::AddressUnconfirmed
            | Self::Fixed
            | Self::Config(_) => libc::EINVAL,
            Self::AuthKey(error) => match error {
                AuthKeyError::NotOffered => libc::EACCES,
                AuthKeyError::InUse => libc::EBUSY,
                _ => libc::EINVAL,
            },
            Self::Reconfig(error) => match error {
                ReconfigError::NotEstablished => libc::ENOTCONN,
                ReconfigError::NotSupported => libc::ENOPROTOOPT,
                ReconfigError::InProgress => libc::EINPROGRESS,
                ReconfigError::TooSoon => libc::EBUSY,
                _ => libc::EINVAL,
            },
            Self::AddressChange(error) => match error {
                AddressError::NotNegotiated | AddressError::NotSupported => libc::EPERM,
                AddressError::LastAddress => libc::EBUSY,
                AddressError::TooMany => libc::ENOBUFS,
                _ => libc::EINVAL,
            },
            Self::MessageTooLarge => libc::EMSGSIZE,
            Self::MessageGivenUp => libc::ECANCELED,
            Self::ShuttingDown | Self::AssociationGone | Self::NoDestination => libc::EPIPE,
            Self::ConnectFailed(reason) => match reason {
                FailureReason::PeerAbort { .. } | FailureReason::ProtocolUnreachable => libc::ECONNREFUSED,
                FailureReason::UserAbort | FailureReason::EndpointClosed => libc::ECONNABORTED,
                FailureReason::PeerMisbehaved(_) => libc::EPROTO,
                _ => libc::ETIMEDOUT,
            },
            Self::AssociationLost(reason) => match reason {
                FailureReason::PeerAbort { .. } | FailureReason::ProtocolUnreachable => libc::ECONNRESET,
                FailureReason::UserAbort | FailureReason::EndpointClosed => libc::ECONNABORTED,
                FailureReason::PeerMisbehaved(_) => libc::EPROTO,
                _ => libc::ETIMEDOUT,
            },
            Self::Closed => libc::EBADF,
            Self::StackStopped => libc::ENETDOWN,
            Self::TimedOut => libc::ETIMEDOUT,
            Self::Unsupported(_) => libc::EOPNOTSUPP,
            Self::Io { errno, .. } => errno.unwrap_or(libc::EIO),
        }
    }
}

fn io_text(errno: Option<i32>, kind: io::ErrorKind) -> String {
    errno.map_or_else(
        || kind.to_string(),
        |errno| io::Error::from_raw_os_error(errno).to_string(),
    )
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Io { kind, .. } => *kind,
            _ => Self::from_raw_os_error(error.errno()).kind(),
        };
        Self::new(kind, error)
    }
}

impl From<BindError> for Error {
    fn from(error: BindError) -> Self {
        match error {
            BindError::PortInUse => Self::PortInUse,
            BindError::NoPortFree => Self::NoPortFree,
            BindError::AddressNotAvailable => Self::AddressNotAvailable,
        }
    }
}

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::NoSuchEndpoint => Self::Closed,
            ConnectError::AlreadyConnected => Self::AlreadyConnected,
            ConnectError::BadAddress | ConnectError::BadPort => Self::InvalidAddress,
            ConnectError::NoSource => Self::Unreachable,
            ConnectError::TooManyAssociations => Self::TooManyAssociations,
        }
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::NoSuchAssociation => Self::NoSuchAssociation,
            SendError::WouldBlock => Self::WouldBlock,
            SendError::InvalidStream | SendError::Unfinished => Self::InvalidStream,
            SendError::GivenUp => Self::MessageGivenUp,
            SendError::Empty => Self::EmptyMessage,
            SendError::TooLarge => Self::MessageTooLarge,
            SendError::ShuttingDown => Self::ShuttingDown,
            SendError::NoSuchKey => Self::NoSuchKey,
        }
    }
}

impl From<NoSuchAssociation> for Error {
    fn from(_: NoSuchAssociation) -> Self {
        Self::NoSuchAssociation
    }
}

impl From<PathError> for Error {
    fn from(error: PathError) -> Self {
        match error {
            PathError::NoSuchAssociation => Self::NoSuchAssociation,
            PathError::NoSuchPath => Self::NoSuchPath,
            PathError::Unconfirmed => Self::AddressUnconfirmed,
        }
    }
}

impl From<AuthKeyError> for Error {
    fn from(error: AuthKeyError) -> Self {
        match error {
            AuthKeyError::NoSuchAssociation => Self::NoSuchAssociation,
            AuthKeyError::NoSuchKey => Self::NoSuchKey,
            other => Self::AuthKey(other),
        }
    }
}

impl From<StreamError> for Error {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::NoSuchAssociation => Self::NoSuchAssociation,
            StreamError::InvalidStream => Self::InvalidStream,
        }
    }
}

impl From<ReconfigError> for Error {
    fn from(error: ReconfigError) -> Self {
        match error {
            ReconfigError::NoSuchAssociation => Self::NoSuchAssociation,
            ReconfigError::InvalidStream => Self::InvalidStream,
            other => Self::Reconfig(other),
        }
    }
}

impl From<SettingError> for Error {
    fn from(error: SettingError) -> Self {
        match error {
            SettingError::NoSuchPath => Self::NoSuchPath,
            SettingError::Fixed => Self::Fixed,
            _ => Self::NoSuchAssociation,
        }
    }
}

impl From<AddressError> for Error {
    fn from(error: AddressError) -> Self {
        match error {
            AddressError::NoSuchAssociation => Self::NoSuchAssociation,
            AddressError::NoSuchEndpoint => Self::Closed,
            AddressError::ShuttingDown => Self::ShuttingDown,
            AddressError::AddressNotAvailable => Self::AddressNotAvailable,
            AddressError::PortInUse => Self::PortInUse,
            other => Self::AddressChange(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_become_the_numbers_and_kinds_of_the_sockets_api() {
        let refused = Error::ConnectFailed(FailureReason::PeerAbort {
            cause: None,
            reason: bytes::Bytes::new(),
        });
        assert_eq!(refused.errno(), libc::ECONNREFUSED);
        assert_eq!(io::Error::from(refused).kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(io::Error::from(Error::WouldBlock).kind(), io::ErrorKind::WouldBlock);
        assert_eq!(io::Error::from(Error::ShuttingDown).kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(Error::from(SendError::WouldBlock), Error::WouldBlock);
        assert_eq!(Error::from(ReconfigError::InProgress).errno(), libc::EINPROGRESS);
        assert_eq!(Error::from(ReconfigError::InvalidStream), Error::InvalidStream);
        assert_eq!(Error::from(AddressError::LastAddress).errno(), libc::EBUSY);
        assert_eq!(Error::from(AuthKeyError::NotOffered).errno(), libc::EACCES);
        assert_eq!(Error::from(SettingError::NoSuchPath), Error::NoSuchPath);
    }

    /// What each error is for a C program. A new variant does not compile here before it has its number.
    const fn listed(error: &Error) -> usize {
        match error {
            Error::WouldBlock => 0,
            Error::UdpPortInUse { .. } => 1,
            Error::NotPermitted(_) => 2,
            Error::UdpPortOfUser { .. } => 3,
            Error::PortInUse => 4,
            Error::NoPortFree => 5,
            Error::AddressNotAvailable => 6,
            Error::InvalidAddress => 7,
            Error::AlreadyConnected => 8,
            Error::Unreachable => 9,
            Error::TooManyAssociations => 10,
            Error::NoSuchAssociation => 11,
            Error::NoDestination => 12,
            Error::InvalidStream => 13,
            Error::NoSuchKey => 14,
            Error::EmptyMessage => 15,
            Error::MessageTooLarge => 16,
            Error::ShuttingDown => 17,
            Error::AddressUnconfirmed => 18,
            Error::ConnectFailed(_) => 19,
            Error::AssociationLost(_) => 20,
            Error::Closed => 21,
            Error::StackStopped => 22,
            Error::TimedOut => 23,
            Error::Unsupported(_) => 24,
            Error::Config(_) => 25,
            Error::Fixed => 26,
            Error::AuthKey(_) => 27,
            Error::Reconfig(_) => 28,
            Error::AddressChange(_) => 29,
            Error::Io { .. } => 30,
            Error::AddressOfOthers(_) => 31,
            Error::ConnectInProgress => 34,
            Error::AssociationGone => 32,
            Error::NoSuchPath => 33,
            Error::MessageGivenUp => 35,
        }
    }

    fn peer_abort() -> FailureReason {
        FailureReason::PeerAbort {
            cause: Some(12),
            reason: bytes::Bytes::new(),
        }
    }

    #[test]
    fn every_error_has_the_number_that_a_kernel_gives() {
        let udp_port = Error::UdpPortInUse {
            address: "127.0.0.1".parse().unwrap(),
            port: 9899,
        };
        let io = |errno| Error::Io {
            doing: "sending",
            errno,
            kind: io::ErrorKind::Other,
        };
        let violation = FailureReason::PeerMisbehaved(sctp::error::Violation::NoStreams);
        let table = [
            (Error::WouldBlock, libc::EAGAIN),
            (udp_port, libc::EADDRINUSE),
            (Error::NotPermitted("a raw socket"), libc::EPERM),
            (Error::UdpPortOfUser { port: 9899, user: 5 }, libc::EADDRINUSE),
            (Error::PortInUse, libc::EADDRINUSE),
            (Error::NoPortFree, libc::EADDRINUSE),
            (Error::AddressNotAvailable, libc::EADDRNOTAVAIL),
            (Error::AddressOfOthers([127, 0, 0, 1].into()), libc::EADDRNOTAVAIL),
            (Error::InvalidAddress, libc::EINVAL),
            (Error::AlreadyConnected, libc::EISCONN),
            (Error::Unreachable, libc::ENETUNREACH),
            (Error::TooManyAssociations, libc::ENOBUFS),
            (Error::ConnectInProgress, libc::EALREADY),
            (Error::NoSuchAssociation, libc::EINVAL),
            (Error::AssociationGone, libc::EPIPE),
            (Error::NoDestination, libc::EPIPE),
            (Error::NoSuchPath, libc::EINVAL),
            (Error::InvalidStream, libc::EINVAL),
            (Error::NoSuchKey, libc::EINVAL),
            (Error::EmptyMessage, libc::EINVAL),
            (Error::MessageTooLarge, libc::EMSGSIZE),
            (Error::MessageGivenUp, libc::ECANCELED),
            (Error::ShuttingDown, libc::EPIPE),
            (Error::AddressUnconfirmed, libc::EINVAL),
            (Error::ConnectFailed(peer_abort()), libc::ECONNREFUSED),
            (
                Error::ConnectFailed(FailureReason::ProtocolUnreachable),
                libc::ECONNREFUSED,
            ),
            (Error::ConnectFailed(FailureReason::SetupTimeout), libc::ETIMEDOUT),
            (Error::ConnectFailed(FailureReason::StaleCookie), libc::ETIMEDOUT),
            (Error::ConnectFailed(FailureReason::UserAbort), libc::ECONNABORTED),
            (Error::ConnectFailed(violation.clone()), libc::EPROTO),
            (Error::AssociationLost(peer_abort()), libc::ECONNRESET),
            (Error::AssociationLost(FailureReason::PeerUnreachable), libc::ETIMEDOUT),
            (Error::AssociationLost(FailureReason::ShutdownTimeout), libc::ETIMEDOUT),
            (
                Error::AssociationLost(FailureReason::EndpointClosed),
                libc::ECONNABORTED,
            ),
            (Error::AssociationLost(violation), libc::EPROTO),
            (Error::Closed, libc::EBADF),
            (Error::StackStopped, libc::ENETDOWN),
            (Error::TimedOut, libc::ETIMEDOUT),
            (Error::Unsupported("it"), libc::EOPNOTSUPP),
            (
                Error::Config(
                    sctp::config::AssociationConfig::default()
                        .set_sack_frequency(0)
                        .unwrap_err(),
                ),
                libc::EINVAL,
            ),
            (Error::Fixed, libc::EINVAL),
            (Error::AuthKey(AuthKeyError::NotOffered), libc::EACCES),
            (Error::AuthKey(AuthKeyError::InUse), libc::EBUSY),
            (Error::AuthKey(AuthKeyError::NoSuchKey), libc::EINVAL),
            (Error::AuthKey(AuthKeyError::Active), libc::EINVAL),
            (Error::Reconfig(ReconfigError::NotEstablished), libc::ENOTCONN),
            (Error::Reconfig(ReconfigError::NotSupported), libc::ENOPROTOOPT),
            (Error::Reconfig(ReconfigError::InProgress), libc::EINPROGRESS),
            (Error::Reconfig(ReconfigError::TooSoon), libc::EBUSY),
            (Error::Reconfig(ReconfigError::TooManyStreams), libc::EINVAL),
            (Error::AddressChange(AddressError::NotNegotiated), libc::EPERM),
            (Error::AddressChange(AddressError::NoSuchAddress), libc::EINVAL),
            (Error::AddressChange(AddressError::LastAddress), libc::EBUSY),
            (Error::AddressChange(AddressError::TooMany), libc::ENOBUFS),
            (Error::AddressChange(AddressError::BoundToAll), libc::EINVAL),
            (io(Some(libc::ENOMEM)), libc::ENOMEM),
            (io(None), libc::EIO),
        ];
        for (error, errno) in &table {
            assert_eq!(error.errno(), *errno, "{error:?}");
        }
        let seen: std::collections::BTreeSet<usize> = table.iter().map(|(error, _)| listed(error)).collect();
        assert!(seen.iter().copied().eq(0..36), "{seen:?}");
    }

    #[test]
    fn errors_of_the_engine_are_not_lost_on_the_way() {
        assert_eq!(Error::from(SendError::TooLarge).errno(), libc::EMSGSIZE);
        assert_eq!(Error::from(SendError::ShuttingDown).errno(), libc::EPIPE);
        assert_eq!(Error::from(ConnectError::NoSource).errno(), libc::ENETUNREACH);
        assert_eq!(Error::from(ConnectError::AlreadyConnected).errno(), libc::EISCONN);
        assert_eq!(Error::from(BindError::PortInUse).errno(), libc::EADDRINUSE);
        assert_eq!(Error::from(BindError::AddressNotAvailable).errno(), libc::EADDRNOTAVAIL);
        assert_eq!(Error::from(PathError::Unconfirmed).errno(), libc::EINVAL);
        assert_eq!(Error::from(AddressError::ShuttingDown).errno(), libc::EPIPE);
    }

    #[test]
    fn a_taken_udp_port_tells_what_to_do() {
        let text = Error::UdpPortInUse {
            address: "127.0.0.1".parse().unwrap(),
            port: 9899,
        }
        .to_string();
        assert!(text.contains("127.0.0.1") && text.contains("9899"), "{text}");
        assert!(text.contains("SCTP_UDP_PORT") && text.contains("127.0.0.2"), "{text}");
    }
}
