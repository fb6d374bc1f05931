//! Requests of a peer that the test speaks for to re-configure streams (RFC 6525 §5.2), chunk by chunk.

mod common;

use common::reconfig::{
    Result, SEQ, Said, add_incoming, add_outgoing, ask, established, outcomes, reset_all, reset_incoming,
    reset_outgoing, respond, result, said, send, z_resets, z_says_and_gets_sack,
};
use common::{Peer, data_chunks, ms, sack_of};
use sctp::serial::{Ssn, StreamId};
use sctp::tlv::Writer;
use sctp::wire::{ChunkType, NextTsns, write_forward_tsn, write_reconfig};
use sctp::{AssociationPhase, ReconfigOutcome, StreamDirections};

#[test]
fn rfc6525_5_2_1_the_last_request_again_is_answered_again_and_done_once() {
    let mut peer = established();
    let last = peer.tsn.minus(1);
    for _ in 0..3 {
        send(&mut peer, |w| reset_outgoing(w, SEQ, 0, last, &[0]));
        let answer = peer.answer();
        assert_eq!(said(std::slice::from_ref(&answer)), result(SEQ, Result::PERFORMED));
        assert!(answer.has(ChunkType::SACK), "a SACK goes along");
    }
    assert_eq!(outcomes(&peer), [ReconfigOutcome::Performed]);
    let added = ask(&mut peer, |w| add_outgoing(w, SEQ + 1, 2));
    assert_eq!(added, result(SEQ + 1, Result::PERFORMED));
    assert_eq!(ask(&mut peer, |w| add_outgoing(w, SEQ + 1, 2)), added);
    assert_eq!(
        ask(&mut peer, |w| reset_outgoing(w, SEQ, 0, last, &[0])),
        result(SEQ, Result::PERFORMED)
    );
    assert_eq!(peer.status().unwrap().inbound_streams, 12);
}

#[test]
fn rfc6525_4_4_a_number_out_of_turn_is_a_bad_sequence_number() {
    let mut peer = established();
    for seq in [SEQ + 1, SEQ - 1, SEQ.wrapping_add(1 << 31)] {
        let answer = ask(&mut peer, |w| add_outgoing(w, seq, 1));
        assert_eq!(answer, result(seq, Result::BAD_SEQUENCE_NUMBER));
    }
    assert_eq!(peer.status().unwrap().inbound_streams, 10);
    assert_eq!(
        ask(&mut peer, |w| add_outgoing(w, SEQ, 1)),
        result(SEQ, Result::PERFORMED)
    );
}

#[test]
fn rfc6525_4_4_a_stream_that_does_not_exist_is_a_wrong_ssn() {
    let mut peer = established();
    let last = peer.tsn.minus(1);
    assert_eq!(
        ask(&mut peer, |w| reset_outgoing(w, SEQ, 0, last, &[0, 10])),
        result(SEQ, Result::WRONG_SSN)
    );
    assert_eq!(
        ask(&mut peer, |w| reset_incoming(w, SEQ + 1, &[10])),
        result(SEQ + 1, Result::WRONG_SSN)
    );
    assert!(outcomes(&peer).is_empty());
}

#[test]
fn rfc6525_5_2_2_e2_a_reset_waits_for_the_last_tsn_and_later_data_waits_for_it() {
    let mut peer = established();
    let missing = peer.tsn;
    let last = missing.plus(1);
    let request = |w: &mut Writer<'_>| reset_outgoing(w, SEQ, 0, last, &[0]);
    assert_eq!(ask(&mut peer, request), result(SEQ, Result::IN_PROGRESS));
    peer.send_data(&Peer::header(last, 0, 2), b"old 2");
    peer.answers();
    // E2: a TSN beyond it has a new number already, and is held.
    peer.send_data(&Peer::header(last.next(), 0, 0), b"new 0");
    // Other streams go on.
    peer.send_data(&Peer::header(last.plus(2), 5, 0), b"other");
    peer.answers();
    assert_eq!(peer.z_hears_payloads(), [&b"first"[..], b"other"]);
    assert_eq!(
        ask(&mut peer, request),
        result(SEQ, Result::IN_PROGRESS),
        "the same again"
    );
    peer.send_data(&Peer::header(missing, 0, 1), b"old 1");
    let answers = peer.answers();
    // E5: the result comes without being asked for.
    assert_eq!(said(&answers), result(SEQ, Result::PERFORMED));
    assert_eq!(sack_of(answers.last().unwrap()).0, last.plus(2));
    assert_eq!(ask(&mut peer, request), result(SEQ, Result::PERFORMED));
    assert_eq!(peer.z_hears_payloads(), [&b"old 1"[..], b"old 2", b"new 0"]);
    peer.send_data(&Peer::header(last.plus(3), 0, 1), b"new 1");
    peer.answers();
    assert_eq!(peer.z_hears_payloads(), [&b"new 1"[..]]);
    assert_eq!(outcomes(&peer), [ReconfigOutcome::Performed]);
}

#[test]
fn rfc6525_5_2_2_e2_what_the_peer_gives_up_ends_the_wait_too() {
    let mut peer = established();
    let last = peer.tsn.plus(1);
    peer.send_data(&Peer::header(last, 0, 2), b"old 2");
    peer.answers();
    assert_eq!(
        ask(&mut peer, |w| reset_outgoing(w, SEQ, 0, last, &[])),
        result(SEQ, Result::IN_PROGRESS)
    );
    peer.send(|buf| write_forward_tsn(buf, last.minus(1), &[(StreamId(0), Ssn(1))]));
    assert_eq!(said(&peer.answers()), result(SEQ, Result::PERFORMED));
    peer.send_data(&Peer::header(last.next(), 0, 0), b"new 0");
    peer.answers();
    assert_eq!(peer.z_hears_payloads(), [&b"first"[..], b"old 2", b"new 0"]);
}

#[test]
fn rfc6525_5_2_2_e2_a_shutdown_that_drops_an_own_request_leaves_the_wait_alone() {
    let mut peer = established();
    let last = peer.tsn;
    let said_first = ask(&mut peer, |w| reset_outgoing(w, SEQ, 0, last, &[0]));
    assert_eq!(said_first, result(SEQ, Result::IN_PROGRESS));
    // Z's own request waits until that is done; the shutdown does not wait for it.
    let (now, assoc, z) = (peer.world.now(), peer.assoc.unwrap(), peer.z);
    peer.world.stack(z).reset_association(now, assoc).unwrap();
    peer.world.stack(z).shutdown(now, assoc).unwrap();
    assert!(peer.answer().has(ChunkType::SHUTDOWN));
    peer.say(b"last");
    assert_eq!(said(&peer.answers()), result(SEQ, Result::PERFORMED));
}

#[test]
fn rfc6525_5_2_2_a_request_that_gets_another_number_while_it_waits_is_the_same() {
    let mut peer = established();
    let last = peer.tsn;
    for n in 0..3 {
        let answer = ask(&mut peer, |w| reset_outgoing(w, SEQ + n, 0, last, &[0]));
        assert_eq!(answer, result(SEQ + n, Result::IN_PROGRESS));
    }
    let other = ask(&mut peer, |w| reset_outgoing(w, SEQ + 3, 0, last, &[1]));
    assert_eq!(other, result(SEQ + 3, Result::REQUEST_ALREADY_IN_PROGRESS));
    peer.say(b"second");
    assert_eq!(said(&peer.answers()), result(SEQ + 2, Result::PERFORMED));
}

#[test]
fn rfc6525_5_2_3_an_incoming_reset_is_answered_by_an_outgoing_one() {
    let mut peer = established();
    z_says_and_gets_sack(&mut peer, 0);
    let z_seq = peer.z_tsn.0;
    let expected = vec![Said::ResetOutgoing {
        seq: z_seq,
        response: SEQ,
        last: peer.z_tsn,
        streams: vec![0],
    }];
    assert_eq!(ask(&mut peer, |w| reset_incoming(w, SEQ, &[0])), expected);
    // The same request again: the same answer.
    assert_eq!(ask(&mut peer, |w| reset_incoming(w, SEQ, &[0])), expected);
    // A1: what comes now waits.
    peer.z_says(b"held");
    assert!(data_chunks(&peer.answers()).is_empty());
    let sent = respond(&mut peer, z_seq, Result::PERFORMED);
    let data = data_chunks(&sent);
    assert_eq!((data[0].ssn, data[0].tsn), (Ssn(0), peer.z_tsn.next()));
    assert_eq!(outcomes(&peer), [ReconfigOutcome::Performed]);
    assert_eq!(
        ask(&mut peer, |w| reset_incoming(w, SEQ, &[0])),
        result(SEQ, Result::PERFORMED)
    );
}

#[test]
fn rfc6525_5_2_3_there_is_nothing_to_do_for_streams_at_zero_and_for_those_under_reset() {
    let mut peer = established();
    assert_eq!(
        ask(&mut peer, |w| reset_incoming(w, SEQ, &[0, 1])),
        result(SEQ, Result::NOTHING_TO_DO)
    );
    z_says_and_gets_sack(&mut peer, 0);
    z_resets(&mut peer, StreamDirections::Outgoing, &[0, 1]).unwrap();
    assert_eq!(said(&peer.answers()).len(), 1);
    let answer = ask(&mut peer, |w| reset_incoming(w, SEQ + 1, &[0]));
    assert_eq!(answer, result(SEQ + 1, Result::NOTHING_TO_DO));
    // Another set that only overlaps has its turn after the first.
    let answer = ask(&mut peer, |w| reset_incoming(w, SEQ + 2, &[0, 2]));
    assert_eq!(answer, result(SEQ + 2, Result::IN_PROGRESS));
    assert_eq!(
        ask(&mut peer, |w| reset_incoming(w, SEQ + 3, &[0, 3])),
        result(SEQ + 3, Result::REQUEST_ALREADY_IN_PROGRESS)
    );
    let z_seq = peer.z_tsn.0;
    let next = said(&respond(&mut peer, z_seq, Result::PERFORMED));
    let expected = Said::ResetOutgoing {
        seq: z_seq.wrapping_add(1),
        response: SEQ + 2,
        last: peer.z_tsn,
        streams: vec![0, 2],
    };
    assert_eq!(next, [expected]);
}

#[test]
fn rfc6525_5_2_4_a_reset_of_everything_waits_for_what_is_on_its_way() {
    let mut peer = established();
    peer.z_says(b"on its way");
    assert_eq!(data_chunks(&peer.answers()).len(), 1);
    let (z_tsn, tsn) = (peer.z_tsn, peer.tsn);
    let answer = ask(&mut peer, |w| reset_all(w, SEQ));
    let now = NextTsns {
        sender: z_tsn.next(),
        receiver: tsn,
    };
    assert_eq!(answer, [Said::Response(SEQ, Result::IN_PROGRESS, Some(now))]);
    peer.z_says(b"later");
    assert!(data_chunks(&peer.answers()).is_empty());
    peer.send_sack(0, 100_000, &[]);
    let answers = peer.answers();
    // D4: half the space after what was acknowledged last.
    let next = NextTsns {
        sender: z_tsn.next(),
        receiver: tsn.plus(1 << 31),
    };
    assert_eq!(said(&answers), [Said::Response(SEQ, Result::PERFORMED, Some(next))]);
    let data = data_chunks(&answers);
    assert_eq!((data[0].tsn, data[0].ssn), (z_tsn.next(), Ssn(0)));
    // What still comes with old numbers is discarded in silence.
    peer.send_data(&Peer::header(tsn.minus(1), 0, 0), b"old");
    peer.send_data(&Peer::header(tsn.minus(3), 0, 0), b"old");
    peer.send(|buf| write_forward_tsn(buf, tsn.minus(2), &[]));
    assert!(peer.answers().iter().all(|answer| !answer.has(ChunkType::SACK)));
    peer.send_data(&Peer::header(next.receiver, 0, 0), b"new");
    assert_eq!(sack_of(&peer.run(ms(300))[0]).0, next.receiver);
    assert_eq!(peer.z_hears_payloads(), [&b"first"[..], b"new"]);
    let again = ask(&mut peer, |w| reset_all(w, SEQ));
    assert_eq!(again, [Said::Response(SEQ, Result::PERFORMED, Some(next))]);
}

#[test]
fn rfc6525_5_2_4_what_comes_with_new_numbers_is_answered_also_if_there_is_no_room_for_it() {
    let mut peer = established();
    // Until the user takes something there is room for nothing more.
    let mut room = 1;
    while room > 0 {
        peer.say(&[7; 1000]);
        let answers = peer.run(ms(300));
        let sack = answers.iter().rev().find_map(|answer| answer.find(ChunkType::SACK));
        room = sack.unwrap().sack().a_rwnd;
    }
    let answer = ask(&mut peer, |w| reset_all(w, SEQ));
    let [Said::Response(SEQ, Result::PERFORMED, Some(next))] = answer[..] else {
        panic!("{answer:?}");
    };
    peer.send_data(&Peer::header(next.receiver, 0, 0), b"a probe of the window");
    let (acknowledged, ..) = sack_of(&peer.answer());
    assert_eq!(acknowledged, next.receiver.minus(1), "it is there, and has no room");
}

#[test]
fn rfc6525_5_2_5_and_5_2_6_more_streams_than_allowed_are_denied() {
    let mut peer = established();
    assert_eq!(
        ask(&mut peer, |w| add_outgoing(w, SEQ, 11)),
        result(SEQ, Result::DENIED)
    );
    assert_eq!(
        ask(&mut peer, |w| add_outgoing(w, SEQ + 1, u16::MAX)),
        result(SEQ + 1, Result::DENIED)
    );
    assert_eq!(
        ask(&mut peer, |w| add_outgoing(w, SEQ + 2, 10)),
        result(SEQ + 2, Result::PERFORMED)
    );
    assert_eq!(
        ask(&mut peer, |w| add_incoming(w, SEQ + 3, 11)),
        result(SEQ + 3, Result::DENIED)
    );
    assert_eq!(
        ask(&mut peer, |w| add_incoming(w, SEQ + 4, 0)),
        result(SEQ + 4, Result::NOTHING_TO_DO)
    );
    let z_seq = peer.z_tsn.0;
    assert_eq!(
        ask(&mut peer, |w| add_incoming(w, SEQ + 5, 10)),
        [Said::AddOutgoing(z_seq, 10)]
    );
    respond(&mut peer, z_seq, Result::PERFORMED);
    let status = peer.status().unwrap();
    assert_eq!((status.inbound_streams, status.outbound_streams), (20, 20));
}

#[test]
fn rfc6525_3_1_two_requests_in_one_chunk_get_one_chunk_of_answers() {
    let mut peer = established();
    let z_seq = peer.z_tsn.0;
    send(&mut peer, |w| {
        add_outgoing(w, SEQ, 1);
        add_incoming(w, SEQ + 1, 11);
    });
    let answer = peer.answer();
    let kinds = answer.kinds();
    assert_eq!(kinds.iter().filter(|kind| **kind == ChunkType::RE_CONFIG).count(), 1);
    let expected = [
        Said::Response(SEQ, Result::PERFORMED, None),
        Said::Response(SEQ + 1, Result::DENIED, None),
    ];
    assert_eq!(said(&[answer]), expected);
    let both = ask(&mut peer, |w| {
        add_outgoing(w, SEQ + 2, 1);
        add_incoming(w, SEQ + 3, 1);
    });
    assert_eq!(
        both,
        [
            Said::Response(SEQ + 2, Result::PERFORMED, None),
            Said::AddOutgoing(z_seq, 1)
        ]
    );
}

#[test]
fn rfc6525_3_1_parameters_that_may_not_stand_together_are_reported() {
    let mut peer = established();
    let bad: [&dyn Fn(&mut Writer<'_>); 4] = [
        &|_| {},
        &|w| {
            reset_all(w, SEQ);
            add_outgoing(w, SEQ + 1, 1);
        },
        &|w| w.tlv(0x0099, |w| w.u32(1)),
        &|w| w.tlv(13, |w| w.u32(1)),
    ];
    for params in bad {
        send(&mut peer, params);
        let answer = peer.answer();
        assert_eq!(answer.get(ChunkType::ERROR).cause_codes(), [13]);
        assert!(!answer.has(ChunkType::RE_CONFIG));
    }
    assert_eq!(
        ask(&mut peer, |w| add_outgoing(w, SEQ, 1)),
        result(SEQ, Result::PERFORMED)
    );
}

#[test]
fn rfc5062_a_flood_of_requests_is_answered_by_no_more_than_it_is() {
    let mut peer = established();
    let packet = peer.packet(peer.z_tag, |buf| {
        for _ in 0..60 {
            write_reconfig(buf, |w| add_outgoing(w, SEQ.wrapping_add(77), 1));
        }
    });
    let size = packet.len();
    for _ in 0..100 {
        peer.send_bytes(packet.clone());
    }
    let answered: usize = peer.answers().iter().map(|answer| answer.size).sum();
    assert!(answered < 100 * size, "{answered}");
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
    assert_eq!(
        ask(&mut peer, |w| add_outgoing(w, SEQ, 1)),
        result(SEQ, Result::PERFORMED)
    );
}
