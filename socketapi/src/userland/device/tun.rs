//! Addresses of a stack's own behind a TUN interface: whole IP packets pass between the kernel's routing and the stack.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use sctp::{ChecksumState, EcnCodepoint, RxMeta, Transmit, UdpPorts};
use tun_rs::{DeviceBuilder, SyncDevice};

use super::fragments::{Reassembly, cut_v6};
use super::ip::{self, Arrived};
use super::mailbox::Mailbox;
use super::stats::Counters;
use super::{DEFAULT_UDP_PORT, Datagrams, Progress, Receiver, Trouble, TunConfig};
use crate::{Error, Result};

/// How many ICMP messages wait to be looked at, at most.
const MAX_REPORTS: usize = 32;
/// The most packets that the engine is asked for at once. Each takes a system call; more at a time save locking.
const MAX_SEGMENTS: usize = 16;

/// A TUN interface.
#[derive(Debug)]
pub(crate) struct TunDevice {
    interface: Interface,
    addresses: Vec<IpAddr>,
    udp_port: Option<u16>,
    /// What the interface carries.
    mtu: usize,
    /// What packets that routers may fragment are numbered with.
    ident: AtomicU16,
    troubles: Mutex<Vec<Trouble>>,
    /// Packets from the stack to itself. The system does not know the stack's addresses for a host's.
    own: Mailbox,
    /// Packets that came in parts.
    parts: Mutex<Reassembly>,
    pub(super) counters: Counters,
}

/// The descriptor.
struct Interface(SyncDevice);

impl std::fmt::Debug for Interface {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Interface").field(&self.0.as_fd()).finish()
    }
}

impl TunDevice {
    /// Opens the interface, or creates it. The stack is behind it at `addresses`, or at those of `config` if there are
    /// none; on a UDP port, or directly on IP.
    pub(crate) fn open(config: &TunConfig, addresses: &[IpAddr], udp_port: Option<u16>) -> Result<Self> {
        let addresses = if addresses.is_empty() {
            config.addresses.clone()
        } else {
            addresses.to_vec()
        };
        let host: BTreeSet<IpAddr> = config.host.iter().map(|(address, _)| *address).collect();
        if addresses.is_empty() {
            return Err(Error::Unsupported(
                "a stack behind a TUN interface needs an address of its own, as in tun:sctp0,10.9.0.1/24,10.9.0.2",
            ));
        }
        if addresses.iter().any(|address| host.contains(address)) {
            return Err(Error::AddressNotAvailable);
        }
        let interface = open(config).map_err(|error| open_error(&error))?;
        let own = Mailbox::new().map_err(|error| Error::io("opening a TUN interface", &error))?;
        let mtu = interface
            .mtu()
            .map_err(|error| Error::io("reading the MTU of the TUN interface", &error))?;
        Ok(Self {
            interface: Interface(interface),
            addresses,
            // Nobody else is at these addresses: any port is free.
            udp_port: udp_port.map(|port| if port == 0 { DEFAULT_UDP_PORT } else { port }),
            mtu: mtu.into(),
            ident: AtomicU16::new(0),
            troubles: Mutex::default(),
            own,
            parts: Mutex::default(),
            counters: Counters::default(),
        })
    }

    pub(super) const fn udp_port(&self) -> Option<u16> {
        self.udp_port
    }

    pub(super) fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    pub(super) const fn max_segments(&self) -> usize {
        MAX_SEGMENTS
    }

    pub(super) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.interface.0.as_fd(), self.own.descriptor()]
    }

    pub(super) fn receive<'a>(&self, index: usize, receiver: &'a mut Receiver) -> io::Result<Datagrams<'a>> {
        if index > 0 {
            return self.own.receive(receiver);
        }
        if !self.troubles().is_empty() {
            // Has the caller read them; it comes back for the rest.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let datagrams = receiver.read(|buffer| {
            let len = self.interface.0.recv(buffer).map_err(|error| {
                if error.kind() != io::ErrorKind::WouldBlock {
                    tracing::debug!(%error, "the TUN interface gives nothing");
                }
                // An interface that is gone says so each time, and never ends.
                io::Error::from(io::ErrorKind::WouldBlock)
            })?;
            self.counters.received();
            Ok(self.take_in(buffer, len))
        })?;
        let pending = !self.troubles().is_empty();
        Ok(if pending { datagrams.with_more() } else { datagrams })
    }

    /// Looks at the IP packet at the beginning of `buffer`; what of it is for the stack. What came in parts is in
    /// `buffer` as a whole then.
    fn take_in(&self, buffer: &mut [u8], len: usize) -> Option<(RxMeta, Range<usize>)> {
        let packet = buffer.get(..len)?;
        let mut arrived = ip::read(packet);
        if let Arrived::Fragment(fragment) = &arrived {
            let bytes = packet.get(fragment.at.clone())?;
            if !self.addresses.contains(&fragment.of.dst) {
                return None;
            }
            let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
            let (content, ecn) = parts.add(Instant::now(), fragment, bytes)?;
            drop(parts);
            arrived = ip::read_whole(&fragment.of, ecn, &content);
            buffer.get_mut(..content.len())?.copy_from_slice(&content);
        }
        match arrived {
            Arrived::Sctp {
                src,
                dst,
                encap,
                ecn,
                at,
            } if self.addresses.contains(&dst) && self.is_here(encap) => {
                // The pool bounds what slices hold.
                return Some((meta((src, dst), encap, ecn, at.len()), at));
            }
            Arrived::Icmp(report) if report.src.is_some_and(|src| self.addresses.contains(&src)) => {
                let mut troubles = self.troubles();
                if troubles.is_empty() {
                    // The interface has nothing to tell of them.
                    self.own.ring();
                }
                if troubles.len() < MAX_REPORTS {
                    troubles.push(Trouble::Icmp(report));
                }
            }
            Arrived::Ping { dst, answer } if self.addresses.contains(&dst) => {
                // Who asks will ask again.
                let _ = self.interface.0.send(&answer);
            }
            _ => {}
        }
        None
    }

    fn is_here(&self, encap: Option<UdpPorts>) -> bool {
        // Whoever speaks SCTP in UDP understands it on IP as well.
        encap.is_none_or(|ports| Some(ports.destination) == self.udp_port)
    }

    /// Adds what ICMP said; true if there was something, and so may be more to receive.
    pub(super) fn read_errors(&self, troubles: &mut Vec<Trouble>) -> bool {
        let mut pending = self.troubles();
        let some = !pending.is_empty();
        troubles.append(&mut pending);
        some
    }

    fn troubles(&self) -> std::sync::MutexGuard<'_, Vec<Trouble>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn send(
        &self,
        transmit: &Transmit,
        buf: &[u8],
        sent: &mut usize,
        troubles: &mut Vec<Trouble>,
    ) -> Progress {
        let own = |address: &IpAddr| address.is_ipv4() == transmit.dst.is_ipv4();
        let src = transmit.src.or_else(|| self.addresses.iter().copied().find(own));
        let mut packet = Vec::new();
        let mut too_big = false;
        while let Some(rest) = buf.get(*sent..transmit.size).filter(|rest| !rest.is_empty()) {
            let payload = rest.chunks(transmit.segment_size.max(1)).next().unwrap_or(rest);
            let fits = payload.len() + ip::headers(transmit.dst, transmit.encap) <= self.mtu;
            // Routers fragment IPv4 packets that may be. IPv6 packets are fragmented here, or not at all.
            let may_pass = fits || !transmit.dont_fragment;
            let looped = src.filter(|_| fits && self.addresses.contains(&transmit.dst) && self.is_here(transmit.encap));
            if let Some(src) = looped {
                self.counters.sent();
                let meta = meta((src, transmit.dst), transmit.encap, transmit.ecn, payload.len());
                self.own.push(meta, Bytes::copy_from_slice(payload));
                *sent += payload.len();
                continue;
            }
            let written = src
                .filter(|src| may_pass && self.addresses.contains(src))
                .is_some_and(|src| {
                    let ident = self.ident.fetch_add(1, Ordering::Relaxed);
                    let whole = transmit.dont_fragment;
                    ip::write(&mut packet, (src, transmit.dst), transmit.encap, whole, ident, payload)
                });
            if written {
                ip::mark(&mut packet, transmit.marks, transmit.ecn);
                match self.put_out(&packet, transmit.dont_fragment) {
                    Ok(()) => self.counters.sent(),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Blocked(0),
                    Err(error) => {
                        self.counters.send_failed();
                        tracing::trace!(%error, destination = %transmit.dst, "a packet is lost on the way out");
                    }
                }
            } else {
                self.counters.send_failed();
                if !fits && !too_big {
                    too_big = true;
                    troubles.push(Trouble::too_big(transmit, payload));
                }
            }
            *sent += payload.len();
        }
        Progress::Done
    }
}

impl TunDevice {
    /// Hands a packet to the system.
    fn put_out(&self, packet: &[u8], dont_fragment: bool) -> io::Result<()> {
        let is_v6 = packet.first().is_some_and(|byte| byte >> 4 == 6);
        if dont_fragment || !is_v6 {
            return self.interface.0.send(packet).map(drop);
        }
        let ident = self.ident.fetch_add(1, Ordering::Relaxed);
        for part in cut_v6(packet, ident.into()) {
            self.interface.0.send(&part)?;
        }
        Ok(())
    }
}

const fn meta((src, dst): (IpAddr, IpAddr), encap: Option<UdpPorts>, ecn: EcnCodepoint, len: usize) -> RxMeta {
    RxMeta {
        src,
        dst,
        encap,
        ecn,
        checksum: ChecksumState::Unverified,
        buffer_len: len,
    }
}

fn open(config: &TunConfig) -> io::Result<SyncDevice> {
    // What the interface is already, it stays.
    let mut builder = DeviceBuilder::new().name(&config.name).inherit_enable_state();
    if let Some(mtu) = config.mtu {
        builder = builder.mtu(mtu);
    }
    for (address, prefix) in &config.host {
        builder = match address {
            IpAddr::V4(address) => builder.ipv4(*address, *prefix, None),
            IpAddr::V6(address) => builder.ipv6(*address, *prefix),
        };
    }
    let interface = builder.build_sync()?;
    interface.set_nonblocking(true)?;
    if let Err(error) = interface.enabled(true) {
        // Only root may do so; then the interface is up already, or of no use.
        tracing::debug!(%error, "the TUN interface is left as it is");
    }
    Ok(interface)
}

fn open_error(error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => Error::NotPermitted(
            "only root (or CAP_NET_ADMIN) creates and configures TUN interfaces; others open one that was made for \
             them: ip tuntap add NAME mode tun user USER",
        ),
        Some(libc::EBUSY) => Error::Unsupported("another program has this TUN interface"),
        _ => Error::io("opening a TUN interface", error),
    }
}
