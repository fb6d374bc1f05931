//! Stream re-configuration with a peer that the test speaks for (RFC 6525): what goes over the wire, chunk by chunk.

mod common;

use sctp::config::{AssociationConfig, ReconfigRequests};
use sctp::error::ReconfigError;
use sctp::serial::{RequestSeq, Ssn, StreamId, Tsn};
use sctp::tlv::Writer;
use sctp::wire::{
    ChunkType, NextTsns, Param, Reconfig, ReconfigParam, ReconfigResult, write_forward_tsn, write_incoming_ssn_reset,
    write_outgoing_ssn_reset, write_reconfig, write_sack,
};
use sctp::{AssociationPhase, Event, ReconfigOutcome, StreamDirections};

use common::{Answer, Peer, PeerSetup, data_chunks, ms, sack_of, secs};

type Result = ReconfigResult;

/// A parameter of a RE-CONFIG of Z, with owned streams.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    ResetOutgoing {
        seq: u32,
        response: u32,
        last: Tsn,
        streams: Vec<u16>,
    },
    ResetIncoming(u32, Vec<u16>),
    ResetAll(u32),
    Response(u32, Result, Option<NextTsns>),
    AddOutgoing(u32, u16),
    AddIncoming(u32, u16),
}

fn said(packets: &[Answer]) -> Vec<Said> {
    let chunks = packets.iter().flat_map(|packet| &packet.chunks);
    let mut found = Vec::new();
    for chunk in chunks.filter(|chunk| chunk.kind == ChunkType::RE_CONFIG) {
        let chunk = Reconfig::parse(&chunk.value).unwrap();
        assert!(chunk.is_allowed());
        found.extend(chunk.params.map(|param| match param.unwrap() {
            ReconfigParam::OutgoingSsnReset {
                request_seq,
                response_seq,
                last_assigned_tsn,
                streams,
            } => Said::ResetOutgoing {
                seq: request_seq.0,
                response: response_seq.0,
                last: last_assigned_tsn,
                streams: streams.map(|id| id.0).collect(),
            },
            ReconfigParam::IncomingSsnReset { request_seq, streams } => {
                Said::ResetIncoming(request_seq.0, streams.map(|id| id.0).collect())
            }
            ReconfigParam::SsnTsnReset { request_seq } => Said::ResetAll(request_seq.0),
            ReconfigParam::Response {
                response_seq,
                result,
                next_tsns,
            } => Said::Response(response_seq.0, result, next_tsns),
            ReconfigParam::AddOutgoingStreams {
                request_seq,
                new_streams,
            } => Said::AddOutgoing(request_seq.0, new_streams),
            ReconfigParam::AddIncomingStreams {
                request_seq,
                new_streams,
            } => Said::AddIncoming(request_seq.0, new_streams),
            ReconfigParam::Unknown(tlv) => panic!("{tlv:?}"),
        }));
    }
    found
}

/// Z accepts everything, and has one message of the peer (TSN 1000, stream 0) behind it.
fn established() -> Peer {
    let mut association = AssociationConfig::default();
    association.reconfig_mut().set_accepted(ReconfigRequests::ALL);
    association.set_max_inbound_streams(20).unwrap();
    association.reconfig_mut().set_max_outbound_streams(20).unwrap();
    let mut peer = Peer::with(PeerSetup {
        association,
        ..PeerSetup::default()
    });
    peer.establish_with(|w| {
        Param::ForwardTsnSupported.write(w);
        Param::SupportedExtensions(&[ChunkType::RE_CONFIG.0]).write(w);
    });
    peer.say(b"first");
    assert!(peer.answer().has(ChunkType::SACK));
    peer
}

/// The peer's request numbers count from its initial TSN (RFC 6525 §4.1).
const SEQ: u32 = 1000;

fn send(peer: &mut Peer, params: impl FnOnce(&mut Writer<'_>)) {
    peer.send(|buf| write_reconfig(buf, params));
}

fn ask(peer: &mut Peer, params: impl FnOnce(&mut Writer<'_>)) -> Vec<Said> {
    send(peer, params);
    said(&peer.answers())
}

fn ids(streams: &[u16]) -> Vec<StreamId> {
    streams.iter().map(|&id| StreamId(id)).collect()
}

fn reset_outgoing(w: &mut Writer<'_>, seq: u32, response: u32, last: Tsn, streams: &[u16]) {
    write_outgoing_ssn_reset(w, RequestSeq(seq), RequestSeq(response), last, &ids(streams));
}

fn reset_incoming(w: &mut Writer<'_>, seq: u32, streams: &[u16]) {
    write_incoming_ssn_reset(w, RequestSeq(seq), &ids(streams));
}

fn respond(peer: &mut Peer, seq: u32, result: Result) -> Vec<Answer> {
    send(peer, |w| {
        ReconfigParam::Response {
            response_seq: RequestSeq(seq),
            result,
            next_tsns: None,
        }
        .write(w);
    });
    peer.answers()
}

fn add_outgoing(w: &mut Writer<'_>, seq: u32, new_streams: u16) {
    let request_seq = RequestSeq(seq);
    ReconfigParam::AddOutgoingStreams {
        request_seq,
        new_streams,
    }
    .write(w);
}

fn add_incoming(w: &mut Writer<'_>, seq: u32, new_streams: u16) {
    let request_seq = RequestSeq(seq);
    ReconfigParam::AddIncomingStreams {
        request_seq,
        new_streams,
    }
    .write(w);
}

fn reset_all(w: &mut Writer<'_>, seq: u32) {
    let request_seq = RequestSeq(seq);
    ReconfigParam::SsnTsnReset { request_seq }.write(w);
}

fn result(seq: u32, result: Result) -> Vec<Said> {
    vec![Said::Response(seq, result, None)]
}

fn z_resets(peer: &mut Peer, directions: StreamDirections, streams: &[u16]) -> std::result::Result<(), ReconfigError> {
    let (now, assoc) = (peer.world.now(), peer.assoc.unwrap());
    peer.world
        .stack(peer.z)
        .reset_streams(now, assoc, directions, &ids(streams))
}

fn outcomes(peer: &Peer) -> Vec<ReconfigOutcome> {
    let outcome = |event: &Event| match event {
        Event::StreamReset { outcome, .. }
        | Event::AssociationReset { outcome, .. }
        | Event::StreamChange { outcome, .. } => Some(*outcome),
        _ => None,
    };
    peer.log.iter().filter_map(outcome).collect()
}

/// Z's user sends a message, and the peer acknowledges it.
fn z_says_and_gets_sack(peer: &mut Peer, count: u32) {
    peer.z_says(b"x");
    assert_eq!(data_chunks(&peer.answers()).len(), 1);
    peer.send_sack(count, 100_000, &[]);
    peer.answers();
}

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
fn rfc6525_5_1_1_two_sides_that_wait_for_each_other_do_not_wait_for_ever() {
    let mut peer = established();
    z_says_and_gets_sack(&mut peer, 0);
    z_resets(&mut peer, StreamDirections::Incoming, &[0]).unwrap();
    let z_seq = peer.z_tsn.0;
    assert_eq!(said(&peer.answers()), [Said::ResetIncoming(z_seq, vec![0])]);
    for (n, params) in [0u32, 1, 2].into_iter().enumerate() {
        let seq = SEQ + params;
        let answer = ask(&mut peer, |w| match n {
            0 => reset_incoming(w, seq, &[0]),
            1 => add_incoming(w, seq, 1),
            _ => reset_all(w, seq),
        });
        assert!(
            matches!(answer[..], [Said::Response(at, Result::REQUEST_ALREADY_IN_PROGRESS, _)] if at == seq),
            "{answer:?}"
        );
    }
    respond(&mut peer, z_seq, Result::REQUEST_ALREADY_IN_PROGRESS);
    assert_eq!(outcomes(&peer), [ReconfigOutcome::Failed]);
    z_resets(&mut peer, StreamDirections::Incoming, &[0]).unwrap();
}

#[test]
fn rfc6525_5_2_2_e1_the_peers_reset_answers_the_own_incoming_request_even_if_others_are_denied() {
    let mut peer = established();
    let (z, assoc) = (peer.z, peer.assoc.unwrap());
    peer.world
        .stack(z)
        .accept_reconfig(assoc, ReconfigRequests::NONE)
        .unwrap();
    z_resets(&mut peer, StreamDirections::Incoming, &[0]).unwrap();
    let z_seq = peer.z_tsn.0;
    assert_eq!(said(&peer.answers()), [Said::ResetIncoming(z_seq, vec![0])]);
    let last = peer.tsn.minus(1);
    let denied = ask(&mut peer, |w| reset_outgoing(w, SEQ, z_seq, last, &[1]));
    assert_eq!(denied, result(SEQ, Result::DENIED), "it is not what was asked for");
    let done = ask(&mut peer, |w| reset_outgoing(w, SEQ + 1, z_seq, last, &[0]));
    assert_eq!(done, result(SEQ + 1, Result::PERFORMED));
    assert_eq!(outcomes(&peer), [ReconfigOutcome::Performed]);
    let status = peer.run(secs(30));
    assert!(said(&status).is_empty(), "the timer is stopped");
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
fn rfc6525_5_2_7_h5_the_requester_goes_on_with_the_numbers_it_is_told() {
    let mut peer = established();
    z_says_and_gets_sack(&mut peer, 0);
    let (now, assoc, z) = (peer.world.now(), peer.assoc.unwrap(), peer.z);
    peer.world.stack(z).reset_association(now, assoc).unwrap();
    let z_seq = peer.z_tsn.0;
    assert_eq!(said(&peer.answers()), [Said::ResetAll(z_seq)]);
    peer.z_says(b"waits");
    // New data overtakes the response; it has the numbers that are not known yet.
    let next = NextTsns {
        sender: peer.tsn.next(),
        receiver: peer.z_tsn.plus(1 + (1 << 31)),
    };
    peer.send_data(&Peer::header(peer.tsn, 0, 1), b"old");
    peer.send_data(&Peer::header(next.sender.next(), 0, 1), b"new 1");
    peer.send_data(&Peer::header(next.sender, 0, 0), b"new 0");
    // So does an acknowledgement that means nothing yet.
    let (cumulative, old) = (next.receiver.minus(1), peer.z_tsn.minus(1));
    peer.send(|buf| write_sack(buf, cumulative, 100_000, &[], &[]));
    assert!(data_chunks(&peer.answers()).is_empty());
    send(&mut peer, |w| {
        ReconfigParam::Response {
            response_seq: RequestSeq(z_seq),
            result: Result::PERFORMED,
            next_tsns: Some(next),
        }
        .write(w);
    });
    let sent = peer.answers();
    let data = data_chunks(&sent);
    assert_eq!((data[0].tsn, data[0].ssn), (next.receiver, Ssn(0)));
    assert_eq!(peer.z_hears_payloads(), [&b"first"[..], b"old", b"new 0", b"new 1"]);
    // An old acknowledgement that is late is no violation.
    peer.send(|buf| write_sack(buf, old, 100_000, &[], &[]));
    peer.send(|buf| write_sack(buf, next.receiver, 100_000, &[], &[]));
    peer.answers();
    let status = peer.status().unwrap();
    assert_eq!(
        (status.phase, status.buffered_bytes),
        (AssociationPhase::Established, 0)
    );
    assert_eq!(outcomes(&peer), [ReconfigOutcome::Performed]);
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
fn rfc6525_5_1_2_a_reset_waits_until_what_was_queued_before_is_sent() {
    let mut peer = established();
    for _ in 0..50 {
        peer.z_says(&[7; 1000]);
    }
    z_resets(&mut peer, StreamDirections::Outgoing, &[0]).unwrap();
    peer.z_says(b"after");
    let mut sent = Vec::new();
    let mut acked = 0;
    for _ in 0..60 {
        sent.extend(peer.answers());
        let count = data_chunks(&sent).len() as u32;
        if count > acked {
            assert!(said(&sent).is_empty() || count == 50);
            acked = count;
            peer.send_sack(count - 1, 100_000, &[]);
        }
    }
    let z_seq = peer.z_tsn.0;
    let request = Said::ResetOutgoing {
        seq: z_seq,
        response: SEQ - 1,
        last: peer.z_tsn.plus(49),
        streams: vec![0],
    };
    assert_eq!((data_chunks(&sent).len(), said(&sent)), (50, vec![request]));
    // Denied: the numbers go on.
    let after = respond(&mut peer, z_seq, Result::DENIED);
    let data = data_chunks(&after);
    assert_eq!((data[0].ssn, data[0].payload), (Ssn(50), &b"after"[..]));
    assert_eq!(outcomes(&peer), [ReconfigOutcome::Denied]);
}

#[test]
fn rfc6525_5_2_7_h2_while_the_peer_needs_time_the_request_is_repeated_without_an_error() {
    let mut peer = established();
    z_resets(&mut peer, StreamDirections::Outgoing, &[0]).unwrap();
    let z_seq = peer.z_tsn.0;
    let request = said(&peer.answers());
    for _ in 0..20 {
        respond(&mut peer, z_seq, Result::IN_PROGRESS);
        assert_eq!(said(&peer.run(ms(1100))), request);
    }
    let status = peer.status().unwrap();
    assert_eq!(
        (status.phase, status.paths[0].error_count),
        (AssociationPhase::Established, 0)
    );
    respond(&mut peer, z_seq, Result::PERFORMED);
    assert_eq!(outcomes(&peer), [ReconfigOutcome::Performed]);
}

#[test]
fn rfc9260_5_2_4_a_restart_ends_requests_and_begins_their_numbers_anew() {
    let mut peer = established();
    assert_eq!(
        ask(&mut peer, |w| add_outgoing(w, SEQ, 1)),
        result(SEQ, Result::PERFORMED)
    );
    z_resets(&mut peer, StreamDirections::Outgoing, &[0]).unwrap();
    assert_eq!(said(&peer.answers()).len(), 1);
    peer.z_says(b"held");
    peer.tag.0 ^= 1;
    peer.fixed.initiate_tag = peer.tag;
    peer.fixed.initial_tsn = Tsn(5000);
    peer.tsn = Tsn(5000);
    peer.send_init_with(|w| Param::SupportedExtensions(&[ChunkType::RE_CONFIG.0]).write(w));
    let answer = peer.answer();
    let cookie = peer.learn(&answer);
    peer.send(|buf| sctp::wire::write_cookie_echo(buf, &cookie));
    let sent = peer.answers();
    assert_eq!(outcomes(&peer)[1..], [ReconfigOutcome::Failed]);
    assert_eq!(data_chunks(&sent)[0].payload, b"held");
    assert_eq!(
        ask(&mut peer, |w| add_outgoing(w, 5000, 1)),
        result(5000, Result::PERFORMED)
    );
    assert_eq!(peer.status().unwrap().inbound_streams, 11);
}

#[test]
fn rfc9260_9_2_a_shutdown_waits_for_what_a_reset_holds_and_ends_requests() {
    let mut peer = established();
    z_resets(&mut peer, StreamDirections::Outgoing, &[0]).unwrap();
    let z_seq = peer.z_tsn.0;
    peer.z_says(b"held");
    peer.answers();
    peer.z_shuts_down();
    assert!(!peer.answers().iter().any(|answer| answer.has(ChunkType::SHUTDOWN)));
    assert_eq!(
        z_resets(&mut peer, StreamDirections::Outgoing, &[1]),
        Err(ReconfigError::NotEstablished)
    );
    assert_eq!(
        ask(&mut peer, |w| reset_incoming(w, SEQ, &[])),
        result(SEQ, Result::DENIED)
    );
    let sent = respond(&mut peer, z_seq, Result::PERFORMED);
    assert_eq!(data_chunks(&sent).len(), 1);
    peer.send_sack(0, 100_000, &[]);
    assert!(peer.answer().has(ChunkType::SHUTDOWN));

    let mut peer = established();
    z_resets(&mut peer, StreamDirections::Outgoing, &[0]).unwrap();
    peer.answers();
    peer.z_shuts_down();
    assert!(peer.answer().has(ChunkType::SHUTDOWN));
    assert_eq!(outcomes(&peer), [ReconfigOutcome::Failed]);
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
