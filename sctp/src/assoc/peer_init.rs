//! What a peer says of itself in an INIT or INIT ACK (RFC 9260 §3.3.2, §3.3.3, §5.1).

use std::net::IpAddr;

use super::auth::{read_auth_from_cookie, write_auth_to_cookie};
use super::capabilities::Extensions;
use crate::addr;
use crate::auth::{AuthParams, AuthParamsReader};
use crate::error::Violation;
use crate::path::PathSet;
use crate::serial::{Tsn, VerificationTag};
use crate::tlv::{Reader, Writer};
use crate::wire::{ChunkType, ErrorDetectionMethod, Init, Param};

/// The peer's side of an association, as it announced it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerInit {
    pub(crate) initiate_tag: VerificationTag,
    pub(crate) a_rwnd: u32,
    pub(crate) outbound_streams: u16,
    pub(crate) inbound_streams: u16,
    pub(crate) initial_tsn: Tsn,
    /// The extensions that it supports.
    pub(crate) extensions: Extensions,
    /// How it lets packets without a checksum be guarded, if it takes them (RFC 9653).
    pub(crate) zero_checksum: Option<ErrorDetectionMethod>,
    /// What it said of AUTH, if it takes part (RFC 4895).
    pub(crate) auth: Option<AuthParams>,
    /// The Adaptation Code point for the user (RFC 5061 §4.2.6).
    pub(crate) adaptation: Option<u32>,
    /// The address that it wants to be reached at first (RFC 5061 §5.4).
    pub(crate) primary: Option<IpAddr>,
    /// Addresses that it listed, usable ones only. The packet's source address belongs to the peer as well (§5.1.2).
    pub(crate) addresses: Vec<IpAddr>,
}

/// An INIT or INIT ACK, read completely.
#[derive(Clone, Debug)]
pub(crate) struct ParsedInit<'a> {
    pub(crate) peer: PeerInit,
    pub(crate) cookie: Option<&'a [u8]>,
    /// By how many milliseconds the sender of an INIT wants its cookie to live longer (§3.3.2.1.3).
    pub(crate) cookie_preservative: u32,
    /// Parameters to be reported as unrecognized (§3.2.2), header and all.
    pub(crate) unrecognized: Vec<&'a [u8]>,
    /// Why the association must not come about if this side offers AUTH.
    pub(crate) auth_violation: Option<Violation>,
}

/// Why an INIT or INIT ACK is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal<'a> {
    pub(crate) violation: Violation,
    /// The parameter at fault, header and all.
    pub(crate) parameter: Option<&'a [u8]>,
}

impl From<Violation> for Refusal<'_> {
    fn from(violation: Violation) -> Self {
        Self {
            violation,
            parameter: None,
        }
    }
}

impl<'a> ParsedInit<'a> {
    /// A side takes part in AUTH if its parameters say so, whatever else it lists.
    fn take_auth(&mut self, auth: AuthParamsReader<'a>, changes_addresses: bool) {
        self.peer.extensions.remove(Extensions::AUTH);
        match auth.finish() {
            Ok(Some(auth)) => {
                self.peer.extensions.insert(Extensions::AUTH);
                self.peer.auth = Some(auth);
            }
            // RFC 5061 §4.2.7: who changes addresses has AUTH as well.
            Ok(None) if changes_addresses => self.auth_violation = Some(Violation::AsconfWithoutAuth),
            Ok(None) => {}
            Err(violation) => self.auth_violation = Some(violation),
        }
    }
}

impl PeerInit {
    /// Reads the parameters and checks the mandatory fields. Unknown parameters are handled as their type asks
    /// (§3.2.1): reading goes on, or what was read so far counts.
    pub(crate) fn parse<'a>(init: &Init<'a>) -> Result<ParsedInit<'a>, Refusal<'a>> {
        let fixed = init.fixed;
        if fixed.initiate_tag == VerificationTag::ZERO {
            return Err(Violation::ZeroInitiateTag.into());
        }
        if fixed.outbound_streams == 0 || fixed.inbound_streams == 0 {
            return Err(Violation::NoStreams.into());
        }
        if fixed.a_rwnd < 1500 {
            return Err(Violation::WindowTooSmall.into());
        }
        let mut parsed = ParsedInit {
            peer: Self {
                initiate_tag: fixed.initiate_tag,
                a_rwnd: fixed.a_rwnd,
                outbound_streams: fixed.outbound_streams,
                inbound_streams: fixed.inbound_streams,
                initial_tsn: fixed.initial_tsn,
                extensions: Extensions::NONE,
                zero_checksum: None,
                auth: None,
                adaptation: None,
                primary: None,
                addresses: Vec::new(),
            },
            cookie: None,
            cookie_preservative: 0,
            unrecognized: Vec::new(),
            auth_violation: None,
        };
        let mut auth = AuthParamsReader::default();
        let mut changes_addresses = false;
        let mut lists_forwarding = false;
        for tlv in init.params.tlvs() {
            let tlv = tlv.map_err(|_| Violation::MalformedParameter)?;
            let at_fault = |violation| Refusal {
                violation,
                parameter: Some(tlv.raw),
            };
            match Param::parse(tlv).map_err(|_| at_fault(Violation::MalformedParameter))? {
                Param::Ipv4Address(v4) => parsed.peer.add_address(v4.into()),
                Param::Ipv6Address(v6) => parsed.peer.add_address(IpAddr::from(v6).to_canonical()),
                Param::StateCookie(cookie) => parsed.cookie = Some(cookie),
                Param::CookiePreservative(increment) => parsed.cookie_preservative = increment,
                Param::HostName(_) => return Err(at_fault(Violation::HostName)),
                Param::Unknown(tlv) => {
                    let action = tlv.unknown_action();
                    if action.reports() {
                        parsed.unrecognized.push(tlv.raw);
                    }
                    if !action.goes_on() {
                        break;
                    }
                }
                Param::SupportedExtensions(listed) => {
                    parsed.peer.extensions.insert_listed(listed);
                    changes_addresses |= listed.contains(&ChunkType::ASCONF.0);
                    lists_forwarding |= [ChunkType::FORWARD_TSN, ChunkType::I_FORWARD_TSN]
                        .iter()
                        .any(|kind| listed.contains(&kind.0));
                }
                Param::Random(number) => auth.random(number),
                Param::ChunkList(chunks) => auth.chunks(chunks),
                Param::HmacAlgorithms(hmacs) => auth.hmacs(hmacs),
                // RFC 5061 §4.2.4: the wildcard is the source of the packet, which is the first to be tried anyway.
                Param::SetPrimaryAddress { address, .. } if address.is_unspecified() => {}
                Param::SetPrimaryAddress { address, .. } => parsed.peer.primary = Some(address.to_canonical()),
                Param::AdaptationLayerIndication(code_point) => parsed.peer.adaptation = Some(code_point),
                Param::ForwardTsnSupported => parsed.peer.extensions.insert(Extensions::FORWARD_TSN),
                // RFC 9653 §4: there should be but one.
                Param::ZeroChecksumAcceptable(method) => {
                    parsed.peer.extensions.insert(Extensions::ZERO_CHECKSUM);
                    parsed.peer.zero_checksum.get_or_insert(method);
                }
                Param::EcnCapable => parsed.peer.extensions.insert(Extensions::ECN),
                // Our own addresses are of both families wherever the host has both; what the peer did not recognize we
                // can do without.
                Param::SupportedAddressTypes(_) | Param::Padding(_) | Param::UnrecognizedParameter(_) => {}
            }
        }
        if !lists_forwarding {
            parsed.peer.extensions.insert_unlisted();
        }
        parsed.take_auth(auth, changes_addresses);
        Ok(parsed)
    }

    fn add_address(&mut self, address: IpAddr) {
        let room = self.addresses.len() < PathSet::MAX_PATHS;
        if room && addr::is_usable_peer(address) && !self.addresses.contains(&address) {
            self.addresses.push(address);
        }
    }

    /// Writes it for a State Cookie.
    pub(crate) fn write(&self, w: &mut Writer<'_>) {
        w.u32(self.initiate_tag.0);
        w.u32(self.a_rwnd);
        w.u16(self.outbound_streams);
        w.u16(self.inbound_streams);
        w.u32(self.initial_tsn.0);
        w.u16(self.extensions.bits());
        if let Some(method) = self.zero_checksum {
            w.u32(method.0);
        }
        if let Some(auth) = &self.auth {
            write_auth_to_cookie(w, auth);
        }
        w.u8(u8::from(self.adaptation.is_some()) | u8::from(self.primary.is_some()) << 1);
        if let Some(code_point) = self.adaptation {
            w.u32(code_point);
        }
        if let Some(address) = self.primary {
            write_address(w, address);
        }
        w.u16(u16::try_from(self.addresses.len()).unwrap_or(u16::MAX));
        for &address in &self.addresses {
            write_address(w, address);
        }
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(crate) fn read(r: &mut Reader<'_>) -> Option<Self> {
        let mut peer = Self {
            initiate_tag: VerificationTag(r.u32("tag").ok()?),
            a_rwnd: r.u32("window").ok()?,
            outbound_streams: r.u16("streams").ok()?,
            inbound_streams: r.u16("streams").ok()?,
            initial_tsn: Tsn(r.u32("TSN").ok()?),
            extensions: Extensions::from_bits(r.u16("extensions").ok()?),
            zero_checksum: None,
            auth: None,
            adaptation: None,
            primary: None,
            addresses: Vec::new(),
        };
        if peer.extensions.contains(Extensions::ZERO_CHECKSUM) {
            peer.zero_checksum = Some(ErrorDetectionMethod(r.u32("error detection method").ok()?));
        }
        if peer.extensions.contains(Extensions::AUTH) {
            peer.auth = Some(read_auth_from_cookie(r)?);
        }
        let present = r.u8("optional parameters").ok()?;
        if present & 1 != 0 {
            peer.adaptation = Some(r.u32("adaptation").ok()?);
        }
        if present & 2 != 0 {
            peer.primary = Some(read_address(r)?);
        }
        for _ in 0..r.u16("addresses").ok()? {
            peer.addresses.push(read_address(r)?);
        }
        Some(peer)
    }
}

/// Writes an address for a State Cookie: 4 or 16 bytes after their number.
pub(crate) fn write_address(w: &mut Writer<'_>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => {
            w.u8(4);
            w.bytes(&v4.octets());
        }
        IpAddr::V6(v6) => {
            w.u8(16);
            w.bytes(&v6.octets());
        }
    }
}

/// Reads what [`write_address`] wrote.
pub(crate) fn read_address(r: &mut Reader<'_>) -> Option<IpAddr> {
    match r.u8("family").ok()? {
        4 => r
            .u32("address")
            .ok()
            .map(|bits| std::net::Ipv4Addr::from_bits(bits).into()),
        16 => r
            .bytes16("address")
            .ok()
            .map(|octets| std::net::Ipv6Addr::from(octets).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{ChunkType, InitFixed, write_init};

    fn init(fixed: InitFixed, params: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let mut buf = Vec::new();
        write_init(&mut buf, ChunkType::INIT, &fixed, params);
        buf.split_off(4)
    }

    fn good() -> InitFixed {
        InitFixed {
            initiate_tag: VerificationTag(1),
            a_rwnd: 1500,
            outbound_streams: 1,
            inbound_streams: 1,
            initial_tsn: Tsn(7),
        }
    }

    fn refused(fixed: InitFixed) -> Violation {
        let bytes = init(fixed, |_| {});
        PeerInit::parse(&Init::parse(&bytes).unwrap()).unwrap_err().violation
    }

    #[test]
    fn rfc9260_3_3_2_mandatory_fields_are_checked() {
        assert_eq!(
            refused(InitFixed {
                initiate_tag: VerificationTag::ZERO,
                ..good()
            }),
            Violation::ZeroInitiateTag
        );
        assert_eq!(
            refused(InitFixed {
                outbound_streams: 0,
                ..good()
            }),
            Violation::NoStreams
        );
        assert_eq!(
            refused(InitFixed {
                inbound_streams: 0,
                ..good()
            }),
            Violation::NoStreams
        );
        assert_eq!(refused(InitFixed { a_rwnd: 1499, ..good() }), Violation::WindowTooSmall);
    }

    #[test]
    fn rfc9260_3_2_1_unknown_parameters_are_handled_by_their_highest_bits() {
        let address = Param::address("10.0.0.1".parse().unwrap());
        for (kind, reported, goes_on) in [
            (0x3fff, 0, false),
            (0x7fff, 1, false),
            (0xbfff, 0, true),
            (0xffff, 1, true),
        ] {
            let bytes = init(good(), |w| {
                w.tlv(kind, |w| w.u32(5));
                address.write(w);
            });
            let init = Init::parse(&bytes).unwrap();
            let parsed = PeerInit::parse(&init).unwrap();
            assert_eq!(parsed.unrecognized.len(), reported, "{kind:#x}");
            assert_eq!(parsed.peer.addresses.len(), usize::from(goes_on), "{kind:#x}");
        }
    }

    #[test]
    fn a_peer_is_read_back_from_a_cookie() {
        let bytes = init(good(), |w| {
            Param::ForwardTsnSupported.write(w);
            Param::ZeroChecksumAcceptable(ErrorDetectionMethod::DTLS).write(w);
            Param::ZeroChecksumAcceptable(ErrorDetectionMethod(7)).write(w);
            for text in ["10.0.0.1", "fd00::1", "224.0.0.1", "10.0.0.1"] {
                Param::address(text.parse().unwrap()).write(w);
            }
        });
        let init = Init::parse(&bytes).unwrap();
        let peer = PeerInit::parse(&init).unwrap().peer;
        assert_eq!(
            peer.addresses.len(),
            2,
            "neither the multicast address nor the repeated one"
        );
        assert!(peer.extensions.contains(Extensions::FORWARD_TSN));
        assert_eq!(
            peer.zero_checksum,
            Some(ErrorDetectionMethod::DTLS),
            "the first one counts"
        );
        let mut buf = Vec::new();
        peer.write(&mut Writer::new(&mut buf));
        assert_eq!(PeerInit::read(&mut Reader::new(&buf)), Some(peer));
    }
}
