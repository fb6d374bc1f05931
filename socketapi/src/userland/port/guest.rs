//! A guest's part: the connection to the holder.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::meeting;
use super::poller::{Flags, Poller, Token};
use super::wire::{Request, VERSION};

/// How long the holder may take to welcome a guest.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a process has as long as it is a guest.
#[derive(Debug)]
pub(super) struct Guest {
    connection: OwnedFd,
    /// Until when the welcome has to come; `None` once it has.
    unwelcome: Option<Instant>,
    unsent: VecDeque<Vec<u8>>,
    /// How many guests there are, this one included. Until it is known, as many as there may be.
    company: u32,
}

impl Guest {
    /// One that has been welcomed already.
    pub(super) fn welcome(connection: OwnedFd, poller: &Poller) -> rustix::io::Result<Self> {
        poller.add(&connection, Token::Host, Flags::IN)?;
        Ok(Self {
            connection,
            unwelcome: None,
            unsent: VecDeque::new(),
            company: u32::MAX,
        })
    }

    /// One that introduces itself.
    pub(super) fn introduce(connection: OwnedFd, now: Instant, poller: &Poller) -> rustix::io::Result<Self> {
        let mut guest = Self::welcome(connection, poller)?;
        guest.unwelcome = Some(now + PATIENCE);
        guest.tell([Request::Hello { version: VERSION }], poller)?;
        Ok(guest)
    }

    pub(super) const fn connection(&self) -> &OwnedFd {
        &self.connection
    }

    /// When the welcome is overdue.
    pub(super) const fn timeout(&self) -> Option<Instant> {
        self.unwelcome
    }

    /// The holder has said that it may stay.
    pub(super) const fn on_welcome(&mut self) {
        self.unwelcome = None;
    }

    /// The holder has said how many guests there are.
    pub(super) const fn on_company(&mut self, guests: u32) {
        self.company = guests;
    }

    /// How many others there are that would tell the next holder what they have.
    pub(super) const fn others(&self) -> u32 {
        self.company.saturating_sub(1)
    }

    /// Tells the holder something, now or once it takes it.
    pub(super) fn tell(
        &mut self,
        requests: impl IntoIterator<Item = Request>,
        poller: &Poller,
    ) -> rustix::io::Result<()> {
        let waited = !self.unsent.is_empty();
        self.unsent.extend(requests.into_iter().map(|request| request.encode()));
        while let Some(message) = self.unsent.front() {
            match meeting::send_message(&self.connection, message) {
                Ok(()) => drop(self.unsent.pop_front()),
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => break,
                Err(error) => return Err(error),
            }
        }
        let waits = !self.unsent.is_empty();
        if waits != waited {
            let flags = if waits { Flags::IN | Flags::OUT } else { Flags::IN };
            poller.change(&self.connection, Token::Host, flags)?;
        }
        Ok(())
    }
}
