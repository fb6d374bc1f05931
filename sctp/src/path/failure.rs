//! From missing answers to the state of a path (RFC 9260 §8.2, RFC 7829 §3.2).

use super::{Path, PathState};
use crate::Instant;

/// What an answer did to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// It was potentially failed, and is active again.
    FromPotentiallyFailed,
    /// It was inactive, and is active again.
    FromInactive,
}

/// What a missing answer did to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It was active, and is potentially failed.
    PotentiallyFailed,
    /// It is inactive.
    Inactive,
}

impl Path {
    /// The path answered: what it was sent was acknowledged, or its heartbeat (RFC 9260 §8.2, RFC 7829 §3.2 rules 7,
    /// 10).
    pub(crate) fn answered(&mut self, now: Instant) -> Option<Recovery> {
        self.error_count = 0;
        let recovery = match self.state {
            PathState::PotentiallyFailed => Recovery::FromPotentiallyFailed,
            PathState::Inactive => Recovery::FromInactive,
            PathState::Unconfirmed | PathState::Active => return None,
        };
        self.state = PathState::Active;
        self.resume_probing(now);
        Some(recovery)
    }

    /// An answer is missing (RFC 9260 §8.2, RFC 7829 §3.2 rules 2, 8): what that makes of the path.
    pub(crate) fn missed(&mut self) -> Option<Failure> {
        self.error_count = self.error_count.saturating_add(1);
        if !matches!(self.state, PathState::Active | PathState::PotentiallyFailed) {
            return None;
        }
        let (state, failure) = self.judged()?;
        let changes = self.state != state;
        self.state = state;
        if state == PathState::Inactive {
            self.pmtud.disable();
            self.stats.failures += u64::from(changes);
        }
        changes.then_some(failure)
    }

    /// The next missing answer is the last one (RFC 9260 §10 ICMP9 allows to give a path up at once).
    pub(crate) fn exhaust_errors(&mut self) {
        self.error_count = self.error_count.max(self.config.thresholds().path_max_retrans());
    }

    /// What the error count comes to by the thresholds.
    fn judged(&self) -> Option<(PathState, Failure)> {
        let thresholds = self.config.thresholds();
        if self.error_count > thresholds.path_max_retrans() {
            Some((PathState::Inactive, Failure::Inactive))
        } else if thresholds
            .potentially_failed()
            .is_some_and(|limit| self.error_count > limit)
        {
            Some((PathState::PotentiallyFailed, Failure::PotentiallyFailed))
        } else {
            None
        }
    }

    /// The thresholds changed. A path that is potentially failed and would not be is active again (true); anything else
    /// waits for the next missing answer.
    pub(super) fn clear_by_thresholds(&mut self) -> bool {
        let cleared = self.state == PathState::PotentiallyFailed && self.judged().is_none();
        if cleared {
            self.state = PathState::Active;
        }
        cleared
    }

    /// Whether an acknowledgement of what went to several paths counts for this one (RFC 7829 §3.2 rule 9): not to
    /// bring it back, where failures are detected that way.
    pub(crate) fn takes_ambiguous_answers(&self) -> bool {
        self.is_active() || self.config.thresholds().potentially_failed().is_none()
    }

    /// Whether the primary path should be another one if this is it (RFC 7829 §5).
    pub(crate) fn exceeds_switchover(&self) -> bool {
        let limit = self.config.thresholds().primary_switchover();
        limit.is_some_and(|limit| self.error_count > limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AssociationConfig, PathThresholds};

    fn path(thresholds: PathThresholds) -> Path {
        let mut config = AssociationConfig::default();
        config.path_mut().set_thresholds(thresholds);
        let mut path = Path::new("10.0.0.1".parse().unwrap(), &config, Instant::ZERO);
        path.state = PathState::Active;
        path
    }

    fn answered(path: &mut Path) -> Option<Recovery> {
        path.answered(Instant::ZERO)
    }

    #[test]
    fn rfc9260_8_2_a_path_is_inactive_once_path_max_retrans_is_exceeded() {
        let mut path = path(PathThresholds::new(5, None, None).unwrap());
        assert!((0..5).all(|_| path.missed().is_none()));
        assert_eq!(path.missed(), Some(Failure::Inactive));
        assert_eq!(path.state, PathState::Inactive);
        assert_eq!(path.missed(), None, "it goes inactive once");
        assert_eq!(answered(&mut path), Some(Recovery::FromInactive));
        assert_eq!((path.state, path.error_count), (PathState::Active, 0));
        assert_eq!(answered(&mut path), None);
    }

    #[test]
    fn rfc7829_3_2_a_path_is_potentially_failed_between_its_thresholds() {
        let mut path = path(PathThresholds::new(4, Some(1), None).unwrap());
        assert_eq!(path.missed(), None);
        assert_eq!(path.missed(), Some(Failure::PotentiallyFailed));
        assert_eq!(path.state, PathState::PotentiallyFailed);
        assert!(!path.is_active());
        // Rule 8: another PMR - PFMR errors.
        assert!((0..2).all(|_| path.missed().is_none()));
        assert_eq!(path.missed(), Some(Failure::Inactive));
        assert_eq!(answered(&mut path), Some(Recovery::FromInactive));
        path.missed();
        path.missed();
        assert_eq!(answered(&mut path), Some(Recovery::FromPotentiallyFailed));
        assert_eq!((path.state, path.error_count), (PathState::Active, 0));
    }

    #[test]
    fn rfc7829_3_2_rule_1_a_threshold_that_is_not_below_path_max_retrans_means_nothing() {
        for limit in [2, 3] {
            let mut path = path(PathThresholds::new(2, Some(limit), None).unwrap());
            assert_eq!((path.missed(), path.missed()), (None, None));
            assert_eq!(path.missed(), Some(Failure::Inactive));
        }
    }

    #[test]
    fn rfc9260_5_4_an_unconfirmed_path_does_not_fail() {
        let mut path = path(PathThresholds::default());
        path.state = PathState::Unconfirmed;
        assert!((0..20).all(|_| path.missed().is_none()));
        assert_eq!(path.state, PathState::Unconfirmed);
    }

    #[test]
    fn rfc7829_3_2_rule_9_ambiguous_answers_do_not_bring_a_path_back() {
        let mut with = path(PathThresholds::default());
        assert!(with.takes_ambiguous_answers());
        with.missed();
        assert!(!with.takes_ambiguous_answers());
        let mut without = path(PathThresholds::new(0, None, None).unwrap());
        without.missed();
        assert!(without.takes_ambiguous_answers());
    }
}
