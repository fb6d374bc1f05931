//! The only reader of the clock.

use std::time::{Duration, Instant as Std, SystemTime, UNIX_EPOCH};

use sctp::Instant;

/// The engine's time: it starts at zero with the stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    zero: Std,
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Self { zero: Std::now() }
    }

    /// The time now.
    pub(crate) fn now(&self) -> Instant {
        // Nanoseconds fill 64 bits after 584 years.
        Instant::from_nanos(u64::try_from(self.zero.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// The runtime's name for a time of the engine.
    pub(crate) fn deadline(&self, at: Instant) -> tokio::time::Instant {
        let far = self.zero + Duration::from_secs(86_400 * 365 * 30);
        let std = self
            .zero
            .checked_add(Duration::from_nanos(at.as_nanos()))
            .unwrap_or(far);
        tokio::time::Instant::from_std(std)
    }
}

/// The time of day, since 1970.
pub(crate) fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
