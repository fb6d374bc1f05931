//! RFC 5352 §3.3: handle resolution.

mod common;

use std::collections::BTreeMap;

use common::*;
use rserpool::config::{AddressCheck, RegistrarConfig};
use rserpool::net::NetEvent;
use rserpool::wire::MAX_MESSAGE;
use rserpool::wire::asap::AsapMessage;
use rserpool::wire::cause::CauseCode;
use rserpool::wire::policy::PolicyParam;
use rserpool::wire::transport::{SctpTransport, Transport, TransportUse};

fn pool_of(count: u32, policy: impl Fn(u32) -> PolicyParam) -> (Bench, rserpool::net::ConnId) {
    let mut bench = Bench::new(RegistrarConfig::default());
    let conn = bench.connect(1);
    for id in 1..=count {
        let mut param = element(id, 1);
        param.policy = policy(id);
        bench.register(conn, "p", param).unwrap();
    }
    (bench, conn)
}

#[test]
fn rfc5352_3_3_an_unknown_pool_is_an_error() {
    let mut bench = Bench::new(RegistrarConfig::default());
    let conn = bench.connect(1);
    assert_eq!(bench.resolve(conn, "nobody", None), Err(CauseCode::UNKNOWN_POOL_HANDLE));
    assert_eq!(bench.registrar.stats().failed_resolutions, 1);
}

#[test]
fn rfc5352_2_2_6_the_answer_carries_the_policy_and_the_elements() {
    let (mut bench, conn) = pool_of(2, |id| PolicyParam::LeastUsed { load: 100 - id });
    let user = bench.connect(9);
    let request = AsapMessage::HandleResolution {
        pool: pool("p"),
        subscribe: true,
        items: None,
    };
    let AsapMessage::HandleResolutionResponse {
        pool: name,
        updates,
        policy,
        elements,
        error,
    } = bench.ask(user, &request)
    else {
        panic!("another answer");
    };
    assert_eq!((name, updates, error), (pool("p"), false, None));
    assert_eq!(policy, Some(PolicyParam::LeastUsed { load: 98 }));
    let mut expected = element(2, 1);
    expected.policy = PolicyParam::LeastUsed { load: 98 };
    expected.home = Some(Bench::ID);
    assert_eq!(elements[0], expected);
    assert_eq!(elements.len(), 2);
    assert!(bench.sent(conn).is_empty());
}

#[test]
fn an_answer_lists_as_many_as_are_asked_for() {
    let (mut bench, conn) = pool_of(200, |_| PolicyParam::RoundRobin);
    for (items, expected) in [
        (None, 3),
        (Some(0), 3),
        (Some(1), 1),
        (Some(20), 20),
        (Some(129), 128),
        (Some(u32::MAX), 128),
    ] {
        assert_eq!(bench.resolve(conn, "p", items).unwrap().len(), expected, "{items:?}");
    }
}

#[test]
fn an_answer_ends_where_the_message_is_full() {
    let mut config = RegistrarConfig::default();
    config.set_address_check(AddressCheck::Any);
    let mut bench = Bench::new(config);
    let conn = bench.connect(1);
    for id in 1..=100 {
        let mut param = element(id, 1);
        param.user_transport = Transport::Sctp(SctpTransport {
            port: 1,
            transport_use: TransportUse::DataOnly,
            addresses: (0..64)
                .map(|n| std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n).into())
                .collect(),
        });
        bench.register(conn, "p", param).unwrap();
    }
    let listed = bench.resolve(conn, "p", Some(u32::MAX)).unwrap().len();
    // An element takes 16 + 8 + 64 * 20 + 8 bytes.
    assert_eq!(listed, (MAX_MESSAGE - 4 - 8 - 8) / 1312);
}

#[test]
fn rfc5356_4_1_2_answers_go_round() {
    let (mut bench, conn) = pool_of(4, |_| PolicyParam::RoundRobin);
    let lists: Vec<_> = (0..5).map(|_| bench.resolve(conn, "p", Some(2)).unwrap()).collect();
    assert_eq!(lists, [[1, 2], [2, 3], [3, 4], [4, 1], [1, 2]]);
    // Registering again does not change whose turn it is.
    bench.register(conn, "p", element(2, 1)).unwrap();
    assert_eq!(bench.resolve(conn, "p", Some(2)), Ok(vec![2, 3]));
}

#[test]
fn the_increment_says_how_many_lose_their_turn() {
    let mut config = RegistrarConfig::default();
    config.set_max_increment(2).unwrap();
    let mut bench = Bench::new(config);
    let conn = bench.connect(1);
    for id in 1..=5 {
        bench.register(conn, "p", element(id, 1)).unwrap();
    }
    let lists: Vec<_> = (0..3).map(|_| bench.resolve(conn, "p", Some(3)).unwrap()).collect();
    assert_eq!(lists, [[1, 2, 3], [3, 4, 5], [5, 1, 2]]);
}

#[test]
fn rfc5356_4_3_random_pools_are_drawn_evenly_and_the_same_for_the_same_seed() {
    let run = |seed| {
        let mut bench = Bench::seeded(RegistrarConfig::default(), seed);
        let conn = bench.connect(1);
        for id in 1..=5 {
            let mut param = element(id, 1);
            param.policy = PolicyParam::Random;
            bench.register(conn, "p", param).unwrap();
        }
        (0..2000)
            .map(|_| bench.resolve(conn, "p", Some(1)).unwrap()[0])
            .collect::<Vec<_>>()
    };
    let drawn = run(1);
    assert_eq!(drawn, run(1));
    assert_ne!(drawn, run(2));
    let mut counts = BTreeMap::new();
    for id in drawn {
        *counts.entry(id).or_insert(0_i32) += 1;
    }
    assert!(
        counts.len() == 5 && counts.values().all(|n| (n - 400).abs() < 80),
        "{counts:?}"
    );
}

#[test]
fn rfc5356_5_1_least_used_pools_follow_the_loads() {
    let (mut bench, conn) = pool_of(3, |id| PolicyParam::LeastUsed { load: id * 10 });
    assert_eq!(bench.resolve(conn, "p", None), Ok(vec![1, 2, 3]));
    let mut param = element(1, 1);
    param.policy = PolicyParam::LeastUsed { load: 25 };
    bench.register(conn, "p", param).unwrap();
    assert_eq!(bench.resolve(conn, "p", None), Ok(vec![2, 1, 3]));
}

#[test]
fn a_reported_element_is_listed_last_until_it_answers() {
    let (mut bench, conn) = pool_of(3, |id| PolicyParam::LeastUsed { load: id });
    let user = bench.connect(9);
    bench.send(user, &unreachable("p", 1));
    assert_eq!(bench.resolve(user, "p", None), Ok(vec![2, 3, 1]));
    bench.send(conn, &ack("p", 1));
    assert_eq!(bench.resolve(user, "p", None), Ok(vec![1, 2, 3]));
}

#[test]
fn a_peer_that_does_not_take_its_answers_gets_no_more() {
    let (mut bench, _) = pool_of(1, |_| PolicyParam::RoundRobin);
    let user = bench.connect(9);
    let congested = |congested| NetEvent::Congestion { conn: user, congested };
    bench.event(congested(true));
    let request = AsapMessage::HandleResolution {
        pool: pool("p"),
        subscribe: false,
        items: None,
    };
    bench.send(user, &request);
    assert!(bench.sent(user).is_empty());
    assert_eq!(bench.registrar.stats().dropped_requests, 1);
    bench.event(congested(false));
    assert_eq!(bench.resolve(user, "p", None), Ok(vec![1]));
}
