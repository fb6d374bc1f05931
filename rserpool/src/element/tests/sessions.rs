use std::net::SocketAddr;

use super::*;

#[test]
fn rfc5352_5_data_and_control_share_an_association() {
    let (mut bench, _) = Bench::registered(config(PolicyParam::RoundRobin));
    let conn = bench.user(0);
    assert_eq!(bench.events(), []);
    bench.handle(asap(
        conn,
        &AsapMessage::CookieEcho {
            cookie: cookie("state"),
        },
    ));
    bench.handle(data(conn, "ping"));
    let session = SessionId(0);
    let expected = [
        ElementEvent::SessionStarted {
            session,
            peer: host(101),
        },
        ElementEvent::CookieEchoed {
            session,
            cookie: cookie("state"),
        },
        ElementEvent::Message {
            session,
            stream: STREAM,
            ppid: Ppid(33),
            payload: Bytes::from_static(b"ping"),
        },
    ];
    assert_eq!(bench.events(), expected);
    bench
        .element
        .send(session, STREAM, Ppid(33), Bytes::from_static(b"pong"))
        .unwrap();
    bench.element.send_cookie(session, cookie("new state")).unwrap();
    let cookie = AsapMessage::Cookie {
        cookie: cookie("new state"),
    };
    assert_eq!(bench.did(), [Did::Data(conn, "pong"), Did::Asap(conn, cookie)]);
    bench.handle(NetEvent::Congestion { conn, congested: true });
    assert_eq!(
        bench.events(),
        [ElementEvent::Congestion {
            session,
            congested: true
        }]
    );
}

#[test]
fn sessions_end_by_either_side() {
    let (mut bench, _) = Bench::registered(config(PolicyParam::RoundRobin));
    let conns: Vec<ConnId> = (0..4).map(|n| bench.user(n)).collect();
    for conn in &conns {
        bench.handle(data(*conn, "x"));
    }
    bench.events();
    bench.handle(NetEvent::PeerShutdown { conn: conns[0] });
    bench.handle(NetEvent::Closed {
        conn: conns[0],
        graceful: true,
    });
    bench.handle(closed(conns[1]));
    let ended = |n, end| ElementEvent::SessionEnded {
        session: SessionId(n),
        end,
    };
    assert_eq!(
        bench.events(),
        [ended(0, SessionEnd::Graceful), ended(1, SessionEnd::Lost)]
    );
    bench.element.end_session(SessionId(2)).unwrap();
    bench.element.abort_session(SessionId(3)).unwrap();
    assert_eq!(bench.did(), [Did::Shutdown(conns[2]), Did::Abort(conns[3])]);
    bench.handle(data(conns[2], "late"));
    bench.handle(closed(conns[2]));
    assert_eq!(bench.events(), []);
    for n in 0..4 {
        let sent = bench
            .element
            .send(SessionId(n), STREAM, Ppid(33), Bytes::from_static(b"x"));
        assert_eq!(sent, Err(NoSuchSession));
    }
    assert_eq!(bench.did(), []);
}

#[test]
fn a_silent_peer_is_a_user_who_waits_for_the_service_to_speak() {
    let (mut bench, _) = Bench::registered(config(PolicyParam::RoundRobin));
    let silent = bench.user(0);
    bench.pass(ms(99));
    assert_eq!(bench.events(), []);
    bench.pass(ms(1));
    assert!(matches!(bench.events()[..], [ElementEvent::SessionStarted { .. }]));
    // A registrar whose words came late: it is answered, and what was taken for a session ends.
    bench.handle(asap(silent, &keep_alive(false, 8, pool(), Some(PE))));
    assert_eq!(bench.did(), [ack(silent)]);
    assert!(matches!(bench.events()[..], [ElementEvent::SessionEnded { .. }]));
}

#[test]
fn a_peer_at_a_registrars_address_is_no_user() {
    let (mut bench, _) = Bench::registered(config(PolicyParam::RoundRobin));
    let announce = AsapMessage::ServerAnnounce {
        server: RegistrarId::new(7),
        transports: Vec::new(),
    };
    bench.handle(NetEvent::Datagram {
        group: ANNOUNCE_GROUP,
        source: SocketAddr::new(host(2).addresses[0], host(2).port),
        payload: announce.encode(),
    });
    bench.handle(connected(ConnId::Accepted(0), 2));
    bench.pass(Duration::from_secs(10));
    assert_eq!(bench.events(), []);
}

#[test]
fn rfc5352_3_8_a_cookie_echo_is_the_first_control_message_of_a_session() {
    let (mut bench, _) = Bench::registered(config(PolicyParam::RoundRobin));
    let conn = bench.user(0);
    let echo = AsapMessage::CookieEcho { cookie: cookie("a") };
    // Data on another stream may overtake it.
    bench.handle(data(conn, "x"));
    bench.handle(asap(conn, &echo));
    bench.events();
    bench.handle(asap(conn, &echo));
    assert_eq!(bench.did(), [Did::Abort(conn)]);
    let ended = ElementEvent::SessionEnded {
        session: SessionId(0),
        end: SessionEnd::Lost,
    };
    assert_eq!(bench.events(), [ended]);
}

#[test]
fn control_messages_that_make_no_sense_start_no_session() {
    let (mut bench, _) = Bench::registered(config(PolicyParam::RoundRobin));
    let conn = bench.user(0);
    let deregistration = AsapMessage::Deregistration {
        pool: pool(),
        pe: pe(PE),
    };
    bench.handle(asap(conn, &deregistration));
    bench.handle(raw(conn, PPID_ASAP, Bytes::from_static(&[0, 0])));
    bench.handle(raw(conn, PPID_ASAP, Bytes::from_static(&[0x41, 0, 0, 4])));
    assert_eq!(bench.events(), []);
    // What cannot be read, and what asks for a report, is reported.
    let errors = bench
        .did()
        .into_iter()
        .filter(|did| matches!(did, Did::Asap(_, AsapMessage::Error { .. })));
    assert_eq!(errors.count(), 2);
}

#[test]
fn sessions_and_peers_are_bounded() {
    let mut config = config(PolicyParam::RoundRobin);
    config.set_max_sessions(2);
    let (mut bench, _) = Bench::registered(config);
    for n in 0..3 {
        let conn = bench.user(n);
        bench.handle(data(conn, "x"));
    }
    assert_eq!(bench.did(), [Did::Abort(ConnId::Accepted(2))]);
    let started = |event: &&ElementEvent| matches!(event, ElementEvent::SessionStarted { .. });
    assert_eq!(bench.events().iter().filter(started).count(), 2);
    // Peers that say nothing are bounded, too.
    for n in 3..1000 {
        bench.user(n);
    }
    assert_eq!(bench.element.peers.len(), 2 + MAX_REGISTRARS);
}

#[test]
fn stopping_ends_all_associations() {
    let (mut bench, home) = Bench::registered(config(PolicyParam::RoundRobin));
    let user = bench.user(0);
    bench.element.stop();
    assert_eq!(bench.did(), [Did::Shutdown(user), Did::Shutdown(home)]);
}
