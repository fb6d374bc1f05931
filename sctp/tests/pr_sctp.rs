//! Partial reliability: messages that are given up (RFC 3758, RFC 7496).

mod common;

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use common::{A, Answer, B, ChunkBytes, Pair, Peer, PeerSetup, Setup, connected, data_chunks, ms, sack_of, secs};
use sctp::error::SendError;
use sctp::serial::{Ppid, Ssn, StreamId, Tsn};
use sctp::sim::Verdict;
use sctp::wire::{CauseCode, ChunkType, DataHeader, ForwardTsn, Param, write_data, write_forward_tsn};
use sctp::{Event, OutMessage, Reliability};

fn message(stream: u16, payload: &'static [u8], reliability: Reliability) -> OutMessage {
    OutMessage {
        reliability,
        ..OutMessage::new(StreamId(stream), Ppid(0), Bytes::from_static(payload))
    }
}

/// New cumulative TSN and streams of each FORWARD-TSN in the packets.
fn forwards(packets: &[Answer]) -> Vec<(Tsn, Vec<(u16, u16)>)> {
    let chunks = packets.iter().flat_map(|packet| &packet.chunks);
    chunks
        .filter(|chunk| chunk.kind == ChunkType::FORWARD_TSN)
        .map(|chunk| {
            let forward = ForwardTsn::parse(&chunk.value).unwrap();
            let streams = forward.streams.map(|(stream, ssn)| (stream.0, ssn.0));
            (forward.new_cumulative_tsn, streams.collect())
        })
        .collect()
}

/// Loses the packets with DATA of A's from now on, while the cell says so.
fn lose_data(pair: &mut Pair) -> Rc<Cell<bool>> {
    let losing = Rc::new(Cell::new(true));
    let (lose, from, link) = (Rc::clone(&losing), pair.address(A, 0), pair.links[0]);
    pair.world.set_filter(link, move |_, packet| {
        if lose.get() && packet.src == from && packet.has(ChunkType::DATA) {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    });
    losing
}

/// A scripted peer that knows FORWARD-TSN, after the set-up.
fn peer_with(association: impl FnOnce(&mut sctp::config::AssociationConfig)) -> Peer {
    let mut setup = PeerSetup::default();
    association(&mut setup.association);
    let mut peer = Peer::with(setup);
    peer.establish_with(|w| Param::ForwardTsnSupported.write(w));
    peer
}

fn params_of(chunk: &ChunkBytes) -> (bool, Vec<u8>) {
    let mut found = (false, Vec::new());
    for param in chunk.init().params.flatten() {
        match param {
            Param::ForwardTsnSupported => found.0 = true,
            Param::SupportedExtensions(listed) => found.1 = listed.to_vec(),
            _ => {}
        }
    }
    found
}

// Negotiation.

#[test]
fn rfc3758_3_3_1_init_and_init_ack_announce_it_unless_it_is_switched_off() {
    for on in [true, false] {
        let setup = || PeerSetup {
            association: {
                let mut config = common::without_discovery();
                config.set_partial_reliability(on);
                config.reconfig_mut().set_offered(false);
                config
            },
            ..PeerSetup::default()
        };
        let expected = (on, if on { vec![ChunkType::FORWARD_TSN.0] } else { Vec::new() });
        let mut peer = Peer::with(setup());
        peer.send_init();
        assert_eq!(params_of(peer.answer().get(ChunkType::INIT_ACK)), expected);
        let mut peer = Peer::with(setup());
        peer.connect();
        assert_eq!(params_of(peer.answer().get(ChunkType::INIT)), expected);
    }
}

#[test]
fn rfc5061_4_2_7_either_parameter_announces_it() {
    let either: [&dyn Fn(&mut sctp::tlv::Writer<'_>); 3] = [
        &|w| Param::ForwardTsnSupported.write(w),
        &|w| Param::SupportedExtensions(&[0x82, ChunkType::FORWARD_TSN.0]).write(w),
        &|w| Param::SupportedExtensions(&[0x82]).write(w),
    ];
    for (params, known) in either.into_iter().zip([true, true, false]) {
        let mut peer = Peer::new();
        peer.establish_with(params);
        assert_eq!(peer.status().unwrap().partial_reliability, known);
    }
}

#[test]
fn rfc3758_3_3_2_a_peer_without_it_gets_everything() {
    for without in [A, B] {
        let setup = Setup::single().config_of(without, |config| config.set_partial_reliability(false));
        let mut pair = connected(setup);
        assert!(!pair.status(A).unwrap().partial_reliability && !pair.status(B).unwrap().partial_reliability);
        let losing = lose_data(&mut pair);
        for reliability in [Reliability::Timed(ms(10)), Reliability::Retransmissions(0)] {
            pair.send(A, message(0, b"anyway", reliability)).unwrap();
        }
        pair.run(secs(2));
        losing.set(false);
        pair.run(secs(20));
        assert_eq!(pair.hear_payloads(B), [&b"anyway"[..], b"anyway"]);
        assert!(pair.failures(A).is_empty() && forwards(&pair.sent(A)).is_empty());
        pair.assert_idle();
    }
}

#[test]
fn rfc3758_3_3_1_without_negotiation_a_forward_tsn_is_an_unknown_chunk() {
    let mut peer = Peer::established();
    let ahead = peer.tsn.plus(5);
    peer.send(|buf| write_forward_tsn(buf, ahead, &[]));
    let answer = peer.answer();
    assert_eq!(
        answer.get(ChunkType::ERROR).cause_codes(),
        [CauseCode::UNRECOGNIZED_CHUNK_TYPE.0]
    );
    let acked = peer.tsn.plus(0);
    peer.say(b"second");
    let answers = peer.run(secs(1));
    let sack = answers.iter().find(|answer| answer.has(ChunkType::SACK)).unwrap();
    assert_eq!(sack_of(sack).0, acked);
}

// The sender.

#[test]
fn rfc3758_4_1_tr3_a_message_that_expires_in_the_queue_is_not_sent() {
    let mut pair = connected(Setup::single());
    let losing = lose_data(&mut pair);
    // More than the initial window, so that the rest waits.
    for _ in 0..20 {
        pair.say(A, 0, &[1; 1000]);
    }
    pair.send(A, message(0, b"stale", Reliability::Timed(ms(500)))).unwrap();
    pair.say(A, 0, b"last");
    pair.run(secs(2));
    losing.set(false);
    pair.run(secs(20));
    let heard = pair.hear(B);
    assert_eq!(heard.len(), 21);
    // Neither TSN nor SSN was used up.
    assert!(
        heard
            .windows(2)
            .all(|pair| pair[1].tsn == pair[0].tsn.next() && pair[1].ssn == pair[0].ssn.next())
    );
    let failed = pair.failures(A);
    assert_eq!(
        (failed.len(), failed[0].sent, &failed[0].payload[..]),
        (1, false, &b"stale"[..])
    );
    let stats = pair.status(A).unwrap().stats;
    assert_eq!((stats.messages_abandoned_unsent, stats.messages_abandoned_sent), (1, 0));
    assert!(forwards(&pair.sent(A)).is_empty());
    pair.assert_idle();
}

#[test]
fn rfc3758_4_1_tr4_a_message_that_expires_in_flight_is_not_sent_again() {
    let mut pair = connected(Setup::single());
    let losing = lose_data(&mut pair);
    pair.send(A, message(7, b"stale", Reliability::Timed(ms(500)))).unwrap();
    pair.run(ms(50));
    losing.set(false);
    pair.say(A, 7, b"next");
    // The gap holds the next message up until T3 expires.
    pair.run(ms(100));
    assert!(pair.hear(B).is_empty());
    pair.run(secs(3));
    assert_eq!(pair.hear_payloads(B), [&b"next"[..]]);
    let sent = pair.sent(A);
    let stale = data_chunks(&sent).into_iter().filter(|chunk| chunk.payload == b"stale");
    let tsns: Vec<Tsn> = stale.map(|chunk| chunk.tsn).collect();
    assert_eq!(tsns.len(), 1, "sent once");
    assert_eq!(forwards(&sent), [(tsns[0], vec![(7, 0)])]);
    let failed = pair.failures(A);
    assert_eq!((failed.len(), failed[0].sent, failed[0].stream), (1, true, StreamId(7)));
    assert_eq!(pair.status(A).unwrap().stats.messages_abandoned_sent, 1);
    assert_eq!(pair.status(B).unwrap().stats.forward_tsns_received, 1);
    pair.assert_idle();
}

#[test]
fn rfc7496_3_1_a_message_is_sent_again_as_often_as_its_limit_says() {
    for limit in [0, 1, 3] {
        let mut pair = connected(Setup::single());
        let losing = lose_data(&mut pair);
        pair.send(A, message(0, b"limited", Reliability::Retransmissions(limit)))
            .unwrap();
        pair.must("it is given up", secs(60), |pair| !pair.failures(A).is_empty());
        losing.set(false);
        pair.run(secs(1));
        assert_eq!(data_chunks(&pair.sent(A)).len(), 1 + usize::from(limit));
        assert_eq!(
            pair.status(A).unwrap().paths[0].error_count,
            0,
            "the peer answered the FORWARD-TSN"
        );
        pair.say(A, 0, b"next");
        pair.run(secs(1));
        let heard = pair.hear(B);
        assert_eq!((heard.len(), heard[0].ssn), (1, Ssn(1)));
        pair.assert_idle();
    }
}

#[test]
fn rfc7496_3_2_less_important_messages_give_way_when_the_buffer_is_full() {
    let setup = Setup::single().config(|config| config.set_send_buffer(20_000).unwrap());
    let mut pair = connected(setup);
    let losing = lose_data(&mut pair);
    let with = |priority| message(0, &[7; 1000], Reliability::Priority(priority));
    for n in 0..20 {
        pair.send(A, with(10 + n % 2)).unwrap();
    }
    pair.run(ms(10));
    assert_eq!(pair.send(A, with(11)), Err(SendError::WouldBlock));
    for _ in 0..5 {
        pair.send(A, with(3)).unwrap();
    }
    pair.say(A, 0, &[8; 1000]);
    losing.set(false);
    pair.run(secs(20));
    let heard = pair.hear(B);
    let failed = pair.failures(A);
    assert_eq!((heard.len(), failed.len()), (20, 6));
    assert!(heard.iter().any(|received| received.payload[0] == 8));
    assert!(failed.iter().all(|failure| !failure.sent));
    assert!(pair.reported(A, |event| *event == Event::Writable));
    pair.assert_idle();
}

#[test]
fn rfc3758_3_5_a5_a_lost_forward_tsn_is_repeated() {
    let mut pair = connected(Setup::single());
    let losing = lose_data(&mut pair);
    pair.send(A, message(0, b"stale", Reliability::Retransmissions(0)))
        .unwrap();
    pair.run(ms(5));
    losing.set(false);
    let link = pair.links[0];
    pair.world.set_filter(link, common::lose(ChunkType::FORWARD_TSN, 3));
    pair.run(secs(30));
    assert_eq!(forwards(&pair.sent(A)).len(), 4);
    pair.say(A, 0, b"next");
    pair.run(secs(1));
    assert_eq!(pair.hear_payloads(B), [&b"next"[..]]);
    pair.assert_idle();
    pair.shutdown(A);
    pair.must("both ends close", secs(5), |pair| pair.ends(A) + pair.ends(B) == 2);
}

#[test]
fn rfc3758_3_5_a3_a_fragmented_message_is_given_up_as_a_whole() {
    for unordered in [false, true] {
        let mut pair = connected(Setup::single());
        // The window lets some fragments out, of which a middle one is lost whenever it is sent.
        let (from, link) = (pair.address(A, 0), pair.links[0]);
        let lost = Rc::new(Cell::new(None));
        pair.world.set_filter(link, move |_, packet| {
            let data = packet.chunks().filter(|chunk| chunk.kind == ChunkType::DATA);
            for chunk in data {
                let data = sctp::wire::DataChunk::parse(chunk.flags, chunk.value).unwrap();
                let middle = packet.src == from && !data.beginning && !data.ending;
                if middle && lost.get().is_none_or(|tsn| tsn == data.tsn) {
                    lost.set(Some(data.tsn));
                    return Verdict::Drop;
                }
            }
            Verdict::Pass
        });
        let big = OutMessage {
            reliability: Reliability::Retransmissions(1),
            unordered,
            ..OutMessage::new(StreamId(2), Ppid(0), vec![5; 300_000].into())
        };
        pair.send(A, big).unwrap();
        pair.say(A, 2, b"next");
        pair.say(A, 3, b"other");
        pair.run(secs(20));
        let failed = pair.failures(A);
        assert_eq!(
            (failed.len(), failed[0].sent, failed[0].payload.len()),
            (1, true, 300_000)
        );
        assert_eq!(pair.hear_payloads(B), [&b"next"[..], b"other"]);
        let (_, streams) = forwards(&pair.sent(A)).pop().unwrap();
        // C4: unordered messages are not listed.
        assert_eq!(streams, if unordered { vec![] } else { vec![(2, 0)] });
        pair.assert_idle();
    }
}

#[test]
fn rfc3758_3_5_c4_each_stream_is_listed_once_with_its_greatest_number() {
    let mut pair = connected(Setup::single());
    let losing = lose_data(&mut pair);
    for stream in [1, 4, 1, 1, 4] {
        pair.send(A, message(stream, b"x", Reliability::Retransmissions(0)))
            .unwrap();
    }
    pair.run(ms(5));
    losing.set(false);
    pair.run(secs(3));
    let (_, streams) = forwards(&pair.sent(A)).pop().unwrap();
    assert_eq!(streams, [(1, 2), (4, 1)]);
    pair.assert_idle();
}

#[test]
fn rfc3758_3_5_c4_more_streams_than_a_packet_takes_come_one_after_the_other() {
    let setup = Setup::single().config(|config| config.set_outbound_streams(2000).unwrap());
    let mut pair = connected(setup);
    let losing = lose_data(&mut pair);
    for stream in 0..1000 {
        let payload = Bytes::from_static(b"x");
        let small = OutMessage {
            reliability: Reliability::Timed(secs(30)),
            ..OutMessage::new(StreamId(stream), Ppid(0), payload)
        };
        pair.send(A, small).unwrap();
    }
    pair.run(secs(40));
    losing.set(false);
    pair.run(secs(120));
    let sent = pair.sent(A);
    assert!(sent.iter().all(|packet| packet.size <= 1500));
    let abandoned = pair.failures(A).len();
    assert!(abandoned > 0 && pair.hear(B).len() + abandoned >= 1000);
    for stream in 0..1000 {
        pair.say(A, stream, b"next");
    }
    pair.run(secs(5));
    assert_eq!(pair.hear(B).len(), 1000, "no stream is held up");
    pair.assert_idle();
}

#[test]
fn rfc3758_3_5_a_shutdown_waits_for_what_was_given_up() {
    let mut pair = connected(Setup::single());
    let losing = lose_data(&mut pair);
    pair.send(A, message(0, b"stale", Reliability::Retransmissions(0)))
        .unwrap();
    pair.run(ms(5));
    pair.shutdown(A);
    pair.run(ms(5));
    losing.set(false);
    pair.must("both ends close", secs(10), |pair| pair.ends(A) + pair.ends(B) == 2);
    assert!(
        [A, B]
            .iter()
            .all(|&side| pair.reported(side, |event| *event == Event::ShutdownComplete))
    );
    assert_eq!(pair.failures(A).len(), 1);
}

#[test]
fn rfc3758_4_1_a_shutdown_does_not_wait_for_what_expired_unsent() {
    let mut peer = peer_with(|_| {});
    // The window is closed by one message.
    peer.z_says(b"first");
    peer.answers();
    peer.send_sack(0, 0, &[]);
    peer.answers();
    let (now, assoc) = (peer.world.now(), peer.assoc.unwrap());
    let stale = message(0, b"stale", Reliability::Timed(ms(100)));
    peer.world.stack(peer.z).send(now, assoc, stale).unwrap();
    peer.z_shuts_down();
    let answers = peer.run(secs(5));
    assert!(data_chunks(&answers).is_empty());
    assert!(answers.iter().any(|answer| answer.has(ChunkType::SHUTDOWN)));
    assert!(
        peer.log
            .iter()
            .any(|event| matches!(event, Event::SendFailed(failure) if !failure.sent))
    );
    assert!(peer.log.contains(&Event::SenderDry));
}

// The receiver.

#[test]
fn rfc3758_3_6_a_forward_tsn_moves_the_cumulative_tsn_and_releases_what_waits() {
    let mut peer = peer_with(|_| {});
    let first = peer.tsn;
    for ssn in [1, 3] {
        peer.send_data(&Peer::header(first.plus(ssn.into()), 0, ssn), b"waits");
    }
    peer.answers();
    assert!(peer.z_hears().is_empty());
    peer.send(|buf| write_forward_tsn(buf, first.plus(2), &[(StreamId(0), Ssn(2))]));
    assert_eq!(sack_of(&peer.answer()), (first.plus(3), vec![], vec![]));
    let ssns: Vec<u16> = peer.z_hears().iter().map(|received| received.ssn.0).collect();
    assert_eq!(ssns, [1, 3]);
    // Once more: out of date, and answered at once.
    peer.send(|buf| write_forward_tsn(buf, first.plus(2), &[(StreamId(0), Ssn(2))]));
    assert_eq!(sack_of(&peer.answer()).0, first.plus(3));
    // What was skipped comes after all.
    peer.send_data(&Peer::header(first, 0, 0), b"late");
    assert_eq!(sack_of(&peer.answer()).2, [first]);
    assert!(peer.z_hears().is_empty());
}

#[test]
fn rfc3758_3_6_the_user_is_told_of_a_partial_delivery_that_ends() {
    let mut peer = peer_with(|config| config.set_receive_buffer(8000).unwrap());
    let first = peer.tsn;
    for n in 0..5u32 {
        let header = DataHeader {
            beginning: n == 0,
            ending: false,
            ..Peer::header(first.plus(n), 3, 0)
        };
        peer.send_data(&header, &[7; 1000]);
        peer.run(ms(300));
    }
    let pieces = peer.z_hears();
    assert!(!pieces.is_empty() && pieces.iter().all(|piece| !piece.end_of_message && piece.tsn == first));
    peer.send(|buf| {
        write_forward_tsn(buf, first.plus(5), &[(StreamId(3), Ssn(0))]);
        write_data(buf, &Peer::header(first.plus(6), 3, 1), b"next");
    });
    peer.run(ms(300));
    let told = |event: &&Event| matches!(event, Event::PartialDeliveryAborted { .. });
    assert_eq!(peer.log.iter().filter(told).count(), 1);
    assert_eq!(peer.z_hears_payloads(), [&b"next"[..]]);
}

#[test]
fn a_hostile_forward_tsn_does_no_harm() {
    let mut peer = peer_with(|_| {});
    let first = peer.tsn;
    let streams: Vec<(StreamId, Ssn)> = (0..10_000).map(|n| (StreamId(n), Ssn(n.wrapping_mul(31)))).collect();
    for part in streams.chunks(300) {
        for jump in [0x7fff_ffff, 0x8000_0000, 65_536, 1] {
            let ahead = peer.tsn.plus(jump);
            peer.send(|buf| write_forward_tsn(buf, ahead, part));
        }
        peer.answers();
    }
    // Cut off in an entry.
    peer.send(|buf| sctp::wire::write_chunk(buf, ChunkType::FORWARD_TSN, 0, &[0, 0, 0, 9, 1, 2]));
    peer.answers();
    assert!(peer.status().is_some_and(|status| status.pending_messages == 0));
    let tsn = first.plus(0x8000_0000).next();
    let header = DataHeader {
        unordered: true,
        ..Peer::header(tsn, 0, 0)
    };
    peer.send_data(&header, b"goes on");
    peer.answers();
    assert_eq!(peer.z_hears_payloads(), [&b"goes on"[..]]);
}
