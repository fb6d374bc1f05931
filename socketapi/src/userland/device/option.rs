//! Options of UDP sockets that no wrapper has: which packets IP may fragment, whether ICMP is reported, and flow labels.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::c_int;

/// While it lives, IP may fragment what the socket sends, on this host and on the way. Before and after, it may not:
/// path MTU discovery depends on that (RFC 8899 §3).
///
/// What other processes send through a shared socket meanwhile may be fragmented too. At worst a probe of theirs finds
/// a size that the path does not carry whole, and the next black hole is found as others are.
#[derive(Debug)]
pub(super) struct Fragments<'a> {
    socket: BorrowedFd<'a>,
    ipv4: bool,
}

impl<'a> Fragments<'a> {
    /// Where the system refuses, packets go out as they are, and those that are too large are lost.
    pub(super) fn allow(socket: BorrowedFd<'a>, ipv4: bool) -> Self {
        set_fragments(socket, ipv4, true);
        Self { socket, ipv4 }
    }
}

impl Drop for Fragments<'_> {
    fn drop(&mut self) {
        set_fragments(self.socket, self.ipv4, false);
    }
}

#[cfg(target_os = "linux")]
fn set_fragments(socket: BorrowedFd<'_>, ipv4: bool, allowed: bool) {
    let options = if ipv4 {
        let mode = [libc::IP_PMTUDISC_PROBE, libc::IP_PMTUDISC_DONT][usize::from(allowed)];
        vec![(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, mode)]
    } else {
        let mode = [libc::IPV6_PMTUDISC_PROBE, libc::IPV6_PMTUDISC_WANT][usize::from(allowed)];
        vec![
            (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, mode),
            (libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, c_int::from(!allowed)),
        ]
    };
    for (level, name, value) in options {
        if let Err(error) = set(socket, level, name, value) {
            tracing::debug!(%error, allowed, "fragmentation is left as it is");
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn set_fragments(_socket: BorrowedFd<'_>, _ipv4: bool, _allowed: bool) {}

/// Has the system queue what ICMP says about packets of the socket, and make the socket readable then.
#[cfg(target_os = "linux")]
pub(super) fn report_errors(socket: BorrowedFd<'_>, ipv4: bool) -> io::Result<()> {
    let (level, name) = if ipv4 {
        (libc::IPPROTO_IP, libc::IP_RECVERR)
    } else {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
    };
    // First, since without it nobody would look at the queue.
    set(socket, libc::SOL_SOCKET, libc::SO_SELECT_ERR_QUEUE, 1)?;
    set(socket, level, name, 1)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn report_errors(_socket: BorrowedFd<'_>, _ipv4: bool) -> io::Result<()> {
    Ok(())
}

/// Has packets bear the IPv6 flow label that their destination comes with.
#[cfg(target_os = "linux")]
pub(super) fn send_flow_labels(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(socket, libc::IPPROTO_IPV6, libc::IPV6_FLOWINFO_SEND, 1)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn send_flow_labels(_socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(())
}

/// Sets an option that is an integer.
#[expect(unsafe_code, reason = "no wrapper has these socket options")]
pub(super) fn set(socket: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of_val(&value)).unwrap_or_default();
    // SAFETY: the pointer and the length are those of a live integer, which the call only reads.
    let outcome = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), len) };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use rustix::net::sockopt::{
        Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, ip_mtu_discover, ipv6_mtu_discover, set_ip_mtu_discover,
    };

    use super::*;

    #[test]
    fn rfc9260_6_9_fragments_are_allowed_only_as_long_as_asked_for() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::PROBE).unwrap();
        let fragments = Fragments::allow(socket.as_fd(), true);
        assert_eq!(ip_mtu_discover(&socket), Ok(Ipv4PathMtuDiscovery::DONT));
        drop(fragments);
        assert_eq!(ip_mtu_discover(&socket), Ok(Ipv4PathMtuDiscovery::PROBE));

        let socket = UdpSocket::bind("[::1]:0").unwrap();
        let fragments = Fragments::allow(socket.as_fd(), false);
        assert_eq!(ipv6_mtu_discover(&socket), Ok(Ipv6PathMtuDiscovery::WANT));
        drop(fragments);
        assert_eq!(ipv6_mtu_discover(&socket), Ok(Ipv6PathMtuDiscovery::PROBE));
    }
}
