//! How messages are cut and bundled (RFC 6458 §8.1.5, §8.1.11, §8.1.16).

use crate::config::check;
use crate::error::ConfigError;

/// How messages are cut into chunks, and whether small ones wait for company.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendingConfig {
    max_fragment: Option<u16>,
    fragmentation_disabled: bool,
    delay: bool,
}

impl SendingConfig {
    /// The smallest limit of the user data in one chunk.
    pub const MIN_MAX_FRAGMENT: u16 = 8;

    /// How many bytes of user data a chunk carries at most; `None` for as many as the path takes.
    pub const fn max_fragment(&self) -> Option<u16> {
        self.max_fragment
    }

    /// Sets how many bytes of user data a chunk carries at most (SCTP_MAXSEG), rounded down to whole words. The path
    /// may take fewer. Small chunks cost headers, and time at both ends.
    pub fn set_max_fragment(&mut self, bytes: Option<u16>) -> Result<(), ConfigError> {
        let valid = bytes.is_none_or(|bytes| bytes >= Self::MIN_MAX_FRAGMENT);
        check(valid, "largest fragment", "at least 8 bytes")?;
        self.max_fragment = bytes.map(|bytes| bytes & !3);
        Ok(())
    }

    /// Whether messages that do not fit one chunk are refused.
    pub const fn fragmentation_disabled(&self) -> bool {
        self.fragmentation_disabled
    }

    /// Sets whether messages that do not fit one chunk are refused rather than cut (SCTP_DISABLE_FRAGMENTS). A message
    /// that fitted when it was handed over is still cut if the path takes less by the time it is sent.
    pub const fn set_fragmentation_disabled(&mut self, disabled: bool) {
        self.fragmentation_disabled = disabled;
    }

    /// Whether what does not fill a packet is sent at once.
    pub const fn nodelay(&self) -> bool {
        !self.delay
    }

    /// Sets whether what does not fill a packet is sent at once, the default, or waits while other data is not
    /// acknowledged, so that small messages share packets (SCTP_NODELAY, the algorithm of Nagle). Waiting makes
    /// exchanges of small messages as slow as the peer's delayed acknowledgements.
    pub const fn set_nodelay(&mut self, nodelay: bool) {
        self.delay = !nodelay;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6458_8_1_16_a_limit_of_fragments_is_a_whole_number_of_words() {
        let mut config = SendingConfig::default();
        assert!(config.nodelay() && !config.fragmentation_disabled() && config.max_fragment().is_none());
        assert!(config.set_max_fragment(Some(7)).is_err());
        config.set_max_fragment(Some(1001)).unwrap();
        assert_eq!(config.max_fragment(), Some(1000));
    }
}
