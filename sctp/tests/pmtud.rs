//! Path MTU discovery (RFC 8899 for SCTP, with RFC 4820).

mod common;

use bytes::Bytes;
use common::{A, B, Family, Flow, Pair, Peer, PeerSetup, Setup, ms, secs, transfer};
use sctp::config::AssociationConfig;
use sctp::serial::{Ppid, StreamId};
use sctp::sim::{Captured, LinkConfig, TooBig, Verdict};
use sctp::wire::{ChunkType, write_pad};
use sctp::{IcmpKind, IcmpReport, MtuDiscovery, OutMessage, PathState};

fn discovering(config: &mut AssociationConfig) {
    config.path_mut().set_mtu_discovery(Some(u16::MAX)).unwrap();
}

fn link(mtu: usize) -> LinkConfig {
    LinkConfig::new().latency(ms(10)).mtu(mtu)
}

fn pair(link: &LinkConfig) -> Pair {
    let mut pair = Setup::single().link(link).config(discovering).build();
    pair.world.capture(pair.links[0]);
    pair.connect();
    pair
}

/// Messages of 20,000 bytes from A, three times as many.
fn large(count: u64) -> [Flow; 1] {
    [Flow::new(A, 3 * count).sizes(&[20_000])]
}

/// Messages of 70,000 bytes from A.
fn huge() -> [Flow; 1] {
    [Flow::new(A, 4).sizes(&[70_000])]
}

/// What A put on a link and must not be fragmented, probes or not.
fn from_a(pair: &Pair, link: usize, probes: bool) -> Vec<Captured> {
    let own = pair.address(A, link);
    let captured = pair.world.captured(pair.links[link]).iter();
    let wanted =
        captured.filter(|captured| captured.packet.src == own && captured.packet.has(ChunkType::PAD) == probes);
    wanted.cloned().collect()
}

fn largest(packets: &[Captured]) -> usize {
    packets.iter().map(|captured| captured.packet.size()).max().unwrap_or(0)
}

#[test]
fn rfc8899_6_2_1_the_mtu_is_found_below_every_header() {
    for mtu in [1280, 1492, 1500, 9000, 65_535] {
        for too_big in [TooBig::Silent, TooBig::Reported, TooBig::Refused] {
            for (family, encapsulated) in [
                (Family::V4, false),
                (Family::V6, false),
                (Family::V4, true),
                (Family::V6, true),
            ] {
                let setup = Setup::single()
                    .link(&link(mtu).too_big(too_big))
                    .family(family)
                    .config(discovering);
                let mut pair = if encapsulated {
                    setup.encapsulated(9899, 9899)
                } else {
                    setup
                }
                .build();
                pair.world.capture(pair.links[0]);
                pair.connect();
                transfer(&mut pair, &mut huge(), secs(60));
                pair.run(secs(60));
                let path = pair.path(A, 0);
                assert_eq!((path.mtu, path.mtu_discovery), (mtu, MtuDiscovery::SearchComplete));
                transfer(&mut pair, &mut huge(), secs(60));
                let data = largest(&from_a(&pair, 0, false));
                assert!(data <= mtu && data > mtu - 4, "{data} of {mtu}");
                let stats = pair.status(A).unwrap().stats;
                assert_eq!((stats.t3_expiries, stats.data_chunks_retransmitted), (0, 0));
                assert_eq!(
                    pair.path(B, 0).mtu_discovery,
                    MtuDiscovery::Disabled,
                    "B has nothing to send"
                );
            }
        }
    }
}

#[test]
fn rfc8899_6_2_1_2_a_probe_is_a_heartbeat_with_padding_that_must_not_be_fragmented() {
    let mut pair = pair(&link(1500));
    transfer(&mut pair, &mut large(5), secs(60));
    pair.run(secs(60));
    let probes = from_a(&pair, 0, true);
    assert!(!probes.is_empty());
    for probe in &probes {
        let kinds: Vec<ChunkType> = probe.packet.chunks().map(|chunk| chunk.kind).collect();
        assert_eq!(kinds, [ChunkType::HEARTBEAT, ChunkType::PAD]);
        assert!(probe.dont_fragment);
    }
    let mut sizes: Vec<usize> = probes.iter().map(|probe| probe.packet.size()).collect();
    sizes.dedup();
    assert_eq!(sizes[..3], [1280, 1500, 9000]);
    assert_eq!(pair.status(A).unwrap().stats.mtu_probes_sent, probes.len() as u64);
}

#[test]
fn rfc8899_3_lost_probes_neither_shrink_the_window_nor_blame_the_path() {
    let mut pair = pair(&link(1500));
    let mut flows = [Flow::new(A, 100).sizes(&[10_000])];
    let mut worst = 0;
    let done = pair.wait(secs(600), |pair| {
        flows[0].pump(pair).unwrap();
        worst = worst.max(pair.path(A, 0).error_count);
        flows[0].is_complete()
    });
    assert!(done);
    let (status, path) = (pair.status(A).unwrap(), pair.path(A, 0));
    pair.run(secs(60));
    assert!(
        pair.world.link_stats(pair.links[0]).lost_too_big >= 3,
        "probes were lost"
    );
    assert_eq!(
        (worst, status.stats.t3_expiries, status.stats.fast_retransmits),
        (0, 0, 0)
    );
    assert_eq!((path.ssthresh, path.state), (usize::MAX, PathState::Active));
}

#[test]
fn rfc8899_5_1_4_loopback_packets_are_64_kib_within_a_few_round_trips() {
    let mut pair = pair(&LinkConfig::new().latency(ms(1)));
    let mut flows = large(30);
    pair.must("packets of 64 KiB", ms(30), |pair| {
        flows[0].pump(pair).unwrap();
        pair.path(A, 0).mtu == 65_535 && largest(&from_a(pair, 0, false)) > 40_000
    });
}

#[test]
fn rfc8899_5_1_1_who_sends_little_probes_nothing() {
    let mut pair = pair(&link(1500));
    for _ in 0..50 {
        pair.say(A, 0, b"ping");
        pair.say(B, 0, b"pong");
        pair.run(secs(1));
    }
    assert!(from_a(&pair, 0, true).is_empty());
    assert_eq!(pair.path(A, 0).mtu_discovery, MtuDiscovery::Disabled);
    pair.hear(A);
    pair.hear(B);
    transfer(&mut pair, &mut large(5), secs(60));
    pair.run(secs(1200));
    let probes = from_a(&pair, 0, true).len();
    pair.run(secs(6000));
    assert_eq!(from_a(&pair, 0, true).len(), probes, "idle paths are left alone");
}

#[test]
fn rfc8899_discovery_can_be_switched_off_and_limited() {
    for (max, expected) in [(None, 1280), (Some(1400), 1400), (Some(9000), 9000)] {
        let setup = Setup::single().link(&link(65_535));
        let mut pair = setup
            .config(|config| config.path_mut().set_mtu_discovery(max).unwrap())
            .build();
        pair.world.capture(pair.links[0]);
        pair.connect();
        transfer(&mut pair, &mut large(5), secs(60));
        assert_eq!(pair.path(A, 0).mtu, expected);
        assert_eq!(from_a(&pair, 0, true).is_empty(), max.is_none());
        assert_eq!(
            from_a(&pair, 0, false).iter().any(|data| data.dont_fragment),
            max.is_some()
        );
    }
}

#[test]
fn rfc8899_4_3_a_path_that_swallows_large_packets_is_left_for_small_ones() {
    for fragments in [false, true] {
        let mut pair = pair(&link(9000));
        transfer(&mut pair, &mut large(20), secs(60));
        assert_eq!(pair.path(A, 0).mtu, 9000);
        // Chunks of 9000 bytes are on their way, and can only arrive in fragments.
        let mut flows = large(60);
        pair.wait(ms(25), |pair| {
            flows[0].pump(pair).unwrap();
            false
        });
        let narrow = link(1400).fragments(true);
        pair.world.set_link(
            pair.links[0],
            if fragments {
                narrow
            } else {
                narrow.too_big(TooBig::Reported)
            },
        );
        transfer(&mut pair, &mut flows, secs(60));
        pair.run(secs(60));
        assert_eq!(pair.path(A, 0).mtu, 1400);
        assert_eq!(pair.path(A, 0).state, PathState::Active);
        let stats = pair.world.link_stats(pair.links[0]);
        assert!(stats.fragmented > 0, "what was cut for 9000 bytes");
        let before = stats.fragmented;
        transfer(&mut pair, &mut large(10), secs(60));
        assert_eq!(
            pair.world.link_stats(pair.links[0]).fragmented,
            before,
            "new messages are cut for 1400"
        );
    }
}

#[test]
fn rfc8899_4_3_bundles_of_small_messages_are_large_packets_too() {
    let mut pair = pair(&link(9000));
    let small = || [Flow::new(A, 20_000).sizes(&[100])];
    transfer(&mut pair, &mut large(10), secs(60));
    transfer(&mut pair, &mut small(), secs(60));
    assert_eq!(pair.path(A, 0).mtu, 9000);
    // Nobody fragments here: what was one packet has to become several.
    pair.world.set_link(pair.links[0], link(1500));
    transfer(&mut pair, &mut small(), secs(120));
    pair.run(secs(60));
    assert_eq!(pair.path(A, 0).mtu, 1500);
}

#[test]
fn rfc8899_4_3_heartbeats_that_get_through_do_not_hide_a_black_hole() {
    let setup = Setup::dual().link(&link(9000)).config(discovering);
    let mut pair = setup.build();
    pair.world.capture(pair.links[0]);
    pair.connect();
    pair.run(secs(5));
    for address in pair.addresses(B) {
        for _ in 0..10 {
            let message = OutMessage::new(StreamId(0), Ppid(0), Bytes::from(vec![1; 50_000]));
            let destination = Some(address);
            pair.send(A, OutMessage { destination, ..message }).unwrap();
        }
        pair.run(secs(10));
        pair.hear(B);
    }
    assert_eq!((pair.path(A, 0).mtu, pair.path(A, 1).mtu), (9000, 9000));
    pair.world.set_link(pair.links[0], link(1500));
    transfer(&mut pair, &mut large(100), secs(600));
    pair.run(secs(60));
    assert_eq!(pair.path(A, 0).mtu, 1500, "{:?}", pair.path(A, 0));
}

#[test]
fn rfc8899_4_3_small_packets_that_get_through_do_not_hide_a_black_hole() {
    let mut pair = pair(&link(9000));
    transfer(&mut pair, &mut large(20), secs(60));
    assert_eq!(pair.path(A, 0).mtu, 9000);
    pair.world.set_link(pair.links[0], link(1400).fragments(true));
    // One acknowledgement in four arrives, and tells of as many small packets at once as a large one has bytes.
    let (b, mut sacks) = (pair.address(B, 0), 0);
    pair.world.set_filter(pair.links[0], move |_, packet| {
        sacks += u32::from(packet.src == b && packet.has(ChunkType::SACK));
        if packet.src == b && sacks % 4 != 0 {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    });
    pair.say(A, 1, &[1; 2000]);
    let mut arrived = false;
    for _ in 0..2000 {
        pair.say(A, 0, &[0; 500]);
        pair.run(ms(10));
        arrived |= pair.hear(B).iter().any(|message| message.stream == StreamId(1));
    }
    assert!(arrived, "{:?}", pair.path(A, 0));
}

#[test]
fn rfc8899_5_1_1_an_mtu_that_was_raised_is_found() {
    let mut pair = pair(&link(1500));
    transfer(&mut pair, &mut large(10), secs(60));
    pair.run(secs(60));
    assert_eq!(pair.path(A, 0).mtu, 1500);
    pair.world.set_link(pair.links[0], link(9000));
    transfer(&mut pair, &mut large(1), secs(60));
    pair.run(secs(700));
    assert_eq!(pair.path(A, 0).mtu, 9000);
}

#[test]
fn rfc8899_each_direction_finds_its_own_mtu() {
    let mut pair = pair(&link(9000));
    let a = pair.address(A, 0);
    pair.world.set_filter(pair.links[0], move |_, packet| {
        let narrow = packet.src == a && packet.size() > 2048;
        if narrow { Verdict::Drop } else { Verdict::Pass }
    });
    let mut flows = [Flow::new(A, 90).sizes(&[20_000]), Flow::new(B, 90).sizes(&[20_000])];
    transfer(&mut pair, &mut flows, secs(120));
    pair.run(secs(60));
    assert_eq!((pair.path(A, 0).mtu, pair.path(B, 0).mtu), (2048, 9000));
}

/// Two paths of these sizes, of which the first carries data until both have been searched; the probes on the second.
fn searched(mtus: [usize; 2]) -> (Pair, Vec<Captured>) {
    let mut pair = Setup::dual().config(discovering).build();
    for (index, mtu) in mtus.into_iter().enumerate() {
        pair.world.set_link(pair.links[index], link(mtu));
        pair.world.capture(pair.links[index]);
    }
    pair.connect();
    pair.run(secs(5));
    transfer(&mut pair, &mut large(20), secs(60));
    pair.run(secs(60));
    let probes = from_a(&pair, 1, true);
    (pair, probes)
}

#[test]
fn rfc8899_4_the_size_of_a_path_without_data_is_found_by_few_probes() {
    let (mut pair, probes) = searched([1500, 1500]);
    for path in [0, 1] {
        let path = pair.path(A, path);
        assert_eq!((path.mtu, path.mtu_discovery), (1500, MtuDiscovery::SearchComplete));
    }
    let data = |packet: &&Captured| packet.packet.has(ChunkType::DATA);
    assert_eq!(from_a(&pair, 1, false).iter().filter(data).count(), 0);
    // The base size, 1500, and three for each of four that are too large.
    assert_eq!(probes.len(), 14);
    transfer(&mut pair, &mut large(20), secs(60));
    let size = largest(&from_a(&pair, 0, false));
    assert!((1490..=1500).contains(&size), "{size}");
    assert_eq!(from_a(&pair, 1, true).len(), 14, "nothing is searched anew");
    assert_eq!(pair.status(A).unwrap().stats.t3_expiries, 0);
}

#[test]
fn rfc9260_7_3_the_narrowest_path_of_a_peer_sizes_the_fragments() {
    for (mtus, expected) in [([9000, 1500], 1500), ([1500, 9000], 1500), ([9000, 9000], 9000)] {
        let (mut pair, _) = searched(mtus);
        assert_eq!([0, 1].map(|path| pair.path(A, path).mtu), mtus);
        transfer(&mut pair, &mut large(20), secs(60));
        let size = largest(&from_a(&pair, 0, false));
        assert!((expected - 10..=expected).contains(&size), "{size}");
        // Whatever is in flight fits the other path too.
        let mut flows = large(20);
        pair.wait(ms(15), |pair| {
            flows[0].pump(pair).unwrap();
            false
        });
        pair.world.set_link_up(pair.links[0], false);
        transfer(&mut pair, &mut flows, secs(60));
        assert!(largest(&from_a(&pair, 1, false)) <= expected);
        let whole = |packet: &Captured| packet.dont_fragment;
        assert!(from_a(&pair, 1, false).iter().all(whole));
    }
}

#[test]
fn rfc8899_5_1_1_no_path_is_searched_while_nothing_large_is_sent() {
    let mut pair = Setup::dual().link(&link(9000)).config(discovering).build();
    pair.world.capture(pair.links[1]);
    pair.connect();
    for _ in 0..50 {
        pair.say(A, 0, &[1; 20]);
        pair.run(secs(2));
    }
    assert!(from_a(&pair, 1, true).is_empty());
}

#[test]
fn rfc8899_6_2_an_address_that_is_never_confirmed_does_not_keep_packets_small() {
    let mut pair = Setup::dual().link(&link(9000)).config(discovering).build();
    pair.world.set_link_up(pair.links[1], false);
    pair.world.capture(pair.links[0]);
    let first = pair.address(B, 0);
    pair.start_to(A, &[first]);
    pair.must("both sides are up", secs(60), Pair::both_up);
    transfer(&mut pair, &mut large(20), secs(60));
    assert_eq!(pair.path(A, 1).state, PathState::Unconfirmed);
    assert!(largest(&from_a(&pair, 0, false)) > 8990);
}

/// A packet of A's that an ICMP message could quote.
fn quoted(pair: &Pair) -> IcmpReport {
    let data = from_a(pair, 0, false).pop().unwrap().packet;
    IcmpReport {
        src: Some(data.src),
        dst: data.dst,
        encap: None,
        kind: IcmpKind::PacketTooBig { mtu: 1400 },
        quoted: data.payload.slice(..8),
    }
}

fn tell(pair: &mut Pair, report: &IcmpReport) {
    let now = pair.now();
    pair.world.stack(pair.hosts[A]).handle_icmp(now, report);
}

#[test]
fn rfc8899_4_6_1_a_report_without_the_right_tag_changes_nothing() {
    let mut pair = pair(&link(9000));
    transfer(&mut pair, &mut large(20), secs(60));
    pair.run(secs(60));
    let right = quoted(&pair);
    let mut forged = Vec::new();
    for byte in 0..8 {
        let mut bytes = right.quoted.to_vec();
        bytes[byte] ^= 1;
        forged.push(IcmpReport {
            quoted: bytes.into(),
            ..right.clone()
        });
        forged.push(IcmpReport {
            quoted: right.quoted.slice(..byte),
            ..right.clone()
        });
    }
    let ports = sctp::UdpPorts {
        source: 9899,
        destination: 9899,
    };
    forged.push(IcmpReport {
        encap: Some(ports),
        ..right.clone()
    });
    forged.push(IcmpReport {
        dst: right.src.unwrap(),
        ..right.clone()
    });
    for mtu in [0, 68, 575, 9000, 65_535, 65_536, u32::MAX] {
        forged.push(IcmpReport {
            kind: IcmpKind::PacketTooBig { mtu },
            ..right.clone()
        });
    }
    for report in &forged {
        tell(&mut pair, report);
        assert_eq!(
            (pair.path(A, 0).mtu, pair.path(A, 0).mtu_discovery),
            (9000, MtuDiscovery::SearchComplete)
        );
    }
    let stats = pair.world.peek(pair.hosts[A]).stats();
    assert!(stats.icmp_discarded >= 18, "{stats:?}");
    tell(&mut pair, &right);
    assert_eq!(pair.path(A, 0).mtu_discovery, MtuDiscovery::Base);
}

#[test]
fn rfc8899_4_6_2_a_hostile_reporter_slows_down_but_does_not_stop() {
    let mut pair = pair(&link(1500));
    let mut flows = [Flow::new(A, 200).sizes(&[5000])];
    for round in 0..60u32 {
        pair.wait(ms(20), |pair| {
            flows[0].pump(pair).unwrap();
            flows[0].is_complete()
        });
        let report = IcmpReport {
            kind: IcmpKind::PacketTooBig {
                mtu: 560 + round * 47 % 1000,
            },
            ..quoted(&pair)
        };
        tell(&mut pair, &report);
    }
    transfer(&mut pair, &mut flows, secs(600));
    assert!(pair.path(A, 0).mtu >= 576);
    assert!(
        from_a(&pair, 0, true).len() < 300,
        "a report asks for no more than a probe or two"
    );
}

#[test]
fn rfc9260_6_9_what_outgrew_every_path_goes_alone_and_may_be_fragmented() {
    let mut pair = pair(&link(9000));
    transfer(&mut pair, &mut large(20), secs(60));
    let mut flows = large(30);
    pair.wait(ms(15), |pair| {
        flows[0].pump(pair).unwrap();
        false
    });
    let from = from_a(&pair, 0, false).len();
    pair.world.set_link(pair.links[0], link(1500).fragments(true));
    transfer(&mut pair, &mut flows, secs(60));
    let later = from_a(&pair, 0, false).split_off(from);
    let oversized: Vec<&Captured> = later.iter().filter(|data| !data.dont_fragment).collect();
    assert!(!oversized.is_empty());
    for data in oversized {
        let kinds = data
            .packet
            .chunks()
            .filter(|chunk| chunk.kind == ChunkType::DATA)
            .count();
        assert_eq!(kinds, 1);
    }
}

#[test]
fn rfc9260_7_2_1_a_larger_mtu_opens_the_window_of_a_young_path() {
    let mut pair = pair(&LinkConfig::new().latency(ms(10)));
    let mut flows = large(1);
    pair.must("the largest size", ms(200), |pair| {
        flows[0].pump(pair).unwrap();
        pair.path(A, 0).mtu == 65_535
    });
    assert!(pair.path(A, 0).cwnd >= 2 * 65_000, "{:?}", pair.path(A, 0));
}

#[test]
fn rfc4820_3_a_pad_chunk_is_skipped_and_not_reported() {
    let mut peer = Peer::established();
    peer.send(|buf| {
        write_pad(buf, 400);
        sctp::wire::write_heartbeat(buf, b"x");
    });
    assert_eq!(peer.answer().kinds(), [ChunkType::HEARTBEAT_ACK]);
    peer.send(|buf| write_pad(buf, 400));
    peer.expect_silence();
}

#[test]
fn rfc8899_6_2_1_2_an_answer_to_a_probe_counts_once_and_only_with_its_nonce() {
    let mut peer = Peer::with(PeerSetup {
        association: AssociationConfig::default(),
        ..PeerSetup::default()
    });
    peer.establish();
    peer.z_says(&[1; 1200]);
    let answers = peer.answers();
    let probe = answers
        .iter()
        .find(|answer| answer.has(ChunkType::PAD))
        .expect("a probe");
    let info = sctp::wire::Heartbeat::parse(&probe.get(ChunkType::HEARTBEAT).value)
        .unwrap()
        .info
        .to_vec();
    let state = |peer: &Peer| peer.status().unwrap().paths[0].mtu_discovery;
    for bit in 0..info.len() * 8 {
        let mut forged = info.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        peer.send(|buf| sctp::wire::write_heartbeat_ack(buf, &forged));
        peer.answers();
        assert_eq!(state(&peer), MtuDiscovery::Base, "bit {bit}");
    }
    peer.send(|buf| sctp::wire::write_heartbeat_ack(buf, &info));
    peer.answers();
    assert_eq!(state(&peer), MtuDiscovery::Searching);
}

#[test]
fn soak_mtus_that_change_under_loss() {
    for seed in 0..8u64 {
        let mtus = [1500, 9000, 1400, 65_535, 1300, 2000];
        let lossy = move |round: u64| {
            let mtu = mtus[((seed + round) % 6) as usize];
            let too_big = [TooBig::Silent, TooBig::Reported, TooBig::Refused][((seed / 2 + round) % 3) as usize];
            link(mtu)
                .loss(0.03)
                .reordering(0.05, ms(30))
                .fragments(true)
                .too_big(too_big)
        };
        let setup = Setup::dual().seed(seed).link(&lossy(0)).config(discovering);
        let mut pair = if seed % 2 == 0 {
            setup.encapsulated(9899, 9900)
        } else {
            setup
        }
        .build();
        pair.connect();
        let (first, second) = (pair.links[0], pair.links[1]);
        for round in 1..40 {
            let at = pair.now() + secs(round * 2);
            pair.world.schedule(at, "other MTUs", move |world| {
                world.set_link(first, lossy(round));
                world.set_link(second, lossy(round + seed));
            });
        }
        let mut flows = [
            Flow::new(A, 150).sizes(&[20_000, 100, 3000]).streams(3),
            Flow::new(B, 150).sizes(&[1200, 10_000]).unordered_every(3),
        ];
        transfer(&mut pair, &mut flows, secs(3600));
        pair.run(secs(120));
        pair.assert_idle();
    }
}
