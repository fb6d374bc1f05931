//! Plays ping-pong over a session: the [`Ledger`] at work.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rserpool::api::SessionHandle;
use rserpool::ids::PeId;
use rserpool::session::{FailoverReason, SessionError, SessionEvent, Unavailable};
use sctp::serial::StreamId;

use super::pingpong::{Ledger, Verdict};
use crate::protocol::pingpong::{Cookie, PPID_PINGPONG, Packet, Ping, Pong};

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A server took the session over, or the first one took it.
    Serves {
        /// The server.
        pe: PeId,
        /// Whether it is not the first.
        after_failover: bool,
        /// Pings that were sent again, or had waited.
        sent: usize,
    },
    /// A pong arrived.
    Pong {
        /// The pong.
        pong: Pong,
        /// What it was.
        verdict: Verdict,
    },
    /// The session gave its server up.
    Lost {
        /// The server.
        pe: PeId,
        /// Why.
        reason: FailoverReason,
    },
    /// There is no server at the moment; the session goes on trying.
    Unavailable(Unavailable),
    /// A message that is no pong; the server was given up.
    Nonsense,
    /// The session is over.
    Over,
}

/// A player: a session, its ledger and a clock.
#[derive(Debug)]
pub struct Player {
    session: SessionHandle,
    ledger: Ledger,
    zero: Instant,
    server: Option<PeId>,
    reply_timeout: Duration,
}

impl Player {
    /// A player over a session that was just opened. A server that owes an answer for `reply_timeout` is given up.
    pub fn new(session: SessionHandle, reply_timeout: Duration) -> Self {
        Self {
            session,
            ledger: Ledger::default(),
            zero: Instant::now(),
            server: None,
            reply_timeout,
        }
    }

    /// The account.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The server, if there is one.
    pub const fn server(&self) -> Option<PeId> {
        self.server
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.zero.elapsed()
    }

    fn now(&self) -> sctp::Instant {
        sctp::Instant::ZERO + self.elapsed()
    }

    /// What the session says next, to be given to [`handle`](Self::handle). Cancel-safe.
    pub async fn event(&mut self) -> Option<SessionEvent> {
        self.session.event().await
    }

    /// Sends the next ping.
    ///
    /// # Errors
    ///
    /// If the session is over.
    pub async fn ping(&mut self) -> Result<(), SessionError> {
        let now = self.now();
        let text = format!(
            "Ping {} at {:.6} s",
            self.ledger.account().requests + 1,
            self.elapsed().as_secs_f64()
        );
        let was_waiting = self.ledger.account().outstanding() > 0;
        if let Some(ping) = self.ledger.ping(now, Bytes::from(text)) {
            self.send(&ping).await?;
            if !was_waiting {
                self.session.expect_reply(Some(self.reply_timeout)).await;
            }
        }
        Ok(())
    }

    /// The server is known to have ended, before the session has noticed.
    pub fn outage(&mut self) {
        self.ledger.outage(self.now());
    }

    /// Takes in what the session said. `None` if there is nothing to tell.
    ///
    /// # Errors
    ///
    /// If the session is over.
    pub async fn handle(&mut self, event: Option<SessionEvent>) -> Result<Option<Happening>, SessionError> {
        let happening = match event {
            Some(SessionEvent::Connected { pe }) => self.serve(pe, false).await?,
            Some(SessionEvent::FailoverCompleted { pe, .. }) => self.serve(pe, true).await?,
            Some(SessionEvent::FailoverStarted { pe, reason }) => {
                self.ledger.server_lost(self.now());
                self.server = None;
                Happening::Lost { pe, reason }
            }
            Some(SessionEvent::Message {
                ppid: PPID_PINGPONG,
                payload,
                ..
            }) => match Packet::decode(&payload) {
                Ok(Packet::Pong(pong)) => self.pong(pong).await,
                _ => self.nonsense().await,
            },
            Some(SessionEvent::Message { .. }) => self.nonsense().await,
            Some(SessionEvent::CookieReceived { cookie }) => {
                // A cookie that is none of ours is the next server's to judge.
                if let Ok(cookie) = Cookie::decode(cookie.as_bytes()) {
                    self.ledger.cookie(&cookie);
                }
                return Ok(None);
            }
            Some(SessionEvent::Unavailable { reason }) => Happening::Unavailable(reason),
            Some(SessionEvent::Ended { .. }) | None => Happening::Over,
        };
        Ok(Some(happening))
    }

    async fn serve(&mut self, pe: PeId, after_failover: bool) -> Result<Happening, SessionError> {
        self.server = Some(pe);
        let pings = self.ledger.new_server();
        for ping in &pings {
            self.send(ping).await?;
        }
        if !pings.is_empty() {
            self.session.expect_reply(Some(self.reply_timeout)).await;
        }
        Ok(Happening::Serves {
            pe,
            after_failover,
            sent: pings.len(),
        })
    }

    async fn pong(&mut self, pong: Pong) -> Happening {
        let verdict = self.ledger.pong(self.now(), &pong);
        if self.ledger.account().outstanding() > 0 {
            self.session.expect_reply(Some(self.reply_timeout)).await;
        }
        Happening::Pong { pong, verdict }
    }

    async fn nonsense(&mut self) -> Happening {
        self.session.fail_over(true).await;
        Happening::Nonsense
    }

    async fn send(&self, ping: &Ping) -> Result<(), SessionError> {
        self.session.send(StreamId(0), PPID_PINGPONG, ping.encode()).await
    }

    /// Ends the session and returns the ledger.
    pub fn finish(self) -> Ledger {
        self.session.close();
        self.ledger
    }
}

/// Why there is no server, and what to do about it.
pub fn explain(reason: &Unavailable) -> String {
    match reason {
        Unavailable::NoRegistrar => "no registrar was found".to_owned(),
        Unavailable::NoAnswer => "the registrar does not answer".to_owned(),
        Unavailable::Refused(error) => format!("the registrar refuses: {error}"),
        Unavailable::NoElement => "the pool has no server".to_owned(),
        Unavailable::Unreachable => "no server of the pool can be reached".to_owned(),
    }
}
