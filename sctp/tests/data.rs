//! User data (RFC 9260 §6): order, fragments, bundles, streams.

mod common;

use bytes::Bytes;
use common::{A, Answer, B, Flow, Pair, Peer, Setup, data_chunks, ms, secs, transfer};
use sctp::error::SendError;
use sctp::serial::{Ppid, Ssn, StreamId, Tsn};
use sctp::sim::Verdict;
use sctp::wire::{Cause, ChunkType, DataHeader, write_data};
use sctp::{Event, OutMessage};

#[test]
fn rfc9260_6_6_messages_arrive_whole_and_in_order_over_a_perfect_link() {
    let mut pair = Setup::single().build();
    pair.connect();
    let mut flows = [
        Flow::new(A, 500).streams(10).sizes(&[8, 100, 1000, 1232, 1233, 5000]),
        Flow::new(B, 500).streams(7).sizes(&[9, 99, 2000]).unordered_every(3),
    ];
    transfer(&mut pair, &mut flows, secs(120));
}

#[test]
fn rfc9260_6_6_messages_arrive_whole_and_in_order_over_a_bad_link() {
    let link = common::wire(ms(15))
        .loss(0.05)
        .duplication(0.05)
        .corruption(0.02)
        .reordering(0.1, ms(40));
    let mut pair = Setup::single().seed(11).link(&link).build();
    pair.connect();
    let mut flows = [
        Flow::new(A, 400)
            .streams(10)
            .sizes(&[8, 100, 1000, 1232, 1233, 5000])
            .unordered_every(4),
        Flow::new(B, 400).streams(3).sizes(&[9, 99, 2000]).unordered_every(3),
    ];
    transfer(&mut pair, &mut flows, secs(1200));
    let stats = pair.world.peek(pair.hosts[A]).stats();
    assert!(stats.checksum_errors > 0, "{stats:?}");
    assert_eq!(stats.malformed, 0);
}

/// Loses the first packet with a DATA chunk on stream 0.
fn lose_first_on_stream_0(pair: &mut Pair) {
    let mut lost = false;
    pair.world.set_filter(pair.links[0], move |_, packet| {
        let data = packet.chunks().find(|chunk| chunk.kind == ChunkType::DATA);
        if !lost && data.is_some_and(|chunk| chunk.value[4..6] == [0, 0]) {
            lost = true;
            return Verdict::Drop;
        }
        Verdict::Pass
    });
}

#[test]
fn rfc9260_6_6_a_loss_on_one_stream_does_not_hold_up_others_nor_unordered_messages() {
    let mut pair = Setup::single().build();
    pair.connect();
    pair.run(secs(1));
    lose_first_on_stream_0(&mut pair);
    let unordered = OutMessage {
        unordered: true,
        ..OutMessage::new(StreamId(0), Ppid(0), Bytes::from_static(b"unordered"))
    };
    pair.say(A, 0, b"lost");
    pair.run(ms(1));
    pair.say(A, 0, b"waits for it");
    pair.say(A, 1, b"other stream");
    pair.send(A, unordered).unwrap();
    pair.run(ms(15));
    let mut heard = pair.hear_payloads(B);
    heard.sort();
    assert_eq!(heard, [&b"other stream"[..], b"unordered"]);
    pair.run(secs(3));
    assert_eq!(pair.hear_payloads(B), [&b"lost"[..], b"waits for it"]);
}

#[test]
fn rfc9260_11_1_6_a_message_keeps_its_attributes() {
    let mut pair = Setup::single().build();
    pair.connect();
    let message = OutMessage {
        unordered: true,
        ..OutMessage::new(StreamId(3), Ppid(0xdead_beef), Bytes::from_static(b"payload"))
    };
    pair.send(A, message).unwrap();
    for _ in 0..2 {
        pair.send(A, OutMessage::new(StreamId(4), Ppid(5), Bytes::from_static(b"ordered")))
            .unwrap();
    }
    pair.run(secs(1));
    let heard = pair.hear(B);
    assert_eq!(heard.len(), 3);
    let unordered = heard.iter().find(|received| received.unordered).unwrap();
    assert_eq!((unordered.stream, unordered.ppid), (StreamId(3), Ppid(0xdead_beef)));
    assert!(unordered.end_of_message && unordered.payload == b"payload"[..]);
    let ssns: Vec<Ssn> = heard.iter().filter(|r| !r.unordered).map(|r| r.ssn).collect();
    // §6.5: SSNs start at 0 and count ordered messages.
    assert_eq!(ssns, [Ssn(0), Ssn(1)]);
}

#[test]
fn rfc9260_6_9_a_large_message_is_cut_into_fragments_that_fit() {
    for (mtu, udp) in [(1280, false), (1500, false), (1280, true), (9000, false)] {
        let link = common::wire(ms(1)).mtu(usize::from(mtu));
        let mut setup = Setup::single()
            .link(&link)
            .config(|config| config.path_mut().set_mtu(mtu).unwrap());
        if udp {
            setup = setup.encapsulated(9899, 9899);
        }
        let mut pair = setup.build();
        pair.connect();
        pair.world.capture(pair.links[0]);
        transfer(&mut pair, &mut [Flow::new(A, 3).sizes(&[100_000])], secs(30));
        let packets = pair.sent(A);
        let largest = packets.iter().map(|packet| packet.size).max().unwrap();
        assert!(
            largest <= usize::from(mtu) && largest > usize::from(mtu) - 8,
            "{mtu} {udp}: {largest}"
        );
        let chunks = data_chunks(&packets);
        for pair in chunks.windows(2) {
            assert_eq!(pair[1].tsn, pair[0].tsn.next(), "fragments have TSNs in sequence");
            assert_eq!(pair[0].ending, pair[1].beginning);
            assert_eq!(
                pair[1].ssn,
                if pair[1].beginning {
                    pair[0].ssn.next()
                } else {
                    pair[0].ssn
                }
            );
        }
        assert_eq!(chunks.iter().filter(|chunk| chunk.beginning).count(), 3);
        assert!(chunks[0].beginning && chunks.last().unwrap().ending);
        assert_eq!(pair.world.link_stats(pair.links[0]).lost(), 0);
    }
}

#[test]
fn rfc9260_6_9_unordered_fragments_all_have_the_u_flag() {
    let mut pair = Setup::single().build();
    pair.connect();
    pair.world.capture(pair.links[0]);
    transfer(
        &mut pair,
        &mut [Flow::new(A, 3).sizes(&[10_000]).unordered_every(1)],
        secs(30),
    );
    let packets = pair.sent(A);
    assert!(data_chunks(&packets).iter().all(|chunk| chunk.unordered));
}

#[test]
fn rfc9260_6_10_small_messages_are_bundled_and_control_chunks_come_first() {
    let mut pair = Setup::single().build();
    pair.connect();
    pair.say(B, 0, b"the first one is acknowledged at once");
    pair.run(secs(1));
    pair.world.capture(pair.links[0]);
    // Something for A to acknowledge, so that a SACK goes along.
    pair.say(B, 0, b"x");
    pair.run(ms(15));
    for n in 0..30 {
        pair.say(A, n % 3, &[n as u8; 20]);
    }
    pair.run(secs(1));
    let packets = pair.sent(A);
    let with_data: Vec<&Answer> = packets.iter().filter(|packet| packet.has(ChunkType::DATA)).collect();
    // 30 chunks of 36 bytes are 1080 bytes.
    assert_eq!(with_data.len(), 1, "{with_data:?}");
    assert_eq!(with_data[0].kinds()[0], ChunkType::SACK);
    let chunks = data_chunks(&packets);
    assert_eq!(chunks.len(), 30);
    assert!(chunks.windows(2).all(|pair| pair[1].tsn == pair[0].tsn.next()));
    assert_eq!(pair.hear(B).len(), 30);
}

#[test]
fn rfc9260_6_5_ssns_wrap_at_65535() {
    let mut pair = Setup::single().build();
    pair.connect();
    transfer(&mut pair, &mut [Flow::new(A, 70_000).sizes(&[8])], secs(600));
}

#[test]
fn rfc9260_11_1_5_messages_that_cannot_be_sent_are_refused() {
    let mut pair = Setup::single()
        .config(|config| config.set_send_buffer(10_000).unwrap())
        .build();
    pair.connect();
    let message = |size| OutMessage::new(StreamId(0), Ppid(0), Bytes::from(vec![1; size]));
    assert_eq!(pair.send(A, message(0)), Err(SendError::Empty));
    assert_eq!(pair.send(A, message(10_001)), Err(SendError::TooLarge));
    assert_eq!(pair.send(A, message(10_000)), Ok(()));
    assert_eq!(pair.send(A, message(1)), Err(SendError::WouldBlock));
    pair.must("there is room again", secs(5), |pair| {
        pair.reported(A, |event| *event == Event::Writable)
    });
    assert_eq!(pair.send(A, message(1)), Ok(()));
    pair.must("all is acknowledged", secs(5), |pair| {
        pair.reported(A, |event| *event == Event::SenderDry)
    });
    assert_eq!(pair.status(A).unwrap().buffered_bytes, 0);
}

#[test]
fn rfc9260_6_9_messages_larger_than_the_receive_buffer_come_in_pieces() {
    for loss in [0.0, 0.03] {
        let link = common::wire(ms(5)).loss(loss);
        let mut pair = Setup::single()
            .seed(5)
            .link(&link)
            .config(|config| config.set_send_buffer(400_000).unwrap())
            .config_of(B, |config| config.set_receive_buffer(10_000).unwrap())
            .build();
        pair.connect();
        let flow = Flow::new(A, 6).sizes(&[300_000, 100, 50_000]).streams(2);
        transfer(&mut pair, &mut [flow], secs(1200));
    }
}

#[test]
fn rfc9260_1_6_tsns_wrap_around() {
    let mut peer = Peer::new();
    peer.fixed.initial_tsn = Tsn(u32::MAX - 9);
    peer.tsn = peer.fixed.initial_tsn;
    peer.establish();
    for n in 0..20 {
        peer.say(&[n]);
        peer.answers();
    }
    let heard: Vec<u8> = peer.z_hears_payloads().iter().map(|payload| payload[0]).collect();
    assert_eq!(heard, (0..20).collect::<Vec<u8>>());
}

#[test]
fn rfc9260_6_5_an_invalid_stream_is_acknowledged_reported_and_discarded() {
    let mut peer = Peer::established();
    let inbound = peer.status().unwrap().inbound_streams;
    let header = Peer::header(peer.tsn, inbound, 0);
    peer.send_data(&header, b"nowhere");
    let tsn = peer.tsn;
    peer.tsn = tsn.next();
    let answers = peer.run(ms(300));
    let error = answers
        .iter()
        .find_map(|answer| answer.find(ChunkType::ERROR))
        .expect("an ERROR");
    let cause = error.causes().next().unwrap().unwrap();
    assert_eq!(cause, Cause::InvalidStreamIdentifier(StreamId(inbound)));
    let mut sacked = answers.iter().filter_map(|answer| answer.find(ChunkType::SACK));
    assert_eq!(sacked.next_back().unwrap().sack().cumulative_tsn_ack, tsn);
    let header = Peer::header(peer.tsn, 0, 1);
    peer.send_data(&header, b"somewhere");
    peer.answers();
    assert_eq!(peer.z_hears_payloads(), [&b"first"[..], b"somewhere"]);
}

#[test]
fn rfc9260_6_2_data_without_user_data_is_answered_by_an_abort() {
    let mut peer = Peer::established();
    let header = Peer::header(peer.tsn, 0, 1);
    peer.send_data(&header, b"");
    let answer = peer.answer();
    assert_eq!((answer.kinds(), answer.tag()), (vec![ChunkType::ABORT], peer.tag));
    let cause = answer.chunks[0].causes().next().unwrap().unwrap();
    assert_eq!(cause, Cause::NoUserData(peer.tsn));
    assert!(
        matches!(peer.log.last(), Some(Event::CommunicationLost { .. })),
        "{:?}",
        peer.log
    );
}

#[test]
fn rfc9260_6_9_fragments_are_put_together_in_any_order_of_arrival() {
    let orders: [[u32; 4]; 4] = [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]];
    for order in orders {
        let mut peer = Peer::established();
        for n in order {
            let header = DataHeader {
                beginning: n == 0,
                ending: n == 3,
                ..Peer::header(peer.tsn.plus(n), 0, 1)
            };
            peer.send_data(&header, &[n as u8; 3]);
            peer.answers();
        }
        let heard = peer.z_hears_payloads();
        assert_eq!(heard[1..], [&[0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3][..]], "{order:?}");
    }
}

#[test]
fn rfc9260_3_2_the_top_bits_of_an_unknown_chunk_say_what_to_do() {
    for (kind, goes_on, reported) in [
        (0x3e, false, false),
        (0x7e, false, true),
        (0xbe, true, false),
        (0xfe, true, true),
    ] {
        let mut peer = Peer::established();
        let headers = [Peer::header(peer.tsn, 0, 1), Peer::header(peer.tsn.next(), 0, 2)];
        peer.send(|buf| {
            write_data(buf, &headers[0], b"before");
            buf.extend([kind, 0x55, 0, 7, 1, 2, 3, 0]);
            write_data(buf, &headers[1], b"after");
        });
        let answers = peer.run(ms(300));
        let mut expected = vec![&b"first"[..], b"before"];
        if goes_on {
            expected.push(b"after");
        }
        assert_eq!(peer.z_hears_payloads(), expected, "{kind:x}");
        let Some(error) = answers.iter().find_map(|answer| answer.find(ChunkType::ERROR)) else {
            assert!(!reported, "{kind:x}");
            continue;
        };
        assert!(reported, "{kind:x}");
        let Cause::UnrecognizedChunkType(quoted) = error.causes().next().unwrap().unwrap() else {
            panic!("{error:?}");
        };
        assert!(quoted.starts_with(&[kind, 0x55, 0, 7, 1, 2, 3]), "{quoted:x?}");
    }
}

#[test]
fn rfc9260_6_10_a_partial_chunk_is_dropped_and_what_came_before_it_counts() {
    let mut peer = Peer::established();
    let header = Peer::header(peer.tsn, 0, 1);
    peer.send(|buf| {
        write_data(buf, &header, b"good");
        // A DATA chunk that claims 100 bytes and has 8.
        buf.extend([0, 3, 0, 100, 0, 0, 0, 0]);
    });
    peer.run(ms(300));
    assert_eq!(peer.z_hears_payloads(), [&b"first"[..], b"good"]);
}
