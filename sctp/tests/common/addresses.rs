//! What the tests of address changes between two stacks share (RFC 5061).

use std::net::IpAddr;

use sctp::config::AssociationConfig;
use sctp::error::AddressError;
use sctp::wire::AddressChange;
use sctp::{Event, PathChange, PathStatus};

use super::{Pair, Setup};

/// Address changes with authentication, the host's told by themselves.
pub(crate) fn authenticated(config: &mut AssociationConfig) {
    config.asconf_mut().set_offered(true);
    config.asconf_mut().set_automatic(true);
}

/// An address.
pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Address changes without authentication.
pub(crate) fn offered(config: &mut AssociationConfig) {
    config.asconf_mut().set_offered(true);
    config.asconf_mut().set_authentication_required(false);
}

/// Those of the host's addresses are told by themselves.
pub(crate) fn automatic(config: &mut AssociationConfig) {
    offered(config);
    config.asconf_mut().set_automatic(true);
}

/// A pair that is up, and whose links are captured from then on.
pub(crate) fn connected(setup: Setup) -> Pair {
    let mut pair = setup.build();
    pair.connect();
    for link in pair.links.clone() {
        pair.world.capture(link);
    }
    pair
}

/// What a side was told of one of the peer's addresses.
pub(crate) fn changes(pair: &Pair, side: usize, address: IpAddr) -> Vec<PathChange> {
    let log = pair.log[side].iter();
    log.filter_map(|(_, event)| match event {
        Event::PathChanged { address: of, change } if *of == address => Some(*change),
        _ => None,
    })
    .collect()
}

/// The answers to the changes that a side asked for.
pub(crate) fn answers(pair: &Pair, side: usize) -> Vec<(AddressChange, Option<u16>)> {
    let log = pair.log[side].iter();
    log.filter_map(|(_, event)| match event {
        Event::AddressChangeAnswered { change, refused } => Some((*change, *refused)),
        _ => None,
    })
    .collect()
}

/// What a side knows about the path to an address.
pub(crate) fn path_to(pair: &Pair, side: usize, address: IpAddr) -> Option<PathStatus> {
    let paths = pair.status(side).unwrap().paths;
    paths.into_iter().find(|path| path.address == address)
}

/// The peer's addresses, as a side knows them.
pub(crate) fn peers(pair: &Pair, side: usize) -> Vec<IpAddr> {
    pair.status(side)
        .unwrap()
        .paths
        .iter()
        .map(|path| path.address)
        .collect()
}

/// A side's own addresses in the association.
pub(crate) fn own(pair: &Pair, side: usize) -> Vec<IpAddr> {
    pair.status(side).unwrap().local_addresses
}

/// A host gets an address.
pub(crate) fn gain(pair: &mut Pair, side: usize, link: usize, address: IpAddr) {
    pair.world.add_address(pair.hosts[side], link, address);
}

/// A host loses an address.
pub(crate) fn lose_address(pair: &mut Pair, side: usize, address: IpAddr) {
    pair.world.remove_address(pair.hosts[side], address);
}

/// Asks to add an address.
pub(crate) fn add(pair: &mut Pair, side: usize, address: IpAddr) -> Result<(), AddressError> {
    let (now, assoc) = (pair.now(), pair.assoc(side));
    pair.world
        .stack(pair.hosts[side])
        .add_local_address(now, assoc, address)
}

/// Asks to delete an address.
pub(crate) fn remove(pair: &mut Pair, side: usize, address: IpAddr) -> Result<(), AddressError> {
    let (now, assoc) = (pair.now(), pair.assoc(side));
    pair.world
        .stack(pair.hosts[side])
        .remove_local_address(now, assoc, address)
}

/// Asks the peer to send to an address first.
pub(crate) fn prefer(pair: &mut Pair, side: usize, address: IpAddr) -> Result<(), AddressError> {
    let (now, assoc) = (pair.now(), pair.assoc(side));
    pair.world.stack(pair.hosts[side]).set_peer_primary(now, assoc, address)
}

/// An address that A gets.
pub(crate) const NEW: &str = "10.1.0.101";
