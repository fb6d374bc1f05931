//! The ping-pong client's account of what it asked and what it got.
//!
//! # What the user is promised
//!
//! 1. Every ping is answered, and counts as answered once. A ping that was under way when its server died is sent
//!    again to the next one; if the dead server's answer was already there, the second one is dropped.
//! 2. The reply number goes on. From one server it grows by one with each pong. A new server goes on with the number
//!    in the newest cookie that reached the client, so no number is left out, and a number comes a second time only if
//!    its server died between sending the pong and getting the cookie after it across.
//!
//! [`Ledger`] keeps count and notices any breach.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use sctp::Instant;

use crate::protocol::pingpong::{Cookie, Ping, Pong};

/// What a pong was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The answer to a ping that had none yet.
    Answer {
        /// From the first sending of the ping to its answer.
        round_trip: Duration,
        /// If this was the first answer after a failover: how long there was none.
        failover: Option<Duration>,
    },
    /// An answer to a ping that had one; dropped.
    Duplicate,
    /// An answer to nothing that was asked; dropped.
    Unasked,
}

/// What happened up to now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Pings, repetitions not counted.
    pub requests: u64,
    /// Pings that were answered.
    pub replies: u64,
    /// Times that a ping was sent again because its server was lost.
    pub repeated: u64,
    /// Answers to pings that had one already, or that were never sent.
    pub dropped: u64,
    /// Reply numbers that were left out, which breaks the promise.
    pub skipped: u64,
    /// Reply numbers that came again though the cookie after them had arrived, which breaks the promise.
    pub forgotten: u64,
    /// Reply numbers that came again because the cookie after them was lost with its server.
    pub reissued: u64,
    /// How long each failover took, from the loss of the server to the first answer of the next, in order.
    pub failovers: Vec<Duration>,
}

impl Account {
    /// Pings without an answer.
    pub const fn outstanding(&self) -> u64 {
        self.requests - self.replies
    }

    /// Whether the reply number went on as promised.
    pub const fn is_continuous(&self) -> bool {
        self.skipped == 0 && self.forgotten == 0
    }

    /// The shortest, the median and the longest failover.
    pub fn failover_times(&self) -> Option<(Duration, Duration, Duration)> {
        let mut times = self.failovers.clone();
        times.sort_unstable();
        let median = *times.get(times.len() / 2)?;
        Some((*times.first()?, median, *times.last()?))
    }
}

#[derive(Debug)]
struct Pending {
    first_sent: Instant,
    data: Bytes,
}

/// The account, and what it takes to keep it. It reads no clock and sends nothing.
#[derive(Debug)]
pub struct Ledger {
    account: Account,
    /// Asked and not answered, by message number.
    pending: BTreeMap<u64, Pending>,
    /// The reply number that the current server comes with next.
    expected: u64,
    /// The greatest reply number seen, plus one.
    next_new: u64,
    /// The reply number in the newest cookie; 1 as long as there is none.
    promised: u64,
    /// When the server was lost, until the next one answers.
    lost_at: Option<Instant>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            account: Account::default(),
            pending: BTreeMap::new(),
            expected: 1,
            next_new: 1,
            promised: 1,
            lost_at: None,
        }
    }
}

impl Ledger {
    /// How many pings may wait for an answer. A pool that is gone for long must not cost memory for ever.
    pub const MAX_OUTSTANDING: usize = 10_000;

    /// What happened up to now.
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// Whether there is no server at present.
    pub const fn is_failing_over(&self) -> bool {
        self.lost_at.is_some()
    }

    /// A new ping with `data`, to be sent now. `None` while too many wait for an answer.
    pub fn ping(&mut self, now: Instant, data: Bytes) -> Option<Ping> {
        if self.pending.len() >= Self::MAX_OUTSTANDING {
            return None;
        }
        self.account.requests += 1;
        let message_no = self.account.requests;
        self.pending.insert(
            message_no,
            Pending {
                first_sent: now,
                data: data.clone(),
            },
        );
        Some(Ping { message_no, data })
    }

    /// A pong arrived from the current server.
    pub fn pong(&mut self, now: Instant, pong: &Pong) -> Verdict {
        self.check_reply_no(pong.reply_no);
        match self.pending.remove(&pong.message_no) {
            Some(pending) => {
                self.account.replies += 1;
                let failover = self.lost_at.take().map(|lost_at| now - lost_at);
                self.account.failovers.extend(failover);
                Verdict::Answer {
                    round_trip: now - pending.first_sent,
                    failover,
                }
            }
            None => {
                self.account.dropped += 1;
                if (1..=self.account.requests).contains(&pong.message_no) {
                    Verdict::Duplicate
                } else {
                    Verdict::Unasked
                }
            }
        }
    }

    /// A cookie arrived from the current server.
    pub fn cookie(&mut self, cookie: &Cookie) {
        self.promised = cookie.next_reply_no;
    }

    /// The server is lost. Said twice, the first time counts.
    pub fn server_lost(&mut self, now: Instant) {
        self.lost_at.get_or_insert(now);
    }

    /// The session has a new server, which got the newest cookie: the pings to be sent again, in order.
    pub fn new_server(&mut self) -> Vec<Ping> {
        self.expected = self.promised;
        self.account.repeated += self.pending.len() as u64;
        let again = |(&message_no, pending): (&u64, &Pending)| Ping {
            message_no,
            data: pending.data.clone(),
        };
        self.pending.iter().map(again).collect()
    }

    fn check_reply_no(&mut self, reply_no: u64) {
        if reply_no > self.expected {
            // Numbers above the greatest one seen are missing; the others came from the server before.
            self.account.skipped += reply_no.saturating_sub(self.next_new.max(self.expected));
        } else if reply_no < self.expected {
            self.account.forgotten += 1;
        } else if reply_no < self.next_new {
            self.account.reissued += 1;
        }
        self.expected = reply_no.saturating_add(1);
        self.next_new = self.next_new.max(self.expected);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn pong(message_no: u64, reply_no: u64) -> Pong {
        Pong {
            message_no,
            reply_no,
            data: Bytes::new(),
        }
    }

    /// A ledger with `n` pings under way.
    fn asked(n: u64) -> Ledger {
        let mut ledger = Ledger::default();
        for _ in 0..n {
            ledger.ping(ms(0), Bytes::new()).unwrap();
        }
        ledger
    }

    /// The current server answers ping `message_no` and its cookie arrives.
    fn answered(ledger: &mut Ledger, message_no: u64, reply_no: u64) {
        ledger.pong(ms(1), &pong(message_no, reply_no));
        ledger.cookie(&Cookie {
            next_reply_no: reply_no + 1,
        });
    }

    #[test]
    fn each_ping_is_answered_once() {
        let mut ledger = asked(2);
        let first = ledger.pong(ms(5), &pong(1, 1));
        assert_eq!(
            first,
            Verdict::Answer {
                round_trip: Duration::from_millis(5),
                failover: None
            }
        );
        assert_eq!(ledger.pong(ms(6), &pong(1, 2)), Verdict::Duplicate);
        assert_eq!(ledger.pong(ms(6), &pong(3, 3)), Verdict::Unasked);
        assert_eq!(ledger.pong(ms(6), &pong(0, 4)), Verdict::Unasked);
        let account = ledger.account();
        assert_eq!((account.requests, account.replies, account.dropped), (2, 1, 3));
        assert_eq!(account.outstanding(), 1);
    }

    #[test]
    fn unanswered_pings_are_repeated_to_the_new_server() {
        let mut ledger = asked(3);
        answered(&mut ledger, 1, 1);
        ledger.server_lost(ms(10));
        let again: Vec<u64> = ledger.new_server().iter().map(|ping| ping.message_no).collect();
        assert_eq!(again, [2, 3]);
        answered(&mut ledger, 2, 2);
        answered(&mut ledger, 3, 3);
        let account = ledger.account();
        assert_eq!((account.outstanding(), account.repeated), (0, 2));
        assert!(account.is_continuous());
    }

    #[test]
    fn a_failover_lasts_from_the_loss_to_the_next_answer() {
        let mut ledger = asked(2);
        answered(&mut ledger, 1, 1);
        ledger.server_lost(ms(100));
        ledger.server_lost(ms(150));
        assert!(ledger.is_failing_over());
        ledger.new_server();
        let verdict = ledger.pong(ms(300), &pong(2, 2));
        let lasted = Duration::from_millis(200);
        assert_eq!(
            verdict,
            Verdict::Answer {
                round_trip: Duration::from_millis(300),
                failover: Some(lasted)
            }
        );
        assert!(!ledger.is_failing_over());
        assert_eq!(ledger.account().failover_times(), Some((lasted, lasted, lasted)));
    }

    #[test]
    fn a_number_whose_cookie_was_lost_may_come_again() {
        let mut ledger = asked(3);
        answered(&mut ledger, 1, 1);
        // The pong arrives, the server dies before its cookie does.
        ledger.pong(ms(1), &pong(2, 2));
        ledger.server_lost(ms(2));
        ledger.new_server();
        answered(&mut ledger, 3, 2);
        let account = ledger.account();
        assert_eq!((account.reissued, account.skipped, account.forgotten), (1, 0, 0));
        assert!(account.is_continuous());
    }

    #[test]
    fn a_number_left_out_breaks_the_promise() {
        let mut ledger = asked(2);
        answered(&mut ledger, 1, 1);
        ledger.pong(ms(1), &pong(2, 5));
        assert_eq!(ledger.account().skipped, 3);
        assert!(!ledger.account().is_continuous());
        assert_eq!(
            asked(1).tap(|ledger| answered(ledger, 1, 2)).account().skipped,
            1,
            "the first number is 1"
        );
    }

    #[test]
    fn a_server_that_ignores_the_cookie_breaks_the_promise() {
        let mut ledger = asked(3);
        answered(&mut ledger, 1, 1);
        answered(&mut ledger, 2, 2);
        ledger.server_lost(ms(2));
        ledger.new_server();
        ledger.pong(ms(3), &pong(3, 1));
        assert_eq!(ledger.account().forgotten, 1);
        assert!(!ledger.account().is_continuous());
    }

    #[test]
    fn a_new_server_may_not_go_on_above_the_cookie() {
        // Pongs 2 and 3 came without their cookies; the new server has the cookie that says 2.
        let mut ledger = asked(4);
        answered(&mut ledger, 1, 1);
        ledger.pong(ms(1), &pong(2, 2));
        ledger.pong(ms(1), &pong(3, 3));
        ledger.server_lost(ms(2));
        ledger.new_server();
        ledger.pong(ms(3), &pong(4, 5));
        assert_eq!(ledger.account().skipped, 1, "4 was never seen");
    }

    #[test]
    fn what_waits_for_answers_is_bounded() {
        let mut ledger = asked(Ledger::MAX_OUTSTANDING as u64);
        assert_eq!(ledger.ping(ms(0), Bytes::new()), None);
        answered(&mut ledger, 1, 1);
        assert!(ledger.ping(ms(0), Bytes::new()).is_some());
    }

    #[test]
    fn failover_times_are_sorted_for_the_median() {
        let account = Account {
            failovers: [30, 10, 20].map(Duration::from_millis).to_vec(),
            ..Account::default()
        };
        let [min, median, max] = [10, 20, 30].map(Duration::from_millis);
        assert_eq!(account.failover_times(), Some((min, median, max)));
        assert_eq!(Account::default().failover_times(), None);
    }

    trait Tap: Sized {
        fn tap(mut self, f: impl FnOnce(&mut Self)) -> Self {
            f(&mut self);
            self
        }
    }

    impl Tap for Ledger {}
}
