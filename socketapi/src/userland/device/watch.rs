//! Waiting for a descriptor in the runtime.

use std::io;
use std::os::fd::BorrowedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Errors of a socket are told as something urgent to read.
#[cfg(target_os = "linux")]
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);
#[cfg(not(target_os = "linux"))]
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// Has the current runtime watch a descriptor; `sends` if only for room to send.
///
/// # Panics
///
/// Outside of a runtime, or in one without an I/O driver.
#[expect(
    unsafe_code,
    reason = "the runtime cannot know by itself that the descriptor stays open"
)]
pub(crate) fn watch(descriptor: BorrowedFd<'_>, sends: bool) -> io::Result<AsyncFd<BorrowedFd<'_>>> {
    let interest = if sends { Interest::WRITABLE } else { INTEREST };
    // SAFETY: the descriptor is borrowed for as long as the value returned lives, so it stays open and the same.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, interest) }?)
}
