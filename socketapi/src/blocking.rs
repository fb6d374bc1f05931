//! Waiting without a runtime: a thread parks until the waker of its operation unparks it.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
#[cfg(feature = "userland")]
use std::time::{Duration, Instant};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs an operation of a socket to its end on this thread.
///
/// The operations need no runtime on the thread that waits; the stack's driver, on another, wakes it.
pub(crate) fn wait<F: Future>(operation: F) -> F::Output {
    let mut operation = pin!(operation);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = operation.as_mut().poll(&mut context) {
            return output;
        }
        // A wake-up between the poll and here makes this return at once.
        thread::park();
    }
}

/// As [`wait`], for so long at most.
#[cfg(feature = "userland")]
pub(crate) fn wait_for<F: Future>(operation: F, timeout: Duration) -> Option<F::Output> {
    let end = Instant::now() + timeout;
    let mut operation = pin!(operation);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = operation.as_mut().poll(&mut context) {
            return Some(output);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}
