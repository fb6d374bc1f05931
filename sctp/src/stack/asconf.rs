//! Addresses of associations that change while these are open (RFC 5061): what the user may ask for, and what must be
//! known of other associations.

use std::net::IpAddr;

use super::{AssocId, Stack};
use crate::assoc::wanted_addresses;
use crate::error::AddressError;
use crate::time::Instant;
use crate::transmit::RxMeta;
use crate::wire::{ChunkType, Packet};

impl Stack {
    /// Adds an own address to an association: the peer may send there, and packets may leave from there once the peer
    /// has agreed (RFC 5061 §4.2.1). [`Event::AddressChangeAnswered`](crate::Event::AddressChangeAnswered) follows.
    ///
    /// The wildcard address (`0.0.0.0` or `::`) asks the peer to add whatever address it sees, which may be one of a
    /// network address translator; on the way nobody guards it (RFC 5061 §6).
    pub fn add_local_address(&mut self, _now: Instant, assoc: AssocId, address: IpAddr) -> Result<(), AddressError> {
        let slot = self.table.get_mut(assoc).ok_or(AddressError::NoSuchAssociation)?;
        if !address.is_unspecified() && !self.endpoints.all_addresses().contains(&address) {
            return Err(AddressError::AddressNotAvailable);
        }
        let result = slot.assoc.add_local_address(address);
        self.settle(assoc);
        result
    }

    /// Deletes an own address from an association (RFC 5061 §4.2.2). Nothing leaves from it from now on; what the peer
    /// sends there counts until it has agreed. The last one cannot be deleted, unless another is about to be added.
    ///
    /// The wildcard address asks the peer to delete all addresses but the one that it sees.
    pub fn remove_local_address(&mut self, _now: Instant, assoc: AssocId, address: IpAddr) -> Result<(), AddressError> {
        let slot = self.table.get_mut(assoc).ok_or(AddressError::NoSuchAssociation)?;
        let result = slot.assoc.remove_local_address(address);
        self.settle(assoc);
        result
    }

    /// Asks the peer to send to this own address first (RFC 5061 §4.2.4). The wildcard address is the one it sees.
    pub fn set_peer_primary(&mut self, _now: Instant, assoc: AssocId, address: IpAddr) -> Result<(), AddressError> {
        let slot = self.table.get_mut(assoc).ok_or(AddressError::NoSuchAssociation)?;
        let result = slot.assoc.set_peer_primary(address);
        self.settle(assoc);
        result
    }

    /// The addresses that the ASCONFs of a packet for `id` want to add and that another association of the same ports
    /// has: nobody's association is taken over. One that another merely claims is free to be shown to be the peer's.
    pub(super) fn taken_addresses(&self, id: AssocId, meta: &RxMeta, packet: &Packet<'_>) -> Vec<IpAddr> {
        let Some(slot) = self.table.get(id) else {
            return Vec::new();
        };
        if !slot.assoc.speaks_asconf() || packet.find(ChunkType::ASCONF).is_none() {
            return Vec::new();
        }
        let (endpoint, port) = (slot.endpoint, slot.assoc.peer_port());
        let others = |address: &IpAddr| {
            let mut sharers = self.endpoints.sharers(endpoint);
            sharers.any(|endpoint| {
                let owner = self.table.by_confirmed_peer(endpoint, *address, port);
                owner.is_some_and(|of| of != id)
            })
        };
        wanted_addresses(packet, meta.src).filter(others).collect()
    }
}
