//! State Cookies: no state before them, their authentication, their age (RFC 9260 §5.1.3, §5.1.5, §5.2.5, §5.2.6).

mod common;

use std::net::IpAddr;

use bytes::Bytes;
use common::{Peer, ms, secs};
use sctp::config::{EndpointConfig, StackConfig};
use sctp::error::FailureReason;
use sctp::serial::{Tsn, VerificationTag};
use sctp::tlv::Tlv;
use sctp::wire::{
    Cause, ChunkType, CommonHeader, InitFixed, Param, ParamType, begin_packet, finish_packet, write_abort,
    write_cookie_ack, write_cookie_echo, write_data, write_error, write_init,
};
use sctp::{AssociationPhase, ChecksumState, EcnCodepoint, Event, Instant, PathState, RxMeta, Stack};

#[test]
fn rfc9260_5_1_5_a_cookie_that_was_tampered_with_is_discarded() {
    let mut peer = Peer::new();
    let cookie = peer.fetch_cookie();
    for at in 0..cookie.len() {
        let mut forged = cookie.clone();
        forged[at] ^= 1 << (at % 8);
        peer.send(|buf| write_cookie_echo(buf, &forged));
        peer.expect_silence();
    }
    for len in [0, 1, cookie.len() / 2, cookie.len() - 1] {
        peer.send(|buf| write_cookie_echo(buf, &cookie[..len]));
        peer.expect_silence();
    }
    let stats = peer.world.peek(peer.z).stats();
    assert!(stats.bad_cookies >= cookie.len() as u64, "{stats:?}");
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    assert!(peer.answer().has(ChunkType::COOKIE_ACK));
}

#[test]
fn rfc9260_5_1_5_a_cookie_with_the_wrong_tag_port_or_source_is_discarded() {
    let mut peer = Peer::new();
    let cookie = peer.fetch_cookie();
    let tag = peer.z_tag;
    peer.send_tagged(VerificationTag(tag.0 ^ 1), |buf| write_cookie_echo(buf, &cookie));
    peer.expect_silence();
    let mut packet = Vec::new();
    let header = CommonHeader {
        source_port: 7001,
        destination_port: 5001,
        verification_tag: tag,
    };
    let start = begin_packet(&mut packet, &header);
    write_cookie_echo(&mut packet, &cookie);
    finish_packet(&mut packet, start);
    peer.send_bytes(packet);
    peer.expect_silence();
    assert!(peer.log.is_empty());
}

#[test]
fn rfc9260_5_1_5_a_stale_cookie_is_reported_and_makes_no_association() {
    let mut peer = Peer::new();
    let cookie = peer.fetch_cookie();
    // Valid.Cookie.Life is 60 s; this one is 3 s late.
    peer.run(secs(63));
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    let answer = peer.answer();
    assert_eq!(answer.tag(), peer.tag);
    assert_eq!(answer.kinds(), [ChunkType::ERROR]);
    let Cause::StaleCookie(staleness) = answer.chunks[0].causes().next().unwrap().unwrap() else {
        panic!("{answer:?}");
    };
    // §3.3.10.3: by how many microseconds it is too late.
    assert!((2_900_000..3_200_000).contains(&staleness), "{staleness}");
    assert!(peer.log.is_empty());
    assert_eq!(peer.world.peek(peer.z).stats().stale_cookies, 1);
}

#[test]
fn rfc9260_5_1_5_a_cookie_opens_one_association_and_no_other_after_it() {
    let mut peer = Peer::new();
    let cookie = peer.fetch_cookie();
    let opened = |peer: &Peer| peer.world.peek(peer.z).stats().passive_establishments;
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    assert!(peer.answer().has(ChunkType::COOKIE_ACK));
    // While the association is there, it is the same one.
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    assert!(peer.answer().has(ChunkType::COOKIE_ACK));
    peer.send(|buf| write_abort(buf, false, |_| {}));
    peer.answers();
    assert_eq!(opened(&peer), 1);
    let events = peer.log.len();
    for _ in 0..3 {
        peer.send(|buf| write_cookie_echo(buf, &cookie));
        let answer = peer.answer();
        assert_eq!((answer.kinds(), answer.tag()), (vec![ChunkType::ABORT], peer.tag));
    }
    assert_eq!((opened(&peer), peer.log.len()), (1, events));
    // The peer itself is welcome.
    peer.establish();
    assert_eq!(opened(&peer), 2);
}

#[test]
fn rfc9260_5_1_5_a_cookie_of_before_a_restart_opens_nothing_either() {
    let mut peer = Peer::new();
    let first = peer.fetch_cookie();
    let first_tag = peer.z_tag;
    peer.send(|buf| write_cookie_echo(buf, &first));
    assert!(peer.answer().has(ChunkType::COOKIE_ACK));
    // The peer lost its state.
    peer.fixed.initiate_tag = VerificationTag(peer.tag.0 + 1);
    peer.tag = peer.fixed.initiate_tag;
    let second = peer.fetch_cookie();
    let second_tag = peer.z_tag;
    peer.send(|buf| write_cookie_echo(buf, &second));
    assert!(peer.answer().has(ChunkType::COOKIE_ACK));
    peer.send(|buf| write_abort(buf, false, |_| {}));
    peer.answers();
    for (tag, cookie) in [(first_tag, first), (second_tag, second)] {
        peer.send_tagged(tag, |buf| write_cookie_echo(buf, &cookie));
        assert_eq!(peer.answer().kinds(), [ChunkType::ABORT]);
    }
    assert_eq!(peer.world.peek(peer.z).stats().passive_establishments, 1);
}

#[test]
fn rfc9260_5_2_6_a_stale_cookie_error_starts_the_set_up_again_but_not_for_ever() {
    let mut peer = Peer::new();
    peer.connect();
    let mut init = peer.answer();
    let mut rounds = 0;
    loop {
        assert_eq!(init.kinds(), [ChunkType::INIT]);
        // §5.2.6 alternative 3: an extension of at most one second beyond the measured round-trip time.
        for param in init.chunks[0].init().params {
            if let Param::CookiePreservative(extension) = param.unwrap() {
                assert!(extension <= 1010, "{extension}");
            }
        }
        peer.learn(&init);
        peer.send_init_ack(b"cookie", |_| {});
        assert_eq!(peer.answer().kinds()[0], ChunkType::COOKIE_ECHO);
        peer.send(|buf| write_error(buf, |w| Cause::StaleCookie(1_000_000).write(w)));
        rounds += 1;
        assert!(rounds < 100, "no end of it");
        match peer.answers().pop() {
            Some(next) => init = next,
            None => break,
        }
    }
    assert!(rounds >= 2, "the set-up was not tried again");
    let reason = FailureReason::StaleCookie;
    assert_eq!(peer.log, [Event::ConnectFailed { reason }]);
}

#[test]
fn rfc9260_5_2_6_a_stale_cookie_error_out_of_time_is_discarded() {
    let mut peer = Peer::new();
    peer.establish_from_z();
    peer.send(|buf| write_error(buf, |w| Cause::StaleCookie(1_000_000).write(w)));
    peer.expect_silence();
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
}

#[test]
fn rfc9260_5_2_5_a_cookie_ack_out_of_time_is_discarded() {
    let mut peer = Peer::new();
    peer.connect();
    let init = peer.answer();
    peer.learn(&init);
    peer.send(write_cookie_ack);
    peer.expect_silence();
    assert_eq!(peer.phase(), Some(AssociationPhase::CookieWait));
    peer.send_init_ack(b"cookie", |_| {});
    peer.answer();
    for _ in 0..2 {
        peer.send(write_cookie_ack);
        peer.answers();
        assert_eq!(peer.phase(), Some(AssociationPhase::Established));
    }
    assert_eq!(
        peer.log
            .iter()
            .filter(|event| matches!(event, Event::CommunicationUp { .. }))
            .count(),
        1
    );
}

#[test]
fn rfc9260_5_1_5_data_beside_the_cookie_is_acknowledged_at_once_behind_the_cookie_ack() {
    let mut peer = Peer::new();
    let cookie = peer.fetch_cookie();
    let header = Peer::header(peer.tsn, 0, 0);
    peer.send(|buf| {
        write_cookie_echo(buf, &cookie);
        write_data(buf, &header, b"with the cookie");
    });
    let answers = peer.answers();
    assert_eq!(answers[0].kinds()[0], ChunkType::COOKIE_ACK);
    let sack = answers.iter().find_map(|answer| answer.find(ChunkType::SACK)).unwrap();
    assert_eq!(sack.sack().cumulative_tsn_ack, peer.tsn);
    assert_eq!(peer.z_hears_payloads(), [&b"with the cookie"[..]]);
}

#[test]
fn rfc9260_5_1_the_first_data_is_acknowledged_at_once() {
    let mut peer = Peer::new();
    peer.establish();
    peer.say(b"first");
    assert_eq!(peer.answer().get(ChunkType::SACK).sack().cumulative_tsn_ack, Tsn(1000));
    peer.say(b"second");
    peer.expect_silence();
    assert_eq!(
        peer.run(ms(200))[0].get(ChunkType::SACK).sack().cumulative_tsn_ack,
        Tsn(1001)
    );
}

#[test]
fn rfc9260_5_1_nothing_is_kept_for_an_init_until_its_cookie_comes_back() {
    let [local, remote]: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "198.51.100.7".parse().unwrap()];
    let mut config = StackConfig::new(vec![local], None);
    config.set_max_associations(1);
    let mut stack = Stack::new(config, [3; 32]);
    let endpoint = stack
        .bind(EndpointConfig {
            port: Some(5001),
            ..EndpointConfig::default()
        })
        .unwrap();
    stack.listen(endpoint, 1);
    let meta = RxMeta {
        src: remote,
        dst: local,
        encap: None,
        ecn: EcnCodepoint::NotEct,
        checksum: ChecksumState::Unverified,
        buffer_len: 100,
    };
    let now = Instant::ZERO;
    let (mut buf, mut packet) = (Vec::new(), Vec::new());
    let mut last_size = 0;
    for n in 0..100_000u32 {
        packet.clear();
        let header = CommonHeader {
            source_port: 1 + (n % 60_000) as u16,
            destination_port: 5001,
            verification_tag: VerificationTag::ZERO,
        };
        let fixed = InitFixed {
            initiate_tag: VerificationTag(n + 1),
            a_rwnd: 50_000,
            outbound_streams: 1,
            inbound_streams: 1,
            initial_tsn: Tsn(n),
        };
        let start = begin_packet(&mut packet, &header);
        write_init(&mut packet, ChunkType::INIT, &fixed, |_| {});
        finish_packet(&mut packet, start);
        stack.handle_datagram(now, &meta, Bytes::copy_from_slice(&packet));
        let transmit = stack.poll_transmit(now, 1, &mut buf).expect("an INIT ACK");
        assert!(stack.poll_transmit(now, 1, &mut Vec::new()).is_none());
        assert!(last_size == 0 || last_size == transmit.size, "answers grow");
        last_size = transmit.size;
    }
    assert_eq!(stack.stats().inits_answered, 100_000);
    assert_eq!(stack.poll_timeout(), None);
    assert!(stack.poll_event().is_none());
    assert_eq!(stack.find(endpoint, remote, 1), None);
    // The limit of one association was not touched: there is room for a real one.
    let answer = sctp::wire::Packet::parse(&buf, sctp::wire::ChecksumRule::Verify).unwrap();
    let init_ack = sctp::wire::Init::parse(answer.first_chunk().unwrap().value).unwrap();
    let tag = init_ack.fixed.initiate_tag;
    let is_cookie = |tlv: &Tlv<'_>| tlv.kind == ParamType::STATE_COOKIE.0;
    let cookie = init_ack.params.tlvs().flatten().find(is_cookie).unwrap().value.to_vec();
    packet.clear();
    let header = CommonHeader {
        source_port: 1 + (99_999 % 60_000) as u16,
        destination_port: 5001,
        verification_tag: tag,
    };
    let start = begin_packet(&mut packet, &header);
    write_cookie_echo(&mut packet, &cookie);
    finish_packet(&mut packet, start);
    stack.handle_datagram(now, &meta, packet.into());
    let (_, assoc, event) = stack.poll_event().expect("an event");
    assert!(matches!(event, Event::CommunicationUp { .. }), "{event:?}");
    assert_eq!(stack.status(assoc).unwrap().paths[0].state, PathState::Active);
}
