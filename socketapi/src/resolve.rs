//! From what users write to SCTP transport addresses: one port, one or more IP addresses.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use crate::{AssociationStatus, Error, Result};

/// The addresses that `address` stands for, looked up if it holds a host name.
pub(crate) async fn resolve(address: impl tokio::net::ToSocketAddrs) -> Result<Vec<SocketAddr>> {
    let found = tokio::net::lookup_host(address)
        .await
        .map_err(|e| Error::io("looking up an address", &e))?;
    not_empty(found.collect())
}

/// The addresses that `address` stands for; blocks while a host name is looked up.
pub(crate) fn resolve_blocking(address: impl std::net::ToSocketAddrs) -> Result<Vec<SocketAddr>> {
    let found = address
        .to_socket_addrs()
        .map_err(|e| Error::io("looking up an address", &e))?;
    not_empty(found.collect())
}

fn not_empty(addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>> {
    if addresses.is_empty() {
        Err(Error::InvalidAddress)
    } else {
        Ok(addresses)
    }
}

/// What a one-to-many style socket is told that is to share its port (RFC 6458 §8.1.27).
pub(crate) const ONE_TO_ONE_ONLY: Error = Error::Unsupported("one-to-many style sockets do not share ports");

/// What a socket is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    /// The SCTP port; `None` for one that is drawn.
    pub(crate) port: Option<u16>,
    /// The addresses.
    pub(crate) addresses: LocalAddresses,
}

/// Which own addresses a socket uses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LocalAddresses {
    /// All the host has.
    Any,
    /// All IPv4 addresses that the host has.
    AnyV4,
    /// These.
    These(BTreeSet<IpAddr>),
}

impl Local {
    /// Every address, and a port that is drawn: how a socket that only connects is bound.
    pub(crate) const fn any() -> Self {
        Self {
            port: None,
            addresses: LocalAddresses::Any,
        }
    }

    /// The transport address that `addresses` make: they must agree on the port, and a wildcard must be alone.
    pub(crate) fn new(addresses: &[SocketAddr]) -> Result<Self> {
        let port = common_port(addresses)?;
        let set: BTreeSet<IpAddr> = addresses.iter().map(SocketAddr::ip).collect();
        let addresses = if set.iter().any(IpAddr::is_unspecified) {
            match set.first() {
                Some(IpAddr::V6(_)) if set.len() == 1 => LocalAddresses::Any,
                Some(IpAddr::V4(_)) if set.len() == 1 => LocalAddresses::AnyV4,
                _ => return Err(Error::InvalidAddress),
            }
        } else {
            LocalAddresses::These(set)
        };
        Ok(Self {
            port: (port != 0).then_some(port),
            addresses,
        })
    }
}

/// The one port of a list of addresses.
pub(crate) fn common_port(addresses: &[SocketAddr]) -> Result<u16> {
    let (first, rest) = addresses.split_first().ok_or(Error::InvalidAddress)?;
    let port = first.port();
    if rest.iter().all(|address| address.port() == port) {
        Ok(port)
    } else {
        Err(Error::InvalidAddress)
    }
}

/// The first of a socket's own addresses.
pub(crate) fn first(addresses: Vec<SocketAddr>) -> Result<SocketAddr> {
    addresses.into_iter().next().ok_or(Error::AddressNotAvailable)
}

/// The peer's transport addresses.
pub(crate) fn peers(status: &AssociationStatus) -> Vec<SocketAddr> {
    status
        .paths
        .iter()
        .map(|path| SocketAddr::new(path.address, status.peer_port))
        .collect()
}

/// Does something with all addresses, or if one is refused, with none.
pub(crate) fn all_or_none(
    addresses: &[IpAddr],
    change: impl Fn(IpAddr) -> Result<()>,
    undo: impl Fn(IpAddr) -> Result<()>,
) -> Result<()> {
    for (done, address) in addresses.iter().enumerate() {
        if let Err(error) = change(*address) {
            for changed in addresses.iter().take(done).rev() {
                // It was so a moment ago.
                let _ = undo(*changed);
            }
            return Err(error);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(texts: &[&str]) -> Result<Local> {
        let addresses: Vec<SocketAddr> = texts.iter().map(|text| text.parse().unwrap()).collect();
        Local::new(&addresses)
    }

    #[test]
    fn the_wildcard_of_ipv6_stands_for_both_families() {
        assert_eq!(
            local(&["[::]:5"]),
            Ok(Local {
                port: Some(5),
                addresses: LocalAddresses::Any
            })
        );
        assert_eq!(
            local(&["0.0.0.0:0"]),
            Ok(Local {
                port: None,
                addresses: LocalAddresses::AnyV4
            })
        );
    }

    #[test]
    fn several_addresses_make_one_transport_address() {
        let set = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()].into();
        let expected = Local {
            port: Some(5),
            addresses: LocalAddresses::These(set),
        };
        assert_eq!(local(&["[::1]:5", "127.0.0.1:5"]), Ok(expected));
    }

    #[test]
    fn what_makes_no_transport_address_is_refused() {
        assert_eq!(local(&[]), Err(Error::InvalidAddress));
        assert_eq!(local(&["127.0.0.1:5", "127.0.0.2:6"]), Err(Error::InvalidAddress));
        assert_eq!(local(&["[::]:5", "127.0.0.2:5"]), Err(Error::InvalidAddress));
    }
}
