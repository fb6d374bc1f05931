use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::asap::RequestId;
use crate::config::ANNOUNCE_GROUP;
use crate::ids::PoolHandle;
use crate::service::{Replies, Service, ServiceMessage};
use crate::testing::{Did, asap, at, closed, connected, data, drain, host, ms, pe, pool, raw};
use crate::wire::cause::{Cause, CauseCode};
use crate::wire::element::{LifeUnit, PoolElementParam, RegistrationLife};
use crate::wire::transport::{SctpTransport, TransportUse};

/// Host 100 is the element's own; registrars are on hosts below 100, users above.
const OWN: u8 = 100;
const PE: u32 = 0x1234;
const STREAM: StreamId = StreamId(0);

struct Bench {
    element: PoolElement,
    now: Instant,
}

fn config(policy: PolicyParam) -> ElementConfig {
    let mut config = ElementConfig::new(pool(), policy);
    config.set_pe_id(Some(pe(PE)));
    config
}

fn endpoint() -> EndpointConfig {
    let mut endpoint = EndpointConfig::default();
    endpoint.add_registrar(host(1)).unwrap();
    endpoint
}

fn user_transport() -> SctpTransport {
    SctpTransport::new(&host(OWN), TransportUse::DataPlusControl)
}

impl Bench {
    fn with(config: ElementConfig, endpoint: EndpointConfig) -> Self {
        let mut bench = Self {
            element: PoolElement::new(config, endpoint, user_transport(), [1; 32]),
            now: at(0),
        };
        bench.element.start(bench.now);
        bench
    }

    fn new() -> Self {
        Self::with(config(PolicyParam::RoundRobin), endpoint())
    }

    fn did(&mut self) -> Vec<Did> {
        drain(|| self.element.poll_command())
    }

    fn events(&mut self) -> Vec<ElementEvent> {
        std::iter::from_fn(|| self.element.poll_event()).collect()
    }

    fn handle(&mut self, event: NetEvent) {
        self.element.handle(self.now, event);
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.element.poll_timeout().filter(|at| *at <= end) {
            assert!(at >= self.now, "a timer in the past");
            self.now = at;
            self.element.handle_timeout(at);
        }
        self.now = end;
    }

    /// Lets the registrar that is sought be found on host 1, and yields the registration that it gets.
    fn find_registrar(&mut self) -> (ConnId, PoolElementParam) {
        let did = self.did();
        let conn = did.iter().find_map(|did| match did {
            Did::Connect(conn, _) => Some(*conn),
            _ => None,
        });
        let conn = conn.unwrap_or_else(|| panic!("no search: {did:?}"));
        self.handle(connected(conn, 1));
        (conn, self.registration(conn))
    }

    /// The registration that was just sent, and nothing else.
    fn registration(&mut self, on: ConnId) -> PoolElementParam {
        match &self.did()[..] {
            [Did::Asap(conn, AsapMessage::Registration { pool: p, element })] if *conn == on && *p == pool() => {
                element.clone()
            }
            other => panic!("{other:?}"),
        }
    }

    fn answer(&mut self, conn: ConnId, element: PeId, error: Option<Cause>) {
        let reject = error.is_some();
        let error = error.map(OperationError::from);
        let response = AsapMessage::RegistrationResponse {
            pool: pool(),
            pe: element,
            reject,
            error,
        };
        self.handle(asap(conn, &response));
    }

    /// Registered at a registrar on host 1; its association.
    fn registered(config: ElementConfig) -> (Self, ConnId) {
        let mut bench = Self::with(config, endpoint());
        let (conn, element) = bench.find_registrar();
        bench.answer(conn, element.id, None);
        let registered = ElementEvent::Registered {
            pe: element.id,
            again: false,
            warning: None,
        };
        assert_eq!(bench.events(), [registered]);
        (bench, conn)
    }

    /// A user on host 101 comes; its association.
    fn user(&mut self, number: u64) -> ConnId {
        let conn = ConnId::Accepted(number);
        self.handle(connected(conn, 101));
        conn
    }
}

fn keep_alive(home: bool, server: u32, pool: PoolHandle, element: Option<u32>) -> AsapMessage {
    AsapMessage::EndpointKeepAlive {
        home,
        server: RegistrarId::new(server),
        pool,
        pe: element.map(pe),
    }
}

fn ack(conn: ConnId) -> Did {
    Did::Asap(
        conn,
        AsapMessage::EndpointKeepAliveAck {
            pool: pool(),
            pe: pe(PE),
        },
    )
}

fn cookie(text: &'static str) -> Cookie {
    Cookie::new(text).unwrap()
}

#[test]
fn rfc5352_3_1_an_element_registers_with_the_registrar_it_finds() {
    let mut bench = Bench::new();
    let (conn, element) = bench.find_registrar();
    let expected = PoolElementParam {
        id: pe(PE),
        home: None,
        life: RegistrationLife(300),
        user_transport: user_transport().into(),
        policy: PolicyParam::RoundRobin,
        asap_transport: None,
    };
    assert_eq!(element, expected);
    assert!(!bench.element.is_registered());
    let warning = OperationError::from(CauseCode::UNSPECIFIED);
    let response = AsapMessage::RegistrationResponse {
        pool: pool(),
        pe: pe(PE),
        reject: false,
        error: Some(warning.clone()),
    };
    bench.handle(asap(conn, &response));
    let registered = ElementEvent::Registered {
        pe: pe(PE),
        again: false,
        warning: Some(warning),
    };
    assert_eq!(bench.events(), [registered]);
    assert!(bench.element.is_registered());
}

#[test]
fn rsplib_gets_the_life_in_milliseconds_if_wanted() {
    let mut config = config(PolicyParam::RoundRobin);
    config.set_life_unit(LifeUnit::Milliseconds);
    let (_, element) = Bench::with(config, endpoint()).find_registrar();
    assert_eq!(element.life, RegistrationLife(300_000));
}

#[test]
fn rfc5352_3_1_t4_renews_the_registration() {
    let (mut bench, conn) = Bench::registered(config(PolicyParam::RoundRobin));
    for _ in 0..3 {
        bench.pass(Duration::from_secs(280) - ms(1));
        assert_eq!(bench.did(), []);
        bench.pass(ms(1));
        assert_eq!(bench.registration(conn).id, pe(PE));
        bench.answer(conn, pe(PE), None);
        assert!(matches!(
            bench.events()[..],
            [ElementEvent::Registered { again: true, .. }]
        ));
    }
}

#[test]
fn rfc5352_3_1_without_answer_another_registrar_gets_the_registration() {
    let mut bench = Bench::new();
    let (conn, _) = bench.find_registrar();
    // T2.
    bench.pass(Duration::from_secs(30));
    let did = bench.did();
    assert_eq!(did[0], Did::Abort(conn));
    let Did::Connect(again, _) = did[1] else {
        panic!("{did:?}")
    };
    assert_eq!(bench.events(), [ElementEvent::RegistrarLost]);
    bench.handle(connected(again, 1));
    bench.registration(again);
    // MAX-REG-ATTEMPT: the application hears of it, and attempts go on.
    bench.pass(Duration::from_secs(30));
    let failed = ElementEvent::RegistrationFailed {
        reason: RegistrationFailure::NoAnswer,
    };
    assert_eq!(bench.events(), [failed, ElementEvent::RegistrarLost]);
    let (conn, _) = bench.find_registrar();
    bench.answer(conn, pe(PE), None);
    assert!(bench.element.is_registered());
}

#[test]
fn rfc5352_3_6_a_lost_registrar_means_to_register_anew() {
    let (mut bench, conn) = Bench::registered(config(PolicyParam::RoundRobin));
    bench.pass(Duration::from_secs(60));
    bench.handle(closed(conn));
    assert_eq!(bench.events(), [ElementEvent::RegistrarLost]);
    assert!(!bench.element.is_registered());
    // The same registrar, restarted, knows nothing.
    let (conn, _) = bench.find_registrar();
    bench.answer(conn, pe(PE), None);
    assert!(matches!(
        bench.events()[..],
        [ElementEvent::Registered { again: false, .. }]
    ));
}

#[test]
fn rfc5352_3_1_a_refused_registration_is_not_repeated_without_correction() {
    let mut bench = Bench::new();
    let (conn, _) = bench.find_registrar();
    let cause = Cause::inconsistent_policy(&PolicyParam::Random);
    bench.answer(conn, pe(PE), Some(cause.clone()));
    let failed = ElementEvent::RegistrationFailed {
        reason: RegistrationFailure::Refused(Some(cause.into())),
    };
    assert_eq!(bench.events(), [failed]);
    bench.element.set_load(bench.now, 7);
    bench.pass(Duration::from_secs(3600));
    assert_eq!(bench.did(), []);
    bench.element.set_policy(bench.now, PolicyParam::Random);
    bench.pass(ms(100));
    assert_eq!(bench.registration(conn).policy, PolicyParam::Random);
}

#[test]
fn rfc5354_3_12_5_a_random_identifier_that_is_taken_is_drawn_anew() {
    let mut bench = Bench::with(ElementConfig::new(pool(), PolicyParam::RoundRobin), endpoint());
    let (conn, first) = bench.find_registrar();
    bench.answer(conn, first.id, Some(CauseCode::NON_UNIQUE_PE_IDENTIFIER.into()));
    bench.pass(ms(100));
    let second = bench.registration(conn);
    assert_ne!(second.id, first.id);
    assert_eq!(bench.element.pe_id(), second.id);
    // A registrar that refuses all of them is not asked for ever.
    let mut asked = 0;
    let mut id = second.id;
    while bench.events().is_empty() {
        bench.answer(conn, id, Some(CauseCode::NON_UNIQUE_PE_IDENTIFIER.into()));
        bench.pass(ms(100));
        id = bench.element.pe_id();
        asked += 1;
    }
    assert_eq!(asked, 16);
}

#[test]
fn a_given_identifier_that_is_taken_is_reported() {
    let mut bench = Bench::new();
    let (conn, _) = bench.find_registrar();
    bench.answer(conn, pe(PE), Some(CauseCode::NON_UNIQUE_PE_IDENTIFIER.into()));
    assert!(matches!(bench.events()[..], [ElementEvent::RegistrationFailed { .. }]));
}

#[test]
fn rfc5352_6_5_2_a_changed_load_is_told_by_registering_again() {
    let percent = u32::MAX / 100;
    let (mut bench, conn) = Bench::registered(config(PolicyParam::LeastUsed { load: 0 }));
    bench.pass(ms(1000));
    bench.element.set_load(bench.now, percent - 1);
    bench.pass(ms(1000));
    assert_eq!(bench.did(), []);
    // Changes in quick succession are told together.
    for load in [10, 20, 30] {
        bench.element.set_load(bench.now, load * percent);
    }
    bench.pass(ms(0));
    assert_eq!(
        bench.registration(conn).policy,
        PolicyParam::LeastUsed { load: 30 * percent }
    );
    bench.element.set_load(bench.now, 40 * percent);
    bench.pass(ms(1000));
    assert_eq!(bench.did(), [], "the last one is not answered yet");
    bench.answer(conn, pe(PE), None);
    bench.pass(ms(0));
    assert_eq!(
        bench.registration(conn).policy,
        PolicyParam::LeastUsed { load: 40 * percent }
    );
    bench.answer(conn, pe(PE), None);
    bench.element.set_load(bench.now, 50 * percent);
    bench.pass(ms(99));
    assert_eq!(bench.did(), []);
    bench.pass(ms(1));
    assert_eq!(
        bench.registration(conn).policy,
        PolicyParam::LeastUsed { load: 50 * percent }
    );
}

#[test]
fn the_end_of_all_load_is_told_however_small_it_was() {
    let (mut bench, conn) = Bench::registered(config(PolicyParam::LeastUsed { load: 5 }));
    bench.pass(ms(1000));
    bench.element.set_load(bench.now, 0);
    bench.pass(ms(0));
    assert_eq!(bench.registration(conn).policy, PolicyParam::LeastUsed { load: 0 });
}

#[test]
fn rfc5352_3_2_an_element_deregisters() {
    let (mut bench, conn) = Bench::registered(config(PolicyParam::RoundRobin));
    bench.element.deregister(bench.now);
    let deregistration = AsapMessage::Deregistration {
        pool: pool(),
        pe: pe(PE),
    };
    assert_eq!(bench.did(), [Did::Asap(conn, deregistration)]);
    assert_eq!(bench.events(), []);
    let response = AsapMessage::DeregistrationResponse {
        pool: pool(),
        pe: pe(PE),
        error: None,
    };
    bench.handle(asap(conn, &response));
    assert_eq!(bench.events(), [ElementEvent::Deregistered { confirmed: true }]);
    bench.pass(Duration::from_secs(3600));
    assert_eq!(bench.did(), []);
}

#[test]
fn rfc5352_3_2_a_deregistration_without_answer_ends_after_t3() {
    let (mut bench, conn) = Bench::registered(config(PolicyParam::RoundRobin));
    bench.element.deregister(bench.now);
    bench.pass(Duration::from_secs(30));
    assert!(
        bench
            .events()
            .contains(&ElementEvent::Deregistered { confirmed: false })
    );

    let (mut bench, _) = Bench::registered(config(PolicyParam::RoundRobin));
    bench.handle(closed(conn));
    bench.events();
    bench.element.deregister(bench.now);
    bench.pass(Duration::from_secs(30));
    assert_eq!(bench.events(), [ElementEvent::Deregistered { confirmed: false }]);
}

#[test]
fn an_element_that_never_registered_need_not_deregister() {
    let mut bench = Bench::with(config(PolicyParam::RoundRobin), EndpointConfig::default());
    bench.element.deregister(bench.now);
    assert_eq!(bench.events(), [ElementEvent::Deregistered { confirmed: true }]);
}

#[test]
fn rfc5352_3_2_an_element_that_was_removed_registers_again_without_haste() {
    let (mut bench, conn) = Bench::registered(config(PolicyParam::RoundRobin));
    let removed = AsapMessage::DeregistrationResponse {
        pool: pool(),
        pe: pe(PE),
        error: None,
    };
    bench.handle(asap(conn, &removed));
    bench.pass(ms(99));
    assert_eq!(bench.did(), []);
    bench.pass(ms(1));
    bench.registration(conn);
}

#[test]
fn rfc5352_3_4_keep_alives_are_answered_on_the_association_they_came_on() {
    let (mut bench, home) = Bench::registered(config(PolicyParam::RoundRobin));
    for (element, expected) in [(None, vec![ack(home)]), (Some(PE), vec![ack(home)]), (Some(1), vec![])] {
        bench.handle(asap(home, &keep_alive(false, 9, pool(), element)));
        assert_eq!(bench.did(), expected);
    }
    // KA1: another pool.
    bench.handle(asap(
        home,
        &keep_alive(false, 9, PoolHandle::new("Other").unwrap(), None),
    ));
    assert_eq!(bench.did(), []);
    // The registrar said who it is.
    assert_eq!(bench.element.home_registrar(), RegistrarId::new(9));
    // A registrar that comes by itself.
    let other = ConnId::Accepted(0);
    bench.handle(connected(other, 2));
    bench.handle(asap(other, &keep_alive(false, 8, pool(), Some(PE))));
    assert_eq!(bench.did(), [ack(other)]);
    assert_eq!(bench.events(), [], "that is no session");
    assert_eq!(bench.element.home_registrar(), RegistrarId::new(9));
}

#[test]
fn rfc5352_3_4_ka2_4_a_registrar_takes_the_element_over() {
    let (mut bench, old) = Bench::registered(config(PolicyParam::RoundRobin));
    bench.handle(asap(old, &keep_alive(false, 9, pool(), None)));
    bench.did();
    let new = ConnId::Accepted(0);
    bench.handle(connected(new, 2));
    bench.handle(asap(new, &keep_alive(true, 8, pool(), Some(PE))));
    let did = bench.did();
    assert_eq!(did[..2], [ack(new), Did::Shutdown(old)]);
    assert!(
        matches!(&did[2..], [Did::Asap(conn, AsapMessage::Registration { .. })] if *conn == new),
        "{did:?}"
    );
    assert_eq!(bench.element.home_registrar(), RegistrarId::new(8));
    bench.answer(new, pe(PE), None);
    bench.handle(closed(old));
    assert!(bench.element.is_registered());
    // The new one is lost like any other.
    bench.pass(Duration::from_secs(60));
    bench.did();
    bench.events();
    bench.handle(closed(new));
    assert_eq!(bench.events(), [ElementEvent::RegistrarLost]);
    bench.find_registrar();
}

#[test]
fn a_registrar_that_took_over_and_does_not_answer_is_forgotten() {
    let (mut bench, _) = Bench::registered(config(PolicyParam::RoundRobin));
    let new = ConnId::Accepted(0);
    bench.handle(connected(new, 2));
    bench.handle(asap(new, &keep_alive(true, 8, pool(), Some(PE))));
    bench.did();
    bench.pass(Duration::from_secs(30));
    assert!(bench.did().contains(&Did::Abort(new)));
    assert_eq!(bench.element.peers.len(), 0);
}

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

/// Answers in capitals and counts; hangs up at "bye", and drops who says "boo".
#[derive(Debug, Default)]
struct Shouting {
    log: Vec<String>,
    tick: Option<Instant>,
}

impl Service for Shouting {
    fn on_session_start(&mut self, now: Instant, session: SessionId, replies: &mut Replies) {
        self.log.push(format!("start {session}"));
        self.tick = Some(now + ms(50));
        replies.send_cookie(session, cookie("zero"));
    }

    fn on_cookie_echo(&mut self, _: Instant, session: SessionId, cookie: &Cookie, _: &mut Replies) {
        let text = String::from_utf8_lossy(cookie.as_bytes());
        self.log.push(format!("cookie {session} {text}"));
    }

    fn on_message(&mut self, _: Instant, session: SessionId, message: ServiceMessage, replies: &mut Replies) {
        match &message.payload[..] {
            b"bye" => replies.end(session),
            b"boo" => replies.abort(session),
            _ => {
                let payload = message.payload.to_ascii_uppercase().into();
                replies.send(session, ServiceMessage { payload, ..message });
            }
        }
    }

    fn on_session_end(&mut self, _: Instant, session: SessionId, end: SessionEnd, _: &mut Replies) {
        self.log.push(format!("end {session} {end:?}"));
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.tick
    }

    fn on_timeout(&mut self, _: Instant, _: &mut Replies) {
        self.tick = None;
        self.log.push("tick".to_owned());
    }

    fn load(&self) -> Option<u32> {
        Some(u32::MAX / 2)
    }
}

#[test]
fn a_service_hears_of_its_sessions_and_answers() {
    let (bench, home) = Bench::registered(config(PolicyParam::LeastUsed { load: 0 }));
    let mut host_of = ServiceHost::new(bench.element, Shouting::default());
    let now = at(1000);
    for n in 0..3 {
        let conn = ConnId::Accepted(n);
        host_of.handle(now, connected(conn, 101));
        let echo = AsapMessage::CookieEcho { cookie: cookie("old") };
        host_of.handle(now, asap(conn, &echo));
    }
    host_of.handle(now, data(ConnId::Accepted(0), "hey"));
    host_of.handle(now, data(ConnId::Accepted(1), "bye"));
    host_of.handle(now, data(ConnId::Accepted(2), "boo"));
    host_of.handle(now, closed(ConnId::Accepted(0)));
    host_of.handle_timeout(at(1050));
    let expected = [
        "start 0",
        "cookie 0 old",
        "start 1",
        "cookie 1 old",
        "start 2",
        "cookie 2 old",
        "end 0 Lost",
        "tick",
    ];
    assert_eq!(host_of.service().log, expected);
    let did = drain(|| host_of.poll_command());
    let zero = |n| {
        let cookie = cookie("zero");
        Did::Asap(ConnId::Accepted(n), AsapMessage::Cookie { cookie })
    };
    let talk = [
        zero(0),
        zero(1),
        zero(2),
        Did::Data(ConnId::Accepted(0), "HEY"),
        Did::Shutdown(ConnId::Accepted(1)),
        Did::Abort(ConnId::Accepted(2)),
    ];
    assert_eq!(did[..6], talk);
    // Its load is told.
    let [Did::Asap(conn, AsapMessage::Registration { element, .. })] = &did[6..] else {
        panic!("{did:?}")
    };
    assert_eq!((*conn, element.policy.load()), (home, Some(u32::MAX / 2)));
}

#[test]
fn a_request_that_is_not_the_elements_changes_nothing() {
    let (mut bench, _) = Bench::registered(config(PolicyParam::RoundRobin));
    let answer = crate::asap::Answer::RegistrationRefused { error: None };
    assert_eq!(bench.element.registration.answered(at(0), RequestId(999), answer), None);
    assert!(bench.element.is_registered());
}
