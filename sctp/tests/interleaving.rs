//! Interleaving of messages between stacks and with a scripted peer (RFC 8260 §2).

mod common;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use common::{A, Answer, B, Peer, PeerSetup, Setup, connected, ms, secs};
use sctp::config::{AssociationConfig, FragmentInterleave, StreamScheduler};
use sctp::error::{FailureReason, Violation};
use sctp::serial::{Fsn, Mid, Ppid, StreamId, Tsn};
use sctp::sim::{LinkConfig, Verdict};
use sctp::wire::{
    CauseCode, ChunkType, Fragment, IDataChunk, IDataHeader, IForwardTsn, Param, SkippedMessage, write_forward_tsn,
    write_i_data, write_i_forward_tsn,
};
use sctp::{AbandonedMessages, Event, OutMessage, PartialReliabilityPolicy, Reliability};

fn on(config: &mut AssociationConfig) {
    config.interleaving_mut().set_offered(true);
}

fn interleaving(scheduler: StreamScheduler) -> Setup {
    Setup::single()
        .config(on)
        .config(move |config| config.set_stream_scheduler(scheduler))
}

/// The I-DATA chunks of packets, in the order of the TSNs.
fn i_data(packets: &[Answer]) -> Vec<IDataHeader> {
    let chunks = packets.iter().flat_map(|packet| &packet.chunks);
    let mut found: Vec<IDataHeader> = chunks
        .filter(|chunk| chunk.kind == ChunkType::I_DATA)
        .map(|chunk| IDataChunk::parse(chunk.flags, &chunk.value).unwrap().header)
        .collect();
    if let Some(first) = found.first().map(|header| header.tsn) {
        found.sort_by_key(|header| header.tsn.steps_from(first));
    }
    found
}

fn streams(packets: &[Answer]) -> Vec<u16> {
    i_data(packets).iter().map(|header| header.stream.0).collect()
}

fn no_data(packets: &[Answer]) -> bool {
    let kinds = packets.iter().flat_map(Answer::kinds);
    kinds
        .into_iter()
        .all(|kind| !matches!(kind, ChunkType::DATA | ChunkType::FORWARD_TSN))
}

const LISTED: [u8; 3] = [
    ChunkType::FORWARD_TSN.0,
    ChunkType::I_DATA.0,
    ChunkType::I_FORWARD_TSN.0,
];

/// A scripted peer that interleaves, after the set-up.
fn peer_with(listed: &[u8]) -> Peer {
    let mut setup = PeerSetup::default();
    on(&mut setup.association);
    let mut peer = Peer::with(setup);
    peer.establish_with(|w| Param::SupportedExtensions(listed).write(w));
    peer
}

/// A chunk of an ordered message on stream 0; `fsn` is `None` for the first.
fn part(tsn: Tsn, mid: u32, fsn: Option<u32>, ending: bool) -> IDataHeader {
    IDataHeader {
        tsn,
        stream: StreamId(0),
        mid: Mid(mid),
        fragment: fsn.map_or(Fragment::First(Ppid(3)), |fsn| Fragment::Later(Fsn(fsn))),
        unordered: false,
        ending,
        immediate: false,
    }
}

// Negotiation.

#[test]
fn rfc8260_2_2_1_it_takes_both_sides() {
    for (a, b) in [(false, false), (true, false), (false, true), (true, true)] {
        let setup = Setup::single()
            .config_of(A, |config| config.interleaving_mut().set_offered(a))
            .config_of(B, |config| config.interleaving_mut().set_offered(b));
        let mut pair = connected(setup);
        for side in [A, B] {
            pair.say(side, 3, &[7; 5000]);
            let status = pair.status(side).unwrap();
            assert_eq!((status.interleaving, status.partial_reliability), (a && b, true));
        }
        pair.run(secs(2));
        for side in [A, B] {
            let received = pair.hear(side);
            assert_eq!(received.len(), 1);
            assert_eq!(received[0].mid, (a && b).then_some(Mid(0)));
            assert_eq!(i_data(&pair.sent(side)).is_empty(), !(a && b));
            assert_eq!(no_data(&pair.sent(side)), a && b);
        }
        pair.assert_idle();
    }
}

#[test]
fn rfc8260_2_2_1_nothing_is_said_of_it_unless_the_user_wants_it() {
    let listed = |answer: &Answer| {
        let init = answer.chunks[0].init();
        let mut listed = Vec::new();
        for param in init.params.flatten() {
            if let Param::SupportedExtensions(types) = param {
                listed = types.to_vec();
            }
        }
        let has = |kind: ChunkType| listed.contains(&kind.0);
        (has(ChunkType::I_DATA), has(ChunkType::I_FORWARD_TSN))
    };
    for (offered, reliability) in [(false, true), (true, true), (true, false)] {
        let mut setup = PeerSetup::default();
        setup.association.interleaving_mut().set_offered(offered);
        setup.association.set_partial_reliability(reliability);
        let mut peer = Peer::with(setup);
        peer.send_init();
        assert_eq!(listed(&peer.answer()), (offered, offered && reliability));
        peer.connect();
        assert_eq!(listed(&peer.answer()), (offered, offered && reliability));
    }
}

#[test]
fn rfc8260_2_3_1_partial_reliability_takes_i_forward_tsn() {
    for (listed, expected) in [(&LISTED[..], true), (&LISTED[..2], false), (&LISTED[1..], false)] {
        let peer = peer_with(listed);
        let status = peer.status().unwrap();
        assert_eq!(
            (status.interleaving, status.partial_reliability),
            (true, expected),
            "{listed:?}"
        );
    }
}

#[test]
fn rfc8260_2_3_1_a_peer_like_linux_has_i_forward_tsn_without_listing_it() {
    let mut setup = PeerSetup::default();
    on(&mut setup.association);
    let mut peer = Peer::with(setup);
    peer.establish_with(|w| {
        Param::SupportedExtensions(&[ChunkType::I_DATA.0]).write(w);
        Param::ForwardTsnSupported.write(w);
    });
    let status = peer.status().unwrap();
    assert_eq!((status.interleaving, status.partial_reliability), (true, true));
    let tsn = peer.tsn;
    peer.send(|buf| write_i_forward_tsn(buf, tsn, &[]));
    assert_eq!(peer.answer().kinds(), [ChunkType::SACK]);
    // The fragments of messages are numbered as that peer wants them.
    peer.z_says(&[9; 3000]);
    let sent = i_data(&peer.run(ms(20)));
    let numbers: Vec<u32> = sent.iter().map(|header| header.fragment.fsn().0).collect();
    assert_eq!(numbers, [0, 0, 1]);
}

#[track_caller]
fn expect_abort(peer: &mut Peer, violation: Violation) {
    let answer = peer.answer();
    let abort = answer.get(ChunkType::ABORT);
    assert_eq!(abort.cause_codes(), [CauseCode::PROTOCOL_VIOLATION.0]);
    let lost = Event::CommunicationLost {
        reason: FailureReason::PeerMisbehaved(violation),
    };
    assert_eq!(peer.log.last(), Some(&lost));
}

#[test]
fn rfc8260_2_2_3_data_in_place_of_i_data_ends_the_association() {
    let mut peer = peer_with(&LISTED);
    peer.say(b"data");
    expect_abort(&mut peer, Violation::MissingInterleaving);
}

#[test]
fn rfc8260_2_2_3_i_data_in_place_of_data_ends_the_association() {
    for offered in [false, true] {
        let mut setup = PeerSetup::default();
        setup.association.interleaving_mut().set_offered(offered);
        let mut peer = Peer::with(setup);
        peer.establish();
        let header = part(peer.tsn, 0, None, true);
        peer.send(|buf| write_i_data(buf, &header, b"data"));
        expect_abort(&mut peer, Violation::UnexpectedInterleaving);
    }
}

#[test]
fn rfc8260_2_3_1_the_wrong_forward_tsn_ends_the_association() {
    for listed in [&LISTED[..], &LISTED[1..2]] {
        let mut peer = peer_with(listed);
        let tsn = peer.tsn;
        peer.send(|buf| write_forward_tsn(buf, tsn, &[]));
        expect_abort(&mut peer, Violation::MissingInterleaving);
    }
    let mut peer = peer_with(&LISTED[1..2]);
    let tsn = peer.tsn;
    peer.send(|buf| write_i_forward_tsn(buf, tsn, &[]));
    expect_abort(&mut peer, Violation::UnexpectedInterleaving);
    let mut peer = Peer::established();
    let tsn = peer.tsn;
    peer.send(|buf| write_i_forward_tsn(buf, tsn, &[]));
    expect_abort(&mut peer, Violation::UnexpectedInterleaving);
}

#[test]
fn rfc8260_2_2_3_fragments_that_contradict_each_other_end_the_association() {
    let mut peer = peer_with(&LISTED);
    let tsn = peer.tsn;
    peer.send(|buf| {
        write_i_data(buf, &part(tsn, 0, None, false), b"one");
        write_i_data(buf, &part(tsn.next(), 0, None, false), b"two");
    });
    expect_abort(&mut peer, Violation::InconsistentFragments);
    let mut peer = peer_with(&LISTED);
    let tsn = peer.tsn;
    peer.send(|buf| write_i_data(buf, &part(tsn, 0, None, true), b""));
    assert_eq!(
        peer.answer().get(ChunkType::ABORT).cause_codes(),
        [CauseCode::NO_USER_DATA.0]
    );
}

#[test]
fn rfc9260_6_5_i_data_for_a_stream_that_does_not_exist_is_acknowledged_and_reported() {
    let mut peer = peer_with(&LISTED);
    let header = IDataHeader {
        stream: StreamId(500),
        ..part(peer.tsn, 0, None, true)
    };
    peer.send(|buf| write_i_data(buf, &header, b"data"));
    let answer = peer.answer();
    let sack = answer.get(ChunkType::SACK).sack();
    assert_eq!(sack.cumulative_tsn_ack, header.tsn);
    assert_eq!(
        answer.get(ChunkType::ERROR).cause_codes(),
        [CauseCode::INVALID_STREAM_IDENTIFIER.0]
    );
}

// Sending.

#[test]
fn rfc8260_2_2_2_fragments_have_their_numbers_and_messages_theirs() {
    let mut pair = connected(interleaving(StreamScheduler::FirstComeFirstServed));
    for stream in [1, 1, 2] {
        pair.say(A, stream, &[5; 3000]);
        let message = OutMessage {
            unordered: true,
            ..OutMessage::new(StreamId(stream), Ppid(9), Bytes::from_static(b"x"))
        };
        pair.send(A, message).unwrap();
    }
    pair.run(secs(2));
    let got: Vec<(u16, u32, u32, bool, bool)> = i_data(&pair.sent(A))
        .iter()
        .map(|header| {
            let (stream, mid) = (header.stream.0, header.mid.0);
            (stream, mid, header.fragment.fsn().0, header.unordered, header.ending)
        })
        .collect();
    let message = |stream, mid| {
        let part = move |fsn, ending| (stream, mid, fsn, false, ending);
        [
            part(0, false),
            part(1, false),
            part(2, true),
            (stream, mid, 0, true, true),
        ]
    };
    assert_eq!(got, [message(1, 0), message(1, 1), message(2, 0)].concat());
    assert_eq!(pair.hear(B).len(), 6);
    pair.assert_idle();
}

#[test]
fn rfc8260_3_2_round_robin_changes_streams_with_every_chunk() {
    let mut pair = connected(interleaving(StreamScheduler::RoundRobin));
    for stream in [2, 0, 1] {
        pair.say(A, stream, &[stream as u8; 4000]);
    }
    pair.run(secs(2));
    assert_eq!(streams(&pair.sent(A))[..9], [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    let received = pair.hear(B);
    assert_eq!(received.len(), 3);
    for received in received {
        assert!(
            received.payload.len() == 4000
                && received
                    .payload
                    .iter()
                    .all(|byte| u16::from(*byte) == received.stream.0)
        );
    }
}

#[test]
fn rfc8260_3_1_first_come_first_served_does_not_interleave() {
    let mut pair = connected(interleaving(StreamScheduler::FirstComeFirstServed));
    for stream in [2, 0, 1] {
        pair.say(A, stream, &[1; 3000]);
    }
    pair.run(secs(2));
    assert_eq!(streams(&pair.sent(A)), [2, 2, 2, 0, 0, 0, 1, 1, 1]);
}

#[test]
fn rfc8260_3_4_a_large_message_does_not_hold_up_a_more_important_one() {
    let link = LinkConfig::new().latency(ms(10)).mtu(1500).rate(1_000_000, 50_000);
    let waited = |on: bool| {
        let setup = Setup::single()
            .link(&link)
            .config(|config| config.set_stream_scheduler(StreamScheduler::Priority))
            .config(move |config| config.interleaving_mut().set_offered(on));
        let mut pair = connected(setup);
        let (assoc, stack) = (pair.assoc(A), pair.world.stack(pair.hosts[A]));
        stack.set_stream_scheduler_value(assoc, StreamId(1), 8).unwrap();
        pair.say(A, 1, &[1; 500_000]);
        pair.run(ms(500));
        let start = pair.now();
        pair.say(A, 0, b"urgent");
        let mut heard = Vec::new();
        pair.must("the urgent message", secs(60), |pair| {
            heard.extend(pair.hear(B));
            heard.iter().any(|received| &received.payload[..] == b"urgent")
        });
        pair.now().saturating_since(start)
    };
    assert!(waited(true) < ms(600), "{:?}", waited(true));
    assert!(waited(false) > secs(2), "{:?}", waited(false));
}

#[test]
fn schedulers_can_be_changed_while_messages_are_interleaved() {
    let mut pair = connected(interleaving(StreamScheduler::RoundRobin));
    let kinds = [
        StreamScheduler::Priority,
        StreamScheduler::FairCapacity,
        StreamScheduler::FirstComeFirstServed,
        StreamScheduler::RoundRobinPerPacket,
        StreamScheduler::FirstComeFirstServed,
        StreamScheduler::WeightedFairQueueing,
        StreamScheduler::RoundRobin,
    ];
    for stream in 0..5 {
        pair.say(A, stream, &[stream as u8; 60_000]);
        pair.say(A, stream, &[stream as u8; 10]);
    }
    for kind in kinds {
        pair.run(ms(21));
        let (assoc, stack) = (pair.assoc(A), pair.world.stack(pair.hosts[A]));
        stack.set_stream_scheduler(assoc, kind).unwrap();
    }
    pair.run(secs(20));
    let received = pair.hear(B);
    assert_eq!(received.len(), 10);
    assert!(
        received
            .iter()
            .all(|got| got.payload.iter().all(|byte| u16::from(*byte) == got.stream.0))
    );
    pair.assert_idle();
}

#[test]
fn a_peer_that_counts_from_zero_is_understood_and_answered_in_kind() {
    for (counting, expected) in [([1, 2], [1, 2]), ([0, 1], [0, 1])] {
        let mut peer = peer_with(&LISTED);
        let tsn = peer.tsn;
        peer.send(|buf| {
            write_i_data(buf, &part(tsn, 0, None, false), b"a");
            write_i_data(buf, &part(tsn.plus(1), 0, Some(counting[0]), false), b"b");
            write_i_data(buf, &part(tsn.plus(2), 0, Some(counting[1]), true), b"c");
        });
        peer.answers();
        assert_eq!(peer.z_hears_payloads(), [&b"abc"[..]]);
        peer.z_says(&[1; 3000]);
        let sent = i_data(&peer.run(ms(20)));
        let later: Vec<u32> = sent[1..].iter().map(|header| header.fragment.fsn().0).collect();
        assert_eq!(later, expected);
    }
}

#[test]
fn fragments_can_be_counted_from_zero_from_the_start() {
    let setup = interleaving(StreamScheduler::RoundRobin)
        .config_of(A, |config| config.interleaving_mut().set_fragments_from_zero(true));
    let mut pair = connected(setup);
    pair.say(A, 0, &[1; 5000]);
    pair.run(secs(1));
    pair.say(B, 0, &[1; 5000]);
    pair.run(secs(1));
    for side in [A, B] {
        assert_eq!(pair.hear_payloads(side), [&[1; 5000][..]]);
        let numbers: Vec<u32> = i_data(&pair.sent(side))
            .iter()
            .map(|header| header.fragment.fsn().0)
            .collect();
        assert_eq!(numbers, [0, 0, 1, 2, 3]);
    }
}

// Partial delivery.

#[test]
fn rfc6458_8_1_20_large_messages_of_several_streams_are_delivered_in_pieces_at_once() {
    let setup = interleaving(StreamScheduler::RoundRobin).config(|config| {
        assert_eq!(config.interleaving().fragment_interleave(), FragmentInterleave::Streams);
        config.set_receive_buffer(20_000).unwrap();
        config.set_send_buffer(1_000_000).unwrap();
    });
    let mut pair = connected(setup);
    for stream in 0..4 {
        pair.say(A, stream, &vec![stream as u8; 100_000]);
    }
    let mut got: BTreeMap<u16, (usize, bool)> = BTreeMap::new();
    let mut order = Vec::new();
    pair.must("all messages", secs(300), |pair| {
        for piece in pair.hear(B) {
            assert!(piece.payload.iter().all(|byte| u16::from(*byte) == piece.stream.0));
            let entry = got.entry(piece.stream.0).or_default();
            assert!(!entry.1, "nothing follows the end");
            entry.0 += piece.payload.len();
            entry.1 = piece.end_of_message;
            order.push(piece.stream.0);
        }
        got.values().filter(|(_, ended)| *ended).count() == 4
    });
    assert!(got.values().all(|(len, _)| *len == 100_000));
    order.dedup();
    assert!(order.len() > 20, "pieces of all streams come in turn: {order:?}");
    pair.run(secs(1));
    pair.assert_idle();
}

// Partial reliability.

#[test]
fn rfc8260_2_3_1_messages_given_up_are_skipped_by_i_forward_tsn() {
    let mut pair = connected(interleaving(StreamScheduler::RoundRobin));
    let losing = Rc::new(Cell::new(true));
    let (lose, from, link) = (Rc::clone(&losing), pair.address(A, 0), pair.links[0]);
    pair.world.set_filter(link, move |_, packet| {
        let lost = lose.get() && packet.src == from && packet.has(ChunkType::I_DATA);
        if lost { Verdict::Drop } else { Verdict::Pass }
    });
    for (stream, unordered) in [(1, false), (2, true), (1, false), (2, true)] {
        let message = OutMessage {
            unordered,
            reliability: Reliability::Retransmissions(0),
            ..OutMessage::new(StreamId(stream), Ppid(0), Bytes::from(vec![1; 2500]))
        };
        pair.send(A, message).unwrap();
    }
    pair.run(secs(60));
    losing.set(false);
    pair.run(secs(5));
    let sent = pair.sent(A);
    assert!(no_data(&sent));
    let forwards = sent.iter().filter_map(|packet| packet.find(ChunkType::I_FORWARD_TSN));
    let skipped: Vec<SkippedMessage> = forwards
        .flat_map(|chunk| IForwardTsn::parse(&chunk.value).unwrap().messages)
        .collect();
    let entry = |stream, unordered| SkippedMessage {
        stream: StreamId(stream),
        unordered,
        mid: Mid(1),
    };
    assert!(
        skipped.contains(&entry(1, false)) && skipped.contains(&entry(2, true)),
        "{skipped:?}"
    );
    for stream in [1, 2] {
        pair.say(A, stream, b"next");
    }
    pair.run(secs(5));
    assert_eq!(pair.hear_payloads(B), [&b"next"[..], b"next"]);
    pair.assert_idle();

    // RFC 7496 §4.3, §4.4.
    let (assoc, stack) = (pair.assoc(A), pair.world.stack(pair.hosts[A]));
    let four = AbandonedMessages { unsent: 0, sent: 4 };
    let two = AbandonedMessages { unsent: 0, sent: 2 };
    let none = AbandonedMessages::default();
    let policy = Some(PartialReliabilityPolicy::Retransmissions);
    assert_eq!(stack.abandoned_messages(assoc, None), Ok(four));
    assert_eq!(stack.abandoned_messages(assoc, policy), Ok(four));
    assert_eq!(
        stack.abandoned_messages(assoc, Some(PartialReliabilityPolicy::Timed)),
        Ok(none)
    );
    assert_eq!(stack.abandoned_messages_of_stream(assoc, StreamId(1), policy), Ok(two));
    assert_eq!(stack.abandoned_messages_of_stream(assoc, StreamId(0), None), Ok(none));
    assert!(stack.abandoned_messages_of_stream(assoc, StreamId(10), None).is_err());
}

#[test]
fn rfc9260_5_2_4_a_restarted_peer_begins_to_interleave_anew() {
    let mut pair = connected(interleaving(StreamScheduler::RoundRobin));
    pair.say(A, 1, &[1; 5000]);
    pair.say(B, 1, &[1; 5000]);
    pair.run(secs(1));
    assert_eq!((pair.hear(A).len(), pair.hear(B).len()), (1, 1));
    pair.restart(A);
    pair.start(A);
    pair.run(secs(5));
    for side in [A, B] {
        pair.say(side, 1, &[2; 5000]);
    }
    pair.run(secs(5));
    for side in [A, B] {
        let received = pair.hear(side);
        assert_eq!((received.len(), received[0].mid), (1, Some(Mid(0))), "side {side}");
    }
    pair.assert_idle();
}
