//! Packets that wait for a stack in the process's own memory.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use sctp::RxMeta;

use super::{Datagrams, Receiver};

/// How many packets wait at most; more are lost, as in the buffers of a system.
const QUEUE: usize = 4096;
/// How many packets are taken at once.
const BATCH: usize = 64;

/// A queue with a descriptor that tells of it.
#[derive(Debug)]
pub(super) struct Mailbox {
    queue: Mutex<VecDeque<(RxMeta, Bytes)>>,
    /// A byte in it says that there is something.
    bell: UnixStream,
    heard: UnixStream,
}

impl Mailbox {
    pub(super) fn new() -> io::Result<Self> {
        let (bell, heard) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        heard.set_nonblocking(true)?;
        Ok(Self {
            queue: Mutex::default(),
            bell,
            heard,
        })
    }

    pub(super) fn push(&self, meta: RxMeta, packet: Bytes) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let first = queue.is_empty();
        if queue.len() < QUEUE {
            queue.push_back((meta, packet));
        }
        drop(queue);
        if first {
            self.ring();
        }
    }

    /// Has whoever waits look.
    pub(super) fn ring(&self) {
        // If there is no room for another byte, the bell has rung enough.
        let _ = (&self.bell).write(&[1]);
    }

    /// What to wait on until there is something.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.heard.as_fd()
    }

    /// Takes some packets; `WouldBlock` if there are none.
    pub(super) fn receive<'a>(&self, receiver: &'a mut Receiver) -> io::Result<Datagrams<'a>> {
        // Before the queue is looked at: a bell that rings after that is for what comes after that.
        while matches!((&self.heard).read(&mut [0; 64]), Ok(64)) {}
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = queue.len().min(BATCH);
        let last = count == queue.len();
        if !last {
            // Whoever takes the rest may be another one, who only waits for the bell.
            self.ring();
        }
        Ok(receiver.take(queue.drain(..count), last))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use sctp::{ChecksumState, EcnCodepoint};

    use super::*;

    fn is_ready(mailbox: &Mailbox) -> bool {
        let heard = mailbox.descriptor();
        poll(&mut [PollFd::new(&heard, PollFlags::IN)], Some(&Timespec::default())).unwrap() == 1
    }

    #[test]
    fn the_bell_tells_of_what_was_left() {
        let mailbox = Mailbox::new().unwrap();
        let meta = RxMeta {
            src: Ipv4Addr::LOCALHOST.into(),
            dst: Ipv4Addr::LOCALHOST.into(),
            encap: None,
            ecn: EcnCodepoint::NotEct,
            checksum: ChecksumState::Unverified,
            buffer_len: 1,
        };
        for _ in 0..BATCH + 1 {
            mailbox.push(meta, Bytes::from_static(b"x"));
        }
        let mut receiver = Receiver::default();
        for count in [BATCH, 1] {
            assert!(is_ready(&mailbox));
            assert_eq!(mailbox.receive(&mut receiver).unwrap().count(), count);
        }
        assert!(!is_ready(&mailbox) && mailbox.receive(&mut receiver).is_err());
    }
}
