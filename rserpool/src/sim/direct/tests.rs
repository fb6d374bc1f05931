use sctp::serial::StreamId;

use super::*;
use crate::net::PPID_ASAP;

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const GROUP: &str = "239.0.0.50:3863";

fn address(node: NodeId) -> SctpAddress {
    SctpAddress {
        port: 5000,
        addresses: vec![[10, 0, 0, u8::try_from(node.0).unwrap()].into()],
    }
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn network() -> DirectNetwork {
    let profile = DirectProfile {
        datagram_loss: 0.0,
        ..DirectProfile::default()
    };
    let mut network = DirectNetwork::new(profile, Random::from_number(1));
    network.start(at(0), A, &address(A));
    network.start(at(0), B, &address(B));
    network
}

/// All events up to a time.
fn events(network: &mut DirectNetwork, until: u64) -> Vec<(NodeId, NetEvent)> {
    let mut events = Vec::new();
    while let Some(now) = network.next().filter(|&next| next <= at(until)) {
        events.extend(std::iter::from_fn(|| network.pop_due(now)));
    }
    events
}

fn connect(network: &mut DirectNetwork, now: u64, number: u64, from: NodeId, to: NodeId) {
    let conn = ConnId::Opened(number);
    network.command(
        at(now),
        from,
        NetCommand::Connect {
            conn,
            peer: address(to),
        },
    );
}

/// An association that A opened to B.
fn connected() -> DirectNetwork {
    let mut network = network();
    connect(&mut network, 0, 1, A, B);
    let mut events = events(&mut network, 1000);
    events.sort_by_key(|(node, _)| *node);
    let up = |conn, peer| NetEvent::Connected { conn, peer };
    assert_eq!(
        events,
        [
            (A, up(ConnId::Opened(1), address(B))),
            (B, up(ConnId::Accepted(1), address(A)))
        ]
    );
    network
}

fn send(network: &mut DirectNetwork, now: u64, node: NodeId, conn: ConnId, byte: u8) {
    let message = NetCommand::Send {
        conn,
        stream: StreamId(0),
        ppid: PPID_ASAP,
        payload: vec![byte].into(),
    };
    network.command(at(now), node, message);
}

fn payloads(events: &[(NodeId, NetEvent)]) -> Vec<u8> {
    let bytes = events.iter().map(|(_, event)| match event {
        NetEvent::Message { payload, .. } => payload[0],
        other => panic!("{other:?}"),
    });
    bytes.collect()
}

fn closed(node: NodeId, conn: ConnId, graceful: bool) -> (NodeId, NetEvent) {
    (node, NetEvent::Closed { conn, graceful })
}

#[test]
fn messages_arrive_in_order() {
    let mut network = connected();
    for byte in 0..100 {
        send(&mut network, 1000, A, ConnId::Opened(1), byte);
    }
    assert_eq!(payloads(&events(&mut network, 2000)), (0..100).collect::<Vec<_>>());
}

#[test]
fn two_that_set_up_at_once_get_one_association() {
    let mut network = network();
    connect(&mut network, 0, 1, A, B);
    connect(&mut network, 0, 9, B, A);
    let events = events(&mut network, 1000);
    assert_eq!(events.len(), 2);
    for (node, conn) in [(A, ConnId::Opened(1)), (B, ConnId::Opened(9))] {
        assert!(
            events
                .iter()
                .any(|e| matches!(e, (n, NetEvent::Connected { conn: c, .. }) if (*n, *c) == (node, conn)))
        );
    }
}

#[test]
fn a_second_association_to_the_same_peer_comes_from_another_port() {
    let mut network = connected();
    connect(&mut network, 1000, 2, A, B);
    let events = events(&mut network, 2000);
    let port = events.iter().find_map(|event| match event {
        (B, NetEvent::Connected { peer, .. }) => Some(peer.port),
        _ => None,
    });
    assert_eq!(port, Some(50_000));
}

#[test]
fn a_killed_node_is_missed_at_once_and_a_crashed_one_after_a_while() {
    let mut network = connected();
    network.stop(at(1000), A, Death::Killed);
    assert_eq!(events(&mut network, 1010), [closed(B, ConnId::Accepted(1), false)]);
    let mut network = connected();
    network.stop(at(1000), A, Death::Crashed);
    send(&mut network, 1500, B, ConnId::Accepted(1), 1);
    assert_eq!(events(&mut network, 4999), []);
    assert_eq!(events(&mut network, 5000), [closed(B, ConnId::Accepted(1), false)]);
}

#[test]
fn a_node_that_comes_back_does_not_know_its_associations() {
    let mut network = connected();
    network.stop(at(1000), A, Death::Crashed);
    network.start(at(1100), A, &address(A));
    // The same number in its new life is another association.
    connect(&mut network, 1100, 1, A, B);
    let up = events(&mut network, 1400);
    assert_eq!(up.len(), 2);
    send(&mut network, 1500, B, ConnId::Accepted(1), 1);
    assert_eq!(events(&mut network, 1600), [closed(B, ConnId::Accepted(1), false)]);
    // Nobody has to say anything: heartbeats find it out too.
    assert_eq!(events(&mut network, 9000), []);
    send(&mut network, 9000, A, ConnId::Opened(1), 7);
    assert_eq!(payloads(&events(&mut network, 9100)), [7]);
}

#[test]
fn a_short_cut_delays_and_a_long_one_disconnects() {
    let mut network = connected();
    network.cut(at(1000), A, B);
    send(&mut network, 1001, A, ConnId::Opened(1), 1);
    assert_eq!(events(&mut network, 3000), []);
    network.heal(at(3000), B, A);
    assert_eq!(payloads(&events(&mut network, 6000)), [1]);

    network.cut(at(6000), A, B);
    connect(&mut network, 6000, 2, A, B);
    let mut ends = events(&mut network, 12_000);
    ends.sort_by_key(|(node, _)| *node);
    assert_eq!(
        ends,
        [
            closed(A, ConnId::Opened(1), false),
            closed(A, ConnId::Opened(2), false),
            closed(B, ConnId::Accepted(1), false)
        ]
    );
}

#[test]
fn a_cut_that_heals_keeps_the_order() {
    let mut network = connected();
    network.cut(at(1000), A, B);
    for (byte, millis) in [(1, 1001), (2, 1500), (3, 1999)] {
        // The last one is still on its way when the cut heals.
        send(&mut network, millis, A, ConnId::Opened(1), byte);
        assert_eq!(events(&mut network, millis), []);
    }
    network.heal(at(2000), A, B);
    assert_eq!(payloads(&events(&mut network, 3000)), [1, 2, 3]);
}

#[test]
fn shutting_down_delivers_first() {
    let mut network = connected();
    send(&mut network, 1000, A, ConnId::Opened(1), 1);
    network.command(
        at(1000),
        A,
        NetCommand::Shutdown {
            conn: ConnId::Opened(1),
        },
    );
    let events = events(&mut network, 2000);
    assert_eq!(payloads(&events[..1]), [1]);
    let conn = ConnId::Accepted(1);
    assert_eq!(events[1], (B, NetEvent::PeerShutdown { conn }));
    assert_eq!(events[2..], [closed(A, ConnId::Opened(1), true), closed(B, conn, true)]);
}

#[test]
fn aborting_tells_the_peer_only() {
    let mut network = connected();
    send(&mut network, 1000, A, ConnId::Opened(1), 1);
    network.command(
        at(1000),
        A,
        NetCommand::Abort {
            conn: ConnId::Opened(1),
        },
    );
    assert_eq!(events(&mut network, 2000), [closed(B, ConnId::Accepted(1), false)]);
}

#[test]
fn an_abort_behind_a_cut_is_found_out_by_heartbeats() {
    let mut network = connected();
    network.cut(at(1000), A, B);
    network.command(
        at(1000),
        A,
        NetCommand::Abort {
            conn: ConnId::Opened(1),
        },
    );
    assert_eq!(events(&mut network, 2000), []);
    network.heal(at(2000), A, B);
    assert_eq!(events(&mut network, 4000), [closed(B, ConnId::Accepted(1), false)]);
}

#[test]
fn nobody_at_an_address_is_a_failed_set_up() {
    let mut network = network();
    connect(&mut network, 0, 1, A, NodeId(7));
    network.stop(at(0), B, Death::Crashed);
    connect(&mut network, 0, 2, A, B);
    let failures = events(&mut network, 5000);
    assert_eq!(failures.len(), 2);
    for number in [1, 2] {
        assert!(failures.contains(&closed(A, ConnId::Opened(number), false)));
    }
}

#[test]
fn datagrams_reach_the_members_of_a_group() {
    let mut network = network();
    let group = GROUP.parse().unwrap();
    network.command(at(0), B, NetCommand::JoinGroup { group });
    network.command(
        at(0),
        A,
        NetCommand::SendDatagram {
            group,
            payload: vec![1].into(),
        },
    );
    let source = "10.0.0.1:5000".parse().unwrap();
    let payload = vec![1].into();
    assert_eq!(
        events(&mut network, 100),
        [(B, NetEvent::Datagram { group, source, payload })]
    );
}
