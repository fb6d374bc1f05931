//! Acknowledgements and the receive window (RFC 9260 §6.1, §6.2, §6.7).

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{A, B, Flow, Peer, PeerSetup, Setup, data_chunks, ms, sack_of, secs, transfer, wire};
use sctp::serial::{Ppid, StreamId, Tsn};
use sctp::sim::Verdict;
use sctp::wire::{ChunkType, DataHeader, write_data};
use sctp::{Instant, OutMessage};

#[test]
fn rfc9260_6_1_a_closed_window_stops_the_sender_for_as_long_as_it_takes_and_costs_no_errors() {
    let mut pair = Setup::single()
        .config_of(B, |config| config.set_receive_buffer(20_000).unwrap())
        .build();
    pair.connect();
    let mut flows = [Flow::new(A, 200)];
    flows[0].reading = false;
    pair.wait(secs(1200), |pair| {
        flows[0].pump(pair).unwrap();
        false
    });
    let status = pair.status(A).expect("the association is still there");
    assert_eq!(status.phase, sctp::AssociationPhase::Established);
    assert_eq!(pair.path(A, 0).error_count, 0);
    let stats = status.stats;
    // Twenty minutes, at an interval that doubles from 1 s up to 60 s. All but the first repeat the same chunk.
    let probes = stats.zero_window_probes + stats.data_chunks_retransmitted;
    assert!((20..30).contains(&probes), "{stats:?}");
    flows[0].reading = true;
    let start = pair.now();
    transfer(&mut pair, &mut flows, secs(120));
    // The window update must not wait for the next probe.
    assert!(pair.now() - start < secs(5), "{:?}", pair.now() - start);
}

#[test]
fn rfc9260_6_1_a_window_that_opens_between_two_probes_is_used_at_once() {
    for wait in [30, 35, 40, 50, 70, 90] {
        let mut pair = Setup::single()
            .config_of(B, |config| config.set_receive_buffer(20_000).unwrap())
            .build();
        pair.connect();
        for _ in 0..40 {
            pair.say(A, 0, &[0; 1000]);
        }
        pair.run(secs(wait));
        assert!(!pair.hear(B).is_empty());
        // What is still there comes within some round trips, and the probe is not the last of it.
        pair.run(ms(500));
        assert!(!pair.hear(B).is_empty(), "{wait}");
        pair.run(secs(2));
        assert_eq!(pair.status(A).unwrap().unacknowledged_messages, 0, "{wait}");
    }
}

#[test]
fn rfc9260_6_1_a_lost_window_update_is_made_up_for_by_a_probe() {
    let mut pair = Setup::single()
        .config_of(B, |config| config.set_receive_buffer(20_000).unwrap())
        .build();
    pair.connect();
    let mut flows = [Flow::new(A, 100)];
    flows[0].reading = false;
    pair.wait(secs(10), |pair| {
        flows[0].pump(pair).unwrap();
        false
    });
    let b = pair.address(B, 0);
    let mut lost = false;
    pair.world.set_filter(pair.links[0], move |_, packet| {
        if !lost && packet.src == b && packet.has(ChunkType::SACK) {
            lost = true;
            return Verdict::Drop;
        }
        Verdict::Pass
    });
    flows[0].reading = true;
    transfer(&mut pair, &mut flows, secs(120));
}

#[test]
fn rfc9260_6_2_the_receivers_silly_window_is_avoided() {
    let mut pair = Setup::single()
        .config_of(B, |config| config.set_receive_buffer(20_000).unwrap())
        .build();
    pair.connect();
    for _ in 0..400 {
        pair.say(A, 0, &[1; 100]);
    }
    pair.run(secs(20));
    pair.world.capture(pair.links[0]);
    // The user takes one small message after the other; each alone opens the window by 100 bytes.
    let mut taken = 0;
    while taken < 200 {
        let (now, assoc) = (pair.now(), pair.assoc(B));
        let stack = pair.world.stack(pair.hosts[B]);
        taken += usize::from(stack.recv(now, assoc).unwrap().is_some());
        pair.run(ms(20));
    }
    let sacks = pair.sent(B).iter().filter(|packet| packet.has(ChunkType::SACK)).count();
    assert!(sacks < 80, "{sacks} SACKs for 20000 bytes");
}

#[test]
fn rfc9260_6_2_small_messages_to_a_user_that_is_late_are_not_lost() {
    for (size, interleaving) in [(8, false), (64, false), (64, true), (100, false), (1000, false)] {
        let mut pair = Setup::single()
            .link(&wire(ms(10)).rate(100_000_000, 10_000_000))
            .config(|config| config.interleaving_mut().set_offered(interleaving))
            .build();
        pair.connect();
        let mut flows = [Flow::new(A, 3_000_000 / (size as u64 + 40)).sizes(&[size])];
        while !flows[0].is_complete() {
            flows[0].reading = !flows[0].reading;
            assert!(
                pair.now() < Instant::from_millis(60_000),
                "{size}: {}",
                flows[0].received()
            );
            // Long enough to fill the buffer, and too short for a probe of a closed window.
            pair.wait(ms(if flows[0].reading { 5 } else { 400 }), |pair| {
                flows[0].pump(pair).unwrap();
                flows[0].is_complete()
            });
        }
        let sender = pair.status(A).unwrap().stats;
        assert_eq!((sender.t3_expiries, sender.data_chunks_retransmitted), (0, 0), "{size}");
        let receiver = pair.status(B).unwrap().stats;
        assert_eq!(receiver.data_chunks_dropped, 0, "{size}");
    }
}

#[test]
fn rfc9260_6_2_every_second_packet_is_acknowledged_at_once_and_one_alone_within_200_ms() {
    let mut peer = Peer::established();
    for _ in 0..5 {
        peer.say(b"odd");
        peer.expect_silence();
        peer.say(b"even");
        let last = peer.tsn.minus(1);
        assert_eq!(sack_of(&peer.answer()), (last, vec![], vec![]));
    }
    peer.say(b"alone");
    let start = peer.world.now();
    let answers = peer.run(ms(300));
    assert_eq!(answers.len(), 1);
    let took = answers[0].at - start;
    assert!(took > ms(150) && took <= ms(201), "{took:?}");
}

#[test]
fn rfc9260_6_2_packets_are_counted_not_chunks() {
    let mut peer = Peer::established();
    let headers: Vec<DataHeader> = (0..5)
        .map(|n| Peer::header(peer.tsn.plus(n), 0, 1 + n as u16))
        .collect();
    peer.send(|buf| headers.iter().for_each(|header| write_data(buf, header, b"bundled")));
    peer.expect_silence();
}

#[test]
fn rfc9260_6_2_the_i_bit_asks_for_an_acknowledgement_at_once() {
    let mut peer = Peer::established();
    let header = DataHeader {
        immediate: true,
        ..Peer::header(peer.tsn, 0, 1)
    };
    peer.send_data(&header, b"now");
    assert_eq!(sack_of(&peer.answer()), (peer.tsn, vec![], vec![]));
}

#[test]
fn rfc9260_6_1_a_message_may_ask_for_the_i_bit() {
    let mut peer = Peer::established();
    let (now, assoc) = (peer.world.now(), peer.assoc.unwrap());
    let message = OutMessage {
        sack_immediately: true,
        ..OutMessage::new(StreamId(0), Ppid(0), Bytes::from(vec![1; 3000]))
    };
    peer.world.stack(peer.z).send(now, assoc, message).unwrap();
    let answers = peer.answers();
    let bits: Vec<bool> = data_chunks(&answers).iter().map(|chunk| chunk.immediate).collect();
    assert_eq!(bits, [false, false, true]);
}

#[test]
fn rfc9260_6_2_duplicates_are_acknowledged_at_once_and_listed() {
    let mut peer = Peer::established();
    let first = Peer::header(Tsn(1000), 0, 0);
    peer.send_data(&first, b"first");
    assert_eq!(sack_of(&peer.answer()), (Tsn(1000), vec![], vec![Tsn(1000)]));
    assert_eq!(peer.z_hears_payloads(), [&b"first"[..]]);
    assert_eq!(peer.status().unwrap().stats.duplicate_tsns, 1);
}

#[test]
fn rfc9260_6_7_a_gap_is_reported_at_once_for_each_packet_until_it_is_filled() {
    let mut peer = Peer::established();
    let base = peer.tsn;
    for (n, gaps) in [
        (1, vec![(2, 2)]),
        (3, vec![(2, 2), (4, 4)]),
        (2, vec![(2, 4)]),
        (6, vec![(2, 4), (7, 7)]),
    ] {
        let header = Peer::header(base.plus(n), 0, 1 + n as u16);
        peer.send_data(&header, &[n as u8; 10]);
        assert_eq!(sack_of(&peer.answer()), (base.minus(1), gaps, vec![]), "{n}");
    }
    let header = Peer::header(base, 0, 1);
    peer.send_data(&header, &[0; 10]);
    assert_eq!(sack_of(&peer.answer()), (base.plus(3), vec![(3, 3)], vec![]));
    let heard: Vec<u8> = peer
        .z_hears_payloads()
        .iter()
        .skip(1)
        .map(|payload| payload[0])
        .collect();
    assert_eq!(heard, [0, 1, 2, 3]);
}

fn small_window(receive_buffer: u32) -> Peer {
    let mut association = common::without_discovery();
    association.set_receive_buffer(receive_buffer).unwrap();
    let mut peer = Peer::with(PeerSetup {
        association,
        ..PeerSetup::default()
    });
    peer.establish();
    peer
}

#[test]
fn rfc9260_6_2_the_window_counts_what_the_user_has_not_taken() {
    let mut peer = small_window(10_000);
    let mut windows = Vec::new();
    for _ in 0..8 {
        peer.say(&[1; 1000]);
        windows.extend(
            peer.run(ms(250))
                .iter()
                .map(|answer| answer.get(ChunkType::SACK).sack().a_rwnd),
        );
    }
    assert_eq!(windows, [9000, 8000, 7000, 6000, 5000, 4000, 3000, 2000]);
    assert_eq!(peer.z_hears().len(), 8);
    // The window went from 2000 to 10000, which is worth an update.
    let update = peer.run(ms(10));
    assert_eq!(update.len(), 1, "{update:?}");
    assert_eq!(update[0].get(ChunkType::SACK).sack().a_rwnd, 10_000);
}

#[test]
fn rfc9260_6_2_data_beyond_a_closed_window_is_dropped_and_not_acknowledged() {
    let mut peer = small_window(3000);
    for _ in 0..3 {
        peer.say(&[1; 1000]);
        peer.answers();
    }
    let last = peer.tsn.minus(1);
    for n in 0..5 {
        let header = Peer::header(peer.tsn.plus(n), 0, 3 + n as u16);
        peer.send_data(&header, &[2; 1000]);
        let answer = peer.answer();
        assert_eq!(sack_of(&answer), (last, vec![], vec![]), "{n}");
        assert_eq!(answer.get(ChunkType::SACK).sack().a_rwnd, 0);
    }
    assert_eq!(peer.z_hears().len(), 3);
    peer.run(ms(300));
    peer.say(&[3; 1000]);
    peer.run(ms(300));
    assert_eq!(peer.z_hears_payloads(), [&[3; 1000][..]]);
}

#[test]
fn rfc9260_6_1_a_data_chunk_larger_than_the_window_waits() {
    let mut peer = Peer::new();
    peer.fixed.a_rwnd = 1500;
    peer.establish();
    for n in 1..=5 {
        peer.z_says(&[n; 1000]);
    }
    let sent = |peer: &mut Peer| -> Vec<u8> {
        data_chunks(&peer.answers())
            .iter()
            .map(|chunk| chunk.payload[0])
            .collect()
    };
    assert_eq!(sent(&mut peer), [1]);
    peer.send_sack(0, 2500, &[]);
    assert_eq!(sent(&mut peer), [2, 3]);
    // Part of it acknowledged, and the rest of the window still too small for more.
    peer.send_sack(1, 1999, &[]);
    assert_eq!(sent(&mut peer), []);
    // With nothing in flight, a window that is too small is probed with one chunk.
    peer.send_sack(2, 600, &[]);
    assert_eq!(sent(&mut peer), [4]);
}

#[test]
fn rfc9260_6_1_the_first_probe_of_a_closed_window_comes_after_one_rto() {
    let mut peer = Peer::new();
    peer.fixed.a_rwnd = 1500;
    peer.establish();
    peer.z_says(&[1; 1400]);
    peer.z_says(&[2; 1000]);
    peer.answers();
    peer.send_sack(0, 0, &[]);
    let start = peer.world.now();
    let mut probes: Vec<Duration> = Vec::new();
    while probes.len() < 4 && peer.world.now() - start < secs(60) {
        let answers = peer.run(ms(100));
        if let Some(probe) = answers.iter().find(|answer| answer.has(ChunkType::DATA)) {
            probes.push(probe.at - start);
            // The peer is alive but its window stays closed, and the probe is dropped.
            peer.send_sack(0, 0, &[]);
        }
    }
    let seconds: Vec<u64> = probes.iter().map(|at| (at.as_millis() as u64 + 50) / 1000).collect();
    assert_eq!(seconds.len(), 4, "{probes:?}");
    assert_eq!(seconds[0], 1, "{probes:?}");
    let intervals: Vec<u64> = seconds.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(intervals.is_sorted() && intervals[2] >= 2 * intervals[0], "{probes:?}");
    assert_eq!(peer.status().unwrap().paths[0].error_count, 0);
}

#[test]
fn rfc9260_6_1_a_sack_that_is_due_goes_along_with_data() {
    let mut peer = Peer::established();
    peer.say(b"not acknowledged yet");
    peer.expect_silence();
    peer.z_says(b"data");
    let answer = peer.answer();
    assert_eq!(answer.kinds(), [ChunkType::SACK, ChunkType::DATA]);
    assert_eq!(sack_of(&answer).0, peer.tsn.minus(1));
}
