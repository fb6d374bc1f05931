//! The time that this thread has used, which other programs on the machine do not add to.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A reading of the thread's processor clock.
#[derive(Clone, Copy)]
pub(crate) struct CpuTime(Duration);

impl CpuTime {
    pub(crate) fn now() -> Self {
        let reading = clock_gettime(ClockId::ThreadCPUTime);
        let seconds = u64::try_from(reading.tv_sec).expect("positive");
        Self(Duration::new(
            seconds,
            u32::try_from(reading.tv_nsec).expect("below a second"),
        ))
    }

    pub(crate) fn elapsed(self) -> Duration {
        Self::now().0 - self.0
    }
}
