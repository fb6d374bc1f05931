//! Parameters of INIT and INIT ACK (RFC 9260 §3.3.2.1, §3.3.3.1), with those of the extensions (RFC 3758, RFC 4820,
//! RFC 4895, RFC 5061, RFC 9653).

use std::fmt;
use std::iter::FusedIterator;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::DecodeError;
use crate::serial::CorrelationId;
use crate::tlv::{Reader, Tlv, Writer};
use crate::wire::auth::HmacId;
use crate::wire::checksum::ErrorDetectionMethod;
use crate::wire::tlvs::{Tlvs, TypeNumbers};

/// A parameter type: any number, with names for those that this codec knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParamType(pub u16);

impl ParamType {
    /// Heartbeat Info, in HEARTBEAT and HEARTBEAT ACK (RFC 9260 §3.3.5).
    pub const HEARTBEAT_INFO: Self = Self(1);
    /// IPv4 Address (RFC 9260 §3.3.2.1.1).
    pub const IPV4_ADDRESS: Self = Self(5);
    /// IPv6 Address (RFC 9260 §3.3.2.1.2).
    pub const IPV6_ADDRESS: Self = Self(6);
    /// State Cookie (RFC 9260 §3.3.3.1.1).
    pub const STATE_COOKIE: Self = Self(7);
    /// Unrecognized Parameter (RFC 9260 §3.3.3.1.2).
    pub const UNRECOGNIZED_PARAMETER: Self = Self(8);
    /// Cookie Preservative (RFC 9260 §3.3.2.1.3).
    pub const COOKIE_PRESERVATIVE: Self = Self(9);
    /// Host Name Address, deprecated (RFC 9260 §3.3.2.1.4).
    pub const HOST_NAME_ADDRESS: Self = Self(11);
    /// Supported Address Types (RFC 9260 §3.3.2.1.5).
    pub const SUPPORTED_ADDRESS_TYPES: Self = Self(12);
    /// Outgoing SSN Reset Request, in RE-CONFIG (RFC 6525 §4.1).
    pub const OUTGOING_SSN_RESET: Self = Self(13);
    /// Incoming SSN Reset Request, in RE-CONFIG (RFC 6525 §4.2).
    pub const INCOMING_SSN_RESET: Self = Self(14);
    /// SSN/TSN Reset Request, in RE-CONFIG (RFC 6525 §4.3).
    pub const SSN_TSN_RESET: Self = Self(15);
    /// Re-configuration Response, in RE-CONFIG (RFC 6525 §4.4).
    pub const RECONFIG_RESPONSE: Self = Self(16);
    /// Add Outgoing Streams Request, in RE-CONFIG (RFC 6525 §4.5).
    pub const ADD_OUTGOING_STREAMS: Self = Self(17);
    /// Add Incoming Streams Request, in RE-CONFIG (RFC 6525 §4.6).
    pub const ADD_INCOMING_STREAMS: Self = Self(18);
    /// ECN Capable: reserved by RFC 9260 §3.3.2, used as the RFCs before it did.
    pub const ECN_CAPABLE: Self = Self(0x8000);
    /// Zero Checksum Acceptable (RFC 9653).
    pub const ZERO_CHECKSUM_ACCEPTABLE: Self = Self(0x8001);
    /// Random (RFC 4895 §3.1).
    pub const RANDOM: Self = Self(0x8002);
    /// Chunk List (RFC 4895 §3.2).
    pub const CHUNKS: Self = Self(0x8003);
    /// Requested HMAC Algorithm (RFC 4895 §3.3).
    pub const HMAC_ALGO: Self = Self(0x8004);
    /// Padding (RFC 4820 §4).
    pub const PADDING: Self = Self(0x8005);
    /// Supported Extensions (RFC 5061 §4.2.7).
    pub const SUPPORTED_EXTENSIONS: Self = Self(0x8008);
    /// Forward-TSN-Supported (RFC 3758 §3.1).
    pub const FORWARD_TSN_SUPPORTED: Self = Self(0xc000);
    /// Add IP Address, in ASCONF (RFC 5061 §4.2.1).
    pub const ADD_IP_ADDRESS: Self = Self(0xc001);
    /// Delete IP Address, in ASCONF (RFC 5061 §4.2.2).
    pub const DELETE_IP_ADDRESS: Self = Self(0xc002);
    /// Error Cause Indication, in ASCONF-ACK (RFC 5061 §4.2.3).
    pub const ERROR_CAUSE_INDICATION: Self = Self(0xc003);
    /// Set Primary Address, in ASCONF, INIT and INIT ACK (RFC 5061 §4.2.4).
    pub const SET_PRIMARY_ADDRESS: Self = Self(0xc004);
    /// Success Indication, in ASCONF-ACK (RFC 5061 §4.2.5).
    pub const SUCCESS_INDICATION: Self = Self(0xc005);
    /// Adaptation Layer Indication (RFC 5061 §4.2.6).
    pub const ADAPTATION_LAYER_INDICATION: Self = Self(0xc006);
}

/// A parameter of an INIT or INIT ACK, borrowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Param<'a> {
    /// An address of the sender; any value.
    Ipv4Address(Ipv4Addr),
    /// An address of the sender; any value.
    Ipv6Address(Ipv6Addr),
    /// The cookie to echo.
    StateCookie(&'a [u8]),
    /// A parameter of the INIT, header and all, that the sender of the INIT ACK does not know.
    UnrecognizedParameter(&'a [u8]),
    /// By how many milliseconds the cookie should live longer.
    CookiePreservative(u32),
    /// A host name, which nobody may send.
    HostName(&'a [u8]),
    /// The address types the sender can use, as parameter types.
    SupportedAddressTypes(TypeNumbers<'a>),
    /// The sender would take part in explicit congestion notification.
    EcnCapable,
    /// Chunk types of the extensions the sender supports.
    SupportedExtensions(&'a [u8]),
    /// The sender supports FORWARD-TSN.
    ForwardTsnSupported,
    /// The sender takes packets with a checksum of zero if this method guards them (RFC 9653).
    ZeroChecksumAcceptable(ErrorDetectionMethod),
    /// A number for the keys of AUTH; any length, though it must be 32 bytes (RFC 4895 §6.1).
    Random(&'a [u8]),
    /// Chunk types the sender takes only behind an AUTH.
    ChunkList(&'a [u8]),
    /// The HMACs the sender can check, as [`HmacId`]s, the one it likes best first.
    HmacAlgorithms(TypeNumbers<'a>),
    /// Nothing; may stand in an INIT only (RFC 4820 §4).
    Padding(&'a [u8]),
    /// The address of the sender that it would like to be reached at first.
    SetPrimaryAddress {
        /// Which request this is; of use in an ASCONF only.
        correlation_id: CorrelationId,
        /// The address; the wildcard means the source of the packet.
        address: IpAddr,
    },
    /// Adaptation Code point, for the upper layer.
    AdaptationLayerIndication(u32),
    /// Any other parameter; [`Tlv::unknown_action`] says what to do.
    Unknown(Tlv<'a>),
}

impl<'a> Param<'a> {
    /// Reads a parameter. A value that does not have the form of its type is an error.
    pub fn parse(tlv: Tlv<'a>) -> Result<Self, DecodeError> {
        let mut value = Reader::new(tlv.value);
        let (param, at) = match ParamType(tlv.kind) {
            ParamType::IPV4_ADDRESS => {
                let at = "IPv4 Address";
                (Self::Ipv4Address(Ipv4Addr::from_bits(value.u32(at)?)), at)
            }
            ParamType::IPV6_ADDRESS => {
                let at = "IPv6 Address";
                (Self::Ipv6Address(Ipv6Addr::from(value.bytes16(at)?)), at)
            }
            ParamType::COOKIE_PRESERVATIVE => {
                let at = "Cookie Preservative";
                (Self::CookiePreservative(value.u32(at)?), at)
            }
            ParamType::SUPPORTED_ADDRESS_TYPES => {
                let at = "Supported Address Types";
                (
                    Self::SupportedAddressTypes(TypeNumbers::new(value.take_rest(), at)?),
                    at,
                )
            }
            ParamType::STATE_COOKIE => (Self::StateCookie(value.take_rest()), "State Cookie"),
            ParamType::UNRECOGNIZED_PARAMETER => {
                (Self::UnrecognizedParameter(value.take_rest()), "Unrecognized Parameter")
            }
            ParamType::HOST_NAME_ADDRESS => (Self::HostName(value.take_rest()), "Host Name Address"),
            ParamType::ECN_CAPABLE => (Self::EcnCapable, "ECN Capable"),
            ParamType::SUPPORTED_EXTENSIONS => (Self::SupportedExtensions(value.take_rest()), "Supported Extensions"),
            ParamType::FORWARD_TSN_SUPPORTED => (Self::ForwardTsnSupported, "Forward-TSN-Supported"),
            ParamType::ZERO_CHECKSUM_ACCEPTABLE => {
                let at = "Zero Checksum Acceptable";
                (Self::ZeroChecksumAcceptable(ErrorDetectionMethod(value.u32(at)?)), at)
            }
            ParamType::RANDOM => (Self::Random(value.take_rest()), "RANDOM"),
            ParamType::CHUNKS => (Self::ChunkList(value.take_rest()), "CHUNKS"),
            ParamType::HMAC_ALGO => {
                let at = "HMAC-ALGO";
                (Self::HmacAlgorithms(TypeNumbers::new(value.take_rest(), at)?), at)
            }
            ParamType::PADDING => (Self::Padding(value.take_rest()), "Padding"),
            ParamType::SET_PRIMARY_ADDRESS => {
                let at = "Set Primary Address";
                let correlation_id = CorrelationId(value.u32(at)?);
                let address = read_address(&mut value, at)?;
                (
                    Self::SetPrimaryAddress {
                        correlation_id,
                        address,
                    },
                    at,
                )
            }
            ParamType::ADAPTATION_LAYER_INDICATION => {
                let at = "Adaptation Layer Indication";
                (Self::AdaptationLayerIndication(value.u32(at)?), at)
            }
            _ => return Ok(Self::Unknown(tlv)),
        };
        value.finish(at)?;
        Ok(param)
    }

    /// The address parameter for `address`. An IPv4-mapped IPv6 address becomes an IPv4 Address, as it must
    /// (RFC 9260 §3.3.2.1.2).
    pub fn address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::Ipv4Address(v4),
            IpAddr::V6(v6) => Self::Ipv6Address(v6),
        }
    }

    /// Its type.
    pub const fn kind(&self) -> ParamType {
        match self {
            Self::Ipv4Address(_) => ParamType::IPV4_ADDRESS,
            Self::Ipv6Address(_) => ParamType::IPV6_ADDRESS,
            Self::StateCookie(_) => ParamType::STATE_COOKIE,
            Self::UnrecognizedParameter(_) => ParamType::UNRECOGNIZED_PARAMETER,
            Self::CookiePreservative(_) => ParamType::COOKIE_PRESERVATIVE,
            Self::HostName(_) => ParamType::HOST_NAME_ADDRESS,
            Self::SupportedAddressTypes(_) => ParamType::SUPPORTED_ADDRESS_TYPES,
            Self::EcnCapable => ParamType::ECN_CAPABLE,
            Self::SupportedExtensions(_) => ParamType::SUPPORTED_EXTENSIONS,
            Self::ForwardTsnSupported => ParamType::FORWARD_TSN_SUPPORTED,
            Self::ZeroChecksumAcceptable(_) => ParamType::ZERO_CHECKSUM_ACCEPTABLE,
            Self::Random(_) => ParamType::RANDOM,
            Self::ChunkList(_) => ParamType::CHUNKS,
            Self::HmacAlgorithms(_) => ParamType::HMAC_ALGO,
            Self::Padding(_) => ParamType::PADDING,
            Self::SetPrimaryAddress { .. } => ParamType::SET_PRIMARY_ADDRESS,
            Self::AdaptationLayerIndication(_) => ParamType::ADAPTATION_LAYER_INDICATION,
            Self::Unknown(tlv) => ParamType(tlv.kind),
        }
    }

    /// Appends the parameter with its padding.
    pub fn write(&self, w: &mut Writer<'_>) {
        w.tlv(self.kind().0, |w| match self {
            Self::Ipv4Address(v4) => w.bytes(&v4.octets()),
            Self::Ipv6Address(v6) => w.bytes(&v6.octets()),
            Self::CookiePreservative(increment) => w.u32(*increment),
            Self::SupportedAddressTypes(types) | Self::HmacAlgorithms(types) => w.bytes(types.as_bytes()),
            Self::ZeroChecksumAcceptable(method) => w.u32(method.0),
            Self::AdaptationLayerIndication(code_point) => w.u32(*code_point),
            Self::SetPrimaryAddress {
                correlation_id,
                address,
            } => {
                w.u32(correlation_id.0);
                Self::address(*address).write(w);
            }
            Self::StateCookie(bytes)
            | Self::UnrecognizedParameter(bytes)
            | Self::HostName(bytes)
            | Self::SupportedExtensions(bytes)
            | Self::Random(bytes)
            | Self::ChunkList(bytes)
            | Self::Padding(bytes) => w.bytes(bytes),
            Self::EcnCapable | Self::ForwardTsnSupported => {}
            Self::Unknown(tlv) => w.bytes(tlv.value),
        });
    }
}

/// Appends a Supported Address Types parameter that lists `types`.
pub fn write_supported_address_types(w: &mut Writer<'_>, types: &[ParamType]) {
    w.tlv(ParamType::SUPPORTED_ADDRESS_TYPES.0, |w| {
        types.iter().for_each(|kind| w.u16(kind.0))
    });
}

/// Appends an HMAC-ALGO parameter that lists `hmacs`, the one liked best first.
pub fn write_hmac_algorithms(w: &mut Writer<'_>, hmacs: &[HmacId]) {
    w.tlv(ParamType::HMAC_ALGO.0, |w| hmacs.iter().for_each(|hmac| w.u16(hmac.0)));
}

/// The next parameter, which must be an IPv4 or IPv6 Address. An IPv4-mapped IPv6 address stays what it is.
pub(super) fn read_address(reader: &mut Reader<'_>, at: &'static str) -> Result<IpAddr, DecodeError> {
    let tlv = reader.tlv(at)?;
    let mut value = Reader::new(tlv.value);
    let address = match ParamType(tlv.kind) {
        ParamType::IPV4_ADDRESS => Ipv4Addr::from_bits(value.u32(at)?).into(),
        ParamType::IPV6_ADDRESS => Ipv6Addr::from(value.bytes16(at)?).into(),
        _ => return Err(DecodeError::InvalidValue { field: at }),
    };
    value.finish(at)?;
    Ok(address)
}

/// The parameters of an INIT or INIT ACK in their order.
///
/// A parameter whose value does not fit its type is an error, and the next one follows; after one whose length is
/// wrong nothing follows.
#[derive(Clone)]
pub struct Params<'a> {
    tlvs: Tlvs<'a>,
}

impl<'a> Params<'a> {
    /// The parameters in `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self {
            tlvs: Tlvs::new(bytes, "parameter"),
        }
    }

    /// The same parameters as they lie in the chunk, for an answer that quotes them; [`Param::parse`] reads each.
    pub fn tlvs(&self) -> Tlvs<'a> {
        self.tlvs.clone()
    }
}

impl fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = Result<Param<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.tlvs.next().map(|tlv| tlv.and_then(Param::parse))
    }
}

impl FusedIterator for Params<'_> {}
