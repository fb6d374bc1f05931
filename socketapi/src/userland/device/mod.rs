//! What carries packets between the engine and the network.

mod capture;
mod config;
#[cfg(target_os = "linux")]
mod errqueue;
#[cfg(target_os = "linux")]
mod filter;
mod fragments;
mod ifaddrs;
mod ip;
mod mailbox;
mod marked;
mod memory;
mod option;
mod pool;
mod raw;
mod receiver;
mod sockets;
mod stats;
#[cfg(target_os = "linux")]
mod steer;
#[cfg(test)]
mod tests;
mod trouble;
mod tun;
mod udp;
mod watch;

use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use sctp::Transmit;
use sctp::config::OotbPolicy;

use crate::Result;

pub(crate) use capture::Capture;
pub use config::{DeviceConfig, TunConfig};
#[cfg(target_os = "linux")]
pub(crate) use filter::PortFilter;
pub(crate) use ifaddrs::HostAddresses;
pub(crate) use memory::MemoryDevice;
pub use memory::MemoryNetwork;
#[cfg(target_os = "linux")]
pub(crate) use pool::{BUFFER, Pool, share};
#[cfg(target_os = "linux")]
pub(crate) use raw::Gate;
pub(crate) use raw::RawDevice;
pub(crate) use receiver::{Datagrams, Receiver};
pub use stats::DeviceStats;
pub(crate) use trouble::Trouble;
pub(crate) use tun::TunDevice;
pub(crate) use udp::UdpDevice;
pub(crate) use watch::{Watched, watch};

/// The UDP port of SCTP in UDP (RFC 6951 §5.1).
pub(crate) const DEFAULT_UDP_PORT: u16 = 9899;

/// A device.
#[derive(Debug)]
pub(crate) enum Device {
    /// UDP sockets (RFC 6951).
    Udp(Arc<UdpDevice>),
    /// Raw sockets.
    Raw(Arc<RawDevice>),
    /// A TUN interface.
    Tun(TunDevice),
    /// A network inside the process.
    Memory(MemoryDevice),
}

/// How far a transmission came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It is over: sent, or lost as packets may be.
    Done,
    /// This descriptor takes no more for now.
    Blocked(usize),
}

impl Device {
    /// Opens what is wanted on `addresses`, or on all there are if the list is empty, and with `udp_port` where packets
    /// go in UDP: always with UDP sockets, and where a port is named with TUN interfaces and memory.
    pub(crate) fn open(config: &DeviceConfig, addresses: &[IpAddr], udp_port: Option<u16>) -> Result<Self> {
        match config {
            DeviceConfig::Udp => {
                UdpDevice::bind(addresses, udp_port.unwrap_or(DEFAULT_UDP_PORT)).map(|udp| Self::Udp(Arc::new(udp)))
            }
            DeviceConfig::Raw => RawDevice::open(addresses).map(|raw| Self::Raw(Arc::new(raw))),
            DeviceConfig::Tun(config) => TunDevice::open(config, addresses, udp_port).map(Self::Tun),
            DeviceConfig::Memory(network) => MemoryDevice::open(network, addresses, udp_port).map(Self::Memory),
        }
    }

    /// Whether someone else receives from the descriptors: they are only to be waited for until there is room to send.
    pub(crate) fn is_received_elsewhere(&self) -> bool {
        match self {
            Self::Udp(udp) => udp.sockets.are_shared(),
            Self::Raw(_) | Self::Tun(_) | Self::Memory(_) => false,
        }
    }

    /// The own UDP port; `None` for SCTP directly on IP.
    pub(crate) fn udp_port(&self) -> Option<u16> {
        match self {
            Self::Udp(udp) => Some(udp.port()),
            Self::Raw(_) => None,
            Self::Tun(tun) => tun.udp_port(),
            Self::Memory(memory) => memory.udp_port(),
        }
    }

    /// The addresses that it has by itself, in a fixed order; `None` if they are the host's.
    pub(crate) fn own_addresses(&self) -> Option<&[IpAddr]> {
        match self {
            Self::Udp(_) | Self::Raw(_) => None,
            Self::Tun(tun) => Some(tun.addresses()),
            Self::Memory(memory) => Some(memory.addresses()),
        }
    }

    /// Whether it can carry packets of this version of IP.
    pub(crate) fn has_family_of(&self, address: IpAddr) -> bool {
        match self {
            Self::Udp(udp) => udp.sockets.has_family_of(address),
            Self::Raw(raw) => raw.sockets.has_family_of(address),
            Self::Tun(_) | Self::Memory(_) => true,
        }
    }

    /// What to do with packets of no association, where nothing else is asked for: others may use the port space too,
    /// and until it is known that this stack is the one that answers, it is silent.
    pub(crate) const fn ootb_policy(&self) -> OotbPolicy {
        match self {
            Self::Udp(_) | Self::Tun(_) | Self::Memory(_) => OotbPolicy::Answer,
            Self::Raw(_) => OotbPolicy::Silent,
        }
    }

    /// How many packets a transmission may have.
    pub(crate) fn max_segments(&self) -> usize {
        match self {
            Self::Udp(udp) => udp.max_segments(),
            Self::Raw(raw) => raw.max_segments(),
            Self::Tun(tun) => tun.max_segments(),
            Self::Memory(_) => MemoryDevice::MAX_SEGMENTS,
        }
    }

    /// What to wait on until there is something to receive, or room to send.
    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            Self::Udp(udp) => udp.sockets.descriptors(),
            Self::Raw(raw) => raw.sockets.descriptors(),
            Self::Tun(tun) => tun.descriptors(),
            Self::Memory(memory) => vec![memory.descriptor()],
        }
    }

    /// Sends the packets in `buf`, of which `sent` bytes have been sent already. Errors are counted, and lose packets
    /// as networks do; what they tell about packets is added to `troubles`.
    pub(crate) fn send(
        &self,
        transmit: &Transmit,
        buf: &[u8],
        sent: &mut usize,
        troubles: &mut Vec<Trouble>,
    ) -> Progress {
        match self {
            Self::Udp(udp) => udp.sockets.send(transmit, buf, sent, troubles),
            Self::Raw(raw) => raw.sockets.send(transmit, buf, sent, troubles),
            Self::Tun(tun) => tun.send(transmit, buf, sent, troubles),
            Self::Memory(memory) => memory.send(transmit, buf, sent, troubles),
        }
    }

    /// Adds what is known about packets that left by one of the descriptors; true if there may be more.
    pub(crate) fn read_errors(&self, index: usize, troubles: &mut Vec<Trouble>) -> bool {
        match self {
            Self::Udp(udp) => udp.sockets.read_errors(index, troubles),
            Self::Raw(raw) => raw.sockets.read_errors(index, troubles),
            Self::Tun(tun) => tun.read_errors(troubles),
            Self::Memory(_) => false,
        }
    }

    /// Receives datagrams from one of the descriptors.
    pub(crate) fn receive<'a>(&self, index: usize, receiver: &'a mut Receiver) -> io::Result<Datagrams<'a>> {
        match self {
            Self::Udp(udp) => udp.sockets.receive(index, receiver),
            Self::Raw(raw) => raw.receive(index, receiver),
            Self::Tun(tun) => tun.receive(index, receiver),
            Self::Memory(memory) => memory.receive(receiver),
        }
    }

    /// Counters.
    pub(crate) fn stats(&self) -> DeviceStats {
        match self {
            Self::Udp(udp) => udp.sockets.counters.snapshot(),
            Self::Raw(raw) => raw.sockets.counters.snapshot(),
            Self::Tun(tun) => tun.counters.snapshot(),
            Self::Memory(memory) => memory.counters.snapshot(),
        }
    }
}
