//! Association set-up between two stacks (RFC 9260 §5.1).

mod common;

use std::net::IpAddr;

use bytes::Bytes;
use common::{A, Answer, B, Pair, Setup, lose, ms, parse, secs};
use sctp::error::FailureReason;
use sctp::serial::{StreamId, VerificationTag};
use sctp::sim::Verdict;
use sctp::wire::ChunkType;
use sctp::{AssociationPhase, Event, Instant};

/// All packets on the first link, in the order they were sent.
fn wire_log(pair: &Pair) -> Vec<Answer> {
    let captured = pair.world.captured(pair.links[0]);
    captured
        .iter()
        .map(|captured| parse(captured.at, &captured.packet))
        .collect()
}

/// The packets of a log whose first chunk is of this type.
fn starting_with(log: &[Answer], kind: ChunkType) -> Vec<&Answer> {
    log.iter().filter(|packet| packet.kinds()[0] == kind).collect()
}

#[test]
fn rfc9260_5_1_four_packets_set_an_association_up() {
    let mut pair = Setup::single().build();
    pair.world.capture(pair.links[0]);
    pair.connect();
    let log = wire_log(&pair);
    let first: Vec<ChunkType> = log.iter().take(4).map(|packet| packet.kinds()[0]).collect();
    assert_eq!(
        first,
        [
            ChunkType::INIT,
            ChunkType::INIT_ACK,
            ChunkType::COOKIE_ECHO,
            ChunkType::COOKIE_ACK
        ]
    );
    let init = log[0].chunks[0].init().fixed;
    let init_ack = log[1].chunks[0].init().fixed;
    assert_eq!(log[0].tag(), VerificationTag::ZERO);
    assert_eq!(log[1].tag(), init.initiate_tag);
    assert_eq!(log[2].tag(), init_ack.initiate_tag);
    assert_eq!(log[3].tag(), init.initiate_tag);
    // §5.1: the INIT ACK goes where the INIT came from.
    assert_eq!((log[1].src, log[1].dst), (log[0].dst, log[0].src));
    for side in [A, B] {
        let ups = |event: &Event| matches!(event, Event::CommunicationUp { initiated_here, .. } if *initiated_here == (side == A));
        assert!(pair.reported(side, ups), "{:?}", pair.log[side]);
    }
}

#[test]
fn rfc9260_5_1_a_lost_packet_of_the_set_up_is_repeated_after_rto_initial() {
    for kind in [
        ChunkType::INIT,
        ChunkType::INIT_ACK,
        ChunkType::COOKIE_ECHO,
        ChunkType::COOKIE_ACK,
    ] {
        let mut pair = Setup::single().build();
        pair.world.set_filter(pair.links[0], lose(kind, 1));
        pair.start(A);
        pair.say(A, 0, b"queued before");
        pair.must("A and B are up", secs(5), Pair::both_up);
        let up = pair.now();
        assert!(
            up >= Instant::ZERO + secs(1) && up <= Instant::ZERO + ms(1100),
            "{kind}: up at {up:?}"
        );
        let mut heard = Vec::new();
        pair.must("the message is there", secs(5), |pair| {
            heard.extend(pair.hear_payloads(B));
            !heard.is_empty()
        });
        assert_eq!(heard, [&b"queued before"[..]], "{kind}");
        let ups = |side: usize| {
            let log = pair.log[side].iter();
            log.filter(|(_, event)| matches!(event, Event::CommunicationUp { .. }))
                .count()
        };
        assert_eq!([ups(A), ups(B)], [1, 1], "{kind}");
    }
}

/// The times, in seconds, at which something sent at zero and repeated eight times by a timer that starts at 1 s and
/// doubles up to 60 s is sent; the last entry is when the timer expires for the ninth time.
const BACKOFF: [u64; 10] = [0, 1, 3, 7, 15, 31, 63, 123, 183, 243];

#[test]
fn rfc9260_5_1_6_an_init_without_answer_is_repeated_max_init_retransmits_times() {
    let mut pair = Setup::single().build();
    pair.world.capture(pair.links[0]);
    pair.world.set_filter(pair.links[0], |_, _| Verdict::Drop);
    pair.start(A);
    pair.must("A gives up", secs(300), |pair| pair.ends(A) == 1);
    let log = wire_log(&pair);
    let times: Vec<u64> = log.iter().map(|packet| packet.at.as_nanos() / 1_000_000_000).collect();
    assert_eq!(times, BACKOFF[..9]);
    assert_eq!(pair.now(), Instant::ZERO + secs(BACKOFF[9]));
    // §5.1.6: the same INIT with the same Initiate Tag.
    assert!(log.iter().all(|packet| packet.chunks == log[0].chunks));
    let failed = |event: &Event| {
        let reason = FailureReason::SetupTimeout;
        *event == Event::ConnectFailed { reason }
    };
    assert!(pair.reported(A, failed), "{:?}", pair.log[A]);
}

#[test]
fn rfc9260_5_1_4_a_cookie_echo_without_answer_is_repeated_max_init_retransmits_times() {
    let mut pair = Setup::single().build();
    pair.world.capture(pair.links[0]);
    pair.world
        .set_filter(pair.links[0], lose(ChunkType::COOKIE_ECHO, usize::MAX));
    pair.start(A);
    pair.must("A gives up", secs(300), |pair| pair.ends(A) == 1);
    let log = wire_log(&pair);
    let echoes = starting_with(&log, ChunkType::COOKIE_ECHO);
    assert_eq!(echoes.len(), 9);
    assert!(echoes.iter().all(|echo| echo.chunks[0] == echoes[0].chunks[0]));
    // §6.3: the timer starts at RTO.Initial, or at what the INIT's answer measured, which RTO.Min raises to the same.
    let times: Vec<u64> = echoes
        .iter()
        .map(|packet| packet.at.as_nanos() / 1_000_000_000)
        .collect();
    assert_eq!(times, BACKOFF[..9]);
    assert_eq!(pair.ends(B), 0);
}

#[test]
fn rfc9260_5_1_the_set_up_tries_all_addresses_of_the_peer() {
    let mut pair = Setup::dual().build();
    // Both addresses are given by the user, but only the second one answers.
    pair.world.set_link_up(pair.links[0], false);
    pair.start(A);
    pair.must("A is up", secs(60), |pair| {
        pair.phase(A) == Some(AssociationPhase::Established)
    });
}

#[test]
fn rfc9260_5_1_a_cookie_echo_is_repeated_to_all_addresses_that_the_user_gave() {
    let mut pair = Setup::dual().build();
    // The first link breaks right after the INIT ACK.
    pair.world.set_filter(pair.links[0], |_, packet| {
        if packet.has(ChunkType::COOKIE_ECHO) {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    });
    pair.start(A);
    pair.must("both are up", secs(10), Pair::both_up);
}

#[test]
fn rfc9260_5_1_nothing_is_sent_between_cookie_echo_and_cookie_ack() {
    let mut pair = Setup::single().build();
    pair.world.capture(pair.links[0]);
    pair.world.set_filter(pair.links[0], lose(ChunkType::COOKIE_ACK, 2));
    pair.start(A);
    for _ in 0..20 {
        pair.say(A, 0, &[7; 1000]);
    }
    pair.must("A is up", secs(30), |pair| {
        pair.phase(A) == Some(AssociationPhase::Established)
    });
    let log = wire_log(&pair);
    let from_a = log.iter().filter(|packet| packet.src == pair.address(A, 0));
    let kinds: Vec<ChunkType> = from_a
        .take_while(|packet| packet.at < pair.now())
        .map(|packet| packet.kinds()[0])
        .collect();
    assert_eq!(
        kinds,
        [
            ChunkType::INIT,
            ChunkType::COOKIE_ECHO,
            ChunkType::COOKIE_ECHO,
            ChunkType::COOKIE_ECHO
        ]
    );
}

#[test]
fn rfc9260_5_1_1_streams_are_the_lesser_of_wish_and_limit() {
    let mut pair = Setup::single()
        .config_of(A, |config| {
            config.set_outbound_streams(20).unwrap();
            config.set_max_inbound_streams(7).unwrap();
        })
        .config_of(B, |config| {
            config.set_outbound_streams(5).unwrap();
            config.set_max_inbound_streams(3).unwrap();
        })
        .build();
    pair.connect();
    let streams = |side| {
        let status = pair.status(side).unwrap();
        (status.outbound_streams, status.inbound_streams)
    };
    assert_eq!((streams(A), streams(B)), ((3, 5), (5, 3)));
    let message = |stream| sctp::OutMessage::new(StreamId(stream), sctp::serial::Ppid(0), Bytes::from_static(b"x"));
    assert!(pair.send(A, message(2)).is_ok());
    assert_eq!(pair.send(A, message(3)), Err(sctp::error::SendError::InvalidStream));
}

#[test]
fn rfc9260_5_1_2_all_addresses_of_both_sides_are_learned() {
    let mut pair = Setup::dual().build();
    let first = [pair.address(B, 0)];
    pair.start_to(A, &first);
    pair.must("both are up", secs(5), Pair::both_up);
    for side in [A, B] {
        let mut paths: Vec<IpAddr> = pair
            .status(side)
            .unwrap()
            .paths
            .iter()
            .map(|path| path.address)
            .collect();
        paths.sort();
        assert_eq!(paths, pair.addresses(1 - side));
        assert!(pair.path(side, 0).primary);
    }
}
