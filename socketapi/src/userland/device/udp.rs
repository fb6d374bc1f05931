//! SCTP in UDP (RFC 6951): sockets on one port; trains of packets by GSO and GRO.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

use super::sockets::{Bound, Sockets};
use crate::{Error, Result};

/// The most packets that the engine is asked for at once: a train of ordinary Ethernet packets.
const MAX_SEGMENTS: usize = 44;
/// How often a free port is drawn before giving up, as it must be free on every address.
const PORT_DRAWS: usize = 32;

/// UDP sockets on one port.
#[derive(Debug)]
pub(crate) struct UdpDevice {
    pub(super) sockets: Sockets,
    port: u16,
}

impl UdpDevice {
    /// Sockets on `addresses`, or on all addresses if there are none; port 0 draws a free one.
    pub(crate) fn bind(addresses: &[IpAddr], port: u16) -> Result<Self> {
        let draws = if port == 0 { PORT_DRAWS } else { 1 };
        let mut outcome = Err(Error::NoPortFree);
        for _ in 0..draws {
            outcome = Self::bind_once(addresses, port);
            // A drawn port that is free on one address may be taken on another one.
            if !matches!(outcome, Err(Error::UdpPortInUse { .. })) {
                break;
            }
        }
        outcome
    }

    fn bind_once(addresses: &[IpAddr], mut port: u16) -> Result<Self> {
        let sockets = Sockets::open(addresses, |address| {
            let bound = bind_socket(SocketAddr::new(address, port))?;
            port = bound.port()?;
            Ok(bound)
        });
        match sockets {
            Ok(sockets) => Ok(Self {
                sockets: sockets.on_port(port),
                port,
            }),
            Err(Some((address, error))) => Err(bind_error(&error, address, port)),
            Err(None) => Err(Error::AddressNotAvailable),
        }
    }

    /// The UDP port.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn max_segments(&self) -> usize {
        self.sockets.max_train().min(MAX_SEGMENTS)
    }
}

fn bind_socket(address: SocketAddr) -> io::Result<Bound> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    Bound::new(socket, address)
}

fn bind_error(error: &io::Error, address: IpAddr, port: u16) -> Error {
    match error.raw_os_error() {
        Some(libc::EADDRINUSE) => Error::UdpPortInUse { address, port },
        Some(libc::EADDRNOTAVAIL) => Error::AddressNotAvailable,
        _ => Error::io("binding a UDP socket", error),
    }
}
