//! The reset of all numbers where something stands in its way (RFC 6525 §5.1.4, §5.2.4): small buffers, lost answers,
//! messages that are given up, peers that do not get on.

mod common;

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use common::reconfig::{Result, SEQ, Said, ask, outcomes, reset_all, said, send, z_says_and_gets_sack};
use common::{A, Answer, B, Pair, Peer, PeerSetup, Setup, connected, data_chunks, ms, sack_of, secs};
use sctp::config::{AssociationConfig, ReconfigRequests};
use sctp::serial::{Ppid, RequestSeq, Ssn, StreamId, Tsn};
use sctp::sim::Verdict;
use sctp::wire::{ChunkType, NextTsns, Param, ReconfigParam, write_forward_tsn};
use sctp::{AssociationPhase, Event, OutMessage, ReconfigOutcome, Reliability};

fn willing(config: &mut AssociationConfig) {
    config.reconfig_mut().set_accepted(ReconfigRequests::ALL);
}

// Between two stacks.

fn asks(pair: &mut Pair, side: usize) {
    let (now, assoc) = (pair.now(), pair.assoc(side));
    pair.world
        .stack(pair.hosts[side])
        .reset_association(now, assoc)
        .unwrap();
}

fn is_reset(pair: &Pair, side: usize) -> bool {
    pair.reported(side, |event| {
        matches!(
            event,
            Event::AssociationReset {
                outcome: ReconfigOutcome::Performed,
                ..
            }
        )
    })
}

#[test]
fn rfc6525_5_2_4_a_buffer_that_is_too_small_for_what_is_on_its_way_does_not_stop_the_reset() {
    for interleaving in [false, true] {
        let setup = Setup::single().config(|config| {
            willing(config);
            config.interleaving_mut().set_offered(interleaving);
            config.set_receive_buffer(10_000).unwrap();
        });
        let mut pair = connected(setup);
        let payload: Bytes = (0..100_000u32).map(|n| (n >> 4) as u8).collect();
        let message = OutMessage::new(StreamId(1), Ppid(1), payload.clone());
        pair.send(B, message).unwrap();
        pair.run(ms(70));
        asks(&mut pair, A);
        pair.say(B, 1, b"after");
        let (mut heard, mut ends) = (Vec::new(), 0);
        pair.must("both messages arrive, and all numbers are new", secs(60), |pair| {
            for piece in pair.hear(A) {
                heard.extend_from_slice(&piece.payload);
                ends += usize::from(piece.end_of_message);
            }
            ends == 2 && is_reset(pair, A) && is_reset(pair, B)
        });
        assert!(heard[..payload.len()] == payload && &heard[payload.len()..] == b"after");
        pair.run(secs(5));
        pair.assert_idle();
    }
}

#[test]
fn rfc6525_5_2_7_what_is_given_up_after_a_reset_that_the_asker_knows_nothing_of_has_new_numbers() {
    for interleaving in [false, true] {
        let mut pair = connected(Setup::single().config(|config| {
            willing(config);
            config.interleaving_mut().set_offered(interleaving);
        }));
        for _ in 0..5 {
            pair.say(B, 1, b"old");
        }
        pair.run(secs(1));
        assert_eq!(pair.hear(A).len(), 5);
        let (no_answer, no_data) = (Rc::new(Cell::new(true)), Rc::new(Cell::new(false)));
        let (answer, data, from, link) = (
            Rc::clone(&no_answer),
            Rc::clone(&no_data),
            pair.address(B, 0),
            pair.links[0],
        );
        pair.world.set_filter(link, move |_, packet| {
            let is_data = packet.has(ChunkType::DATA) || packet.has(ChunkType::I_DATA);
            let lost = answer.get() && packet.has(ChunkType::RE_CONFIG) || data.get() && is_data;
            if packet.src == from && lost {
                Verdict::Drop
            } else {
                Verdict::Pass
            }
        });
        asks(&mut pair, A);
        pair.run(ms(100));
        assert!(is_reset(&pair, B) && !is_reset(&pair, A));
        pair.say(B, 1, b"new 0");
        pair.run(ms(100));
        no_data.set(true);
        let given_up = OutMessage {
            reliability: Reliability::Retransmissions(0),
            ..OutMessage::new(StreamId(1), Ppid(0), Bytes::from_static(b"new 1"))
        };
        pair.send(B, given_up).unwrap();
        pair.run(ms(100));
        no_data.set(false);
        pair.run(secs(2));
        pair.say(B, 1, b"new 2");
        pair.run(secs(2));
        assert_eq!(pair.failures(B).len(), 1);
        assert!(pair.hear(A).is_empty(), "it cannot know what is new");
        no_answer.set(false);
        pair.run(secs(20));
        assert!(is_reset(&pair, A));
        let heard: Vec<_> = pair.hear(A).into_iter().map(|got| (got.ssn.0, got.payload)).collect();
        assert_eq!(heard, [(0, "new 0".into()), (2, "new 2".into())]);
        pair.assert_idle();
    }
}

/// Loses what `from` says of re-configurations as long as the flag is set.
fn lose_answers(pair: &mut Pair, from: usize) -> Rc<Cell<bool>> {
    let losing = Rc::new(Cell::new(true));
    let (lose, from, link) = (Rc::clone(&losing), pair.address(from, 0), pair.links[0]);
    pair.world.set_filter(link, move |_, packet| {
        if lose.get() && packet.src == from && packet.has(ChunkType::RE_CONFIG) {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    });
    losing
}

#[test]
fn rfc9260_9_2_a_shutdown_waits_until_it_is_known_which_numbers_the_data_has() {
    for first in [A, B] {
        let mut pair = connected(Setup::single().config(willing));
        for _ in 0..5 {
            pair.say(B, 1, b"old");
        }
        pair.run(secs(1));
        assert_eq!(pair.hear(A).len(), 5);
        let losing = lose_answers(&mut pair, B);
        asks(&mut pair, A);
        pair.run(ms(100));
        assert!(is_reset(&pair, B) && !is_reset(&pair, A));
        pair.say(B, 1, b"new 0");
        pair.run(ms(100));
        pair.shutdown(first);
        if first == A {
            pair.say(B, 1, b"new 1");
        }
        pair.run(secs(3));
        losing.set(false);
        pair.run(secs(30));
        let heard = pair.hear_payloads(A);
        let expected = [&b"new 0"[..], b"new 1"];
        assert_eq!(heard, expected[..if first == A { 2 } else { 1 }]);
        for side in [A, B] {
            assert!(
                pair.reported(side, |event| *event == Event::ShutdownComplete),
                "{first} {side}"
            );
        }
        assert!(is_reset(&pair, A));
    }
}

#[test]
fn rfc6525_5_1_4_what_was_given_before_any_data_went_out_follows_the_reset() {
    for limit in [0, 4] {
        let mut pair = connected(
            Setup::single()
                .config(willing)
                .config(|config| config.set_max_burst(limit)),
        );
        asks(&mut pair, A);
        pair.say(A, 0, b"first");
        let (now, assoc) = (pair.now(), pair.assoc(A));
        let stack = pair.world.stack(pair.hosts[A]);
        let mut config = stack.association_config(assoc).unwrap();
        config.set_max_burst(2);
        stack.set_association_config(now, assoc, config).unwrap();
        pair.run(secs(10));
        assert_eq!(pair.hear_payloads(B), [&b"first"[..]]);
    }
}

// Z asks a peer that the test speaks for.

fn established(receive_buffer: u32) -> Peer {
    let mut association = AssociationConfig::default();
    willing(&mut association);
    association.set_receive_buffer(receive_buffer).unwrap();
    let mut peer = Peer::with(PeerSetup {
        association,
        ..PeerSetup::default()
    });
    peer.establish_with(|w| {
        Param::ForwardTsnSupported.write(w);
        Param::SupportedExtensions(&[ChunkType::RE_CONFIG.0]).write(w);
    });
    peer
}

/// Z's user asks for a reset of everything.
fn z_asks(peer: &mut Peer) {
    let (now, assoc, z) = (peer.world.now(), peer.assoc.unwrap(), peer.z);
    peer.world.stack(z).reset_association(now, assoc).unwrap();
    assert_eq!(said(&peer.answers()), [Said::ResetAll(peer.z_tsn.0)]);
}

/// Answers Z's request; `next` is what the peer says to send next.
fn answer(peer: &mut Peer, result: Result, next: Tsn) -> Vec<Answer> {
    let response_seq = RequestSeq(peer.z_tsn.0);
    let next_tsns = Some(NextTsns {
        sender: next,
        receiver: peer.z_tsn.plus(1 << 31),
    });
    let response = ReconfigParam::Response {
        response_seq,
        result,
        next_tsns,
    };
    send(peer, |w| response.write(w));
    peer.answers()
}

#[test]
fn rfc6525_5_1_7_d3_what_comes_before_the_next_tsn_of_an_answer_is_old() {
    let mut peer = established(100_000);
    let tsn = peer.tsn;
    z_asks(&mut peer);
    peer.send_data(&Peer::header(tsn, 0, 0), b"old 0");
    peer.send_data(&Peer::header(tsn.plus(2), 0, 2), b"old 2");
    assert!(peer.z_hears_payloads().is_empty());
    answer(&mut peer, Result::IN_PROGRESS, tsn.next());
    assert_eq!(peer.z_hears_payloads(), [&b"old 0"[..]]);
    // It may speak of new numbers, as far as Z knows.
    let give_up = |buf: &mut Vec<u8>| write_forward_tsn(buf, tsn.plus(1), &[(StreamId(0), Ssn(1))]);
    peer.send(give_up);
    peer.expect_silence();
    // Now it would be understood.
    let asked = answer(&mut peer, Result::IN_PROGRESS, tsn.plus(3));
    assert_eq!(sack_of(asked.last().unwrap()).0, tsn);
    peer.send(give_up);
    assert_eq!(sack_of(peer.answers().last().unwrap()).0, tsn.plus(2));
    assert_eq!(peer.z_hears_payloads(), [&b"old 2"[..]]);
    peer.send_data(&Peer::header(tsn.plus(3), 0, 0), b"new 0");
    // One that was overtaken says nothing new.
    answer(&mut peer, Result::IN_PROGRESS, tsn.next());
    assert!(peer.z_hears_payloads().is_empty());
    answer(&mut peer, Result::PERFORMED, tsn.plus(3));
    peer.send_data(&Peer::header(tsn.plus(4), 0, 1), b"new 1");
    peer.answers();
    assert_eq!(peer.z_hears_payloads(), [&b"new 0"[..], b"new 1"]);
    assert_eq!(outcomes(&peer), [ReconfigOutcome::Performed]);
}

#[test]
fn rfc6525_5_2_1_a_peer_that_repeats_its_first_answer_is_not_waited_for_with_a_full_buffer() {
    let mut peer = established(10_000);
    let first = peer.tsn;
    z_asks(&mut peer);
    let mut room = u32::MAX;
    let mut said = 0u16;
    while room > 0 {
        peer.send_data(&Peer::header(first.plus(u32::from(said)), 0, said), &[7; 1000]);
        let answers = peer.run(ms(300));
        let sack = answers.iter().rev().find_map(|answer| answer.find(ChunkType::SACK));
        room = sack.map_or(room, |sack| sack.sack().a_rwnd);
        said += 1;
    }
    for _ in 0..2 {
        answer(&mut peer, Result::IN_PROGRESS, first);
        assert!(peer.z_hears_payloads().is_empty());
    }
    answer(&mut peer, Result::IN_PROGRESS, first);
    assert_eq!(peer.z_hears_payloads().len(), usize::from(said));
    answer(&mut peer, Result::PERFORMED, first.plus(said.into()));
    peer.send_data(&Peer::header(first.plus(said.into()), 0, 0), b"new");
    peer.answers();
    assert_eq!(peer.z_hears_payloads(), [&b"new"[..]]);
}

#[test]
fn rfc6525_5_2_1_nor_with_messages_that_it_gives_up() {
    let mut peer = established(100_000);
    let tsn = peer.tsn;
    z_asks(&mut peer);
    let give_up = |buf: &mut Vec<u8>| write_forward_tsn(buf, tsn.plus(1), &[(StreamId(0), Ssn(1))]);
    for _ in 0..3 {
        peer.send(give_up);
        peer.expect_silence();
        answer(&mut peer, Result::IN_PROGRESS, tsn);
    }
    peer.send(give_up);
    assert_eq!(sack_of(peer.run(ms(300)).last().unwrap()).0, tsn.plus(1));
    peer.send_data(&Peer::header(tsn.plus(2), 0, 0), b"new");
    answer(&mut peer, Result::PERFORMED, tsn.plus(2));
    assert_eq!(peer.z_hears_payloads(), [&b"new"[..]]);
}

#[test]
fn rfc6525_5_2_4_a_peer_that_takes_nothing_any_more_gets_its_reset_denied() {
    let mut peer = established(100_000);
    z_says_and_gets_sack(&mut peer, 0);
    for _ in 0..2 {
        peer.z_says(b"on its way");
        assert_eq!(data_chunks(&peer.answers()).len(), 1);
    }
    let next = NextTsns {
        sender: peer.z_tsn.plus(3),
        receiver: peer.tsn,
    };
    let in_progress = [Said::Response(SEQ, Result::IN_PROGRESS, Some(next))];
    assert_eq!(ask(&mut peer, |w| reset_all(w, SEQ)), in_progress);
    peer.z_says(b"later");
    // The peer is there, and its window is closed. Half of what it is waited for is taken in time.
    for second in 0..49 {
        peer.send_sack(u32::from(second >= 20), 0, &[]);
        peer.run(secs(1));
        send(&mut peer, |w| reset_all(w, SEQ));
        let answers = peer.answers();
        assert_eq!(said(&answers), in_progress, "{second}");
        assert!(data_chunks(&answers).iter().all(|data| data.payload != b"later"));
    }
    peer.run(secs(2));
    let denied = [Said::Response(SEQ, Result::DENIED, Some(next))];
    assert_eq!(ask(&mut peer, |w| reset_all(w, SEQ)), denied);
    assert_eq!(ask(&mut peer, |w| reset_all(w, SEQ)), denied, "again");
    peer.send_sack(2, 100_000, &[]);
    let answers = peer.answers();
    let data = data_chunks(&answers);
    assert_eq!((data[0].ssn, data[0].payload), (Ssn(3), &b"later"[..]));
    assert_eq!(outcomes(&peer), []);
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
}
