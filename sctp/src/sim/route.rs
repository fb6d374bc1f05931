//! Which interface reaches which address. There are no routers: an address is reached from every interface on a link
//! that it is attached to.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::ids::{HostId, LinkId};
use crate::addr::common_prefix;

/// One network interface of a host.
#[derive(Clone, Debug)]
pub(crate) struct Interface {
    pub(crate) link: LinkId,
    pub(crate) addresses: Vec<IpAddr>,
}

/// Who has which address on which link.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    owners: BTreeMap<(LinkId, IpAddr), HostId>,
}

impl Routes {
    /// Attaches an address; one link has no address twice.
    pub(crate) fn attach(&mut self, link: LinkId, address: IpAddr, host: HostId) {
        let before = self.owners.insert((link, address), host);
        assert!(
            before.is_none_or(|owner| owner == host),
            "{address} is on that link already"
        );
    }

    pub(crate) fn detach(&mut self, link: LinkId, address: IpAddr) {
        self.owners.remove(&(link, address));
    }

    /// Who has `address` on `link`.
    pub(crate) fn owner(&self, link: LinkId, address: IpAddr) -> Option<HostId> {
        self.owners.get(&(link, address)).copied()
    }

    /// The interface, by index, that a packet for `dst` leaves by, and its source address.
    ///
    /// Of several interfaces that reach `dst`, one on a link that is up goes first, then the one that has `src`. A
    /// source that is not given is the interface's address that shares the longest prefix with `dst`.
    pub(crate) fn choose(
        &self,
        interfaces: &[Interface],
        is_up: impl Fn(LinkId) -> bool,
        src: Option<IpAddr>,
        dst: IpAddr,
    ) -> Option<(usize, IpAddr)> {
        let reaching = interfaces
            .iter()
            .enumerate()
            .filter(|(_, interface)| self.owners.contains_key(&(interface.link, dst)));
        let (index, interface) = reaching.min_by_key(|(index, interface)| {
            let has_source = src.is_some_and(|src| interface.addresses.contains(&src));
            (!is_up(interface.link), !has_source, *index)
        })?;
        let source = src.or_else(|| source_on(interface, dst))?;
        Some((index, source))
    }
}

/// The address of `interface` that fits `dst` best.
pub(crate) fn source_on(interface: &Interface, dst: IpAddr) -> Option<IpAddr> {
    let fitting = interface
        .addresses
        .iter()
        .filter_map(|&address| common_prefix(address, dst).map(|shared| (shared, address)));
    fitting
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, address)| address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn interface(link: usize, addresses: &[&str]) -> Interface {
        Interface {
            link: LinkId(link),
            addresses: addresses.iter().map(|a| ip(a)).collect(),
        }
    }

    #[test]
    fn the_link_that_has_the_address_decides_and_family_and_prefix_choose_the_source() {
        let mut routes = Routes::default();
        routes.attach(LinkId(0), ip("10.1.0.2"), HostId(1));
        routes.attach(LinkId(1), ip("10.2.0.2"), HostId(1));
        routes.attach(LinkId(1), ip("fd00::2"), HostId(1));
        let own = [
            interface(0, &["10.1.0.1"]),
            interface(1, &["192.168.0.1", "10.2.0.1", "fd00::1"]),
        ];
        let choose = |src: Option<&str>, dst| routes.choose(&own, |_| true, src.map(ip), ip(dst));
        assert_eq!(choose(None, "10.1.0.2"), Some((0, ip("10.1.0.1"))));
        assert_eq!(choose(None, "10.2.0.2"), Some((1, ip("10.2.0.1"))));
        assert_eq!(choose(None, "fd00::2"), Some((1, ip("fd00::1"))));
        assert_eq!(choose(Some("10.1.0.1"), "10.2.0.2"), Some((1, ip("10.1.0.1"))));
        assert_eq!(choose(None, "10.3.0.2"), None);
    }

    #[test]
    fn of_two_ways_the_one_that_is_up_is_taken() {
        let mut routes = Routes::default();
        routes.attach(LinkId(0), ip("10.0.0.2"), HostId(1));
        routes.attach(LinkId(1), ip("10.0.0.2"), HostId(1));
        let own = [interface(0, &["10.0.0.1"]), interface(1, &["10.0.0.9"])];
        let choose = |up: usize, src| routes.choose(&own, |link| link.0 == up, Some(ip(src)), ip("10.0.0.2"));
        assert_eq!(choose(1, "10.0.0.1"), Some((1, ip("10.0.0.1"))));
        assert_eq!(choose(0, "10.0.0.9"), Some((0, ip("10.0.0.9"))));
    }
}
