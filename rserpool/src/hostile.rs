//! Pool elements and pool users among peers that say anything at any time.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use sctp::Instant;
use sctp::serial::{Ppid, StreamId};

use crate::config::{ANNOUNCE_GROUP, ElementConfig, EndpointConfig, SessionConfig};
use crate::element::{ElementEvent, PoolElement};
use crate::ids::PoolHandle;
use crate::net::{ConnId, NetCommand, NetEvent, PPID_ASAP};
use crate::session::SessionId;
use crate::testing::{at, host, pe, pool};
use crate::user::PoolUser;
use crate::wire::asap::AsapMessage;
use crate::wire::policy::PolicyParam;
use crate::wire::strategies as wire;
use crate::wire::transport::{SctpTransport, TransportUse};

/// What comes next.
#[derive(Clone, Debug)]
enum Step {
    Network(NetEvent),
    /// Time passes.
    Pass(Duration),
    /// The application does something: what is up to the role.
    Application(u8),
}

fn conn() -> impl Strategy<Value = ConnId> {
    prop_oneof![(0u64..8).prop_map(ConnId::Opened), (0u64..6).prop_map(ConnId::Accepted)]
}

/// A message that is about the pool and the elements of these tests as often as not.
fn message() -> impl Strategy<Value = AsapMessage> {
    (wire::message(), any::<bool>(), 1u32..4).prop_map(|(mut message, to_the_point, id)| {
        if to_the_point {
            aim(&mut message, id);
        }
        message
    })
}

fn aim(message: &mut AsapMessage, id: u32) {
    let (ours, own_pe) = (pool(), pe(id));
    match message {
        AsapMessage::Registration { pool, element } => (*pool, element.id) = (ours, own_pe),
        AsapMessage::Deregistration { pool, pe }
        | AsapMessage::RegistrationResponse { pool, pe, .. }
        | AsapMessage::DeregistrationResponse { pool, pe, .. }
        | AsapMessage::EndpointKeepAliveAck { pool, pe }
        | AsapMessage::EndpointUnreachable { pool, pe } => (*pool, *pe) = (ours, own_pe),
        AsapMessage::EndpointKeepAlive { pool, pe, .. } => (*pool, *pe) = (ours, Some(own_pe)),
        AsapMessage::HandleResolution { pool, .. }
        | AsapMessage::HandleResolutionResponse { pool, .. }
        | AsapMessage::BusinessCard { pool, .. } => *pool = ours,
        AsapMessage::ServerAnnounce { .. }
        | AsapMessage::Cookie { .. }
        | AsapMessage::CookieEcho { .. }
        | AsapMessage::Error { .. } => {}
    }
}

fn payload() -> impl Strategy<Value = (Ppid, Bytes)> {
    prop_oneof![
        6 => message().prop_map(|message| (PPID_ASAP, message.encode())),
        1 => vec(any::<u8>(), 0..60).prop_map(|bytes| (PPID_ASAP, bytes.into())),
        2 => vec(any::<u8>(), 1..60).prop_map(|bytes| (Ppid(33), bytes.into())),
    ]
}

fn event() -> impl Strategy<Value = NetEvent> {
    prop_oneof![
        4 => (conn(), 1u8..8).prop_map(|(conn, n)| NetEvent::Connected { conn, peer: host(n) }),
        1 => (conn(), any::<bool>()).prop_map(|(conn, graceful)| NetEvent::Closed { conn, graceful }),
        1 => conn().prop_map(|conn| NetEvent::PeerShutdown { conn }),
        1 => (conn(), any::<bool>()).prop_map(|(conn, congested)| NetEvent::Congestion { conn, congested }),
        8 => (conn(), payload()).prop_map(|(conn, (ppid, payload))| NetEvent::Message {
            conn,
            stream: StreamId(0),
            ppid,
            payload,
        }),
        1 => (1u8..8, payload()).prop_map(|(n, (_, payload))| NetEvent::Datagram {
            group: ANNOUNCE_GROUP,
            source: SocketAddr::new(host(n).addresses[0], 5000),
            payload,
        }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => event().prop_map(Step::Network),
        2 => (0u64..20_000).prop_map(|ms| Step::Pass(Duration::from_millis(ms))),
        2 => any::<u8>().prop_map(Step::Application),
    ];
    vec(step, 1..80)
}

fn endpoint() -> EndpointConfig {
    let mut endpoint = EndpointConfig::default();
    for n in 1..4 {
        endpoint.add_registrar(host(n)).unwrap();
    }
    endpoint
}

/// What both roles have.
trait Engine {
    fn handle(&mut self, now: Instant, event: NetEvent);
    fn handle_timeout(&mut self, now: Instant);
    fn poll_timeout(&self) -> Option<Instant>;
    fn poll_command(&mut self) -> Option<NetCommand>;
    fn application(&mut self, now: Instant, what: u8);
}

impl Engine for PoolElement {
    fn handle(&mut self, now: Instant, event: NetEvent) {
        self.handle(now, event);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn poll_command(&mut self) -> Option<NetCommand> {
        // The application looks at its events as well.
        while let Some(event) = self.poll_event() {
            if let ElementEvent::Message { session, payload, .. } = event {
                let _ = self.send(session, StreamId(0), Ppid(33), payload);
            }
        }
        self.poll_command()
    }

    fn application(&mut self, now: Instant, what: u8) {
        match what {
            0..100 => self.set_load(now, u32::from(what) << 25),
            100..150 => self.set_policy(now, PolicyParam::LeastUsed { load: 0 }),
            150..200 => drop(self.end_session(SessionId(u64::from(what % 4)))),
            200..250 => drop(self.abort_session(SessionId(u64::from(what % 4)))),
            _ => self.deregister(now),
        }
    }
}

impl Engine for PoolUser {
    fn handle(&mut self, now: Instant, event: NetEvent) {
        self.handle(now, event);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn poll_command(&mut self) -> Option<NetCommand> {
        while self.poll_event().is_some() {}
        self.poll_command()
    }

    fn application(&mut self, now: Instant, what: u8) {
        let session = SessionId(u64::from(what % 4));
        match what {
            0..80 => drop(self.open(now, pool(), SessionConfig::default())),
            80..160 => drop(self.send(session, StreamId(0), Ppid(33), Bytes::from_static(b"hello"))),
            160..190 => drop(self.expect_reply(now, session, Some(Duration::from_millis(what.into())))),
            190..210 => drop(self.fail_over(now, session, what.is_multiple_of(2))),
            210..230 => drop(self.resolve(now, &pool())),
            230..240 => self.report_unreachable(now, &pool(), pe(1)),
            _ => drop(self.close(now, session)),
        }
    }
}

/// Takes all steps; the engine stays sane, and does little for each.
fn survive(engine: &mut impl Engine, steps: Vec<Step>) {
    let mut now = at(0);
    let mut timeouts = 0;
    for step in steps {
        let end = match step {
            Step::Network(event) => {
                engine.handle(now, event);
                now
            }
            Step::Application(what) => {
                engine.application(now, what);
                now
            }
            Step::Pass(time) => now + time,
        };
        let commands = std::iter::from_fn(|| engine.poll_command()).count();
        assert!(commands < 200, "{commands} commands at once");
        while let Some(at) = engine.poll_timeout().filter(|at| *at <= end) {
            // What has become due while something else was done is done late.
            now = now.max(at);
            engine.handle_timeout(now);
            let commands = std::iter::from_fn(|| engine.poll_command()).count();
            assert!(commands < 200, "{commands} commands at once");
            timeouts += 1;
        }
        now = end;
    }
    // Some timers of each session and each peer a second at the most.
    let seconds = (now - at(0)).as_secs() + 10;
    assert!(timeouts < seconds * 200, "{timeouts} timeouts in {seconds} s");
}

proptest! {
    #[test]
    fn a_pool_element_survives_its_peers(steps in steps()) {
        let mut config = ElementConfig::new(PoolHandle::new("Pool").unwrap(), PolicyParam::LeastUsed { load: 0 });
        config.set_pe_id(Some(pe(1)));
        config.set_max_sessions(3);
        let transport = SctpTransport::new(&host(100), TransportUse::DataPlusControl);
        let mut element = PoolElement::new(config, endpoint(), transport, [1; 32]);
        element.start(at(0));
        survive(&mut element, steps);
    }

    #[test]
    fn a_pool_user_survives_its_peers(steps in steps()) {
        let mut user = PoolUser::new(endpoint(), [1; 32]);
        user.start(at(0));
        survive(&mut user, steps);
    }
}
