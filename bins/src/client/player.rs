//! Plays ping-pong over a session: [`Play`] with a session and a clock.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rserpool::api::SessionHandle;
use rserpool::ids::PeId;
use rserpool::session::{SessionError, SessionEvent};
use sctp::serial::StreamId;

use super::pingpong::Ledger;
use super::play::{Happening, Play};
use crate::protocol::pingpong::{PPID_PINGPONG, Ping};

/// A player.
#[derive(Debug)]
pub struct Player {
    session: SessionHandle,
    play: Play,
    zero: Instant,
    reply_timeout: Duration,
}

impl Player {
    /// A player over a session that was just opened. A server that owes an answer for `reply_timeout` is given up.
    pub fn new(session: SessionHandle, reply_timeout: Duration) -> Self {
        Self {
            session,
            play: Play::default(),
            zero: Instant::now(),
            reply_timeout,
        }
    }

    /// The account.
    pub const fn ledger(&self) -> &Ledger {
        self.play.ledger()
    }

    /// The server, if there is one.
    pub const fn server(&self) -> Option<PeId> {
        self.play.server()
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

    /// Sends the next ping, or keeps it for the next server.
    ///
    /// # Errors
    ///
    /// If the session is over.
    pub async fn ping(&mut self) -> Result<(), SessionError> {
        let number = self.ledger().account().requests + 1;
        let text = format!("Ping {number} at {:.6} s", self.elapsed().as_secs_f64());
        let was_waiting = self.ledger().account().outstanding() > 0;
        if let Some(ping) = self.play.ping(self.now(), Bytes::from(text)) {
            self.send(&ping).await?;
            if !was_waiting {
                self.expect_reply().await;
            }
        }
        Ok(())
    }

    /// The server is known to have ended, before the session has noticed.
    pub fn outage(&mut self) {
        self.play.outage(self.now());
    }

    /// Takes in what the session said. `None` if there is nothing to tell.
    ///
    /// # Errors
    ///
    /// If the session is over.
    pub async fn handle(&mut self, event: Option<SessionEvent>) -> Result<Option<Happening>, SessionError> {
        let step = self.play.handle(self.now(), event);
        for ping in &step.send {
            self.send(ping).await?;
        }
        if step.fail_over {
            self.session.fail_over(true).await;
        } else if matches!(step.happening, Some(Happening::Serves { .. } | Happening::Pong { .. })) {
            self.expect_reply().await;
        }
        Ok(step.happening)
    }

    /// As long as answers are due, the server must give one from time to time.
    async fn expect_reply(&self) {
        if self.ledger().account().outstanding() > 0 {
            self.session.expect_reply(Some(self.reply_timeout)).await;
        }
    }

    async fn send(&self, ping: &Ping) -> Result<(), SessionError> {
        self.session.send(StreamId(0), PPID_PINGPONG, ping.encode()).await
    }

    /// Ends the session and returns the account.
    pub fn finish(self) -> Ledger {
        let Self { session, play, .. } = self;
        session.close();
        play.into_ledger()
    }
}
