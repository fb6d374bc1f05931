//! What the processes have in common.

use std::fmt::{self, Display};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::userland::device::{RawDevice, UdpDevice};

/// What processes have in common, by the name that they meet under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// A UDP port.
    Udp(u16),
    /// SCTP directly on IP.
    Raw,
}

impl From<u16> for Name {
    fn from(udp_port: u16) -> Self {
        Self::Udp(udp_port)
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(port) => write!(f, "sctp-udp-{port}"),
            Self::Raw => f.write_str("sctp-raw"),
        }
    }
}

/// The same, with the sockets of this process.
#[derive(Clone, Debug)]
pub(super) enum Common {
    /// All have these sockets. One process receives for all.
    Udp(Arc<UdpDevice>),
    /// Each process has sockets of its own, which get all packets.
    Raw(Arc<RawDevice>),
}

impl Common {
    pub(super) fn name(&self) -> Name {
        match self {
            Self::Udp(udp) => Name::Udp(udp.port()),
            Self::Raw(_) => Name::Raw,
        }
    }

    /// The UDP port, 0 without one.
    pub(super) fn udp_port(&self) -> u16 {
        match self {
            Self::Udp(udp) => udp.port(),
            Self::Raw(_) => 0,
        }
    }

    /// The sockets that all have.
    pub(super) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            Self::Udp(udp) => udp.descriptors(),
            Self::Raw(_) => Vec::new(),
        }
    }

    /// The sockets that all have, if they have any.
    pub(super) const fn udp(&self) -> Option<&Arc<UdpDevice>> {
        match self {
            Self::Udp(udp) => Some(udp),
            Self::Raw(_) => None,
        }
    }
}
