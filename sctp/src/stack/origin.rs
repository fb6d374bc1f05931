//! Who opened how many associations (RFC 9260 §12.2.4.3).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

/// Where a peer opened an association from: an IPv4 address, or the /64 of an IPv6 address, since a single host can
/// have any number of addresses in its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin(IpAddr);

impl Origin {
    pub(super) fn of(address: IpAddr) -> Self {
        Self(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        })
    }
}

/// How many associations each peer opened that are still held. Takes no more memory than those.
#[derive(Debug, Default)]
pub(super) struct Origins(BTreeMap<Origin, usize>);

impl Origins {
    pub(super) fn count(&self, origin: Origin) -> usize {
        self.0.get(&origin).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, origin: Origin) {
        *self.0.entry(origin).or_default() += 1;
    }

    pub(super) fn remove(&mut self, origin: Origin) {
        if let Some(count) = self.0.get_mut(&origin) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&origin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(address: &str) -> Origin {
        Origin::of(address.parse().unwrap())
    }

    #[test]
    fn rfc9260_12_2_4_3_a_host_is_an_ipv4_address_or_an_ipv6_subnet() {
        assert_eq!(origin("2001:db8:0:1::1"), origin("2001:db8:0:1:ffff::9"));
        assert_ne!(origin("2001:db8:0:1::1"), origin("2001:db8:0:2::1"));
        assert_ne!(origin("192.0.2.1"), origin("192.0.2.2"));
    }

    #[test]
    fn nothing_is_kept_of_who_has_nothing() {
        let mut origins = Origins::default();
        let (one, other) = (origin("192.0.2.1"), origin("192.0.2.2"));
        origins.add(one);
        origins.add(one);
        origins.add(other);
        assert_eq!((origins.count(one), origins.count(other)), (2, 1));
        origins.remove(one);
        origins.remove(one);
        origins.remove(other);
        assert!(origins.0.is_empty());
    }
}
