//! Address changes around set-up: who takes part, end points, restarts (RFC 5061).

mod common;

use common::addresses::{
    NEW, add, answers, authenticated, changes, connected, gain, ip, lose_address, offered, peers, prefer, remove,
};
use common::{A, B, Flow, Pair, Setup, secs, transfer};
use sctp::error::{AddressError, FailureReason, Violation};
use sctp::wire::{AddressChange, ChunkType};
use sctp::{Event, PathChange};

#[test]
fn rfc5061_4_2_7_it_is_used_only_if_both_sides_offer_it() {
    let mut pair = connected(Setup::dual().config_of(A, offered));
    let second = pair.address(A, 1);
    assert_eq!(remove(&mut pair, A, second), Err(AddressError::NotNegotiated));
    let second = pair.address(B, 1);
    assert_eq!(remove(&mut pair, B, second), Err(AddressError::NotNegotiated));
    // The host's own loss is noticed all the same.
    let mut flows = [Flow::new(A, 50), Flow::new(B, 50)];
    transfer(&mut pair, &mut flows, secs(20));
}

#[test]
fn rfc5061_4_1_1_it_goes_authenticated_unless_that_is_excused() {
    let mut pair = connected(Setup::single().config(authenticated));
    gain(&mut pair, A, 0, ip(NEW));
    pair.run(secs(2));
    assert_eq!(changes(&pair, B, ip(NEW)), [PathChange::Added, PathChange::Confirmed]);
    for (side, kind) in [(A, ChunkType::ASCONF), (B, ChunkType::ASCONF_ACK)] {
        let sent = pair.sent(side);
        let packets: Vec<_> = sent.iter().filter(|packet| packet.has(kind)).collect();
        assert_eq!(packets.len(), 1);
        assert_eq!(packets[0].kinds(), [ChunkType::AUTH, kind]);
    }
    let stack = pair.world.peek(pair.hosts[B]);
    let listed = stack.local_auth_chunks(pair.assoc(B)).unwrap();
    assert_eq!(listed, [ChunkType::ASCONF_ACK, ChunkType::ASCONF]);
}

#[test]
fn rfc5061_4_2_7_one_side_with_authentication_and_one_without_do_not_change_addresses() {
    let mut pair = Setup::dual().config_of(B, authenticated).build();
    pair.connect();
    let second = pair.address(B, 1);
    assert_eq!(remove(&mut pair, B, second), Err(AddressError::NotNegotiated));
    // §4.2.7: who offers it must offer AUTH as well; an INIT that does not is refused.
    let mut pair = Setup::dual().config_of(A, offered).config_of(B, authenticated).build();
    pair.start(A);
    pair.must("A is refused", secs(5), |pair| pair.ends(A) == 1);
    assert!(!pair.has_assoc(B));
    // So is an INIT ACK.
    let mut pair = Setup::dual().config_of(B, offered).config_of(A, authenticated).build();
    pair.start(A);
    pair.must("A refuses", secs(5), |pair| pair.ends(A) == 1);
    let reason = FailureReason::PeerMisbehaved(Violation::AsconfWithoutAuth);
    assert!(pair.reported(A, |event| *event == Event::ConnectFailed { reason: reason.clone() }));
    assert!(!pair.has_assoc(B));
}

#[test]
fn rfc6458_9_1_an_end_point_is_bound_to_more_and_fewer_addresses() {
    let mut pair = Setup::dual().config(offered).build();
    let (now, host) = (pair.now(), pair.hosts[A]);
    let endpoint = pair.endpoint(A);
    let stack = pair.world.stack(host);
    let all = AddressError::BoundToAll;
    assert_eq!(stack.add_endpoint_address(now, endpoint, ip("10.1.0.1")), Err(all));
    stack.close_endpoint(now, endpoint);
    pair.open_on(A, &[ip("10.1.0.1")]);
    pair.connect();
    let (now, endpoint) = (pair.now(), pair.endpoint(A));
    let stack = pair.world.stack(host);
    let nowhere = AddressError::AddressNotAvailable;
    assert_eq!(stack.add_endpoint_address(now, endpoint, ip("10.9.0.1")), Err(nowhere));
    assert_eq!(
        stack.remove_endpoint_address(now, endpoint, ip("10.1.0.1")),
        Err(AddressError::LastAddress)
    );
    stack.add_endpoint_address(now, endpoint, ip("10.2.0.1")).unwrap();
    pair.run(secs(2));
    assert_eq!(peers(&pair, B), [ip("10.1.0.1"), ip("10.2.0.1")]);
    let now = pair.now();
    let stack = pair.world.stack(host);
    stack.remove_endpoint_address(now, endpoint, ip("10.1.0.1")).unwrap();
    assert_eq!(stack.local_addresses(endpoint), [ip("10.2.0.1")]);
    pair.run(secs(2));
    assert_eq!(peers(&pair, B), [ip("10.2.0.1")]);
}

#[test]
fn what_is_asked_for_during_set_up_is_asked_for_afterwards() {
    let mut pair = Setup::single().config(offered).build();
    gain(&mut pair, A, 0, ip(NEW));
    let peer = [pair.address(B, 0)];
    lose_address(&mut pair, A, ip(NEW));
    pair.start_to(A, &peer);
    gain(&mut pair, A, 0, ip(NEW));
    add(&mut pair, A, ip(NEW)).unwrap();
    pair.must("both are up", secs(5), Pair::both_up);
    pair.run(secs(2));
    assert_eq!(peers(&pair, B), [ip("10.1.0.1"), ip(NEW)]);
}

#[test]
fn rfc5061_5_3_a_restarted_peer_begins_with_its_initial_tsn() {
    let mut pair = connected(Setup::single().config(offered));
    let wanted = pair.address(B, 0);
    for _ in 0..3 {
        prefer(&mut pair, B, wanted).unwrap();
        pair.run(secs(1));
    }
    pair.restart(A);
    pair.start(A);
    pair.must("B noticed", secs(60), |pair| {
        pair.reported(B, |event| matches!(event, Event::Restarted { .. }))
    });
    pair.run(secs(1));
    gain(&mut pair, A, 0, ip(NEW));
    add(&mut pair, A, ip(NEW)).unwrap();
    prefer(&mut pair, B, wanted).unwrap();
    pair.run(secs(2));
    assert_eq!(answers(&pair, A).last(), Some(&(AddressChange::Add(ip(NEW)), None)));
    assert_eq!(answers(&pair, B).len(), 4);
}
