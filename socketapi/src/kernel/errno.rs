//! The kernel's error numbers as errors of the sockets.

use std::io;

use crate::Error;
use crate::FailureReason;

/// What a machine without SCTP in its kernel is told.
pub(crate) const NO_SCTP: &str = "this kernel has no SCTP: `modprobe sctp`, or use the userland backend";

/// What the number means wherever it comes from.
pub(crate) fn general(doing: &'static str, error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EINTR) => Error::WouldBlock,
        Some(libc::EADDRINUSE) => Error::PortInUse,
        Some(libc::EADDRNOTAVAIL) => Error::AddressNotAvailable,
        Some(libc::EISCONN) => Error::AlreadyConnected,
        Some(libc::EALREADY) => Error::ConnectInProgress,
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH) => Error::Unreachable,
        Some(libc::EMSGSIZE) => Error::MessageTooLarge,
        Some(libc::EPIPE | libc::ESHUTDOWN) => Error::ShuttingDown,
        Some(libc::EPROTONOSUPPORT | libc::ESOCKTNOSUPPORT) => Error::Unsupported(NO_SCTP),
        Some(libc::ENOPROTOOPT | libc::EOPNOTSUPP) => Error::Unsupported(doing),
        _ => Error::io(doing, error),
    }
}

/// As [`general`], where `EINVAL` says that the association is not there.
pub(crate) fn of_association(doing: &'static str, error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(libc::EINVAL | libc::ENOENT | libc::ENOTCONN) => Error::NoSuchAssociation,
        _ => general(doing, error),
    }
}

/// Why an association ended, by the error of its socket; `None` if that is another one.
pub(crate) fn lost(number: i32) -> Option<FailureReason> {
    match number {
        libc::ECONNRESET | libc::ECONNREFUSED => Some(FailureReason::PeerAbort {
            cause: None,
            reason: bytes::Bytes::new(),
        }),
        libc::ECONNABORTED => Some(FailureReason::UserAbort),
        libc::ETIMEDOUT => Some(FailureReason::PeerUnreachable),
        libc::ENOPROTOOPT | libc::EHOSTUNREACH => Some(FailureReason::ProtocolUnreachable),
        _ => None,
    }
}

/// Why an association could not be set up, by the error of its socket.
pub(crate) fn not_set_up(number: i32) -> FailureReason {
    match lost(number) {
        None | Some(FailureReason::PeerUnreachable) => FailureReason::SetupTimeout,
        Some(reason) => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(number: i32) -> Error {
        general("testing", &io::Error::from_raw_os_error(number))
    }

    #[test]
    fn a_kernel_without_sctp_is_told_with_advice() {
        for number in [libc::EPROTONOSUPPORT, libc::ESOCKTNOSUPPORT] {
            let text = of(number).to_string();
            assert!(text.contains("modprobe sctp") && text.contains("userland"), "{text}");
        }
    }

    #[test]
    fn numbers_of_the_kernel_keep_their_number() {
        for number in [
            libc::EAGAIN,
            libc::EADDRINUSE,
            libc::EADDRNOTAVAIL,
            libc::EISCONN,
            libc::EALREADY,
            libc::ENETUNREACH,
            libc::EMSGSIZE,
            libc::EPIPE,
            libc::ENOTCONN,
            libc::EOPNOTSUPP,
            libc::EACCES,
            libc::ENOMEM,
        ] {
            assert_eq!(of(number).errno(), number);
        }
    }

    #[test]
    fn a_lost_association_says_why() {
        assert!(matches!(lost(libc::ECONNRESET), Some(FailureReason::PeerAbort { .. })));
        assert_eq!(lost(libc::ETIMEDOUT), Some(FailureReason::PeerUnreachable));
        assert_eq!(lost(libc::EINVAL), None);
        assert_eq!(not_set_up(libc::ETIMEDOUT), FailureReason::SetupTimeout);
        assert!(matches!(
            not_set_up(libc::ECONNREFUSED),
            FailureReason::PeerAbort { .. }
        ));
    }
}
