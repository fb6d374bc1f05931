//! INIT and INIT ACK chunks of any kind: parameters, values that are ruled out, refusals (RFC 9260 §3.2.1, §3.2.2,
//! §3.3.2, §3.3.3, §5.1, §5.2.3).

mod common;

use std::net::IpAddr;

use common::{A, Answer, B, Peer, PeerSetup, Setup, secs};
use sctp::config::EndpointConfig;
use sctp::error::{FailureReason, Violation};
use sctp::serial::VerificationTag;
use sctp::tlv::Writer;
use sctp::wire::{
    Cause, CauseCode, ChunkType, InitFixed, Param, ParamType, write_cookie_ack, write_cookie_echo, write_init,
};
use sctp::{AssociationPhase, Event};

/// Checks that an answer is an ABORT with this tag and T bit and nothing else; its cause codes.
#[track_caller]
fn abort_causes(answer: &Answer, tag: VerificationTag, reflected: bool) -> Vec<u16> {
    assert_eq!(answer.kinds(), [ChunkType::ABORT]);
    assert_eq!((answer.tag(), answer.chunks[0].flags & 1), (tag, u8::from(reflected)));
    answer.chunks[0].cause_codes()
}

#[test]
fn rfc9260_3_3_2_an_init_with_a_zero_initiate_tag_is_discarded() {
    let mut peer = Peer::new();
    peer.fixed.initiate_tag = VerificationTag::ZERO;
    peer.send_init();
    peer.expect_silence();
}

#[test]
fn rfc9260_3_3_2_an_init_with_values_that_are_ruled_out_is_answered_by_an_abort() {
    let bad: [fn(&mut InitFixed); 3] = [
        |init| init.outbound_streams = 0,
        |init| init.inbound_streams = 0,
        |init| init.a_rwnd = 1499,
    ];
    for make_bad in bad {
        let mut peer = Peer::new();
        make_bad(&mut peer.fixed);
        peer.send_init();
        let answer = peer.answer();
        abort_causes(&answer, peer.tag, false);
    }
    let mut peer = Peer::new();
    peer.fixed.a_rwnd = 1500;
    peer.establish();
}

#[test]
fn rfc9260_5_1_2_a_host_name_address_is_answered_by_an_abort() {
    let mut peer = Peer::new();
    peer.send_init_with(|w| Param::HostName(b"example.org\0").write(w));
    let answer = peer.answer();
    let causes = abort_causes(&answer, peer.tag, false);
    assert!(causes.is_empty() || causes == [CauseCode::UNRESOLVABLE_ADDRESS.0]);

    let mut peer = Peer::new();
    peer.connect();
    let init = peer.answer();
    peer.learn(&init);
    peer.send_init_ack(b"cookie", |w| Param::HostName(b"example.org\0").write(w));
    let answer = peer.answer();
    abort_causes(&answer, peer.tag, false);
}

#[test]
fn rfc9260_5_1_2_without_address_parameters_the_source_is_the_only_address() {
    let mut peer = Peer::with(PeerSetup {
        links: 2,
        ..PeerSetup::default()
    });
    peer.establish();
    let paths: Vec<IpAddr> = peer.status().unwrap().paths.iter().map(|path| path.address).collect();
    assert_eq!(paths, [peer.address(0)]);
}

#[test]
fn rfc9260_5_1_2_the_source_counts_beside_the_address_parameters() {
    let mut peer = Peer::with(PeerSetup {
        links: 2,
        ..PeerSetup::default()
    });
    let second = peer.address(1);
    peer.establish_with(|w| {
        Param::address(second).write(w);
        // Addresses that no peer can have are no reason to refuse it.
        Param::address("224.0.0.1".parse().unwrap()).write(w);
        Param::address("fd00::1".parse().unwrap()).write(w);
    });
    let paths: Vec<IpAddr> = peer.status().unwrap().paths.iter().map(|path| path.address).collect();
    assert!(paths.contains(&peer.address(0)) && paths.contains(&second), "{paths:?}");
    assert!(!paths.iter().any(IpAddr::is_multicast), "{paths:?}");
}

/// An unknown parameter of this type with five bytes of value.
fn unknown(kind: u16) -> impl Fn(&mut Writer<'_>) {
    move |w| w.tlv(kind, |w| w.bytes(b"hello"))
}

/// The same as bytes, without padding.
fn unknown_bytes(kind: u16) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &9u16.to_be_bytes(), b"hello"].concat()
}

#[test]
fn rfc9260_3_2_1_the_top_bits_of_an_unknown_parameter_in_an_init_say_what_to_do() {
    for (kind, goes_on, reported) in [
        (0x0777, false, false),
        (0x4777, false, true),
        (0x8777, true, false),
        (0xc777, true, true),
    ] {
        let mut peer = Peer::with(PeerSetup {
            links: 2,
            ..PeerSetup::default()
        });
        let second = peer.address(1);
        peer.send_init_with(|w| {
            unknown(kind)(w);
            Param::address(second).write(w);
        });
        // §3.2.1: in all four cases, an INIT ACK follows.
        let answer = peer.answer();
        assert_eq!(answer.kinds(), [ChunkType::INIT_ACK], "{kind:x}");
        let init_ack = answer.chunks[0].init();
        let reports: Vec<Vec<u8>> = (init_ack.params)
            .filter_map(|param| match param.unwrap() {
                Param::UnrecognizedParameter(bytes) => Some(bytes.to_vec()),
                _ => None,
            })
            .collect();
        let expected: Vec<Vec<u8>> = reported.then(|| unknown_bytes(kind)).into_iter().collect();
        assert_eq!(reports, expected, "{kind:x}");
        let cookie = peer.learn(&answer);
        peer.send(|buf| write_cookie_echo(buf, &cookie));
        peer.answers();
        let paths = peer.status().unwrap().paths;
        assert_eq!(paths.iter().any(|path| path.address == second), goes_on, "{kind:x}");
    }
}

#[test]
fn rfc9260_3_2_2_unknown_parameters_of_an_init_ack_are_reported_behind_the_cookie_echo() {
    for (kind, reported) in [(0x0777, false), (0x4777, true), (0x8777, false), (0xc777, true)] {
        let mut peer = Peer::new();
        peer.connect();
        let init = peer.answer();
        peer.learn(&init);
        peer.send_init_ack(b"cookie", unknown(kind));
        let echo = peer.answer();
        assert_eq!(echo.kinds()[0], ChunkType::COOKIE_ECHO, "{kind:x}");
        assert_eq!(echo.chunks[0].value, b"cookie");
        let Some(error) = echo.find(ChunkType::ERROR) else {
            assert!(!reported, "{kind:x}");
            continue;
        };
        assert!(reported, "{kind:x}");
        let Cause::UnrecognizedParameters(quoted) = error.causes().next().unwrap().unwrap() else {
            panic!("{error:?}");
        };
        assert!(quoted.starts_with(&unknown_bytes(kind)), "{quoted:x?}");
    }
}

#[test]
fn rfc9260_3_2_1_parameters_cut_off_or_too_short_never_set_an_association_up_wrongly() {
    // An address parameter of five bytes, one whose length reaches beyond the chunk, one shorter than its header.
    for broken in [&[0, 5, 0, 5, 1, 0, 0, 0][..], &[0, 5, 0, 99, 1, 2, 3, 4], &[0, 5, 0, 3]] {
        let mut peer = Peer::new();
        peer.send_init_with(|w| w.bytes(broken));
        for answer in peer.answers() {
            assert_eq!(answer.tag(), peer.tag);
            assert!(
                answer.has(ChunkType::ABORT) || answer.has(ChunkType::INIT_ACK),
                "{answer:?}"
            );
        }
        assert!(peer.log.is_empty());
    }
}

#[test]
fn rfc9260_3_3_3_an_init_ack_without_cookie_is_answered_by_an_abort_that_says_so() {
    let mut peer = Peer::new();
    peer.connect();
    let init = peer.answer();
    peer.learn(&init);
    peer.send_init_ack(b"", |_| {});
    let answer = peer.answer();
    assert_eq!(
        abort_causes(&answer, peer.tag, false),
        [CauseCode::MISSING_MANDATORY_PARAMETER.0]
    );
    let cause = answer.chunks[0].causes().next().unwrap().unwrap();
    let Cause::MissingMandatoryParameter(types) = cause else {
        panic!("{cause:?}")
    };
    let types: Vec<u16> = types.collect();
    assert_eq!(types, [ParamType::STATE_COOKIE.0]);
    let reason = FailureReason::PeerMisbehaved(Violation::MissingCookie);
    assert_eq!(peer.log, [Event::ConnectFailed { reason }]);
}

#[test]
fn rfc9260_3_3_3_an_init_ack_with_values_that_are_ruled_out_ends_the_set_up() {
    type Case = (fn(&mut InitFixed), Violation);
    let bad: [Case; 3] = [
        (
            |init| init.initiate_tag = VerificationTag::ZERO,
            Violation::ZeroInitiateTag,
        ),
        (|init| init.outbound_streams = 0, Violation::NoStreams),
        (|init| init.inbound_streams = 0, Violation::NoStreams),
    ];
    for (make_bad, violation) in bad {
        let mut peer = Peer::new();
        peer.connect();
        let init = peer.answer();
        peer.learn(&init);
        make_bad(&mut peer.fixed);
        peer.send_init_ack(b"cookie", |_| {});
        let answer = peer.answer();
        assert_eq!(answer.kinds(), [ChunkType::ABORT], "{violation}");
        if violation == Violation::ZeroInitiateTag {
            // With no tag of the peer to use, the T bit says that the tag is reflected.
            assert_eq!((answer.tag(), answer.chunks[0].flags & 1), (peer.z_tag, 1));
        } else {
            assert_eq!((answer.tag(), answer.chunks[0].flags & 1), (peer.tag, 0));
        }
        let reason = FailureReason::PeerMisbehaved(violation);
        assert_eq!(peer.log, [Event::ConnectFailed { reason }]);
    }
}

#[test]
fn rfc9260_3_3_3_an_init_ack_with_too_small_a_window_is_refused_and_the_set_up_goes_on() {
    let mut peer = Peer::new();
    peer.connect();
    let init = peer.answer();
    peer.learn(&init);
    let good = peer.fixed;
    peer.fixed.a_rwnd = 1499;
    for _ in 0..3 {
        peer.send_init_ack(b"cookie", |_| {});
        let answer = peer.answer();
        assert_eq!(
            abort_causes(&answer, peer.tag, false),
            [CauseCode::INVALID_MANDATORY_PARAMETER.0]
        );
    }
    assert_eq!(peer.phase(), Some(AssociationPhase::CookieWait));
    assert!(peer.log.is_empty());
    peer.fixed = good;
    peer.send_init_ack(b"cookie", |_| {});
    assert!(peer.answer().has(ChunkType::COOKIE_ECHO));
}

#[test]
fn rfc9260_8_5_1_an_init_beside_other_chunks_is_discarded() {
    let mut peer = Peer::new();
    let fixed = peer.fixed;
    peer.send_tagged(VerificationTag::ZERO, |buf| {
        write_init(buf, ChunkType::INIT, &fixed, |_| {});
        write_cookie_ack(buf);
    });
    peer.expect_silence();
}

#[test]
fn rfc9260_5_2_3_an_unexpected_init_ack_is_discarded() {
    let mut peer = Peer::new();
    peer.establish_from_z();
    let tag = peer.tag;
    peer.fixed.initiate_tag = VerificationTag(0x7777);
    peer.send_init_ack(b"another cookie", |_| {});
    peer.expect_silence();
    peer.say(b"still there");
    let answer = peer.run(secs(1)).remove(0);
    assert_eq!((answer.kinds(), answer.tag()), (vec![ChunkType::SACK], tag));
}

#[test]
fn rfc9260_5_1_an_end_point_that_does_not_listen_refuses() {
    let mut peer = Peer::with(PeerSetup {
        listens: false,
        ..PeerSetup::default()
    });
    peer.send_init();
    let answer = peer.answer();
    abort_causes(&answer, peer.tag, false);
    assert!(peer.log.is_empty());
}

#[test]
fn rfc9260_5_1_a_full_backlog_refuses() {
    let mut pair = Setup::single().backlog(1).build();
    let mut other = Vec::new();
    for port in [6000, 6001] {
        let stack = pair.world.stack(pair.hosts[A]);
        let config = EndpointConfig {
            port: Some(port),
            ..EndpointConfig::default()
        };
        other.push(stack.bind(config).unwrap());
    }
    // Nobody accepts at B, so the first one fills its backlog.
    let peer = pair.addresses(B);
    for endpoint in other {
        let now = pair.now();
        let stack = pair.world.stack(pair.hosts[A]);
        stack
            .connect(now, endpoint, &peer, 5001, sctp::ConnectOptions::default())
            .unwrap();
        pair.world.run_for(secs(2));
    }
    let events: Vec<Event> = pair
        .world
        .events(pair.hosts[A])
        .into_iter()
        .map(|(_, _, event)| event)
        .collect();
    let ups = events
        .iter()
        .filter(|event| matches!(event, Event::CommunicationUp { .. }))
        .count();
    let refused = (events.iter()).filter(|event| {
        matches!(
            event,
            Event::ConnectFailed {
                reason: FailureReason::PeerAbort { .. }
            } | Event::CommunicationLost {
                reason: FailureReason::PeerAbort { .. }
            }
        )
    });
    assert_eq!((ups, refused.count()), (1, 1), "{events:?}");
    assert_eq!(pair.world.peek(pair.hosts[B]).stats().refused, 1);
}

#[test]
fn rfc9260_5_3_1_tags_are_random_and_never_zero() {
    let mut peer = Peer::new();
    let mut tags = std::collections::BTreeSet::new();
    for n in 0..200 {
        peer.fixed.initiate_tag = VerificationTag(0x1000 + n);
        peer.fetch_cookie();
        assert_ne!(peer.z_tag, VerificationTag::ZERO);
        tags.insert(peer.z_tag.0);
    }
    assert_eq!(tags.len(), 200);
    let high = tags.iter().filter(|tag| **tag >= 1 << 31).count();
    assert!((60..140).contains(&high), "{high}");
}
