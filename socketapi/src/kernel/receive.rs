//! Receiving: messages and notifications out of the kernel's queue, and what they say about associations.

use std::cell::RefCell;
use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use bytes::Bytes;

use super::abi::{self, Abi, InitMsg, RcvInfo as Raw, RtoInfo};
use super::core::Core;
use super::state::{Fate, Phase, State, Style};
use super::waiters::Interest;
use super::{cmsg, errno, notification, sys};
use crate::FailureReason;
use crate::info::AssocRepr;
use crate::{
    AssocId, AssociationState, Error, Mid, Notification, NxtInfo, Ppid, RcvInfo, Received, Result, Ssn, StreamId,
    Subscriptions, Tsn,
};

thread_local! {
    /// Where messages are received into: one piece of memory a thread, not one a socket.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}
/// How large it is at first, and at most.
const SCRATCH_LEN: usize = 256 << 10;
const MAX_SCRATCH_LEN: usize = 64 << 20;

/// What the kernel had.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// Something for the user.
    Received(Received),
    /// Something that only this backend wanted to know.
    Known,
    /// The end: the peer has shut down, and everything was received.
    End,
}

impl Core {
    /// The next thing in the kernel's queue.
    pub(crate) fn take_in(&self) -> Result<Incoming, TakeError> {
        let descriptor = self.descriptor()?;
        let (raw, bytes, info) = receive(descriptor.get_ref().as_fd(), 0)?;
        if raw.flags & abi::MSG_NOTIFICATION != 0 {
            let Some(mut event) = notification::decode(&bytes, raw.peer) else {
                return Ok(Incoming::Known);
            };
            let wanted = self.note(&mut event);
            return Ok(if wanted {
                Incoming::Received(Received::Notification(event))
            } else {
                Incoming::Known
            });
        }
        if bytes.is_empty() {
            return Ok(Incoming::End);
        }
        let mut info = received_info(&info.unwrap_or_default(), raw.flags & libc::MSG_EOR != 0);
        let told = info.assoc.kernel().is_ok_and(|id| self.state().recv_nxtinfo_of(id));
        if told && let Ok(Some((assoc, next))) = self.peek() {
            info.next = Some(next).filter(|_| assoc == info.assoc);
        }
        Ok(Incoming::Received(Received::Data { payload: bytes, info }))
    }

    /// Takes in what the kernel has, for the user to receive later, until `done`, or until nothing more is there.
    pub(crate) fn take_in_until(&self, mut done: impl FnMut(&State) -> bool) -> Result<()> {
        let mut found = false;
        let outcome = loop {
            if done(&self.state()) {
                break Ok(());
            }
            let taken = self.take_in();
            found |= matches!(taken, Ok(Incoming::Received(_) | Incoming::Known));
            match taken {
                Ok(Incoming::Received(received)) => self.state().inbox.push_back(received),
                Ok(Incoming::Known) => {}
                Ok(Incoming::End) | Err(TakeError::Kernel(_)) => break Ok(()),
                Err(TakeError::Other(error)) => break Err(error),
            }
        };
        // Those who wait to receive find something now. Woken for nothing, two who look for one another's news would
        // wake each other without end.
        if found {
            self.waiters(Interest::Read).wake_all();
        }
        outcome
    }

    /// Keeps what a notification says, and completes it. Whether the user wants it.
    fn note(&self, event: &mut Notification) -> bool {
        let Ok(id) = event.assoc().kernel() else {
            return false;
        };
        let mut ends = false;
        match event {
            Notification::AssociationChange(change) => {
                let opened = self.state().opened.get(&id).copied();
                match &mut change.state {
                    AssociationState::Up {
                        initiated_here,
                        features,
                        ..
                    } => {
                        *initiated_here = opened.is_some();
                        *features = self.features(id);
                    }
                    AssociationState::Restarted { features, .. } => *features = self.features(id),
                    AssociationState::CannotStart(reason) => self.explain(opened, reason),
                    AssociationState::Lost(reason) => self.explain(None, reason),
                    _ => {}
                }
                ends = !matches!(
                    change.state,
                    AssociationState::Up { .. } | AssociationState::Restarted { .. }
                );
                self.state().follow(id, &change.state);
                // Some wait for just that.
                self.wake_all();
            }
            Notification::PeerShutdown { .. } => {
                self.state().peer_shut_down = true;
                self.wake_all();
            }
            Notification::StreamChange {
                inbound_streams,
                outbound_streams,
                ..
            } => {
                // The kernel tells how many were added.
                if let Ok(status) = self.raw_status(id) {
                    (*inbound_streams, *outbound_streams) = (status.instrms, status.outstrms);
                }
            }
            _ => {}
        }
        let mut state = self.state();
        let wanted = state.subscriptions_of(id).wants(event);
        if ends {
            state.forget(id);
        }
        wanted
    }

    /// The kernel tells of an ABORT without a cause as of an association that was given up. The error of a one-to-one
    /// socket tells them apart; so does the time, as a set-up is not given up before its INIT was repeated.
    fn explain(&self, opened: Option<Instant>, reason: &mut FailureReason) {
        if !matches!(reason, FailureReason::PeerUnreachable | FailureReason::SetupTimeout) {
            return;
        }
        let refused = match (self.style, opened) {
            (Style::Stream, _) => {
                let pending = self.socket_option(socket2::Socket::take_error);
                if let Ok(Ok(Some(error))) = pending
                    && let Some(known) = error.raw_os_error().and_then(errno::lost)
                    && known != FailureReason::PeerUnreachable
                {
                    *reason = known;
                }
                false
            }
            (_, Some(at)) => self.is_too_soon_to_give_up(at),
            _ => false,
        };
        if refused {
            *reason = FailureReason::PeerAbort {
                cause: None,
                reason: Bytes::new(),
            };
        }
    }

    fn is_too_soon_to_give_up(&self, since: Instant) -> bool {
        let (Ok(Ok(rto)), Ok(Ok(init))) = (
            self.get(abi::SCTP_RTOINFO, RtoInfo::default()),
            self.get(abi::SCTP_INITMSG, InitMsg::default()),
        ) else {
            return false;
        };
        let tries = u128::from(init.max_attempts) + 1;
        let wait = match init.max_init_timeo {
            0 => rto.initial,
            longest => rto.initial.min(longest.into()),
        };
        // A tenth less, as the kernel's timers have ticks.
        since.elapsed().as_millis() < u128::from(wait) * tries * 9 / 10
    }

    /// What the kernel's queue has next, and of which association. `SCTP_NXTINFO` would not say whether it is complete.
    fn peek(&self) -> Result<Option<(AssocId, NxtInfo)>> {
        let descriptor = self.descriptor()?;
        match receive(descriptor.get_ref().as_fd(), libc::MSG_PEEK) {
            Ok((raw, bytes, _)) if raw.flags & abi::MSG_NOTIFICATION != 0 => {
                let event = notification::decode(&bytes, raw.peer);
                Ok(event.map(|event| (event.assoc(), NxtInfo::Notification)))
            }
            Ok((_, bytes, _)) if bytes.is_empty() => Ok(None),
            Ok((raw, bytes, info)) => {
                let info = received_info(&info.unwrap_or_default(), raw.flags & libc::MSG_EOR != 0);
                Ok(Some((info.assoc, next(&info, bytes.len()))))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(errno::general("looking at what is received next", &error)),
        }
    }

    /// What is received next of an association.
    pub(crate) fn next_info(&self, assoc: i32) -> Result<Option<NxtInfo>> {
        let of_inbox = self.state().inbox.front().map(|received| match received {
            Received::Notification(event) => (event.assoc(), NxtInfo::Notification),
            Received::Data { payload, info } => (info.assoc, next(info, payload.len())),
        });
        let found = match of_inbox {
            Some(found) => found,
            None => match self.peek()? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        if self.style.is_single() || found.0 == AssocId(AssocRepr::Kernel(assoc)) {
            return Ok(Some(found.1));
        }
        Err(Error::Unsupported(
            "the kernel tells what its socket receives next, not what an association does",
        ))
    }
}

impl State {
    pub(crate) fn subscriptions_of(&self, assoc: i32) -> Subscriptions {
        self.own.get(&assoc).copied().unwrap_or(self.subscriptions)
    }

    /// An association is in another state now.
    fn follow(&mut self, assoc: i32, state: &AssociationState) {
        let (fate, phase) = match state {
            AssociationState::Up { .. } => (Some(Fate::Up), Phase::Up),
            AssociationState::CannotStart(reason) => {
                (Some(Fate::Failed(reason.clone())), Phase::Failed(reason.clone()))
            }
            AssociationState::Lost(reason) => (Some(Fate::Failed(reason.clone())), Phase::Lost(reason.clone())),
            AssociationState::ShutdownComplete => (None, Phase::ShutDown),
            AssociationState::Restarted { .. } => return,
        };
        self.phase = phase;
        if let (Some(fate), Some(watched)) = (fate, self.watched.get_mut(&assoc))
            && *watched == Fate::Pending
        {
            *watched = fate;
        }
    }
}

/// Why nothing was taken in.
#[derive(Debug)]
pub(crate) enum TakeError {
    /// The kernel's answer.
    Kernel(io::Error),
    /// There is no socket to ask.
    Other(Error),
}

impl From<io::Error> for TakeError {
    fn from(error: io::Error) -> Self {
        Self::Kernel(error)
    }
}

impl From<Error> for TakeError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<TakeError> for Error {
    fn from(error: TakeError) -> Self {
        match error {
            TakeError::Kernel(error) => errno::general("receiving", &error),
            TakeError::Other(error) => error,
        }
    }
}

/// Receives a message, or a piece of one that is larger than the memory for it.
fn receive(fd: std::os::fd::BorrowedFd<'_>, flags: i32) -> io::Result<(sys::RawReceived, Bytes, Option<Raw>)> {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.is_empty() {
            scratch.resize(SCRATCH_LEN, 0);
        }
        let mut control = [0; cmsg::RECEIVE_SPACE];
        let raw = sys::receive(fd, scratch, &mut control, flags)?;
        let bytes = Bytes::copy_from_slice(scratch.get(..raw.len).unwrap_or_default());
        if raw.len == scratch.len() && raw.flags & libc::MSG_EOR == 0 && scratch.len() < MAX_SCRATCH_LEN {
            // The next one of this size comes in one piece.
            let double = scratch.len() * 2;
            scratch.resize(double, 0);
        }
        let info = cmsg::find(control.get(..raw.control_len).unwrap_or_default(), abi::CMSG_RCVINFO);
        Ok((raw, bytes, info.and_then(Raw::from_bytes)))
    })
}

fn received_info(raw: &Raw, end_of_message: bool) -> RcvInfo {
    let unordered = raw.flags & abi::SCTP_UNORDERED != 0;
    RcvInfo {
        assoc: AssocId(AssocRepr::Kernel(raw.assoc)),
        stream: StreamId(raw.sid),
        ssn: Ssn(raw.ssn),
        mid: None::<Mid>,
        ppid: Ppid(u32::from_be(raw.ppid)),
        unordered,
        tsn: Tsn(raw.tsn),
        cumulative_tsn: unordered.then_some(Tsn(raw.cumtsn)),
        context: raw.context,
        end_of_message,
        next: None,
    }
}

const fn next(info: &RcvInfo, length: usize) -> NxtInfo {
    NxtInfo::Message {
        stream: info.stream,
        ppid: info.ppid,
        unordered: info.unordered,
        length,
        complete: info.end_of_message,
    }
}
