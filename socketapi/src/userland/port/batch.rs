//! Datagrams on their way to a guest: collected in runs, and sent in as few messages as they fit in.

use std::io::IoSlice;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use rustix::io::Errno;
use sctp::RxMeta;

use super::meeting::send_datagrams;
use super::wire::{MAX_RUNS, PAYLOAD, Reply, Run};

/// How many pieces one system call takes.
const MAX_PIECES: usize = 1024 - 1;

/// Datagrams that have not been sent yet.
#[derive(Debug, Default)]
pub(super) struct Batch {
    runs: Vec<Run>,
    pieces: Vec<Bytes>,
    len: usize,
    /// Whether the last datagram was shorter than its run's, which ends the run.
    ended: bool,
}

impl Batch {
    /// Whether there is room for a datagram.
    pub(super) fn has_room(&self, datagram: &Bytes) -> bool {
        self.len + datagram.len() <= PAYLOAD && self.runs.len() < MAX_RUNS && self.pieces.len() < MAX_PIECES
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Adds a datagram; one that no message can describe is left out.
    pub(super) fn push(&mut self, meta: &RxMeta, datagram: Bytes) {
        let (Ok(len), Ok(stride)) = (u32::try_from(datagram.len()), u16::try_from(datagram.len())) else {
            return;
        };
        let source_port = meta.encap.map_or(0, |ports| ports.source);
        let same = |run: &&mut Run| {
            (run.src, run.dst, run.source_port, run.ecn) == (meta.src, meta.dst, source_port, meta.ecn)
                && stride <= run.stride
        };
        match self.runs.last_mut().filter(|_| !self.ended).filter(same) {
            Some(run) => {
                self.ended = stride < run.stride;
                run.len += len;
            }
            None => {
                self.ended = false;
                self.runs.push(Run {
                    src: meta.src,
                    dst: meta.dst,
                    source_port,
                    ecn: meta.ecn,
                    stride,
                    len,
                });
            }
        }
        self.len += datagram.len();
        self.pieces.push(datagram);
    }

    /// Sends them, or drops them if the guest does not take them fast enough; how many were dropped.
    pub(super) fn send(&mut self, connection: &OwnedFd) -> Result<u64, Errno> {
        if self.is_empty() {
            return Ok(0);
        }
        let header = Reply::Datagrams(std::mem::take(&mut self.runs)).encode();
        let mut slices = Vec::with_capacity(self.pieces.len() + 1);
        slices.push(IoSlice::new(&header));
        slices.extend(self.pieces.iter().map(|piece| IoSlice::new(piece)));
        let outcome = match send_datagrams(connection, &slices) {
            Ok(()) => Ok(0),
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => Ok(self.pieces.len() as u64),
            Err(error) => Err(error),
        };
        self.pieces.clear();
        self.len = 0;
        self.ended = false;
        outcome
    }
}
