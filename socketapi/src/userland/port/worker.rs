//! The thread of a shared port in a process: it receives for the process, as the holder or from it, and takes over when
//! the holder is gone.
//!
//! It does not depend on what the program's own threads are at: others rely on it.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::io::Errno;
use sctp::{IcmpReport, RxMeta};

use super::common::Common;
use super::desk::{Desk, Wish};
use super::guest::Guest;
use super::holder::{Holder, TakeOver};
use super::inbox::{Heard, Inbox};
use super::meeting;
use super::own::Own;
use super::poller::{Flags, Poller, Token};
use super::ports::Ports;
use super::registry::Owner;
use super::wire::{Answer, Request};
use crate::userland::device::{Receiver, Trouble};

/// How often a descriptor is received from before others get their turn.
const RECEIVE_BUDGET: usize = 4;
/// The first and the longest break between attempts to find the holder, or to become it.
const BREAKS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));
/// After each refusal in a row the break is twice as long, so often.
const MAX_DOUBLINGS: u32 = 7;

/// What receives for this process.
pub(crate) trait Local {
    /// Datagrams for it, or for nobody; false if it is gone.
    fn ingest(&self, datagrams: impl Iterator<Item = (RxMeta, Bytes)>) -> bool;
    /// What ICMP says about its packets.
    fn heed(&self, report: IcmpReport);
    /// From now on it answers what is for nobody.
    fn answers(&self);
    /// Nothing will come any more.
    fn lost(&self);
}

/// What the process is to the others.
#[derive(Debug)]
enum Role {
    Holder(Box<Holder>),
    Guest(Guest),
    /// Neither: it looks for the holder, next at that time.
    Seeker {
        next: Instant,
        pause: Duration,
        /// How many others look for it too.
        others: u32,
    },
}

/// How a process starts.
#[derive(Debug)]
pub(super) enum Start {
    /// It has the name.
    Holder(OwnedFd),
    /// The holder has welcomed it.
    Guest(OwnedFd),
}

/// The thread.
#[derive(Debug)]
pub(super) struct Worker<L> {
    common: Common,
    ports: Arc<Ports>,
    desk: Arc<Desk>,
    local: L,
    poller: Poller,
    role: Role,
    own: Own,
    /// How often in a row the holder would not have this process.
    refusals: u32,
    receiver: Receiver,
    inbox: Inbox,
    here: Vec<(RxMeta, Bytes)>,
    troubles: Vec<Trouble>,
}

impl<L> Drop for Worker<L> {
    fn drop(&mut self) {
        self.desk.abandon();
    }
}

impl<L: Local> Worker<L> {
    pub(super) fn new(start: Start, desk: Arc<Desk>, common: Common, local: L) -> rustix::io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(desk.bell(), Token::Bell, Flags::IN)?;
        let ports = Ports::new(&common);
        let role = match start {
            Start::Holder(listener) => {
                watch(&common, &poller)?;
                let holder = Holder::new(listener, Arc::clone(&ports), &poller, None)?;
                local.answers();
                Role::Holder(Box::new(holder))
            }
            Start::Guest(connection) => Role::Guest(Guest::welcome(connection, &poller)?),
        };
        Ok(Self {
            common,
            ports,
            desk,
            local,
            poller,
            role,
            own: Own::default(),
            refusals: 0,
            receiver: Receiver::default(),
            inbox: Inbox::new(),
            here: Vec::new(),
            troubles: Vec::new(),
        })
    }

    /// Works until nobody needs the port any more.
    pub(super) fn run(mut self) {
        if let Err(error) = self.work() {
            tracing::error!(%error, "the shared UDP port is lost");
            self.local.lost();
        }
    }

    fn work(&mut self) -> rustix::io::Result<()> {
        let mut ready = Vec::new();
        loop {
            let timeout = self.timeout().map(|at| at.saturating_duration_since(Instant::now()));
            self.poller.wait(timeout, &mut ready)?;
            let now = Instant::now();
            for (token, flags) in ready.drain(..) {
                let goes_on = match token {
                    Token::Bell => self.at_desk(now),
                    Token::Udp(index) => self.on_udp(index as usize),
                    Token::Host => self.on_host(flags, now),
                    Token::Listener => {
                        if let Role::Holder(holder) = &mut self.role {
                            holder.admit(now, &self.poller);
                        }
                        true
                    }
                    Token::Guest(key) => {
                        if let Role::Holder(holder) = &mut self.role {
                            holder.attend(key, now, &self.poller, &self.common);
                        }
                        true
                    }
                };
                if !goes_on {
                    return Ok(());
                }
            }
            self.on_timeout(now)?;
        }
    }

    fn timeout(&self) -> Option<Instant> {
        match &self.role {
            Role::Holder(holder) => holder.timeout(),
            Role::Guest(guest) => guest.timeout(),
            Role::Seeker { next, .. } => Some(*next),
        }
    }

    fn on_timeout(&mut self, now: Instant) -> rustix::io::Result<()> {
        if self.timeout().is_none_or(|at| now < at) {
            return Ok(());
        }
        match &mut self.role {
            Role::Holder(holder) => {
                let answered = holder.answers();
                let answers = holder.on_timeout(now, &self.poller);
                if !answered && holder.answers() {
                    self.local.answers();
                }
                for answer in answers {
                    self.on_answer(answer);
                }
                Ok(())
            }
            Role::Guest(_) => {
                tracing::warn!("the holder of the shared UDP port does not answer");
                let pause = self.refused();
                self.leave(now, pause);
                Ok(())
            }
            Role::Seeker { pause, others, .. } => {
                let (pause, others) = (*pause, *others);
                self.seek(now, pause, others)
            }
        }
    }

    // Ports.

    /// Does what callers want; false if nobody needs the port any more.
    fn at_desk(&mut self, now: Instant) -> bool {
        let work = self.desk.take();
        for wish in work.wishes {
            let released = match &wish {
                Wish::Release(id) => Some(*id),
                Wish::Claim { .. } | Wish::Change { .. } => None,
            };
            let claim = self.own.want(wish, &self.desk);
            if let Some(id) = released {
                self.ports.release(Owner::Here, id);
            }
            let mut answer = None;
            let told = match (&mut self.role, claim, released) {
                (Role::Holder(holder), Some(claim), _) => {
                    answer = holder.claim(Owner::Here, claim, now);
                    Ok(())
                }
                (Role::Holder(holder), None, Some(id)) => {
                    holder.release(Owner::Here, id);
                    Ok(())
                }
                (Role::Guest(guest), Some(claim), _) => guest.tell([Request::Claims(vec![claim])], &self.poller),
                (Role::Guest(guest), None, Some(id)) => guest.tell([Request::Release(id)], &self.poller),
                // The next holder is told of what there is then.
                (Role::Seeker { .. }, ..) | (_, None, None) => Ok(()),
            };
            if let Some(answer) = answer {
                self.on_answer(answer);
            }
            if told.is_err() {
                self.leave(now, BREAKS.0);
            }
        }
        !work.closed
    }

    fn on_answer(&mut self, answer: Answer) {
        if self.own.answered(answer, &self.ports, &self.desk) {
            tracing::warn!(?answer, "another process has an SCTP port of this one");
        }
    }

    // Receiving.

    /// Datagrams at a UDP socket; false if nobody needs them any more.
    fn on_udp(&mut self, index: usize) -> bool {
        let (Role::Holder(holder), Some(device)) = (&mut self.role, self.common.udp()) else {
            return true;
        };
        if holder.has_lent_sockets() {
            // What one process says of a socket holds for all, and a broken one may have said something else.
            device.never_wait(index);
        }
        for _ in 0..RECEIVE_BUDGET {
            match device.receive(index, &mut self.receiver) {
                Ok(datagrams) => {
                    let last = datagrams.is_last();
                    let goes_on = if holder.is_alone() {
                        self.local.ingest(datagrams)
                    } else {
                        holder.sort(datagrams, &mut self.here, &self.poller);
                        self.local.ingest(self.here.drain(..))
                    };
                    if !goes_on {
                        return false;
                    }
                    if last {
                        break;
                    }
                }
                // An error is about packets that some process sent.
                Err(error) => {
                    let more = device.read_errors(index, &mut self.troubles);
                    for trouble in self.troubles.drain(..) {
                        if let Trouble::Icmp(report) = trouble
                            && let Some(report) = holder.sort_report(report)
                        {
                            self.local.heed(report);
                        }
                    }
                    if error.kind() == std::io::ErrorKind::WouldBlock && !more {
                        break;
                    }
                }
            }
        }
        match holder.take_dropped() {
            0 => {}
            dropped => device.count_dropped(dropped),
        }
        true
    }

    /// Something from the holder, or room for what it was not told; false if nobody needs it any more.
    fn on_host(&mut self, flags: Flags, now: Instant) -> bool {
        let Role::Guest(guest) = &mut self.role else {
            return true;
        };
        if flags.contains(Flags::OUT) && guest.tell([], &self.poller).is_err() {
            self.leave(now, BREAKS.0);
            return true;
        }
        for _ in 0..RECEIVE_BUDGET {
            let Role::Guest(guest) = &mut self.role else {
                return true;
            };
            match self.inbox.receive(guest.connection(), self.common.udp_port()) {
                Ok(Heard::Welcome) => {
                    self.refusals = 0;
                    guest.on_welcome();
                }
                Ok(Heard::Answers(answers)) => {
                    for answer in answers {
                        self.on_answer(answer);
                    }
                }
                Ok(Heard::Datagrams(datagrams)) => {
                    if !self.local.ingest(datagrams.into_iter()) {
                        return false;
                    }
                }
                Ok(Heard::Report(report)) => self.local.heed(report),
                Ok(Heard::Company(guests)) => guest.on_company(guests),
                Ok(Heard::Refused(reason)) => {
                    tracing::warn!(?reason, "the holder of the shared UDP port refuses this process");
                    let pause = self.refused();
                    self.leave(now, pause);
                    return true;
                }
                Err(Errno::AGAIN | Errno::INTR) => return true,
                Ok(Heard::End) | Err(_) => {
                    self.leave(now, BREAKS.0);
                    return true;
                }
            }
        }
        true
    }

    // Taking over.

    /// The holder will not have this process; how long to leave it alone.
    fn refused(&mut self) -> Duration {
        let pause = BREAKS.1 * (1 << self.refusals.min(MAX_DOUBLINGS));
        self.refusals = self.refusals.saturating_add(1);
        pause
    }

    /// The holder is gone, or useless.
    fn leave(&mut self, now: Instant, pause: Duration) {
        let mut others = 0;
        if let Role::Guest(guest) = &self.role {
            self.poller.remove(guest.connection());
            others = guest.others();
        }
        // The first attempt is made at once where the holder is gone.
        let next = if pause == BREAKS.0 { now } else { now + pause };
        self.role = Role::Seeker { next, pause, others };
    }

    /// Becomes the holder, or the guest of whoever did.
    fn seek(&mut self, now: Instant, pause: Duration, others: u32) -> rustix::io::Result<()> {
        let pause = (pause * 2).min(BREAKS.1);
        self.role = Role::Seeker {
            next: now + pause,
            pause,
            others,
        };
        match meeting::open(self.common.name()) {
            Ok(listener) => self.take_over(listener, now, others),
            Err(Errno::ADDRINUSE) => {
                let Ok(connection) = meeting::approach(self.common.name()) else {
                    return Ok(());
                };
                if let Ok(Err(user)) = meeting::check(&connection) {
                    // It has no packets of this user's, and is told nothing.
                    tracing::warn!(
                        user,
                        name = %self.common.name(),
                        "a process of another user has the name of the shared ports; nothing is received until it is gone",
                    );
                    let pause = self.refused();
                    self.role = Role::Seeker {
                        next: now + pause,
                        pause,
                        others,
                    };
                } else if let Ok(mut guest) = Guest::introduce(connection, now, &self.poller)
                    && guest.tell(self.own.requests(), &self.poller).is_ok()
                    && guest.tell([Request::Told], &self.poller).is_ok()
                {
                    self.role = Role::Guest(guest);
                }
                Ok(())
            }
            // It may do better next time.
            Err(error) => {
                tracing::debug!(%error, "the shared UDP port cannot be taken over");
                Ok(())
            }
        }
    }

    fn take_over(&mut self, listener: OwnedFd, now: Instant, others: u32) -> rustix::io::Result<()> {
        tracing::debug!(name = %self.common.name(), "this process is the holder now");
        let took_over = Some(TakeOver::new(now, others));
        let mut holder = Holder::new(listener, Arc::clone(&self.ports), &self.poller, took_over)?;
        let claims: Vec<_> = self.own.all().collect();
        for claim in claims {
            if let Some(answer) = holder.claim(Owner::Here, claim, now) {
                self.on_answer(answer);
            }
        }
        self.role = Role::Holder(Box::new(holder));
        self.refusals = 0;
        watch(&self.common, &self.poller)
    }
}

fn watch(common: &Common, poller: &Poller) -> rustix::io::Result<()> {
    for (index, socket) in (0..).zip(common.descriptors()) {
        poller.add(socket, Token::Udp(index), Flags::IN)?;
    }
    Ok(())
}
