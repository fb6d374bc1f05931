//! The holder's part: it welcomes guests, says who has which port, and passes on what is for them.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::io::Errno;
use sctp::{IcmpReport, RxMeta};

use super::batch::Batch;
use super::common::Common;
use super::inbox::{destination_port, origin};
use super::meeting;
use super::poller::{Flags, Poller, Token};
use super::ports::Ports;
use super::registry::{Owner, Refusal};
use super::wire::{self, Answer, ClaimRequest, MAX_REQUEST, Reason, Reply, Request, VERSION};

/// How many guests there may be.
const MAX_GUESTS: usize = 1024;
/// How many connections there may be that have not said hello. Each holds a descriptor of this process.
const MAX_SILENT: usize = 64;
/// How many guests are let in before other work gets its turn.
const ADMISSIONS: usize = 16;
/// How many messages of one guest are read before other work gets its turn.
const MESSAGES: usize = 16;
/// How many claims may wait for a new holder to know everyone.
const MAX_WAITING: usize = 4096;
/// How long nobody is let in after the system had no room for a connection.
const PAUSE: Duration = Duration::from_millis(100);
/// How many answers a guest may leave waiting before it is not told any more how many others there are.
const MAX_UNSENT: usize = 16;
/// How long, at most, a process that took over gives no ports to those who had none: the others have yet to tell what
/// they have.
const GATHERING: Duration = Duration::from_millis(500);
/// How long, at most, it leaves what comes to ports that nobody has told of: an answer would end somebody's
/// association.
const SILENCE: Duration = Duration::from_secs(5);

/// A process that shares the port.
#[derive(Debug)]
struct Guest {
    connection: OwnedFd,
    welcome: bool,
    /// Answers that it does not take; nothing more is read from it meanwhile.
    unsent: VecDeque<Vec<u8>>,
    batch: Batch,
}

/// The time after the end of another holder.
#[derive(Clone, Copy, Debug)]
pub(super) struct TakeOver {
    at: Instant,
    /// How many guests of that one have not told yet what they have.
    missing: u32,
}

impl TakeOver {
    /// There were so many guests beside this one.
    pub(super) const fn new(at: Instant, others: u32) -> Self {
        Self { at, missing: others }
    }

    fn is_gathering(&self, now: Instant) -> bool {
        self.missing > 0 && now < self.at + GATHERING
    }

    fn is_silent(&self, now: Instant) -> bool {
        self.missing > 0 && now < self.at + SILENCE
    }
}

/// What a process has as long as it is the holder.
#[derive(Debug)]
pub(super) struct Holder {
    listener: OwnedFd,
    /// While nobody is let in: until when.
    paused: Option<Instant>,
    guests: BTreeMap<u32, Guest>,
    next_guest: u32,
    /// Whether other processes have had the sockets. Some may keep them when they go.
    lent: bool,
    ports: Arc<Ports>,
    /// What is still to be heeded since it took over.
    took_over: Option<TakeOver>,
    waiting: VecDeque<(Owner, ClaimRequest)>,
    /// Guests with something in their batch.
    touched: Vec<u32>,
    buffer: Box<[u8]>,
    dropped: u64,
}

impl Holder {
    /// The holder that has the name; `took_over` from another one, or not.
    pub(super) fn new(
        listener: OwnedFd,
        ports: Arc<Ports>,
        poller: &Poller,
        took_over: Option<TakeOver>,
    ) -> rustix::io::Result<Self> {
        poller.add(&listener, Token::Listener, Flags::IN)?;
        ports.set_answers(took_over.is_none());
        Ok(Self {
            listener,
            paused: None,
            guests: BTreeMap::new(),
            next_guest: 0,
            lent: took_over.is_some(),
            ports,
            took_over,
            waiting: VecDeque::new(),
            touched: Vec::new(),
            buffer: vec![0; MAX_REQUEST].into_boxed_slice(),
            dropped: 0,
        })
    }

    /// Whether everything that comes is for this process.
    pub(super) fn is_alone(&self) -> bool {
        self.guests.is_empty() && self.took_over.is_none()
    }

    /// Whether it answers what is for nobody.
    pub(super) const fn answers(&self) -> bool {
        self.took_over.is_none()
    }

    /// Whether another process may have made the sockets wait.
    pub(super) const fn has_lent_sockets(&self) -> bool {
        self.lent
    }

    // Guests.

    /// Lets in those who have connected.
    pub(super) fn admit(&mut self, now: Instant, poller: &Poller) {
        for _ in 0..ADMISSIONS {
            match meeting::admit(&self.listener) {
                Ok(connection) => self.admit_one(connection, poller),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                // Whoever waits is let in once there is room.
                Err(error) => {
                    tracing::debug!(%error, "no room for another process");
                    self.paused = Some(now + PAUSE);
                    let _ = poller.change(&self.listener, Token::Listener, Flags::empty());
                    return;
                }
            }
        }
    }

    fn admit_one(&mut self, connection: OwnedFd, poller: &Poller) {
        let refusal = match meeting::check(&connection) {
            Ok(Ok(())) if self.guests.len() < MAX_GUESTS => None,
            Ok(Ok(())) => Some(Reason::Full),
            Ok(Err(user)) => {
                tracing::warn!(user, "a process of another user wanted to share the UDP port");
                Some(Reason::User)
            }
            Err(_) => return,
        };
        if let Some(reason) = refusal {
            // Who does not hear it sees the end.
            let _ = meeting::send_message(&connection, &Reply::Refused(reason).encode());
            return;
        }
        let mut silent = self.guests.iter().filter(|(_, guest)| !guest.welcome);
        if let Some((first, _)) = silent.next()
            && silent.count() + 1 >= MAX_SILENT
        {
            let first = *first;
            self.part(first, poller);
        }
        let mut key = self.next_guest;
        while self.guests.contains_key(&key) {
            key = key.wrapping_add(1);
        }
        self.next_guest = key.wrapping_add(1);
        if poller.add(&connection, Token::Guest(key), Flags::IN).is_ok() {
            let guest = Guest {
                connection,
                welcome: false,
                unsent: VecDeque::new(),
                batch: Batch::default(),
            };
            self.guests.insert(key, guest);
        }
    }

    /// A guest has something to say, or room for what it was not told.
    pub(super) fn attend(&mut self, key: u32, now: Instant, poller: &Poller, common: &Common) {
        if self.hear(key, now, poller, common).is_none() {
            self.part(key, poller);
        }
    }

    /// `None` if it has gone, or has to.
    fn hear(&mut self, key: u32, now: Instant, poller: &Poller, common: &Common) -> Option<()> {
        self.tell(key, Vec::new(), poller)?;
        for _ in 0..MESSAGES {
            let guest = self.guests.get_mut(&key)?;
            if !guest.unsent.is_empty() {
                return Some(());
            }
            let len = match meeting::receive_request(&guest.connection, &mut self.buffer) {
                Ok(len) => len,
                Err(Errno::AGAIN | Errno::INTR) => return Some(()),
                Err(_) => return None,
            };
            match Request::decode(self.buffer.get(..len)?)? {
                Request::Hello { version: VERSION } if !guest.welcome => {
                    let sockets = common.descriptors();
                    self.lent = true;
                    meeting::send_sockets(&guest.connection, &Reply::Welcome.encode(), &sockets).ok()?;
                    guest.welcome = true;
                    self.announce(poller);
                }
                Request::Hello { .. } => {
                    let _ = meeting::send_message(&guest.connection, &Reply::Refused(Reason::Version).encode());
                    return None;
                }
                _ if !guest.welcome => return None,
                Request::Claims(claims) => {
                    let owner = Owner::Guest(key);
                    let answers: Vec<Answer> = claims
                        .into_iter()
                        .filter_map(|claim| self.claim(owner, claim, now))
                        .collect();
                    self.tell(key, wire::answers(&answers).collect(), poller)?;
                }
                Request::Release(id) => self.release(Owner::Guest(key), id),
                Request::Told => {
                    if let Some(took_over) = &mut self.took_over {
                        took_over.missing = took_over.missing.saturating_sub(1);
                    }
                }
            }
        }
        Some(())
    }

    /// Tells a guest something, once it takes it; `None` if it has gone.
    fn tell(&mut self, key: u32, messages: Vec<Vec<u8>>, poller: &Poller) -> Option<()> {
        let guest = self.guests.get_mut(&key)?;
        let waited = !guest.unsent.is_empty();
        guest.unsent.extend(messages);
        while let Some(message) = guest.unsent.front() {
            match meeting::send_message(&guest.connection, message) {
                Ok(()) => drop(guest.unsent.pop_front()),
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => break,
                Err(_) => return None,
            }
        }
        let waits = !guest.unsent.is_empty();
        if waits != waited {
            let flags = if waits { Flags::OUT } else { Flags::IN };
            poller.change(&guest.connection, Token::Guest(key), flags).ok()?;
        }
        Some(())
    }

    /// A guest has gone: its ports are free.
    fn part(&mut self, key: u32, poller: &Poller) {
        let owner = Owner::Guest(key);
        self.ports.forget(owner);
        self.waiting.retain(|(waiting, _)| *waiting != owner);
        if let Some(guest) = self.guests.remove(&key) {
            poller.remove(&guest.connection);
            self.announce(poller);
        }
    }

    /// Tells all guests how many they are: the next holder will want to know.
    fn announce(&mut self, poller: &Poller) {
        let welcome = self.guests.iter().filter(|(_, guest)| guest.welcome);
        let keys: Vec<u32> = welcome.map(|(key, _)| *key).collect();
        let missing = self.took_over.map_or(0, |took_over| took_over.missing);
        let company = u32::try_from(keys.len()).unwrap_or(u32::MAX).saturating_add(missing);
        let company = Reply::Company(company).encode();
        for key in keys {
            let behind = self
                .guests
                .get(&key)
                .is_some_and(|guest| guest.unsent.len() >= MAX_UNSENT);
            if !behind {
                // One that has gone is noticed by its connection.
                let _ = self.tell(key, vec![company.clone()], poller);
            }
        }
    }

    // Ports.

    /// Gives a port; `None` if the answer comes later.
    pub(super) fn claim(&mut self, owner: Owner, claim: ClaimRequest, now: Instant) -> Option<Answer> {
        let gathering = self.took_over.is_some_and(|took_over| took_over.is_gathering(now));
        if gathering && !claim.again && self.waiting.len() < MAX_WAITING {
            self.waiting.push_back((owner, claim));
            return None;
        }
        Some(self.grant(owner, claim))
    }

    fn grant(&mut self, owner: Owner, claim: ClaimRequest) -> Answer {
        let ClaimRequest {
            id,
            again,
            port,
            addresses,
            shares,
        } = claim;
        let mut start = [0; 2];
        let outcome = match getrandom::fill(&mut start) {
            Ok(()) => self
                .ports
                .grant((owner, id), port, addresses, shares, u16::from_ne_bytes(start)),
            Err(_) => Err(Refusal::NoneFree),
        };
        Answer { id, again, outcome }
    }

    /// Takes a port back.
    pub(super) fn release(&mut self, owner: Owner, id: u64) {
        self.waiting
            .retain(|(waiting, claim)| (*waiting, claim.id) != (owner, id));
        self.ports.release(owner, id);
    }

    // Time.

    /// When it has something to do by itself.
    pub(super) fn timeout(&self) -> Option<Instant> {
        let took_over = self.took_over.map(|TakeOver { at, missing }| match missing {
            0 => at,
            _ if self.waiting.is_empty() => at + SILENCE,
            _ => at + GATHERING,
        });
        [took_over, self.paused].into_iter().flatten().min()
    }

    /// Does what is due; the answers are those for this process.
    pub(super) fn on_timeout(&mut self, now: Instant, poller: &Poller) -> Vec<Answer> {
        if self.paused.is_some_and(|until| now >= until) {
            self.paused = None;
            let _ = poller.change(&self.listener, Token::Listener, Flags::IN);
        }
        if self.took_over.is_some_and(|took_over| !took_over.is_silent(now)) {
            self.took_over = None;
            self.ports.set_answers(true);
            self.announce(poller);
        }
        let mut here = Vec::new();
        if self.took_over.is_none_or(|took_over| !took_over.is_gathering(now)) {
            for (owner, claim) in std::mem::take(&mut self.waiting) {
                let answer = self.grant(owner, claim);
                match owner {
                    Owner::Here => here.push(answer),
                    Owner::Guest(key) => {
                        if self.tell(key, wire::answers(&[answer]).collect(), poller).is_none() {
                            self.part(key, poller);
                        }
                    }
                }
            }
        }
        here
    }

    // Packets.

    /// Passes datagrams on to whom they are for. What is for this process, or for nobody, is left in `here`.
    pub(super) fn sort(
        &mut self,
        datagrams: impl Iterator<Item = (RxMeta, Bytes)>,
        here: &mut Vec<(RxMeta, Bytes)>,
        poller: &Poller,
    ) {
        for (meta, datagram) in datagrams {
            let port = destination_port(&datagram);
            match port.and_then(|port| self.ports.find(Some(meta.dst), port)) {
                Some(Owner::Guest(key)) => self.collect(key, &meta, datagram, poller),
                Some(Owner::Here) => here.push((meta, datagram)),
                // Somebody may have it who has not said so yet.
                None if self.took_over.is_some() => {}
                None => here.push((meta, datagram)),
            }
        }
        for key in std::mem::take(&mut self.touched) {
            self.send_batch(key, poller);
        }
    }

    fn collect(&mut self, key: u32, meta: &RxMeta, datagram: Bytes, poller: &Poller) {
        let full = self
            .guests
            .get(&key)
            .is_some_and(|guest| !guest.batch.has_room(&datagram));
        if full {
            self.send_batch(key, poller);
        }
        if let Some(guest) = self.guests.get_mut(&key) {
            if guest.batch.is_empty() && !self.touched.contains(&key) {
                self.touched.push(key);
            }
            guest.batch.push(meta, datagram);
        }
    }

    fn send_batch(&mut self, key: u32, poller: &Poller) {
        let Some(guest) = self.guests.get_mut(&key) else { return };
        match guest.batch.send(&guest.connection) {
            Ok(dropped) => self.dropped = self.dropped.saturating_add(dropped),
            Err(_) => self.part(key, poller),
        }
    }

    /// Passes an ICMP report on to whom it is for; it comes back if that is this process.
    pub(super) fn sort_report(&mut self, report: IcmpReport) -> Option<IcmpReport> {
        let (address, port) = origin(&report)?;
        match self.ports.find(address, port)? {
            Owner::Here => Some(report),
            Owner::Guest(key) => {
                // One that is not heard is found out by time-outs.
                let guest = self.guests.get(&key)?;
                let _ = meeting::send_message(&guest.connection, &Reply::Report(report).encode());
                None
            }
        }
    }

    /// How many datagrams were dropped since this was asked last, since guests did not take them.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}
