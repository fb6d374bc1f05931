//! Receive buffers that come back once the last slice of them is gone.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Size of a buffer: the largest datagram, and the largest batch of them that the kernel makes of a train.
pub(crate) const BUFFER: usize = 64 * 1024;
/// How many buffers a pool gives out. What it bounds is the memory that a few bytes in each of them can hold.
const MAX_BUFFERS: usize = 256;
/// How many buffers are kept for later.
const MAX_IDLE: usize = 32;

/// A pool of buffers.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    idle: Vec<Box<[u8]>>,
    in_use: usize,
}

impl Pool {
    /// A buffer; `None` if too many are in use.
    pub(crate) fn take(&self) -> Option<Box<[u8]>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.in_use >= MAX_BUFFERS {
            return None;
        }
        state.in_use += 1;
        // The one used last is the likeliest to be in the processor's cache.
        let idle = state.idle.pop();
        drop(state);
        Some(idle.unwrap_or_else(|| vec![0; BUFFER].into_boxed_slice()))
    }

    fn give_back(&self, buffer: Box<[u8]>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.in_use = state.in_use.saturating_sub(1);
        if state.idle.len() < MAX_IDLE {
            state.idle.push(buffer);
        }
    }
}

/// The bytes of a buffer, which goes back to its pool when the last of them is dropped.
pub(crate) fn share(buffer: Box<[u8]>, pool: &Arc<Pool>) -> Bytes {
    Bytes::from_owner(Lent {
        buffer: Some(buffer),
        pool: Arc::clone(pool),
    })
}

struct Lent {
    buffer: Option<Box<[u8]>>,
    pool: Arc<Pool>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_deref().unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.pool.give_back(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_with_its_last_slice() {
        let pool = Arc::new(Pool::default());
        let mut buffer = pool.take().unwrap();
        buffer[7] = 42;
        let bytes = share(buffer, &pool);
        let slice = bytes.slice(7..8);
        drop(bytes);
        assert_eq!(slice[0], 42);
        assert_eq!(pool.0.lock().unwrap().in_use, 1);
        drop(slice);
        let state = pool.0.lock().unwrap();
        assert_eq!((state.in_use, state.idle.len()), (0, 1));
    }

    #[test]
    fn memory_is_bounded_whatever_is_held() {
        let pool = Arc::new(Pool::default());
        let held: Vec<Bytes> = std::iter::from_fn(|| pool.take())
            .map(|buffer| share(buffer, &pool))
            .collect();
        assert_eq!(held.len(), MAX_BUFFERS);
        drop(held);
        assert!(pool.take().is_some());
        assert!(pool.0.lock().unwrap().idle.len() <= MAX_IDLE);
    }
}
