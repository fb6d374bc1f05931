use super::*;
use crate::sim::ids::seed_of;
use crate::{EcnCodepoint, UdpPorts};

const A: HostId = HostId(0);
const B: HostId = HostId(1);

fn link(config: LinkConfig) -> Link {
    Link::new("l", config, seed_of(7, "link", "l"))
}

/// A packet of `size` bytes, headers included, that carries `number`.
fn packet(size: usize, number: u64) -> Packet {
    let mut payload = vec![0; size - 20];
    payload[..8].copy_from_slice(&number.to_be_bytes());
    Packet {
        src: "10.0.0.1".parse().unwrap(),
        dst: "10.0.0.2".parse().unwrap(),
        transport: Transport::Sctp,
        ecn: EcnCodepoint::NotEct,
        payload: payload.into(),
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Sends `count` packets, one a millisecond, and returns the numbers in the order of their arrival.
fn order_of_arrival(link: &mut Link, count: u64) -> Vec<u64> {
    let mut arrivals = Vec::new();
    for n in 0..count {
        let (_, copies) = put(link, Instant::from_millis(n), A, packet(100, n));
        arrivals.extend(copies.into_iter().map(|(at, packet)| (at, packet.payload)));
    }
    arrivals.sort_by_key(|(at, _)| *at);
    let number = |payload: Bytes| u64::from_be_bytes(payload[..8].try_into().unwrap());
    arrivals.into_iter().map(|(_, payload)| number(payload)).collect()
}

/// Puts a packet on a link that must not be fragmented.
fn put(link: &mut Link, now: Instant, sender: HostId, packet: Packet) -> (Fate, Vec<(Instant, Packet)>) {
    link.put(now, sender, packet, true)
}

#[test]
fn latency_and_rate_add_up() {
    let mut link = link(LinkConfig::new().latency(ms(10)).rate(8_000, 10_000));
    // 8000 bit/s are a byte a millisecond.
    let (_, first) = put(&mut link, Instant::ZERO, A, packet(100, 0));
    let (_, second) = put(&mut link, Instant::ZERO, A, packet(100, 1));
    let (_, other_way) = put(&mut link, Instant::ZERO, B, packet(100, 2));
    assert_eq!(first[0].0, Instant::from_millis(110));
    assert_eq!(second[0].0, Instant::from_millis(210));
    assert_eq!(other_way[0].0, Instant::from_millis(110));
}

#[test]
fn a_shared_medium_has_one_queue() {
    let mut link = link(LinkConfig::new().rate(8_000, 10_000).shared_medium(true));
    put(&mut link, Instant::ZERO, A, packet(100, 0));
    let (_, arrivals) = put(&mut link, Instant::ZERO, B, packet(100, 1));
    assert_eq!(arrivals[0].0, Instant::from_millis(200));
}

#[test]
fn a_full_queue_loses_the_newest() {
    let mut link = link(LinkConfig::new().rate(8_000, 300));
    let fates: Vec<Fate> = (0..5)
        .map(|n| put(&mut link, Instant::ZERO, A, packet(100, n)).0)
        .collect();
    let full = Fate::Lost(Loss::QueueFull);
    assert_eq!(fates, [Fate::Sent, Fate::Sent, Fate::Sent, full, full]);
    assert_eq!(
        put(&mut link, Instant::from_millis(100), A, packet(100, 9)).0,
        Fate::Sent
    );
    assert_eq!(link.stats.lost_queue, 2);
}

#[test]
fn a_packet_above_the_mtu_or_on_a_link_that_is_down_is_lost() {
    let mut link = link(LinkConfig::new().mtu(500));
    assert_eq!(put(&mut link, Instant::ZERO, A, packet(500, 0)).0, Fate::Sent);
    assert_eq!(
        put(&mut link, Instant::ZERO, A, packet(501, 0)).0,
        Fate::Lost(Loss::TooBig)
    );
    link.up = false;
    assert_eq!(
        put(&mut link, Instant::ZERO, A, packet(500, 0)).0,
        Fate::Lost(Loss::Down)
    );
    assert_eq!(
        (link.stats.lost_too_big, link.stats.lost_down, link.stats.lost()),
        (1, 1, 2)
    );
}

#[test]
fn a_packet_above_the_mtu_arrives_where_it_may_be_fragmented() {
    let mut link = link(LinkConfig::new().mtu(500).fragments(true));
    assert_eq!(link.put(Instant::ZERO, A, packet(501, 0), false).0, Fate::Sent);
    assert_eq!(
        link.put(Instant::ZERO, A, packet(501, 0), true).0,
        Fate::Lost(Loss::TooBig)
    );
    assert_eq!((link.stats.fragmented, link.stats.lost_too_big), (1, 1));
}

#[test]
fn losses_come_as_often_as_asked_for() {
    let mut link = link(LinkConfig::new().loss(0.05));
    let arrived = order_of_arrival(&mut link, 20_000).len();
    assert!((18_800..19_200).contains(&arrived), "{arrived}");
    assert_eq!(link.stats.lost_random, 20_000 - arrived as u64);
}

#[test]
fn bursts_last() {
    // A bad spell lasts 10 packets and one in 11 packets falls into one; half of those are lost.
    let mut link = link(LinkConfig::new().burst_loss(0.01, 0.1, 0.5));
    let arrived = order_of_arrival(&mut link, 50_000);
    let lost = 50_000 - arrived.len();
    assert!((1_800..2_800).contains(&lost), "{lost}");
    let gaps = arrived.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    assert!(gaps * 3 < lost * 2, "{lost} losses in {gaps} gaps");
}

#[test]
fn jitter_keeps_the_order_and_reordering_does_not() {
    let mut jittery = link(LinkConfig::new().latency(ms(5)).jitter(ms(20)));
    assert!(order_of_arrival(&mut jittery, 1000).is_sorted());
    let mut reordering = link(LinkConfig::new().reordering(0.1, ms(20)));
    let order = order_of_arrival(&mut reordering, 1000);
    assert!(!order.is_sorted());
    assert_eq!(order.len(), 1000);
    assert!((50..150).contains(&reordering.stats.reordered));
}

#[test]
fn duplicates_arrive_twice() {
    let mut link = link(LinkConfig::new().duplication(0.5));
    let arrived = order_of_arrival(&mut link, 1000).len() as u64;
    assert_eq!(arrived, 1000 + link.stats.duplicated);
    assert!((400..600).contains(&link.stats.duplicated));
}

#[test]
fn corruption_flips_one_to_three_bits_of_sctp_and_loses_datagrams() {
    let mut link = link(LinkConfig::new().corruption(1.0));
    for n in 0..200 {
        let sent = packet(60, n);
        let (fate, arrivals) = put(&mut link, Instant::ZERO, A, sent.clone());
        assert_eq!(fate, Fate::Corrupted);
        let pairs = arrivals[0].1.payload.iter().zip(sent.payload.iter());
        let flipped: u32 = pairs.map(|(a, b)| (a ^ b).count_ones()).sum();
        assert!((1..=3).contains(&flipped));
    }
    let ports = UdpPorts {
        source: 1,
        destination: 2,
    };
    let datagram = Packet {
        transport: Transport::Datagram(ports),
        ecn: EcnCodepoint::NotEct,
        ..packet(60, 0)
    };
    assert_eq!(
        put(&mut link, Instant::ZERO, A, datagram).0,
        Fate::Lost(Loss::BadDatagram)
    );
    let empty = Packet {
        payload: Bytes::new(),
        ..packet(60, 0)
    };
    assert_eq!(put(&mut link, Instant::ZERO, A, empty).0, Fate::Corrupted);
}

#[test]
fn a_filter_has_the_last_word() {
    let mut link = link(LinkConfig::new().latency(ms(1)));
    let mut seen = 0;
    link.filter = Some(Box::new(move |_, _| {
        seen += 1;
        [Verdict::Drop, Verdict::Duplicate, Verdict::Delay(ms(9)), Verdict::Pass][seen - 1]
    }));
    let counts: Vec<Vec<Instant>> = (0..4)
        .map(|n| {
            let (_, arrivals) = put(&mut link, Instant::ZERO, A, packet(60, n));
            arrivals.into_iter().map(|(at, _)| at).collect()
        })
        .collect();
    let one = Instant::from_millis(1);
    assert_eq!(
        counts,
        [vec![], vec![one, one], vec![Instant::from_millis(10)], vec![one]]
    );
}

#[test]
fn a_capture_holds_what_was_sent_and_what_became_of_it() {
    let mut link = link(LinkConfig::new().mtu(100));
    put(&mut link, Instant::ZERO, A, packet(60, 0));
    link.capture = Some(Vec::new());
    put(&mut link, Instant::from_millis(1), A, packet(60, 1));
    put(&mut link, Instant::from_millis(2), A, packet(101, 2));
    let fates: Vec<(Instant, Fate)> = link.capture.iter().flatten().map(|c| (c.at, c.fate)).collect();
    assert_eq!(
        fates,
        [
            (Instant::from_millis(1), Fate::Sent),
            (Instant::from_millis(2), Fate::Lost(Loss::TooBig))
        ]
    );
}
