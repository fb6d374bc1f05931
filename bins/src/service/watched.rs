//! A service that somebody watches: sessions are told of as they come and go.

use rserpool::element::SessionEnd;
use rserpool::service::{Replies, Service, ServiceMessage};
use rserpool::session::SessionId;
use rserpool::wire::param::Cookie;
use sctp::Instant;

/// Something happened to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A user has come.
    Started,
    /// It brought a cookie from another element.
    CookieEchoed(Cookie),
    /// The session has ended, not by the service's doing.
    Ended(SessionEnd),
}

/// A service, and somebody to tell.
#[derive(Debug)]
pub struct Watched<S, F> {
    service: S,
    tell: F,
}

impl<S: Service, F: FnMut(SessionId, Notice)> Watched<S, F> {
    /// Tells `tell` of the sessions of `service`.
    pub const fn new(service: S, tell: F) -> Self {
        Self { service, tell }
    }
}

impl<S: Service, F: FnMut(SessionId, Notice)> Service for Watched<S, F> {
    fn on_session_start(&mut self, now: Instant, session: SessionId, replies: &mut Replies) {
        (self.tell)(session, Notice::Started);
        self.service.on_session_start(now, session, replies);
    }

    fn on_cookie_echo(&mut self, now: Instant, session: SessionId, cookie: &Cookie, replies: &mut Replies) {
        (self.tell)(session, Notice::CookieEchoed(cookie.clone()));
        self.service.on_cookie_echo(now, session, cookie, replies);
    }

    fn on_message(&mut self, now: Instant, session: SessionId, message: ServiceMessage, replies: &mut Replies) {
        self.service.on_message(now, session, message, replies);
    }

    fn on_congestion(&mut self, now: Instant, session: SessionId, congested: bool, replies: &mut Replies) {
        self.service.on_congestion(now, session, congested, replies);
    }

    fn on_session_end(&mut self, now: Instant, session: SessionId, end: SessionEnd, replies: &mut Replies) {
        (self.tell)(session, Notice::Ended(end));
        self.service.on_session_end(now, session, end, replies);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.service.poll_timeout()
    }

    fn on_timeout(&mut self, now: Instant, replies: &mut Replies) {
        self.service.on_timeout(now, replies);
    }

    fn load(&self) -> Option<u32> {
        self.service.load()
    }
}
