//! Addresses that change while an association shuts down (RFC 9260 §9.2, RFC 5061 §5.1.1 C4): what has no address to be
//! sent to or from waits, and goes on as soon as there is one.

mod common;

use common::asconf::{
    FIRST, add, asconf, ask_from, delete, established, gain, ip, peers, supports, unconnected, z_asks,
};
use common::{Answer, Peer, ms, secs};
use sctp::serial::AsconfSerial;
use sctp::wire::{Asconf, ChunkType, Param, write_asconf_ack, write_shutdown, write_shutdown_ack};
use sctp::{AssociationPhase, Event};

/// A peer that has moved to an address that Z has not verified yet.
fn moved() -> Peer {
    let mut peer = established();
    gain(&mut peer, "10.1.0.7");
    let changes = [add("10.1.0.7"), delete("10.1.0.1")];
    ask_from(&mut peer, "10.1.0.7", FIRST, "10.1.0.1", &changes);
    peer.answers();
    assert_eq!(peers(&peer), [ip("10.1.0.7")]);
    peer
}

fn send_from(peer: &mut Peer, source: &str, chunks: impl FnOnce(&mut Vec<u8>)) {
    let (packet, z) = (peer.packet(peer.z_tag, chunks), peer.z_address(0));
    peer.send_between(ip(source), z, packet);
}

fn kinds(packets: &[Answer]) -> Vec<ChunkType> {
    packets.iter().flat_map(Answer::kinds).collect()
}

/// The serial numbers of the ASCONFs among these packets.
fn serials(packets: &[Answer]) -> Vec<AsconfSerial> {
    let chunks = packets.iter().flat_map(|packet| &packet.chunks);
    let asconfs = chunks.filter(|chunk| chunk.kind == ChunkType::ASCONF);
    asconfs
        .map(|chunk| Asconf::parse(&chunk.value).unwrap().serial)
        .collect()
}

#[test]
fn rfc9260_9_2_a_shutdown_waits_until_a_peer_that_moved_is_verified() {
    let mut peer = moved();
    peer.z_shuts_down();
    let answers = peer.run(secs(2));
    assert!(
        kinds(&answers).iter().all(|kind| *kind == ChunkType::HEARTBEAT),
        "{answers:?}"
    );
    assert_eq!(peer.phase(), Some(AssociationPhase::ShutdownPending));
    assert!(peer.answer_heartbeats(&answers) > 0);
    let answers = peer.answers();
    assert_eq!(
        (kinds(&answers), answers[0].dst),
        (vec![ChunkType::SHUTDOWN], ip("10.1.0.7"))
    );
    send_from(&mut peer, "10.1.0.7", write_shutdown_ack);
    assert_eq!(kinds(&peer.answers()), [ChunkType::SHUTDOWN_COMPLETE]);
    assert_eq!(peer.log.last(), Some(&Event::ShutdownComplete));
}

#[test]
fn rfc9260_9_2_a_peer_that_moved_and_shuts_down_is_verified_first() {
    let mut peer = moved();
    let acked = peer.z_tsn.minus(1);
    send_from(&mut peer, "10.1.0.7", |buf| write_shutdown(buf, acked));
    let answers = peer.run(secs(2));
    assert!(
        kinds(&answers).iter().all(|kind| *kind == ChunkType::HEARTBEAT),
        "{answers:?}"
    );
    assert_eq!(peer.phase(), Some(AssociationPhase::ShutdownReceived));
    assert!(peer.answer_heartbeats(&answers) > 0);
    let answers = peer.answers();
    assert_eq!(kinds(&answers), [ChunkType::SHUTDOWN_ACK]);
    assert_eq!(peer.phase(), Some(AssociationPhase::ShutdownAckSent));
}

#[test]
fn rfc5061_5_1_1_c4_what_is_left_of_a_peer_is_verified_during_the_shutdown() {
    let mut peer = unconnected(2, |_| {});
    peer.establish_with(|w| {
        supports(w);
        ["10.1.0.1", "10.2.0.1"]
            .iter()
            .for_each(|address| Param::address(ip(address)).write(w));
    });
    peer.z_shuts_down();
    let first = peer.answers();
    assert_eq!(
        (kinds(&first), first[0].dst),
        (vec![ChunkType::SHUTDOWN], ip("10.1.0.1"))
    );
    let packet = peer.packet(peer.z_tag, |buf| asconf(buf, FIRST, "10.1.0.1", &[delete("10.1.0.1")]));
    peer.send_on(1, packet);
    let mut later = peer.run(secs(3));
    assert_eq!(peers(&peer), [ip("10.2.0.1")]);
    assert_eq!(kinds(&later).remove(0), ChunkType::ASCONF_ACK);
    assert!(!kinds(&later).contains(&ChunkType::SHUTDOWN), "{later:?}");
    later.retain(|packet| packet.has(ChunkType::HEARTBEAT));
    assert!(peer.answer_heartbeats(&later) > 0);
    let answers = peer.answers();
    assert_eq!(
        (kinds(&answers), answers[0].dst),
        (vec![ChunkType::SHUTDOWN], ip("10.2.0.1"))
    );
}

#[test]
fn rfc5061_5_1_1_c4_a_side_that_is_moving_tells_the_peer_before_its_last_word() {
    let mut peer = established();
    let (now, assoc, z, old) = (peer.world.now(), peer.assoc.unwrap(), peer.z, peer.z_address(0));
    peer.world.add_address(z, 0, ip("10.1.0.8"));
    let stack = peer.world.stack(z);
    stack.add_local_address(now, assoc, ip("10.1.0.8")).unwrap();
    stack.remove_local_address(now, assoc, old).unwrap();
    assert_eq!(kinds(&peer.answers()), [ChunkType::ASCONF], "which is lost");
    let acked = peer.z_tsn.minus(1);
    peer.send(|buf| write_shutdown(buf, acked));
    let answers = peer.run(secs(2));
    assert_eq!(peer.phase(), Some(AssociationPhase::ShutdownReceived));
    let serial = serials(&answers)[0];
    assert_eq!(kinds(&answers), [ChunkType::ASCONF], "{answers:?}");
    let packet = peer.packet(peer.z_tag, |buf| write_asconf_ack(buf, serial, |_| {}));
    let here = peer.address(0);
    peer.send_between(here, ip("10.1.0.8"), packet);
    let answers = peer.answers();
    assert_eq!(
        (kinds(&answers), answers[0].src),
        (vec![ChunkType::SHUTDOWN_ACK], ip("10.1.0.8"))
    );
}

#[test]
fn rfc5061_5_1_1_c4_no_asconf_is_sent_after_the_shutdown_ack() {
    let mut peer = established();
    z_asks(&mut peer);
    let acked = peer.z_tsn.minus(1);
    peer.send(|buf| write_shutdown(buf, acked));
    assert_eq!(kinds(&peer.answers()), [ChunkType::SHUTDOWN_ACK]);
    let answers = peer.run(ms(4500));
    assert_eq!(kinds(&answers), [ChunkType::SHUTDOWN_ACK; 2]);
    assert_eq!(peer.status().unwrap().stats.t4_expiries, 0);
}
