//! User data of a packet, to be kept until the user takes it.

use std::ops::Range;

use bytes::Bytes;

/// Payloads below this are copied out of their datagram.
const SMALL_PAYLOAD: usize = 256;

/// How much of a datagram is copied at once. Payloads that lie in one copy share it, and each keeps it alive as a
/// whole: at most four times what the window counts for a small one.
const COPY: usize = 512;

/// Takes payloads out of one packet, from the first to the last.
#[derive(Debug)]
pub(crate) struct Payloads<'a> {
    datagram: &'a Bytes,
    /// Bytes of the buffer that a slice of the datagram keeps alive.
    backing: usize,
    /// What was copied last, and where it begins in the datagram.
    copied: Bytes,
    start: usize,
}

impl<'a> Payloads<'a> {
    /// Those of `datagram`, which was cut from a buffer of `backing` bytes.
    pub(crate) const fn new(datagram: &'a Bytes, backing: usize) -> Self {
        Self {
            datagram,
            backing,
            copied: Bytes::new(),
            start: 0,
        }
    }

    /// The bytes of `range` in the datagram.
    ///
    /// A slice keeps the whole buffer alive that the datagram was cut from. So what is less than a quarter of it, or
    /// small, is copied: what the window counts and the memory it takes stay within a constant factor. An empty
    /// result means a range that the datagram does not have.
    #[inline(always)]
    pub(crate) fn take(&mut self, range: Range<usize>) -> Bytes {
        let len = range.len();
        // Within what is copied already?
        if let Some(from) = range.start.checked_sub(self.start)
            && from + len <= self.copied.len()
        {
            return self.copied.slice(from..from + len);
        }
        if range.start > range.end || range.end > self.datagram.len() {
            return Bytes::new();
        }
        if len >= SMALL_PAYLOAD && len >= self.backing / 4 {
            return self.datagram.slice(range);
        }
        self.copy(range.start, len)
    }

    /// Copies `len` bytes from `start`, and what follows them if that is small too.
    fn copy(&mut self, start: usize, len: usize) -> Bytes {
        let rest = self.datagram.get(start..).unwrap_or_default();
        // A packet of many small chunks costs a few allocations, not one each.
        let alone = rest.len() < 2 * len || len > COPY / 2;
        if alone {
            return Bytes::copy_from_slice(rest.get(..len).unwrap_or_default());
        }
        // A whole block, even if it begins before: it and its count of references are one allocation.
        self.start = start.min(self.datagram.len().saturating_sub(COPY));
        let rest = self.datagram.get(self.start..).unwrap_or_default();
        self.copied = match rest.first_chunk::<COPY>() {
            Some(block) => Bytes::from_owner(*block),
            None => Bytes::copy_from_slice(rest),
        };
        let from = start.saturating_sub(self.start);
        self.copied.slice(from..from + len)
    }
}
