//! SCTP in UDP (RFC 6951).

mod common;

use common::{A, B, Family, Flow, Peer, PeerSetup, Setup, ms, secs, transfer};
use sctp::UdpPorts;
use sctp::serial::VerificationTag;
use sctp::sim::{Script, Transport};
use sctp::wire::{ChunkType, write_heartbeat};

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
    for answer in peer.answers() {
        assert_eq!(
            answer.udp.unwrap().destination,
            6666,
            "an answer to the INIT goes where that came from"
        );
    }
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
