//! Addresses of the host that come and go, and end points that are bound to more or fewer of them.

use std::net::IpAddr;

use super::{AssocId, EndpointId, Stack};
use crate::error::AddressError;
use crate::time::Instant;

/// What happened to an address of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalAddressChange {
    /// The host has it now.
    Added(IpAddr),
    /// The host has it no more.
    Removed(IpAddr),
}

impl Stack {
    /// The host got or lost an address. End points that are bound to all addresses use it, or use it no more; their
    /// associations tell their peers if they are configured to (see
    /// [`AsconfConfig::set_automatic`](crate::config::AsconfConfig::set_automatic)). The work grows with the number of
    /// associations.
    ///
    /// From a lost address nothing is sent any more, where there is another. While an association has none that its
    /// peer knows, it sends nothing but the request to add one.
    pub fn handle_local_address(&mut self, _now: Instant, change: LocalAddressChange) {
        let mut addresses = self.endpoints.all_addresses().to_vec();
        match change {
            LocalAddressChange::Added(address) if addresses.contains(&address) => return,
            LocalAddressChange::Added(address) => addresses.push(address),
            LocalAddressChange::Removed(address) => addresses.retain(|own| *own != address),
        }
        self.endpoints.set_addresses(&addresses);
        for id in self.table.ids() {
            let Some(slot) = self.table.get_mut(id) else { continue };
            match change {
                LocalAddressChange::Added(address) if self.endpoints.gains(slot.endpoint, address) => {
                    slot.assoc.on_address_gained(address);
                }
                LocalAddressChange::Added(_) => {}
                LocalAddressChange::Removed(address) => slot.assoc.on_address_lost(address),
            }
            self.settle(id);
        }
    }

    /// Gives the stack these addresses, one [change](Self::handle_local_address) after the other.
    pub fn set_local_addresses(&mut self, now: Instant, addresses: &[IpAddr]) {
        let before = self.endpoints.all_addresses().to_vec();
        for &address in addresses.iter().filter(|address| !before.contains(address)) {
            self.handle_local_address(now, LocalAddressChange::Added(address));
        }
        for &address in before.iter().filter(|address| !addresses.contains(address)) {
            self.handle_local_address(now, LocalAddressChange::Removed(address));
        }
    }

    /// Lets end points be bound to this address as well, which the host has, if they name it. Those that are bound to
    /// all addresses neither use nor list it: it may be one that no interface bears.
    pub fn allow_local_address(&mut self, address: IpAddr) {
        self.endpoints.allow(address);
    }

    /// Binds an end point to one address more (`sctp_bindx` with `SCTP_BINDX_ADD_ADDR`, RFC 6458 §9.1). Its open
    /// associations are told if they can be; those that cannot keep what they have.
    pub fn add_endpoint_address(
        &mut self,
        now: Instant,
        endpoint: EndpointId,
        address: IpAddr,
    ) -> Result<(), AddressError> {
        self.endpoints.add_address(endpoint, address)?;
        for id in self.associations_of(endpoint) {
            // Whoever did not negotiate it goes on as it is.
            let _ = self.add_local_address(now, id, address);
        }
        Ok(())
    }

    /// Takes an address from an end point (`sctp_bindx` with `SCTP_BINDX_REM_ADDR`, RFC 6458 §9.1), unless it is the
    /// last one. Its open associations are told if they can be; those that cannot keep it.
    pub fn remove_endpoint_address(
        &mut self,
        now: Instant,
        endpoint: EndpointId,
        address: IpAddr,
    ) -> Result<(), AddressError> {
        self.endpoints.remove_address(endpoint, address)?;
        for id in self.associations_of(endpoint) {
            // Whoever did not negotiate it, or has no other, goes on as it is.
            let _ = self.remove_local_address(now, id, address);
        }
        Ok(())
    }

    fn associations_of(&self, endpoint: EndpointId) -> Vec<AssocId> {
        let found = self.endpoints.get(endpoint);
        found.map_or_else(Vec::new, |endpoint| endpoint.associations.iter().copied().collect())
    }
}
