//! End points: what is bound where, and who listens (RFC 9260 §1.3, §11.1.1).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use slab::Slab;

use super::AssocId;
use crate::assoc::LocalSide;
use crate::config::{AssociationConfig, EndpointConfig};
use crate::error::{AddressError, BindError};
use crate::random::Random;
use crate::stats::AssociationStats;

/// Names an end point of a stack. Never used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId {
    index: u32,
    generation: u32,
}

/// The first of the ports that are drawn for who does not care (RFC 6335 §6).
const FIRST_EPHEMERAL: u16 = 49152;

/// Stands for all IPv4 addresses.
const ANY_V4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A bound port.
#[derive(Debug)]
pub(super) struct Endpoint {
    generation: u32,
    pub(super) port: u16,
    /// Empty for all addresses of the stack; the wildcard of IPv4 stands for all of that family.
    bound: Vec<IpAddr>,
    /// Whether others may be bound to the same, if they say so too.
    shares: bool,
    addresses: Arc<[IpAddr]>,
    pub(super) association: Arc<AssociationConfig>,
    /// How many associations of peers may wait to be accepted; zero while it does not listen.
    pub(super) backlog: usize,
    /// How many wait.
    pub(super) waiting: usize,
    pub(super) associations: BTreeSet<AssocId>,
    /// What those have counted that are forgotten.
    pub(super) ended: Option<Box<AssociationStats>>,
}

impl Endpoint {
    fn takes(&self, address: IpAddr) -> bool {
        covers(&self.bound, address)
    }

    /// Whether both could want the same packet.
    fn overlaps(&self, bound: &[IpAddr]) -> bool {
        self.bound.is_empty()
            || bound.is_empty()
            || bound.iter().any(|address| covers(&self.bound, *address))
            || self.bound.iter().any(|address| covers(bound, *address))
    }

    /// Whether it uses whatever addresses the stack has, of one family or both.
    fn is_wild(&self) -> bool {
        self.bound.iter().all(IpAddr::is_unspecified)
    }

    pub(super) fn local_side(&self, encapsulation_port: Option<u16>) -> LocalSide {
        LocalSide {
            port: self.port,
            addresses: Arc::clone(&self.addresses),
            explicit: !self.is_wild(),
            encapsulation_port,
        }
    }

    pub(super) const fn addresses(&self) -> &Arc<[IpAddr]> {
        &self.addresses
    }

    pub(super) const fn has_room(&self) -> bool {
        self.waiting < self.backlog
    }
}

/// Whether an address is among those of an end point.
fn covers(bound: &[IpAddr], address: IpAddr) -> bool {
    bound.is_empty() || bound.contains(&address) || (address.is_ipv4() && bound.contains(&ANY_V4))
}

/// All end points of a stack.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    slots: Slab<Endpoint>,
    by_port: BTreeMap<u16, Vec<EndpointId>>,
    /// The addresses of the stack, for end points that are bound to all of them.
    all_addresses: Arc<[IpAddr]>,
    /// More that end points may name.
    others: BTreeSet<IpAddr>,
    generation: u32,
}

impl Endpoints {
    pub(super) fn new(addresses: &[IpAddr]) -> Self {
        Self {
            all_addresses: addresses.into(),
            ..Self::default()
        }
    }

    pub(super) fn bind(&mut self, config: EndpointConfig, random: &mut Random) -> Result<EndpointId, BindError> {
        let wild = config.addresses.iter().all(IpAddr::is_unspecified);
        let any_v4 = config.addresses == [ANY_V4];
        if !any_v4 && !config.addresses.iter().all(|address| self.has(*address)) {
            return Err(BindError::AddressNotAvailable);
        }
        let port = match config.port {
            Some(0) | None => self.draw_port(&config.addresses, random)?,
            Some(port) if self.is_free(port, &config.addresses, config.reuse_port) => port,
            Some(_) => return Err(BindError::PortInUse),
        };
        self.generation = self.generation.wrapping_add(1);
        let addresses = match config.addresses.as_slice() {
            some if !wild => some.into(),
            bound => self.all_of(bound),
        };
        let index = self.slots.insert(Endpoint {
            generation: self.generation,
            port,
            bound: config.addresses,
            shares: config.reuse_port,
            addresses,
            association: Arc::new(config.association),
            backlog: 0,
            waiting: 0,
            associations: BTreeSet::new(),
            ended: None,
        });
        let index = u32::try_from(index).map_err(|_| BindError::NoPortFree)?;
        let id = EndpointId {
            index,
            generation: self.generation,
        };
        self.by_port.entry(port).or_default().push(id);
        Ok(id)
    }

    /// Whether end points may name an address.
    fn has(&self, address: IpAddr) -> bool {
        self.all_addresses.contains(&address) || self.others.contains(&address)
    }

    /// The addresses of the stack that a wildcard stands for.
    fn all_of(&self, bound: &[IpAddr]) -> Arc<[IpAddr]> {
        if bound.is_empty() {
            return Arc::clone(&self.all_addresses);
        }
        let all = self.all_addresses.iter().copied();
        all.filter(|address| covers(bound, *address)).collect()
    }

    fn is_free(&self, port: u16, bound: &[IpAddr], shares: bool) -> bool {
        self.on_port(port)
            .all(|(_, endpoint)| !endpoint.overlaps(bound) || (shares && endpoint.shares))
    }

    /// All on a port, first bound first.
    fn on_port(&self, port: u16) -> impl Iterator<Item = (EndpointId, &Endpoint)> {
        let ids = self.by_port.get(&port).into_iter().flatten();
        ids.filter_map(|&id| Some((id, self.get(id)?)))
    }

    /// A free ephemeral port: from a random one on, the first that is free.
    fn draw_port(&self, bound: &[IpAddr], random: &mut Random) -> Result<u16, BindError> {
        let count = u32::from(u16::MAX - FIRST_EPHEMERAL) + 1;
        let start = random.below(count.into());
        (0..u64::from(count))
            .filter_map(|i| u16::try_from(u64::from(FIRST_EPHEMERAL) + (start + i) % u64::from(count)).ok())
            .find(|&port| self.is_free(port, bound, false))
            .ok_or(BindError::NoPortFree)
    }

    pub(super) fn get(&self, id: EndpointId) -> Option<&Endpoint> {
        self.slots
            .get(id.index as usize)
            .filter(|endpoint| endpoint.generation == id.generation)
    }

    pub(super) fn get_mut(&mut self, id: EndpointId) -> Option<&mut Endpoint> {
        self.slots
            .get_mut(id.index as usize)
            .filter(|endpoint| endpoint.generation == id.generation)
    }

    /// The end point that gets packets for an own address and port: of several, the one that listens.
    pub(super) fn find(&self, address: IpAddr, port: u16) -> Option<EndpointId> {
        let taking = || self.on_port(port).filter(|(_, endpoint)| endpoint.takes(address));
        let listening = taking().find(|(_, endpoint)| endpoint.backlog > 0);
        listening.or_else(|| taking().next()).map(|(id, _)| id)
    }

    /// Those that may have an association with which packets for an own address and port have to do.
    pub(super) fn takers(&self, address: IpAddr, port: u16) -> impl Iterator<Item = EndpointId> {
        let taking = self.on_port(port).filter(move |(_, endpoint)| endpoint.takes(address));
        taking.map(|(id, _)| id)
    }

    /// Those that may have sent a packet from a port, and from an address unless routing chose that.
    pub(super) fn senders(&self, address: Option<IpAddr>, port: u16) -> impl Iterator<Item = EndpointId> {
        let sending = self.on_port(port).filter(move |(_, endpoint)| match address {
            Some(address) => endpoint.takes(address),
            None => endpoint.is_wild(),
        });
        sending.map(|(id, _)| id)
    }

    /// Those that share the port of one, and itself.
    pub(super) fn sharers(&self, id: EndpointId) -> impl Iterator<Item = EndpointId> {
        let own = self.get(id);
        let on_port = own
            .into_iter()
            .flat_map(|own| self.on_port(own.port).zip(std::iter::repeat(own)));
        let sharing = on_port.filter(|((_, endpoint), own)| endpoint.overlaps(&own.bound));
        sharing.map(|((id, _), _)| id)
    }

    /// Whether another one that shares its port listens.
    pub(super) fn has_listening_sharer(&self, id: EndpointId) -> bool {
        let mut others = self.sharers(id).filter(|other| *other != id);
        others.any(|other| self.get(other).is_some_and(|endpoint| endpoint.backlog > 0))
    }

    pub(super) fn remove(&mut self, id: EndpointId) -> Option<Endpoint> {
        self.get(id)?;
        let endpoint = self.slots.remove(id.index as usize);
        if let Some(holders) = self.by_port.get_mut(&endpoint.port) {
            holders.retain(|&holder| holder != id);
            if holders.is_empty() {
                self.by_port.remove(&endpoint.port);
            }
        }
        Some(endpoint)
    }

    /// The addresses of the stack.
    pub(super) const fn all_addresses(&self) -> &Arc<[IpAddr]> {
        &self.all_addresses
    }

    /// Binds an end point to one address more.
    pub(super) fn add_address(&mut self, id: EndpointId, address: IpAddr) -> Result<(), AddressError> {
        let endpoint = self.get(id).ok_or(AddressError::NoSuchEndpoint)?;
        if !self.has(address) {
            return Err(AddressError::AddressNotAvailable);
        }
        if endpoint.is_wild() {
            return Err(AddressError::BoundToAll);
        }
        if endpoint.bound.contains(&address) {
            return Ok(());
        }
        if !self.is_free(endpoint.port, &[address], endpoint.shares) {
            return Err(AddressError::PortInUse);
        }
        if let Some(endpoint) = self.get_mut(id) {
            endpoint.bound.push(address);
            endpoint.addresses = endpoint.bound.as_slice().into();
        }
        Ok(())
    }

    /// Takes an address from an end point, unless it is the last one.
    pub(super) fn remove_address(&mut self, id: EndpointId, address: IpAddr) -> Result<(), AddressError> {
        let endpoint = self.get_mut(id).ok_or(AddressError::NoSuchEndpoint)?;
        if endpoint.is_wild() {
            return Err(AddressError::BoundToAll);
        }
        if !endpoint.bound.contains(&address) {
            return Err(AddressError::NoSuchAddress);
        }
        if endpoint.bound.len() == 1 {
            return Err(AddressError::LastAddress);
        }
        endpoint.bound.retain(|bound| *bound != address);
        endpoint.addresses = endpoint.bound.as_slice().into();
        Ok(())
    }

    /// Whether an end point uses an address as soon as the stack has it.
    pub(super) fn gains(&self, id: EndpointId, address: IpAddr) -> bool {
        self.get(id)
            .is_some_and(|endpoint| endpoint.is_wild() && endpoint.takes(address))
    }

    /// The stack has other addresses now.
    pub(super) fn set_addresses(&mut self, addresses: &[IpAddr]) {
        self.all_addresses = addresses.into();
        let mut slots = std::mem::take(&mut self.slots);
        for (_, endpoint) in &mut slots {
            if endpoint.is_wild() {
                endpoint.addresses = self.all_of(&endpoint.bound);
            }
        }
        self.slots = slots;
    }

    /// End points may name this address, too.
    pub(super) fn allow(&mut self, address: IpAddr) {
        self.others.insert(address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn endpoints() -> (Endpoints, Random) {
        (
            Endpoints::new(&[ip("10.0.0.1"), ip("10.0.0.2")]),
            Random::from_number(1),
        )
    }

    fn config(port: Option<u16>, addresses: &[&str]) -> EndpointConfig {
        EndpointConfig {
            port,
            addresses: addresses.iter().map(|a| ip(a)).collect(),
            ..EndpointConfig::default()
        }
    }

    #[test]
    fn a_port_is_bound_once_per_address() {
        let (mut endpoints, mut random) = endpoints();
        let one = endpoints.bind(config(Some(7), &["10.0.0.1"]), &mut random).unwrap();
        let two = endpoints.bind(config(Some(7), &["10.0.0.2"]), &mut random).unwrap();
        assert_eq!(
            endpoints.bind(config(Some(7), &[]), &mut random),
            Err(BindError::PortInUse)
        );
        assert_eq!(
            endpoints.bind(config(Some(8), &["10.9.9.9"]), &mut random),
            Err(BindError::AddressNotAvailable)
        );
        assert_eq!(endpoints.find(ip("10.0.0.1"), 7), Some(one));
        assert_eq!(endpoints.find(ip("10.0.0.2"), 7), Some(two));
        assert_eq!(endpoints.find(ip("10.0.0.1"), 8), None);
        assert!(endpoints.remove(one).is_some());
        assert_eq!(endpoints.find(ip("10.0.0.1"), 7), None);
        assert!(endpoints.remove(one).is_none(), "an id is never valid again");
    }

    #[test]
    fn drawn_ports_are_ephemeral_and_run_out() {
        let (mut endpoints, mut random) = endpoints();
        for _ in FIRST_EPHEMERAL..=u16::MAX {
            let id = endpoints.bind(config(None, &[]), &mut random).unwrap();
            assert!(endpoints.get(id).unwrap().port >= FIRST_EPHEMERAL);
        }
        assert_eq!(
            endpoints.bind(config(None, &[]), &mut random),
            Err(BindError::NoPortFree)
        );
    }

    #[test]
    fn rfc6458_3_1_2_the_wildcard_of_ipv4_is_all_addresses_of_that_family_at_the_time() {
        let mut random = Random::from_number(1);
        let mut endpoints = Endpoints::new(&[ip("10.0.0.1"), ip("fd00::1")]);
        let one = endpoints.bind(config(Some(7), &["0.0.0.0"]), &mut random).unwrap();
        assert_eq!(endpoints.get(one).unwrap().addresses()[..], [ip("10.0.0.1")]);
        assert!(endpoints.bind(config(Some(7), &["10.0.0.1"]), &mut random).is_err());
        let two = endpoints.bind(config(Some(7), &["fd00::1"]), &mut random).unwrap();
        assert_eq!(endpoints.find(ip("fd00::1"), 7), Some(two));
        assert_eq!(endpoints.find(ip("10.0.0.2"), 7), Some(one));
        endpoints.set_addresses(&[ip("10.0.0.2"), ip("fd00::2")]);
        assert_eq!(endpoints.get(one).unwrap().addresses()[..], [ip("10.0.0.2")]);
        assert!(endpoints.gains(one, ip("10.0.0.3")) && !endpoints.gains(one, ip("fd00::3")));
        assert!(!endpoints.gains(two, ip("fd00::3")));
        let mixed = config(Some(8), &["0.0.0.0", "fd00::2"]);
        assert_eq!(endpoints.bind(mixed, &mut random), Err(BindError::AddressNotAvailable));
    }

    #[test]
    fn an_address_that_was_allowed_can_be_named_and_is_not_among_all() {
        let (mut endpoints, mut random) = endpoints();
        let other = || config(Some(7), &["127.0.0.9"]);
        assert_eq!(
            endpoints.bind(other(), &mut random),
            Err(BindError::AddressNotAvailable)
        );
        endpoints.allow(ip("127.0.0.9"));
        endpoints.bind(other(), &mut random).unwrap();
        let all = endpoints.bind(config(Some(8), &[]), &mut random).unwrap();
        assert_eq!(endpoints.get(all).unwrap().addresses().len(), 2);
    }

    #[test]
    fn rfc6458_8_1_27_a_port_is_shared_by_those_who_all_say_so() {
        let (mut endpoints, mut random) = endpoints();
        let sharing = |addresses: &[&str]| EndpointConfig {
            reuse_port: true,
            ..config(Some(7), addresses)
        };
        let one = endpoints.bind(sharing(&["10.0.0.1"]), &mut random).unwrap();
        let two = endpoints.bind(sharing(&[]), &mut random).unwrap();
        assert_eq!(
            endpoints.bind(config(Some(7), &["10.0.0.1"]), &mut random),
            Err(BindError::PortInUse)
        );
        let three = endpoints.bind(sharing(&["10.0.0.2"]), &mut random).unwrap();
        assert_eq!(endpoints.find(ip("10.0.0.1"), 7), Some(one));
        endpoints.get_mut(two).unwrap().backlog = 1;
        assert_eq!(endpoints.find(ip("10.0.0.1"), 7), Some(two));
        assert!(
            endpoints.has_listening_sharer(one)
                && endpoints.has_listening_sharer(three)
                && !endpoints.has_listening_sharer(two)
        );
        assert_eq!(endpoints.sharers(one).collect::<Vec<_>>(), [one, two]);
        let alone = endpoints.bind(config(Some(8), &[]), &mut random).unwrap();
        assert_eq!(
            endpoints.bind(
                EndpointConfig {
                    port: Some(8),
                    ..sharing(&[])
                },
                &mut random
            ),
            Err(BindError::PortInUse)
        );
        assert!(!endpoints.has_listening_sharer(alone));
    }
}
