use bytes::Bytes;
use sctp::serial::Ppid;

use super::*;
use crate::config::ANNOUNCE_GROUP;
use crate::testing::{Did, asap, at, closed, connected, data, drain, element, host, ms, pe, pool, raw};
use crate::wire::cause::CauseCode;

/// A link, what it sends, and the time.
struct Bench {
    link: RegistrarLink,
    out: Outbox,
    now: Instant,
}

impl Bench {
    /// A started link that knows the registrars on these hosts.
    fn new(hosts: &[u8]) -> Self {
        Self::with(hosts, |_| {})
    }

    fn with(hosts: &[u8], change: impl FnOnce(&mut EndpointConfig)) -> Self {
        let mut config = EndpointConfig::default();
        for n in hosts {
            config.add_registrar(host(*n)).unwrap();
        }
        change(&mut config);
        let mut bench = Self {
            link: RegistrarLink::new(Arc::new(config), Random::from_number(1)),
            out: Outbox::default(),
            now: at(0),
        };
        bench.link.start(bench.now, &mut bench.out);
        bench
    }

    fn did(&mut self) -> Vec<Did> {
        drain(|| self.out.pop())
    }

    /// The associations that it opens, and to which hosts.
    fn connects(&mut self) -> Vec<(ConnId, u8)> {
        let did = self.did().into_iter();
        did.filter_map(|did| match did {
            Did::Connect(conn, place) => match place.addresses[0] {
                std::net::IpAddr::V4(ip) => Some((conn, ip.octets()[3])),
                std::net::IpAddr::V6(_) => None,
            },
            _ => None,
        })
        .collect()
    }

    fn handle(&mut self, event: NetEvent) {
        self.link.handle(self.now, event, &mut self.out);
    }

    fn events(&mut self) -> Vec<LinkEvent> {
        std::iter::from_fn(|| self.link.poll_event()).collect()
    }

    /// Lets time pass, timer by timer.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.link.poll_timeout().filter(|at| *at <= end) {
            assert!(at >= self.now, "a timer in the past");
            self.now = at;
            self.link.handle_timeout(at, &mut self.out);
        }
        self.now = end;
    }

    /// With the registrar on host 1 found; its association.
    fn settled() -> (Self, ConnId) {
        let mut bench = Self::new(&[1]);
        let [(conn, 1)] = bench.connects()[..] else { panic!() };
        bench.handle(connected(conn, 1));
        assert_eq!(bench.events(), [LinkEvent::Up]);
        (bench, conn)
    }

    fn resolve(&mut self) -> RequestId {
        let request = Request::Resolve {
            pool: pool(),
            items: None,
        };
        self.link.request(self.now, request, &mut self.out).unwrap()
    }
}

use std::time::Duration;

fn resolution() -> AsapMessage {
    AsapMessage::HandleResolution {
        pool: pool(),
        subscribe: false,
        items: None,
    }
}

fn response(elements: &[u8]) -> AsapMessage {
    AsapMessage::HandleResolutionResponse {
        pool: pool(),
        updates: false,
        policy: None,
        elements: elements.iter().map(|n| element(*n)).collect(),
        error: None,
    }
}

fn announce(from: u8) -> NetEvent {
    let message = AsapMessage::ServerAnnounce {
        server: RegistrarId::new(from.into()),
        transports: Vec::new(),
    };
    NetEvent::Datagram {
        group: ANNOUNCE_GROUP,
        source: std::net::SocketAddr::new(host(from).addresses[0], 5000),
        payload: message.encode(),
    }
}

#[test]
fn rfc5352_3_6_sh1_at_most_three_registrars_are_tried_at_a_time() {
    let mut bench = Bench::new(&[1, 2, 3, 4, 5]);
    let first = bench.connects();
    assert_eq!(first.len(), 3);
    // SH4: when one fails, a different one is tried.
    bench.handle(closed(first[0].0));
    let next = bench.connects();
    assert_eq!(next.len(), 1);
    assert!(first.iter().all(|(_, n)| *n != next[0].1));
}

#[test]
fn rfc5352_3_6_sh6_the_first_that_answers_wins() {
    let mut bench = Bench::new(&[1, 2, 3]);
    let tried = bench.connects();
    let (winner, n) = tried[1];
    bench.handle(connected(winner, n));
    assert_eq!(bench.events(), [LinkEvent::Up]);
    assert_eq!(bench.did(), [Did::Abort(tried[0].0), Did::Abort(tried[2].0)]);
    // SH3: T5 is stopped.
    assert_eq!(bench.link.poll_timeout(), None);
}

#[test]
fn rfc5352_3_6_sh5_t5_doubles_up_to_retran_max_and_others_are_tried() {
    let mut bench = Bench::new(&[1, 2, 3, 4, 5, 6]);
    let mut last = bench.connects();
    for seconds in [10, 20, 40, 60, 60] {
        bench.pass(Duration::from_secs(seconds) - ms(1));
        assert_eq!(bench.did(), []);
        bench.pass(ms(1));
        let did = bench.did();
        assert_eq!(
            did[..3],
            [Did::Abort(last[0].0), Did::Abort(last[1].0), Did::Abort(last[2].0)]
        );
        let now: Vec<(ConnId, SctpAddress)> = did[3..]
            .iter()
            .map(|did| match did {
                Did::Connect(conn, place) => (*conn, place.clone()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(now.len(), 3);
        assert!(
            now.iter()
                .all(|(_, place)| last.iter().all(|(_, n)| *place != host(*n))),
            "a different set"
        );
        let number = |place: &SctpAddress| (1..=6).find(|n| host(*n) == *place).unwrap();
        last = now.iter().map(|(conn, place)| (*conn, number(place))).collect();
    }
}

#[test]
fn registrars_that_refuse_are_tried_again_after_a_pause_that_grows() {
    let mut bench = Bench::new(&[1]);
    let [(mut conn, 1)] = bench.connects()[..] else {
        panic!()
    };
    for pause in [1000, 2000, 4000] {
        bench.handle(closed(conn));
        bench.pass(ms(pause - 1));
        assert_eq!(bench.did(), []);
        bench.pass(ms(1));
        let [(again, 1)] = bench.connects()[..] else { panic!() };
        conn = again;
    }
}

#[test]
fn rfc5352_3_6_an_announced_registrar_is_tried_at_once() {
    let mut bench = Bench::new(&[]);
    assert_eq!(bench.did(), [Did::Join]);
    bench.handle(announce(7));
    // At the source port, and at the port of ASAP.
    let tried = bench.connects();
    assert_eq!(tried.len(), 2);
    bench.handle(announce(7));
    assert_eq!(bench.connects(), []);
    // Both fail; the announce a while later shows that it is worth another attempt.
    bench.handle(closed(tried[0].0));
    bench.handle(closed(tried[1].0));
    bench.handle(announce(7));
    assert_eq!(bench.connects(), []);
    bench.pass(ms(999));
    bench.now = at(1000);
    bench.handle(announce(7));
    assert_eq!(bench.connects().len(), 2);
}

#[test]
fn the_identifier_in_an_announce_is_the_home_registrars() {
    let mut bench = Bench::new(&[]);
    bench.handle(announce(7));
    let (conn, _) = bench.connects()[0];
    bench.handle(connected(conn, 7));
    // The first place in order is the one with the lower port, that of ASAP; the announce covers both.
    assert_eq!(bench.link.home_server(), RegistrarId::new(7));
}

#[test]
fn datagrams_that_are_no_announce_are_ignored() {
    let mut bench = Bench::new(&[]);
    bench.did();
    for payload in [Bytes::new(), Bytes::from_static(&[1, 2, 3]), response(&[1]).encode()] {
        bench.handle(NetEvent::Datagram {
            group: ANNOUNCE_GROUP,
            source: "192.0.2.9:1".parse().unwrap(),
            payload,
        });
    }
    assert_eq!((bench.did(), bench.events()), (vec![], vec![]));
}

#[test]
fn rfc5352_3_3_nr3_requests_wait_for_a_registrar_and_are_answered_in_order() {
    let mut bench = Bench::new(&[1]);
    let [(conn, 1)] = bench.connects()[..] else { panic!() };
    let (first, second) = (bench.resolve(), bench.resolve());
    assert_eq!(bench.did(), []);
    bench.handle(connected(conn, 1));
    assert_eq!(
        bench.did(),
        [Did::Asap(conn, resolution()), Did::Asap(conn, resolution())]
    );
    bench.handle(asap(conn, &response(&[1])));
    bench.handle(asap(conn, &response(&[2])));
    let resolved = |request, n| LinkEvent::Answered {
        request,
        answer: Answer::Resolved {
            policy: None,
            elements: vec![element(n)],
        },
    };
    assert_eq!(bench.events(), [LinkEvent::Up, resolved(first, 1), resolved(second, 2)]);
    // An answer that nobody waits for is late, no offence.
    bench.handle(asap(conn, &response(&[3])));
    assert_eq!((bench.did(), bench.events()), (vec![], vec![]));
}

#[test]
fn answers_are_matched_by_kind_and_pool() {
    let (mut bench, conn) = Bench::settled();
    let resolve = bench.resolve();
    let register = Request::Register {
        pool: pool(),
        element: element(1),
    };
    let register = bench.link.request(bench.now, register, &mut bench.out).unwrap();
    bench.did();
    let registered = |id| AsapMessage::RegistrationResponse {
        pool: pool(),
        pe: pe(id),
        reject: false,
        error: None,
    };
    bench.handle(asap(conn, &registered(9)));
    assert_eq!(bench.events(), []);
    bench.handle(asap(conn, &registered(1)));
    bench.handle(asap(conn, &response(&[])));
    let requests: Vec<RequestId> = bench
        .events()
        .into_iter()
        .map(|event| match event {
            LinkEvent::Answered { request, .. } => request,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(requests, [register, resolve]);
}

#[test]
fn rfc5352_3_7_2_a_silent_registrar_is_given_up_and_the_request_repeated() {
    let mut bench = Bench::new(&[1, 2]);
    let request = bench.resolve();
    let mut tried = bench.connects();
    for attempt in 0..3 {
        let (conn, n) = tried[0];
        bench.handle(connected(conn, n));
        assert!(
            bench.did().contains(&Did::Asap(conn, resolution())),
            "attempt {attempt}"
        );
        // T1.
        bench.pass(Duration::from_secs(15));
        let did = bench.did();
        assert_eq!(did[0], Did::Abort(conn));
        // The other one is tried first.
        let Did::Connect(next, place) = &did[1] else {
            panic!("{did:?}")
        };
        assert_ne!(*place, host(n));
        tried = vec![(*next, if n == 1 { 2 } else { 1 })];
    }
    // MAX-REQUEST-RETRANSMIT.
    let answered = LinkEvent::Answered {
        request,
        answer: Answer::Silence,
    };
    assert_eq!(bench.events().iter().filter(|event| **event == answered).count(), 1);
}

#[test]
fn without_a_registrar_a_resolution_is_given_up_and_a_registration_is_not() {
    let mut bench = Bench::new(&[]);
    let resolve = bench.resolve();
    let register = Request::Register {
        pool: pool(),
        element: element(1),
    };
    bench.link.request(bench.now, register, &mut bench.out).unwrap();
    bench.pass(Duration::from_secs(44));
    assert_eq!(bench.events(), []);
    bench.pass(Duration::from_secs(10_000));
    let answered = LinkEvent::Answered {
        request: resolve,
        answer: Answer::NoRegistrar,
    };
    assert_eq!(bench.events(), [answered]);
}

#[test]
fn rfc5352_3_7_1_a_lost_registrar_is_replaced_and_what_waits_is_repeated() {
    let (mut bench, conn) = Bench::settled();
    bench.pass(Duration::from_secs(60));
    bench.resolve();
    bench.did();
    bench.handle(closed(conn));
    assert_eq!(bench.events(), [LinkEvent::Down(conn)]);
    let [(again, 1)] = bench.connects()[..] else { panic!() };
    bench.handle(connected(again, 1));
    assert_eq!(bench.did(), [Did::Asap(again, resolution())]);
    assert_eq!(bench.events(), [LinkEvent::Up]);
}

#[test]
fn a_registrar_that_shuts_down_is_left_at_once() {
    let (mut bench, conn) = Bench::settled();
    bench.pass(Duration::from_secs(60));
    bench.handle(NetEvent::PeerShutdown { conn });
    assert_eq!(bench.events(), [LinkEvent::Down(conn)]);
    assert_eq!(bench.connects().len(), 1);
}

#[test]
fn a_registrar_that_turns_away_at_once_does_not_keep_the_link_busy() {
    let mut bench = Bench::new(&[1, 2]);
    let mut tried = bench.connects();
    let mut connects = 0;
    while bench.now < at(60_000) {
        let (conn, n) = tried[0];
        bench.handle(connected(conn, n));
        bench.handle(closed(conn));
        bench.did();
        while tried.is_empty() || tried[0].0 == conn {
            let next = bench.link.poll_timeout().unwrap();
            bench.pass(next - bench.now);
            tried = bench.connects();
        }
        connects += 1;
    }
    assert!(connects < 20, "{connects} attempts in a minute");
}

#[test]
fn a_registrar_that_breaks_the_protocol_is_given_up() {
    let wrong: Vec<(bool, NetEvent)> = {
        let (_, conn) = Bench::settled();
        let unspecified = AsapMessage::Error {
            error: CauseCode::UNSPECIFIED.into(),
        };
        let registration = AsapMessage::Registration {
            pool: pool(),
            element: element(1),
        };
        vec![
            (false, data(conn, "not ASAP")),
            (false, asap(conn, &registration)),
            // With a request under way, these mean that it will not be answered.
            (true, asap(conn, &unspecified)),
            (true, raw(conn, PPID_ASAP, Bytes::from_static(&[6, 0, 0, 4]))),
            (true, raw(conn, PPID_ASAP, Bytes::from_static(&[6, 0]))),
        ]
    };
    for (only_when_waiting, event) in wrong {
        let (mut bench, conn) = Bench::settled();
        if only_when_waiting {
            bench.handle(event.clone());
            assert_eq!(bench.events(), [], "{event:?}");
            bench.resolve();
        }
        bench.handle(event.clone());
        assert_eq!(bench.events(), [LinkEvent::Down(conn)], "{event:?}");
        assert!(bench.did().contains(&Did::Abort(conn)), "{event:?}");
    }
}

#[test]
fn rfc5352_2_2_14_what_is_unknown_is_reported_as_its_type_asks() {
    let (mut bench, conn) = Bench::settled();
    // An unknown message with "report".
    bench.handle(raw(conn, PPID_ASAP, Bytes::from_static(&[0x41, 0, 0, 4])));
    // An unknown parameter with "skip and report", in a keep-alive.
    let mut keep_alive = AsapMessage::EndpointKeepAlive {
        home: false,
        server: RegistrarId::new(5),
        pool: pool(),
        pe: None,
    }
    .encode()
    .to_vec();
    keep_alive.extend([0xc0, 0x99, 0, 4]);
    keep_alive[3] += 4;
    bench.handle(raw(conn, PPID_ASAP, keep_alive.into()));
    let codes: Vec<CauseCode> = bench
        .did()
        .into_iter()
        .map(|did| match did {
            Did::Asap(_, AsapMessage::Error { error }) => error.code(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        codes,
        [CauseCode::UNRECOGNIZED_MESSAGE, CauseCode::UNRECOGNIZED_PARAMETER]
    );
    // It still counts, and says who the registrar is.
    assert_eq!(bench.events().len(), 1);
    assert_eq!(bench.link.home_server(), RegistrarId::new(5));
}

#[test]
fn rfc5352_3_5_reports_wait_for_a_registrar_once_each_and_bounded() {
    let mut bench = Bench::new(&[1]);
    let [(conn, 1)] = bench.connects()[..] else { panic!() };
    for id in [1, 1, 2] {
        bench.link.report_unreachable(pool(), pe(id), &mut bench.out);
    }
    bench.handle(connected(conn, 1));
    let report = |id| {
        Did::Asap(
            conn,
            AsapMessage::EndpointUnreachable {
                pool: pool(),
                pe: pe(id),
            },
        )
    };
    assert_eq!(bench.did(), [report(1), report(2)]);

    let mut bench = Bench::new(&[1]);
    for id in 1..=1000 {
        bench.link.report_unreachable(pool(), pe(id), &mut bench.out);
    }
    assert_eq!(bench.link.reports.len(), MAX_REPORTS);
}

#[test]
fn requests_are_bounded() {
    let mut bench = Bench::new(&[]);
    let request = || Request::Resolve {
        pool: pool(),
        items: None,
    };
    let taken = (0..5000)
        .filter(|_| bench.link.request(at(0), request(), &mut bench.out).is_some())
        .count();
    assert_eq!(taken, 1024);
}

#[test]
fn messages_of_strangers_are_given_back() {
    let (mut bench, _) = Bench::settled();
    let stranger = ConnId::Accepted(3);
    for event in [
        data(stranger, "x"),
        closed(stranger),
        connected(stranger, 9),
        raw(stranger, Ppid(1), Bytes::new()),
    ] {
        assert_eq!(bench.link.handle(at(0), event.clone(), &mut bench.out), Some(event));
    }
}
