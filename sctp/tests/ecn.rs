//! Explicit Congestion Notification (RFC 3168) in SCTP.

mod common;

use std::time::Duration;

use common::reconfig::{Result, SEQ, Said, ask, reset_all};
use common::{A, Answer, B, Flow, Pair, Peer, PeerSetup, Setup, data_chunks, ms, secs, transfer};
use sctp::EcnCodepoint::{Ce, Ect0, Ect1, NotEct};
use sctp::config::{CongestionControl, ReconfigRequests};
use sctp::serial::Tsn;
use sctp::sim::{LinkConfig, Verdict};
use sctp::wire::{ChunkType, Cwr, EcnEcho, Param, write_cwr, write_data, write_ecne, write_sack};

/// Z has an association with a peer that takes part.
fn established() -> Peer {
    let mut association = common::without_discovery();
    association.set_max_burst(0);
    association.path_mut().set_heartbeat_interval(None).unwrap();
    let mut peer = Peer::with(PeerSetup {
        association,
        ..PeerSetup::default()
    });
    peer.fixed.a_rwnd = 1_000_000;
    peer.establish_with(|w| Param::EcnCapable.write(w));
    peer.say(b"first");
    peer.answers();
    peer
}

fn cwnd(peer: &Peer) -> usize {
    peer.status().unwrap().paths[0].cwnd
}

/// Z sends so many full packets; the peer acknowledges nothing of them.
fn fill(peer: &mut Peer, packets: usize) -> usize {
    (0..packets).for_each(|_| peer.z_says(&[0; 1200]));
    data_chunks(&peer.answers()).len()
}

/// Opens Z's window to more than 20 packets, all of which are acknowledged. How many Z has sent.
fn open_window(peer: &mut Peer) -> u32 {
    let mut acked = 0;
    while cwnd(peer) < 30_000 {
        acked += fill(peer, 30) as u32;
        peer.send_sack(acked - 1, 1_000_000, &[]);
        acked += data_chunks(&peer.answers()).len() as u32;
        peer.send_sack(acked - 1, 1_000_000, &[]);
        acked += data_chunks(&peer.answers()).len() as u32;
    }
    loop {
        peer.send_sack(acked - 1, 1_000_000, &[]);
        let more = data_chunks(&peer.answers()).len() as u32;
        acked += more;
        if more == 0 {
            return acked;
        }
    }
}

fn echoes(answers: &[Answer]) -> Vec<Tsn> {
    let chunks = answers.iter().flat_map(|answer| &answer.chunks);
    let echoes = chunks.filter(|chunk| chunk.kind == ChunkType::ECNE);
    echoes
        .map(|chunk| EcnEcho::parse(&chunk.value).unwrap().lowest_tsn)
        .collect()
}

fn cwrs(answers: &[Answer]) -> Vec<Tsn> {
    let chunks = answers.iter().flat_map(|answer| &answer.chunks);
    let cwrs = chunks.filter(|chunk| chunk.kind == ChunkType::CWR);
    cwrs.map(|chunk| Cwr::parse(&chunk.value).unwrap().lowest_tsn).collect()
}

/// A message in a packet that a router has marked on its way.
fn say_marked(peer: &mut Peer, payload: &[u8]) {
    peer.ecn = Ce;
    peer.say(payload);
    peer.ecn = NotEct;
}

#[test]
fn ecn_is_used_where_both_sides_offer_it() {
    for (a, b) in [(true, true), (true, false), (false, true), (false, false)] {
        let setup = Setup::single()
            .config_of(A, |config| config.set_ecn(a))
            .config_of(B, |config| config.set_ecn(b));
        let mut pair = setup.build();
        pair.world.capture(pair.links[0]);
        pair.connect();
        for side in [A, B] {
            assert_eq!(pair.status(side).unwrap().ecn, a && b, "{a} {b}");
        }
        pair.say(A, 0, b"hello");
        pair.say(B, 0, b"hello");
        pair.run(secs(1));
        let asks = |packet: &Answer| packet.ecn == Ect0;
        assert_eq!(pair.sent(A).iter().any(asks), a && b, "{a} {b}");
        assert_eq!(pair.sent(B).iter().any(asks), a && b, "{a} {b}");
    }
}

#[test]
fn rfc3168_6_1_4_packets_without_data_do_not_ask_for_marks() {
    let setup = Setup::single().link(&LinkConfig::lan());
    let mut pair = setup.build();
    pair.world.capture(pair.links[0]);
    pair.connect();
    transfer(&mut pair, &mut [Flow::new(A, 300), Flow::new(B, 10)], secs(60));
    pair.run(secs(100));
    pair.shutdown(A);
    pair.run(secs(10));
    for side in [A, B] {
        for packet in pair.sent(side) {
            assert_eq!(packet.ecn == Ect0, packet.has(ChunkType::DATA), "{packet:?}");
        }
        assert!(pair.sent(side).iter().any(|packet| packet.has(ChunkType::HEARTBEAT)));
    }
}

#[test]
fn rfc3168_6_1_5_retransmissions_do_not_ask_for_marks() {
    let mut peer = established();
    assert_eq!(fill(&mut peer, 1), 1);
    let again = peer.run(secs(2));
    assert_eq!(data_chunks(&again).len(), 1);
    assert_eq!(again[0].ecn, NotEct);
    peer.send_sack(0, 1_000_000, &[]);
    peer.z_says(b"new");
    assert_eq!(peer.answer().ecn, Ect0);
}

#[test]
fn rfc3168_6_1_6_probes_of_a_closed_window_do_not_ask_for_marks() {
    let mut peer = established();
    assert_eq!(fill(&mut peer, 1), 1);
    peer.send_sack(0, 0, &[]);
    peer.expect_silence();
    peer.z_says(b"probe");
    let probes = peer.run(secs(4));
    assert!(!data_chunks(&probes).is_empty());
    assert!(probes.iter().all(|packet| packet.ecn == NotEct));
}

#[test]
fn a_mark_is_told_with_each_sack_until_the_peer_has_heard_of_it() {
    let mut peer = established();
    let marked = peer.tsn;
    say_marked(&mut peer, b"marked");
    // At once, although a SACK might wait for a second packet, and in front of the SACK.
    let answer = peer.answer();
    assert_eq!(answer.kinds(), [ChunkType::ECNE, ChunkType::SACK]);
    assert_eq!(echoes(&[answer]), [marked]);
    for _ in 0..3 {
        peer.say(b"1");
        peer.say(b"2");
        assert_eq!(echoes(&peer.answers()), [marked]);
    }
    // A CWR for something earlier is about another mark.
    peer.send(|buf| write_cwr(buf, marked.minus(1)));
    peer.say(b"1");
    peer.say(b"2");
    assert_eq!(echoes(&peer.answers()), [marked]);
    peer.send(|buf| write_cwr(buf, marked));
    peer.say(b"1");
    peer.say(b"2");
    let answers = peer.answers();
    assert_eq!(answers.len(), 1);
    assert!(echoes(&answers).is_empty());
    let stats = peer.status().unwrap().stats;
    assert_eq!((stats.marked_packets_received, stats.ecn_echoes_sent), (1, 5));
}

#[test]
fn of_a_packet_that_is_marked_the_lowest_tsn_is_told_and_of_several_the_last() {
    let mut peer = established();
    let first = peer.tsn;
    peer.ecn = Ce;
    let headers = [2, 0, 1].map(|n| Peer::header(first.plus(n), 1, n as u16));
    peer.send(|buf| headers.iter().for_each(|header| write_data(buf, header, b"three")));
    peer.tsn = first.plus(3);
    assert_eq!(echoes(&peer.answers()), [first]);
    say_marked(&mut peer, b"again");
    peer.say(b"more");
    assert_eq!(echoes(&peer.answers()), [first.plus(3)]);
}

#[test]
fn rfc6525_5_2_4_of_marks_from_before_all_numbers_began_anew_nothing_is_told() {
    let mut association = common::without_discovery();
    association.reconfig_mut().set_accepted(ReconfigRequests::ALL);
    let mut peer = Peer::with(PeerSetup {
        association,
        ..PeerSetup::default()
    });
    peer.establish_with(|w| {
        Param::EcnCapable.write(w);
        Param::SupportedExtensions(&[ChunkType::RE_CONFIG.0]).write(w);
    });
    let old = peer.tsn;
    say_marked(&mut peer, b"old");
    assert_eq!(echoes(&peer.answers()), [old]);
    let [Said::Response(SEQ, Result::PERFORMED, Some(next))] = ask(&mut peer, |w| reset_all(w, SEQ))[..] else {
        panic!("all numbers begin anew");
    };
    peer.tsn = next.receiver;
    peer.say(b"1");
    peer.say(b"2");
    assert!(echoes(&peer.answers()).is_empty());
    let new = peer.tsn;
    say_marked(&mut peer, b"new");
    assert_eq!(echoes(&peer.answers()), [new]);
}

#[test]
fn other_code_points_and_packets_without_data_are_not_told_of() {
    let mut peer = established();
    for ecn in [NotEct, Ect0, Ect1] {
        peer.ecn = ecn;
        peer.say(b"1");
        peer.say(b"2");
    }
    peer.ecn = Ce;
    peer.send_sack(u32::MAX, 1_000_000, &[]);
    peer.ecn = NotEct;
    peer.say(b"1");
    peer.say(b"2");
    let answers = peer.answers();
    assert!(answers.iter().any(|answer| answer.has(ChunkType::SACK)));
    assert!(echoes(&answers).is_empty());
}

#[test]
fn a_peer_that_does_not_take_part_is_told_nothing_and_tells_nothing() {
    let mut peer = Peer::established();
    say_marked(&mut peer, b"marked");
    peer.say(b"more");
    assert_eq!(peer.answer().kinds(), [ChunkType::SACK]);
    peer.z_says(b"data");
    assert_eq!(peer.answer().ecn, NotEct);
    let (before, tsn) = (cwnd(&peer), peer.z_tsn);
    peer.send(|buf| write_ecne(buf, tsn));
    peer.send(|buf| write_cwr(buf, tsn));
    peer.expect_silence();
    assert_eq!(cwnd(&peer), before);
}

#[test]
fn rfc3168_6_1_2_a_mark_halves_the_window_once_for_a_window_of_data() {
    let mut peer = established();
    let sent = open_window(&mut peer);
    let before = cwnd(&peer);
    let more = fill(&mut peer, 20) as u32;
    let initial = peer.z_tsn;
    let tsn = |n: u32| initial.plus(n);
    let (first, last) = (tsn(sent), tsn(sent + more - 1));
    peer.send(|buf| write_ecne(buf, first));
    let answers = peer.answers();
    assert_eq!(cwrs(&answers), [first]);
    assert!(
        data_chunks(&answers).is_empty(),
        "nothing was lost, so nothing is sent again"
    );
    let after = cwnd(&peer);
    assert_eq!(after, before / 2);
    // It comes with each SACK; later packets of the same window were marked too.
    for told in [first, last] {
        peer.send(|buf| write_ecne(buf, told));
        assert_eq!(cwrs(&peer.answers()), [told]);
        assert_eq!(cwnd(&peer), after);
    }
    peer.send_sack(sent + more - 1, 1_000_000, &[]);
    peer.answers();
    // What was sent after that is another window.
    assert!(fill(&mut peer, 1) > 0);
    let next = tsn(sent + more);
    let before = cwnd(&peer);
    peer.send(|buf| write_ecne(buf, next));
    assert_eq!(cwrs(&peer.answers()), [next]);
    assert!(cwnd(&peer) < before);
    let stats = peer.status().unwrap().stats;
    assert_eq!((stats.ecn_reductions, stats.ecn_echoes_received), (2, 4));
    assert_eq!(stats.data_chunks_retransmitted, 0);
}

#[test]
fn a_mark_counts_also_when_the_sack_has_come_before_it() {
    let mut peer = established();
    let sent = open_window(&mut peer);
    let before = cwnd(&peer);
    let more = fill(&mut peer, 5) as u32;
    let (first, all) = (peer.z_tsn.plus(sent), peer.z_tsn.plus(sent + more - 1));
    peer.send(|buf| {
        write_sack(buf, all, 1_000_000, &[], &[]);
        write_ecne(buf, first);
    });
    assert_eq!(cwrs(&peer.answers()), [first]);
    assert_eq!(cwnd(&peer), before / 2);
}

#[test]
fn rfc3168_6_1_2_a_loss_in_a_window_that_was_marked_is_no_news() {
    for mark_first in [true, false] {
        let mut peer = established();
        let sent = open_window(&mut peer);
        let more = fill(&mut peer, 20) as u32;
        let before = cwnd(&peer);
        let marked = peer.z_tsn.plus(sent + 1);
        if mark_first {
            peer.send(|buf| write_ecne(buf, marked));
            peer.answers();
        }
        // The first packet is reported missing.
        let mut again = 0;
        for n in 2..6 {
            peer.send_sack(sent - 1, 1_000_000, &[(2, n)]);
            again += data_chunks(&peer.answers())
                .iter()
                .filter(|data| data.tsn == peer.z_tsn.plus(sent))
                .count();
        }
        assert_eq!(again, 1, "it is sent again all the same");
        if !mark_first {
            peer.send(|buf| write_ecne(buf, marked));
            peer.answers();
        }
        // Halved once; SACKs before the third missing report may have added a packet.
        assert!((before / 2..before / 2 + 1300).contains(&cwnd(&peer)), "{mark_first}");
        assert!(more > 10);
    }
}

#[test]
fn echoes_for_what_was_never_sent_are_ignored() {
    let mut peer = established();
    fill(&mut peer, 2);
    let before = cwnd(&peer);
    for never in [2, 3, 1 << 30, 1 << 31, u32::MAX, u32::MAX - 1000] {
        let tsn = peer.z_tsn.plus(never);
        peer.send(|buf| write_ecne(buf, tsn));
        peer.expect_silence();
    }
    assert_eq!(cwnd(&peer), before);
    assert_eq!(peer.status().unwrap().stats.ecn_echoes_received, 0);
}

#[test]
fn malformed_echoes_are_ignored() {
    let mut peer = established();
    fill(&mut peer, 2);
    for kind in [ChunkType::ECNE, ChunkType::CWR] {
        for len in 0..4 {
            peer.send(|buf| sctp::wire::write_chunk(buf, kind, 0, &[0; 4][..len]));
            peer.expect_silence();
        }
    }
}

#[test]
fn a_flood_of_echoes_leaves_a_window_and_gets_one_answer_a_packet() {
    let mut peer = established();
    let mut sent = open_window(&mut peer);
    for _ in 0..50 {
        let more = fill(&mut peer, 3) as u32;
        sent += more;
        let last = peer.z_tsn.plus(sent - 1);
        peer.send(|buf| (0..100).for_each(|n| write_ecne(buf, last.minus(n % 3))));
        let answers = peer.answers();
        assert_eq!(cwrs(&answers), [last], "{answers:?}");
        peer.send_sack(sent - 1, 1_000_000, &[]);
        sent += data_chunks(&peer.answers()).len() as u32;
    }
    // Four packets (RFC 9260 §7.2.3), and what the SACKs in between added.
    assert!((4 * 1200..8 * 1248).contains(&cwnd(&peer)), "{}", cwnd(&peer));
}

/// What became of 4 MB over a bottleneck that tells of congestion early: chunks sent again, marks, and the time it
/// took.
fn over_bottleneck(ecn: bool, algorithm: CongestionControl) -> (u64, u64, Duration) {
    let link = LinkConfig::new()
        .latency(ms(20))
        .mtu(1500)
        .rate(20_000_000, 200_000)
        .marks_above(50_000);
    let setup = Setup::single().link(&link).config(|config| {
        config.set_ecn(ecn);
        config.set_congestion_control(algorithm);
    });
    let mut pair: Pair = setup.build();
    pair.connect();
    let start = pair.now();
    transfer(&mut pair, &mut [Flow::new(A, 4000)], secs(600));
    let took = pair.now().saturating_since(start);
    let stats = pair.status(A).unwrap().stats;
    let marked = pair.world.link_stats(pair.links[0]).marked;
    assert_eq!(stats.ecn_reductions > 0, ecn);
    (stats.data_chunks_retransmitted, marked, took)
}

#[test]
fn a_bottleneck_that_marks_is_filled_without_losses() {
    for algorithm in [CongestionControl::Rfc9260, CongestionControl::Cubic] {
        let (again, marked, took) = over_bottleneck(true, algorithm);
        assert!(again == 0 && marked > 0, "{algorithm:?}");
        let (again, marked, without) = over_bottleneck(false, algorithm);
        assert!(again > 0 && marked == 0, "{algorithm:?}");
        assert!(took < without * 11 / 10, "{algorithm:?}: {took:?} {without:?}");
    }
}

#[test]
fn data_comes_through_where_packets_that_ask_for_marks_do_not() {
    let mut pair = Setup::single().link(&common::wire(ms(10))).build();
    pair.connect();
    pair.world.set_filter(pair.links[0], |_, packet| match packet.ecn {
        NotEct => Verdict::Pass,
        _ => Verdict::Drop,
    });
    transfer(&mut pair, &mut [Flow::new(A, 500)], secs(60));
    let stats = pair.status(A).unwrap().stats;
    assert!(stats.t3_expiries <= 3, "{stats:?}");
}

#[test]
fn new_data_that_fills_up_what_is_sent_again_does_not_show_that_packets_that_ask_for_marks_arrive() {
    let setup = Setup::single().link(&common::wire(ms(10)));
    let mut pair = setup.config(|config| config.sending_mut().set_nodelay(false)).build();
    pair.connect();
    pair.world.set_filter(pair.links[0], |_, packet| match packet.ecn {
        NotEct => Verdict::Pass,
        _ => Verdict::Drop,
    });
    for _ in 0..10 {
        pair.say(A, 0, b"first");
        pair.run(ms(50));
        // It waits for the first one to be acknowledged, or to be sent again.
        pair.say(A, 0, b"second");
        pair.run(secs(5));
        assert_eq!(pair.hear(B).len(), 2);
    }
    let stats = pair.status(A).unwrap().stats;
    assert!(stats.t3_expiries <= 3, "{stats:?}");
}

#[test]
fn both_sides_may_be_marked_at_once() {
    let link = LinkConfig::lan().rate(10_000_000, 100_000).marks_above(0);
    let mut pair = Setup::single()
        .link(&link)
        .config(|config| config.set_ecn(true))
        .build();
    pair.connect();
    let mut flows = [Flow::new(A, 500).sizes(&[8, 100, 3000]), Flow::new(B, 500)];
    transfer(&mut pair, &mut flows, secs(600));
    for side in [A, B] {
        let stats = pair.status(side).unwrap().stats;
        assert!(
            stats.ecn_reductions > 0 && stats.marked_packets_received > 0,
            "{stats:?}"
        );
    }
}
