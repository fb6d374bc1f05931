//! Error causes, which ABORT and ERROR carry (RFC 9260 §3.3.10, RFC 4895 §4.1, RFC 5061 §4.3), and ASCONF-ACK as well.

use std::fmt;
use std::iter::FusedIterator;
use std::net::IpAddr;

use crate::error::DecodeError;
use crate::serial::{StreamId, Tsn};
use crate::tlv::{ReadError, Reader, Tlv, Writer};
use crate::wire::auth::HmacId;
use crate::wire::param::{Param, ParamType};
use crate::wire::tlvs::{Tlvs, TypeNumbers};

/// A cause code: any number, with names for those that [`Cause`] knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CauseCode(pub u16);

impl CauseCode {
    /// Invalid Stream Identifier.
    pub const INVALID_STREAM_IDENTIFIER: Self = Self(1);
    /// Missing Mandatory Parameter.
    pub const MISSING_MANDATORY_PARAMETER: Self = Self(2);
    /// Stale Cookie.
    pub const STALE_COOKIE: Self = Self(3);
    /// Out of Resource.
    pub const OUT_OF_RESOURCE: Self = Self(4);
    /// Unresolvable Address.
    pub const UNRESOLVABLE_ADDRESS: Self = Self(5);
    /// Unrecognized Chunk Type.
    pub const UNRECOGNIZED_CHUNK_TYPE: Self = Self(6);
    /// Invalid Mandatory Parameter.
    pub const INVALID_MANDATORY_PARAMETER: Self = Self(7);
    /// Unrecognized Parameters.
    pub const UNRECOGNIZED_PARAMETERS: Self = Self(8);
    /// No User Data.
    pub const NO_USER_DATA: Self = Self(9);
    /// Cookie Received While Shutting Down.
    pub const COOKIE_RECEIVED_WHILE_SHUTTING_DOWN: Self = Self(10);
    /// Restart of an Association with New Addresses.
    pub const RESTART_WITH_NEW_ADDRESSES: Self = Self(11);
    /// User-Initiated Abort.
    pub const USER_INITIATED_ABORT: Self = Self(12);
    /// Protocol Violation.
    pub const PROTOCOL_VIOLATION: Self = Self(13);
    /// Request to Delete Last Remaining IP Address (RFC 5061 §4.3.1).
    pub const DELETE_LAST_REMAINING_ADDRESS: Self = Self(0x00a0);
    /// Operation Refused Due to Resource Shortage (RFC 5061 §4.3.2).
    pub const RESOURCE_SHORTAGE: Self = Self(0x00a1);
    /// Request to Delete Source IP Address (RFC 5061 §4.3.3).
    pub const DELETE_SOURCE_ADDRESS: Self = Self(0x00a2);
    /// Association Aborted Due to Illegal ASCONF-ACK (RFC 5061 §4.3.4).
    pub const ILLEGAL_ASCONF_ACK: Self = Self(0x00a3);
    /// Request Refused - No Authorization (RFC 5061 §4.3.5).
    pub const NO_AUTHORIZATION: Self = Self(0x00a4);
    /// Unsupported HMAC Identifier (RFC 4895 §4.1).
    pub const UNSUPPORTED_HMAC_IDENTIFIER: Self = Self(0x0105);

    const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::INVALID_STREAM_IDENTIFIER => "Invalid Stream Identifier",
            Self::MISSING_MANDATORY_PARAMETER => "Missing Mandatory Parameter",
            Self::STALE_COOKIE => "Stale Cookie",
            Self::OUT_OF_RESOURCE => "Out of Resource",
            Self::UNRESOLVABLE_ADDRESS => "Unresolvable Address",
            Self::UNRECOGNIZED_CHUNK_TYPE => "Unrecognized Chunk Type",
            Self::INVALID_MANDATORY_PARAMETER => "Invalid Mandatory Parameter",
            Self::UNRECOGNIZED_PARAMETERS => "Unrecognized Parameters",
            Self::NO_USER_DATA => "No User Data",
            Self::COOKIE_RECEIVED_WHILE_SHUTTING_DOWN => "Cookie Received While Shutting Down",
            Self::RESTART_WITH_NEW_ADDRESSES => "Restart of an Association with New Addresses",
            Self::USER_INITIATED_ABORT => "User-Initiated Abort",
            Self::PROTOCOL_VIOLATION => "Protocol Violation",
            Self::DELETE_LAST_REMAINING_ADDRESS => "Request to Delete Last Remaining IP Address",
            Self::RESOURCE_SHORTAGE => "Operation Refused Due to Resource Shortage",
            Self::DELETE_SOURCE_ADDRESS => "Request to Delete Source IP Address",
            Self::ILLEGAL_ASCONF_ACK => "Association Aborted Due to Illegal ASCONF-ACK",
            Self::NO_AUTHORIZATION => "Request Refused - No Authorization",
            Self::UNSUPPORTED_HMAC_IDENTIFIER => "Unsupported HMAC Identifier",
            _ => return None,
        })
    }
}

impl fmt::Display for CauseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "cause code {}", self.0),
        }
    }
}

impl fmt::Debug for CauseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An error cause, borrowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause<'a> {
    /// A DATA chunk was sent on a stream that does not exist.
    InvalidStreamIdentifier(StreamId),
    /// An INIT or INIT ACK lacks parameters of these types.
    MissingMandatoryParameter(TypeNumbers<'a>),
    /// The State Cookie has expired so many microseconds ago; zero if the sender does not tell.
    StaleCookie(u32),
    /// The sender is out of resource.
    OutOfResource,
    /// The sender cannot use this address parameter, header and all.
    UnresolvableAddress(&'a [u8]),
    /// The sender does not know this chunk, header and all.
    UnrecognizedChunkType(&'a [u8]),
    /// A mandatory parameter of an INIT or INIT ACK has an invalid value.
    InvalidMandatoryParameter,
    /// The sender does not know these parameters, headers and all. [`Tlvs`] reads them.
    UnrecognizedParameters(&'a [u8]),
    /// The DATA chunk with this TSN has no user data.
    NoUserData(Tsn),
    /// A COOKIE ECHO came in SHUTDOWN-ACK-SENT.
    CookieReceivedWhileShuttingDown,
    /// An INIT would add these address parameters to an association. [`Tlvs`] reads them.
    RestartWithNewAddresses(&'a [u8]),
    /// The upper layer wanted the abort; its reason, as it gave it.
    UserInitiatedAbort(&'a [u8]),
    /// Any other violation; what the sender says about it.
    ProtocolViolation(&'a [u8]),
    /// An ASCONF would have removed the last address of its sender. Like the other causes of RFC 5061 it quotes the
    /// request, header and all; [`Tlvs`] reads it.
    DeleteLastRemainingAddress(&'a [u8]),
    /// The sender lacks the resources for this request of an ASCONF.
    ResourceShortage(&'a [u8]),
    /// An ASCONF would have removed the address it came from by this request.
    DeleteSourceAddress(&'a [u8]),
    /// An ASCONF-ACK came that nothing had asked for.
    IllegalAsconfAck,
    /// The sender's policy forbids this request of an ASCONF.
    NoAuthorization(&'a [u8]),
    /// An AUTH chunk was made with an HMAC that its receiver did not offer.
    UnsupportedHmacIdentifier(HmacId),
    /// Any other cause.
    Unknown(Tlv<'a>),
}

impl<'a> Cause<'a> {
    /// Reads a cause. A value that does not have the form of its code is an error.
    pub fn parse(tlv: Tlv<'a>) -> Result<Self, DecodeError> {
        let mut value = Reader::new(tlv.value);
        let (cause, at) = match CauseCode(tlv.kind) {
            CauseCode::INVALID_STREAM_IDENTIFIER => {
                let at = "Invalid Stream Identifier";
                let stream = StreamId(value.u16(at)?);
                value.u16(at)?;
                (Self::InvalidStreamIdentifier(stream), at)
            }
            CauseCode::MISSING_MANDATORY_PARAMETER => {
                let at = "Missing Mandatory Parameter";
                (Self::MissingMandatoryParameter(missing_parameters(&mut value, at)?), at)
            }
            CauseCode::STALE_COOKIE => {
                let at = "Stale Cookie";
                (Self::StaleCookie(value.u32(at)?), at)
            }
            CauseCode::NO_USER_DATA => {
                let at = "No User Data";
                (Self::NoUserData(Tsn(value.u32(at)?)), at)
            }
            CauseCode::OUT_OF_RESOURCE => (Self::OutOfResource, "Out of Resource"),
            CauseCode::INVALID_MANDATORY_PARAMETER => (Self::InvalidMandatoryParameter, "Invalid Mandatory Parameter"),
            CauseCode::COOKIE_RECEIVED_WHILE_SHUTTING_DOWN => (
                Self::CookieReceivedWhileShuttingDown,
                "Cookie Received While Shutting Down",
            ),
            CauseCode::ILLEGAL_ASCONF_ACK => (Self::IllegalAsconfAck, "Illegal ASCONF-ACK"),
            CauseCode::UNSUPPORTED_HMAC_IDENTIFIER => {
                let at = "Unsupported HMAC Identifier";
                (Self::UnsupportedHmacIdentifier(HmacId(value.u16(at)?)), at)
            }
            CauseCode::UNRESOLVABLE_ADDRESS => return Ok(Self::UnresolvableAddress(tlv.value)),
            CauseCode::UNRECOGNIZED_CHUNK_TYPE => return Ok(Self::UnrecognizedChunkType(tlv.value)),
            CauseCode::UNRECOGNIZED_PARAMETERS => return Ok(Self::UnrecognizedParameters(tlv.value)),
            CauseCode::RESTART_WITH_NEW_ADDRESSES => return Ok(Self::RestartWithNewAddresses(tlv.value)),
            CauseCode::USER_INITIATED_ABORT => return Ok(Self::UserInitiatedAbort(tlv.value)),
            CauseCode::PROTOCOL_VIOLATION => return Ok(Self::ProtocolViolation(tlv.value)),
            CauseCode::DELETE_LAST_REMAINING_ADDRESS => return Ok(Self::DeleteLastRemainingAddress(tlv.value)),
            CauseCode::RESOURCE_SHORTAGE => return Ok(Self::ResourceShortage(tlv.value)),
            CauseCode::DELETE_SOURCE_ADDRESS => return Ok(Self::DeleteSourceAddress(tlv.value)),
            CauseCode::NO_AUTHORIZATION => return Ok(Self::NoAuthorization(tlv.value)),
            _ => return Ok(Self::Unknown(tlv)),
        };
        value.finish(at)?;
        Ok(cause)
    }

    /// Its code.
    pub const fn code(&self) -> CauseCode {
        match self {
            Self::InvalidStreamIdentifier(_) => CauseCode::INVALID_STREAM_IDENTIFIER,
            Self::MissingMandatoryParameter(_) => CauseCode::MISSING_MANDATORY_PARAMETER,
            Self::StaleCookie(_) => CauseCode::STALE_COOKIE,
            Self::OutOfResource => CauseCode::OUT_OF_RESOURCE,
            Self::UnresolvableAddress(_) => CauseCode::UNRESOLVABLE_ADDRESS,
            Self::UnrecognizedChunkType(_) => CauseCode::UNRECOGNIZED_CHUNK_TYPE,
            Self::InvalidMandatoryParameter => CauseCode::INVALID_MANDATORY_PARAMETER,
            Self::UnrecognizedParameters(_) => CauseCode::UNRECOGNIZED_PARAMETERS,
            Self::NoUserData(_) => CauseCode::NO_USER_DATA,
            Self::CookieReceivedWhileShuttingDown => CauseCode::COOKIE_RECEIVED_WHILE_SHUTTING_DOWN,
            Self::RestartWithNewAddresses(_) => CauseCode::RESTART_WITH_NEW_ADDRESSES,
            Self::UserInitiatedAbort(_) => CauseCode::USER_INITIATED_ABORT,
            Self::ProtocolViolation(_) => CauseCode::PROTOCOL_VIOLATION,
            Self::DeleteLastRemainingAddress(_) => CauseCode::DELETE_LAST_REMAINING_ADDRESS,
            Self::ResourceShortage(_) => CauseCode::RESOURCE_SHORTAGE,
            Self::DeleteSourceAddress(_) => CauseCode::DELETE_SOURCE_ADDRESS,
            Self::IllegalAsconfAck => CauseCode::ILLEGAL_ASCONF_ACK,
            Self::NoAuthorization(_) => CauseCode::NO_AUTHORIZATION,
            Self::UnsupportedHmacIdentifier(_) => CauseCode::UNSUPPORTED_HMAC_IDENTIFIER,
            Self::Unknown(tlv) => CauseCode(tlv.kind),
        }
    }

    /// Appends the cause with its padding. What it quotes must leave room in the chunk: callers bound it.
    pub fn write(&self, w: &mut Writer<'_>) {
        w.tlv(self.code().0, |w| match self {
            Self::InvalidStreamIdentifier(stream) => {
                w.u16(stream.0);
                w.u16(0);
            }
            Self::MissingMandatoryParameter(types) => {
                write_count(w, types.len());
                w.bytes(types.as_bytes());
            }
            Self::StaleCookie(staleness) => w.u32(*staleness),
            Self::NoUserData(tsn) => w.u32(tsn.0),
            Self::UnresolvableAddress(bytes)
            | Self::UnrecognizedChunkType(bytes)
            | Self::UnrecognizedParameters(bytes)
            | Self::RestartWithNewAddresses(bytes)
            | Self::UserInitiatedAbort(bytes)
            | Self::ProtocolViolation(bytes)
            | Self::DeleteLastRemainingAddress(bytes)
            | Self::ResourceShortage(bytes)
            | Self::DeleteSourceAddress(bytes)
            | Self::NoAuthorization(bytes) => w.bytes(bytes),
            Self::UnsupportedHmacIdentifier(hmac) => w.u16(hmac.0),
            Self::OutOfResource
            | Self::InvalidMandatoryParameter
            | Self::CookieReceivedWhileShuttingDown
            | Self::IllegalAsconfAck => {}
            Self::Unknown(tlv) => w.bytes(tlv.value),
        });
    }
}

/// The list of a Missing Mandatory Parameter cause, whose count must fit. Padding after an odd number of types may be
/// counted in the length.
fn missing_parameters<'a>(value: &mut Reader<'a>, at: &'static str) -> Result<TypeNumbers<'a>, DecodeError> {
    let count = usize::try_from(value.u32(at)?).unwrap_or(usize::MAX);
    let types = value
        .take(count.saturating_mul(2), at)
        .map_err(|_| ReadError::BadLength { at })?;
    if value.remaining() == 2 {
        value.take_rest();
    }
    TypeNumbers::new(types, at)
}

fn write_count(w: &mut Writer<'_>, count: usize) {
    w.u32(u32::try_from(count).unwrap_or(u32::MAX));
}

/// Appends a Missing Mandatory Parameter cause that lists `types`.
pub fn write_missing_mandatory_parameters(w: &mut Writer<'_>, types: &[ParamType]) {
    w.tlv(CauseCode::MISSING_MANDATORY_PARAMETER.0, |w| {
        write_count(w, types.len());
        types.iter().for_each(|kind| w.u16(kind.0));
    });
}

/// Appends an Unrecognized Parameters cause that quotes `params`, each header and all without its padding. Callers
/// bound them.
pub fn write_unrecognized_parameters<'p>(w: &mut Writer<'_>, params: impl IntoIterator<Item = &'p [u8]>) {
    w.tlv(CauseCode::UNRECOGNIZED_PARAMETERS.0, |w| {
        let start = w.position();
        for param in params {
            w.pad_from(start);
            w.bytes(param);
        }
    });
}

/// Appends a Restart of an Association with New Addresses cause that lists `addresses`.
pub fn write_restart_with_new_addresses(w: &mut Writer<'_>, addresses: impl IntoIterator<Item = IpAddr>) {
    w.tlv(CauseCode::RESTART_WITH_NEW_ADDRESSES.0, |w| {
        addresses
            .into_iter()
            .for_each(|address| Param::address(address).write(w));
    });
}

/// The causes of an ABORT or ERROR in their order.
///
/// A cause whose value does not fit its code is an error, and the next one follows; after one whose length is wrong
/// nothing follows.
#[derive(Clone)]
pub struct Causes<'a> {
    tlvs: Tlvs<'a>,
}

impl<'a> Causes<'a> {
    /// The causes in `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self {
            tlvs: Tlvs::new(bytes, "error cause"),
        }
    }

    /// The same causes as they lie in the chunk; [`Cause::parse`] reads each.
    pub fn tlvs(&self) -> Tlvs<'a> {
        self.tlvs.clone()
    }
}

impl fmt::Debug for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a> Iterator for Causes<'a> {
    type Item = Result<Cause<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.tlvs.next().map(|tlv| tlv.and_then(Cause::parse))
    }
}

impl FusedIterator for Causes<'_> {}
