//! SCTP in UDP (RFC 6951).

mod common;

use common::{A, B, Family, Flow, PEER_PORT, Peer, PeerSetup, Setup, Z_PORT, data_chunks, ms, secs, transfer};
use sctp::UdpPorts;
use sctp::serial::VerificationTag;
use sctp::sim::{Script, Transport};
use sctp::wire::{
    ChunkType, CommonHeader, begin_packet, finish_packet, write_cookie_echo, write_heartbeat, write_init,
};

#[test]
fn rfc6951_5_3_packets_go_from_the_own_port_to_the_peers() {
    for (a, b) in [(9899, 9899), (9899, 9900), (20_000, 30_000)] {
        for family in [Family::V4, Family::V6] {
            let mut pair = Setup::single().family(family).encapsulated(a, b).build();
            pair.world.capture(pair.links[0]);
            pair.connect();
            transfer(&mut pair, &mut [Flow::new(A, 20), Flow::new(B, 20)], secs(10));
            for (side, source, destination) in [(A, a, b), (B, b, a)] {
                let expected = Some(UdpPorts { source, destination });
                assert!(pair.sent(side).iter().all(|packet| packet.udp == expected));
                assert_eq!(pair.path(side, 0).encapsulation_port, Some(destination));
            }
        }
    }
}

#[test]
fn rfc6951_5_1_each_path_has_a_port_of_its_own_and_failover_works() {
    let mut pair = Setup::dual()
        .family(Family::Alternating)
        .encapsulated(9899, 9900)
        .build();
    pair.connect();
    let link = pair.links[0];
    Script::new().at(ms(200)).cut(link).play(&mut pair.world);
    transfer(&mut pair, &mut [Flow::new(A, 2000), Flow::new(B, 2000)], secs(300));
    assert_eq!(pair.path(A, 1).encapsulation_port, Some(9900));
}

/// A peer of a stack on port 9899, from this UDP port.
fn peer_on(port: u16) -> Peer {
    let mut peer = Peer::with(PeerSetup {
        encapsulation: Some(9899),
        ..PeerSetup::default()
    });
    move_to(&mut peer, port);
    peer
}

fn move_to(peer: &mut Peer, port: u16) {
    peer.transport = Transport::SctpInUdp(UdpPorts {
        source: port,
        destination: 9899,
    });
}

/// The UDP port that Z answers a HEARTBEAT to.
fn answered_to(peer: &mut Peer) -> u16 {
    peer.send(|buf| write_heartbeat(buf, b"x"));
    let answer = peer.answer();
    assert_eq!(answer.kinds(), [ChunkType::HEARTBEAT_ACK]);
    answer.udp.unwrap().destination
}

#[test]
fn rfc6951_5_4_answers_go_to_the_port_that_was_seen() {
    let mut peer = peer_on(20_000);
    peer.send_init();
    let answer = peer.answer();
    let expected = UdpPorts {
        source: 9899,
        destination: 20_000,
    };
    assert_eq!(answer.udp, Some(expected));
    peer.establish();
    assert_eq!(answered_to(&mut peer), 20_000);
    assert_eq!(peer.status().unwrap().paths[0].encapsulation_port, Some(20_000));
}

#[test]
fn rfc6951_5_4_the_port_follows_packets_with_the_right_tag() {
    let mut peer = peer_on(20_000);
    peer.establish();
    // A translator on the way has changed its mind.
    move_to(&mut peer, 20_001);
    assert_eq!(answered_to(&mut peer), 20_001);
    peer.z_says(b"data");
    let answer = peer.answer();
    assert_eq!(
        (answer.kinds(), answer.udp.unwrap().destination),
        (vec![ChunkType::DATA], 20_001)
    );
}

#[test]
fn rfc6951_5_4_the_port_does_not_follow_packets_with_a_wrong_tag_nor_an_init() {
    let mut peer = peer_on(20_000);
    peer.establish();
    let z_tag = peer.z_tag;
    move_to(&mut peer, 6666);
    peer.send_tagged(VerificationTag(z_tag.0 ^ 1), |buf| write_heartbeat(buf, b"x"));
    peer.expect_silence();
    peer.fixed.initiate_tag = VerificationTag(0x6666);
    peer.send_init();
    let answer = peer.answer();
    assert_eq!(
        (answer.kinds(), answer.udp.unwrap().destination),
        (vec![ChunkType::INIT_ACK], 6666),
        "an answer to the INIT goes where that came from"
    );
    peer.z_says(b"data");
    let answer = peer.answer();
    assert_eq!(
        (answer.kinds(), answer.udp.unwrap().destination),
        (vec![ChunkType::DATA], 20_000)
    );
}

#[test]
fn rfc6951_5_4_an_answer_to_an_out_of_the_blue_packet_goes_back_to_its_port() {
    let mut peer = peer_on(40_404);
    peer.send_tagged(VerificationTag(77), |buf| write_heartbeat(buf, b"x"));
    let answer = peer.answer();
    assert_eq!(answer.kinds(), [ChunkType::ABORT]);
    assert_eq!(answer.udp.unwrap().destination, 40_404);
}

/// The UDP port that Z's packets to an address of the peer go to; `None` without UDP.
fn port_to(peer: &Peer, link: usize) -> Option<u16> {
    let address = peer.address(link);
    let paths = peer.status().unwrap().paths;
    let path = paths.iter().find(|path| path.address == address).unwrap();
    path.encapsulation_port
}

#[test]
fn rfc6951_5_4_a_packet_without_udp_ends_encapsulation_and_one_in_udp_begins_it() {
    let mut peer = peer_on(20_000);
    peer.establish();
    peer.transport = Transport::Sctp;
    peer.send(|buf| write_heartbeat(buf, b"x"));
    let answer = peer.answer();
    assert_eq!((answer.kinds(), answer.udp), (vec![ChunkType::HEARTBEAT_ACK], None));
    assert_eq!(port_to(&peer, 0), None);
    peer.z_says(b"data");
    let answer = peer.answer();
    assert_eq!((answer.kinds(), answer.udp), (vec![ChunkType::DATA], None));
    move_to(&mut peer, 20_001);
    assert_eq!(answered_to(&mut peer), 20_001);
    assert_eq!(port_to(&peer, 0), Some(20_001));
}

#[test]
fn rfc6951_5_4_a_packet_without_udp_and_without_the_right_tag_ends_nothing() {
    let mut peer = peer_on(20_000);
    peer.establish();
    peer.transport = Transport::Sctp;
    let z_tag = peer.z_tag;
    peer.send_tagged(VerificationTag(z_tag.0 ^ 1), |buf| write_heartbeat(buf, b"x"));
    peer.expect_silence();
    assert_eq!(port_to(&peer, 0), Some(20_000));
}

#[test]
fn rfc6951_5_6_packets_grow_by_the_udp_header_that_is_gone() {
    let mut peer = peer_on(20_000);
    peer.establish();
    let (mut longest, mut acked) = (Vec::new(), 0);
    for transport in [peer.transport, Transport::Sctp, peer.transport] {
        peer.transport = transport;
        peer.send(|buf| write_heartbeat(buf, b"x"));
        peer.answer();
        peer.z_says(&[1; 3000]);
        let answers = peer.answers();
        let chunks = data_chunks(&answers);
        longest.push(chunks.iter().map(|chunk| chunk.payload.len()).max().unwrap());
        acked += u32::try_from(chunks.len()).unwrap();
        peer.send_sack(acked - 1, 100_000, &[]);
        peer.answers();
    }
    assert_eq!(longest, [longest[0], longest[0] + 8, longest[0]]);
}

#[test]
fn rfc6951_5_1_peers_with_and_without_udp_meet_on_one_stack() {
    for first_in_udp in [true, false] {
        let mut peer = peer_on(20_000);
        let udp = peer.transport;
        peer.transport = if first_in_udp { udp } else { Transport::Sctp };
        peer.establish();
        // Another peer, at another SCTP port of the same host, the other way.
        peer.transport = if first_in_udp { Transport::Sctp } else { udp };
        let header = CommonHeader {
            source_port: PEER_PORT + 1,
            destination_port: Z_PORT,
            verification_tag: VerificationTag::ZERO,
        };
        let mut init = Vec::new();
        let start = begin_packet(&mut init, &header);
        write_init(&mut init, ChunkType::INIT, &peer.fixed, |_| {});
        finish_packet(&mut init, start);
        peer.send_bytes(init);
        let answer = peer.answer();
        assert_eq!(answer.kinds(), [ChunkType::INIT_ACK]);
        assert_eq!(answer.udp.is_some(), !first_in_udp, "it comes back as it went");
        assert_eq!(port_to(&peer, 0), first_in_udp.then_some(20_000));
        peer.z_says(b"data");
        assert_eq!(peer.answer().udp.is_some(), first_in_udp);
    }
}

#[test]
fn rfc6951_5_4_each_address_has_the_port_that_was_seen_there() {
    let mut peer = Peer::with(PeerSetup {
        encapsulation: Some(9899),
        links: 3,
        ..PeerSetup::default()
    });
    move_to(&mut peer, 20_000);
    peer.establish_on_all_links();
    assert_eq!([0, 1, 2].map(|link| port_to(&peer, link)), [Some(20_000); 3]);
    for (link, transport) in [(1, Some(20_001)), (2, None)] {
        peer.transport = match transport {
            Some(source) => Transport::SctpInUdp(UdpPorts {
                source,
                destination: 9899,
            }),
            None => Transport::Sctp,
        };
        let z_tag = peer.z_tag;
        let packet = peer.packet(z_tag, |buf| write_heartbeat(buf, b"x"));
        peer.send_on(link, packet);
        let answer = peer.answer();
        assert_eq!(answer.udp.map(|ports| ports.destination), transport);
    }
    assert_eq!(
        [0, 1, 2].map(|link| port_to(&peer, link)),
        [Some(20_000), Some(20_001), None]
    );
}

#[test]
fn rfc6951_5_4_a_restart_moves_the_port_with_its_cookie_and_not_before() {
    let mut peer = peer_on(20_000);
    peer.establish();
    move_to(&mut peer, 30_000);
    peer.fixed.initiate_tag = VerificationTag(0x3333_4444);
    peer.send_init();
    let init_ack = peer.answer();
    assert_eq!(init_ack.kinds(), [ChunkType::INIT_ACK]);
    assert_eq!(port_to(&peer, 0), Some(20_000));
    // A cookie that was tampered with is nobody's.
    let z_tag = peer.z_tag;
    let cookie = peer.learn(&init_ack);
    let new_tag = peer.z_tag;
    let mut forged = cookie.clone();
    forged[20] ^= 1;
    peer.send(|buf| write_cookie_echo(buf, &forged));
    peer.expect_silence();
    assert_eq!(port_to(&peer, 0), Some(20_000));
    assert_ne!(z_tag, new_tag);
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    assert!(peer.answer().has(ChunkType::COOKIE_ACK));
    assert_eq!(port_to(&peer, 0), Some(30_000));
    assert_eq!(answered_to(&mut peer), 30_000);
}

#[test]
fn rfc6951_5_4_a_restarted_peer_is_found_on_all_its_addresses() {
    let mut peer = Peer::with(PeerSetup {
        encapsulation: Some(9899),
        links: 2,
        ..PeerSetup::default()
    });
    move_to(&mut peer, 20_000);
    peer.establish_on_all_links();
    move_to(&mut peer, 30_000);
    peer.fixed.initiate_tag = VerificationTag(0x3333_4444);
    peer.tag = peer.fixed.initiate_tag;
    peer.tsn = peer.fixed.initial_tsn;
    peer.establish_on_all_links();
    assert_eq!([0, 1].map(|link| port_to(&peer, link)), [Some(30_000); 2]);
}
