//! Where to send what (RFC 9260 §6.4, RFC 7829 §3.2, §4).

use super::{Path, PathId, PathSet, PathState};

impl PathSet {
    /// The path for new data: the user's choice or the primary one while it works, else an alternate (§6.4, §8.2).
    pub(crate) fn for_new_data(&self, wanted: Option<PathId>) -> PathId {
        let first = wanted.unwrap_or_else(|| self.primary());
        // Of one path there is nothing to choose; it may have any name.
        if self.len() == 1 {
            return self.primary();
        }
        if self.get(first).is_some_and(Path::is_active) {
            return first;
        }
        self.best(|_| true).unwrap_or(first)
    }

    /// The path for what was last sent to `last` and not acknowledged: an active one that was not tried, if there is
    /// one (§6.4.1).
    pub(crate) fn for_retransmission(&self, last: PathId) -> PathId {
        if self.len() == 1 {
            return self.primary();
        }
        self.best(|id| id != last).unwrap_or_else(|| self.primary())
    }

    /// The confirmed path among `eligible` that promises most: an active one, else, whichever was tried, a potentially
    /// failed one before an inactive one (RFC 7829 §3.2 rules 3, 4, §4.1). Among those it is the one with the fewest
    /// errors, then one that is eligible, then the primary one, then the first. While no path is active the choice so
    /// moves from path to path with each error. One to which nothing can be sent counts no errors, and comes last.
    fn best(&self, eligible: impl Fn(PathId) -> bool) -> Option<PathId> {
        let worth = |(id, path): &(PathId, &Path)| {
            let dead = path.state == PathState::Inactive;
            let active = path.is_active();
            (
                !active,
                path.stranded,
                dead,
                path.error_count,
                !eligible(*id),
                *id != self.primary(),
                *id,
            )
        };
        let fallback = self
            .iter()
            .filter(|(_, path)| path.state != PathState::Unconfirmed)
            .min_by_key(worth);
        let chosen = self
            .iter()
            .filter(|(id, path)| path.is_active() && eligible(*id))
            .min_by_key(worth)
            .or(fallback);
        chosen.map(|(id, _)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instant;
    use crate::config::AssociationConfig;

    fn set(states: &[PathState]) -> PathSet {
        let path = |i: usize| {
            let mut path = Path::new(
                format!("10.0.{i}.1").parse().unwrap(),
                &AssociationConfig::default(),
                Instant::ZERO,
            );
            path.state = states[i];
            path
        };
        let mut set = PathSet::new(path(0));
        for i in 1..states.len() {
            set.add(path(i)).unwrap();
        }
        set
    }

    use PathState::{Active, Inactive, PotentiallyFailed, Unconfirmed};

    #[test]
    fn rfc9260_6_4_new_data_goes_to_the_primary_while_it_works() {
        assert_eq!(set(&[Active, Active]).for_new_data(None), PathId(0));
        assert_eq!(set(&[Active, Active]).for_new_data(Some(PathId(1))), PathId(1));
    }

    #[test]
    fn rfc9260_6_4_new_data_leaves_an_inactive_primary() {
        assert_eq!(set(&[Inactive, Unconfirmed, Active]).for_new_data(None), PathId(2));
        assert_eq!(set(&[Active, Inactive]).for_new_data(Some(PathId(1))), PathId(0));
    }

    #[test]
    fn rfc9260_6_4_1_a_retransmission_takes_another_active_path() {
        assert_eq!(set(&[Active, Active]).for_retransmission(PathId(0)), PathId(1));
        assert_eq!(set(&[Active, Inactive]).for_retransmission(PathId(0)), PathId(0));
        assert_eq!(set(&[Active, Unconfirmed]).for_retransmission(PathId(0)), PathId(0));
    }

    #[test]
    fn rfc9260_8_2_without_an_active_path_the_one_with_the_fewest_errors_is_tried() {
        let mut set = set(&[Inactive, Inactive]);
        set.get_mut(PathId(0)).unwrap().error_count = 7;
        set.get_mut(PathId(1)).unwrap().error_count = 6;
        assert_eq!(set.for_new_data(None), PathId(1));
        set.get_mut(PathId(1)).unwrap().error_count = 7;
        assert_eq!(set.for_new_data(None), PathId(0));
    }

    #[test]
    fn rfc7829_3_2_rule_3_data_avoids_a_potentially_failed_path() {
        let set = set(&[PotentiallyFailed, Active, Active]);
        assert_eq!(set.for_new_data(None), PathId(1));
        assert_eq!(
            set.for_new_data(Some(PathId(0))),
            PathId(1),
            "even if the user asks for it"
        );
        assert_eq!(set.for_retransmission(PathId(0)), PathId(1));
        assert_eq!(set.for_retransmission(PathId(1)), PathId(2));
    }

    #[test]
    fn rfc7829_3_2_rule_4_without_an_active_path_a_potentially_failed_one_with_the_fewest_errors_is_used() {
        let mut set = set(&[PotentiallyFailed, PotentiallyFailed, Inactive, Unconfirmed]);
        for (id, errors) in [(0, 2), (1, 3), (2, 1), (3, 0)] {
            set.get_mut(PathId(id)).unwrap().error_count = errors;
        }
        assert_eq!(set.for_new_data(None), PathId(0));
        set.get_mut(PathId(0)).unwrap().error_count = 4;
        assert_eq!(set.for_new_data(None), PathId(1));
        assert_eq!(set.for_retransmission(PathId(1)), PathId(1));
        set.get_mut(PathId(0)).unwrap().error_count = 3;
        assert_eq!(
            set.for_retransmission(PathId(1)),
            PathId(0),
            "among equals the other one"
        );
        assert_eq!(set.for_retransmission(PathId(0)), PathId(1));
    }

    #[test]
    fn a_set_never_grows_beyond_its_limit() {
        let mut set = set(&[Active]);
        for i in 0..100 {
            let address = format!("10.1.{i}.1").parse().unwrap();
            set.add(Path::new(address, &AssociationConfig::default(), Instant::ZERO));
            set.add(Path::new(address, &AssociationConfig::default(), Instant::ZERO));
        }
        assert_eq!(set.len(), PathSet::MAX_PATHS);
    }
}
