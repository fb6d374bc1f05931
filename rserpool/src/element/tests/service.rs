use super::*;

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
