//! What a ping-pong client does about what its session says, without I/O.

use bytes::Bytes;
use rserpool::ids::PeId;
use rserpool::session::{FailoverReason, SessionEvent, Unavailable};
use rserpool::wire::cause::CauseCode;
use sctp::Instant;

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

/// What to do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// What to tell, if anything.
    pub happening: Option<Happening>,
    /// What to send, in order.
    pub send: Vec<Ping>,
    /// Whether to give the server up.
    pub fail_over: bool,
}

impl From<Happening> for Step {
    fn from(happening: Happening) -> Self {
        Self {
            happening: Some(happening),
            ..Self::default()
        }
    }
}

/// A client: its ledger, and who serves it.
#[derive(Debug, Default)]
pub struct Play {
    ledger: Ledger,
    server: Option<PeId>,
}

impl Play {
    /// The account.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The server, if there is one.
    pub const fn server(&self) -> Option<PeId> {
        self.server
    }

    /// The next ping; as [`Ledger::ping`].
    pub fn ping(&mut self, now: Instant, data: Bytes) -> Option<Ping> {
        self.ledger.ping(now, data)
    }

    /// The server is known to have ended, before the session has noticed.
    pub fn outage(&mut self, now: Instant) {
        self.ledger.outage(now);
    }

    /// Takes in what the session says; `None` is its end.
    pub fn handle(&mut self, now: Instant, event: Option<SessionEvent>) -> Step {
        match event {
            Some(SessionEvent::Connected { pe }) => self.serve(pe, false),
            Some(SessionEvent::FailoverCompleted { pe, .. }) => self.serve(pe, true),
            Some(SessionEvent::FailoverStarted { pe, reason }) => {
                self.ledger.server_lost(now);
                self.server = None;
                Happening::Lost { pe, reason }.into()
            }
            Some(SessionEvent::Message {
                ppid: PPID_PINGPONG,
                payload,
                ..
            }) => match Packet::decode(&payload) {
                Ok(Packet::Pong(pong)) => {
                    let verdict = self.ledger.pong(now, &pong);
                    Happening::Pong { pong, verdict }.into()
                }
                _ => nonsense(),
            },
            Some(SessionEvent::Message { .. }) => nonsense(),
            Some(SessionEvent::CookieReceived { cookie }) => {
                // A cookie that is none of ours is the next server's to judge.
                if let Ok(cookie) = Cookie::decode(cookie.as_bytes()) {
                    self.ledger.cookie(&cookie);
                }
                Step::default()
            }
            Some(SessionEvent::Unavailable { reason }) => Happening::Unavailable(reason).into(),
            Some(SessionEvent::Ended { .. }) | None => Happening::Over.into(),
        }
    }

    /// The account, once the play is over.
    pub fn into_ledger(self) -> Ledger {
        self.ledger
    }

    fn serve(&mut self, pe: PeId, after_failover: bool) -> Step {
        self.server = Some(pe);
        let send = self.ledger.new_server();
        let happening = Some(Happening::Serves {
            pe,
            after_failover,
            sent: send.len(),
        });
        Step {
            happening,
            send,
            fail_over: false,
        }
    }
}

fn nonsense() -> Step {
    Step {
        fail_over: true,
        ..Happening::Nonsense.into()
    }
}

/// Why a server was given up.
pub const fn why(reason: FailoverReason) -> &'static str {
    match reason {
        FailoverReason::Shutdown => "it ended the session",
        FailoverReason::Lost => "its association was lost",
        FailoverReason::NoReply => "it did not reply in time",
        FailoverReason::Requested => "as asked for",
    }
}

/// Why there is no server, and what to do about it.
pub fn explain(reason: &Unavailable) -> String {
    match reason {
        Unavailable::NoRegistrar => "no registrar was found".to_owned(),
        Unavailable::NoAnswer => "the registrar does not answer".to_owned(),
        Unavailable::Refused(error) if error.code() == CauseCode::UNKNOWN_POOL_HANDLE => {
            "the registrar knows no server of the pool".to_owned()
        }
        Unavailable::Refused(error) => format!("the registrar refuses: {error}"),
        Unavailable::NoElement => "the pool has no server".to_owned(),
        Unavailable::Unreachable => "no server of the pool can be reached".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use sctp::serial::{Ppid, StreamId};

    use super::*;

    fn message(ppid: Ppid, payload: Bytes) -> Option<SessionEvent> {
        Some(SessionEvent::Message {
            stream: StreamId(0),
            ppid,
            payload,
        })
    }

    fn pe(number: u32) -> PeId {
        PeId::new(number).unwrap()
    }

    #[test]
    fn a_new_server_gets_what_is_open() {
        let mut play = Play::default();
        let now = Instant::ZERO;
        assert_eq!(play.ping(now, Bytes::new()), None, "nobody is there to get it");
        let step = play.handle(now, Some(SessionEvent::Connected { pe: pe(1) }));
        assert_eq!(step.send.len(), 1);
        assert_eq!(play.server(), Some(pe(1)));
        let lost = SessionEvent::FailoverStarted {
            pe: pe(1),
            reason: FailoverReason::Lost,
        };
        assert!(play.handle(now, Some(lost)).send.is_empty());
        assert_eq!(play.server(), None);
        let step = play.handle(
            now,
            Some(SessionEvent::FailoverCompleted {
                pe: pe(2),
                had_cookie: false,
            }),
        );
        assert_eq!(step.send.len(), 1);
        assert_eq!(
            step.happening,
            Some(Happening::Serves {
                pe: pe(2),
                after_failover: true,
                sent: 1
            })
        );
    }

    #[test]
    fn a_server_that_talks_nonsense_is_given_up() {
        let mut play = Play::default();
        let now = Instant::ZERO;
        play.handle(now, Some(SessionEvent::Connected { pe: pe(1) }));
        assert!(
            play.handle(now, message(PPID_PINGPONG, Bytes::from_static(b"what")))
                .fail_over
        );
        let ping = Ping {
            message_no: 1,
            data: Bytes::new(),
        };
        assert!(play.handle(now, message(PPID_PINGPONG, ping.encode())).fail_over);
        let pong = Pong {
            message_no: 1,
            reply_no: 1,
            data: Bytes::new(),
        };
        assert!(play.handle(now, message(Ppid(0), pong.encode())).fail_over);
        assert!(!play.handle(now, message(PPID_PINGPONG, pong.encode())).fail_over);
    }
}
