//! Whose an address is: what set-up learns (RFC 9260 §5.1.2), and what must be verified first (§5.4).

mod common;

use common::{A, B, PEER_PORT, Peer, PeerSetup, Setup, data_chunks, ms, secs};
use sctp::serial::VerificationTag;
use sctp::wire::{ChunkType, Param, write_cookie_ack, write_init};
use sctp::{AssociationPhase, ConnectOptions, Event, PathChange, PathState};

/// A peer with two addresses.
fn dual() -> Peer {
    Peer::with(PeerSetup {
        links: 2,
        ..PeerSetup::default()
    })
}

/// The addresses and their states, as Z sees them.
fn paths(peer: &Peer) -> Vec<(std::net::IpAddr, PathState, bool)> {
    let paths = peer.status().unwrap().paths;
    paths
        .iter()
        .map(|path| (path.address, path.state, path.primary))
        .collect()
}

#[test]
fn rfc9260_5_4_what_the_user_names_is_confirmed_and_what_the_peer_lists_is_probed() {
    let mut pair = Setup::dual().build();
    pair.connect();
    let state = |pair: &common::Pair, side, link| pair.path(side, link).state;
    assert_eq!(state(&pair, A, 0), PathState::Active);
    assert_eq!(state(&pair, A, 1), PathState::Active, "rule 1");
    assert_eq!(state(&pair, B, 0), PathState::Active, "rule 2");
    let second = pair.address(A, 1);
    pair.must("B confirms A's second address", secs(5), |pair| {
        state(pair, B, 1) == PathState::Active
    });
    assert!(pair.reported(B, |event| {
        *event
            == Event::PathChanged {
                address: second,
                change: PathChange::Confirmed,
            }
    }));
    assert!(!pair.reported(A, |event| matches!(event, Event::PathChanged { .. })));
}

#[test]
fn the_address_that_answers_becomes_the_primary_one() {
    let mut pair = Setup::dual().build();
    pair.world.set_link_up(pair.links[0], false);
    pair.connect();
    assert!(pair.path(A, 1).primary);
    assert!(pair.path(B, 1).primary);
}

#[test]
fn rfc9260_5_1_2_named_addresses_that_the_init_ack_does_not_tell_are_not_the_peers() {
    let mut peer = dual();
    peer.connect();
    let init = peer.answer();
    peer.learn(&init);
    peer.send_init_ack(b"cookie", |_| {});
    assert!(peer.answer().has(ChunkType::COOKIE_ECHO));
    peer.send(write_cookie_ack);
    peer.answers();
    assert_eq!(paths(&peer), [(peer.address(0), PathState::Active, true)]);
}

#[test]
fn rfc9260_5_1_2_all_that_the_init_ack_tells_is_learned() {
    let mut peer = dual();
    let (first, second) = (peer.address(0), peer.address(1));
    let (now, endpoint) = (peer.world.now(), peer.endpoint);
    let options = ConnectOptions::default();
    let stack = peer.world.stack(peer.z);
    peer.assoc = Some(stack.connect(now, endpoint, &[second], PEER_PORT, options).unwrap());
    let init = peer.answer();
    peer.learn(&init);
    let fixed = peer.fixed;
    let init_ack = peer.packet(peer.z_tag, |buf| {
        write_init(buf, ChunkType::INIT_ACK, &fixed, |w| {
            Param::StateCookie(b"cookie").write(w);
            Param::address(first).write(w);
        });
    });
    peer.send_on(1, init_ack);
    assert!(peer.answer().has(ChunkType::COOKIE_ECHO));
    let ack = peer.packet(peer.z_tag, write_cookie_ack);
    peer.send_on(1, ack);
    peer.answers();
    assert_eq!(
        paths(&peer),
        [
            (second, PathState::Active, true),
            (first, PathState::Unconfirmed, false)
        ]
    );
}

#[test]
fn rfc9260_5_2_1_an_init_ack_in_cookie_wait_says_what_the_own_init_said() {
    let mut peer = Peer::new();
    let (now, endpoint) = (peer.world.now(), peer.endpoint);
    let mut config = common::without_discovery();
    config.set_receive_buffer(54_321).unwrap();
    config.set_outbound_streams(3).unwrap();
    config.set_max_inbound_streams(5).unwrap();
    let options = ConnectOptions { config: Some(config) };
    let address = peer.address(0);
    peer.world
        .stack(peer.z)
        .connect(now, endpoint, &[address], PEER_PORT, options)
        .unwrap();
    let init = peer.answer().chunks[0].init().fixed;
    peer.send_init();
    let answer = peer.answer();
    assert_eq!(answer.kinds(), [ChunkType::INIT_ACK]);
    assert_eq!(answer.chunks[0].init().fixed, init);
}

#[test]
fn rfc9260_5_2_4_action_a_a_restarted_peer_has_the_addresses_that_it_names_now() {
    let mut peer = dual();
    let addresses = [peer.address(0), peer.address(1)];
    peer.establish_with(|w| addresses.iter().for_each(|&address| Param::address(address).write(w)));
    assert_eq!(peer.status().unwrap().paths.len(), 2);
    peer.fixed.initiate_tag = VerificationTag(0x7777);
    peer.establish();
    assert!(peer.log.iter().any(|event| matches!(event, Event::Restarted { .. })));
    assert_eq!(paths(&peer), [(addresses[0], PathState::Active, true)]);
    peer.z_says(b"for the new peer");
    assert_eq!(data_chunks(&peer.answers()).len(), 1);
    // The address that it does not name any more can have an association of its own.
    let init = peer.packet(VerificationTag::ZERO, |buf| {
        let fixed = sctp::wire::InitFixed {
            initiate_tag: VerificationTag(0x8888),
            ..peer.fixed
        };
        write_init(buf, ChunkType::INIT, &fixed, |_| {});
    });
    peer.send_on(1, init);
    let answers = peer.run(ms(2));
    assert!(answers.iter().any(|answer| answer.kinds() == [ChunkType::INIT_ACK]));
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
}
