//! Addresses that change while an association is open, between two stacks (RFC 5061): requests and answers.

mod common;

use std::net::IpAddr;

use common::addresses::{
    NEW, add, answers, changes, connected, gain, ip, offered, own, path_to, peers, prefer, remove,
};
use common::{A, B, Family, Flow, Setup, lose, ms, secs, transfer, wire};
use sctp::error::{AddressError, FailureReason};
use sctp::sim::{LinkConfig, Verdict};
use sctp::wire::{AddressChange, ChunkType};
use sctp::{AssociationPhase, Event, PathChange, PathState};

#[test]
fn rfc5061_4_2_1_an_address_is_added_and_verified() {
    let mut pair = connected(Setup::single().config(offered));
    gain(&mut pair, A, 0, ip(NEW));
    add(&mut pair, A, ip(NEW)).unwrap();
    pair.run(secs(2));
    assert_eq!(answers(&pair, A), [(AddressChange::Add(ip(NEW)), None)]);
    assert_eq!(changes(&pair, B, ip(NEW)), [PathChange::Added, PathChange::Confirmed]);
    assert_eq!(path_to(&pair, B, ip(NEW)).unwrap().state, PathState::Active);
    assert_eq!(own(&pair, A), [ip("10.1.0.1"), ip(NEW)]);
    let mut flows = [Flow::new(A, 50), Flow::new(B, 50)];
    transfer(&mut pair, &mut flows, secs(20));
}

#[test]
fn rfc5061_5_3_f1_nothing_but_asconf_leaves_from_an_address_that_is_not_acknowledged() {
    let mut pair = connected(Setup::single().config(offered));
    pair.world.set_filter(pair.links[0], lose(ChunkType::ASCONF_ACK, 2));
    gain(&mut pair, A, 0, ip(NEW));
    add(&mut pair, A, ip(NEW)).unwrap();
    let mut flows = [Flow::new(A, 300), Flow::new(B, 300)];
    transfer(&mut pair, &mut flows, secs(60));
    pair.run(secs(5));
    assert_eq!(answers(&pair, A).len(), 1);
    let sent = pair.sent(A);
    let acknowledged = pair.log[A]
        .iter()
        .find(|(_, event)| matches!(event, Event::AddressChangeAnswered { .. }))
        .unwrap()
        .0;
    let early: Vec<_> = sent
        .iter()
        .filter(|packet| packet.src == ip(NEW) && packet.at < acknowledged)
        .collect();
    assert!(
        early.iter().all(|packet| packet.kinds() == [ChunkType::ASCONF]),
        "{early:?}"
    );
    assert!(pair.status(A).unwrap().stats.t4_expiries >= 2);
}

#[test]
fn rfc5061_5_3_f5_the_last_address_stays() {
    let mut pair = connected(Setup::dual().config(offered));
    let [first, second] = [pair.address(A, 0), pair.address(A, 1)];
    remove(&mut pair, A, first).unwrap();
    assert_eq!(remove(&mut pair, A, second), Err(AddressError::LastAddress));
    assert_eq!(remove(&mut pair, A, ip("10.9.9.9")), Err(AddressError::NoSuchAddress));
    pair.run(secs(1));
    assert_eq!(remove(&mut pair, A, second), Err(AddressError::LastAddress));
    assert_eq!(peers(&pair, B), [second]);
}

#[test]
fn rfc5061_5_4_the_peer_is_asked_to_send_to_another_address_first() {
    let mut pair = connected(Setup::dual().config(offered));
    pair.run(secs(3));
    let wanted = pair.address(A, 1);
    prefer(&mut pair, A, wanted).unwrap();
    pair.run(secs(1));
    assert!(path_to(&pair, B, wanted).unwrap().primary);
    assert_eq!(changes(&pair, B, wanted).last(), Some(&PathChange::Primary));
    assert_eq!(prefer(&mut pair, A, ip("10.9.9.9")), Err(AddressError::NoSuchAddress));
}

#[test]
fn rfc5061_5_4_an_added_address_becomes_primary_once_it_is_confirmed() {
    let mut pair = connected(Setup::single().config(offered));
    gain(&mut pair, A, 0, ip(NEW));
    prefer(&mut pair, A, ip(NEW)).unwrap_err();
    add(&mut pair, A, ip(NEW)).unwrap();
    prefer(&mut pair, A, ip(NEW)).unwrap();
    pair.run(secs(2));
    let expected = [PathChange::Added, PathChange::Confirmed, PathChange::Primary];
    assert_eq!(changes(&pair, B, ip(NEW)), expected);
}

#[test]
fn rfc5061_5_1_1_both_sides_ask_at_once() {
    for (seed, loss) in [(1, 0.0), (2, 0.2), (3, 0.2), (4, 0.3)] {
        let link = LinkConfig::new().latency(ms(10)).mtu(1500).loss(loss);
        let setup = Setup::single().seed(seed).link(&link).config(offered);
        let mut pair = connected(setup.config(|config| config.set_rto(secs(1), secs(1), secs(4)).unwrap()));
        let new = [ip(NEW), ip("10.1.0.102")];
        let mut flows = [Flow::new(A, 100), Flow::new(B, 100)];
        for side in [A, B] {
            let old = pair.address(side, 0);
            gain(&mut pair, side, 0, new[side]);
            add(&mut pair, side, new[side]).unwrap();
            prefer(&mut pair, side, new[side]).unwrap();
            remove(&mut pair, side, old).unwrap();
        }
        transfer(&mut pair, &mut flows, secs(300));
        pair.must("the addresses changed", secs(120), |pair| {
            [A, B].iter().all(|&side| {
                let there = path_to(pair, side, new[1 - side]);
                own(pair, side) == [new[side]] && there.is_some_and(|path| path.state == PathState::Active)
            })
        });
        assert_eq!([peers(&pair, A), peers(&pair, B)], [vec![new[B]], vec![new[A]]]);
    }
}

#[test]
fn rfc5061_5_2_e2_a_lost_answer_is_repeated_from_the_cache() {
    let mut pair = connected(Setup::single().config(offered));
    pair.world.set_filter(pair.links[0], lose(ChunkType::ASCONF_ACK, 1));
    gain(&mut pair, A, 0, ip(NEW));
    add(&mut pair, A, ip(NEW)).unwrap();
    pair.run(secs(5));
    let of = |side: usize, kind| {
        let sent = pair.sent(side);
        let chunks = sent
            .iter()
            .flat_map(|packet| &packet.chunks)
            .filter(|chunk| chunk.kind == kind);
        chunks.map(|chunk| chunk.value.clone()).collect::<Vec<_>>()
    };
    let (asconfs, acks) = (of(A, ChunkType::ASCONF), of(B, ChunkType::ASCONF_ACK));
    assert_eq!((asconfs.len(), acks.len()), (2, 2));
    assert_eq!((&asconfs[0], &acks[0]), (&asconfs[1], &acks[1]), "§5.1 B4: unchanged");
    assert_eq!(
        changes(&pair, B, ip(NEW)),
        [PathChange::Added, PathChange::Confirmed],
        "once"
    );
    assert_eq!(answers(&pair, A), [(AddressChange::Add(ip(NEW)), None)]);
}

#[test]
fn rfc5061_5_1_b_t4_backs_off_tries_other_paths_and_ends_the_association() {
    let mut pair = connected(Setup::dual().config(|config| {
        offered(config);
        config.path_mut().set_heartbeat_interval(None).unwrap();
    }));
    for link in pair.links.clone() {
        pair.world.set_filter(link, lose(ChunkType::ASCONF, usize::MAX));
    }
    let wanted = pair.address(A, 1);
    prefer(&mut pair, A, wanted).unwrap();
    pair.must("the association is given up", secs(1000), |pair| {
        let lost = |event: &Event| {
            let reason = FailureReason::PeerUnreachable;
            *event == Event::CommunicationLost { reason }
        };
        pair.reported(A, lost)
    });
    let on = |link: usize| {
        let sent = pair.sent_on(A, link);
        sent.iter().filter(|packet| packet.has(ChunkType::ASCONF)).count()
    };
    assert_eq!(on(0) + on(1), 11, "Association.Max.Retrans is 10");
    assert!(on(0) >= 4 && on(1) >= 4, "{} and {}", on(0), on(1));
}

#[test]
fn rfc5061_5_1_a5_an_answer_clears_the_error_counters() {
    let mut pair = connected(Setup::single().config(offered));
    for _ in 0..4 {
        pair.world.set_filter(pair.links[0], lose(ChunkType::ASCONF, 4));
        let wanted = pair.address(A, 0);
        prefer(&mut pair, A, wanted).unwrap();
        pair.run(secs(60));
        // Measures the round trip, so that the time-out comes down again.
        transfer(&mut pair, &mut [Flow::new(A, 20)], secs(20));
    }
    assert_eq!(answers(&pair, A).len(), 4);
    assert_eq!(pair.phase(A), Some(AssociationPhase::Established));
    assert_eq!(pair.path(A, 0).error_count, 0);
}

#[test]
fn rfc5061_5_3_an_address_of_the_other_family_is_added() {
    let mut pair = connected(Setup::dual().family(Family::Alternating).config(offered));
    pair.run(secs(2));
    let v4 = [pair.address(A, 0), pair.address(B, 0)];
    remove(&mut pair, A, v4[A]).unwrap();
    pair.run(secs(1));
    // Without an own IPv4 address the peer's is out of reach.
    assert_eq!(path_to(&pair, A, v4[B]).unwrap().state, PathState::Inactive);
    let mut flows = [Flow::new(A, 50), Flow::new(B, 50)];
    transfer(&mut pair, &mut flows, secs(60));
    add(&mut pair, A, v4[A]).unwrap();
    pair.run(secs(5));
    assert_eq!(path_to(&pair, A, v4[B]).unwrap().state, PathState::Active);
    assert_eq!(path_to(&pair, B, v4[A]).unwrap().state, PathState::Active);
}

#[test]
fn rfc5061_4_2_an_address_translator_changes_its_address() {
    // The translator is a filter: what A sends bears another source. B asks the wildcard.
    let mut pair = connected(Setup::single().config(offered));
    let any = ip("0.0.0.0");
    // Behind its back A's address changes, and B must be told: A sends from another address, and does not say which.
    gain(&mut pair, A, 0, ip(NEW));
    add(&mut pair, A, any).unwrap();
    pair.run(secs(1));
    assert_eq!(peers(&pair, B), [ip("10.1.0.1")], "the peer knew that one");
    assert_eq!(answers(&pair, A), [(AddressChange::Add(any), None)]);
    remove(&mut pair, A, any).unwrap();
    prefer(&mut pair, A, any).unwrap();
    pair.run(secs(1));
    assert_eq!(answers(&pair, A).len(), 3);
    assert_eq!(peers(&pair, B), [ip("10.1.0.1")]);
}

#[test]
fn rfc5061_5_1_1_c1_one_asconf_at_a_time() {
    let link = wire(ms(50));
    let mut pair = connected(Setup::single().link(&link).config(offered));
    pair.world.set_filter(pair.links[0], |_, _| Verdict::Pass);
    for n in 0..40 {
        let address = IpAddr::from([10, 1, 0, 100 + n]);
        gain(&mut pair, A, 0, address);
        add(&mut pair, A, address).unwrap();
        pair.run(ms(5));
    }
    pair.run(secs(20));
    let mut outstanding = 0;
    let captured = pair.world.captured(pair.links[0]).iter();
    for packet in captured.map(|captured| &captured.packet) {
        if packet.has(ChunkType::ASCONF) {
            outstanding += 1;
        }
        if packet.has(ChunkType::ASCONF_ACK) {
            outstanding -= 1;
        }
        assert!(outstanding <= 1);
    }
    // F9: B has room for 32.
    assert_eq!(peers(&pair, B).len(), 32);
    let refused = answers(&pair, A)
        .iter()
        .filter(|(_, refused)| refused.is_some())
        .count();
    assert_eq!((answers(&pair, A).len(), refused), (40, 9));
    assert_eq!(own(&pair, A).len(), 32);
}
