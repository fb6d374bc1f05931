//! Operation errors and their causes (RFC 5354 §3.12).

use std::fmt;

use bytes::Bytes;
use sctp::tlv::padded;

/// What kind of error is reported.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CauseCode(pub u16);

macro_rules! cause_codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $text:literal;)*) => {
        impl CauseCode {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// What it means, if it is known.
            pub const fn text(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

cause_codes! {
    /// Unspecified Error (RFC 5354 §3.12.1).
    UNSPECIFIED = 0x0000, "unspecified error";
    /// Unrecognized Parameter; carries the parameter (RFC 5354 §3.12.2).
    UNRECOGNIZED_PARAMETER = 0x0001, "unrecognized parameter";
    /// Unrecognized Message; carries the message (RFC 5354 §3.12.3).
    UNRECOGNIZED_MESSAGE = 0x0002, "unrecognized message";
    /// Invalid Values; carries the parameter (RFC 5354 §3.12.4).
    INVALID_VALUES = 0x0003, "invalid values";
    /// Non-Unique PE Identifier (RFC 5354 §3.12.5).
    NON_UNIQUE_PE_IDENTIFIER = 0x0004, "non-unique PE identifier";
    /// Inconsistent Pooling Policy; carries the pool's policy (RFC 5354 §3.12.6).
    INCONSISTENT_POOLING_POLICY = 0x0005, "inconsistent pooling policy";
    /// Lack of Resources (RFC 5354 §3.12.7).
    LACK_OF_RESOURCES = 0x0006, "lack of resources";
    /// Inconsistent Transport Type; carries the pool's transport (RFC 5354 §3.12.8).
    INCONSISTENT_TRANSPORT_TYPE = 0x0007, "inconsistent transport type";
    /// Inconsistent Data/Control Configuration (RFC 5354 §3.12.9).
    INCONSISTENT_DATA_CONTROL = 0x0008, "inconsistent data/control configuration";
    /// Unknown Pool Handle (RFC 5354 §3.12.11).
    UNKNOWN_POOL_HANDLE = 0x0009, "unknown pool handle";
    /// Rejected Due to Security Considerations (RFC 5354 §3.12.10).
    SECURITY = 0x000a, "rejected due to security considerations";
    /// RSPLIB: the message cannot be read.
    RSPLIB_INVALID_MESSAGE = 0x0010, "invalid message";
    /// RSPLIB: a value is invalid; carries the parameter.
    RSPLIB_INVALID_VALUE = 0x0011, "invalid value";
    /// RSPLIB: not initialised.
    RSPLIB_NOT_INITIALIZED = 0x1000, "not initialised";
    /// RSPLIB: a buffer is too small.
    RSPLIB_BUFFER_EXCEEDED = 0x1001, "buffer size exceeded";
    /// RSPLIB: reading failed.
    RSPLIB_READ_ERROR = 0x1003, "read error";
    /// RSPLIB: writing failed.
    RSPLIB_WRITE_ERROR = 0x1004, "write error";
    /// RSPLIB: no socket could be made.
    RSPLIB_SOCKET_ERROR = 0x1005, "socket error";
    /// RSPLIB: connecting failed.
    RSPLIB_CONNECT_FAILED = 0x1006, "connection failure";
    /// RSPLIB: no registrar was found.
    RSPLIB_NO_REGISTRAR = 0x1007, "no registrar found";
    /// RSPLIB: no answer in time.
    RSPLIB_TIMEOUT = 0x1008, "timeout";
    /// RSPLIB: an unrecognized parameter that asks for silence.
    RSPLIB_UNRECOGNIZED_SILENT = 0x1009, "unrecognized parameter (silent)";
    /// RSPLIB: the pool has another transport protocol.
    RSPLIB_WRONG_PROTOCOL = 0x100a, "wrong protocol";
    /// RSPLIB: the policy is not supported.
    RSPLIB_UNSUPPORTED_POLICY = 0x100b, "unsupported policy";
    /// RSPLIB: an identifier is invalid.
    RSPLIB_INVALID_ID = 0xf000, "invalid identifier";
    /// RSPLIB: an identifier is the receiver's own.
    RSPLIB_OWN_ID = 0xf001, "own identifier";
    /// RSPLIB: an identifier is used twice.
    RSPLIB_DUPLICATE_ID = 0xf002, "duplicate identifier";
    /// RSPLIB: a policy is invalid.
    RSPLIB_INVALID_POLICY = 0xf003, "invalid policy";
    /// RSPLIB: a pool handle is invalid.
    RSPLIB_INVALID_POOL_HANDLE = 0xf004, "invalid pool handle";
    /// RSPLIB: addresses are invalid.
    RSPLIB_INVALID_ADDRESSES = 0xf005, "invalid addresses";
    /// RSPLIB: a registrator (an ASAP transport) is missing or invalid.
    RSPLIB_INVALID_REGISTRATOR = 0xf006, "invalid registrator";
    /// RSPLIB: none of the ASAP addresses can be used.
    RSPLIB_NO_USABLE_ASAP_ADDRESSES = 0xf007, "no usable ASAP addresses";
    /// RSPLIB: none of the user addresses can be used.
    RSPLIB_NO_USABLE_USER_ADDRESSES = 0xf008, "no usable user addresses";
}

impl fmt::Display for CauseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => f.write_str(text),
            None => write!(f, "cause {:#06x}", self.0),
        }
    }
}

impl fmt::Debug for CauseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CauseCode({:#06x}, {self})", self.0)
    }
}

/// One error cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    code: CauseCode,
    info: Bytes,
}

impl Cause {
    /// The most bytes that a cause carries. What an error quotes is left out if it is longer: a part of a TLV would
    /// not be one.
    pub const MAX_INFO: usize = 60_000;

    /// A cause with its cause-specific information; without it if that is longer than [`MAX_INFO`](Self::MAX_INFO).
    pub fn new(code: CauseCode, info: Bytes) -> Self {
        let info = if info.len() > Self::MAX_INFO {
            Bytes::new()
        } else {
            info
        };
        Self { code, info }
    }

    /// What kind of error it is.
    pub const fn code(&self) -> CauseCode {
        self.code
    }

    /// The cause-specific information.
    pub const fn info(&self) -> &Bytes {
        &self.info
    }

    const fn wire_len(&self) -> usize {
        padded(self.info.len().saturating_add(4))
    }
}

impl From<CauseCode> for Cause {
    fn from(code: CauseCode) -> Self {
        Self::new(code, Bytes::new())
    }
}

/// An Operation Error parameter: one cause or more (RFC 5354 §3.12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationError {
    first: Cause,
    rest: Vec<Cause>,
}

impl OperationError {
    /// The error with one cause.
    pub const fn new(cause: Cause) -> Self {
        Self {
            first: cause,
            rest: Vec::new(),
        }
    }

    /// The first cause, the only one that RSPLIB looks at.
    pub const fn first(&self) -> &Cause {
        &self.first
    }

    /// The code of the first cause.
    pub const fn code(&self) -> CauseCode {
        self.first.code
    }

    /// All causes.
    pub fn causes(&self) -> impl Iterator<Item = &Cause> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// Adds a cause, unless the parameter would outgrow what a message can carry.
    pub fn push(&mut self, cause: Cause) {
        let used = self.causes().map(Cause::wire_len).fold(0, usize::saturating_add);
        if used.saturating_add(cause.wire_len()) <= padded(Cause::MAX_INFO.saturating_add(4)) {
            self.rest.push(cause);
        }
    }
}

impl From<Cause> for OperationError {
    fn from(cause: Cause) -> Self {
        Self::new(cause)
    }
}

impl From<CauseCode> for OperationError {
    fn from(code: CauseCode) -> Self {
        Self::new(code.into())
    }
}

impl fmt::Display for OperationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.code.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_never_outgrows_a_message() {
        let mut error = OperationError::new(Cause::new(CauseCode::INVALID_VALUES, vec![0; Cause::MAX_INFO].into()));
        error.push(CauseCode::UNSPECIFIED.into());
        assert_eq!(error.causes().count(), 1);
        let mut error = OperationError::new(Cause::new(CauseCode::INVALID_VALUES, vec![0; 60_001].into()));
        assert!(error.first().info().is_empty());
        error.push(CauseCode::UNSPECIFIED.into());
        assert_eq!(error.causes().count(), 2);
    }

    #[test]
    fn unknown_codes_keep_their_number() {
        assert_eq!(CauseCode(0x1234).to_string(), "cause 0x1234");
        assert_eq!(CauseCode::UNKNOWN_POOL_HANDLE.to_string(), "unknown pool handle");
    }
}
