//! The registrars that a pool element or pool user knows (RFC 5352 §3.6).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use sctp::Instant;
use sctp::addr::is_usable_peer;

use crate::config::ASAP_PORT;
use crate::ids::RegistrarId;
use crate::net::SctpAddress;
use crate::wire::transport::Transport;

/// How many announced registrars are remembered. Announces can be forged; further ones are ignored until some expire.
const MAX_ANNOUNCED: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Announced {
    server: Option<RegistrarId>,
    /// T7-ENRPoutdate.
    expires: Instant,
}

/// Static registrars, and those that announce themselves.
#[derive(Debug)]
pub(crate) struct Registrars {
    fixed: Vec<SctpAddress>,
    announced: BTreeMap<SctpAddress, Announced>,
    lifetime: Duration,
}

impl Registrars {
    pub(crate) fn new(fixed: &[SctpAddress], lifetime: Duration) -> Self {
        Self {
            fixed: fixed.to_vec(),
            announced: BTreeMap::new(),
            lifetime,
        }
    }

    /// Takes note of an announce; the places where it says the registrar is.
    ///
    /// Without transports, RFC 5352 §3.6 puts the registrar at the source address and the port of ASAP; deployed ones
    /// are at the source port, from which they send. Both are remembered; a search tries several at a time.
    pub(crate) fn announce(
        &mut self,
        now: Instant,
        source: SocketAddr,
        server: Option<RegistrarId>,
        transports: &[Transport],
    ) -> Vec<SctpAddress> {
        let mut places: Vec<SctpAddress> = transports
            .iter()
            .filter_map(Transport::as_sctp)
            .map(|sctp| SctpAddress {
                port: sctp.port,
                addresses: sctp
                    .addresses
                    .iter()
                    .copied()
                    .filter(|ip| is_usable_peer(*ip))
                    .collect(),
            })
            .collect();
        if transports.is_empty() {
            let at = |port| SctpAddress {
                port,
                addresses: vec![source.ip().to_canonical()],
            };
            places.push(at(source.port()));
            if source.port() != ASAP_PORT {
                places.push(at(ASAP_PORT));
            }
        }
        self.expire(now);
        let expires = now + self.lifetime;
        places.retain(|place| place.port != 0 && !place.addresses.is_empty());
        for place in &places {
            if self.announced.len() < MAX_ANNOUNCED || self.announced.contains_key(place) {
                self.announced.insert(place.clone(), Announced { server, expires });
            }
        }
        places
    }

    /// All registrars that are known at `now`, static ones first.
    pub(crate) fn known(&mut self, now: Instant) -> Vec<SctpAddress> {
        self.expire(now);
        let announced = self.announced.keys().filter(|place| !self.fixed.contains(place));
        self.fixed.iter().chain(announced).cloned().collect()
    }

    /// Whether a peer is one of them.
    pub(crate) fn contains(&self, peer: &SctpAddress) -> bool {
        self.fixed
            .iter()
            .chain(self.announced.keys())
            .any(|known| same_end_point(known, peer))
    }

    /// The identifier that the registrar at `place` announced.
    pub(crate) fn server_at(&self, place: &SctpAddress) -> Option<RegistrarId> {
        self.announced.get(place)?.server
    }

    fn expire(&mut self, now: Instant) {
        self.announced.retain(|_, announced| announced.expires > now);
    }
}

/// Whether two descriptions are of one end point: the port and at least one address are the same.
pub(crate) fn same_end_point(a: &SctpAddress, b: &SctpAddress) -> bool {
    a.port == b.port && a.addresses.iter().any(|ip| b.addresses.contains(ip))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::transport::{SctpTransport, TransportUse};

    const LIFETIME: Duration = Duration::from_secs(5);

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(1000 * seconds)
    }

    fn place(port: u16, ip: &str) -> SctpAddress {
        SctpAddress {
            port,
            addresses: vec![ip.parse().unwrap()],
        }
    }

    fn source() -> SocketAddr {
        "192.0.2.7:4000".parse().unwrap()
    }

    #[test]
    fn rfc5352_3_6_an_announce_without_transports_means_its_source() {
        let mut registrars = Registrars::new(&[], LIFETIME);
        let id = RegistrarId::new(7);
        registrars.announce(at(0), source(), id, &[]);
        let (at_source_port, at_asap_port) = (place(4000, "192.0.2.7"), place(ASAP_PORT, "192.0.2.7"));
        let mut known = registrars.known(at(0));
        known.sort();
        assert_eq!(known, [at_asap_port, at_source_port.clone()]);
        assert_eq!(registrars.server_at(&at_source_port), id);
    }

    #[test]
    fn rfc5352_3_6_an_announced_registrar_is_forgotten_after_t7() {
        let fixed = place(1, "192.0.2.1");
        let mut registrars = Registrars::new(std::slice::from_ref(&fixed), LIFETIME);
        let transport = SctpTransport::new(&place(9, "192.0.2.9"), TransportUse::DataOnly);
        let transports = [Transport::Sctp(transport)];
        registrars.announce(at(0), source(), None, &transports);
        registrars.announce(at(4), source(), None, &transports);
        assert_eq!(registrars.known(at(8)), [fixed.clone(), place(9, "192.0.2.9")]);
        assert_eq!(registrars.known(at(9)), [fixed]);
    }

    #[test]
    fn a_flood_of_announces_is_bounded() {
        let mut registrars = Registrars::new(&[], LIFETIME);
        for port in 1..=1000 {
            let transport = SctpTransport::new(&place(port, "192.0.2.9"), TransportUse::DataOnly);
            registrars.announce(at(0), source(), None, &[transport.into()]);
        }
        assert_eq!(registrars.known(at(0)).len(), MAX_ANNOUNCED);
    }

    #[test]
    fn an_announce_of_unusable_addresses_is_ignored() {
        let mut registrars = Registrars::new(&[], LIFETIME);
        for bad in [place(0, "192.0.2.9"), place(5, "0.0.0.0"), place(5, "224.0.0.1")] {
            registrars.announce(
                at(0),
                source(),
                None,
                &[SctpTransport::new(&bad, TransportUse::DataOnly).into()],
            );
        }
        assert!(registrars.known(at(0)).is_empty());
    }
}
