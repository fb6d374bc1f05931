//! Packets on their way through a world.

use std::net::IpAddr;
use std::time::Duration;

use super::super::app::Outgoing;
use super::super::host::Input;
use super::super::ids::{HostId, LinkId};
use super::super::link::{Fate, Loss, TooBig};
use super::super::packet::{Packet, Transport};
use super::super::route::source_on;
use super::{Happening, World};
use crate::{EcnCodepoint, IcmpKind, IcmpReport, UdpPorts};

/// How long a packet from a host to itself takes.
const LOOPBACK_DELAY: Duration = Duration::from_micros(10);

/// How many bytes of an SCTP packet an ICMP message quotes.
const QUOTE: usize = 64;

impl World {
    pub(super) fn send(&mut self, host: HostId, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Sctp {
                src,
                dst,
                encap,
                payload,
                dont_fragment,
                ecn,
            } => {
                if !self.may_send_from(host, src) {
                    return;
                }
                let transport = encap.map_or(Transport::Sctp, Transport::SctpInUdp);
                let packet = Packet {
                    src: src.unwrap_or(dst),
                    dst,
                    transport,
                    ecn,
                    payload,
                };
                self.send_routed(host, src, packet, dont_fragment);
            }
            Outgoing::Datagram {
                from,
                source_port,
                destination,
                payload,
            } => {
                let transport = Transport::Datagram(UdpPorts {
                    source: source_port,
                    destination: destination.port(),
                });
                let dst = destination.ip();
                if !dst.is_multicast() {
                    let packet = Packet {
                        src: dst,
                        dst,
                        transport,
                        ecn: EcnCodepoint::NotEct,
                        payload,
                    };
                    self.send_routed(host, None, packet, true);
                    return;
                }
                let mut looped = false;
                for interface in self.hosts[host.0].interfaces.clone() {
                    let Some(src) = source_on(&interface, dst) else {
                        continue;
                    };
                    let payload = payload.clone();
                    let packet = Packet {
                        src,
                        dst,
                        transport,
                        ecn: EcnCodepoint::NotEct,
                        payload,
                    };
                    if !std::mem::replace(&mut looped, true) {
                        let packet = packet.clone();
                        let input = Input::Looped { from, packet };
                        self.push(self.now + LOOPBACK_DELAY, Happening::Local { host, input });
                    }
                    self.put(interface.link, host, packet, true);
                }
            }
        }
    }

    /// A stack sends from addresses of its host only. One that the host has lost is what the network loses.
    pub(super) fn may_send_from(&mut self, id: HostId, src: Option<IpAddr>) -> bool {
        let host = &mut self.hosts[id.0];
        match src.map(|src| (src, host.owns(src))) {
            None | Some((_, Some(true))) => true,
            Some((_, Some(false))) => {
                host.stats.stale_source += 1;
                false
            }
            Some((src, None)) => panic!("{} sends from {src}, which it never had", host.name),
        }
    }

    /// Sends a packet from `src`, or from an address that is near `packet.dst`; `packet.src` means nothing yet.
    pub(super) fn send_routed(&mut self, id: HostId, src: Option<IpAddr>, packet: Packet, dont_fragment: bool) {
        let dst = packet.dst;
        let host = &self.hosts[id.0];
        if host
            .interfaces
            .iter()
            .any(|interface| interface.addresses.contains(&dst))
        {
            let src = src.unwrap_or(dst);
            let packet = Packet { src, ..packet };
            self.trace
                .line(self.now, &host.name, format_args!("to itself: {packet}"));
            self.trace.bytes(&packet.payload);
            let input = Input::Packet(packet);
            self.push(self.now + LOOPBACK_DELAY, Happening::Local { host: id, input });
            return;
        }
        let is_up = |link: LinkId| self.links[link.0].up;
        let Some((interface, src)) = self.routes.choose(&host.interfaces, is_up, src, dst) else {
            self.trace.line(self.now, &host.name, format_args!("no way to {dst}"));
            self.hosts[id.0].stats.unroutable += 1;
            return;
        };
        let packet = Packet { src, ..packet };
        let link = host.interfaces[interface].link;
        self.put(link, id, packet, dont_fragment);
    }

    pub(super) fn put(&mut self, id: LinkId, sender: HostId, packet: Packet, dont_fragment: bool) {
        let line = packet.to_string();
        self.trace.bytes(&packet.payload);
        let link = &mut self.links[id.0];
        let told = (link.config.too_big != TooBig::Silent && packet.sctp().is_some()).then(|| packet.clone());
        let (fate, arrivals) = link.put(self.now, sender, packet, dont_fragment);
        match fate {
            Fate::Sent => self.trace.line(self.now, &link.name, format_args!("{line}")),
            fate => self.trace.line(self.now, &link.name, format_args!("{line} {fate:?}")),
        }
        if let (Fate::Lost(Loss::TooBig), Some(packet)) = (fate, told) {
            self.tell_too_big(id, sender, packet);
        }
        for (at, packet) in arrivals {
            let link = id;
            self.push(at, Happening::Arrival { link, sender, packet });
        }
    }

    /// The sender of a packet that is too large for a link learns of it.
    fn tell_too_big(&mut self, id: LinkId, sender: HostId, packet: Packet) {
        let config = &self.links[id.0].config;
        let (at, input) = match config.too_big {
            TooBig::Silent => return,
            TooBig::Refused => (self.now, Input::TooBig(packet)),
            TooBig::Reported => {
                let report = IcmpReport {
                    src: Some(packet.src),
                    dst: packet.dst,
                    encap: packet.udp_ports(),
                    kind: IcmpKind::PacketTooBig {
                        mtu: u32::try_from(config.mtu).unwrap_or(u32::MAX),
                    },
                    quoted: packet.payload.slice(..packet.payload.len().min(QUOTE)),
                };
                (self.now + 2 * config.latency, Input::Icmp(report))
            }
        };
        self.push(at, Happening::Local { host: sender, input });
    }

    pub(super) fn arrive(&mut self, id: LinkId, sender: HostId, packet: Packet) {
        let link = &mut self.links[id.0];
        if !link.up {
            link.count_loss(Loss::Down);
            self.trace
                .line(self.now, &link.name, format_args!("{packet} lost on its way"));
            return;
        }
        let receivers = if packet.dst.is_multicast() {
            let mut others = link.members.clone();
            others.retain(|&member| member != sender);
            others.dedup();
            others
        } else {
            self.routes.owner(id, packet.dst).into_iter().collect()
        };
        if receivers.is_empty() {
            link.stats.lost_nobody += 1;
        }
        for host in receivers {
            self.links[id.0].stats.delivered += 1;
            self.trace
                .line(self.now, &self.hosts[host.0].name, format_args!("gets {packet}"));
            self.input(host, Input::Packet(packet.clone()));
        }
    }
}
