//! Processor time, that of the kernel on behalf of a process included.

use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::Pid;
use rustix::time::{ClockId, clock_gettime};

/// What this process has used so far.
pub(crate) fn own() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// What all processes have used that this one started and waited for.
pub(crate) fn children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the system counts");
    [usage.user_time(), usage.system_time()]
        .into_iter()
        .map(|time| Duration::from_micros(u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or(0)))
        .sum()
}

/// The cores that this thread may use.
pub(crate) fn cores() -> Vec<usize> {
    let all = sched_getaffinity(Pid::from_raw(0)).expect("the system says");
    (0..CpuSet::count())
        .filter(|core| all.is_set(*core) == Ok(true))
        .collect()
}

/// Keeps this thread, and those that it starts, on one core.
pub(crate) fn keep_to(core: usize) {
    let mut one = CpuSet::new();
    one.set(core).expect("a core");
    sched_setaffinity(Pid::from_raw(0), &one).expect("the core may be used");
}
