//! Waiting for a descriptor in the runtime.

use std::io;
use std::os::fd::BorrowedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Errors of a socket are told as something urgent to read.
#[cfg(target_os = "linux")]
const DATAGRAMS: Interest = Interest::READABLE.add(Interest::PRIORITY);
#[cfg(not(target_os = "linux"))]
const DATAGRAMS: Interest = Interest::READABLE;

/// What a descriptor is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// Datagrams and errors.
    Datagrams,
    /// These, and room to send. Each packet that leaves makes room, and so wakes the task in vain.
    Both,
    /// Room to send.
    Room,
}

/// Has the current runtime watch a descriptor.
///
/// # Panics
///
/// Outside of a runtime, or in one without an I/O driver.
#[expect(
    unsafe_code,
    reason = "the runtime cannot know by itself that the descriptor stays open"
)]
pub(crate) fn watch(descriptor: BorrowedFd<'_>, watched: Watched) -> io::Result<AsyncFd<BorrowedFd<'_>>> {
    let interest = match watched {
        Watched::Datagrams => DATAGRAMS,
        Watched::Both => DATAGRAMS.add(Interest::WRITABLE),
        Watched::Room => Interest::WRITABLE,
    };
    // SAFETY: the descriptor is borrowed for as long as the value returned lives, so it stays open and the same.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, interest) }?)
}
