//! Addresses: their scopes, and which of them may be told to whom (RFC 9260 §5.1.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far an address reaches; wider scopes are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Inside the host: 127.0.0.0/8, `::1`.
    Loopback,
    /// On one link: 169.254.0.0/16, `fe80::/10`.
    LinkLocal,
    /// In one network: RFC 1918, 100.64.0.0/10, `fc00::/7`, `fec0::/10`.
    Private,
    /// Everywhere.
    Global,
}

/// The scope of `address`.
pub fn scope(address: IpAddr) -> Scope {
    match address {
        IpAddr::V4(v4) => scope_v4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => scope_v4(v4),
            None => scope_v6(v6),
        },
    }
}

fn scope_v4(v4: Ipv4Addr) -> Scope {
    let [a, b, ..] = v4.octets();
    if v4.is_loopback() {
        Scope::Loopback
    } else if v4.is_link_local() {
        Scope::LinkLocal
    } else if v4.is_private() || (a == 100 && (64..128).contains(&b)) {
        Scope::Private
    } else {
        Scope::Global
    }
}

fn scope_v6(v6: Ipv6Addr) -> Scope {
    let [first, ..] = v6.segments();
    if v6.is_loopback() {
        Scope::Loopback
    } else if first & 0xffc0 == 0xfe80 {
        Scope::LinkLocal
    } else if first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfec0 {
        Scope::Private
    } else {
        Scope::Global
    }
}

/// Whether an end point may send to or hear from `address`: unicast, and not the wildcard (RFC 9260 §8.4 rule 1).
pub fn is_usable_peer(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || broadcast)
}

/// Whether the own address `local` may be listed to a peer that is reached at `peer` (RFC 9260 §5.1.2): only where
/// the peer can use it, which an address of a narrower scope does not promise.
pub fn may_list(local: IpAddr, peer: IpAddr) -> bool {
    scope(local) >= scope(peer)
}

/// How many leading bits two addresses share; `None` across families. The own address that shares the most with a
/// destination is the likeliest to sit on the way to it (the idea of RFC 6724 rule 8).
pub fn common_prefix(a: IpAddr, b: IpAddr) -> Option<u32> {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => Some((a.to_bits() ^ b.to_bits()).leading_zeros()),
        (IpAddr::V6(a), IpAddr::V6(b)) => Some((a.to_bits() ^ b.to_bits()).leading_zeros()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn scopes_are_told_from_the_prefix() {
        for (text, expected) in [
            ("127.0.0.9", Scope::Loopback),
            ("::1", Scope::Loopback),
            ("169.254.1.1", Scope::LinkLocal),
            ("fe80::1", Scope::LinkLocal),
            ("10.1.2.3", Scope::Private),
            ("192.168.0.1", Scope::Private),
            ("100.64.0.1", Scope::Private),
            ("fd00::1", Scope::Private),
            ("::ffff:10.0.0.1", Scope::Private),
            ("192.0.2.1", Scope::Global),
            ("2001:db8::1", Scope::Global),
        ] {
            assert_eq!(scope(ip(text)), expected, "{text}");
        }
    }

    #[test]
    fn rfc9260_5_1_2_an_address_is_listed_only_where_it_reaches() {
        assert!(may_list(ip("10.0.0.1"), ip("127.0.0.1")));
        assert!(may_list(ip("10.0.0.1"), ip("10.9.9.9")));
        assert!(!may_list(ip("127.0.0.1"), ip("10.0.0.1")));
        assert!(!may_list(ip("10.0.0.1"), ip("192.0.2.1")));
    }

    #[test]
    fn rfc9260_8_4_only_unicast_addresses_are_peers() {
        for text in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255"] {
            assert!(!is_usable_peer(ip(text)), "{text}");
        }
        assert!(is_usable_peer(ip("127.0.0.1")));
    }

    #[test]
    fn a_longer_common_prefix_means_nearer() {
        assert_eq!(common_prefix(ip("10.1.1.1"), ip("10.1.1.2")), Some(30));
        assert_eq!(common_prefix(ip("10.1.1.1"), ip("::1")), None);
    }
}
