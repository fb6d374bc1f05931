//! Hostile packets: nothing panics, nothing grows without bound, and there is no more answer than question.

mod common;

use common::{Answer, Peer, PeerSetup, ms, secs};
use sctp::random::Random;
use sctp::serial::{Ssn, StreamId, Tsn, VerificationTag};
use sctp::tlv::Writer;
use sctp::wire::{
    Cause, ChunkType, DataHeader, Param, finish_packet, write_abort, write_cookie_ack, write_cookie_echo, write_data,
    write_error, write_heartbeat, write_heartbeat_ack, write_init, write_sack, write_shutdown, write_shutdown_ack,
    write_shutdown_complete,
};
use sctp::{AssociationPhase, Event};

/// Puts the peer into one of the situations that a packet can meet.
fn situation(n: u64) -> Peer {
    let mut peer = Peer::with(PeerSetup {
        links: 2,
        ..PeerSetup::default()
    });
    match n % 8 {
        0 => {}
        1 => {
            peer.connect();
            let init = peer.answer();
            peer.learn(&init);
        }
        2 => {
            peer.connect();
            let init = peer.answer();
            peer.learn(&init);
            peer.send_init_ack(b"cookie", |_| {});
            peer.answers();
        }
        3 => peer.establish(),
        4 => {
            peer.establish_on_all_links();
            for _ in 0..8 {
                peer.z_says(&[0; 900]);
            }
            peer.answers();
        }
        5 => {
            peer.establish();
            peer.z_says(b"x");
            peer.z_shuts_down();
            peer.answers();
        }
        6 => {
            peer.establish();
            peer.z_shuts_down();
            peer.answers();
        }
        _ => {
            peer.establish();
            let acked = peer.z_tsn.minus(1);
            peer.send(|buf| write_shutdown(buf, acked));
            peer.answers();
        }
    }
    peer
}

fn small(random: &mut Random, bound: u64) -> u32 {
    random.below(bound) as u32
}

/// Writes a chunk of any type with fields that are often right and sometimes not.
fn write_any(peer: &Peer, random: &mut Random, buf: &mut Vec<u8>) {
    let tsn = match random.below(4) {
        0 => Tsn(random.u32()),
        1 => peer.tsn.plus(small(random, 2000)),
        _ => peer.tsn.plus(small(random, 6)).minus(2),
    };
    let acked = match random.below(4) {
        0 => Tsn(random.u32()),
        _ => peer.z_tsn.plus(small(random, 12)).minus(2),
    };
    let garbage: Vec<u8> = (0..random.below(200)).map(|_| random.u32() as u8).collect();
    let fixed = sctp::wire::InitFixed {
        initiate_tag: VerificationTag(if random.chance(0.5) { peer.tag.0 } else { random.u32() }),
        a_rwnd: if random.chance(0.8) { 100_000 } else { random.u32() },
        outbound_streams: small(random, 20) as u16,
        inbound_streams: small(random, 20) as u16,
        initial_tsn: tsn,
    };
    let second = peer.address(1);
    let params = |w: &mut Writer<'_>| {
        Param::address(second).write(w);
        w.tlv(0xc000 | (fixed.a_rwnd as u16 >> 4), |w| w.bytes(&garbage));
        Param::StateCookie(&garbage).write(w);
    };
    match random.below(18) {
        0..=3 => {
            let bits = random.u32();
            let header = DataHeader {
                tsn,
                stream: StreamId(small(random, 12) as u16),
                ssn: Ssn(small(random, 4) as u16),
                unordered: bits & 1 != 0,
                beginning: bits & 6 != 0,
                ending: bits & 24 != 0,
                immediate: bits & 32 != 0,
                ..Peer::header(tsn, 0, 0)
            };
            write_data(buf, &header, &garbage);
        }
        4 => write_init(buf, ChunkType::INIT, &fixed, params),
        5 => write_init(buf, ChunkType::INIT_ACK, &fixed, params),
        6 | 7 => {
            let block = |random: &mut Random| (small(random, 20) as u16, small(random, 20) as u16);
            let gaps: Vec<(u16, u16)> = (0..random.below(10)).map(|_| block(random)).collect();
            let duplicates: Vec<Tsn> = (0..random.below(5)).map(|_| Tsn(random.u32())).collect();
            write_sack(buf, acked, small(random, 10_000), &gaps, &duplicates);
        }
        8 => write_heartbeat(buf, &garbage),
        9 => write_heartbeat_ack(buf, &garbage),
        10 => write_abort(buf, random.chance(0.5), |w| {
            Cause::UserInitiatedAbort(&garbage).write(w)
        }),
        11 => write_shutdown(buf, acked),
        12 => write_shutdown_ack(buf),
        13 => write_error(buf, |w| match garbage.len() % 3 {
            0 => Cause::StaleCookie(7).write(w),
            1 => Cause::UnrecognizedChunkType(&garbage).write(w),
            _ => w.bytes(&garbage),
        }),
        14 => write_cookie_echo(buf, &garbage),
        15 => write_cookie_ack(buf),
        16 => write_shutdown_complete(buf, random.chance(0.5)),
        _ => {
            let start = buf.len();
            buf.extend([random.u32() as u8, random.u32() as u8]);
            buf.extend((4 + garbage.len() as u16).to_be_bytes());
            buf.extend(&garbage);
            buf.resize(start + (buf.len() - start).next_multiple_of(4), 0);
        }
    }
}

/// Spoils a packet in one of many ways, and puts its checksum right.
fn spoil(packet: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..random.below(4) {
        let len = packet.len() as u64;
        match random.below(4) {
            0 => packet.truncate((12 + random.below(len - 11)) as usize),
            1 => {
                let at = random.below(len - 12) as usize + 12;
                packet[at.min(len as usize - 1)] = random.u32() as u8;
            }
            2 => {
                // A length, or whatever else is there.
                let at = (random.below(len / 4 - 2) as usize * 4 + 14).min(packet.len() - 2);
                packet[at..at + 2].copy_from_slice(&(random.below(300) as u16).to_be_bytes());
            }
            _ => packet.extend((0..random.below(40)).map(|_| random.u32() as u8)),
        }
        if packet.len() < 24 {
            break;
        }
    }
    finish_packet(packet, 0);
}

#[test]
fn spoiled_packets_in_every_situation_do_no_harm() {
    let mut random = Random::from_number(1);
    for n in 0..600 {
        let mut peer = situation(n);
        for _ in 0..40 {
            let tag = match random.below(8) {
                0 => VerificationTag::ZERO,
                1 => peer.tag,
                2 => VerificationTag(random.u32()),
                _ => peer.z_tag,
            };
            let mut packet = peer.packet(tag, |buf| {
                for _ in 0..=random.below(3) {
                    write_any(&peer, &mut random, buf);
                }
            });
            if random.chance(0.7) {
                spoil(&mut packet, &mut random);
            }
            peer.send_on(random.below(2) as usize, packet);
            let answers = peer.run(ms(1));
            // A SACK may open the way for a burst; nothing else asks for more than an answer or two.
            assert!(answers.len() <= 8, "{answers:?}");
        }
        // Whatever it did, time goes on, and the association ends properly or lives.
        let late = peer.run(secs(600));
        assert!(late.len() < 500, "{} packets", late.len());
        let ends = peer.log.iter().filter(|event| {
            matches!(
                event,
                Event::ConnectFailed { .. } | Event::CommunicationLost { .. } | Event::ShutdownComplete
            )
        });
        assert!(ends.count() <= 1 + peer.log.len() / 2);
    }
}

#[test]
fn random_bytes_with_a_right_checksum_do_no_harm() {
    let mut random = Random::from_number(2);
    for n in 0..100 {
        let mut peer = situation(n);
        for _ in 0..100 {
            let mut packet: Vec<u8> = (0..12 + random.below(300)).map(|_| random.u32() as u8).collect();
            if random.chance(0.8) {
                let header = peer.packet(peer.z_tag, |_| {});
                packet[..12].copy_from_slice(&header);
            }
            finish_packet(&mut packet, 0);
            peer.send_bytes(packet);
            let answers = peer.run(ms(1));
            assert!(answers.len() <= 8, "{answers:?}");
        }
    }
}

#[test]
fn packets_cut_off_anywhere_do_no_harm() {
    for n in 0..8 {
        let mut random = Random::from_number(n);
        let mut peer = situation(n);
        let packet = peer.packet(peer.z_tag, |buf| {
            for _ in 0..6 {
                write_any(&peer, &mut random, buf);
            }
        });
        for len in 0..packet.len() {
            let mut cut = packet[..len].to_vec();
            if len >= 12 {
                finish_packet(&mut cut, 0);
            }
            peer.send_bytes(cut);
            peer.answers();
        }
    }
}

fn window(bytes: u32) -> Peer {
    let mut association = common::without_discovery();
    association.set_receive_buffer(bytes).unwrap();
    let mut peer = Peer::with(PeerSetup {
        association,
        ..PeerSetup::default()
    });
    peer.establish();
    peer
}

/// How many TSNs Z has acknowledged beyond the cumulative one, as its last SACK says.
fn held(answers: &[Answer]) -> u64 {
    let sack = answers.iter().rev().find_map(|answer| answer.find(ChunkType::SACK));
    sack.map_or(0, |sack| {
        sack.sack()
            .gaps
            .map(|(start, end)| u64::from(end) - u64::from(start) + 1)
            .sum()
    })
}

#[test]
fn rfc9260_6_2_data_beyond_a_gap_is_held_up_to_the_window() {
    let mut peer = window(50_000);
    let mut random = Random::from_number(3);
    let mut most = 0;
    for _ in 0..2000 {
        let ahead = 1 + small(&mut random, 5000);
        peer.send_data(&Peer::header(peer.tsn.plus(ahead), 0, ahead as u16), &[0; 1000]);
        most = most.max(held(&peer.answers()));
    }
    // One chunk may exceed the window.
    assert!((40..=51).contains(&most), "{most}");
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
}

#[test]
fn rfc9260_6_9_fragments_without_an_end_are_held_up_to_the_window() {
    let mut peer = window(50_000);
    let mut taken = 0;
    for n in 0..2000u32 {
        let header = DataHeader {
            beginning: n == 0,
            ending: false,
            ..Peer::header(peer.tsn.plus(n), 0, 0)
        };
        peer.send_data(&header, &[0; 1000]);
        peer.answers();
        let status = peer.status();
        assert!(status.is_some_and(|status| status.pending_messages < 100));
        if n % 10 == 0 {
            taken += peer.z_hears().iter().map(|piece| piece.payload.len()).sum::<usize>();
        }
    }
    // The user got it in pieces, as partial delivery promises.
    assert!(taken > 1_000_000, "{taken}");
}

#[test]
fn rfc9260_6_6_messages_that_wait_for_earlier_ones_are_held_up_to_the_window() {
    let mut peer = window(50_000);
    let mut accepted = 0;
    for n in 0..500u32 {
        let tsn = peer.tsn.plus(n);
        // SSN 0 never comes.
        peer.send_data(&Peer::header(tsn, (n % 10) as u16, 1 + (n / 10) as u16), &[0; 1000]);
        for answer in peer.answers() {
            if let Some(sack) = answer.find(ChunkType::SACK) {
                accepted = sack.sack().cumulative_tsn_ack.steps_from(peer.tsn.minus(1));
            }
        }
    }
    assert!((40..=51).contains(&accepted), "{accepted}");
    assert!(peer.z_hears().is_empty());
}

#[test]
fn a_sack_with_many_gaps_fits_a_packet() {
    let mut peer = window(1_000_000);
    let mut largest = 0;
    for n in 0..3000 {
        let ahead = 1 + 2 * n;
        peer.send_data(&Peer::header(peer.tsn.plus(ahead), 0, ahead as u16), b"x");
        largest = largest.max(peer.answers().iter().map(|answer| answer.size).max().unwrap_or(0));
    }
    assert!(largest <= 1280, "{largest}");
    assert!(largest > 1000, "{largest}: it lists as many as fit (§6.2)");
}

#[test]
fn rfc9260_3_3_4_gap_blocks_that_make_no_sense_are_survived() {
    let mut peer = Peer::new();
    peer.establish();
    for _ in 0..8 {
        peer.z_says(&[0; 1000]);
    }
    peer.answers();
    let blocks: [&[(u16, u16)]; 7] = [
        &[(0, 0)],
        &[(1, 1)],
        &[(5, 2)],
        &[(2, 65_535)],
        &[(65_535, 65_535), (2, 3)],
        &[(4, 4), (2, 2), (3, 3)],
        &[(2, 4), (3, 4), (2, 4)],
    ];
    for gaps in blocks {
        peer.send_sack(u32::MAX, 100_000, gaps);
        peer.run(ms(1));
    }
    let many: Vec<(u16, u16)> = (0..300).map(|n| (2 + 2 * n, 2 + 2 * n)).collect();
    peer.send_sack(u32::MAX, 100_000, &many);
    peer.run(ms(1));
    if peer.phase() == Some(AssociationPhase::Established) {
        for _ in 0..20 {
            peer.run(secs(1));
            peer.send_sack(3, 100_000, &[]);
        }
    }
}

#[test]
fn rfc9260_5_1_2_the_number_of_addresses_of_a_peer_is_bounded() {
    let mut peer = Peer::new();
    peer.establish_with(|w| {
        for n in 0..170u32 {
            let address = std::net::Ipv4Addr::from_bits(0x0a64_0000 + n);
            Param::Ipv4Address(address).write(w);
        }
    });
    let paths = peer.status().unwrap().paths.len();
    assert!((2..=64).contains(&paths), "{paths}");
    // All of them are probed, but not all at once.
    let probes = peer.answers().len();
    assert!(probes <= 4, "{probes}");
}

#[test]
fn inits_for_an_association_that_exists_change_nothing_however_many() {
    let mut peer = Peer::new();
    peer.establish();
    let (tag, z_tag) = (peer.tag, peer.z_tag);
    for n in 0..3000 {
        peer.fixed.initiate_tag = VerificationTag(0x5000_0000 + n);
        peer.send_init();
        let answers = peer.run(ms(1));
        assert!(answers.len() <= 1);
    }
    (peer.tag, peer.z_tag) = (tag, z_tag);
    peer.say(b"as before");
    assert_eq!(peer.answer().tag(), tag);
}

#[test]
fn unknown_chunks_are_reported_once_each_at_most() {
    let mut peer = Peer::new();
    peer.establish();
    let mut errors = 0;
    for _ in 0..200 {
        peer.send(|buf| {
            for _ in 0..200 {
                buf.extend([0xff, 0, 0, 4]);
            }
        });
        let answers = peer.run(ms(1));
        // Two hundred chunks of four bytes must not make two hundred packets.
        assert!(answers.len() <= 8, "{}", answers.len());
        errors += answers.len();
    }
    assert!(errors > 0);
}
