//! What carries packets between the engine and the network.

#[cfg(target_os = "linux")]
mod errqueue;
mod ifaddrs;
mod option;
mod pool;
mod receiver;
#[cfg(test)]
mod tests;
mod trouble;
mod udp;
mod watch;

use std::io;
use std::os::fd::BorrowedFd;

use sctp::Transmit;

pub(crate) use ifaddrs::host_addresses;
pub(crate) use receiver::{Datagrams, Receiver};
pub(crate) use trouble::Trouble;
pub use udp::DeviceStats;
pub(crate) use udp::UdpDevice;
pub(crate) use watch::watch;

/// A device.
#[derive(Debug)]
pub(crate) enum Device {
    /// UDP sockets (RFC 6951).
    Udp(UdpDevice),
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
    /// How many packets a transmission may have.
    pub(crate) fn max_segments(&self) -> usize {
        match self {
            Self::Udp(udp) => udp.max_segments(),
        }
    }

    /// What to wait on until there is something to receive, or room to send.
    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            Self::Udp(udp) => udp.descriptors(),
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
            Self::Udp(udp) => udp.send(transmit, buf, sent, troubles),
        }
    }

    /// Adds what is known about packets that left by one of the descriptors; true if there may be more.
    pub(crate) fn read_errors(&self, index: usize, troubles: &mut Vec<Trouble>) -> bool {
        match self {
            Self::Udp(udp) => udp.read_errors(index, troubles),
        }
    }

    /// Receives datagrams from one of the descriptors.
    pub(crate) fn receive<'a>(&self, index: usize, receiver: &'a mut Receiver) -> io::Result<Datagrams<'a>> {
        match self {
            Self::Udp(udp) => udp.receive(index, receiver),
        }
    }

    /// Counters.
    pub(crate) fn stats(&self) -> DeviceStats {
        match self {
            Self::Udp(udp) => udp.stats(),
        }
    }
}
