//! RFC 5352 §3.1, §3.2: registration and deregistration, as elements see it.

mod common;

use common::*;
use rserpool::config::{AddressCheck, ForeignChange, HandlespaceLimits, RegistrarConfig};
use rserpool::net::{NetCommand, SctpAddress};
use rserpool::registrar::{RegistrarEvent, RemovalReason};
use rserpool::wire::asap::AsapMessage;
use rserpool::wire::cause::CauseCode;
use rserpool::wire::element::{LifeUnit, PoolElementParam, RegistrationLife};
use rserpool::wire::policy::{PolicyNumber, PolicyParam};
use rserpool::wire::transport::{SctpTransport, Transport, TransportUse};
use sctp::addr::Scope;
use sctp::serial::Ppid;

fn bench() -> Bench {
    Bench::new(RegistrarConfig::default())
}

fn with_addresses(id: u32, hosts: &[u8]) -> PoolElementParam {
    let mut param = element(id, 0);
    param.user_transport = Transport::Sctp(SctpTransport {
        port: 7000,
        transport_use: TransportUse::DataOnly,
        addresses: hosts.iter().map(|&n| host(n)).collect(),
    });
    param
}

#[test]
fn rfc5352_3_1_a_registration_is_granted_and_the_element_is_in_the_pool() {
    let mut bench = bench();
    let conn = bench.connect(1);
    let answer = bench.ask(conn, &registration("EchoPool", element(17, 1)));
    assert_eq!(
        answer,
        AsapMessage::RegistrationResponse {
            pool: pool("EchoPool"),
            pe: pe(17),
            reject: false,
            error: None,
        }
    );
    assert_eq!(bench.members("EchoPool"), [17]);
    assert_eq!(bench.events(), [registered("EchoPool", 17)]);
}

#[test]
fn rfc5352_3_1_rule_4_the_registrar_owns_the_element_and_notes_where_it_came_from() {
    let mut bench = bench();
    let conn = bench.connect_as(
        1,
        SctpAddress {
            port: 4711,
            addresses: vec![host(1), host(2)],
        },
    );
    bench.register(conn, "p", element(1, 1)).unwrap();
    let key = bench.registrar.handlespace().find(&pool("p"), pe(1)).unwrap();
    let param = bench.registrar.handlespace().get(key).unwrap().param();
    assert_eq!(param.home, Some(Bench::ID));
    assert_eq!(
        param.asap_transport,
        Some(SctpTransport {
            port: 4711,
            transport_use: TransportUse::DataOnly,
            addresses: vec![host(1), host(2)],
        })
    );
}

#[test]
fn rfc5352_3_1_rule_2_an_element_that_does_not_fit_its_pool_is_rejected() {
    let mut bench = bench();
    let conn = bench.connect(1);
    bench.register(conn, "p", element(1, 1)).unwrap();
    let mut least_used = element(2, 1);
    least_used.policy = PolicyParam::LeastUsed { load: 0 };
    assert_eq!(
        bench.register(conn, "p", least_used),
        Err(CauseCode::INCONSISTENT_POOLING_POLICY)
    );
    let mut udp = element(2, 1);
    udp.user_transport = Transport::Udp("10.0.0.1:7000".parse().unwrap());
    assert_eq!(
        bench.register(conn, "p", udp),
        Err(CauseCode::INCONSISTENT_TRANSPORT_TYPE)
    );
    let mut control = element(2, 1);
    control.user_transport = Transport::Sctp(SctpTransport {
        port: 7000,
        transport_use: TransportUse::DataPlusControl,
        addresses: vec![host(1)],
    });
    assert_eq!(
        bench.register(conn, "p", control),
        Err(CauseCode::INCONSISTENT_DATA_CONTROL)
    );
    assert_eq!(bench.members("p"), [1]);
    assert_eq!(bench.registrar.stats().refused_registrations, 3);
}

#[test]
fn a_policy_that_is_not_supported_is_rejected_not_taken_for_another() {
    let mut bench = bench();
    let conn = bench.connect(1);
    let mut param = element(1, 1);
    param.policy = PolicyParam::Other {
        number: PolicyNumber(0x8000_0001),
        data: Default::default(),
    };
    assert_eq!(bench.register(conn, "p", param), Err(CauseCode::INVALID_VALUES));
    assert!(bench.registrar.handlespace().is_empty());
}

#[test]
fn rfc5352_3_1_rule_3_registering_again_changes_the_element() {
    let mut bench = bench();
    let conn = bench.connect(1);
    let mut param = element(1, 1);
    param.policy = PolicyParam::LeastUsed { load: 1 };
    bench.register(conn, "p", param.clone()).unwrap();
    bench.register(conn, "p", param.clone()).unwrap();
    assert_eq!(bench.events(), [registered("p", 1)]);
    param.policy = PolicyParam::LeastUsed { load: 2 };
    bench.register(conn, "p", param).unwrap();
    assert_eq!(
        bench.events(),
        [RegistrarEvent::ElementUpdated {
            pool: pool("p"),
            pe: pe(1)
        }]
    );
    let stats = *bench.registrar.stats();
    assert_eq!((stats.registrations, stats.reregistrations), (1, 2));
}

#[test]
fn rfc5352_2_2_1_addresses_that_the_association_has_not_are_left_out() {
    let mut bench = bench();
    let conn = bench.connect_as(
        1,
        SctpAddress {
            port: 5000,
            addresses: vec![host(1), host(2)],
        },
    );
    bench.register(conn, "p", with_addresses(1, &[2, 9, 1])).unwrap();
    let key = bench.registrar.handlespace().find(&pool("p"), pe(1)).unwrap();
    let transport = &bench.registrar.handlespace().get(key).unwrap().param().user_transport;
    assert_eq!(transport.addresses(), [host(2), host(1)]);
    assert_eq!(
        bench.register(conn, "p", with_addresses(2, &[9])),
        Err(CauseCode::INVALID_VALUES)
    );
    let mut tcp = element(1, 1);
    tcp.user_transport = Transport::Tcp("10.0.0.9:80".parse().unwrap());
    assert_eq!(bench.register(conn, "t", tcp.clone()), Err(CauseCode::INVALID_VALUES));
    tcp.user_transport = Transport::Tcp("10.0.0.1:80".parse().unwrap());
    assert_eq!(bench.register(conn, "t", tcp), Ok(()));
}

#[test]
fn the_address_check_can_be_switched_off() {
    let mut config = RegistrarConfig::default();
    config.set_address_check(AddressCheck::Any);
    let mut bench = Bench::new(config);
    let conn = bench.connect(1);
    bench.register(conn, "p", with_addresses(1, &[9])).unwrap();
    let mut multicast = element(2, 1);
    multicast.user_transport = Transport::Sctp(SctpTransport {
        port: 7000,
        transport_use: TransportUse::DataOnly,
        addresses: vec!["224.0.0.1".parse().unwrap()],
    });
    assert_eq!(bench.register(conn, "p", multicast), Err(CauseCode::INVALID_VALUES));
}

#[test]
fn addresses_of_too_narrow_a_scope_are_not_registered() {
    let mut config = RegistrarConfig::default();
    config.set_min_address_scope(Scope::Private);
    let mut bench = Bench::new(config);
    let loopback = "127.0.0.1".parse().unwrap();
    let conn = bench.connect_as(
        1,
        SctpAddress {
            port: 5000,
            addresses: vec![loopback],
        },
    );
    let mut param = element(1, 1);
    param.user_transport = Transport::Sctp(SctpTransport {
        port: 7000,
        transport_use: TransportUse::DataOnly,
        addresses: vec![loopback],
    });
    assert_eq!(bench.register(conn, "p", param.clone()), Err(CauseCode::INVALID_VALUES));
    // By default a system may live on one host.
    let mut bench = Bench::new(RegistrarConfig::default());
    let conn = bench.connect_as(
        1,
        SctpAddress {
            port: 5000,
            addresses: vec![loopback],
        },
    );
    assert_eq!(bench.register(conn, "p", param), Ok(()));
}

#[test]
fn port_0_and_too_many_addresses_are_rejected() {
    let mut config = RegistrarConfig::default();
    config.set_max_addresses(2).unwrap();
    let mut bench = Bench::new(config);
    let conn = bench.connect_as(
        1,
        SctpAddress {
            port: 5000,
            addresses: (1..=3).map(host).collect(),
        },
    );
    bench.register(conn, "p", with_addresses(1, &[1, 2])).unwrap();
    assert_eq!(
        bench.register(conn, "p", with_addresses(2, &[1, 2, 3])),
        Err(CauseCode::INVALID_VALUES)
    );
    let mut param = element(2, 1);
    param.user_transport = Transport::Tcp("10.0.0.1:0".parse().unwrap());
    assert_eq!(bench.register(conn, "t", param), Err(CauseCode::INVALID_VALUES));
}

#[test]
fn rfc5355_2_1_a_flood_of_registrations_meets_limits() {
    let mut config = RegistrarConfig::default();
    config.set_limits(HandlespaceLimits::new(2, 5, 3).unwrap());
    let mut bench = Bench::new(config);
    let conn = bench.connect(1);
    let mut granted = 0;
    for id in 1..=20 {
        for name in ["a", "b", "c"] {
            match bench.register(conn, name, element(id, 1)) {
                Ok(()) => granted += 1,
                Err(code) => assert_eq!(code, CauseCode::LACK_OF_RESOURCES),
            }
        }
    }
    assert_eq!((granted, bench.registrar.handlespace().len()), (5, 5));
}

#[test]
fn associations_beyond_the_limit_are_aborted() {
    let mut config = RegistrarConfig::default();
    config.set_max_associations(2).unwrap();
    let mut bench = Bench::new(config);
    bench.connect(1);
    let second = bench.connect(2);
    let third = bench.connect(3);
    assert_eq!(bench.others(), [NetCommand::Abort { conn: third }]);
    bench.send(third, &registration("p", element(1, 3)));
    assert!(bench.registrar.handlespace().is_empty());
    bench.close(second, true);
    bench.connect(4);
    assert_eq!(bench.others(), []);
}

#[test]
fn rfc5352_3_2_deregistering_removes_the_element_and_the_empty_pool() {
    let mut bench = bench();
    let conn = bench.connect(1);
    bench.register(conn, "p", element(1, 1)).unwrap();
    bench.register(conn, "p", element(2, 1)).unwrap();
    bench.events();
    let granted = |id| AsapMessage::DeregistrationResponse {
        pool: pool("p"),
        pe: pe(id),
        error: None,
    };
    assert_eq!(bench.ask(conn, &deregistration("p", 1)), granted(1));
    assert_eq!(bench.members("p"), [2]);
    // An element that is not there counts as deregistered.
    assert_eq!(bench.ask(conn, &deregistration("p", 1)), granted(1));
    assert_eq!(bench.ask(conn, &deregistration("p", 2)), granted(2));
    assert_eq!(bench.registrar.handlespace().pools().count(), 0);
    assert_eq!(
        bench.events(),
        [
            removed("p", 1, RemovalReason::Deregistered),
            removed("p", 2, RemovalReason::Deregistered)
        ]
    );
    // Nothing is left behind: the association may end without a trace.
    assert_eq!(bench.registrar.poll_timeout(), None);
    bench.close(conn, false);
    assert_eq!(bench.events(), []);
}

#[test]
fn rfc5352_2_2_2_a_foreign_deregistration_is_counted_or_refused() {
    let mut bench = bench();
    let (own, foreign) = (bench.connect(1), bench.connect(2));
    bench.register(own, "p", element(1, 1)).unwrap();
    bench.ask(foreign, &deregistration("p", 1));
    assert!(bench.members("p").is_empty());
    assert_eq!(bench.registrar.stats().foreign_changes, 1);

    let mut config = RegistrarConfig::default();
    config.set_foreign_change(ForeignChange::Refuse);
    let mut bench = Bench::new(config);
    let (own, foreign) = (bench.connect(1), bench.connect(2));
    bench.register(own, "p", element(1, 1)).unwrap();
    assert_eq!(
        bench.ask(foreign, &deregistration("p", 1)),
        AsapMessage::DeregistrationResponse {
            pool: pool("p"),
            pe: pe(1),
            error: Some(CauseCode::SECURITY.into()),
        }
    );
    // RFC 5354 §3.12.5: the identifier is another element's.
    assert_eq!(
        bench.register(foreign, "p", element(1, 2)),
        Err(CauseCode::NON_UNIQUE_PE_IDENTIFIER)
    );
    // The same node may come over another association.
    let again = bench.connect_as(9, sctp_address(1, 6000));
    bench.register(again, "p", element(1, 1)).unwrap();
    bench.ask(again, &deregistration("p", 1));
    assert!(bench.members("p").is_empty());
    assert_eq!(bench.registrar.stats().foreign_changes, 2);
}

#[test]
fn rfc5352_3_2_a_registration_that_runs_out_is_removed_and_the_element_told() {
    let mut bench = bench();
    let conn = bench.connect(1);
    let mut param = element(1, 1);
    param.life = RegistrationLife(3);
    bench.register(conn, "p", param.clone()).unwrap();
    bench.advance(seconds(2));
    bench.register(conn, "p", param).unwrap();
    bench.advance(ms(2900));
    assert_eq!(bench.members("p"), [1]);
    bench.sent(conn);
    bench.events();
    bench.advance(ms(100));
    assert_eq!(
        bench.sent(conn),
        [AsapMessage::DeregistrationResponse {
            pool: pool("p"),
            pe: pe(1),
            error: None
        }]
    );
    assert_eq!(bench.events(), [removed("p", 1, RemovalReason::Expired)]);
}

#[test]
fn rfc5354_3_10_a_life_may_be_infinite_but_not_nothing() {
    let mut bench = bench();
    let conn = bench.connect(1);
    let mut param = element(1, 1);
    param.life = RegistrationLife(0);
    assert_eq!(bench.register(conn, "p", param.clone()), Err(CauseCode::INVALID_VALUES));
    param.life = RegistrationLife::INFINITE;
    assert_eq!(bench.register(conn, "p", param), Ok(()));
}

#[test]
fn lives_may_be_counted_in_milliseconds() {
    let mut config = RegistrarConfig::default();
    config.set_life_unit(LifeUnit::Milliseconds);
    let mut bench = Bench::new(config);
    let conn = bench.connect(1);
    let mut param = element(1, 1);
    param.life = RegistrationLife(900);
    bench.register(conn, "p", param).unwrap();
    bench.advance(ms(899));
    assert_eq!(bench.members("p"), [1]);
    bench.advance(ms(1));
    assert!(bench.members("p").is_empty());
}

#[test]
fn rfc5352_2_2_14_what_cannot_be_read_is_answered_as_its_type_asks() {
    let mut bench = bench();
    let conn = bench.connect(1);
    let mut error_of = |bytes: &[u8]| {
        bench.raw(conn, Ppid(11), bytes);
        let mut sent = bench.sent(conn);
        assert!(sent.len() <= 1);
        match sent.pop() {
            Some(AsapMessage::Error { error }) => Some(error.code()),
            None => None,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(error_of(&[0x41, 0, 0, 4]), Some(CauseCode::UNRECOGNIZED_MESSAGE));
    assert_eq!(error_of(&[0x3f, 0, 0, 4]), None);
    assert_eq!(error_of(&[1, 0, 0, 4]), Some(CauseCode::INVALID_VALUES));
    assert_eq!(
        error_of(&[1, 0, 0, 12, 0x7f, 1, 0, 8, 1, 2, 3, 4]),
        Some(CauseCode::UNRECOGNIZED_PARAMETER)
    );
    // An error is not answered, whatever is in it.
    assert_eq!(error_of(&[0x0e, 0, 0, 4]), None);
    assert_eq!(error_of(&[]), Some(CauseCode::INVALID_VALUES));
    // Messages for elements and users are none for a registrar.
    assert_eq!(error_of(&ack("p", 1).encode()), None);
    assert_eq!(bench.registrar.stats().unexpected_messages, 1);
    assert_eq!(bench.registrar.stats().malformed_messages, 6);
}

#[test]
fn rfc5352_5_a_peer_that_speaks_another_protocol_is_aborted() {
    let mut bench = bench();
    let conn = bench.connect(1);
    bench.register(conn, "p", element(1, 1)).unwrap();
    bench.events();
    bench.raw(conn, Ppid(12), &registration("p", element(2, 1)).encode());
    assert_eq!(bench.others(), [NetCommand::Abort { conn }]);
    assert_eq!(bench.events(), [removed("p", 1, RemovalReason::AssociationLost)]);
    assert_eq!(bench.registrar.associations(), 0);
}
