//! Congestion control begins anew where the network may be another one: other source addresses, other code points
//! (RFC 9260 §7.2.5).

mod common;

use std::net::IpAddr;

use common::{Answer, Peer, PeerSetup, data_chunks, ms, secs};
use sctp::config::{EndpointConfig, FlowLabel, PathConfig, StackConfig};
use sctp::wire::{ChunkType, write_heartbeat, write_sack, write_shutdown_ack};
use sctp::{ChecksumState, ConnectOptions, EcnCodepoint, Instant, RxMeta, Stack, Transmit};

/// An association with a peer that has one address, and knows both of Z's.
fn established() -> Peer {
    let mut association = common::without_discovery();
    association.set_max_burst(0);
    association.path_mut().set_heartbeat_interval(None).unwrap();
    let mut peer = Peer::with(PeerSetup {
        association,
        links: 2,
        ..PeerSetup::default()
    });
    peer.fixed.a_rwnd = 1_000_000;
    peer.establish();
    peer
}

/// Acknowledges what Z has sent, to its address on a link.
fn acknowledge(peer: &mut Peer, packets: &[Answer], link: usize) {
    let Some(last) = data_chunks(packets).last().map(|data| data.header().tsn) else {
        return;
    };
    let packet = peer.packet(peer.z_tag, |buf| write_sack(buf, last, 1_000_000, &[], &[]));
    let (src, dst) = (peer.address(0), peer.z_address(link));
    peer.send_between(src, dst, packet);
}

/// Sends data until the window has grown; the last packets are not acknowledged.
fn grow(peer: &mut Peer) -> Vec<Answer> {
    for _ in 0..200 {
        peer.z_says(&[0; 1200]);
    }
    let mut packets = peer.answers();
    for _ in 0..10 {
        acknowledge(peer, &packets, 0);
        packets = peer.answers();
    }
    assert!(packets.iter().all(|packet| packet.src == peer.z_address(0)));
    packets
}

fn cwnd(peer: &Peer) -> usize {
    peer.status().unwrap().paths[0].cwnd
}

fn heartbeat(peer: &mut Peer, link: usize) {
    let packet = peer.packet(peer.z_tag, |buf| write_heartbeat(buf, &[7; 40]));
    let (src, dst) = (peer.address(0), peer.z_address(link));
    peer.send_between(src, dst, packet);
}

#[test]
fn rfc9260_7_2_5_2_another_source_address_restarts_congestion_control() {
    let mut peer = established();
    let initial = cwnd(&peer);
    let packets = grow(&mut peer);
    assert!(cwnd(&peer) > 3 * initial);
    // The peer goes over to Z's other address, and Z follows.
    acknowledge(&mut peer, &packets, 1);
    let packets = peer.answers();
    let at_once: usize = data_chunks(&packets).iter().map(|data| data.payload.len()).sum();
    assert!(at_once <= initial + 2 * 1216, "{at_once}");
    assert!(!packets.is_empty() && packets.iter().all(|packet| packet.src == peer.z_address(1)));
    acknowledge(&mut peer, &packets, 1);
    assert!(peer.answers().len() > packets.len(), "from there it grows again");
}

#[test]
fn rfc9260_7_2_5_2_a_window_reset_below_the_flight_waits_for_it() {
    let mut peer = established();
    let initial = cwnd(&peer);
    let packets = grow(&mut peer);
    let flight = peer.status().unwrap().paths[0].flight_size;
    assert!(flight > 3 * initial);
    // Acknowledges next to nothing, but comes to the other address.
    acknowledge(&mut peer, &packets[..1], 1);
    assert!(data_chunks(&peer.answers()).is_empty());
    assert!(cwnd(&peer) <= initial + 1216);
    acknowledge(&mut peer, &packets, 1);
    assert!(!data_chunks(&peer.answers()).is_empty());
}

#[test]
fn rfc9260_8_3_a_heartbeat_to_another_own_address_moves_nothing_but_its_answer() {
    let mut peer = established();
    let packets = grow(&mut peer);
    let grown = cwnd(&peer);
    heartbeat(&mut peer, 1);
    let answers = peer.answers();
    assert_eq!(answers.len(), 1);
    assert!(answers[0].has(ChunkType::HEARTBEAT_ACK));
    assert_eq!(answers[0].src, peer.z_address(1));
    assert_eq!(cwnd(&peer), grown);
    acknowledge(&mut peer, &packets, 0);
    let packets = peer.answers();
    assert!(!packets.is_empty() && packets.iter().all(|packet| packet.src == peer.z_address(0)));
}

#[test]
fn rfc9260_8_3_heartbeats_to_two_own_addresses_are_answered_each_from_its_own() {
    let mut peer = established();
    heartbeat(&mut peer, 1);
    heartbeat(&mut peer, 0);
    heartbeat(&mut peer, 1);
    let from: Vec<IpAddr> = peer.answers().iter().map(|packet| packet.src).collect();
    assert_eq!(from, [peer.z_address(1), peer.z_address(0), peer.z_address(1)]);
}

#[test]
fn rfc9260_7_2_5_2_where_nothing_is_answered_a_heartbeat_shows_the_way() {
    let mut peer = established();
    peer.z_says(b"x");
    // Z's first address does not get through: T3-rtx expires.
    let packets = peer.run(secs(2));
    assert!(packets.len() >= 2 && packets.iter().all(|packet| packet.src == peer.z_address(0)));
    heartbeat(&mut peer, 1);
    let packets = peer.run(secs(10));
    let data: Vec<&Answer> = packets.iter().filter(|packet| packet.has(ChunkType::DATA)).collect();
    assert!(!data.is_empty() && data.iter().all(|packet| packet.src == peer.z_address(1)));
}

#[test]
fn rfc9260_7_2_5_2_an_own_address_that_heartbeats_came_to_is_tried_where_nothing_is_answered() {
    let mut peer = established();
    heartbeat(&mut peer, 1);
    peer.answers();
    peer.z_says(b"x");
    let packets = peer.run(secs(20));
    let data = packets.iter().filter(|packet| packet.has(ChunkType::DATA));
    let from: Vec<IpAddr> = data.map(|packet| packet.src).collect();
    let [one, other] = [peer.z_address(0), peer.z_address(1)];
    assert_eq!(from[..5], [one, one, other, one, other]);
}

#[test]
fn rfc9260_7_2_5_1_another_code_point_restarts_congestion_control() {
    let mut peer = established();
    let initial = cwnd(&peer);
    grow(&mut peer);
    let grown = cwnd(&peer);
    let (address, assoc, now) = (peer.address(0), peer.assoc.unwrap(), peer.world.now());
    let mut set = |change: &dyn Fn(&mut PathConfig)| {
        let stack = peer.world.stack(peer.z);
        let mut config = stack.path_config(assoc, address).unwrap();
        change(&mut config);
        stack.set_path_config(now, assoc, Some(address), config).unwrap();
        cwnd(&peer)
    };
    assert_eq!(set(&|config| config.set_path_max_retrans(7)), grown);
    assert_eq!(set(&|config| config.set_flow_label(FlowLabel::MAX)), grown);
    assert_eq!(set(&|config| config.set_dscp(46).unwrap()), initial);
    assert_eq!(set(&|config| assert!(config.set_dscp(64).is_err())), initial);
}

/// Two stacks that a test carries packets between.
struct Two {
    stacks: [Stack; 2],
    now: Instant,
}

impl Two {
    fn address(side: usize) -> IpAddr {
        [10, 0, 0, side as u8].into()
    }

    /// Delivers packets until there are none, and returns which side sent what with which code point and flow label.
    fn run(&mut self) -> Vec<(usize, ChunkType, (u8, u32))> {
        let mut log = Vec::new();
        loop {
            let before = log.len();
            for side in 0..2 {
                let mut buf = Vec::new();
                while let Some(transmit) = self.stacks[side].poll_transmit(self.now, 1, &mut buf) {
                    let Transmit { src, dst, marks, .. } = transmit;
                    log.push((side, ChunkType(buf[12]), (marks.dscp(), marks.flow_label().get())));
                    let meta = RxMeta {
                        src: src.unwrap_or_else(|| Self::address(side)),
                        dst,
                        encap: None,
                        ecn: EcnCodepoint::NotEct,
                        checksum: ChecksumState::Unverified,
                        buffer_len: buf.len(),
                    };
                    self.stacks[1 - side].handle_datagram(self.now, &meta, buf.clone().into());
                }
            }
            if log.len() == before {
                return log;
            }
        }
    }
}

#[test]
fn rfc6458_8_1_12_every_packet_has_the_code_point_and_flow_label_of_its_side() {
    let stack = |side: usize| {
        let config = StackConfig::new(vec![Two::address(side)], None);
        Stack::new(config, [side as u8; 32])
    };
    let mut two = Two {
        stacks: [stack(0), stack(1)],
        now: Instant::from_millis(1),
    };
    let config = |port, dscp, label| {
        let mut config = EndpointConfig {
            port: Some(port),
            ..EndpointConfig::default()
        };
        let path = config.association.path_mut();
        path.set_dscp(dscp).unwrap();
        path.set_flow_label(FlowLabel::new(label).unwrap());
        config
    };
    let a = two.stacks[0].bind(config(1, 46, 0xf_ffff)).unwrap();
    let b = two.stacks[1].bind(config(2, 10, 7)).unwrap();
    two.stacks[1].listen(b, 1);
    let to = [Two::address(1)];
    let assoc = two.stacks[0]
        .connect(two.now, a, &to, 2, ConnectOptions::default())
        .unwrap();
    let log = two.run();
    let marks = [(46, 0xf_ffff), (10, 7)];
    assert!(log.contains(&(1, ChunkType::INIT_ACK, marks[1])) && log.contains(&(1, ChunkType::COOKIE_ACK, marks[1])));
    assert!(log.iter().all(|&(side, _, of)| of == marks[side]), "{log:?}");
    // Out of the blue nothing is asked for.
    let mut packet = Vec::new();
    let header = sctp::wire::CommonHeader {
        source_port: 1,
        destination_port: 9,
        verification_tag: sctp::serial::VerificationTag(7),
    };
    let start = sctp::wire::begin_packet(&mut packet, &header);
    write_shutdown_ack(&mut packet);
    sctp::wire::finish_packet(&mut packet, start);
    let meta = RxMeta {
        src: Two::address(0),
        dst: Two::address(1),
        encap: None,
        ecn: EcnCodepoint::NotEct,
        checksum: ChecksumState::Unverified,
        buffer_len: packet.len(),
    };
    two.stacks[1].handle_datagram(two.now, &meta, packet.into());
    assert_eq!(two.run()[0], (1, ChunkType::SHUTDOWN_COMPLETE, (0, 0)));
    // A change holds from the next packet on.
    let now = two.now;
    let mut path = two.stacks[0].path_config(assoc, to[0]).unwrap();
    path.set_dscp(8).unwrap();
    path.set_flow_label(FlowLabel::new(9).unwrap());
    two.stacks[0].set_path_config(now, assoc, None, path).unwrap();
    two.stacks[0].request_heartbeat(now, assoc, to[0]).unwrap();
    let log = two.run();
    assert_eq!(
        log,
        [
            (0, ChunkType::HEARTBEAT, (8, 9)),
            (1, ChunkType::HEARTBEAT_ACK, marks[1])
        ]
    );
    two.now = now + ms(1);
}
