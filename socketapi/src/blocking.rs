//! Waiting without a runtime: a thread parks until the waker of its operation unparks it.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::Result;

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
    // Most have nothing to wait for, and so nobody to wake.
    if let Poll::Ready(output) = operation.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return output;
    }
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

/// An operation that knows best how a thread waits for it.
pub(crate) trait Block: Future + Sized {
    /// Runs it to its end on this thread.
    fn block(self) -> Self::Output {
        wait(self)
    }
}

/// As [`wait`], for so long at most.
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

/// Awaits the end of a socket that is closed, as long as it may linger (SO_LINGER, RFC 6458 §8.1.4).
pub(crate) async fn linger(limit: Option<Duration>, close: impl Future<Output = Result<()>>) -> Result<()> {
    match limit.filter(|limit| !limit.is_zero()) {
        Some(limit) => tokio::time::timeout(limit, close).await.unwrap_or(Ok(())),
        None => close.await,
    }
}

/// As [`linger`], but blocks.
pub(crate) fn linger_blocking(limit: Option<Duration>, close: impl Future<Output = Result<()>>) -> Result<()> {
    match limit.filter(|limit| !limit.is_zero()) {
        Some(limit) => wait_for(close, limit).unwrap_or(Ok(())),
        None => wait(close),
    }
}
