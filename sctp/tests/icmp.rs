//! ICMP (RFC 9260 §10, RFC 6951 §5.5).

mod common;

use std::net::IpAddr;

use common::{A, B, Family, Flow, Pair, Setup, lose, ms, secs, transfer};
use sctp::config::AssociationConfig;
use sctp::error::FailureReason;
use sctp::sim::Packet;
use sctp::wire::ChunkType;
use sctp::{AssociationPhase, Event, IcmpKind, IcmpReport, PathChange, PathState};

use IcmpKind::{PacketTooBig, PortUnreachable, ProtocolUnreachable, Unreachable};

const UDP: (u16, u16) = (9899, 9900);

/// A report on a packet that quotes `len` bytes of it.
fn report(packet: &Packet, kind: IcmpKind, len: usize) -> IcmpReport {
    IcmpReport {
        src: Some(packet.src),
        dst: packet.dst,
        encap: packet.udp_ports(),
        kind,
        quoted: packet.payload.slice(..len.min(packet.payload.len())),
    }
}

fn tell(pair: &mut Pair, report: &IcmpReport) {
    let now = pair.now();
    pair.world.stack(pair.hosts[A]).handle_icmp(now, report);
    pair.collect();
}

fn captured(setup: Setup) -> Pair {
    let mut pair = setup.build();
    for link in pair.links.clone() {
        pair.world.capture(link);
    }
    pair
}

/// The packets that A put on a link.
fn from_a(pair: &Pair, link: usize) -> Vec<Packet> {
    let own = pair.address(A, link);
    let captured = pair.world.captured(pair.links[link]).iter();
    let sent = captured.map(|captured| captured.packet.clone());
    sent.filter(|packet| packet.src == own).collect()
}

fn latest(pair: &Pair, link: usize) -> Packet {
    from_a(pair, link).pop().expect("a packet of A's")
}

/// A has sent an INIT to each of these addresses' first, and it was lost.
fn calling(setup: Setup, links: &[usize]) -> Pair {
    let mut pair = captured(setup);
    for link in pair.links.clone() {
        pair.world.set_link_up(link, false);
    }
    let addresses: Vec<IpAddr> = links.iter().map(|&link| pair.address(B, link)).collect();
    pair.start_to(A, &addresses);
    pair.run(ms(1));
    pair
}

/// Associations that are up and have sent something: without and with UDP, both families.
fn established() -> Vec<Pair> {
    let families = [Family::V4, Family::V6];
    let setups = families.into_iter().flat_map(|family| {
        let plain = || Setup::single().family(family);
        [plain(), plain().encapsulated(UDP.0, UDP.1)]
    });
    let connect = |setup| {
        let mut pair = captured(setup);
        pair.connect();
        transfer(&mut pair, &mut [Flow::new(A, 3)], secs(10));
        pair
    };
    setups.map(connect).collect()
}

fn failed(pair: &Pair) -> bool {
    pair.reported(A, |event| {
        matches!(
            event,
            Event::ConnectFailed {
                reason: FailureReason::ProtocolUnreachable
            }
        )
    })
}

fn lost(pair: &Pair) -> bool {
    pair.reported(A, |event| {
        matches!(
            event,
            Event::CommunicationLost {
                reason: FailureReason::ProtocolUnreachable,
                ..
            }
        )
    })
}

fn counts(pair: &Pair) -> (u64, u64) {
    let stats = pair.world.peek(pair.hosts[A]).stats();
    (stats.icmp_processed, stats.icmp_discarded)
}

#[test]
fn rfc9260_10_icmp3_port_unreachable_means_nothing_to_sctp_on_ip() {
    let mut pair = calling(Setup::single(), &[0]);
    let init = latest(&pair, 0);
    tell(&mut pair, &report(&init, PortUnreachable, 64));
    assert_eq!(pair.phase(A), Some(AssociationPhase::CookieWait));
    for link in pair.links.clone() {
        pair.world.set_link_up(link, true);
    }
    pair.must("both sides are up", secs(60), Pair::both_up);
    let packet = latest(&pair, 0);
    tell(&mut pair, &report(&packet, PortUnreachable, 64));
    assert_eq!(pair.phase(A), Some(AssociationPhase::Established));
    assert_eq!(counts(&pair), (0, 2));
}

#[test]
fn rfc9260_10_icmp5_what_belongs_to_no_association_is_ignored() {
    for mut pair in established() {
        let right = report(&latest(&pair, 0), ProtocolUnreachable, 64);
        let mut ports = right.quoted.to_vec();
        ports[1] ^= 1;
        for wrong in [
            IcmpReport {
                quoted: ports.into(),
                ..right.clone()
            },
            IcmpReport {
                dst: right.src.unwrap(),
                ..right.clone()
            },
            IcmpReport {
                quoted: right.quoted.slice(..7),
                ..right.clone()
            },
        ] {
            tell(&mut pair, &wrong);
            assert_eq!(pair.phase(A), Some(AssociationPhase::Established), "{wrong:?}");
        }
        assert_eq!(counts(&pair), (0, 3));
    }
}

#[test]
fn rfc9260_10_icmp6_a_wrong_tag_ends_nothing() {
    for kind in [ProtocolUnreachable, PortUnreachable, Unreachable] {
        for mut pair in established() {
            let right = report(&latest(&pair, 0), kind, 64);
            for bit in 0..32 {
                let mut bytes = right.quoted.to_vec();
                bytes[4 + bit / 8] ^= 1 << (bit % 8);
                let quoted = bytes.into();
                tell(
                    &mut pair,
                    &IcmpReport {
                        quoted,
                        ..right.clone()
                    },
                );
            }
            let mut zero = right.quoted.to_vec();
            zero[4..8].fill(0);
            let quoted = zero.into();
            tell(
                &mut pair,
                &IcmpReport {
                    quoted,
                    ..right.clone()
                },
            );
            assert_eq!(pair.phase(A), Some(AssociationPhase::Established));
            assert_eq!(pair.path(A, 0).error_count, 0);
            assert_eq!(counts(&pair), (0, 33));
        }
    }
}

#[test]
fn rfc9260_10_icmp6_an_init_needs_its_initiate_tag_in_the_quote() {
    let mut pair = calling(Setup::single(), &[0]);
    let init = latest(&pair, 0);
    for len in 0..20 {
        tell(&mut pair, &report(&init, ProtocolUnreachable, len));
    }
    let right = report(&init, ProtocolUnreachable, 20);
    for byte in [12, 16, 17, 18, 19] {
        let mut bytes = right.quoted.to_vec();
        bytes[byte] ^= 4;
        let quoted = bytes.into();
        tell(
            &mut pair,
            &IcmpReport {
                quoted,
                ..right.clone()
            },
        );
    }
    assert_eq!(pair.phase(A), Some(AssociationPhase::CookieWait));
    assert_eq!(counts(&pair), (0, 25));
    tell(&mut pair, &right);
    assert!(failed(&pair));
}

#[test]
fn rfc9260_10_icmp7_too_big_is_for_path_mtu_discovery() {
    let discovering = |config: &mut AssociationConfig| config.path_mut().set_mtu_discovery(Some(9000)).unwrap();
    let mut pair = captured(Setup::single().config(discovering));
    pair.connect();
    transfer(&mut pair, &mut [Flow::new(A, 50).sizes(&[20_000])], secs(60));
    pair.run(secs(60));
    let before = pair.path(A, 0).mtu;
    let packet = latest(&pair, 0);
    tell(&mut pair, &report(&packet, PacketTooBig { mtu: 1400 }, 8));
    assert!(pair.path(A, 0).mtu < before);
    assert_eq!(pair.phase(A), Some(AssociationPhase::Established));
}

#[test]
fn rfc9260_10_icmp8_protocol_unreachable_ends_a_set_up() {
    for mut pair in [
        calling(Setup::single(), &[0]),
        calling(Setup::dual(), &[0, 1]),
        calling(Setup::single().encapsulated(UDP.0, UDP.1), &[0]),
    ] {
        let init = latest(&pair, 0);
        tell(&mut pair, &report(&init, ProtocolUnreachable, 64));
        assert!(failed(&pair));
        let sent = from_a(&pair, 0).len();
        pair.run(secs(120));
        assert_eq!(
            from_a(&pair, 0).len(),
            sent,
            "no ABORT answers it, and nothing is repeated"
        );
    }
}

#[test]
fn rfc9260_10_icmp8_an_init_counts_only_in_cookie_wait() {
    for mut pair in established() {
        let init = from_a(&pair, 0).remove(0);
        for kind in [ProtocolUnreachable, PortUnreachable] {
            tell(&mut pair, &report(&init, kind, 64));
        }
        assert_eq!(pair.phase(A), Some(AssociationPhase::Established));
        assert_eq!(counts(&pair), (0, 2));
    }
}

#[test]
fn rfc9260_10_icmp8_protocol_unreachable_is_an_abort_with_the_t_bit() {
    for mut pair in established() {
        let packet = latest(&pair, 0);
        let before = from_a(&pair, 0).len();
        tell(&mut pair, &report(&packet, ProtocolUnreachable, 8));
        assert!(lost(&pair));
        pair.run(ms(1));
        assert_eq!(from_a(&pair, 0).len(), before, "nothing answers an ABORT");
    }
}

#[test]
fn rfc9260_10_icmp8_in_shutdown_ack_sent_both_sides_had_everything() {
    let mut pair = captured(Setup::single());
    pair.connect();
    pair.world
        .set_filter(pair.links[0], lose(ChunkType::SHUTDOWN_COMPLETE, 1));
    pair.shutdown(B);
    pair.must("A waits for the end", secs(5), |pair| {
        pair.phase(A) == Some(AssociationPhase::ShutdownAckSent)
    });
    pair.run(ms(1));
    let packet = latest(&pair, 0);
    tell(&mut pair, &report(&packet, ProtocolUnreachable, 8));
    assert!(pair.reported(A, |event| matches!(event, Event::ShutdownComplete)));
    assert!(!lost(&pair));
}

#[test]
fn rfc9260_10_icmp9_destination_unreachable_is_a_missing_answer_but_ends_nothing() {
    let mut pair = captured(Setup::dual());
    pair.connect();
    pair.run(secs(5));
    transfer(&mut pair, &mut [Flow::new(A, 3)], secs(10));
    let packet = latest(&pair, 0);
    let unreachable = report(&packet, Unreachable, 8);
    // A flood of them counts once in an RTO.
    for _ in 0..10 {
        tell(&mut pair, &unreachable);
    }
    assert_eq!(pair.path(A, 0).error_count, 1);
    assert_eq!(pair.path(A, 0).state, PathState::PotentiallyFailed);
    let first = pair.links[0];
    pair.world.set_link_up(first, false);
    let told = |event: &Event| {
        matches!(
            event,
            Event::PathChanged {
                change: PathChange::Unreachable,
                ..
            }
        )
    };
    pair.must("the path fails", secs(300), |pair| {
        tell(pair, &unreachable);
        pair.reported(A, told)
    });
    assert_eq!(pair.phase(A), Some(AssociationPhase::Established));
    transfer(&mut pair, &mut [Flow::new(A, 3)], secs(10));
    // It comes back as any path does.
    pair.world.set_link_up(first, true);
    pair.must("the path works again", secs(120), |pair| {
        pair.path(A, 0).state == PathState::Active
    });
}

#[test]
fn rfc9260_10_icmp9_with_one_address_the_association_lives_as_long_as_its_own_counts_say() {
    for mut pair in established() {
        let packet = latest(&pair, 0);
        for _ in 0..20 {
            tell(&mut pair, &report(&packet, Unreachable, 8));
            pair.run(secs(1));
        }
        assert_eq!(pair.phase(A), Some(AssociationPhase::Established));
        transfer(&mut pair, &mut [Flow::new(A, 3), Flow::new(B, 3)], secs(60));
    }
}

#[test]
fn rfc9260_10_icmp9_a_set_up_goes_on_with_another_address_at_once() {
    let mut pair = calling(Setup::dual(), &[0, 1]);
    let second = pair.links[1];
    pair.world.set_link_up(second, true);
    let init = latest(&pair, 0);
    assert!(from_a(&pair, 1).is_empty());
    tell(&mut pair, &report(&init, Unreachable, 64));
    pair.must("the other address answers", ms(500), Pair::both_up);
}

#[test]
fn rfc9260_10_icmp9_a_set_up_that_is_told_unreachable_everywhere_is_still_tried() {
    let mut pair = calling(Setup::dual(), &[0, 1]);
    for _ in 0..50 {
        for link in [0, 1] {
            if let Some(init) = from_a(&pair, link).pop() {
                tell(&mut pair, &report(&init, Unreachable, 64));
            }
        }
        pair.run(ms(10));
    }
    let sent = from_a(&pair, 0).len() + from_a(&pair, 1).len();
    assert!(sent <= 4, "{sent} INITs within half a second");
    assert_eq!(pair.phase(A), Some(AssociationPhase::CookieWait));
    for link in pair.links.clone() {
        pair.world.set_link_up(link, true);
    }
    pair.must("both sides are up", secs(10), Pair::both_up);
}

#[test]
fn rfc6951_5_5_port_unreachable_ends_a_set_up_in_udp() {
    for family in [Family::V4, Family::V6] {
        let setup = Setup::single().family(family).encapsulated(UDP.0, UDP.1);
        let mut pair = calling(setup, &[0]);
        let right = report(&latest(&pair, 0), PortUnreachable, 64);
        let mut elsewhere = right.clone();
        if let Some(ports) = &mut elsewhere.encap {
            ports.destination ^= 1;
        }
        let unencapsulated = IcmpReport {
            encap: None,
            ..right.clone()
        };
        for wrong in [elsewhere, unencapsulated] {
            tell(&mut pair, &wrong);
            assert_eq!(pair.phase(A), Some(AssociationPhase::CookieWait));
        }
        tell(&mut pair, &right);
        assert!(failed(&pair));
    }
}

#[test]
fn rfc6951_5_5_port_unreachable_ends_an_association_in_udp() {
    let mut pair = captured(Setup::single().encapsulated(UDP.0, UDP.1));
    pair.connect();
    transfer(&mut pair, &mut [Flow::new(A, 3)], secs(10));
    let packet = latest(&pair, 0);
    tell(&mut pair, &report(&packet, PortUnreachable, 8));
    assert!(lost(&pair));
}

#[test]
fn rfc6951_5_5_where_nobody_is_at_one_address_the_set_up_goes_on_with_another() {
    let mut pair = calling(Setup::dual().encapsulated(UDP.0, UDP.1), &[0, 1]);
    let (first, second) = (pair.links[0], pair.links[1]);
    let refused = report(&latest(&pair, 0), PortUnreachable, 64);
    tell(&mut pair, &refused);
    tell(&mut pair, &refused);
    pair.run(ms(1));
    assert_eq!(from_a(&pair, 1).len(), 1);
    assert_eq!(pair.phase(A), Some(AssociationPhase::CookieWait));
    pair.world.set_link_up(second, true);
    pair.must("the other address answers", secs(10), Pair::both_up);
    assert_eq!(from_a(&pair, 0).len(), 1, "the first one was not asked again");
    pair.world.set_link_up(first, true);
    pair.must("heartbeats find the first one again", secs(120), |pair| {
        pair.path(A, 0).state == PathState::Active
    });
}

#[test]
fn rfc6951_5_5_where_nobody_is_at_any_address_the_set_up_ends() {
    let mut pair = calling(Setup::with_links(3).encapsulated(UDP.0, UDP.1), &[0, 1, 2]);
    for link in 0..3 {
        assert!(!failed(&pair));
        let init = latest(&pair, link);
        tell(&mut pair, &report(&init, PortUnreachable, 64));
        pair.run(ms(1));
    }
    assert!(failed(&pair));
}

#[test]
fn rfc6951_5_5_one_address_where_nobody_is_does_not_end_an_association_with_others() {
    let mut pair = captured(Setup::dual().encapsulated(UDP.0, UDP.1));
    pair.connect();
    pair.run(secs(5));
    transfer(&mut pair, &mut [Flow::new(A, 3)], secs(10));
    let packet = latest(&pair, 0);
    let refused = report(&packet, PortUnreachable, 8);
    tell(&mut pair, &refused);
    assert_eq!(pair.path(A, 0).state, PathState::Inactive);
    assert_eq!(pair.phase(A), Some(AssociationPhase::Established));
    let first = pair.links[0];
    pair.world.set_link_up(first, false);
    transfer(&mut pair, &mut [Flow::new(A, 3)], secs(10));
    let packet = latest(&pair, 1);
    tell(&mut pair, &report(&packet, PortUnreachable, 8));
    assert!(lost(&pair));
}

#[test]
fn rfc6951_5_5_an_address_that_nobody_confirmed_ends_nothing() {
    let mut pair = captured(Setup::dual().encapsulated(UDP.0, UDP.1));
    let second = pair.links[1];
    pair.world.set_link_up(second, false);
    let first = pair.address(B, 0);
    pair.start_to(A, &[first]);
    pair.must("both sides are up", secs(60), Pair::both_up);
    pair.run(secs(5));
    assert_eq!(pair.path(A, 1).state, PathState::Unconfirmed);
    let heartbeat = latest(&pair, 1);
    let has_heartbeat = heartbeat.chunks().any(|chunk| chunk.kind == ChunkType::HEARTBEAT);
    assert!(has_heartbeat);
    tell(&mut pair, &report(&heartbeat, PortUnreachable, 8));
    assert_eq!(pair.phase(A), Some(AssociationPhase::Established));
    transfer(&mut pair, &mut [Flow::new(A, 3)], secs(10));
}
