//! RFC 5352 §3.4, §3.5: who is still there, and what becomes of the others.

mod common;

use std::time::Duration;

use common::*;
use rserpool::config::{Announce, AssociationLoss, RegistrarConfig};
use rserpool::net::{ConnId, NetCommand, NetEvent, SctpAddress};
use rserpool::registrar::RemovalReason;
use rserpool::wire::asap::AsapMessage;
use rserpool::wire::transport::{SctpTransport, Transport, TransportUse};

fn config() -> RegistrarConfig {
    let mut config = RegistrarConfig::default();
    config.set_keep_alive(seconds(4), seconds(2)).unwrap();
    config
}

fn probing() -> RegistrarConfig {
    let mut config = config();
    config.set_association_loss(AssociationLoss::Probe);
    config
}

/// One element with the identifier 1 in the pool "p", registered from host 1.
fn one_element(config: RegistrarConfig) -> (Bench, ConnId) {
    let mut bench = Bench::new(config);
    let conn = bench.connect(1);
    bench.register(conn, "p", element(1, 1)).unwrap();
    bench.events();
    (bench, conn)
}

/// The association that the registrar asks for.
fn asked_for(bench: &mut Bench) -> (ConnId, SctpAddress) {
    match bench.others().as_slice() {
        [NetCommand::Connect { conn, peer }] => (*conn, peer.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn rfc5352_3_5_elements_are_asked_from_time_to_time() {
    let (mut bench, conn) = one_element(config());
    let mut pauses = Vec::new();
    for _ in 0..40 {
        let before = bench.now;
        assert_eq!(bench.advance_to_message(conn), [keep_alive("p", 1)]);
        pauses.push(bench.now - before);
        bench.send(conn, &ack("p", 1));
    }
    // Plus or minus half of 4 seconds, and not always the same.
    assert!(
        pauses.iter().all(|pause| (seconds(2)..=seconds(6)).contains(pause)),
        "{pauses:?}"
    );
    let (min, max) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
    assert!(*max - *min > seconds(2), "{min:?} to {max:?}");
    assert_eq!(bench.members("p"), [1]);
}

#[test]
fn rfc5352_3_5_an_element_that_does_not_answer_is_removed() {
    let (mut bench, conn) = one_element(config());
    bench.advance_to_message(conn);
    bench.advance(ms(1999));
    assert_eq!(bench.members("p"), [1]);
    bench.advance(ms(1));
    assert!(bench.members("p").is_empty());
    assert_eq!(bench.events(), [removed("p", 1, RemovalReason::KeepAliveTimeout)]);
    // It may hang; it will find its association gone.
    assert_eq!(bench.others(), [NetCommand::Abort { conn }]);
    assert_eq!(bench.registrar.poll_timeout(), None);
}

#[test]
fn one_hanging_element_does_not_cost_its_neighbours_the_association() {
    let (mut bench, conn) = one_element(config());
    bench.register(conn, "p", element(2, 1)).unwrap();
    for _ in 0..20 {
        bench.advance(ms(500));
        if bench.sent(conn).contains(&keep_alive("p", 2)) {
            bench.send(conn, &ack("p", 2));
        }
    }
    assert_eq!(bench.members("p"), [2]);
    assert_eq!(bench.others(), []);
}

#[test]
fn rfc5352_3_5_a_dead_element_is_gone_within_the_time_that_the_configuration_says() {
    for seed in 0..20 {
        let mut bench = Bench::seeded(config(), seed);
        let conn = bench.connect(1);
        bench.register(conn, "p", element(1, 1)).unwrap();
        bench.advance(seconds(4) / 2 * 3 + seconds(2));
        assert!(bench.members("p").is_empty(), "seed {seed}");
    }
}

#[test]
fn an_answer_from_elsewhere_does_not_keep_an_element() {
    let (mut bench, conn) = one_element(config());
    let stranger = bench.connect(2);
    bench.advance_to_message(conn);
    bench.send(stranger, &ack("p", 1));
    bench.advance(seconds(2));
    assert!(bench.members("p").is_empty());
    // From the same node over another association it does.
    let (mut bench, conn) = one_element(config());
    let other = bench.connect_as(7, sctp_address(1, 6000));
    bench.advance_to_message(conn);
    bench.send(other, &ack("p", 1));
    bench.advance(seconds(2));
    assert_eq!(bench.members("p"), [1]);
}

#[test]
fn an_answer_that_nobody_asked_for_changes_nothing() {
    let (mut bench, conn) = one_element(config());
    let due = bench.registrar.poll_timeout();
    bench.advance(ms(1000));
    bench.send(conn, &ack("p", 1));
    assert_eq!(bench.registrar.poll_timeout(), due);
}

#[test]
fn rfc5352_3_5_a_report_makes_the_registrar_ask_at_once() {
    let (mut bench, conn) = one_element(config());
    let user = bench.connect(9);
    bench.send(user, &unreachable("p", 1));
    assert_eq!(bench.sent(conn), [keep_alive("p", 1)]);
    // Whoever shouts louder causes no more messages.
    bench.send(user, &unreachable("p", 1));
    assert_eq!(bench.sent(conn), []);
    bench.send(conn, &ack("p", 1));
    bench.advance(seconds(2));
    assert_eq!(bench.members("p"), [1]);
    assert_eq!(bench.registrar.stats().unreachable_reports, 2);
}

#[test]
fn rfc5352_3_5_a_reported_element_that_does_not_answer_is_removed() {
    let (mut bench, _) = one_element(config());
    let user = bench.connect(9);
    bench.send(user, &unreachable("p", 1));
    bench.advance(seconds(2));
    assert_eq!(bench.events(), [removed("p", 1, RemovalReason::KeepAliveTimeout)]);
}

#[test]
fn rfc5352_3_5_max_bad_pe_report_reports_remove_an_element() {
    let (mut bench, _) = one_element(config());
    let users: Vec<_> = (10..13).map(|n| bench.connect(n)).collect();
    bench.send(users[0], &unreachable("p", 1));
    bench.send(users[1], &unreachable("p", 1));
    // The same reporter counts once.
    bench.send(users[0], &unreachable("p", 1));
    bench.send(users[1], &unreachable("p", 1));
    assert_eq!(bench.members("p"), [1]);
    bench.send(users[2], &unreachable("p", 1));
    assert_eq!(bench.events(), [removed("p", 1, RemovalReason::Reported)]);
    assert_eq!(bench.registrar.poll_timeout(), None);
}

#[test]
fn an_answer_clears_the_reports() {
    let (mut bench, conn) = one_element(config());
    let users: Vec<_> = (10..18).map(|n| bench.connect(n)).collect();
    for pair in users.chunks(2) {
        for user in pair {
            bench.send(*user, &unreachable("p", 1));
        }
        bench.send(conn, &ack("p", 1));
        assert_eq!(bench.members("p"), [1]);
    }
}

#[test]
fn a_report_about_nobody_does_nothing() {
    let (mut bench, conn) = one_element(config());
    bench.send(conn, &unreachable("p", 2));
    bench.send(conn, &unreachable("q", 1));
    assert_eq!(bench.sent(conn), []);
    assert_eq!(bench.registrar.stats().unreachable_reports, 0);
}

#[test]
fn an_aborted_association_takes_its_elements_along() {
    let (mut bench, conn) = one_element(config());
    bench.register(conn, "q", element(5, 1)).unwrap();
    let other = bench.connect(2);
    bench.register(other, "p", element(2, 2)).unwrap();
    bench.events();
    bench.close(conn, false);
    assert_eq!(
        bench.events(),
        [
            removed("p", 1, RemovalReason::AssociationLost),
            removed("q", 5, RemovalReason::AssociationLost)
        ]
    );
    assert_eq!(bench.members("p"), [2]);
}

#[test]
fn rfc5352_3_4_an_element_without_association_is_asked_at_its_asap_transport() {
    let (mut bench, conn) = one_element(probing());
    bench.register(conn, "q", element(2, 1)).unwrap();
    bench.close(conn, false);
    let (probe, address) = asked_for(&mut bench);
    assert_eq!(address, sctp_address(1, 5000));
    bench.event(NetEvent::Connected {
        conn: probe,
        peer: address,
    });
    assert_eq!(bench.sent(probe), [keep_alive("p", 1), keep_alive("q", 2)]);
    bench.send(probe, &ack("p", 1));
    bench.send(probe, &ack("q", 2));
    bench.advance(ms(1999));
    // It is watched over this association from now on.
    assert_eq!((bench.members("p"), bench.members("q")), (vec![1], vec![2]));
    bench.advance_to_message(probe);
}

#[test]
fn an_association_that_was_shut_down_is_no_proof_of_death() {
    let (mut bench, conn) = one_element(config());
    bench.event(NetEvent::PeerShutdown { conn });
    bench.close(conn, true);
    let (probe, peer) = asked_for(&mut bench);
    assert_eq!(bench.members("p"), [1]);
    bench.event(NetEvent::Connected { conn: probe, peer });
    bench.send(probe, &ack("p", 1));
    assert_eq!(bench.members("p"), [1]);
}

#[test]
fn rfc5352_3_5_an_element_that_cannot_be_connected_to_is_removed() {
    let (mut bench, conn) = one_element(probing());
    bench.close(conn, false);
    let (probe, _) = asked_for(&mut bench);
    bench.close(probe, false);
    assert_eq!(bench.events(), [removed("p", 1, RemovalReason::Unreachable)]);
    assert_eq!(bench.registrar.associations(), 0);
    assert_eq!(bench.registrar.poll_timeout(), None);
}

#[test]
fn setting_up_an_association_counts_in_the_time_to_answer() {
    let (mut bench, conn) = one_element(probing());
    bench.close(conn, false);
    let (probe, _) = asked_for(&mut bench);
    bench.advance(seconds(2));
    assert_eq!(bench.events(), [removed("p", 1, RemovalReason::KeepAliveTimeout)]);
    // Nobody needs the association any more.
    assert_eq!(bench.others(), [NetCommand::Shutdown { conn: probe }]);
    bench.close(probe, true);
    assert_eq!(bench.registrar.associations(), 0);
}

#[test]
fn an_element_that_hangs_up_on_the_question_is_removed() {
    let (mut bench, conn) = one_element(probing());
    bench.close(conn, false);
    let (probe, peer) = asked_for(&mut bench);
    bench.event(NetEvent::Connected { conn: probe, peer });
    bench.close(probe, true);
    assert_eq!(bench.others(), []);
    assert_eq!(bench.events(), [removed("p", 1, RemovalReason::Unreachable)]);
}

#[test]
fn registering_again_moves_an_element_to_the_new_association() {
    let (mut bench, conn) = one_element(config());
    let new = bench.connect_as(7, sctp_address(1, 5000));
    bench.register(new, "p", element(1, 1)).unwrap();
    bench.close(conn, false);
    assert_eq!(bench.members("p"), [1]);
    bench.advance_to_message(new);
    bench.close(new, false);
    assert!(bench.members("p").is_empty());
}

#[test]
fn registering_again_ends_the_association_that_the_registrar_opened() {
    let (mut bench, conn) = one_element(probing());
    bench.close(conn, false);
    let (probe, peer) = asked_for(&mut bench);
    bench.event(NetEvent::Connected { conn: probe, peer });
    let new = bench.connect_as(7, sctp_address(1, 5000));
    bench.register(new, "p", element(1, 1)).unwrap();
    assert_eq!(bench.others(), [NetCommand::Shutdown { conn: probe }]);
    bench.close(probe, true);
    assert_eq!(bench.members("p"), [1]);
}

#[test]
fn a_registrar_that_ends_says_goodbye_and_falls_silent() {
    let (mut bench, conn) = one_element(config());
    bench.registrar.shut_down();
    let late = bench.connect(2);
    assert_eq!(
        bench.others(),
        [NetCommand::Shutdown { conn }, NetCommand::Abort { conn: late }]
    );
    bench.close(conn, true);
    assert_eq!((bench.others(), bench.registrar.poll_timeout()), (vec![], None));
}

#[test]
fn rfc5352_3_6_a_registrar_announces_itself_every_t6() {
    let mut config = RegistrarConfig::default();
    config.set_announce(Some(Announce::default())).unwrap();
    let mut bench = Bench::new(config);
    let mut times = Vec::new();
    while bench.now.as_nanos() < 60_000_000_000 {
        let due = bench.registrar.poll_timeout().unwrap();
        bench.advance(due - bench.now);
        for command in bench.others() {
            let NetCommand::SendDatagram { group, payload } = command else {
                panic!("{command:?}")
            };
            assert_eq!(group, "239.0.0.50:3863".parse().unwrap());
            assert_eq!(payload[..], [0x0a, 0, 0, 8, 0x0a, 0x0b, 0x0c, 0x0d]);
            times.push(bench.now);
        }
    }
    let pauses: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        pauses.iter().all(|pause| (ms(875)..=ms(1125)).contains(pause)),
        "{pauses:?}"
    );
    assert!(pauses.len() > 50);
}

#[test]
fn rfc5352_2_2_10_an_announce_may_carry_the_transport() {
    let mut config = RegistrarConfig::default();
    let address = sctp_address(1, 3863);
    let announce = Announce {
        address: Some(address.clone()),
        ..Announce::default()
    };
    config.set_announce(Some(announce)).unwrap();
    let mut bench = Bench::new(config);
    bench.advance(Duration::ZERO);
    let [NetCommand::SendDatagram { payload, .. }] = &bench.others()[..] else {
        panic!("no announce");
    };
    assert_eq!(
        AsapMessage::decode(payload).unwrap(),
        AsapMessage::ServerAnnounce {
            server: Some(Bench::ID),
            transports: vec![Transport::Sctp(SctpTransport::new(&address, TransportUse::DataOnly))],
        }
    );
}
