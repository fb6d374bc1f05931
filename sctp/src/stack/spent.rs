//! State Cookies that were used, and must not open another association (RFC 9260 §5.1.5, RFC 5062).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::serial::VerificationTag;
use crate::time::Instant;

/// How many are remembered: some seconds of a very busy stack, and 16 bytes each.
const MOST: usize = 1 << 15;

/// The cookies that associations were opened by, as long as they live.
///
/// A cookie is valid for its whole life, but good for one association: without this, whoever has recorded a COOKIE ECHO
/// could have the association of a peer that is gone begin again. While the association exists, it knows its cookie
/// itself. What cannot be remembered is refused by its age.
#[derive(Debug, Default)]
pub(super) struct SpentCookies {
    /// When they were made, and the own tag in them.
    spent: BTreeSet<(Instant, u32)>,
    /// The longest life of any.
    longest_life: Duration,
    /// Nothing is known of cookies that were not made after this.
    forgotten: Option<Instant>,
}

/// What is known of the use of a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It was not used.
    Fresh,
    /// It was.
    Spent,
    /// It may have been: the youngest cookie of which that is so is older by so much than it is now.
    Unknown(Duration),
}

impl SpentCookies {
    /// A cookie opens an association now, or begins it anew.
    pub(super) fn spend(&mut self, now: Instant, created_at: Instant, life: Duration, tag: VerificationTag) {
        self.longest_life = self.longest_life.max(life);
        self.spent.insert((created_at, tag.0));
        while let Some(&(created_at, _)) = self.spent.first() {
            let is_stale = now.saturating_since(created_at) > self.longest_life;
            if !is_stale && self.spent.len() <= MOST {
                break;
            }
            self.spent.pop_first();
            if !is_stale {
                self.forgotten = self.forgotten.max(Some(created_at));
            }
        }
    }

    /// Whether a cookie that has come was used before.
    pub(super) fn look_up(&self, now: Instant, created_at: Instant, tag: VerificationTag) -> Use {
        if self.spent.contains(&(created_at, tag.0)) {
            return Use::Spent;
        }
        match self.forgotten {
            Some(forgotten) if created_at <= forgotten => Use::Unknown(now.saturating_since(forgotten)),
            _ => Use::Fresh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(60);

    fn tag(n: u64) -> VerificationTag {
        VerificationTag(n as u32)
    }

    #[test]
    fn a_cookie_is_remembered_for_its_life() {
        let mut cookies = SpentCookies::default();
        for n in 0..1000 {
            let now = Instant::from_millis(n * 1000);
            assert_eq!(cookies.look_up(now, now, tag(n)), Use::Fresh);
            cookies.spend(now, now, LIFE, tag(n));
            for age in 0..=60.min(n) {
                let made = Instant::from_millis((n - age) * 1000);
                assert_eq!(cookies.look_up(now, made, tag(n - age)), Use::Spent);
                assert_eq!(
                    cookies.look_up(now, made, tag(n + 1)),
                    Use::Fresh,
                    "another one of that time"
                );
            }
            assert!(cookies.spent.len() <= 61);
        }
    }

    #[test]
    fn what_cannot_be_remembered_is_refused_and_the_memory_is_bounded() {
        let mut cookies = SpentCookies::default();
        let made = |n: u64| Instant::from_nanos(n * 1000);
        let all = 3 * MOST as u64;
        // In a disorder, as packets arrive.
        for n in (0..all).map(|n| n ^ 7) {
            cookies.spend(made(n + 8), made(n), LIFE, tag(n));
            assert!(cookies.spent.len() <= MOST);
        }
        let now = made(all + 8);
        assert!((0..all).all(|n| cookies.look_up(now, made(n), tag(n)) != Use::Fresh));
        assert!(matches!(cookies.look_up(now, made(5), tag(77)), Use::Unknown(_)));
        assert_eq!(cookies.look_up(now, made(all), tag(77)), Use::Fresh);
    }
}
