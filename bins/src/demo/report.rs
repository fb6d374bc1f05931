//! What a demonstration came to.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::pingpong::Account;

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The client's account, with each failover counted from the moment the server was killed.
    pub account: Account,
}

impl Report {
    /// Whether the user got all that was promised.
    pub const fn is_success(&self) -> bool {
        self.account.outstanding() == 0 && self.account.is_continuous() && self.account.requests > 0
    }

    /// The report as one JSON object. Times are in milliseconds; those of failovers are null if there was none.
    pub fn to_json(&self) -> Value {
        let account = &self.account;
        let times = account
            .failover_times()
            .map(|(min, median, max)| [min, median, max].map(millis));
        let [min, median, max] = times.map_or([None; 3], |times| times.map(Some));
        json!({
            "requests": account.requests,
            "replies": account.replies,
            "lost": account.outstanding(),
            "repeated_requests": account.repeated,
            "duplicate_replies": account.dropped,
            "reply_numbers_skipped": account.skipped,
            "reply_numbers_forgotten": account.forgotten,
            "reply_numbers_reissued": account.reissued,
            "failovers": account.failovers.len(),
            "failover_ms": { "min": min, "median": median, "max": max },
        })
    }
}

/// Milliseconds, to a tenth.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = &self.account;
        writeln!(f, "requests sent    {:>8}", account.requests)?;
        writeln!(f, "replies          {:>8}", account.replies)?;
        writeln!(f, "replies lost     {:>8}", account.outstanding())?;
        write!(f, "reply numbers            ")?;
        if account.is_continuous() {
            write!(f, "none left out")?;
        } else {
            write!(
                f,
                "BROKEN: {} left out, {} forgotten",
                account.skipped, account.forgotten
            )?;
        }
        if account.reissued > 0 {
            write!(f, ", {} twice (their cookie died with the server)", account.reissued)?;
        }
        writeln!(f)?;
        writeln!(f, "failovers        {:>8}", account.failovers.len())?;
        match account.failover_times() {
            Some((min, median, max)) => {
                let [min, median, max] = [min, median, max].map(millis);
                write!(
                    f,
                    "failover time            min {min} ms, median {median} ms, max {max} ms"
                )
            }
            None => write!(f, "failover time            none happened"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account {
            requests: 40,
            replies: 40,
            reissued: 1,
            failovers: [120, 90, 200].map(Duration::from_millis).to_vec(),
            ..Account::default()
        }
    }

    #[test]
    fn success_means_that_nothing_was_lost() {
        assert!(Report { account: account() }.is_success());
        assert!(
            !Report {
                account: Account {
                    replies: 39,
                    ..account()
                }
            }
            .is_success()
        );
        assert!(
            !Report {
                account: Account {
                    skipped: 1,
                    ..account()
                }
            }
            .is_success()
        );
        assert!(
            !Report {
                account: Account::default()
            }
            .is_success(),
            "a run without a single request shows nothing"
        );
    }

    #[test]
    fn the_json_report_has_the_figures_in_milliseconds() {
        let json = Report { account: account() }.to_json();
        assert_eq!(json["requests"], 40);
        assert_eq!(json["lost"], 0);
        assert_eq!(json["failovers"], 3);
        assert_eq!(
            json["failover_ms"],
            json!({ "min": 90.0, "median": 120.0, "max": 200.0 })
        );
        let quiet = Report {
            account: Account::default(),
        }
        .to_json();
        assert_eq!(quiet["failover_ms"]["median"], Value::Null);
    }

    #[test]
    fn a_broken_promise_is_told_aloud() {
        let text = Report {
            account: Account {
                skipped: 2,
                ..account()
            },
        }
        .to_string();
        assert!(text.contains("BROKEN: 2 left out"), "{text}");
        assert!(
            Report { account: account() }
                .to_string()
                .contains("none left out, 1 twice")
        );
    }
}
