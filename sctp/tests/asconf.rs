//! Addresses that change while an association is open, between two stacks (RFC 5061).

mod common;

use std::net::IpAddr;

use common::{A, B, Family, Flow, Pair, Setup, lose, ms, secs, transfer, wire};
use sctp::config::AssociationConfig;
use sctp::error::{AddressError, FailureReason, Violation};
use sctp::sim::{LinkConfig, Verdict};
use sctp::wire::{AddressChange, ChunkType};
use sctp::{AssociationPhase, Event, LocalAddressChange, PathChange, PathState, PathStatus};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn offered(config: &mut AssociationConfig) {
    config.asconf_mut().set_offered(true);
    config.asconf_mut().set_authentication_required(false);
}

fn automatic(config: &mut AssociationConfig) {
    offered(config);
    config.asconf_mut().set_automatic(true);
}

fn connected(setup: Setup) -> Pair {
    let mut pair = setup.build();
    pair.connect();
    for link in pair.links.clone() {
        pair.world.capture(link);
    }
    pair
}

fn changes(pair: &Pair, side: usize, address: IpAddr) -> Vec<PathChange> {
    let log = pair.log[side].iter();
    log.filter_map(|(_, event)| match event {
        Event::PathChanged { address: of, change } if *of == address => Some(*change),
        _ => None,
    })
    .collect()
}

fn answers(pair: &Pair, side: usize) -> Vec<(AddressChange, Option<u16>)> {
    let log = pair.log[side].iter();
    log.filter_map(|(_, event)| match event {
        Event::AddressChangeAnswered { change, refused } => Some((*change, *refused)),
        _ => None,
    })
    .collect()
}

fn path_to(pair: &Pair, side: usize, address: IpAddr) -> Option<PathStatus> {
    let paths = pair.status(side).unwrap().paths;
    paths.into_iter().find(|path| path.address == address)
}

fn peers(pair: &Pair, side: usize) -> Vec<IpAddr> {
    pair.status(side)
        .unwrap()
        .paths
        .iter()
        .map(|path| path.address)
        .collect()
}

fn own(pair: &Pair, side: usize) -> Vec<IpAddr> {
    pair.status(side).unwrap().local_addresses
}

fn gain(pair: &mut Pair, side: usize, link: usize, address: IpAddr) {
    pair.world.add_address(pair.hosts[side], link, address);
}

fn lose_address(pair: &mut Pair, side: usize, address: IpAddr) {
    pair.world.remove_address(pair.hosts[side], address);
}

fn add(pair: &mut Pair, side: usize, address: IpAddr) -> Result<(), AddressError> {
    let (now, assoc) = (pair.now(), pair.assoc(side));
    pair.world
        .stack(pair.hosts[side])
        .add_local_address(now, assoc, address)
}

fn remove(pair: &mut Pair, side: usize, address: IpAddr) -> Result<(), AddressError> {
    let (now, assoc) = (pair.now(), pair.assoc(side));
    pair.world
        .stack(pair.hosts[side])
        .remove_local_address(now, assoc, address)
}

fn prefer(pair: &mut Pair, side: usize, address: IpAddr) -> Result<(), AddressError> {
    let (now, assoc) = (pair.now(), pair.assoc(side));
    pair.world.stack(pair.hosts[side]).set_peer_primary(now, assoc, address)
}

const NEW: &str = "10.1.0.101";

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
fn rfc5061_4_2_2_an_address_is_deleted_while_data_is_on_its_way_to_it() {
    let mut pair = connected(Setup::dual().config(offered));
    pair.run(secs(3));
    let gone = pair.address(A, 0);
    let mut flows = [Flow::new(A, 400), Flow::new(B, 400)];
    let mut deleted = false;
    let mut wrong = None;
    let done = pair.wait(secs(120), |pair| {
        wrong = flows.iter_mut().find_map(|flow| flow.pump(pair).err());
        if !deleted && flows[1].received() > 100 {
            deleted = true;
            assert!(path_to(pair, B, gone).unwrap().flight_size > 0);
            remove(pair, A, gone).unwrap();
        }
        wrong.is_some() || flows.iter().all(Flow::is_complete)
    });
    assert_eq!((wrong, done, deleted), (None, true, true));
    pair.run(secs(1));
    assert_eq!(peers(&pair, B), [pair.address(A, 1)]);
    assert_eq!(changes(&pair, B, gone).last(), Some(&PathChange::Removed));
    assert_eq!(answers(&pair, A), [(AddressChange::Delete(gone), None)]);
    pair.assert_idle();
}

#[test]
fn rfc5061_5_3_f4_a_deleted_address_is_no_source_any_more() {
    let mut pair = connected(Setup::dual().config(offered));
    pair.run(secs(3));
    let gone = pair.address(A, 0);
    let asked = pair.now();
    remove(&mut pair, A, gone).unwrap();
    let mut flows = [Flow::new(A, 100), Flow::new(B, 100)];
    transfer(&mut pair, &mut flows, secs(60));
    for link in [0, 1] {
        let late = pair.sent_on(A, link).into_iter().filter(|packet| packet.at >= asked);
        assert!(late.into_iter().all(|packet| packet.src != gone));
    }
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

/// A link on which the transfers below take some seconds.
fn slow() -> LinkConfig {
    wire(ms(15)).rate(4_000_000, 50_000)
}

fn moving(link: &LinkConfig) -> Setup {
    Setup::single().link(link).config(automatic)
}

/// A host that moves from one network to another while both sides send.
fn move_under_load(setup: Setup, gap: i64) {
    let mut pair = connected(setup);
    pair.run(secs(3));
    let old = pair.address(A, 0);
    let mut flows = [
        Flow::new(A, 600).sizes(&[1000, 40, 3000]).streams(3),
        Flow::new(B, 600).sizes(&[900, 5000]).streams(2).unordered_every(5),
    ];
    let mut step = 0;
    let mut begun = None;
    let mut wrong = None;
    let done = pair.wait(secs(300), |pair| {
        wrong = flows.iter_mut().find_map(|flow| flow.pump(pair).err());
        if step == 0 && flows[0].received() > 150 && flows[1].received() > 150 {
            step = 1;
            begun = Some(pair.now());
            if gap >= 0 {
                gain(pair, A, 0, ip(NEW));
                prefer(pair, A, ip(NEW)).unwrap();
            } else {
                lose_address(pair, A, old);
            }
        }
        let due = |at: sctp::Instant| pair.now() >= at + ms(gap.unsigned_abs());
        if step == 1 && begun.is_some_and(due) {
            step = 2;
            if gap >= 0 {
                lose_address(pair, A, old);
            } else {
                gain(pair, A, 0, ip(NEW));
            }
        }
        wrong.is_some() || flows.iter().all(Flow::is_complete)
    });
    if let Some(wrong) = wrong {
        pair.fail(&wrong);
    }
    if !done || step != 2 {
        pair.fail("the transfer is not complete");
    }
    pair.run(secs(5));
    assert_eq!((peers(&pair, B), own(&pair, A)), (vec![ip(NEW)], vec![ip(NEW)]));
    pair.assert_idle();
    assert!(pair.failures(A).is_empty() && pair.failures(B).is_empty());
}

#[test]
fn rfc5061_1_a_host_moves_under_load_and_no_message_is_lost() {
    // The old address goes half a second after the new one came.
    move_under_load(moving(&slow()), 500);
    // At the same moment.
    move_under_load(moving(&slow()), 0);
    // With authentication.
    let setup = Setup::single().link(&slow()).config(authenticated);
    move_under_load(
        setup.config(|config| config.auth_mut().require(ChunkType::DATA).unwrap()),
        500,
    );
}

#[test]
fn rfc5061_5_3_2_a_host_loses_its_only_address_before_it_gets_another() {
    move_under_load(moving(&slow()), -700);
    move_under_load(moving(&slow()).encapsulated(9899, 9899), -3000);
}

#[test]
fn rfc5061_1_a_host_moves_under_load_and_loss() {
    for seed in 0..12 {
        let lossy = slow().loss(0.05);
        let gap = [500, 0, -800][seed as usize % 3];
        let setup = moving(&lossy).seed(seed);
        let setup = if seed % 2 == 0 {
            setup.config(|config| config.asconf_mut().set_authentication_required(true))
        } else {
            setup
        };
        move_under_load(setup, gap);
    }
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

fn authenticated(config: &mut AssociationConfig) {
    config.asconf_mut().set_offered(true);
    config.asconf_mut().set_automatic(true);
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
fn rfc5061_5_1_1_c4_addresses_change_while_the_association_shuts_down() {
    let mut pair = connected(Setup::single().config(automatic));
    let mut flow = Flow::new(B, 200);
    pair.wait(secs(5), |pair| {
        flow.pump(pair).unwrap();
        flow.received() > 20
    });
    pair.shutdown(A);
    let old = pair.address(A, 0);
    gain(&mut pair, A, 0, ip(NEW));
    pair.run(ms(200));
    lose_address(&mut pair, A, old);
    let mut wrong = None;
    pair.wait(secs(200), |pair| {
        wrong = flow.pump_received(pair).err();
        wrong.is_some() || pair.ends(A) + pair.ends(B) == 2
    });
    assert_eq!(wrong, None);
    assert!(
        [A, B]
            .iter()
            .all(|&side| pair.reported(side, |event| *event == Event::ShutdownComplete))
    );
    assert_eq!(flow.received(), flow.sent());
    assert!(pair.log[B].iter().any(|(_, event)| matches!(
        event,
        Event::PathChanged {
            change: PathChange::Added,
            ..
        }
    )));
}

#[test]
fn rfc6458_8_1_23_addresses_of_the_host_are_told_by_themselves_only_if_wanted() {
    for wanted in [false, true] {
        let mut pair = connected(Setup::single().config(if wanted { automatic } else { offered }));
        gain(&mut pair, A, 0, ip(NEW));
        pair.run(secs(1));
        assert_eq!(peers(&pair, B).len(), if wanted { 2 } else { 1 });
        lose_address(&mut pair, A, ip(NEW));
        pair.run(secs(1));
        assert_eq!(peers(&pair, B).len(), 1);
    }
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
fn a_lost_address_is_left_even_without_asconf() {
    let mut pair = connected(Setup::dual());
    pair.run(secs(3));
    let gone = pair.address(A, 0);
    lose_address(&mut pair, A, gone);
    let now = pair.now();
    // Once more says nothing new.
    let change = LocalAddressChange::Removed(gone);
    pair.world.stack(pair.hosts[A]).handle_local_address(now, change);
    let mut flows = [Flow::new(A, 50), Flow::new(B, 50)];
    transfer(&mut pair, &mut flows, secs(120));
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
