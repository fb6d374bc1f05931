//! After how many missing answers a path is treated how (RFC 9260 §8.2, RFC 7829 §3, §5).

use super::check;
use crate::error::ConfigError;

/// How many answers in a row may be missing on a path (SCTP_PEER_ADDR_THLDS, RFC 7829 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathThresholds {
    path_max_retrans: u16,
    potentially_failed: Option<u16>,
    primary_switchover: Option<u16>,
}

impl Default for PathThresholds {
    /// RFC 9260 §16: Path.Max.Retrans 5. RFC 7829 §6: PotentiallyFailed.Max.Retrans 0; §5: no switchover of the primary
    /// path.
    fn default() -> Self {
        Self {
            path_max_retrans: 5,
            potentially_failed: Some(0),
            primary_switchover: None,
        }
    }
}

impl PathThresholds {
    /// Sets all three, which bound each other:
    ///
    /// - Path.Max.Retrans: with more missing answers the path is inactive;
    /// - PotentiallyFailed.Max.Retrans: with more it is potentially failed, and data avoids it; `None` lets data use it
    ///   until it is inactive, as RFC 9260 alone says. A value of Path.Max.Retrans or above comes to the same;
    /// - Primary.Switchover.Max.Retrans: with more on the primary path, the path that carries the data by then becomes
    ///   the primary one for good; `None` lets data return to the primary path. RFC 7829 §5 refuses values below the
    ///   one at which data leaves the path.
    pub fn new(
        path_max_retrans: u16,
        potentially_failed: Option<u16>,
        primary_switchover: Option<u16>,
    ) -> Result<Self, ConfigError> {
        let leaves = potentially_failed.unwrap_or(path_max_retrans);
        check(
            primary_switchover.is_none_or(|limit| limit >= leaves),
            "Primary.Switchover.Max.Retrans",
            "PotentiallyFailed.Max.Retrans or more, without that Path.Max.Retrans or more",
        )?;
        Ok(Self {
            path_max_retrans,
            potentially_failed,
            primary_switchover,
        })
    }

    /// Path.Max.Retrans.
    pub const fn path_max_retrans(&self) -> u16 {
        self.path_max_retrans
    }

    /// PotentiallyFailed.Max.Retrans; `None` when paths are not treated as potentially failed.
    pub const fn potentially_failed(&self) -> Option<u16> {
        self.potentially_failed
    }

    /// Primary.Switchover.Max.Retrans; `None` when the primary path stays what it is.
    pub const fn primary_switchover(&self) -> Option<u16> {
        self.primary_switchover
    }

    /// The same with another Path.Max.Retrans; a Primary.Switchover.Max.Retrans that would be too small then rises with
    /// it.
    #[must_use]
    pub fn with_path_max_retrans(self, limit: u16) -> Self {
        let leaves = self.potentially_failed.unwrap_or(limit);
        Self {
            path_max_retrans: limit,
            primary_switchover: self.primary_switchover.map(|switchover| switchover.max(leaves)),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7829_6_defaults_are_the_recommended_values() {
        let default = PathThresholds::default();
        assert_eq!(default.path_max_retrans(), 5);
        assert_eq!(default.potentially_failed(), Some(0));
        assert_eq!(default.primary_switchover(), None);
    }

    #[test]
    fn rfc7829_5_a_switchover_before_data_leaves_the_path_is_refused() {
        assert!(PathThresholds::new(5, Some(2), Some(1)).is_err());
        assert!(PathThresholds::new(5, Some(2), Some(2)).is_ok());
        assert!(PathThresholds::new(5, Some(2), Some(9)).is_ok());
        assert!(PathThresholds::new(5, None, Some(4)).is_err());
        assert!(PathThresholds::new(5, None, Some(5)).is_ok());
    }

    #[test]
    fn rfc7829_5_raising_path_max_retrans_leaves_the_thresholds_valid() {
        let thresholds = PathThresholds::new(5, None, Some(6)).unwrap().with_path_max_retrans(8);
        assert_eq!(
            (thresholds.path_max_retrans(), thresholds.primary_switchover()),
            (8, Some(8))
        );
        let thresholds = PathThresholds::new(5, Some(0), Some(0))
            .unwrap()
            .with_path_max_retrans(8);
        assert_eq!(thresholds.primary_switchover(), Some(0));
    }
}
