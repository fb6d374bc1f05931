//! The choice of a device.

use std::env;
use std::fmt::{self, Display};
use std::str::FromStr;

use crate::{Error, Result};

/// The environment variable that chooses a device for stacks whose program does not.
const VARIABLE: &str = "SCTP_DEVICE";

/// What carries the packets of a stack.
///
/// As a text (of an option, or of the environment variable `SCTP_DEVICE`): `udp` or `raw`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceConfig {
    /// UDP sockets (RFC 6951), which everyone may open. The default.
    #[default]
    Udp,
    /// Raw sockets: SCTP directly on IP. They take root or `CAP_NET_RAW`.
    ///
    /// Each sees the SCTP packets of all programs on the host, so a stack on this device stays silent on packets that
    /// belong to nobody, unless [`StackBuilder::ootb_policy`](crate::StackBuilder::ootb_policy) says otherwise. Where
    /// the kernel has SCTP too, that answers them: with an ABORT, which ends associations of this stack.
    Raw,
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

const UNKNOWN: Error = Error::Unsupported("the device (SCTP_DEVICE, --device) is one of: udp, raw");

impl FromStr for DeviceConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "udp" => Ok(Self::Udp),
            "raw" => Ok(Self::Raw),
            _ => Err(UNKNOWN),
        }
    }
}

impl Display for DeviceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp => f.write_str("udp"),
            Self::Raw => f.write_str("raw"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_devices_and_devices_texts() {
        for text in ["udp", "raw"] {
            let device: DeviceConfig = text.parse().unwrap();
            assert_eq!(device.to_string(), text);
        }
        for text in ["", "UDP", "raw:", "tun"] {
            assert_eq!(text.parse::<DeviceConfig>(), Err(UNKNOWN), "{text:?}");
        }
    }
}
