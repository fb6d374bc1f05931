//! The SCTP ports of a shared port: which process has which, on which addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use crate::userland::device::PortFilter;

/// The first of the ports that are drawn for who does not care (RFC 6335 §6).
const FIRST_EPHEMERAL: u16 = 49_152;
/// How many ports one process may have.
const MAX_CLAIMS: usize = 65_536;

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// This one.
    Here,
    /// The guest of this number.
    Guest(u32),
}

/// Why a port cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Somebody has it, on one of the addresses.
    Taken,
    /// All that can be drawn are taken, or the process has too many.
    NoneFree,
}

/// A port on addresses.
#[derive(Debug)]
struct Claim {
    owner: Owner,
    id: u64,
    /// Empty for all; 0.0.0.0 stands for all of IPv4.
    addresses: Vec<IpAddr>,
    /// Whether its owner may have the port again.
    shares: bool,
}

impl Claim {
    fn takes(&self, address: IpAddr) -> bool {
        covers(&self.addresses, address)
    }

    fn overlaps(&self, addresses: &[IpAddr]) -> bool {
        addresses.is_empty()
            || self.addresses.is_empty()
            || addresses.iter().any(|address| covers(&self.addresses, *address))
            || self.addresses.iter().any(|address| covers(addresses, *address))
    }
}

/// Whether an address is among others: none stand for all, and 0.0.0.0 for those of IPv4.
fn covers(addresses: &[IpAddr], address: IpAddr) -> bool {
    let any_v4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    addresses.is_empty() || addresses.contains(&address) || (address.is_ipv4() && addresses.contains(&any_v4))
}

/// Who has which port.
#[derive(Debug, Default)]
pub(super) struct Registry {
    by_port: BTreeMap<u16, Vec<Claim>>,
    ports: BTreeMap<(Owner, u64), u16>,
}

impl Registry {
    /// Gives a port to a process, under a name that the process chose; `None` draws one, from `start` on. A name that
    /// has a port already gets it on other addresses. What a process shares (SCTP_REUSE_PORT, RFC 6458 §8.1.27) it may
    /// have again, to be shared as well.
    pub(super) fn grant(
        &mut self,
        (owner, id): (Owner, u64),
        port: Option<u16>,
        addresses: Vec<IpAddr>,
        shares: bool,
        start: u16,
    ) -> Result<u16, Refusal> {
        let before = self.ports.get(&(owner, id)).copied();
        if before.is_none() && self.count(owner) >= MAX_CLAIMS {
            return Err(Refusal::NoneFree);
        }
        let port = match port.or(before) {
            Some(port) if self.is_free(port, &addresses, (owner, id), shares) => port,
            Some(_) => return Err(Refusal::Taken),
            None => self.draw(&addresses, start).ok_or(Refusal::NoneFree)?,
        };
        self.release(owner, id);
        self.ports.insert((owner, id), port);
        self.by_port.entry(port).or_default().push(Claim {
            owner,
            id,
            addresses,
            shares,
        });
        Ok(port)
    }

    /// Takes a port back.
    pub(super) fn release(&mut self, owner: Owner, id: u64) {
        let Some(port) = self.ports.remove(&(owner, id)) else {
            return;
        };
        if let Some(claims) = self.by_port.get_mut(&port) {
            claims.retain(|claim| (claim.owner, claim.id) != (owner, id));
            if claims.is_empty() {
                self.by_port.remove(&port);
            }
        }
    }

    /// Takes all ports of a process back.
    pub(super) fn forget(&mut self, owner: Owner) {
        let ids: Vec<u64> = self.of(owner).collect();
        for id in ids {
            self.release(owner, id);
        }
    }

    /// Who gets what comes to a port of an own address. One that has the port on other addresses only is better than
    /// nobody: the address may have been added to an association.
    pub(super) fn find(&self, address: Option<IpAddr>, port: u16) -> Option<Owner> {
        let claims = self.by_port.get(&port)?;
        let exact = |address| claims.iter().find(|claim| claim.takes(address));
        address
            .and_then(exact)
            .or_else(|| claims.first())
            .map(|claim| claim.owner)
    }

    /// The ports that this process has, or those that it does not have and others do; `None` if there are more than a
    /// filter looks for.
    pub(super) fn ports(&self, here: bool) -> Option<BTreeSet<u16>> {
        let is_here = |claims: &[Claim]| claims.iter().any(|claim| claim.owner == Owner::Here);
        let ports = self.by_port.iter().filter(|(_, claims)| is_here(claims) == here);
        let ports: BTreeSet<u16> = ports.map(|(port, _)| *port).take(PortFilter::MAX_PORTS + 1).collect();
        (ports.len() <= PortFilter::MAX_PORTS).then_some(ports)
    }

    fn of(&self, owner: Owner) -> impl Iterator<Item = u64> {
        let all = self.ports.range((owner, 0)..=(owner, u64::MAX));
        all.map(|((_, id), _)| *id)
    }

    fn count(&self, owner: Owner) -> usize {
        // Others do not matter, and of one process this many are never seen.
        if self.ports.len() < MAX_CLAIMS {
            return 0;
        }
        self.of(owner).count()
    }

    fn is_free(&self, port: u16, addresses: &[IpAddr], to: (Owner, u64), shares: bool) -> bool {
        let mut claims = self.by_port.get(&port).into_iter().flatten();
        claims.all(|claim| {
            let shared = shares && claim.shares && claim.owner == to.0;
            shared || (claim.owner, claim.id) == to || !claim.overlaps(addresses)
        })
    }

    fn draw(&self, addresses: &[IpAddr], start: u16) -> Option<u16> {
        let count = u32::from(u16::MAX - FIRST_EPHEMERAL) + 1;
        (0..count)
            .map(|i| (u32::from(start) + i) % count + u32::from(FIRST_EPHEMERAL))
            .filter_map(|port| u16::try_from(port).ok())
            .find(|port| {
                let mut claims = self.by_port.get(port).into_iter().flatten();
                claims.all(|claim| !claim.overlaps(addresses))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Registry {
        fn claim(
            &mut self,
            owner: Owner,
            id: u64,
            port: Option<u16>,
            addresses: Vec<IpAddr>,
            start: u16,
        ) -> Result<u16, Refusal> {
            self.grant((owner, id), port, addresses, false, start)
        }
    }

    const A: Owner = Owner::Here;
    const B: Owner = Owner::Guest(1);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| ip(text)).collect()
    }

    #[test]
    fn all_ipv4_addresses_are_claimed_as_one() {
        let mut registry = Registry::default();
        assert_eq!(registry.claim(A, 1, Some(7), ips(&["0.0.0.0"]), 0), Ok(7));
        assert_eq!(
            registry.claim(B, 1, Some(7), ips(&["10.0.0.1"]), 0),
            Err(Refusal::Taken)
        );
        assert_eq!(registry.claim(B, 1, Some(7), ips(&["fd00::1"]), 0), Ok(7));
        assert_eq!(registry.claim(B, 2, Some(7), ips(&["0.0.0.0"]), 0), Err(Refusal::Taken));
        assert_eq!(registry.find(Some(ip("10.0.0.9")), 7), Some(A));
        assert_eq!(registry.find(Some(ip("fd00::1")), 7), Some(B));
    }

    #[test]
    fn rfc6458_8_1_27_a_process_may_have_what_it_shares_more_than_once() {
        let mut registry = Registry::default();
        let shared = |registry: &mut Registry, owner, id, addresses: &[&str]| {
            registry.grant((owner, id), Some(7), ips(addresses), true, 0)
        };
        assert_eq!(shared(&mut registry, B, 1, &["10.0.0.1"]), Ok(7));
        assert_eq!(shared(&mut registry, B, 2, &[]), Ok(7));
        assert_eq!(registry.claim(B, 3, Some(7), ips(&[]), 0), Err(Refusal::Taken));
        registry.release(B, 1);
        assert_eq!(shared(&mut registry, A, 1, &["10.0.0.1"]), Err(Refusal::Taken));
        registry.release(B, 2);
        assert_eq!(registry.claim(A, 1, Some(7), ips(&["10.0.0.1"]), 0), Ok(7));
        assert_eq!(shared(&mut registry, A, 2, &[]), Err(Refusal::Taken));
    }

    #[test]
    fn a_port_has_one_owner_on_an_address() {
        let mut registry = Registry::default();
        assert_eq!(registry.claim(A, 1, Some(7), ips(&["10.0.0.1"]), 0), Ok(7));
        assert_eq!(registry.claim(B, 1, Some(7), ips(&["10.0.0.2"]), 0), Ok(7));
        assert_eq!(registry.claim(B, 2, Some(7), ips(&[]), 0), Err(Refusal::Taken));
        assert_eq!(registry.claim(B, 2, Some(8), ips(&[]), 0), Ok(8));
        let find = |registry: &Registry, address, port| registry.find(Some(ip(address)), port);
        assert_eq!(find(&registry, "10.0.0.1", 7), Some(A));
        assert_eq!(find(&registry, "10.0.0.2", 7), Some(B));
        assert_eq!(find(&registry, "10.0.0.9", 8), Some(B));
        assert_eq!(find(&registry, "10.0.0.9", 9), None);
        registry.release(A, 1);
        assert_eq!(registry.claim(B, 3, Some(7), ips(&["10.0.0.1"]), 0), Ok(7));
        registry.forget(B);
        assert_eq!(registry.find(None, 7), None);
        assert!(registry.by_port.is_empty() && registry.ports.is_empty());
    }

    #[test]
    fn an_address_that_nobody_claimed_goes_to_who_has_the_port() {
        let mut registry = Registry::default();
        registry.claim(B, 1, Some(7), ips(&["10.0.0.2"]), 0).unwrap();
        assert_eq!(registry.find(Some(ip("10.0.0.1")), 7), Some(B));
        assert_eq!(registry.find(None, 7), Some(B));
    }

    #[test]
    fn addresses_of_a_port_change_unless_another_one_has_them() {
        let mut registry = Registry::default();
        registry.claim(A, 1, Some(7), ips(&["10.0.0.1"]), 0).unwrap();
        registry.claim(B, 1, Some(7), ips(&["10.0.0.2"]), 0).unwrap();
        let both = ips(&["10.0.0.1", "10.0.0.2"]);
        assert_eq!(registry.claim(A, 1, Some(7), both.clone(), 0), Err(Refusal::Taken));
        assert_eq!(registry.find(Some(ip("10.0.0.1")), 7), Some(A), "as before");
        registry.release(B, 1);
        assert_eq!(registry.claim(A, 1, Some(7), both, 0), Ok(7));
        assert_eq!(registry.by_port[&7].len(), 1);
    }

    #[test]
    fn drawn_ports_are_ephemeral_never_the_same_and_run_out() {
        let mut registry = Registry::default();
        for id in 0..16_384 {
            let owner = if id % 2 == 0 { A } else { B };
            let start = u16::try_from(id).unwrap();
            assert!(registry.claim(owner, id, None, Vec::new(), start).unwrap() >= FIRST_EPHEMERAL);
        }
        assert_eq!(registry.by_port.len(), 16_384);
        assert_eq!(registry.claim(A, 16_384, None, Vec::new(), 1), Err(Refusal::NoneFree));
        assert_eq!(registry.claim(A, 16_385, Some(5), Vec::new(), 1), Ok(5));
    }

    #[test]
    fn one_process_cannot_have_endless_memory() {
        let mut registry = Registry::default();
        for id in 0..MAX_CLAIMS as u64 {
            let [.., a, b] = id.to_be_bytes();
            let address = IpAddr::from([10, 0, a, b]);
            registry.claim(B, id, Some(7), vec![address], 0).unwrap();
            if id == 300 {
                // The rest is as slow as it is pointless.
                break;
            }
        }
        for port in 1..=u16::MAX {
            let _ = registry.claim(B, 1_000 + u64::from(port), Some(port), Vec::new(), 0);
        }
        assert!(registry.ports.len() <= MAX_CLAIMS);
        assert_eq!(
            registry.claim(B, u64::MAX, Some(7), ips(&["10.9.9.9"]), 0),
            Err(Refusal::NoneFree)
        );
        assert_eq!(
            registry.claim(A, 1, Some(7), ips(&["10.9.9.9"]), 0),
            Ok(7),
            "others may"
        );
    }
}
