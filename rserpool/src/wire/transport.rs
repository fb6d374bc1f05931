//! Transport parameters: where a service or a registrar is reached (RFC 5354 §3.1 to §3.7, §3.16).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use sctp::tlv::{Reader, Tlv, Writer};

use super::cause::{Cause, CauseCode};
use super::error::{DecodeError, Problem};
use super::param::{ParamType, Reports, for_each_param, invalid, to_bytes};
use crate::net::SctpAddress;

/// What travels over a transport (RFC 5354 §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransportUse {
    /// User data only.
    DataOnly,
    /// User data, and ASAP messages between pool user and pool element.
    DataPlusControl,
}

impl TransportUse {
    const fn number(self) -> u16 {
        match self {
            Self::DataOnly => 0,
            Self::DataPlusControl => 1,
        }
    }

    const fn from_number(number: u16) -> Option<Self> {
        match number {
            0 => Some(Self::DataOnly),
            1 => Some(Self::DataPlusControl),
            _ => None,
        }
    }
}

/// An SCTP Transport parameter (RFC 5354 §3.4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SctpTransport {
    /// The SCTP port.
    pub port: u16,
    /// What travels over it.
    pub transport_use: TransportUse,
    /// The IP addresses: at least one, at most [`MAX_ADDRESSES`](Self::MAX_ADDRESSES).
    pub addresses: Vec<IpAddr>,
}

impl SctpTransport {
    /// The most addresses that a parameter may have. RFC 5354 sets no limit; RSPLIB takes as many.
    pub const MAX_ADDRESSES: usize = 64;

    /// The transport at `address`; addresses beyond [`MAX_ADDRESSES`](Self::MAX_ADDRESSES) are left out.
    pub fn new(address: &SctpAddress, transport_use: TransportUse) -> Self {
        Self {
            port: address.port,
            transport_use,
            addresses: address.addresses.iter().copied().take(Self::MAX_ADDRESSES).collect(),
        }
    }

    /// The transport address alone.
    pub fn address(&self) -> SctpAddress {
        SctpAddress {
            port: self.port,
            addresses: self.addresses.clone(),
        }
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) {
        w.tlv(ParamType::SCTP_TRANSPORT.0, |w| {
            w.u16(self.port);
            w.u16(self.transport_use.number());
            for address in self.addresses.iter().take(Self::MAX_ADDRESSES) {
                write_address(w, *address);
            }
        });
    }

    fn read(tlv: &Tlv<'_>, mut value: Reader<'_>, reports: &mut Reports) -> Result<Self, DecodeError> {
        let port = read_u16(&mut value, "SCTP port", tlv)?;
        let transport_use = read_u16(&mut value, "transport use", tlv)?;
        let transport_use = TransportUse::from_number(transport_use).ok_or_else(|| invalid("transport use", tlv))?;
        let addresses = read_addresses(value, Self::MAX_ADDRESSES, tlv, reports)?;
        Ok(Self {
            port,
            transport_use,
            addresses,
        })
    }
}

/// A transport parameter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// SCTP (RFC 5354 §3.4).
    Sctp(SctpTransport),
    /// TCP, for data only (RFC 5354 §3.5).
    Tcp(SocketAddr),
    /// UDP, for data only (RFC 5354 §3.6).
    Udp(SocketAddr),
    /// UDP-Lite, for data only (RFC 5354 §3.7).
    UdpLite(SocketAddr),
    /// DCCP, for data only (RFC 5354 §3.3).
    Dccp {
        /// Where it is.
        address: SocketAddr,
        /// The DCCP service code.
        service_code: u32,
    },
    /// Something that only its users understand, at most [`MAX_OPAQUE`](Self::MAX_OPAQUE) bytes (RFC 5354 §3.16).
    Opaque(Bytes),
}

impl Transport {
    /// The longest opaque transport, in bytes. RFC 5354 sets no limit; this one keeps a pool element small.
    pub const MAX_OPAQUE: usize = 1024;

    /// What travels over it: data only, unless it is SCTP that says otherwise.
    pub const fn transport_use(&self) -> TransportUse {
        match self {
            Self::Sctp(sctp) => sctp.transport_use,
            _ => TransportUse::DataOnly,
        }
    }

    /// Whether it is of the same protocol as `other`, as all elements of a pool are (RFC 5352 §3.1).
    pub fn same_protocol(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// The IP addresses; none for an opaque transport.
    pub fn addresses(&self) -> Vec<IpAddr> {
        match self {
            Self::Sctp(sctp) => sctp.addresses.clone(),
            Self::Tcp(address) | Self::Udp(address) | Self::UdpLite(address) | Self::Dccp { address, .. } => {
                vec![address.ip()]
            }
            Self::Opaque(_) => Vec::new(),
        }
    }

    /// The port; none for an opaque transport.
    pub const fn port(&self) -> Option<u16> {
        match self {
            Self::Sctp(sctp) => Some(sctp.port),
            Self::Tcp(address) | Self::Udp(address) | Self::UdpLite(address) | Self::Dccp { address, .. } => {
                Some(address.port())
            }
            Self::Opaque(_) => None,
        }
    }

    /// The SCTP transport, if it is one.
    pub const fn as_sctp(&self) -> Option<&SctpTransport> {
        match self {
            Self::Sctp(sctp) => Some(sctp),
            _ => None,
        }
    }

    /// The cause that refuses an element with a transport of another type than this, its pool's (RFC 5354 §3.12.8).
    pub fn inconsistent_transport(&self) -> Cause {
        Cause::new(CauseCode::INCONSISTENT_TRANSPORT_TYPE, to_bytes(|w| self.write(w)))
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) {
        match self {
            Self::Sctp(sctp) => sctp.write(w),
            Self::Tcp(address) => write_simple(w, ParamType::TCP_TRANSPORT, *address, None),
            Self::Udp(address) => write_simple(w, ParamType::UDP_TRANSPORT, *address, None),
            Self::UdpLite(address) => write_simple(w, ParamType::UDP_LITE_TRANSPORT, *address, None),
            Self::Dccp { address, service_code } => {
                write_simple(w, ParamType::DCCP_TRANSPORT, *address, Some(*service_code));
            }
            Self::Opaque(bytes) => w.tlv(ParamType::OPAQUE_TRANSPORT.0, |w| {
                w.bytes(bytes.get(..Self::MAX_OPAQUE).unwrap_or(bytes));
            }),
        }
    }

    /// Reads a parameter whose type is a transport's.
    pub(crate) fn read(tlv: &Tlv<'_>, reports: &mut Reports) -> Result<Self, DecodeError> {
        let mut value = Reader::new(tlv.value);
        match ParamType(tlv.kind) {
            ParamType::SCTP_TRANSPORT => SctpTransport::read(tlv, value, reports).map(Self::Sctp),
            ParamType::TCP_TRANSPORT => read_simple(tlv, value, reports).map(Self::Tcp),
            ParamType::UDP_TRANSPORT => read_simple(tlv, value, reports).map(Self::Udp),
            ParamType::UDP_LITE_TRANSPORT => read_simple(tlv, value, reports).map(Self::UdpLite),
            ParamType::DCCP_TRANSPORT => {
                let port = read_u16(&mut value, "DCCP port", tlv)?;
                read_u16(&mut value, "reserved field", tlv)?;
                let service_code = value
                    .u32("DCCP service code")
                    .map_err(|error| DecodeError::new(error.into(), tlv.raw))?;
                let address = SocketAddr::new(read_one_address(tlv, value, reports)?, port);
                Ok(Self::Dccp { address, service_code })
            }
            _ if tlv.value.len() > Self::MAX_OPAQUE => Err(invalid("opaque transport", tlv)),
            _ => Ok(Self::Opaque(Bytes::copy_from_slice(tlv.value))),
        }
    }
}

impl From<SctpTransport> for Transport {
    fn from(sctp: SctpTransport) -> Self {
        Self::Sctp(sctp)
    }
}

fn read_u16(value: &mut Reader<'_>, at: &'static str, tlv: &Tlv<'_>) -> Result<u16, DecodeError> {
    value.u16(at).map_err(|error| DecodeError::new(error.into(), tlv.raw))
}

fn write_simple(w: &mut Writer<'_>, kind: ParamType, address: SocketAddr, service_code: Option<u32>) {
    w.tlv(kind.0, |w| {
        w.u16(address.port());
        // Reserved; RSPLIB puts a transport use here for TCP, where RFC 5354 §3.5 has none.
        w.u16(0);
        if let Some(code) = service_code {
            w.u32(code);
        }
        write_address(w, address.ip());
    });
}

fn read_simple(tlv: &Tlv<'_>, mut value: Reader<'_>, reports: &mut Reports) -> Result<SocketAddr, DecodeError> {
    let port = read_u16(&mut value, "port", tlv)?;
    read_u16(&mut value, "reserved field", tlv)?;
    Ok(SocketAddr::new(read_one_address(tlv, value, reports)?, port))
}

fn read_one_address(tlv: &Tlv<'_>, value: Reader<'_>, reports: &mut Reports) -> Result<IpAddr, DecodeError> {
    let addresses = read_addresses(value, 1, tlv, reports)?;
    addresses.first().copied().ok_or_else(|| invalid("IP address", tlv))
}

/// At least one and at most `max` address parameters.
fn read_addresses(
    value: Reader<'_>,
    max: usize,
    transport: &Tlv<'_>,
    reports: &mut Reports,
) -> Result<Vec<IpAddr>, DecodeError> {
    let mut addresses = Vec::new();
    for_each_param(value, reports, |kind, tlv, _| {
        let mut value = Reader::new(tlv.value);
        let address = match kind {
            ParamType::IPV4_ADDRESS => value.u32("IPv4 address").map(|bits| Ipv4Addr::from_bits(bits).into()),
            // An IPv4-mapped address means the IPv4 address.
            ParamType::IPV6_ADDRESS => {
                let bytes = value.bytes16("IPv6 address");
                bytes.map(|bytes| IpAddr::from(Ipv6Addr::from(bytes)).to_canonical())
            }
            _ => return Ok(()),
        };
        let address = address.and_then(|address| value.finish("IP address").map(|()| address));
        let address: IpAddr = address.map_err(|error| DecodeError::new(error.into(), tlv.raw))?;
        if addresses.len() >= max {
            return Err(DecodeError::new(
                Problem::InvalidValue("number of IP addresses"),
                transport.raw,
            ));
        }
        addresses.push(address);
        Ok(())
    })?;
    if addresses.is_empty() {
        return Err(DecodeError::new(Problem::Missing("IP address"), transport.raw));
    }
    Ok(addresses)
}

fn write_address(w: &mut Writer<'_>, address: IpAddr) {
    match address.to_canonical() {
        IpAddr::V4(v4) => w.tlv(ParamType::IPV4_ADDRESS.0, |w| w.bytes(&v4.octets())),
        IpAddr::V6(v6) => w.tlv(ParamType::IPV6_ADDRESS.0, |w| w.bytes(&v6.octets())),
    }
}
