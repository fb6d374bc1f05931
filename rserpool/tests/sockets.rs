//! All roles over SCTP sockets, on the loopback interface.

#![cfg(feature = "userland")]

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rserpool::api::{LocalEndpoint, PoolElementServer, PoolUserClient, RegistrarServer, SessionHandle};
use rserpool::config::{Announce, ElementConfig, EndpointConfig, RegistrarConfig, SessionConfig};
use rserpool::element::{ElementEvent, SessionEnd};
use rserpool::ids::{PeId, PoolHandle};
use rserpool::net::SctpAddress;
use rserpool::service::{Replies, Service, ServiceMessage};
use rserpool::session::{FailoverReason, SessionEvent, SessionId, Unavailable};
use rserpool::wire::cause::CauseCode;
use rserpool::wire::param::Cookie;
use rserpool::wire::policy::PolicyParam;
use sctp::Instant;
use sctp::serial::{Ppid, StreamId};
use socketapi::StackHandle;

const STREAM: StreamId = StreamId(0);
const PPID: Ppid = Ppid(33);
const GRACE: Duration = Duration::from_secs(60);

fn pool() -> PoolHandle {
    PoolHandle::new("CounterPool").unwrap()
}

/// Counts the messages of a session, over all elements that serve it. The count is in the cookie.
#[derive(Default)]
struct Counter {
    counts: Vec<(SessionId, u64)>,
    /// Whether it has stopped to answer.
    mute: Arc<AtomicBool>,
}

impl Service for Counter {
    fn on_cookie_echo(&mut self, _: Instant, session: SessionId, cookie: &Cookie, _: &mut Replies) {
        let count = u64::from_be_bytes(cookie.as_bytes()[..].try_into().unwrap());
        self.counts.push((session, count));
    }

    fn on_message(&mut self, _: Instant, session: SessionId, message: ServiceMessage, replies: &mut Replies) {
        if self.mute.load(Ordering::SeqCst) {
            return;
        }
        let count = match self.counts.iter_mut().find(|(id, _)| *id == session) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                self.counts.push((session, 1));
                1
            }
        };
        let payload = Bytes::from(count.to_string());
        replies.send(session, ServiceMessage { payload, ..message });
        replies.send_cookie(session, Cookie::new(count.to_be_bytes().to_vec()).unwrap());
    }

    fn on_session_end(&mut self, _: Instant, session: SessionId, _: SessionEnd, _: &mut Replies) {
        self.counts.retain(|(id, _)| *id != session);
    }
}

async fn stack() -> StackHandle {
    let loopback: IpAddr = "127.0.0.1".parse().unwrap();
    StackHandle::builder()
        .addresses([loopback])
        .udp_port(0)
        .start()
        .await
        .unwrap()
}

/// How to find that registrar, and no other.
fn endpoint(registrar: &SctpAddress) -> EndpointConfig {
    let mut endpoint = EndpointConfig::default();
    endpoint.set_announce_group(None).unwrap();
    endpoint.add_registrar(registrar.clone()).unwrap();
    endpoint
}

/// A registered element; whether it is mute can be changed.
async fn element(
    stack: &StackHandle,
    endpoint: &EndpointConfig,
    id: u32,
) -> (PoolElementServer<Counter>, Arc<AtomicBool>) {
    let mut config = ElementConfig::new(pool(), PolicyParam::RoundRobin);
    config.set_pe_id(PeId::new(id));
    let service = Counter::default();
    let mute = Arc::clone(&service.mute);
    let mut element = PoolElementServer::start(stack, config, endpoint.clone(), service)
        .await
        .unwrap();
    registered(&mut element).await;
    (element, mute)
}

async fn registered(element: &mut PoolElementServer<Counter>) {
    while !matches!(element.event().await, Some(ElementEvent::Registered { .. })) {}
}

/// The next event that is not about cookies.
async fn next(session: &mut SessionHandle) -> SessionEvent {
    loop {
        match session.event().await.expect("the session goes on") {
            SessionEvent::CookieReceived { .. } => {}
            event => return event,
        }
    }
}

/// Asks the service to count; the answer and its cookie.
async fn count(session: &mut SessionHandle) -> u64 {
    session.send(STREAM, PPID, "count").await.unwrap();
    let answer = match session.event().await.unwrap() {
        SessionEvent::Message { payload, .. } => std::str::from_utf8(&payload).unwrap().parse().unwrap(),
        other => panic!("{other:?}"),
    };
    let cookie = session.event().await.unwrap();
    assert!(matches!(cookie, SessionEvent::CookieReceived { .. }), "{cookie:?}");
    answer
}

async fn connected(session: &mut SessionHandle) -> PeId {
    match session.event().await.unwrap() {
        SessionEvent::Connected { pe } => pe,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_session_goes_on_with_another_element_when_one_leaves() {
    let stack = stack().await;
    let registrar = RegistrarServer::start(&stack, RegistrarConfig::default())
        .await
        .unwrap();
    let endpoint = endpoint(registrar.address());
    let (one, _) = element(&stack, &endpoint, 1).await;
    let user = PoolUserClient::start(&stack, endpoint.clone()).await.unwrap();
    let mut session = user.open(pool(), SessionConfig::default()).await.unwrap();
    assert_eq!(connected(&mut session).await, PeId::new(1).unwrap());
    assert_eq!(count(&mut session).await, 1);
    assert_eq!(count(&mut session).await, 2);

    let (two, _) = element(&stack, &endpoint, 2).await;
    one.shut_down(GRACE).await;
    let left = SessionEvent::FailoverStarted {
        pe: PeId::new(1).unwrap(),
        reason: FailoverReason::Shutdown,
    };
    assert_eq!(next(&mut session).await, left);
    let went_on = SessionEvent::FailoverCompleted {
        pe: PeId::new(2).unwrap(),
        had_cookie: true,
    };
    assert_eq!(next(&mut session).await, went_on);
    assert_eq!(count(&mut session).await, 3);
    session.close();
    two.shut_down(GRACE).await;

    // Both have deregistered.
    let refused = user.resolve(pool()).await.unwrap_err();
    let unknown = Unavailable::Refused(CauseCode::UNKNOWN_POOL_HANDLE.into());
    assert_eq!(refused, rserpool::api::ResolveError::Unavailable(unknown));
    user.shut_down(GRACE).await;
    registrar.shut_down(GRACE).await;
}

#[tokio::test]
async fn an_element_that_does_not_answer_is_replaced() {
    let stack = stack().await;
    let registrar = RegistrarServer::start(&stack, RegistrarConfig::default())
        .await
        .unwrap();
    let endpoint = endpoint(registrar.address());
    let (one, mute) = element(&stack, &endpoint, 1).await;
    let user = PoolUserClient::start(&stack, endpoint.clone()).await.unwrap();
    let mut session = user.open(pool(), SessionConfig::default()).await.unwrap();
    connected(&mut session).await;
    assert_eq!(count(&mut session).await, 1);

    let (two, _) = element(&stack, &endpoint, 2).await;
    mute.store(true, Ordering::SeqCst);
    session.send(STREAM, PPID, "count").await.unwrap();
    session.expect_reply(Some(Duration::from_millis(100))).await;
    let given_up = SessionEvent::FailoverStarted {
        pe: PeId::new(1).unwrap(),
        reason: FailoverReason::NoReply,
    };
    assert_eq!(next(&mut session).await, given_up);
    assert!(matches!(
        next(&mut session).await,
        SessionEvent::FailoverCompleted { had_cookie: true, .. }
    ));
    assert_eq!(count(&mut session).await, 2);
    drop((one, two));
}

#[tokio::test]
async fn sessions_of_one_user_may_share_an_element() {
    let stack = stack().await;
    let registrar = RegistrarServer::start(&stack, RegistrarConfig::default())
        .await
        .unwrap();
    let endpoint = endpoint(registrar.address());
    let (element, _) = element(&stack, &endpoint, 1).await;
    let user = PoolUserClient::start(&stack, endpoint).await.unwrap();
    let mut sessions = Vec::new();
    for _ in 0..4 {
        let mut session = user.open(pool(), SessionConfig::default()).await.unwrap();
        connected(&mut session).await;
        sessions.push(session);
    }
    for n in 1..4 {
        for session in &mut sessions {
            assert_eq!(count(session).await, n);
        }
    }
    assert_eq!(element.inspect(|host| host.service().counts.len()).await, Ok(4));
    // The element hears of each end.
    drop(sessions);
    while element.inspect(|host| host.service().counts.len()).await != Ok(0) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_element_registers_again_with_a_registrar_that_was_restarted() {
    let stack = stack().await;
    let registrar = RegistrarServer::start(&stack, RegistrarConfig::default())
        .await
        .unwrap();
    let address = registrar.address().clone();
    let (mut element, _) = element(&stack, &endpoint(&address), 1).await;
    registrar.shut_down(GRACE).await;
    while !matches!(element.event().await, Some(ElementEvent::RegistrarLost)) {}
    let again = LocalEndpoint::on(&stack, address.port);
    let registrar = RegistrarServer::start(again, RegistrarConfig::default()).await.unwrap();
    registered(&mut element).await;
    let elements = registrar.inspect(|registrar| registrar.handlespace().len()).await;
    assert_eq!(elements, Ok(1));
}

/// A UDP port that is free, and none of those that the system gives away by itself.
fn free_udp_port() -> u16 {
    let first = u16::try_from(std::process::id() % 10_000).unwrap();
    let mut ports = (0..10_000).map(|offset| 10_000 + (first + offset) % 10_000);
    ports.find(|port| UdpSocket::bind(("0.0.0.0", *port)).is_ok()).unwrap()
}

#[tokio::test]
async fn registrars_are_found_by_their_announces() {
    let stack = stack().await;
    let group = SocketAddr::new("239.0.0.50".parse().unwrap(), free_udp_port());
    let mut config = RegistrarConfig::default();
    config.set_announce(Some(Announce { group, address: None })).unwrap();
    config.set_server_announce_cycle(Duration::from_millis(100)).unwrap();
    let _registrar = RegistrarServer::start(&stack, config).await.unwrap();
    let mut endpoint = EndpointConfig::default();
    endpoint.set_announce_group(Some(group)).unwrap();
    let (_element, _) = element(&stack, &endpoint, 1).await;
    let user = PoolUserClient::start(&stack, endpoint).await.unwrap();
    let resolution = user.resolve(pool()).await.unwrap();
    assert_eq!(resolution.elements.len(), 1);
}

/// Sends numbered messages without end, as long as they are taken.
struct Flood {
    sessions: Vec<(SessionId, u32, bool)>,
    due: Option<Instant>,
    /// How often a user did not keep up.
    held_up: Arc<AtomicBool>,
}

const FLOOD: u32 = 1000;

impl Service for Flood {
    fn on_session_start(&mut self, now: Instant, session: SessionId, _: &mut Replies) {
        self.sessions.push((session, 0, false));
        self.due = Some(now);
    }

    fn on_message(&mut self, _: Instant, _: SessionId, _: ServiceMessage, _: &mut Replies) {}

    fn on_congestion(&mut self, now: Instant, session: SessionId, congested: bool, _: &mut Replies) {
        self.held_up.fetch_or(congested, Ordering::SeqCst);
        for (id, _, held) in &mut self.sessions {
            if *id == session {
                *held = congested;
            }
        }
        self.due = Some(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    fn on_timeout(&mut self, now: Instant, replies: &mut Replies) {
        self.due = None;
        for (session, next, held) in &mut self.sessions {
            if *held || *next >= FLOOD {
                continue;
            }
            let mut payload = vec![0; 8000];
            payload[..4].copy_from_slice(&next.to_be_bytes());
            *next += 1;
            let payload = Bytes::from(payload);
            let message = ServiceMessage {
                stream: STREAM,
                ppid: PPID,
                payload,
            };
            replies.send(*session, message);
            self.due = Some(now);
        }
    }
}

#[tokio::test]
async fn an_element_waits_for_a_user_who_does_not_keep_up() {
    let stack = stack().await;
    let registrar = RegistrarServer::start(&stack, RegistrarConfig::default())
        .await
        .unwrap();
    let endpoint = endpoint(registrar.address());
    let held_up = Arc::new(AtomicBool::new(false));
    let flood = Flood {
        sessions: Vec::new(),
        due: None,
        held_up: Arc::clone(&held_up),
    };
    let config = ElementConfig::new(pool(), PolicyParam::RoundRobin);
    let _element = PoolElementServer::start(&stack, config, endpoint.clone(), flood)
        .await
        .unwrap();
    let user = PoolUserClient::start(&stack, endpoint).await.unwrap();
    let mut session = user.open(pool(), SessionConfig::default()).await.unwrap();
    while !matches!(next(&mut session).await, SessionEvent::Connected { .. }) {}
    session.send(STREAM, PPID, "go").await.unwrap();
    // Nothing is taken until the element has to wait.
    while !held_up.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    for expected in 0..FLOOD {
        match next(&mut session).await {
            SessionEvent::Message { payload, .. } => assert_eq!(payload[..4], expected.to_be_bytes()),
            other => panic!("{other:?}"),
        }
    }
}
