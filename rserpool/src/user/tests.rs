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
        assert!(
            matches!(last, SessionEvent::Connected { pe: by } | SessionEvent::FailoverCompleted { pe: by, .. } if by == pe(n.into())),
            "{last:?}"
        );
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
fn rfc5352_3_8_a_lost_element_is_replaced_by_another_that_gets_the_newest_cookie_first() {
    let (mut bench, session, conn) = Bench::served();
    for text in ["one", "two", "three"] {
        bench.handle(asap(conn, &cookie(text)));
    }
    assert_eq!(bench.events().len(), 3);
    assert!(bench.user.has_cookie(session));
    bench.handle(closed(conn));
    assert_eq!(bench.events(), [started(1, FailoverReason::Lost)]);
    bench.send(session, "meanwhile").unwrap();
    // §3.5: reported, once.
    assert_eq!(bench.did(), [bench.unreachable(1), resolution(bench.home)]);
    bench.answer(&[1, 2]);
    // The registrar may still name the dead one; it is not tried.
    let (conn, 2) = bench.connecting() else { panic!() };
    bench.handle(connected(conn, 2));
    assert_eq!(bench.did(), [cookie_echo(conn, "three"), Did::Data(conn, "meanwhile")]);
    let completed = SessionEvent::FailoverCompleted {
        pe: pe(2),
        had_cookie: true,
    };
    assert_eq!(bench.events(), [completed]);
    // The element fails before it leaves a cookie of its own: the same cookie goes to the next one.
    bench.pass(ms(10_000));
    bench.handle(closed(conn));
    bench.did();
    bench.answer(&[3]);
    let (conn, 3) = bench.connecting() else { panic!() };
    bench.handle(connected(conn, 3));
    assert_eq!(bench.did(), [cookie_echo(conn, "three")]);
}

#[test]
fn without_a_cookie_none_is_echoed() {
    let (mut bench, _, conn) = Bench::served();
    bench.handle(closed(conn));
    bench.did();
    bench.answer(&[2]);
    let (conn, _) = bench.connecting();
    bench.handle(connected(conn, 2));
    assert_eq!(bench.did(), []);
    let completed = SessionEvent::FailoverCompleted {
        pe: pe(2),
        had_cookie: false,
    };
    assert_eq!(bench.events()[1..], [completed]);
}

#[test]
fn an_element_that_shuts_down_is_left_without_a_report() {
    let (mut bench, _, conn) = Bench::served();
    bench.handle(NetEvent::PeerShutdown { conn });
    assert_eq!(bench.events(), [started(1, FailoverReason::Shutdown)]);
    let (again, 2) = bench.resolve(&[1, 2]) else { panic!() };
    bench.handle(NetEvent::Closed { conn, graceful: true });
    bench.handle(connected(again, 2));
    assert!(matches!(bench.events()[..], [SessionEvent::FailoverCompleted { .. }]));
}

#[test]
fn a_session_may_end_with_the_element_that_ends_it() {
    let mut bench = Bench::new();
    let mut config = SessionConfig::default();
    config.set_fail_over_on_shutdown(false);
    let session = bench.open_with(config);
    let conn = bench.serve(1);
    bench.handle(NetEvent::PeerShutdown { conn });
    assert_eq!(bench.events(), [SessionEvent::Ended { reason: None }]);
    assert_eq!(bench.send(session, "x"), Err(SessionError::NoSuchSession));
    assert_eq!((bench.did(), bench.user.timers.len()), (vec![], 0));
}

#[test]
fn rfc5352_3_5_elements_that_cannot_be_reached_are_reported_and_passed_over() {
    let mut bench = Bench::new();
    bench.open();
    let (first, 1) = bench.resolve(&[1, 2, 3]) else {
        panic!()
    };
    bench.handle(closed(first));
    let (report, second) = match &bench.did()[..] {
        [report, Did::Connect(conn, place)] => (report.clone(), (*conn, number(place))),
        other => panic!("{other:?}"),
    };
    assert_eq!(report, bench.unreachable(1));
    assert_eq!(second.1, 2);
    // The second one does not answer at all.
    bench.pass(ms(2000));
    match &bench.did()[..] {
        [Did::Abort(conn), report, Did::Connect(third, place)] => {
            assert_eq!((*conn, number(place)), (second.0, 3));
            assert_eq!(*report, bench.unreachable(2));
            let third = *third;
            bench.handle(connected(third, 3));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.events(), [SessionEvent::Connected { pe: pe(3) }]);
}

#[test]
fn failed_attempts_are_repeated_with_growing_pauses() {
    let mut bench = Bench::new();
    bench.open();
    for pause in [250, 500, 1000, 2000, 2000] {
        let (conn, _) = bench.resolve(&[1]);
        bench.handle(closed(conn));
        assert_eq!(bench.did(), [bench.unreachable(1)]);
        let unavailable = SessionEvent::Unavailable {
            reason: Unavailable::Unreachable,
        };
        assert_eq!(bench.events(), [unavailable]);
        bench.pass(ms(pause - 1));
        assert_eq!(bench.did(), []);
        bench.pass(ms(1));
    }
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
fn a_session_gives_up_after_as_many_attempts_as_configured() {
    let mut bench = Bench::new();
    let mut config = SessionConfig::default();
    config.set_max_attempts(Some(2)).unwrap();
    let session = bench.open_with(config);
    bench.did();
    bench.answer(&[]);
    bench.pass(ms(250));
    bench.did();
    bench.answer(&[]);
    let reason = Unavailable::NoElement;
    let expected = [
        SessionEvent::Unavailable { reason: reason.clone() },
        SessionEvent::Ended { reason: Some(reason) },
    ];
    assert_eq!(bench.events(), expected);
    bench.pass(ms(100_000));
    assert_eq!((bench.did(), bench.user.element_of(session)), (vec![], None));
}

#[test]
fn an_element_that_drops_its_users_at_once_does_not_keep_them_busy() {
    let mut bench = Bench::new();
    bench.open();
    let mut resolutions = 0;
    let end = bench.now + Duration::from_secs(60);
    while bench.now < end {
        for did in bench.did() {
            match did {
                Did::Asap(_, AsapMessage::HandleResolution { .. }) => {
                    resolutions += 1;
                    bench.answer(&[1, 2]);
                }
                Did::Connect(conn, place) => {
                    bench.handle(connected(conn, number(&place)));
                    bench.handle(closed(conn));
                }
                _ => {}
            }
        }
        bench.pass(ms(10));
    }
    assert!(resolutions < 60, "{resolutions} attempts in a minute");
}

#[test]
fn a_reply_that_does_not_come_is_a_failure() {
    let (mut bench, session, conn) = Bench::served();
    let wait = Some(ms(300));
    bench.user.expect_reply(bench.now, session, wait).unwrap();
    bench.pass(ms(299));
    bench.handle(data(conn, "just in time"));
    bench.pass(ms(1000));
    assert_eq!((bench.did(), bench.events()), (vec![], vec![message("just in time")]));

    bench.user.expect_reply(bench.now, session, wait).unwrap();
    // A cookie is no reply.
    bench.handle(asap(conn, &cookie("c")));
    bench.pass(ms(300));
    assert_eq!(
        bench.did(),
        [Did::Abort(conn), bench.unreachable(1), resolution(bench.home)]
    );
    assert_eq!(bench.events()[1..], [started(1, FailoverReason::NoReply)]);
    // Whatever was expected of the old element is not expected of the new one.
    bench.answer(&[2]);
    let (conn, 2) = bench.connecting() else { panic!() };
    bench.handle(connected(conn, 2));
    bench.events();
    bench.pass(ms(10_000));
    assert_eq!(bench.events(), []);
    // And it can be taken back.
    bench.user.expect_reply(bench.now, session, wait).unwrap();
    bench.user.expect_reply(bench.now, session, None).unwrap();
    bench.pass(ms(10_000));
    assert_eq!(bench.events(), []);
}

#[test]
fn the_application_may_ask_for_a_failover() {
    let (mut bench, session, conn) = Bench::served();
    bench.user.fail_over(bench.now, session, false).unwrap();
    assert_eq!(bench.did(), [Did::Abort(conn), resolution(bench.home)]);
    assert_eq!(bench.events(), [started(1, FailoverReason::Requested)]);
    // There is nothing to give up now.
    bench.user.fail_over(bench.now, session, true).unwrap();
    assert_eq!((bench.did(), bench.events()), (vec![], vec![]));
    bench.answer(&[2]);
    let (conn, _) = bench.connecting();
    bench.handle(connected(conn, 2));
    bench.pass(ms(1000));
    bench.user.fail_over(bench.now, session, true).unwrap();
    assert_eq!(
        bench.did(),
        [Did::Abort(conn), bench.unreachable(2), resolution(bench.home)]
    );
}

#[test]
fn rfc5352_3_3_c4_a_fresh_answer_is_not_asked_for_again() {
    let mut bench = Bench::with(|config| config.set_stale_cache_value(ms(5000)).unwrap());
    bench.open();
    let (_, 1) = bench.resolve(&[1, 2]) else { panic!() };
    // Round Robin goes on to the next element.
    bench.open();
    let (_, 2) = bench.connecting() else { panic!() };
    // C2: a stale one is.
    bench.pass(ms(5001));
    bench.did();
    bench.open();
    assert_eq!(bench.did(), [resolution(bench.home)]);
}

#[test]
fn without_a_registrar_an_old_answer_is_better_than_none() {
    let mut bench = Bench::new();
    bench.open();
    let (conn, 1) = bench.resolve(&[1, 2]) else { panic!() };
    bench.handle(connected(conn, 1));
    bench.pass(ms(60_000));
    bench.handle(closed(bench.home));
    bench.handle(closed(conn));
    let connects: Vec<u8> = bench
        .did()
        .iter()
        .filter_map(|did| match did {
            Did::Connect(_, place) => Some(number(place)),
            _ => None,
        })
        .collect();
    assert_eq!(connects, [REGISTRAR, 2]);
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
fn rfc5352_3_9_bc2_a_business_card_says_whom_to_turn_to() {
    let (mut bench, _, conn) = Bench::served();
    let card = AsapMessage::BusinessCard {
        pool: pool(),
        policy: None,
        elements: vec![element(4), element(3)],
    };
    bench.handle(asap(conn, &card));
    bench.handle(closed(conn));
    bench.did();
    bench.answer(&[2, 3, 4]);
    let (_, 4) = bench.connecting() else { panic!() };
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
