//! What a user of the counting service may see, whatever happens to elements, registrars and the network.

use std::time::Duration;

use sctp::Instant;

/// What one session has seen; panics when it sees what it must not.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    /// The newest cookie: the count that the next element has to go on with.
    cookie: Option<u64>,
    /// The count of the last answer.
    last_reply: u64,
    /// The request that was answered last.
    last_request: u64,
    /// Whether the next answer is the first of an element.
    fresh: bool,
    failing_since: Option<Instant>,
    pub(super) answers: u64,
    pub(super) failovers: u64,
    pub(super) last_answer: Option<Instant>,
    pub(super) longest_failover: Duration,
}

impl Oracle {
    pub(super) fn connected(&mut self) {
        assert_eq!(
            (self.answers, self.cookie),
            (0, None),
            "the first element is not the first"
        );
        self.fresh = true;
    }

    pub(super) fn failover_started(&mut self, now: Instant) {
        self.failing_since.get_or_insert(now);
    }

    pub(super) fn failed_over(&mut self, now: Instant, had_cookie: bool) {
        assert_eq!(
            had_cookie,
            self.cookie.is_some(),
            "a cookie is passed on if and only if there is one"
        );
        self.failovers += 1;
        self.fresh = true;
        if let Some(since) = self.failing_since.take() {
            self.longest_failover = self.longest_failover.max(now - since);
        }
    }

    pub(super) fn cookie(&mut self, count: u64) {
        assert!(
            self.cookie.is_none_or(|old| old < count),
            "a cookie of {count} after {:?}",
            self.cookie
        );
        assert_eq!(count, self.last_reply + 1, "a cookie that does not fit the last answer");
        self.cookie = Some(count);
    }

    pub(super) fn answer(&mut self, now: Instant, request: u64, reply: u64) {
        assert!(
            request > self.last_request,
            "request {request} is answered after {}",
            self.last_request
        );
        let expected = if self.fresh {
            self.cookie.unwrap_or(1)
        } else {
            self.last_reply + 1
        };
        assert_eq!(
            reply, expected,
            "the count does not go on (fresh element: {})",
            self.fresh
        );
        // A new element may repeat the count of an answer whose cookie was lost with the old one, but skips none.
        assert!(
            reply <= self.last_reply + 1,
            "a gap from {} to {reply}",
            self.last_reply
        );
        (self.last_request, self.last_reply, self.fresh) = (request, reply, false);
        self.answers += 1;
        self.last_answer = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::ZERO;

    fn served() -> Oracle {
        let mut oracle = Oracle::default();
        oracle.connected();
        for count in 1..=3 {
            oracle.answer(NOW, count, count);
            oracle.cookie(count + 1);
        }
        oracle
    }

    #[test]
    fn a_failover_that_goes_on_is_fine() {
        let mut oracle = served();
        // The cookie of this answer is lost.
        oracle.answer(NOW, 4, 4);
        oracle.failed_over(NOW, true);
        oracle.answer(NOW, 9, 4);
        oracle.cookie(5);
        assert_eq!((oracle.answers, oracle.failovers), (5, 1));
    }

    #[test]
    #[should_panic(expected = "the count does not go on")]
    fn a_count_that_starts_over_is_noticed() {
        let mut oracle = served();
        oracle.failed_over(NOW, true);
        oracle.answer(NOW, 4, 1);
    }

    #[test]
    #[should_panic(expected = "a cookie of 3 after")]
    fn a_cookie_that_goes_backwards_is_noticed() {
        served().cookie(3);
    }

    #[test]
    #[should_panic(expected = "request 3 is answered after 3")]
    fn a_second_answer_is_noticed() {
        served().answer(NOW, 3, 4);
    }

    #[test]
    #[should_panic(expected = "a cookie is passed on")]
    fn a_forgotten_cookie_is_noticed() {
        served().failed_over(NOW, false);
    }
}
