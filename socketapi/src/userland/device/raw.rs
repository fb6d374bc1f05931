//! SCTP directly on IP (RFC 9260 §1.2: protocol 132), by raw sockets.
//!
//! Every raw socket of the host receives every SCTP packet to its address, also those for other programs. Where the
//! ports are shared with other processes, a filter in the kernel drops what is for them, and a gate what the filter
//! cannot tell apart. Otherwise the engine passes over what is not its own, and answers nothing of it unless told to.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use socket2::{Domain, Protocol, Socket, Type};

use super::sockets::{Bound, Sockets};
use super::{Datagrams, Receiver};
use crate::{Error, Result};

/// SCTP among the protocols of IP.
const IP_PROTOCOL: i32 = 132;
/// The most packets that the engine is asked for at once. Each takes a system call; more at a time save locking.
const MAX_SEGMENTS: usize = 16;

/// Says which packets are for this process.
pub(crate) trait Gate: fmt::Debug + Send + Sync {
    /// Whether one to this address and SCTP port is.
    fn admits(&self, dst: IpAddr, port: u16) -> bool;
}

/// Raw sockets.
#[derive(Debug)]
pub(crate) struct RawDevice {
    pub(super) sockets: Sockets,
    gate: OnceLock<Arc<dyn Gate>>,
}

impl RawDevice {
    /// Sockets on `addresses`, or on all addresses if there are none.
    pub(crate) fn open(addresses: &[IpAddr]) -> Result<Self> {
        match Sockets::open(addresses, open_socket) {
            Ok(sockets) => Ok(Self {
                sockets,
                gate: OnceLock::new(),
            }),
            Err(Some((_, error))) => Err(open_error(&error)),
            Err(None) => Err(Error::AddressNotAvailable),
        }
    }

    /// Takes in only what the gate admits. Only the first one counts.
    #[cfg(target_os = "linux")]
    pub(crate) fn guard(&self, gate: Arc<dyn Gate>) {
        let _ = self.gate.set(gate);
    }

    /// Has the kernel drop what the filter does not let in.
    #[cfg(target_os = "linux")]
    pub(crate) fn filter(&self, filter: &super::PortFilter) {
        if let Err(error) = self.sockets.filter(filter) {
            tracing::debug!(%error, "packets for other processes wake this one");
        }
    }

    pub(super) fn receive<'a>(&self, index: usize, receiver: &'a mut Receiver) -> io::Result<Datagrams<'a>> {
        let datagrams = self.sockets.receive(index, receiver)?;
        Ok(match self.gate.get() {
            Some(gate) => datagrams.through(Arc::clone(gate)),
            None => datagrams,
        })
    }

    pub(super) const fn max_segments(&self) -> usize {
        MAX_SEGMENTS
    }
}

fn open_socket(address: IpAddr) -> io::Result<Bound> {
    let address = SocketAddr::new(address, 0);
    let socket = Socket::new(
        Domain::for_address(address),
        Type::RAW,
        Some(Protocol::from(IP_PROTOCOL)),
    )?;
    Bound::new(socket, address)
}

fn open_error(error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => Error::NotPermitted(
            "SCTP directly on IP needs raw sockets: run as root, or give the program CAP_NET_RAW \
             (setcap cap_net_raw+ep PROGRAM)",
        ),
        Some(libc::EADDRNOTAVAIL) => Error::AddressNotAvailable,
        _ => Error::io("opening a raw socket", error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_sockets_of_both_versions_can_be_had_by_those_who_may() {
        for address in ["127.0.0.1", "::1"] {
            let opened = RawDevice::open(&[address.parse().unwrap()]);
            assert!(
                matches!(opened, Ok(_) | Err(Error::NotPermitted(_))),
                "{address}: {opened:?}"
            );
        }
    }
}
