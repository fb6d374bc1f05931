//! The runtime that looks after descriptors.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use tokio::runtime::{Builder, Handle};

use crate::{Error, Result};

/// The runtime that looks after a new descriptor: the caller's, or one on a thread of its own.
pub(crate) fn reactor(on_runtime: bool) -> Result<Handle> {
    static OWN: OnceLock<Handle> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());

    if on_runtime && let Ok(handle) = Handle::try_current() {
        return Ok(handle);
    }
    let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = OWN.get() {
        return Ok(handle.clone());
    }
    let failed = |error: std::io::Error| Error::io("starting the thread that waits for sockets", &error);
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("sctp-kernel".into())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))
        .map_err(failed)?;
    Ok(OWN.get_or_init(|| handle).clone())
}
