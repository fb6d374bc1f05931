//! Whether a path carries packets that ask for marks.

/// A few boxes in the network throw away what bears an ECN code point. Data would not come through there at first
/// sending, over and over, so a path goes without where nothing of that kind has arrived when a second time-out
/// expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// Nothing is known yet.
    Open {
        /// After so many time-outs.
        time_outs: u8,
        /// The number of the last packet that did not ask for marks and could be filled up with new data.
        plain: Option<u64>,
    },
    /// They arrive.
    Passed,
    /// They do not seem to.
    Failed,
}

impl Default for Trial {
    fn default() -> Self {
        Self::Open {
            time_outs: 0,
            plain: None,
        }
    }
}

impl Trial {
    /// A packet with data that does not ask for marks is sent, which has this number.
    pub(crate) const fn on_plain_packet(&mut self, number: u64) {
        if let Self::Open { plain, .. } = self {
            *plain = Some(number);
        }
    }

    /// Data was acknowledged that was sent once, in the packet with this number. That asked for marks, unless the data
    /// filled up what was sent again.
    pub(crate) fn on_arrival(&mut self, number: u64) {
        if let Self::Open { plain, .. } = self
            && *plain != Some(number)
        {
            *self = Self::Passed;
        }
    }

    /// What was sent was not acknowledged in time.
    pub(crate) fn on_time_out(&mut self) {
        match self {
            Self::Open { time_outs: 0, plain } => {
                *self = Self::Open {
                    time_outs: 1,
                    plain: *plain,
                };
            }
            Self::Open { .. } => *self = Self::Failed,
            Self::Passed | Self::Failed => {}
        }
    }

    /// Whether packets may ask for marks.
    pub(crate) fn goes_on(self) -> bool {
        self != Self::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_outs_before_anything_has_arrived_end_it() {
        let mut trial = Trial::default();
        trial.on_time_out();
        trial.on_arrival(3);
        (0..5).for_each(|_| trial.on_time_out());
        assert!(trial.goes_on());
        let mut trial = Trial::default();
        trial.on_time_out();
        assert!(trial.goes_on());
        trial.on_time_out();
        trial.on_arrival(3);
        assert!(!trial.goes_on());
    }

    #[test]
    fn what_arrives_in_packets_that_do_not_ask_does_not_end_it() {
        let mut trial = Trial::default();
        trial.on_time_out();
        trial.on_plain_packet(2);
        trial.on_arrival(2);
        trial.on_time_out();
        assert!(!trial.goes_on());
    }
}
