mod failover;

use std::time::Duration;

use super::*;
use crate::net::PPID_ASAP;
use crate::testing::{Did, asap, at, closed, connected, data, drain, element, host, ms, pe, pool, raw};
use crate::wire::asap::AsapMessage;
use crate::wire::cause::CauseCode;
use crate::wire::param::Cookie;

const REGISTRAR: u8 = 200;
const STREAM: StreamId = StreamId(0);
const PPID: Ppid = Ppid(33);

struct Bench {
    user: PoolUser,
    now: Instant,
    /// The association with the registrar.
    home: ConnId,
}

impl Bench {
    /// With a registrar.
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut EndpointConfig)) -> Self {
        let mut config = EndpointConfig::default();
        config.add_registrar(host(REGISTRAR)).unwrap();
        change(&mut config);
        let mut user = PoolUser::new(config, [1; 32]);
        user.start(at(0));
        let home = match &drain(|| user.poll_command())[..] {
            [Did::Join, Did::Connect(home, _)] => *home,
            other => panic!("{other:?}"),
        };
        let mut bench = Self { user, now: at(0), home };
        bench.handle(connected(home, REGISTRAR));
        assert_eq!(bench.user.poll_event(), Some(UserEvent::RegistrarFound));
        bench.now = at(10_000);
        bench
    }

    fn did(&mut self) -> Vec<Did> {
        drain(|| self.user.poll_command())
    }

    fn user_events(&mut self) -> Vec<UserEvent> {
        std::iter::from_fn(|| self.user.poll_event()).collect()
    }

    /// What happened to sessions.
    fn events(&mut self) -> Vec<SessionEvent> {
        let events = self.user_events().into_iter();
        events
            .filter_map(|event| match event {
                UserEvent::Session { event, .. } => Some(event),
                _ => None,
            })
            .collect()
    }

    fn handle(&mut self, event: NetEvent) {
        self.user.handle(self.now, event);
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.user.poll_timeout().filter(|at| *at <= end) {
            assert!(at >= self.now, "a timer in the past");
            self.now = at;
            self.user.handle_timeout(at);
        }
        self.now = end;
    }

    fn open(&mut self) -> SessionId {
        self.open_with(SessionConfig::default())
    }

    fn open_with(&mut self, config: SessionConfig) -> SessionId {
        self.user.open(self.now, pool(), config).unwrap()
    }

    /// The registrar answers the handle resolution that was just sent, with the elements on these hosts; the
    /// association that is set up then, and to which host.
    fn resolve(&mut self, hosts: &[u8]) -> (ConnId, u8) {
        assert_eq!(self.did(), [resolution(self.home)]);
        self.answer(hosts);
        self.connecting()
    }

    fn answer(&mut self, hosts: &[u8]) {
        let response = AsapMessage::HandleResolutionResponse {
            pool: pool(),
            updates: false,
            policy: None,
            elements: hosts.iter().map(|n| element(*n)).collect(),
            error: None,
        };
        self.handle(asap(self.home, &response));
    }

    /// The association that is being set up, and nothing else is done.
    fn connecting(&mut self) -> (ConnId, u8) {
        match &self.did()[..] {
            [Did::Connect(conn, place)] => (*conn, number(place)),
            other => panic!("{other:?}"),
        }
    }

    /// A session that the element on host 1 serves, for a while already; the association.
    fn served() -> (Self, SessionId, ConnId) {
        let mut bench = Self::new();
        let session = bench.open();
        let conn = bench.serve(1);
        (bench, session, conn)
    }

    /// The element on host `n` takes the session that is waiting; the association.
    fn serve(&mut self, n: u8) -> ConnId {
        let (conn, at_host) = self.resolve(&[n]);
        assert_eq!(at_host, n);
        self.handle(connected(conn, n));
        let (last, rest) = (self.events().pop().unwrap(), self.did());
        let (SessionEvent::Connected { pe: by } | SessionEvent::FailoverCompleted { pe: by, .. }) = last else {
            panic!("{last:?}");
        };
        assert_eq!(by, pe(n.into()));
        assert!(
            rest.iter()
                .all(|did| matches!(did, Did::Asap(_, AsapMessage::CookieEcho { .. }))),
            "{rest:?}"
        );
        self.pass(ms(10_000));
        conn
    }

    fn send(&mut self, session: SessionId, text: &'static str) -> Result<(), SessionError> {
        self.user
            .send(session, STREAM, PPID, Bytes::from_static(text.as_bytes()))
    }

    fn unreachable(&self, n: u32) -> Did {
        Did::Asap(
            self.home,
            AsapMessage::EndpointUnreachable {
                pool: pool(),
                pe: pe(n),
            },
        )
    }
}

fn resolution(home: ConnId) -> Did {
    let message = AsapMessage::HandleResolution {
        pool: pool(),
        subscribe: false,
        items: None,
    };
    Did::Asap(home, message)
}

fn number(place: &crate::net::SctpAddress) -> u8 {
    (1..=255).find(|n| host(*n) == *place).unwrap()
}

fn cookie(text: &'static str) -> AsapMessage {
    AsapMessage::Cookie {
        cookie: Cookie::new(text).unwrap(),
    }
}

fn cookie_echo(conn: ConnId, text: &'static str) -> Did {
    let cookie = Cookie::new(text).unwrap();
    Did::Asap(conn, AsapMessage::CookieEcho { cookie })
}

fn started(n: u32, reason: FailoverReason) -> SessionEvent {
    SessionEvent::FailoverStarted { pe: pe(n), reason }
}

fn message(text: &'static str) -> SessionEvent {
    SessionEvent::Message {
        stream: STREAM,
        ppid: PPID,
        payload: Bytes::from_static(text.as_bytes()),
    }
}

#[test]
fn rfc5352_6_8_1_a_message_to_a_pool_goes_to_an_element_that_the_registrar_names() {
    let mut bench = Bench::new();
    let session = bench.open();
    bench.send(session, "hello1").unwrap();
    let (conn, 1) = bench.resolve(&[1, 2]) else { panic!() };
    assert_eq!(bench.events(), []);
    bench.handle(connected(conn, 1));
    assert_eq!(bench.did(), [Did::Data(conn, "hello1")]);
    assert_eq!(bench.events(), [SessionEvent::Connected { pe: pe(1) }]);
    assert_eq!(bench.user.element_of(session), Some(pe(1)));
    bench.send(session, "hello2").unwrap();
    assert_eq!(bench.did(), [Did::Data(conn, "hello2")]);
    bench.handle(data(conn, "welcome"));
    assert_eq!(bench.events(), [message("welcome")]);
}

#[test]
fn rfc5352_3_3_an_unknown_pool_is_asked_for_again() {
    let mut bench = Bench::new();
    bench.open();
    assert_eq!(bench.did(), [resolution(bench.home)]);
    let refused = AsapMessage::HandleResolutionResponse {
        pool: pool(),
        updates: false,
        policy: None,
        elements: Vec::new(),
        error: Some(CauseCode::UNKNOWN_POOL_HANDLE.into()),
    };
    bench.handle(asap(bench.home, &refused));
    let reason = Unavailable::Refused(CauseCode::UNKNOWN_POOL_HANDLE.into());
    assert_eq!(bench.events(), [SessionEvent::Unavailable { reason }]);
    bench.pass(ms(250));
    let (conn, _) = bench.resolve(&[1]);
    bench.handle(connected(conn, 1));
    assert_eq!(bench.events(), [SessionEvent::Connected { pe: pe(1) }]);
}

#[test]
fn an_empty_answer_is_no_element() {
    let mut bench = Bench::new();
    bench.open();
    bench.did();
    bench.answer(&[]);
    let reason = Unavailable::NoElement;
    assert_eq!(bench.events(), [SessionEvent::Unavailable { reason }]);
}

#[test]
fn a_session_outlasts_the_lack_of_a_registrar() {
    let mut bench = Bench::new();
    bench.pass(ms(60_000));
    bench.handle(closed(bench.home));
    let [Did::Connect(again, _)] = bench.did()[..] else {
        panic!()
    };
    bench.open();
    bench.pass(Duration::from_secs(46));
    let no_registrar = SessionEvent::Unavailable {
        reason: Unavailable::NoRegistrar,
    };
    assert_eq!(bench.events(), [no_registrar]);
    // Whichever attempt it is by now that succeeds.
    let last = bench.did().into_iter().rev().find_map(|did| match did {
        Did::Connect(conn, _) => Some(conn),
        _ => None,
    });
    bench.home = last.unwrap_or(again);
    bench.handle(connected(bench.home, REGISTRAR));
    let (_, 1) = bench.resolve(&[1]) else { panic!() };
}

#[test]
fn messages_are_kept_while_there_is_no_element_up_to_a_limit() {
    let mut bench = Bench::new();
    let mut config = SessionConfig::default();
    config.set_max_queue(10);
    let session = bench.open_with(config);
    bench.send(session, "12345").unwrap();
    bench.send(session, "67890").unwrap();
    assert_eq!(bench.send(session, "x"), Err(SessionError::QueueFull));
    let (conn, _) = bench.resolve(&[1]);
    bench.handle(connected(conn, 1));
    assert_eq!(bench.did(), [Did::Data(conn, "12345"), Did::Data(conn, "67890")]);
    // An element that does not keep up.
    bench.handle(NetEvent::Congestion { conn, congested: true });
    bench.send(session, "12345678").unwrap();
    assert_eq!(bench.send(session, "xyz"), Err(SessionError::QueueFull));
    assert_eq!(bench.did(), []);
    bench.handle(NetEvent::Congestion { conn, congested: false });
    assert_eq!(bench.did(), [Did::Data(conn, "12345678")]);
}

#[test]
fn rfc5352_5_data_does_not_use_the_identifier_of_the_control_channel() {
    let (mut bench, session, _) = Bench::served();
    let sent = bench.user.send(session, STREAM, PPID_ASAP, Bytes::from_static(b"x"));
    assert_eq!(sent, Err(SessionError::ReservedPpid));
    assert_eq!(bench.send(session, ""), Err(SessionError::Empty));
}

#[test]
fn what_an_element_may_not_say_is_ignored_or_reported() {
    let (mut bench, _, conn) = Bench::served();
    let keep_alive = AsapMessage::EndpointKeepAlive {
        home: true,
        server: None,
        pool: pool(),
        pe: None,
    };
    bench.handle(asap(conn, &keep_alive));
    bench.handle(raw(conn, PPID_ASAP, Bytes::from_static(&[0x0b, 0, 0, 9])));
    bench.handle(raw(conn, PPID_ASAP, Bytes::from_static(&[0x0e, 0, 0, 9])));
    match &bench.did()[..] {
        [
            Did::Asap(on, AsapMessage::Error { error }),
            Did::Asap(_, AsapMessage::Error { .. }),
        ] => {
            assert_eq!((*on, error.code()), (conn, CauseCode::INVALID_VALUES));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.events(), []);
}

#[test]
fn closing_a_session_delivers_what_was_sent() {
    let (mut bench, session, conn) = Bench::served();
    bench.handle(NetEvent::Congestion { conn, congested: true });
    bench.send(session, "last words").unwrap();
    bench.user.close(bench.now, session).unwrap();
    assert_eq!(bench.did(), [Did::Data(conn, "last words"), Did::Shutdown(conn)]);
    bench.handle(data(conn, "late"));
    bench.handle(NetEvent::Closed { conn, graceful: true });
    assert_eq!((bench.did(), bench.events()), (vec![], vec![]));
    assert_eq!(bench.user.close(bench.now, session), Err(SessionError::NoSuchSession));

    // One that is still looking for an element.
    let session = bench.open();
    bench.did();
    bench.user.close(bench.now, session).unwrap();
    bench.answer(&[1]);
    assert_eq!((bench.did(), bench.events()), (vec![], vec![]));
    assert!(bench.user.askers.is_empty() && bench.user.by_conn.is_empty() && bench.user.timers.is_empty());
}

#[test]
fn rfc5352_6_9_1_a_pool_handle_is_resolved_for_the_application() {
    let mut bench = Bench::with(|config| config.set_stale_cache_value(ms(5000)).unwrap());
    let first = bench.user.resolve(bench.now, &pool()).unwrap();
    assert_eq!(bench.did(), [resolution(bench.home)]);
    bench.answer(&[1]);
    let second = bench.user.resolve(bench.now, &pool()).unwrap();
    assert_eq!(bench.did(), []);
    let resolved = |resolution| UserEvent::Resolved {
        resolution,
        result: Ok(Resolution {
            policy: PolicyParam::RoundRobin,
            elements: vec![element(1)],
        }),
    };
    assert_eq!(bench.user_events(), [resolved(first), resolved(second)]);
    // §6.9.2: the application could not reach it.
    bench.user.report_unreachable(bench.now, &pool(), pe(1));
    assert_eq!(bench.did(), [bench.unreachable(1)]);
}

#[test]
fn associations_that_nobody_asked_for_are_aborted() {
    let mut bench = Bench::new();
    let stranger = ConnId::Accepted(0);
    bench.handle(connected(stranger, 9));
    assert_eq!(bench.did(), [Did::Abort(stranger)]);
}

#[test]
fn stopping_ends_everything() {
    let (mut bench, _, conn) = Bench::served();
    bench.user.stop(bench.now);
    assert_eq!(bench.did(), [Did::Shutdown(conn), Did::Shutdown(bench.home)]);
}
