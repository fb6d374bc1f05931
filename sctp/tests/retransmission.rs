//! Retransmission timers and fast retransmit (RFC 9260 §6.2.1, §6.3, §7.2.4, §8.1).

mod common;

use std::time::Duration;

use common::{A, Answer, B, Flow, Peer, PeerSetup, Setup, data_chunks, lose, ms, secs, transfer};
use sctp::error::FailureReason;
use sctp::serial::Tsn;
use sctp::sim::Verdict;
use sctp::wire::ChunkType;
use sctp::{AssociationPhase, Event};

/// The Cumulative TSN Ack of a peer that has received nothing, for [`Peer::send_sack`].
const NOTHING: u32 = u32::MAX;

/// A peer of a stack without heartbeats and with these RTO limits, in milliseconds; established.
fn with_rto(initial: u64, min: u64, max: u64) -> Peer {
    let mut association = common::without_discovery();
    association.path_mut().set_heartbeat_interval(None).unwrap();
    association.set_rto(ms(initial), ms(min), ms(max)).unwrap();
    let mut peer = Peer::with(PeerSetup {
        association,
        ..PeerSetup::default()
    });
    peer.establish();
    peer
}

fn rto(peer: &Peer) -> f64 {
    peer.status().unwrap().paths[0].rto.as_secs_f64() * 1000.0
}

fn srtt(peer: &Peer) -> Option<f64> {
    peer.status().unwrap().paths[0]
        .srtt
        .map(|srtt| srtt.as_secs_f64() * 1000.0)
}

#[track_caller]
fn assert_near(value: f64, expected: f64) {
    assert!((value - expected).abs() < 1.0, "{value} rather than {expected}");
}

/// Lets Z send a message that is acknowledged after so many milliseconds; `nth` counts messages from zero.
fn exchange(peer: &mut Peer, nth: u32, delay: u64) {
    peer.z_says(b"measure");
    let answers = peer.run(ms(delay));
    assert_eq!(data_chunks(&answers).len(), 1, "{answers:?}");
    peer.send_sack(nth, 100_000, &[]);
    peer.answers();
}

#[test]
fn rfc9260_6_3_1_rto_follows_from_the_measurements() {
    let mut peer = with_rto(3000, 10, 60_000);
    // C1.
    assert_near(rto(&peer), 3000.0);
    assert_eq!(srtt(&peer), None);
    // C2: a SACK sent 500 ms after the message was takes 0.2 ms more.
    exchange(&mut peer, 0, 500);
    assert_near(srtt(&peer).unwrap(), 500.2);
    assert_near(rto(&peer), 500.2 + 4.0 * 250.1);
    // C3.
    let (mut srtt_now, mut rttvar) = (500.2f64, 250.1f64);
    for (nth, delay) in [(1, 100u64), (2, 100), (3, 900), (4, 50)] {
        exchange(&mut peer, nth, delay);
        let r = delay as f64 + 0.2;
        rttvar = 0.75 * rttvar + 0.25 * (srtt_now - r).abs();
        srtt_now = 0.875 * srtt_now + 0.125 * r;
        assert_near(srtt(&peer).unwrap(), srtt_now);
        assert_near(rto(&peer), srtt_now + 4.0 * rttvar);
    }
}

#[test]
fn rfc9260_6_3_1_c6_rto_is_at_least_rto_min() {
    let mut peer = with_rto(1000, 1000, 60_000);
    for nth in 0..10 {
        exchange(&mut peer, nth, 3);
    }
    assert_near(rto(&peer), 1000.0);
}

#[test]
fn rfc9260_6_3_1_c5_retransmitted_chunks_measure_nothing() {
    let mut peer = with_rto(1000, 100, 60_000);
    exchange(&mut peer, 0, 100);
    assert_near(rto(&peer), 100.2 + 4.0 * 50.1);
    peer.z_says(b"lost once");
    let answers = peer.run(ms(350));
    assert_eq!(data_chunks(&answers).len(), 2, "{answers:?}");
    // E2: doubled; and the acknowledgement of a retransmission does not change it.
    assert_near(rto(&peer), 2.0 * (100.2 + 4.0 * 50.1));
    peer.send_sack(1, 100_000, &[]);
    peer.answers();
    assert_near(rto(&peer), 2.0 * (100.2 + 4.0 * 50.1));
    assert_near(srtt(&peer).unwrap(), 100.2);
    // New data collapses it again.
    exchange(&mut peer, 2, 100);
    assert_near(rto(&peer), 100.2 + 4.0 * 0.75 * 50.1);
}

#[test]
fn rfc9260_6_3_3_t3_backs_off_until_association_max_retrans_is_exceeded() {
    let mut pair = Setup::single()
        .config(|config| config.path_mut().set_heartbeat_interval(None).unwrap())
        .build();
    pair.connect();
    pair.run(secs(1));
    pair.world.capture(pair.links[0]);
    pair.world.set_link_up(pair.links[0], false);
    let start = pair.now();
    pair.say(A, 0, b"into the void");
    pair.must("A gives up", secs(500), |pair| pair.ends(A) == 1);
    let sent = pair.sent(A);
    let data = sent.iter().filter(|packet| packet.has(ChunkType::DATA));
    let times: Vec<u64> = data.map(|packet| (packet.at - start).as_secs()).collect();
    // One transmission and ten repetitions, 60 s being RTO.Max.
    assert_eq!(times, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 303]);
    assert_eq!(pair.now() - start, secs(363));
    let last: Vec<&Event> = pair.log[A].iter().rev().take(2).map(|(_, event)| event).collect();
    let reason = FailureReason::PeerUnreachable;
    assert_eq!(*last[0], Event::CommunicationLost { reason });
    let Event::SendFailed(failure) = last[1] else {
        panic!("{last:?}");
    };
    assert!(failure.sent && failure.payload == b"into the void"[..]);
}

#[test]
fn rfc9260_8_1_an_acknowledgement_resets_the_error_counter() {
    let mut peer = with_rto(1000, 1000, 1000);
    for nth in 0..4 {
        peer.z_says(b"x");
        // Eight time-outs a message, of which eleven in a row would be the end.
        peer.run(ms(8500));
        assert!(peer.status().unwrap().paths[0].error_count >= 6);
        peer.send_sack(nth, 100_000, &[]);
        peer.answers();
        assert_eq!(peer.status().unwrap().paths[0].error_count, 0);
    }
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
}

/// When DATA with this TSN was sent, counted from `start`, in milliseconds.
fn sent_at(answers: &[Answer], tsn: Tsn, start: sctp::Instant) -> Vec<u128> {
    let of_tsn = |answer: &&Answer| {
        data_chunks(std::slice::from_ref(*answer))
            .iter()
            .any(|chunk| chunk.tsn == tsn)
    };
    // 0.2 ms were on the link.
    answers
        .iter()
        .filter(of_tsn)
        .map(|answer| (answer.at - start).as_micros() / 1000)
        .collect()
}

#[test]
fn rfc9260_6_3_2_r1_a_running_timer_is_not_restarted_by_new_data() {
    let mut peer = with_rto(1000, 1000, 60_000);
    let start = peer.world.now();
    peer.z_says(b"first");
    let mut answers = peer.run(ms(500));
    peer.z_says(b"second");
    answers.extend(peer.run(ms(600)));
    assert_eq!(sent_at(&answers, peer.z_tsn, start), [0, 1000]);
}

#[test]
fn rfc9260_6_3_2_r2_when_all_is_acknowledged_the_timer_stops() {
    let mut peer = with_rto(1000, 1000, 60_000);
    peer.z_says(b"first");
    peer.answers();
    peer.send_sack(0, 100_000, &[]);
    assert!(peer.run(secs(100)).is_empty());
    let status = peer.status().unwrap();
    assert_eq!((status.stats.t3_expiries, status.paths[0].error_count), (0, 0));
}

#[test]
fn rfc9260_6_3_2_r3_an_acknowledgement_of_the_earliest_chunk_restarts_the_timer() {
    let mut peer = with_rto(1000, 1000, 60_000);
    let start = peer.world.now();
    peer.z_says(b"first");
    let mut answers = peer.answers();
    peer.z_says(b"second");
    answers.extend(peer.run(ms(898)));
    peer.send_sack(0, 100_000, &[]);
    answers.extend(peer.run(secs(5)));
    // The measurement of 0.9 s makes the RTO 2.7 s, from the SACK at 0.9 s on.
    let times = sent_at(&answers, peer.z_tsn.next(), start);
    assert!(times.len() >= 2 && (3590..3610).contains(&times[1]), "{times:?}");
}

#[test]
fn rfc9260_6_3_3_e3_one_packet_of_the_earliest_chunks_is_sent_again() {
    let mut peer = with_rto(1000, 1000, 60_000);
    for n in 0..4 {
        peer.z_says(&[n; 500]);
        peer.answers();
    }
    let answers = peer.run(ms(1500));
    assert_eq!(answers.len(), 1, "{answers:?}");
    let tsns: Vec<Tsn> = data_chunks(&answers).iter().map(|chunk| chunk.tsn).collect();
    // Two chunks of 516 bytes fit in 1280 bytes, three do not.
    assert_eq!(tsns, [peer.z_tsn, peer.z_tsn.next()]);
    // E1 and §7.2.3.
    let path = peer.status().unwrap().paths.remove(0);
    assert_eq!((path.cwnd, path.ssthresh), (1248, 4 * 1248));
    // The others follow when the first ones are acknowledged.
    peer.send_sack(1, 100_000, &[]);
    let answers = peer.answers();
    let tsns: Vec<Tsn> = data_chunks(&answers).iter().map(|chunk| chunk.tsn).collect();
    assert_eq!(tsns, [peer.z_tsn.plus(2), peer.z_tsn.plus(3)]);
}

/// Z has four chunks in flight, each in a packet of its own.
fn four_in_flight() -> Peer {
    let mut peer = with_rto(1000, 1000, 60_000);
    for n in 0..4 {
        peer.z_says(&[n; 1000]);
        assert_eq!(data_chunks(&peer.answers()).len(), 1);
    }
    peer
}

#[test]
fn rfc9260_7_2_4_the_third_miss_indication_retransmits() {
    let mut peer = four_in_flight();
    let before = peer.status().unwrap().paths[0].cwnd;
    peer.send_sack(NOTHING, 100_000, &[(2, 2)]);
    peer.expect_silence();
    peer.send_sack(NOTHING, 100_000, &[(2, 3)]);
    peer.expect_silence();
    peer.send_sack(NOTHING, 100_000, &[(2, 4)]);
    let answers = peer.answers();
    let tsns: Vec<Tsn> = data_chunks(&answers).iter().map(|chunk| chunk.tsn).collect();
    assert_eq!(tsns, [peer.z_tsn]);
    let status = peer.status().unwrap();
    assert_eq!((status.stats.fast_retransmits, status.stats.t3_expiries), (1, 0));
    // §7.2.3.
    let expected = (before / 2).max(4 * 1248);
    assert_eq!((status.paths[0].cwnd, status.paths[0].ssthresh), (expected, expected));
}

#[test]
fn rfc9260_7_2_4_a_sack_that_acknowledges_nothing_new_is_no_miss_indication() {
    let mut peer = four_in_flight();
    for _ in 0..6 {
        peer.send_sack(NOTHING, 100_000, &[(2, 2)]);
        peer.expect_silence();
    }
    assert_eq!(peer.status().unwrap().stats.fast_retransmits, 0);
}

#[test]
fn rfc9260_7_2_4_only_tsns_before_the_highest_newly_acknowledged_one_are_missing() {
    let mut peer = with_rto(1000, 1000, 60_000);
    for n in 0..8 {
        peer.z_says(&[n; 100]);
        peer.answers();
    }
    // TSN 5 (from 0) is reported missing three times, but twice nothing beyond it is newly acknowledged.
    for gaps in [&[(2, 2), (7, 7)][..], &[(2, 3), (7, 7)], &[(2, 4), (7, 7)]] {
        peer.send_sack(NOTHING, 100_000, gaps);
    }
    let answers = peer.answers();
    let tsns: Vec<Tsn> = data_chunks(&answers).iter().map(|chunk| chunk.tsn).collect();
    assert_eq!(tsns, [peer.z_tsn]);
}

#[test]
fn rfc9260_7_2_4_a_chunk_is_fast_retransmitted_once() {
    let mut peer = four_in_flight();
    for gaps in [[(2, 2)], [(2, 3)], [(2, 4)]] {
        peer.send_sack(NOTHING, 100_000, &gaps);
    }
    assert_eq!(data_chunks(&peer.answers()).len(), 1);
    // More chunks arrive at the peer, but not this one.
    for n in 0..4u16 {
        peer.z_says(&[9; 100]);
        peer.answers();
        peer.send_sack(NOTHING, 100_000, &[(2, 5 + n)]);
        peer.expect_silence();
    }
    // Then it takes a time-out.
    let answers = peer.run(ms(1100));
    assert_eq!(data_chunks(&answers)[0].tsn, peer.z_tsn);
    let stats = peer.status().unwrap().stats;
    assert_eq!((stats.fast_retransmits, stats.t3_expiries), (1, 1));
}

#[test]
fn rfc9260_7_2_4_in_fast_recovery_the_window_is_cut_once() {
    let mut peer = with_rto(1000, 1000, 60_000);
    // Bring the window to where a cut shows.
    let mut acked = 0;
    for _ in 0..20 {
        for _ in 0..8 {
            peer.z_says(&[0; 1200]);
        }
        let sent = data_chunks(&peer.answers()).len() as u32;
        acked += sent;
        peer.send_sack(acked - 1, 200_000, &[]);
    }
    loop {
        let sent = data_chunks(&peer.answers()).len() as u32;
        if sent == 0 {
            break;
        }
        acked += sent;
        peer.send_sack(acked - 1, 200_000, &[]);
    }
    let before = peer.status().unwrap().paths[0].cwnd;
    assert!(before > 10 * 1248, "{before}");
    // Eight chunks, of which the first and the fourth are lost.
    for _ in 0..8 {
        peer.z_says(&[1; 1200]);
        peer.answers();
    }
    let cumulative = acked - 1;
    for gaps in [&[(2, 2)][..], &[(2, 3)], &[(2, 3), (5, 5)]] {
        peer.send_sack(cumulative, 200_000, gaps);
        peer.answers();
    }
    let cut = peer.status().unwrap().paths[0].cwnd;
    assert_eq!(cut, (before / 2).max(4 * 1248));
    for gaps in [&[(2, 3), (5, 6)][..], &[(2, 3), (5, 7)], &[(2, 3), (5, 8)]] {
        peer.send_sack(cumulative, 200_000, gaps);
        peer.answers();
    }
    let status = peer.status().unwrap();
    assert_eq!(status.stats.data_chunks_retransmitted, 2);
    assert_eq!((status.paths[0].cwnd, status.paths[0].ssthresh), (cut, cut));
}

#[test]
fn rfc9260_7_2_4_a_loss_in_a_stream_of_packets_is_repaired_without_a_time_out() {
    let mut pair = Setup::single().build();
    pair.connect();
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
    assert_eq!(
        (
            stats.t3_expiries,
            stats.fast_retransmits,
            stats.data_chunks_retransmitted
        ),
        (0, 1, 1)
    );
}

#[test]
fn rfc9260_6_3_3_a_loss_at_the_end_takes_a_time_out() {
    let mut pair = Setup::single().build();
    pair.connect();
    pair.run(secs(1));
    pair.world.set_filter(pair.links[0], lose(ChunkType::DATA, 1));
    let start = pair.now();
    transfer(&mut pair, &mut [Flow::new(A, 1)], secs(10));
    let took = pair.now() - start;
    assert!(took >= secs(1) && took < ms(1100), "{took:?}");
    assert_eq!(pair.status(A).unwrap().stats.t3_expiries, 1);
}

#[test]
fn rfc9260_6_2_1_an_old_sack_is_dropped() {
    let mut peer = four_in_flight();
    peer.send_sack(2, 50_000, &[]);
    peer.answers();
    let window = peer.status().unwrap().peer_rwnd;
    peer.send_sack(0, 0, &[]);
    peer.answers();
    let status = peer.status().unwrap();
    assert_eq!(status.peer_rwnd, window);
    assert_eq!(status.stats.sacks_ignored, 1);
    peer.z_says(b"the window is still open");
    assert_eq!(data_chunks(&peer.answers()).len(), 1);
}

#[test]
fn rfc9260_6_2_1_rwnd_is_what_was_advertised_less_what_is_outstanding() {
    let mut peer = four_in_flight();
    assert_eq!(peer.status().unwrap().peer_rwnd, 96_000);
    peer.send_sack(0, 10_000, &[(3, 3)]);
    peer.answers();
    // Of four, the first is acknowledged cumulatively and the fourth by a gap block: two are outstanding.
    assert_eq!(peer.status().unwrap().peer_rwnd, 8000);
}

#[test]
fn rfc9260_6_2_1_what_the_peer_takes_back_is_sent_again() {
    let mut peer = four_in_flight();
    peer.send_sack(0, 100_000, &[(2, 3)]);
    peer.answers();
    // The peer has thrown away what the gap block acknowledged.
    peer.send_sack(0, 100_000, &[]);
    let mut answers = peer.answers();
    let mut cumulative = 0;
    for _ in 0..10 {
        answers.extend(peer.run(ms(1500)));
        cumulative = (cumulative + 1).min(3);
        peer.send_sack(cumulative, 100_000, &[]);
    }
    let again: Vec<Tsn> = data_chunks(&answers).iter().map(|chunk| chunk.tsn).collect();
    for n in [2, 3] {
        assert!(again.contains(&peer.z_tsn.plus(n)), "{again:?}");
    }
    assert_eq!(peer.status().unwrap().unacknowledged_messages, 0);
}

#[test]
fn rfc9260_6_2_1_an_acknowledgement_of_what_was_never_sent_does_no_harm() {
    for (cumulative, gaps) in [(4, &[][..]), (1 << 30, &[]), (0, &[(1, 5)]), (0, &[(200, 300)])] {
        let mut peer = four_in_flight();
        peer.send_sack(cumulative, 100_000, gaps);
        let answers = peer.answers();
        match peer.phase() {
            Some(AssociationPhase::Established) => {
                // What was not sent is ignored; the rest counts.
                let left = peer.status().unwrap().unacknowledged_messages;
                assert_eq!(left, 3, "{cumulative} {gaps:?}");
            }
            _ => {
                let abort = answers.iter().find_map(|answer| answer.find(ChunkType::ABORT));
                assert!(abort.is_some(), "{answers:?}");
                let lost = |event: &Event| matches!(event, Event::CommunicationLost { .. });
                assert!(peer.log.iter().any(lost), "{:?}", peer.log);
            }
        }
    }
}

#[test]
fn rfc9260_6_3_the_timer_recovers_from_an_outage() {
    let mut pair = Setup::single().build();
    pair.connect();
    let mut flows = [Flow::new(A, 2000), Flow::new(B, 300)];
    let link = pair.links[0];
    let outage = |at: Duration, up: bool| {
        move |world: &mut sctp::sim::World| {
            let when = world.now() + at;
            world.schedule(when, "outage", move |world| world.set_link_up(link, up));
        }
    };
    outage(ms(300), false)(&mut pair.world);
    outage(ms(10_300), true)(&mut pair.world);
    transfer(&mut pair, &mut flows, secs(120));
    assert_eq!(pair.phase(A), Some(AssociationPhase::Established));
}
