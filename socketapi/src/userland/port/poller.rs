//! Waiting for descriptors.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use rustix::io::{Errno, Result};

pub(super) use rustix::event::epoll::EventFlags as Flags;

/// How many events are taken at once.
const EVENTS: usize = 64;

/// What a descriptor is to the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// The desk's bell.
    Bell,
    /// The name that the holder listens under.
    Listener,
    /// The connection to the holder.
    Host,
    /// A UDP socket.
    Udp(u32),
    /// The connection to a guest.
    Guest(u32),
}

impl Token {
    fn number(self) -> u64 {
        let (kind, index) = match self {
            Self::Bell => (0, 0),
            Self::Listener => (1, 0),
            Self::Host => (2, 0),
            Self::Udp(index) => (3, index),
            Self::Guest(index) => (4, index),
        };
        (kind << 32) | u64::from(index)
    }

    fn of(number: u64) -> Option<Self> {
        let index = u32::try_from(number & u64::from(u32::MAX)).ok()?;
        Some(match number >> 32 {
            0 => Self::Bell,
            1 => Self::Listener,
            2 => Self::Host,
            3 => Self::Udp(index),
            4 => Self::Guest(index),
            _ => return None,
        })
    }
}

/// The descriptors that a thread waits for, as long as they are ready.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        })
    }

    pub(super) fn add(&self, descriptor: impl AsFd, token: Token, flags: Flags) -> Result<()> {
        epoll::add(
            &self.epoll,
            descriptor,
            epoll::EventData::new_u64(token.number()),
            flags,
        )
    }

    pub(super) fn change(&self, descriptor: impl AsFd, token: Token, flags: Flags) -> Result<()> {
        epoll::modify(
            &self.epoll,
            descriptor,
            epoll::EventData::new_u64(token.number()),
            flags,
        )
    }

    pub(super) fn remove(&self, descriptor: impl AsFd) {
        // What was never added need not be removed.
        let _ = epoll::delete(&self.epoll, descriptor);
    }

    /// Waits until some are ready, or for a time.
    pub(super) fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<(Token, Flags)>) -> Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        // The system rounds down; waiting a little longer is better than waiting twice.
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs().min(3600).cast_signed(),
            tv_nsec: timeout.subsec_nanos().saturating_add(999_999).min(999_999_999).into(),
        });
        let spare = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&self.epoll, spare, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        let known = |event: &epoll::Event| Some((Token::of(event.data.u64())?, event.flags));
        ready.extend(events.iter().filter_map(known));
        Ok(())
    }
}
