//! Own addresses of one family that go while the association is open, and what the peer still sends there (RFC 5061
//! §5.3 F4): nothing that cannot be answered from there may hold up the rest.

mod common;

use std::net::IpAddr;

use common::asconf::{FIRST, add, ask, ask_from, delete, established_with, gain, ip, move_to, peers, unconnected};
use common::{Answer, Peer, data_chunks, ms, secs};
use sctp::config::AssociationConfig;
use sctp::error::FailureReason;
use sctp::serial::{RequestSeq, Tsn};
use sctp::wire::{
    ChunkType, Param, ReconfigParam, write_cookie_echo, write_data, write_heartbeat, write_reconfig, write_sack,
};
use sctp::{Event, PathState, PathStatus};

/// The peer's IPv6 address and Z's, beside the IPv4 ones.
const PEER6: &str = "fd00::1";
const Z6: &str = "fd00::2";

/// An association over IPv4 and IPv6, and the cookie that opened it. Set-up went over IPv4, and IPv6 is not confirmed.
fn unconfirmed_dual_stack(change: impl Fn(&mut AssociationConfig)) -> (Peer, Vec<u8>) {
    let mut peer = unconnected(1, change);
    let (host, z) = (peer.host, peer.z);
    peer.world.add_address(host, 0, ip(PEER6));
    peer.world.add_address(z, 0, ip(Z6));
    peer.send_init_with(|w| {
        let listed = [ChunkType::ASCONF, ChunkType::ASCONF_ACK, ChunkType::RE_CONFIG];
        Param::SupportedExtensions(&listed.map(|kind| kind.0)).write(w);
        Param::address(ip("10.1.0.1")).write(w);
        Param::address(ip(PEER6)).write(w);
    });
    let answer = peer.answer();
    let cookie = peer.learn(&answer);
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    (peer, cookie)
}

/// The same with both confirmed.
fn dual_stack(change: impl Fn(&mut AssociationConfig)) -> (Peer, Vec<u8>) {
    let (mut peer, cookie) = unconfirmed_dual_stack(change);
    for _ in 0..4 {
        let answers = peer.run(ms(500));
        peer.answer_heartbeats(&answers);
    }
    peer.answers();
    assert_eq!(path(&peer, PEER6).unwrap().state, PathState::Active);
    (peer, cookie)
}

fn path(peer: &Peer, address: &str) -> Option<PathStatus> {
    let paths = peer.status().unwrap().paths;
    paths.into_iter().find(|path| path.address == ip(address))
}

/// Z leaves its IPv6 address; the peer does not answer to that yet.
fn leave_v6(peer: &mut Peer) {
    let (now, assoc, z) = (peer.world.now(), peer.assoc.unwrap(), peer.z);
    peer.world.stack(z).remove_local_address(now, assoc, ip(Z6)).unwrap();
    assert!(peer.answers().iter().any(|packet| packet.has(ChunkType::ASCONF)));
    assert_eq!(path(peer, PEER6).unwrap().state, PathState::Inactive);
}

fn send_v6(peer: &mut Peer, chunks: impl FnOnce(&mut Vec<u8>)) {
    let packet = peer.packet(peer.z_tag, chunks);
    peer.send_between(ip(PEER6), ip(Z6), packet);
}

fn to(packets: &[Answer], address: IpAddr) -> Vec<Answer> {
    packets.iter().filter(|packet| packet.dst == address).cloned().collect()
}

#[test]
fn rfc5061_5_3_f4_a_heartbeat_to_an_address_that_was_left_holds_up_no_other() {
    let (mut peer, _) = dual_stack(|_| {});
    leave_v6(&mut peer);
    for n in 0..20 {
        send_v6(&mut peer, |buf| write_heartbeat(buf, &[n; 8]));
    }
    peer.answers();
    peer.send(|buf| write_heartbeat(buf, b"over v4"));
    let answers = peer.answers();
    assert!(
        answers.iter().any(|packet| packet.has(ChunkType::HEARTBEAT_ACK)),
        "{answers:?}"
    );
}

#[test]
fn rfc5061_5_3_f4_an_answer_to_what_came_to_an_address_that_was_left_leaves_from_another() {
    let (mut peer, cookie) = dual_stack(|_| {});
    leave_v6(&mut peer);
    let v4 = peer.address(0);
    let request_seq = RequestSeq(peer.fixed.initial_tsn.0);
    send_v6(&mut peer, |buf| {
        write_reconfig(buf, |w| ReconfigParam::SsnTsnReset { request_seq }.write(w))
    });
    let answers = peer.answers();
    assert!(
        to(&answers, v4).iter().any(|packet| packet.has(ChunkType::RE_CONFIG)),
        "{answers:?}"
    );
    send_v6(&mut peer, |buf| write_cookie_echo(buf, &cookie));
    let answers = peer.answers();
    assert!(
        to(&answers, v4).iter().any(|packet| packet.has(ChunkType::COOKIE_ACK)),
        "{answers:?}"
    );
    let header = Peer::header(peer.tsn, 0, 0);
    send_v6(&mut peer, |buf| write_data(buf, &header, b"late"));
    let answers = peer.run(ms(300));
    assert!(
        to(&answers, v4).iter().any(|packet| packet.has(ChunkType::SACK)),
        "{answers:?}"
    );
    peer.z_says(b"goes on");
    assert_eq!(data_chunks(&peer.answers()).len(), 1);
}

#[test]
fn rfc5061_5_3_f4_an_answer_that_nothing_can_carry_waits_for_an_address_and_holds_up_nothing_then() {
    for kind in [ChunkType::RE_CONFIG, ChunkType::COOKIE_ACK] {
        let (mut peer, cookie) = unconfirmed_dual_stack(|_| {});
        peer.answers();
        let (now, assoc, z, old) = (peer.world.now(), peer.assoc.unwrap(), peer.z, peer.z_address(0));
        peer.world.stack(z).remove_local_address(now, assoc, old).unwrap();
        peer.answers();
        let request_seq = RequestSeq(peer.fixed.initial_tsn.0);
        peer.send(|buf| match kind {
            ChunkType::RE_CONFIG => write_reconfig(buf, |w| ReconfigParam::SsnTsnReset { request_seq }.write(w)),
            _ => write_cookie_echo(buf, &cookie),
        });
        peer.z_says(b"waits as well");
        let before = peer.run(secs(2));
        assert!(!before.iter().any(|packet| packet.has(kind)), "{before:?}");
        assert!(data_chunks(&before).is_empty());
        assert!(peer.answer_heartbeats(&before) > 0);
        let answers = to(&peer.answers(), ip(PEER6));
        assert!(answers.iter().any(|packet| packet.has(kind)), "{kind}: {answers:?}");
        assert_eq!(data_chunks(&answers).len(), 1, "{kind}: {answers:?}");
    }
}

#[test]
fn rfc9260_5_4_an_address_that_nothing_can_be_sent_to_takes_no_turn_from_others() {
    let (mut peer, _) = unconfirmed_dual_stack(|_| {});
    peer.run(secs(1));
    let (now, assoc, z) = (peer.world.now(), peer.assoc.unwrap(), peer.z);
    peer.world.stack(z).remove_local_address(now, assoc, ip(Z6)).unwrap();
    peer.run(secs(2));
    gain(&mut peer, "10.1.0.7");
    ask(&mut peer, FIRST, &[add("10.1.0.7")]);
    let sent = to(&peer.run(secs(10)), ip("10.1.0.7"));
    assert!(sent.iter().any(|packet| packet.has(ChunkType::HEARTBEAT)), "{sent:?}");
}

#[test]
fn rfc5061_5_3_f4_what_is_reported_missing_is_sent_again_from_another_address() {
    let (mut peer, _) = dual_stack(|_| {});
    let (assoc, z) = (peer.assoc.unwrap(), peer.z);
    peer.world.stack(z).set_primary(assoc, ip(PEER6)).unwrap();
    for n in 0..4 {
        peer.z_says(&[n]);
        let sent = peer.answers();
        assert_eq!(data_chunks(&sent).len(), 1, "{sent:?}");
        assert_eq!(sent[0].dst, ip(PEER6));
    }
    leave_v6(&mut peer);
    // The first one was lost.
    let first: Tsn = peer.z_tsn;
    for last in 2..=4 {
        peer.send(|buf| write_sack(buf, first.minus(1), 100_000, &[(2, last)], &[]));
    }
    let v4 = peer.address(0);
    let answers = peer.run(secs(5));
    let again = to(&answers, v4);
    assert!(data_chunks(&again).iter().any(|data| data.tsn == first), "{answers:?}");
}

#[test]
fn rfc5061_5_3_f14_a_peer_that_moves_and_is_not_there_is_noticed() {
    for heartbeats in [true, false] {
        let mut peer = established_with(|config| {
            if !heartbeats {
                config.path_mut().set_heartbeat_interval(None).unwrap();
            }
        });
        move_to(&mut peer, "10.1.0.7");
        peer.answers();
        assert_eq!(peers(&peer), [ip("10.1.0.7")]);
        peer.z_says(b"anybody there");
        peer.run(secs(1200));
        let reason = FailureReason::PeerUnreachable;
        assert!(
            peer.log.contains(&Event::CommunicationLost { reason }),
            "heartbeats: {heartbeats}, {:?}",
            peer.log
        );
    }
}

#[test]
fn rfc9260_5_4_addresses_that_a_peer_moved_to_are_asked_in_turn_and_its_silence_is_noticed() {
    let mut peer = established_with(|_| {});
    let new = ["10.1.0.7", "10.1.0.8"];
    for address in new {
        gain(&mut peer, address);
    }
    let changes = [add(new[0]), add(new[1]), delete("10.1.0.1")];
    ask_from(&mut peer, new[1], FIRST, "10.1.0.1", &changes);
    peer.answers();
    assert_eq!(peers(&peer).len(), 2);
    let sent = peer.run(secs(1200));
    let asked = new.map(|address| {
        let there = to(&sent, ip(address));
        there.iter().filter(|packet| packet.has(ChunkType::HEARTBEAT)).count()
    });
    assert!(asked[0].abs_diff(asked[1]) <= 1, "{asked:?}");
    let reason = FailureReason::PeerUnreachable;
    assert!(
        peer.log.contains(&Event::CommunicationLost { reason }),
        "{:?}",
        peer.log
    );
}
