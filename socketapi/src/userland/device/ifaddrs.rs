//! The addresses of the host.

use std::net::IpAddr;

use crate::{Error, Result};

/// The addresses that a stack on all interfaces may use, in a fixed order. Link-local IPv6 addresses are left out:
/// without an interface they name nothing.
pub(super) fn host_addresses() -> Result<Vec<IpAddr>> {
    let interfaces = if_addrs::get_if_addrs().map_err(|e| Error::io("listing the host's addresses", &e))?;
    let mut addresses: Vec<IpAddr> = interfaces
        .iter()
        .map(if_addrs::Interface::ip)
        .filter(is_usable)
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

fn is_usable(address: &IpAddr) -> bool {
    let link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    !link_local && !address.is_unspecified() && !address.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_has_its_loopback_address_and_each_address_once() {
        let addresses = host_addresses().unwrap();
        assert!(addresses.contains(&"127.0.0.1".parse().unwrap()), "{addresses:?}");
        assert!(addresses.is_sorted());
        assert!(addresses.iter().all(is_usable));
    }
}
