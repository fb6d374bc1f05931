//! Addresses that come and go while data is on its way (RFC 5061).

mod common;

use common::addresses::{
    NEW, answers, authenticated, automatic, changes, connected, gain, ip, lose_address, offered, own, path_to, peers,
    prefer, remove,
};
use common::{A, B, Family, Flow, Setup, ms, secs, transfer, wire};
use sctp::error::FailureReason;
use sctp::sim::LinkConfig;
use sctp::wire::{AddressChange, ChunkType};
use sctp::{Event, LocalAddressChange, PathChange};

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
fn rfc9260_8_1_sides_that_removed_what_the_other_could_reach_notice_it() {
    let mut pair = connected(Setup::dual().family(Family::Alternating).config(offered));
    pair.run(secs(3));
    let (v4_of_b, v6_of_a) = (pair.address(B, 0), pair.address(A, 1));
    remove(&mut pair, A, v6_of_a).unwrap();
    remove(&mut pair, B, v4_of_b).unwrap();
    pair.say(A, 0, b"nowhere to go");
    pair.must("both sides end", secs(3600), |pair| {
        pair.ends(A) > 0 && pair.ends(B) > 0
    });
    for side in [A, B] {
        let lost = |event: &Event| {
            matches!(
                event,
                Event::CommunicationLost {
                    reason: FailureReason::PeerUnreachable
                }
            )
        };
        assert!(pair.reported(side, lost), "side {side}: {:?}", pair.log[side].last());
    }
}
