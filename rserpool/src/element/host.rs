//! A pool element with its service: what the one hears, the other does.

use std::collections::VecDeque;

use sctp::Instant;
use sctp::time::earliest;

use super::{ElementEvent, PoolElement};
use crate::net::{NetCommand, NetEvent};
use crate::service::{Action, Replies, Service, ServiceMessage};
use crate::wire::policy::PolicyParam;

/// A pool element with its service, as one engine. It is driven like a [`PoolElement`]; of its events, those that
/// concern the registration are left, and those that concern sessions go to the service.
#[derive(Debug)]
pub struct ServiceHost<S> {
    element: PoolElement,
    service: S,
    replies: Replies,
    events: VecDeque<ElementEvent>,
}

impl<S: Service> ServiceHost<S> {
    /// A service on a pool element.
    pub fn new(element: PoolElement, service: S) -> Self {
        Self {
            element,
            service,
            replies: Replies::default(),
            events: VecDeque::new(),
        }
    }

    /// The pool element.
    pub const fn element(&self) -> &PoolElement {
        &self.element
    }

    /// The service.
    pub const fn service(&self) -> &S {
        &self.service
    }

    /// As [`PoolElement::start`].
    pub fn start(&mut self, now: Instant) {
        self.element.start(now);
        self.settle(now);
    }

    /// As [`PoolElement::handle`].
    pub fn handle(&mut self, now: Instant, event: NetEvent) {
        self.element.handle(now, event);
        self.settle(now);
    }

    /// As [`PoolElement::handle_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        self.element.handle_timeout(now);
        if self.service.poll_timeout().is_some_and(|at| at <= now) {
            self.service.on_timeout(now, &mut self.replies);
        }
        self.settle(now);
    }

    /// As [`PoolElement::deregister`].
    pub fn deregister(&mut self, now: Instant) {
        self.element.deregister(now);
        self.settle(now);
    }

    /// As [`PoolElement::set_policy`].
    pub fn set_policy(&mut self, now: Instant, policy: PolicyParam) {
        self.element.set_policy(now, policy);
    }

    /// As [`PoolElement::stop`].
    pub fn stop(&mut self) {
        self.element.stop();
    }

    /// As [`PoolElement::poll_command`].
    pub fn poll_command(&mut self) -> Option<NetCommand> {
        self.element.poll_command()
    }

    /// The next event about the registration.
    pub fn poll_event(&mut self) -> Option<ElementEvent> {
        self.events.pop_front()
    }

    /// As [`PoolElement::poll_timeout`], for the service too.
    pub fn poll_timeout(&self) -> Option<Instant> {
        earliest(self.element.poll_timeout(), self.service.poll_timeout())
    }

    fn settle(&mut self, now: Instant) {
        while let Some(event) = self.element.poll_event() {
            self.pass_on(now, event);
            self.carry_out();
        }
        self.carry_out();
        if let Some(load) = self.service.load() {
            self.element.set_load(now, load);
        }
    }

    fn pass_on(&mut self, now: Instant, event: ElementEvent) {
        let (service, replies) = (&mut self.service, &mut self.replies);
        match event {
            ElementEvent::SessionStarted { session, .. } => service.on_session_start(now, session, replies),
            ElementEvent::CookieEchoed { session, cookie } => service.on_cookie_echo(now, session, &cookie, replies),
            ElementEvent::Message {
                session,
                stream,
                ppid,
                payload,
            } => {
                let message = ServiceMessage { stream, ppid, payload };
                service.on_message(now, session, message, replies);
            }
            ElementEvent::Congestion { session, congested } => {
                service.on_congestion(now, session, congested, replies);
            }
            ElementEvent::SessionEnded { session, end } => service.on_session_end(now, session, end, replies),
            about_registration => self.events.push_back(about_registration),
        }
    }

    fn carry_out(&mut self) {
        for (session, action) in self.replies.actions.drain(..) {
            // The user may have gone in the meantime; then there is nobody left to tell.
            let _ = match action {
                Action::Send(message) => self
                    .element
                    .send(session, message.stream, message.ppid, message.payload),
                Action::Cookie(cookie) => self.element.send_cookie(session, cookie),
                Action::End => self.element.end_session(session),
                Action::Abort => self.element.abort_session(session),
            };
        }
    }
}
