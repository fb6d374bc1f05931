//! Several addresses (RFC 9260 §5.4, §6.4, §8.1, §8.2).

mod common;

use std::net::IpAddr;

use common::{A, Answer, B, Family, Flow, Pair, Peer, PeerSetup, Setup, data_chunks, lose, ms, secs, transfer};
use sctp::config::PathThresholds;
use sctp::error::{FailureReason, PathError};
use sctp::serial::{Ppid, StreamId};
use sctp::sim::{Script, Verdict};
use sctp::wire::{ChunkType, Heartbeat, Param, write_cookie_echo, write_data, write_heartbeat_ack};
use sctp::{AssociationPhase, Event, OutMessage, PathChange, PathState};

fn dual_peer() -> Peer {
    Peer::with(PeerSetup {
        links: 2,
        ..PeerSetup::default()
    })
}

fn changes(pair: &Pair, side: usize, address: IpAddr) -> Vec<PathChange> {
    let log = pair.log[side].iter();
    log.filter_map(|(_, event)| match event {
        Event::PathChanged { address: of, change } if *of == address => Some(*change),
        _ => None,
    })
    .collect()
}

fn data_packets(pair: &Pair, side: usize, link: usize) -> usize {
    pair.sent_on(side, link)
        .iter()
        .filter(|packet| packet.has(ChunkType::DATA))
        .count()
}

#[test]
fn rfc9260_5_4_rule_1_the_addresses_that_the_user_gave_are_confirmed() {
    let mut pair = Setup::dual().build();
    pair.start(A);
    pair.must("A is up", secs(5), |pair| {
        pair.phase(A) == Some(AssociationPhase::Established)
    });
    assert_eq!([pair.path(A, 0).state, pair.path(A, 1).state], [PathState::Active; 2]);
}

#[test]
fn rfc9260_5_4_other_addresses_are_confirmed_by_a_heartbeat() {
    let mut pair = Setup::dual().build();
    pair.world.capture(pair.links[1]);
    let first = [pair.address(B, 0)];
    pair.start_to(A, &first);
    pair.must("both are up", secs(5), Pair::both_up);
    for side in [A, B] {
        assert_eq!(pair.path(side, 0).state, PathState::Active);
        assert_eq!(pair.path(side, 1).state, PathState::Unconfirmed, "side {side}");
    }
    pair.run(secs(5));
    for side in [A, B] {
        assert_eq!(pair.path(side, 1).state, PathState::Active);
        let address = pair.address(1 - side, 1);
        assert_eq!(changes(&pair, side, address), [PathChange::Confirmed]);
        let sent = pair.sent_on(side, 1);
        assert!(
            sent.iter()
                .all(|packet| { matches!(packet.kinds()[..], [ChunkType::HEARTBEAT] | [ChunkType::HEARTBEAT_ACK]) })
        );
    }
}

#[test]
fn rfc9260_5_4_an_address_that_is_not_the_peers_gets_nothing_but_heartbeats() {
    let mut peer = dual_peer();
    let second = peer.address(1);
    peer.send_init_with(|w| Param::address(second).write(w));
    let answer = peer.answer();
    let cookie = peer.learn(&answer);
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    let first_answers = peer.answers();
    let mut infos = Vec::new();
    let mut to_second = Vec::new();
    let mut forge = |peer: &mut Peer, answers: &[Answer]| {
        for packet in answers.iter().filter(|packet| packet.dst == second) {
            let info = Heartbeat::parse(&packet.get(ChunkType::HEARTBEAT).value)
                .unwrap()
                .info
                .to_vec();
            // A nonce that is guessed is no proof.
            for at in 0..info.len() {
                let mut forged = info.clone();
                forged[at] ^= 0x80;
                let ack = peer.packet(peer.z_tag, |buf| write_heartbeat_ack(buf, &forged));
                peer.send_on(1, ack);
            }
            infos.push(info);
            to_second.push(packet.clone());
        }
        // What was for the first address is answered.
        let first: Vec<Answer> = answers.iter().filter(|packet| packet.dst != second).cloned().collect();
        peer.answer_heartbeats(&first);
    };
    forge(&mut peer, &first_answers);
    for n in 0..300 {
        if n % 10 == 0 {
            peer.z_says(b"data");
        }
        let answers = peer.run(secs(1));
        let data = data_chunks(&answers);
        if let Some(last) = data.last() {
            let cumulative = last.tsn.steps_from(peer.z_tsn);
            peer.send_sack(cumulative, 100_000, &[]);
        }
        forge(&mut peer, &answers);
    }
    assert!(to_second.iter().all(|packet| packet.kinds() == [ChunkType::HEARTBEAT]));
    // Once an RTO (1, 2, 4, 8, 16, 32 s) until Path.Max.Retrans, then at the usual pace.
    assert!((7..16).contains(&to_second.len()), "{}", to_second.len());
    let distinct: std::collections::BTreeSet<&Vec<u8>> = infos.iter().collect();
    assert_eq!(distinct.len(), infos.len(), "a nonce is used once");
    let status = peer.status().unwrap();
    let path = status.paths.iter().find(|path| path.address == second).unwrap();
    assert_ne!(path.state, PathState::Active);
    assert_eq!(status.phase, AssociationPhase::Established);
}

#[test]
fn rfc9260_5_4_without_a_confirmed_path_data_still_avoids_unconfirmed_ones() {
    let mut peer = dual_peer();
    let second = peer.address(1);
    peer.establish_with(|w| Param::address(second).write(w));
    for _ in 0..5 {
        peer.z_says(b"nobody listens");
    }
    let answers = peer.run(secs(400));
    let wrong = answers
        .iter()
        .filter(|packet| packet.dst == second && !packet.has(ChunkType::HEARTBEAT));
    assert_eq!(wrong.count(), 0);
    let reason = FailureReason::PeerUnreachable;
    assert_eq!(peer.log.last(), Some(&Event::CommunicationLost { reason }));
}

#[test]
fn rfc9260_6_4_new_data_goes_to_the_primary_path() {
    let mut pair = Setup::dual().build();
    pair.connect();
    pair.run(secs(5));
    pair.links.clone().into_iter().for_each(|link| pair.world.capture(link));
    transfer(&mut pair, &mut [Flow::new(A, 100)], secs(10));
    assert!(data_packets(&pair, A, 0) >= 80);
    assert_eq!(data_packets(&pair, A, 1), 0);
}

#[test]
fn rfc9260_6_4_what_timed_out_is_sent_again_on_another_path() {
    let mut pair = Setup::dual().build();
    pair.connect();
    pair.run(secs(5));
    pair.links.clone().into_iter().for_each(|link| pair.world.capture(link));
    pair.world.set_filter(pair.links[0], lose(ChunkType::DATA, 1));
    transfer(&mut pair, &mut [Flow::new(A, 1)], secs(10));
    assert_eq!([data_packets(&pair, A, 0), data_packets(&pair, A, 1)], [1, 1]);
    pair.run(secs(1));
    // §8.2: the time-out counts for the path where it was, not for the other one.
    assert_eq!(pair.path(A, 1).error_count, 0);
}

#[test]
fn rfc9260_6_4_a_fast_retransmission_stays_on_its_path() {
    let mut pair = Setup::dual().build();
    pair.connect();
    pair.run(secs(5));
    pair.links.clone().into_iter().for_each(|link| pair.world.capture(link));
    let mut count = 0;
    pair.world.set_filter(pair.links[0], move |_, packet| {
        count += usize::from(packet.has(ChunkType::DATA));
        if count == 40 && packet.has(ChunkType::DATA) {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    });
    transfer(&mut pair, &mut [Flow::new(A, 200)], secs(10));
    let stats = pair.status(A).unwrap().stats;
    assert_eq!((stats.t3_expiries, stats.fast_retransmits), (0, 1));
    assert_eq!(data_packets(&pair, A, 1), 0);
}

#[test]
fn rfc9260_6_4_1_data_leaves_a_path_that_fails_and_returns_to_it() {
    for family in [Family::V4, Family::V6, Family::Alternating] {
        let mut pair = Setup::dual().family(family).build();
        pair.connect();
        pair.run(secs(5));
        let (first, address) = (pair.links[0], pair.address(B, 0));
        Script::new()
            .at(secs(1))
            .cut(first)
            .at(secs(200))
            .restore(first)
            .play(&mut pair.world);
        let mut flow = Flow::new(A, u64::MAX).sizes(&[500]);
        let mut rate_limited = |pair: &mut Pair, seconds: u64| {
            for _ in 0..seconds * 2 {
                flow.pump_one(pair).unwrap();
                pair.run(ms(500));
                flow.pump_received(pair).unwrap();
            }
        };
        rate_limited(&mut pair, 150);
        // §8.2: more than Path.Max.Retrans time-outs.
        assert_eq!(pair.path(A, 0).state, PathState::Inactive, "{family:?}");
        assert_eq!(changes(&pair, A, address).last(), Some(&PathChange::Unreachable));
        // While it is inactive, nothing but heartbeats goes there.
        pair.world.capture(first);
        rate_limited(&mut pair, 40);
        let kinds: Vec<ChunkType> = pair.sent_on(A, 0).iter().flat_map(Answer::kinds).collect();
        assert!(kinds.iter().all(|kind| *kind == ChunkType::HEARTBEAT), "{kinds:?}");
        rate_limited(&mut pair, 150);
        // The next heartbeat found it back, and new data goes there again.
        assert_eq!(pair.path(A, 0).state, PathState::Active, "{family:?}");
        assert_eq!(changes(&pair, A, address).last(), Some(&PathChange::Available));
        assert!(data_packets(&pair, A, 0) > 0, "{family:?}");
        let sent = flow.sent();
        pair.run(secs(5));
        flow.pump_received(&mut pair).unwrap();
        assert_eq!(flow.received(), sent, "{family:?}");
    }
}

#[test]
fn rfc9260_6_4_1_a_transfer_survives_the_loss_of_either_path() {
    for cut in [0, 1] {
        let mut pair = Setup::dual().build();
        pair.connect();
        let link = pair.links[cut];
        Script::new().at(ms(200)).cut(link).play(&mut pair.world);
        let mut flows = [Flow::new(A, 3000), Flow::new(B, 3000)];
        transfer(&mut pair, &mut flows, secs(300));
    }
}

#[test]
fn rfc9260_8_2_two_broken_paths_end_the_association() {
    let mut pair = Setup::dual().build();
    pair.connect();
    pair.run(secs(5));
    for link in pair.links.clone() {
        pair.world.set_link_up(link, false);
    }
    pair.say(A, 0, b"into the void");
    pair.must("A gives up", secs(700), |pair| pair.ends(A) == 1);
    let reason = FailureReason::PeerUnreachable;
    assert_eq!(pair.log[A].last().unwrap().1, Event::CommunicationLost { reason });
    // B has nothing to send, but its heartbeats are not answered either.
    pair.must("B gives up", secs(3600), |pair| pair.ends(B) == 1);
}

#[test]
fn rfc9260_8_1_a_path_that_is_not_in_use_may_fail_for_ever() {
    let mut pair = Setup::dual().build();
    pair.connect();
    pair.run(secs(5));
    pair.world.set_link_up(pair.links[1], false);
    pair.run(secs(3 * 3600));
    for side in [A, B] {
        assert_eq!(pair.phase(side), Some(AssociationPhase::Established));
        assert_eq!(pair.path(side, 1).state, PathState::Inactive);
        assert_eq!(pair.path(side, 0).state, PathState::Active);
    }
}

#[test]
fn rfc9260_11_1_6_the_user_chooses_the_primary_path() {
    let mut pair = Setup::dual().build();
    pair.connect();
    pair.run(secs(5));
    let (assoc, address) = (pair.assoc(A), pair.address(B, 1));
    let stack = pair.world.stack(pair.hosts[A]);
    assert_eq!(stack.set_primary(assoc, address), Ok(()));
    let nowhere = "192.0.2.9".parse().unwrap();
    assert_eq!(stack.set_primary(assoc, nowhere), Err(PathError::NoSuchPath));
    pair.links.clone().into_iter().for_each(|link| pair.world.capture(link));
    transfer(&mut pair, &mut [Flow::new(A, 50)], secs(10));
    assert_eq!(data_packets(&pair, A, 0), 0);
    assert!(data_packets(&pair, A, 1) > 0);
    assert!(pair.path(A, 1).primary && !pair.path(A, 0).primary);
    assert_eq!(changes(&pair, A, address).last(), Some(&PathChange::Primary));
}

#[test]
fn rfc9260_5_4_an_unconfirmed_address_cannot_be_primary() {
    let mut peer = dual_peer();
    let second = peer.address(1);
    peer.establish_with(|w| Param::address(second).write(w));
    let assoc = peer.assoc.unwrap();
    assert_eq!(
        peer.world.stack(peer.z).set_primary(assoc, second),
        Err(PathError::Unconfirmed)
    );
}

#[test]
fn rfc9260_11_1_5_the_user_chooses_the_destination_of_a_message() {
    let mut pair = Setup::dual().build();
    pair.connect();
    pair.run(secs(5));
    pair.links.clone().into_iter().for_each(|link| pair.world.capture(link));
    for link in [1, 0, 1] {
        let message = OutMessage {
            destination: Some(pair.address(B, link)),
            ..OutMessage::new(StreamId(0), Ppid(0), bytes::Bytes::from_static(b"this way"))
        };
        pair.send(A, message).unwrap();
        pair.run(ms(100));
    }
    assert_eq!([data_packets(&pair, A, 0), data_packets(&pair, A, 1)], [1, 2]);
    assert_eq!(pair.hear(B).len(), 3);
}

// What follows is played against a peer that the test speaks for.

fn say_on(peer: &mut Peer, link: usize, ssn: u16) {
    let header = Peer::header(peer.tsn, 0, ssn);
    peer.tsn = peer.tsn.next();
    let packet = peer.packet(peer.z_tag, |buf| write_data(buf, &header, b"data"));
    peer.send_on(link, packet);
}

#[test]
fn rfc9260_6_4_a_sack_goes_where_the_data_came_from() {
    let mut peer = dual_peer();
    peer.establish_on_all_links();
    let mut ssn = 0;
    for link in [0, 1, 1, 0, 1] {
        for _ in 0..2 {
            say_on(&mut peer, link, ssn);
            ssn += 1;
        }
        let answers = peer.run(ms(250));
        let sacks: Vec<&Answer> = answers.iter().filter(|answer| answer.has(ChunkType::SACK)).collect();
        assert!(!sacks.is_empty());
        for sack in sacks {
            assert_eq!((sack.dst, sack.src), (peer.address(link), peer.z_address(link)));
        }
    }
}

#[test]
fn rfc9260_6_4_answers_go_where_the_request_came_from() {
    let mut peer = dual_peer();
    peer.establish_on_all_links();
    for link in [1, 0, 1] {
        let packet = peer.packet(peer.z_tag, |buf| sctp::wire::write_heartbeat(buf, b"information"));
        peer.send_on(link, packet);
        let answer = peer.answer();
        assert_eq!(
            (answer.kinds(), answer.dst),
            (vec![ChunkType::HEARTBEAT_ACK], peer.address(link))
        );
    }
}

#[test]
fn rfc9260_8_2_an_acknowledgement_clears_the_error_counter_of_its_path() {
    let mut association = common::without_discovery();
    association.path_mut().set_heartbeat_interval(None).unwrap();
    // RFC 7829 §3.2 rule 9 says otherwise.
    let thresholds = PathThresholds::new(5, None, None).unwrap();
    association.path_mut().set_thresholds(thresholds);
    let mut peer = Peer::with(PeerSetup {
        links: 2,
        association,
        ..PeerSetup::default()
    });
    peer.establish_on_all_links();
    let errors = |peer: &Peer| -> Vec<u16> {
        let paths = peer.status().unwrap().paths;
        paths.iter().map(|path| path.error_count).collect()
    };
    peer.z_says(b"lost twice");
    // It goes out on the first path, times out there, and goes out on the second.
    let answers = peer.run(ms(1500));
    let to: Vec<IpAddr> = answers.iter().map(|answer| answer.dst).collect();
    assert_eq!(to, [peer.address(0), peer.address(1)]);
    assert_eq!(errors(&peer), [1, 0]);
    peer.send_sack(0, 100_000, &[]);
    peer.answers();
    assert_eq!(errors(&peer)[1], 0);
    peer.z_says(b"and one that arrives");
    peer.answers();
    peer.send_sack(1, 100_000, &[]);
    peer.answers();
    assert_eq!(errors(&peer), [0, 0]);
}

#[test]
fn rfc9260_5_4_rule_2_the_source_of_a_cookie_echo_is_not_confirmed_by_it() {
    // The peer lists a victim's address in its INIT, and forges its COOKIE ECHO to come from there.
    let mut peer = dual_peer();
    let victim = peer.address(1);
    peer.send_init_with(|w| Param::address(victim).write(w));
    let answer = peer.answer();
    let cookie = peer.learn(&answer);
    let echo = peer.packet(peer.z_tag, |buf| write_cookie_echo(buf, &cookie));
    peer.send_on(1, echo);
    let mut answers = peer.answers();
    let ack = answers
        .iter()
        .find(|packet| packet.has(ChunkType::COOKIE_ACK))
        .expect("a COOKIE ACK");
    assert_eq!(ack.dst, peer.address(0));
    for _ in 0..20 {
        peer.z_says(b"data");
    }
    answers.extend(peer.run(secs(2)));
    let to_victim = answers.iter().filter(|packet| packet.dst == victim);
    assert!(
        to_victim
            .flat_map(Answer::kinds)
            .all(|kind| kind == ChunkType::HEARTBEAT)
    );
    let states: Vec<PathState> = peer.status().unwrap().paths.iter().map(|path| path.state).collect();
    assert_eq!(states, [PathState::PotentiallyFailed, PathState::Unconfirmed]);
}

#[test]
fn rfc9260_5_4_rule_1_the_source_of_an_init_ack_is_not_confirmed_by_it() {
    let mut peer = dual_peer();
    let victim = peer.address(1);
    let (now, first, endpoint) = (peer.world.now(), [peer.address(0)], peer.endpoint);
    let stack = peer.world.stack(peer.z);
    let options = sctp::ConnectOptions::default();
    peer.assoc = Some(
        stack
            .connect(now, endpoint, &first, common::PEER_PORT, options)
            .unwrap(),
    );
    let init = peer.answer();
    peer.learn(&init);
    let fixed = peer.fixed;
    let init_ack = peer.packet(peer.z_tag, |buf| {
        sctp::wire::write_init(buf, ChunkType::INIT_ACK, &fixed, |w| {
            Param::StateCookie(b"cookie").write(w);
            Param::address(victim).write(w);
        });
    });
    peer.send_on(1, init_ack);
    let echo = peer.answer();
    assert_eq!((echo.kinds()[0], echo.dst), (ChunkType::COOKIE_ECHO, first[0]));
    let ack = peer.packet(peer.z_tag, sctp::wire::write_cookie_ack);
    peer.send_on(1, ack);
    let mut answers = peer.answers();
    for _ in 0..20 {
        peer.z_says(b"data");
    }
    answers.extend(peer.run(secs(2)));
    let to_victim = answers.iter().filter(|packet| packet.dst == victim);
    assert!(
        to_victim
            .flat_map(Answer::kinds)
            .all(|kind| kind == ChunkType::HEARTBEAT)
    );
    let status = peer.status().unwrap();
    assert_eq!(status.phase, AssociationPhase::Established);
    let of_victim = status.paths.iter().find(|path| path.address == victim).unwrap();
    assert_eq!((of_victim.state, of_victim.primary), (PathState::Unconfirmed, false));
}
