//! Parameters: their types, how unknown ones are met, and the small ones (RFC 5354 §3).

use std::fmt;

use bytes::Bytes;
use sctp::tlv::{Reader, Tlv, UnknownAction, Writer};
use thiserror::Error;

use super::cause::{Cause, CauseCode, OperationError};
use super::error::{DecodeError, Problem};
use crate::ids::{PeId, PoolHandle};

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParamType(pub u16);

impl ParamType {
    /// IPv4 Address (RFC 5354 §3.1).
    pub const IPV4_ADDRESS: Self = Self(0x1);
    /// IPv6 Address (RFC 5354 §3.2).
    pub const IPV6_ADDRESS: Self = Self(0x2);
    /// DCCP Transport (RFC 5354 §3.3).
    pub const DCCP_TRANSPORT: Self = Self(0x3);
    /// SCTP Transport (RFC 5354 §3.4).
    pub const SCTP_TRANSPORT: Self = Self(0x4);
    /// TCP Transport (RFC 5354 §3.5).
    pub const TCP_TRANSPORT: Self = Self(0x5);
    /// UDP Transport (RFC 5354 §3.6).
    pub const UDP_TRANSPORT: Self = Self(0x6);
    /// UDP-Lite Transport (RFC 5354 §3.7).
    pub const UDP_LITE_TRANSPORT: Self = Self(0x7);
    /// Pool Member Selection Policy (RFC 5354 §3.8).
    pub const POLICY: Self = Self(0x8);
    /// Pool Handle (RFC 5354 §3.9).
    pub const POOL_HANDLE: Self = Self(0x9);
    /// Pool Element (RFC 5354 §3.10).
    pub const POOL_ELEMENT: Self = Self(0xa);
    /// Server Information (RFC 5354 §3.11).
    pub const SERVER_INFORMATION: Self = Self(0xb);
    /// Operation Error (RFC 5354 §3.12).
    pub const OPERATION_ERROR: Self = Self(0xc);
    /// Cookie (RFC 5354 §3.13).
    pub const COOKIE: Self = Self(0xd);
    /// PE Identifier (RFC 5354 §3.14).
    pub const PE_IDENTIFIER: Self = Self(0xe);
    /// PE Checksum (RFC 5354 §3.15).
    pub const PE_CHECKSUM: Self = Self(0xf);
    /// Opaque Transport (RFC 5354 §3.16).
    pub const OPAQUE_TRANSPORT: Self = Self(0x10);
    /// RSPLIB: Handle Resolution option, how many pool elements a resolution asks for.
    pub const HANDLE_RESOLUTION_OPTION: Self = Self(0x803f);

    const fn is_known(self) -> bool {
        matches!(self.0, 0x1..=0x10) || self.0 == Self::HANDLE_RESOLUTION_OPTION.0
    }

    /// Whether it is one of the transport parameters.
    pub(crate) const fn is_transport(self) -> bool {
        matches!(self.0, 0x3..=0x7) || self.0 == Self::OPAQUE_TRANSPORT.0
    }
}

/// What decoding a message has to remember beside the message: the unknown parameters that ask to be skipped and
/// reported (RFC 5354 §3, action 11).
#[derive(Debug, Default)]
pub(crate) struct Reports(pub(crate) Option<OperationError>);

impl Reports {
    fn add(&mut self, raw: &[u8]) {
        let cause = Cause::new(CauseCode::UNRECOGNIZED_PARAMETER, Bytes::copy_from_slice(raw));
        match &mut self.0 {
            None => self.0 = Some(cause.into()),
            Some(error) => error.push(cause),
        }
    }
}

/// Calls `visit` with each known parameter of `reader`; unknown ones are met as their type asks (RFC 5354 §3).
pub(crate) fn for_each_param<'a>(
    mut reader: Reader<'a>,
    reports: &mut Reports,
    mut visit: impl FnMut(ParamType, Tlv<'a>, &mut Reports) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    while !reader.is_empty() {
        let rest = reader;
        let tlv = reader
            .tlv("parameter")
            .map_err(|error| DecodeError::new(error.into(), { rest }.take_rest()))?;
        if ParamType(tlv.kind).is_known() {
            visit(ParamType(tlv.kind), tlv, reports)?;
            continue;
        }
        match tlv.unknown_action() {
            UnknownAction::Skip => {}
            UnknownAction::SkipAndReport => reports.add(tlv.raw),
            UnknownAction::Stop | UnknownAction::StopAndReport => {
                return Err(DecodeError::new(Problem::UnknownParameter(tlv.kind), tlv.raw));
            }
        }
    }
    Ok(())
}

/// Keeps the value of a parameter that may be there once.
pub(crate) fn set_once<T>(slot: &mut Option<T>, value: T, name: &'static str, raw: &[u8]) -> Result<(), DecodeError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(DecodeError::new(Problem::Repeated(name), raw)),
    }
}

/// What `write` writes.
pub(crate) fn to_bytes(write: impl FnOnce(&mut Writer<'_>)) -> Bytes {
    let mut buf = Vec::new();
    write(&mut Writer::new(&mut buf));
    Bytes::from(buf)
}

pub(crate) fn invalid(name: &'static str, tlv: &Tlv<'_>) -> DecodeError {
    DecodeError::new(Problem::InvalidValue(name), tlv.raw)
}

/// The one 32-bit number in a parameter.
fn read_u32(tlv: &Tlv<'_>, at: &'static str) -> Result<u32, DecodeError> {
    let mut value = Reader::new(tlv.value);
    let number = value.u32(at);
    let number = number.and_then(|number| value.finish(at).map(|()| number));
    number.map_err(|error| DecodeError::new(error.into(), tlv.raw))
}

pub(crate) fn read_pool_handle(tlv: &Tlv<'_>) -> Result<PoolHandle, DecodeError> {
    PoolHandle::new(Bytes::copy_from_slice(tlv.value)).map_err(|_| invalid("pool handle", tlv))
}

pub(crate) fn write_pool_handle(w: &mut Writer<'_>, pool: &PoolHandle) {
    w.tlv(ParamType::POOL_HANDLE.0, |w| w.bytes(pool.as_bytes()));
}

pub(crate) fn read_pe_id(tlv: &Tlv<'_>) -> Result<PeId, DecodeError> {
    PeId::new(read_u32(tlv, "PE identifier")?).ok_or_else(|| invalid("PE identifier", tlv))
}

pub(crate) fn write_pe_id(w: &mut Writer<'_>, pe: PeId) {
    w.tlv(ParamType::PE_IDENTIFIER.0, |w| w.u32(pe.as_u32()));
}

pub(crate) fn read_items(tlv: &Tlv<'_>) -> Result<u32, DecodeError> {
    read_u32(tlv, "handle resolution option")
}

pub(crate) fn write_items(w: &mut Writer<'_>, items: u32) {
    w.tlv(ParamType::HANDLE_RESOLUTION_OPTION.0, |w| w.u32(items));
}

pub(crate) fn read_cookie(tlv: &Tlv<'_>) -> Result<Cookie, DecodeError> {
    Cookie::new(Bytes::copy_from_slice(tlv.value)).map_err(|_| invalid("cookie", tlv))
}

pub(crate) fn write_cookie(w: &mut Writer<'_>, cookie: &Cookie) {
    w.tlv(ParamType::COOKIE.0, |w| w.bytes(cookie.as_bytes()));
}

/// State of a session that a pool element leaves with its pool user, for the next pool element (RFC 5352 §3.8). Only
/// pool elements know what is in it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cookie(Bytes);

/// A cookie is too long for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a cookie has at most {max} bytes, not {0}", max = Cookie::MAX_LEN)]
pub struct CookieTooLong(pub usize);

impl Cookie {
    /// The longest cookie that fits into a message, in bytes.
    pub const MAX_LEN: usize = super::MAX_MESSAGE - 8;

    /// The cookie made of `bytes`.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, CookieTooLong> {
        let bytes = bytes.into();
        if bytes.len() > Self::MAX_LEN {
            Err(CookieTooLong(bytes.len()))
        } else {
            Ok(Self(bytes))
        }
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cookie({} bytes)", self.0.len())
    }
}
