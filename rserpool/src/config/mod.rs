//! Configuration. Defaults are the RFCs' and, where these are silent, those of common practice; every setter checks
//! its value, so a configuration is valid at all times.

mod element;
mod endpoint;
mod registrar;
mod session;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub use element::ElementConfig;
pub use endpoint::EndpointConfig;
pub use registrar::{AddressCheck, Announce, AssociationLoss, ForeignChange, HandlespaceLimits, RegistrarConfig};
pub use sctp::error::ConfigError;
pub use session::SessionConfig;

/// The SCTP port of ASAP at a registrar, and the UDP port of its announces (RFC 5352 §8.2).
pub const ASAP_PORT: u16 = 3863;

/// The multicast group of announces that deployed systems use. (RFC 5352 §8.4 has 224.0.1.185, which is not confined
/// to one organisation.)
pub const ANNOUNCE_GROUP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 0, 0, 50)), ASAP_PORT);

fn check(valid: bool, name: &'static str, expected: &'static str) -> Result<(), ConfigError> {
    if valid {
        Ok(())
    } else {
        Err(ConfigError { name, expected })
    }
}
