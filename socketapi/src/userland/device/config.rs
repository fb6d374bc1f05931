//! The choice of a device.

use std::env;
use std::fmt::{self, Display};
use std::net::IpAddr;
use std::str::FromStr;

use super::MemoryNetwork;
use crate::{Error, Result};

/// The environment variable that chooses a device for stacks whose program does not.
const VARIABLE: &str = "SCTP_DEVICE";

/// What carries the packets of a stack.
///
/// As a text (of an option, or of the environment variable `SCTP_DEVICE`): `udp`, `raw`, `tun:` with a [`TunConfig`],
/// or
/// `memory` for [`MemoryNetwork::common`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceConfig {
    /// UDP sockets (RFC 6951), which everyone may open. The default.
    #[default]
    Udp,
    /// Raw sockets: SCTP directly on IP. They take root or `CAP_NET_RAW`.
    ///
    /// All stacks of a user on such sockets have one space of SCTP ports together, also those of other processes, and
    /// one of them answers packets that belong to nobody (only on Linux; elsewhere, and where they are of several
    /// users, each takes what ports it wants and is silent). If other programs use SCTP directly on IP as well,
    /// [`StackBuilder::ootb_policy`](crate::StackBuilder::ootb_policy) is to be silent, since an answer would end their
    /// associations. Where the kernel has SCTP too, that answers: with an ABORT, which ends associations of this stack.
    Raw,
    /// A TUN interface, with addresses that belong to the stack alone: SCTP directly on IP, or in UDP if
    /// [`StackBuilder::udp_port`](crate::StackBuilder::udp_port) names a port. It takes root, or an interface that root
    /// made for the user.
    Tun(TunConfig),
    /// A network inside the process, for tests: SCTP directly on IP, or in UDP if
    /// [`StackBuilder::udp_port`](crate::StackBuilder::udp_port) names a port. Without addresses, a stack is at
    /// 127.0.0.1 and `::1` of that network.
    Memory(MemoryNetwork),
}

/// A TUN interface and who is on its two ends.
///
/// As a text: `NAME[,ADDRESS...]`. An address with a prefix length, like `10.9.0.1/24`, is given to the host; one
/// without is the stack's: `sctp0,10.9.0.1/24,10.9.0.2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunConfig {
    pub(super) name: String,
    pub(super) host: Vec<(IpAddr, u8)>,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) mtu: Option<u16>,
}

impl TunConfig {
    /// The interface with this name. One that does not exist is created, and goes with the stack.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            host: Vec::new(),
            addresses: Vec::new(),
            mtu: None,
        }
    }

    /// Gives the host this address on the interface, and with it the route to all that share its first `prefix` bits.
    /// This takes root; without it, whoever made the interface has done so.
    #[must_use]
    pub fn host(mut self, address: IpAddr, prefix: u8) -> Self {
        self.host.push((address, prefix));
        self
    }

    /// An address of stacks that are not [given any](crate::StackBuilder::addresses). The host must have a route for it
    /// through the interface, and not the address itself.
    #[must_use]
    pub fn address(mut self, address: IpAddr) -> Self {
        self.addresses.push(address);
        self
    }

    /// Has the interface carry IP packets of up to so many bytes; 1500 if nobody says otherwise. This takes root.
    #[must_use]
    pub const fn mtu(mut self, mtu: u16) -> Self {
        self.mtu = Some(mtu);
        self
    }
}

impl FromStr for TunConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split(',');
        let name = parts.next().unwrap_or_default();
        // What the kernel takes for a name (IFNAMSIZ).
        if name.is_empty() || name.len() > 15 || name.contains(|c: char| c == '/' || c.is_whitespace()) {
            return Err(UNKNOWN);
        }
        let mut config = Self::new(name);
        for part in parts {
            let (address, prefix) = match part.split_once('/') {
                Some((address, prefix)) => (address, Some(prefix)),
                None => (part, None),
            };
            let address: IpAddr = address.parse().map_err(|_| UNKNOWN)?;
            let longest = if address.is_ipv4() { 32 } else { 128 };
            config = match prefix.map(str::parse) {
                None => config.address(address),
                Some(Ok(prefix)) if prefix <= longest => config.host(address, prefix),
                Some(_) => return Err(UNKNOWN),
            };
        }
        Ok(config)
    }
}

impl Display for TunConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (address, prefix) in &self.host {
            write!(f, ",{address}/{prefix}")?;
        }
        for address in &self.addresses {
            write!(f, ",{address}")?;
        }
        Ok(())
    }
}

impl DeviceConfig {
    /// The device of stacks that ask for none: what the environment variable `SCTP_DEVICE` says, else UDP.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if the variable names no device.
    pub fn from_environment() -> Result<Self> {
        match env::var(VARIABLE) {
            Ok(text) => text.parse(),
            Err(env::VarError::NotPresent) => Ok(Self::default()),
            Err(env::VarError::NotUnicode(_)) => Err(UNKNOWN),
        }
    }
}

const UNKNOWN: Error = Error::Unsupported(
    "a device (SCTP_DEVICE, --device) is one of: udp, raw, memory, tun:NAME[,HOST_ADDRESS/PREFIX...][,ADDRESS...]",
);

impl FromStr for DeviceConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "udp" => Ok(Self::Udp),
            "raw" => Ok(Self::Raw),
            "memory" => Ok(Self::Memory(MemoryNetwork::common())),
            _ => text.strip_prefix("tun:").ok_or(UNKNOWN)?.parse().map(Self::Tun),
        }
    }
}

impl Display for DeviceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp => f.write_str("udp"),
            Self::Raw => f.write_str("raw"),
            Self::Tun(config) => write!(f, "tun:{config}"),
            Self::Memory(_) => f.write_str("memory"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_devices_and_devices_texts() {
        for text in [
            "udp",
            "raw",
            "memory",
            "tun:sctp0",
            "tun:sctp0,10.9.0.1/24,10.9.0.2",
            "tun:t,10.9.0.1/24,fd00::1/64,10.9.0.2,fd00::2",
        ] {
            let device: DeviceConfig = text.parse().unwrap();
            assert_eq!(device.to_string(), text);
            assert_eq!(text.parse(), Ok(device), "the same each time");
        }
        for text in [
            "",
            "UDP",
            "raw:",
            "tun",
            "tun:",
            "tun:,10.9.0.2",
            "tun:a-name-that-is-too-long",
            "tun:../x",
            "tun:sctp0,",
            "tun:sctp0,10.9.0.1/33",
            "tun:sctp0,10.9.0.1/x",
            "tun:sctp0,host",
        ] {
            assert_eq!(text.parse::<DeviceConfig>(), Err(UNKNOWN), "{text:?}");
        }
    }
}
