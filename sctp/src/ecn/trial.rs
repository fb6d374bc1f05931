//! Whether a path carries packets that ask for marks.

/// A few boxes in the network throw away what bears an ECN code point. Data would not come through there at first sending,
/// over and over, so a path goes without where nothing of that kind has arrived when a second time-out expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// Nothing is known yet, after so many time-outs.
    Open(u8),
    /// They arrive.
    Passed,
    /// They do not seem to.
    Failed,
}

impl Default for Trial {
    fn default() -> Self {
        Self::Open(0)
    }
}

impl Trial {
    /// New data was acknowledged that was sent once, so in a packet that asked for marks.
    pub(crate) fn on_arrival(&mut self) {
        if let Self::Open(_) = self {
            *self = Self::Passed;
        }
    }

    /// What was sent was not acknowledged in time.
    pub(crate) fn on_time_out(&mut self) {
        match self {
            Self::Open(0) => *self = Self::Open(1),
            Self::Open(_) => *self = Self::Failed,
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
        trial.on_arrival();
        (0..5).for_each(|_| trial.on_time_out());
        assert!(trial.goes_on());
        let mut trial = Trial::default();
        trial.on_time_out();
        assert!(trial.goes_on());
        trial.on_time_out();
        trial.on_arrival();
        assert!(!trial.goes_on());
    }
}
