//! Addresses and a UDP port for programs that run side by side on one machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// The address of the registrar and the pool user.
pub const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The address of the pool element in `slot`: 127.0.0.2 for 0, and so on. There are 253 of them.
pub fn element_address(slot: usize) -> IpAddr {
    let last = u8::try_from(slot.saturating_add(2)).unwrap_or(u8::MAX);
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
}

/// A UDP port that is free now at [`HOME`] and at the addresses of all `slots`.
///
/// # Errors
///
/// Those of the sockets, or `AddrInUse` if no common port was found.
pub fn free_udp_port(slots: usize) -> io::Result<u16> {
    for _ in 0..100 {
        let candidate = UdpSocket::bind((HOME, 0))?;
        let port = candidate.local_addr()?.port();
        let free = |slot| UdpSocket::bind((element_address(slot), port)).is_ok();
        if (0..slots).all(free) {
            return Ok(port);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AddrInUse,
        "no UDP port is free on all addresses",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_has_an_address_of_its_own() {
        assert_eq!(element_address(0).to_string(), "127.0.0.2");
        assert_eq!(element_address(2).to_string(), "127.0.0.4");
        assert!((0..200).all(|slot| element_address(slot).is_loopback()));
    }

    #[test]
    fn a_free_port_can_be_bound_everywhere() {
        let port = free_udp_port(3).unwrap();
        let sockets: Vec<_> = (0..3)
            .map(|slot| UdpSocket::bind((element_address(slot), port)).unwrap())
            .collect();
        assert_eq!(sockets.len(), 3);
    }
}
