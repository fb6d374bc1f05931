//! Congestion control (RFC 9260 §6.1 B and D, §7.2).

mod common;

use std::time::Duration;

use common::{A, Family, Flow, Pair, Peer, PeerSetup, Setup, data_chunks, ms, secs, transfer};
use sctp::sim::{LinkConfig, Verdict};
use sctp::wire::ChunkType;

#[test]
fn rfc9260_7_2_1_the_initial_window_follows_from_the_size_of_a_packet() {
    for (family, mtu, encap, expected) in [
        // PMDCS is the MTU less the headers of IP, UDP and SCTP.
        (Family::V4, 1280, false, 4404),
        (Family::V4, 1500, false, 4404),
        (Family::V6, 1280, false, 4344),
        (Family::V6, 1500, false, 4344),
        (Family::V4, 1500, true, 4404),
        (Family::V4, 9000, false, 2 * (9000 - 20 - 12)),
        (Family::V6, 9000, false, 2 * (9000 - 40 - 12)),
    ] {
        let link = LinkConfig::new().mtu(9000);
        let mut setup = Setup::single().family(family).link(&link);
        setup = setup.config(|config| config.path_mut().set_mtu(mtu).unwrap());
        if encap {
            setup = setup.encapsulated(9899, 9899);
        }
        let mut pair = setup.build();
        pair.connect();
        assert_eq!(pair.path(A, 0).cwnd, expected, "{family:?} {mtu} {encap}");
    }
}

/// The largest DATA chunk in a packet of 1280 bytes over IPv4.
const PMDCS: usize = 1280 - 20 - 12;
/// A chunk of 1200 bytes of user data.
const CHUNK: usize = 1216;

/// An association that Z may send on as fast as congestion control lets it.
fn established(max_burst: u16) -> Peer {
    let mut association = common::without_discovery();
    association.set_max_burst(max_burst);
    association.path_mut().set_heartbeat_interval(None).unwrap();
    let mut peer = Peer::with(PeerSetup {
        association,
        ..PeerSetup::default()
    });
    peer.fixed.a_rwnd = 1_000_000;
    peer.establish();
    peer
}

fn cwnd(peer: &Peer) -> usize {
    peer.status().unwrap().paths[0].cwnd
}

fn queue(peer: &mut Peer, messages: usize) {
    for _ in 0..messages {
        peer.z_says(&[0; 1200]);
    }
}

/// How many DATA chunks Z sends at once.
fn sent(peer: &mut Peer) -> u32 {
    data_chunks(&peer.answers()).len() as u32
}

#[test]
fn rfc9260_6_1_b_the_window_is_exceeded_by_less_than_one_packet() {
    let mut peer = established(0);
    queue(&mut peer, 100);
    let first = sent(&mut peer);
    // Three chunks leave room in the 4404 bytes, the fourth exceeds it, no fifth follows.
    assert_eq!(first, 4);
    assert_eq!(peer.status().unwrap().paths[0].flight_size, 4 * CHUNK);
}

#[test]
fn rfc9260_7_2_1_slow_start_adds_at_most_one_packet_for_each_sack() {
    let mut peer = established(0);
    queue(&mut peer, 100);
    let mut window = 4404;
    let mut acked = sent(&mut peer);
    for _ in 0..8 {
        peer.send_sack(acked - 1, 1_000_000, &[]);
        let next = sent(&mut peer);
        window += PMDCS;
        assert_eq!(cwnd(&peer), window);
        // As many chunks as start below the window.
        assert_eq!(next as usize, window.div_ceil(CHUNK));
        acked += next;
    }
}

#[test]
fn rfc9260_7_2_1_a_sack_for_little_adds_little() {
    let mut peer = established(0);
    for _ in 0..40 {
        peer.z_says(&[0; 400]);
    }
    assert!(sent(&mut peer) >= 10);
    let before = cwnd(&peer);
    peer.send_sack(0, 1_000_000, &[]);
    peer.answers();
    assert_eq!(cwnd(&peer), before + 416);
}

#[test]
fn rfc9260_7_2_1_a_window_that_is_not_used_does_not_grow() {
    let mut peer = established(0);
    let before = cwnd(&peer);
    for n in 0..20 {
        queue(&mut peer, 1);
        assert_eq!(sent(&mut peer), 1);
        peer.send_sack(n, 1_000_000, &[]);
        peer.answers();
    }
    assert_eq!(cwnd(&peer), before);
}

#[test]
fn rfc9260_6_1_d_no_more_than_max_burst_packets_go_out_at_once() {
    let mut peer = established(4);
    queue(&mut peer, 300);
    let first = sent(&mut peer);
    assert!((2..=4).contains(&first), "{first}");
    for round in 0..40 {
        // §6.2: a SACK for every second packet.
        peer.send_sack(2 * round + 1, 1_000_000, &[]);
        // Max.Burst * PMDCS, by which the RFC's formula opens the window, is four packets and a bit, and rule B lets
        // another one exceed it.
        let burst = sent(&mut peer);
        assert!((1..=5).contains(&burst), "{burst}");
    }
}

#[test]
fn rfc9260_7_2_1_a_window_decays_when_it_is_idle() {
    let mut peer = established(0);
    queue(&mut peer, 300);
    let mut acked = 0;
    loop {
        let next = sent(&mut peer);
        if next == 0 {
            break;
        }
        acked += next;
        peer.send_sack(acked - 1, 1_000_000, &[]);
    }
    let grown = cwnd(&peer);
    assert!(grown > 16 * PMDCS, "{grown}");
    // RTO is one second, so a minute is many halvings.
    peer.run(secs(60));
    queue(&mut peer, 100);
    let burst = sent(&mut peer) as usize;
    assert!(
        burst * CHUNK < 4 * PMDCS + CHUNK,
        "{burst} chunks after a minute of silence, at {grown} before"
    );
}

/// Samples A's window on the first link every `every` while a transfer runs.
fn windows(pair: &mut Pair, flow: &mut Flow, every: Duration, times: usize) -> Vec<usize> {
    let mut samples = Vec::new();
    for _ in 0..times {
        pair.wait(every, |pair| {
            flow.pump(pair).unwrap();
            false
        });
        samples.push(pair.path(A, 0).cwnd);
    }
    samples
}

#[test]
fn rfc9260_7_2_2_congestion_avoidance_adds_one_packet_for_each_round_trip() {
    let link = common::wire(ms(50));
    let mut pair = Setup::single()
        .link(&link)
        .config(|config| config.set_max_burst(0))
        .build();
    pair.connect();
    let mut flow = Flow::new(A, u64::MAX).sizes(&[1200]);
    windows(&mut pair, &mut flow, ms(100), 8);
    // One loss ends slow start.
    pair.world.set_filter(pair.links[0], common::lose(ChunkType::DATA, 1));
    windows(&mut pair, &mut flow, ms(100), 5);
    assert_eq!(pair.status(A).unwrap().stats.t3_expiries, 0);
    let samples = windows(&mut pair, &mut flow, ms(100), 30);
    let steps: Vec<usize> = samples.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.iter().all(|&step| step <= PMDCS), "{steps:?}");
    // §7.2.2: once a round trip; a round trip is a little longer than the samples are apart.
    let grown = samples.last().unwrap() - samples[0];
    assert!(grown >= 20 * PMDCS, "{samples:?}");
}

#[test]
fn rfc9260_7_2_3_after_a_time_out_one_packet_is_in_flight_until_it_is_acknowledged() {
    let mut pair = Setup::single().build();
    pair.connect();
    let mut flow = Flow::new(A, u64::MAX);
    windows(&mut pair, &mut flow, ms(100), 5);
    pair.world.set_link_up(pair.links[0], false);
    windows(&mut pair, &mut flow, ms(100), 1);
    pair.world.capture(pair.links[0]);
    windows(&mut pair, &mut flow, ms(1000), 20);
    let sent = pair.sent(A);
    let data = sent.iter().filter(|packet| packet.has(ChunkType::DATA));
    let times: Vec<u64> = data.map(|packet| packet.at.as_nanos() / 1_000_000).collect();
    // At about 1, 2, 4, 8 and 16 s after the outage began: one packet each.
    assert!((4..=5).contains(&times.len()), "{times:?}");
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 900), "{times:?}");
    assert_eq!(pair.path(A, 0).cwnd, PMDCS);
}

#[test]
fn rfc9260_7_2_a_bottleneck_is_used_and_not_flooded() {
    let link = LinkConfig::new().latency(ms(20)).rate(10_000_000, 64 << 10).mtu(1500);
    let mut pair = Setup::single()
        .link(&link)
        .config(|config| config.path_mut().set_mtu(1500).unwrap())
        .build();
    pair.connect();
    let start = pair.now();
    transfer(&mut pair, &mut [Flow::new(A, 5000)], secs(60));
    let took = (pair.now() - start).as_secs_f64();
    let rate = 5000.0 * 1000.0 * 8.0 / took;
    // A chunk of 1000 bytes of user data takes 1048 bytes of link, so 9.5 Mbit/s is all there is.
    assert!(rate > 7_500_000.0, "{rate} bit/s");
    let stats = pair.world.link_stats(pair.links[0]);
    assert!(stats.lost() * 50 < stats.packets, "{stats:?}");
}

#[test]
fn rfc9260_7_2_steady_losses_slow_the_sender_down() {
    let throughput = |loss: f64| {
        let link = common::wire(ms(20)).loss(loss).rate(8_000_000, 128 << 10);
        let mut pair = Setup::single().link(&link).seed(9).build();
        pair.connect();
        let mut flow = Flow::new(A, u64::MAX);
        windows(&mut pair, &mut flow, secs(1), 15);
        flow.received()
    };
    let (none, few, many) = (throughput(0.0), throughput(0.01), throughput(0.08));
    assert!(none > 2 * few && few > 2 * many, "{none} {few} {many}");
    assert!(many > 100, "{many}");
}

#[test]
fn rfc9260_7_2_1_other_packets_do_not_count_as_data_in_flight() {
    let mut peer = established(0);
    peer.say(b"something to acknowledge");
    peer.answers();
    peer.say(b"something to acknowledge");
    peer.answers();
    assert_eq!(peer.status().unwrap().paths[0].flight_size, 0);
}

#[test]
fn rfc9260_6_1_c_retransmissions_go_before_new_data() {
    let mut pair = Setup::single().build();
    pair.connect();
    pair.world.capture(pair.links[0]);
    let mut count = 0;
    pair.world.set_filter(pair.links[0], move |_, packet| {
        count += usize::from(packet.has(ChunkType::DATA));
        if count == 30 && packet.has(ChunkType::DATA) {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    });
    transfer(&mut pair, &mut [Flow::new(A, 200)], secs(10));
    let sent = pair.sent(A);
    let tsns: Vec<u32> = data_chunks(&sent).iter().map(|chunk| chunk.tsn.0).collect();
    let again = tsns
        .windows(2)
        .position(|pair| pair[1].wrapping_sub(pair[0]) != 1)
        .expect("a retransmission");
    // Ten to forty chunks were sent meanwhile, none of them after the third report reached A.
    assert!((30..80).contains(&again), "{again}");
}
