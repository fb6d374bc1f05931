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
        /// From the asking of the ping to its answer.
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
    /// How long each failover took, in order: from the loss of the server, as far as it is known, else from the first
    /// ping without an answer, to the first answer of the next server.
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
        let (first, last) = (*times.first()?, *times.last()?);
        let upper = *times.get(times.len() / 2)?;
        let lower = *times.get((times.len() - 1) / 2)?;
        Some((first, (lower + upper) / 2, last))
    }
}

#[derive(Debug)]
struct Pending {
    asked: Instant,
    data: Bytes,
    /// Whether any server may have it.
    sent: bool,
}

/// The time without a server's answers.
#[derive(Clone, Copy, Debug)]
struct Outage {
    since: Instant,
    /// Whether there is a new server, whose first answer ends it.
    has_new_server: bool,
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
    /// Whether there is a server to send to.
    has_server: bool,
    outage: Option<Outage>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            account: Account::default(),
            pending: BTreeMap::new(),
            expected: 1,
            next_new: 1,
            promised: 1,
            has_server: false,
            outage: None,
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

    /// Whether the answers of a server that was lost are still missed.
    pub const fn is_failing_over(&self) -> bool {
        self.outage.is_some()
    }

    /// A new ping with `data`. It is returned if it is to be sent now; without a server it waits for the next one. It
    /// is not taken, and does not count, while [`MAX_OUTSTANDING`](Self::MAX_OUTSTANDING) wait for an answer.
    pub fn ping(&mut self, now: Instant, data: Bytes) -> Option<Ping> {
        if self.pending.len() >= Self::MAX_OUTSTANDING {
            return None;
        }
        self.account.requests += 1;
        let message_no = self.account.requests;
        let sent = self.has_server;
        let pending = Pending {
            asked: now,
            data: data.clone(),
            sent,
        };
        self.pending.insert(message_no, pending);
        sent.then_some(Ping { message_no, data })
    }

    /// A pong arrived from the current server.
    pub fn pong(&mut self, now: Instant, pong: &Pong) -> Verdict {
        self.check_reply_no(pong.reply_no);
        match self.pending.remove(&pong.message_no) {
            Some(pending) => {
                self.account.replies += 1;
                let failover = self.end_outage(now);
                Verdict::Answer {
                    round_trip: now - pending.asked,
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

    /// The server is known to have ended, before the session has noticed.
    pub fn outage(&mut self, now: Instant) {
        let outage = self.outage.get_or_insert(Outage {
            since: now,
            has_new_server: false,
        });
        outage.has_new_server = false;
    }

    /// The session has lost its server. The outage counts from the first ping without an answer, unless it was known.
    pub fn server_lost(&mut self, now: Instant) {
        let first_unanswered = self.pending.values().next().map_or(now, |pending| pending.asked);
        self.outage(first_unanswered.min(now));
        self.has_server = false;
    }

    /// The session has a server, its first or a new one that got the newest cookie: the pings to be sent to it, in
    /// order.
    pub fn new_server(&mut self) -> Vec<Ping> {
        self.expected = self.promised;
        self.has_server = true;
        if let Some(outage) = &mut self.outage {
            outage.has_new_server = true;
        }
        let mut pings = Vec::with_capacity(self.pending.len());
        for (&message_no, pending) in &mut self.pending {
            self.account.repeated += u64::from(pending.sent);
            pending.sent = true;
            pings.push(Ping {
                message_no,
                data: pending.data.clone(),
            });
        }
        pings
    }

    fn end_outage(&mut self, now: Instant) -> Option<Duration> {
        // What the lost server sent while it lived may come after it was lost.
        let outage = self.outage.take_if(|outage| outage.has_new_server)?;
        let lasted = now - outage.since;
        self.account.failovers.push(lasted);
        Some(lasted)
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

    /// A ledger with a server and `n` pings under way.
    fn asked(n: u64) -> Ledger {
        let mut ledger = Ledger::default();
        assert!(ledger.new_server().is_empty());
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
    fn a_failover_lasts_from_the_first_unanswered_ping_to_the_next_answer() {
        let mut ledger = asked(1);
        answered(&mut ledger, 1, 1);
        ledger.ping(ms(90), Bytes::new());
        ledger.server_lost(ms(150));
        ledger.server_lost(ms(160));
        assert!(ledger.is_failing_over());
        ledger.new_server();
        let verdict = ledger.pong(ms(300), &pong(2, 2));
        let lasted = Duration::from_millis(210);
        assert_eq!(
            verdict,
            Verdict::Answer {
                round_trip: Duration::from_millis(210),
                failover: Some(lasted)
            }
        );
        assert!(!ledger.is_failing_over());
        assert_eq!(ledger.account().failover_times(), Some((lasted, lasted, lasted)));
    }

    #[test]
    fn without_a_server_pings_wait_for_the_next() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.ping(ms(0), Bytes::new()), None);
        assert_eq!(ledger.new_server().len(), 1);
        ledger.server_lost(ms(1));
        assert_eq!(ledger.ping(ms(2), Bytes::new()), None);
        let pings: Vec<u64> = ledger.new_server().iter().map(|ping| ping.message_no).collect();
        assert_eq!(pings, [1, 2]);
        assert_eq!(ledger.account().repeated, 1, "only the first had been sent before");
        assert!(ledger.ping(ms(3), Bytes::new()).is_some());
    }

    #[test]
    fn late_answers_of_the_lost_server_do_not_end_the_outage() {
        let mut ledger = asked(2);
        ledger.outage(ms(100));
        let late = ledger.pong(ms(101), &pong(1, 1));
        assert_eq!(
            late,
            Verdict::Answer {
                round_trip: Duration::from_millis(101),
                failover: None
            }
        );
        ledger.server_lost(ms(150));
        ledger.new_server();
        ledger.pong(ms(180), &pong(2, 2));
        assert_eq!(
            ledger.account().failovers,
            [Duration::from_millis(80)],
            "counted from the outage"
        );
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
        let even = Account {
            failovers: vec![max, min],
            ..Account::default()
        };
        assert_eq!(
            even.failover_times(),
            Some((min, median, max)),
            "between the middle two"
        );
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
