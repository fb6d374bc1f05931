//! The one-to-many style socket.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use socket2::Socket as Descriptor;

use super::abi;
use super::bound::Bound;
use super::core::Core;
use super::readiness::Operation;
use super::receive::Incoming;
use super::state::{Fate, Phase, State, Style};
use super::stream::Stream;
use super::target::Target;
use super::waiters::Interest;
use super::{close, errno, sys};
use crate::FailureReason;
use crate::info::AssocRepr;
use crate::{AssocId, ConnectOptions, Destination, Error, Received, Result, SndInfo};

/// A one-to-many socket.
#[derive(Clone, Debug)]
pub(crate) struct Socket(pub(super) Arc<Core>);

impl Socket {
    pub(crate) fn listen(&self, backlog: usize) -> Result<()> {
        listen(&self.0, backlog)
    }

    pub(crate) fn recv(&self) -> Operation<'_, impl FnMut() -> Result<Received>> {
        Operation::new(&self.0, Interest::Read, || recv(&self.0))
    }

    pub(crate) fn send(&self, payload: Bytes, info: SndInfo) -> Operation<'_, impl FnMut() -> Result<()>> {
        Operation::new(&self.0, Interest::Write, move || self.try_send(&payload, &info))
    }

    fn try_send(&self, payload: &Bytes, info: &SndInfo) -> Result<()> {
        let id = match info.destination {
            Destination::Association(assoc) => assoc.kernel()?,
            Destination::Address(peer) => {
                if info.abort || payload.is_empty() && info.eof {
                    return Err(Error::NoSuchAssociation);
                }
                if payload.is_empty() {
                    // It would leave an association that nobody asked for.
                    return Err(Error::EmptyMessage);
                }
                match self.0.find(peer)? {
                    Some(id) => id,
                    None => open(&self.0, &[peer], false)?,
                }
            }
            Destination::Peer => return Err(Error::NoDestination),
        };
        if info.abort {
            return self.0.end(id, abi::SCTP_ABORT, payload);
        }
        if !(info.eof && payload.is_empty()) {
            self.0.send(id, None, payload, info)?;
        }
        if info.eof {
            self.0.end(id, abi::SCTP_EOF, &[])
        } else {
            Ok(())
        }
    }

    pub(crate) fn send_all(&self, payload: &Bytes, info: &SndInfo) -> Result<Vec<(AssocId, Error)>> {
        if payload.is_empty() {
            return Err(Error::EmptyMessage);
        }
        let mut refused = Vec::new();
        for assoc in self.associations()? {
            let id = assoc.kernel()?;
            let established = self
                .0
                .raw_status(id)
                .is_ok_and(|status| status.state == abi::SCTP_ESTABLISHED);
            let to = SndInfo {
                destination: Destination::Association(assoc),
                ..*info
            };
            if established && let Err(error) = self.try_send(payload, &to) {
                refused.push((assoc, error));
            }
        }
        Ok(refused)
    }

    pub(crate) fn open(&self, peer: &[SocketAddr], options: ConnectOptions) -> Result<AssocId> {
        check_options(&options)?;
        Ok(AssocId(AssocRepr::Kernel(open(&self.0, peer, false)?)))
    }

    /// Opens an association, and sees how its set-up ends.
    pub(crate) fn open_watched(&self, peer: &[SocketAddr], options: ConnectOptions) -> Result<SetUp> {
        check_options(&options)?;
        let id = open(&self.0, peer, true)?;
        Ok(SetUp {
            core: Arc::clone(&self.0),
            id,
        })
    }

    pub(crate) fn peel_off(&self, assoc: AssocId) -> Result<Stream> {
        let id = assoc.kernel()?;
        let peer = crate::resolve::first(self.0.addresses(abi::SCTP_GET_PEER_ADDRS, id)?)?;
        let descriptor = self.0.descriptor()?;
        let owned = sys::peel_off(descriptor.get_ref().as_fd(), id)
            .map_err(|error| errno::of_association("peeling an association off", &error))?;
        let mut own = self.0.state();
        let mut state = State::new(own.subscriptions_of(id), Phase::Up);
        state.inherit(&mut own, id);
        // What was taken from the kernel goes along.
        let inbox = std::mem::take(&mut own.inbox);
        let (moved, left) = inbox.into_iter().partition(|received| received.assoc() == assoc);
        (state.inbox, own.inbox) = (moved, left);
        own.own.remove(&id);
        // Its end will not be told here: another one may have its name then.
        state.opened.extend(own.opened.remove(&id).map(|at| (id, at)));
        drop(own);
        let reactor = self.0.reactor();
        let core = Core::new(Descriptor::from(owned), Style::PeeledOff, reactor, state)?;
        let subscriptions = core.state().subscriptions;
        core.subscribe(id, subscriptions)?;
        Ok(Stream::new(core, id, peer))
    }

    pub(crate) fn shutdown(&self, assoc: AssocId) -> Result<()> {
        self.0.end(assoc.kernel()?, abi::SCTP_EOF, &[])
    }

    pub(crate) fn abort(&self, assoc: AssocId, reason: Bytes) -> Result<()> {
        self.0.end(assoc.kernel()?, abi::SCTP_ABORT, &reason)
    }

    pub(crate) async fn close(&self) -> Result<()> {
        if let Some(descriptor) = self.0.take() {
            close::close(self.0.style, self.0.has_opened(), descriptor).await;
        }
        Ok(())
    }

    pub(crate) fn associations(&self) -> Result<Vec<AssocId>> {
        let ids = close::associations(self.0.descriptor()?.get_ref());
        Ok(ids.into_iter().map(|id| AssocId(AssocRepr::Kernel(id))).collect())
    }

    pub(crate) fn find(&self, peer: SocketAddr) -> Result<Option<AssocId>> {
        Ok(self.0.find(peer)?.map(|id| AssocId(AssocRepr::Kernel(id))))
    }

    pub(crate) const fn bound(&self) -> Bound<'_> {
        Bound(&self.0)
    }

    pub(crate) fn association(&self, assoc: AssocId) -> Target {
        Target::new(&self.0, Some(assoc))
    }
}

/// What a one-to-many socket receives next.
fn recv(core: &Core) -> Result<Received> {
    if let Some(received) = core.state().inbox.pop_front() {
        return Ok(received);
    }
    loop {
        match core.take_in() {
            Ok(Incoming::Received(received)) => return Ok(received),
            Ok(Incoming::Known) => {}
            // Such a socket has no end.
            Ok(Incoming::End) => return Err(Error::WouldBlock),
            Err(error) => return Err(error.into()),
        }
    }
}

fn check_options(options: &ConnectOptions) -> Result<()> {
    match options.config {
        None => Ok(()),
        Some(_) => Err(Error::Unsupported(
            "a configuration of its own for an association that the kernel opens",
        )),
    }
}

/// Begins to set up an association; `watched` if somebody will ask what becomes of it.
pub(super) fn open(core: &Core, peer: &[SocketAddr], watched: bool) -> Result<i32> {
    check_peer(core, peer)?;
    let descriptor = core.descriptor()?;
    // Held so that whoever receives the notification finds that it was opened here.
    let mut state = core.state();
    let (id, outcome) = sys::connectx(descriptor.get_ref().as_fd(), peer);
    match outcome {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Err(Error::InvalidAddress),
        Err(error) => return Err(errno::general("connecting", &error)),
    }
    state.opened.insert(id, Instant::now());
    if watched {
        state.watched.insert(id, Fate::Pending);
    }
    Ok(id)
}

/// Whether the addresses can be a peer's, and the socket's family reaches them.
fn check_peer(core: &Core, peer: &[SocketAddr]) -> Result<()> {
    let port = crate::resolve::common_port(peer)?;
    if port == 0 || peer.iter().any(|address| address.ip().is_unspecified()) {
        return Err(Error::InvalidAddress);
    }
    let domain = core.socket_option(Descriptor::domain)?;
    let only_v4 = domain.is_ok_and(|domain| domain == socket2::Domain::IPV4);
    if only_v4 && peer.iter().any(SocketAddr::is_ipv6) {
        return Err(Error::InvalidAddress);
    }
    Ok(())
}

pub(super) fn listen(core: &Core, backlog: usize) -> Result<()> {
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    core.socket_option(|socket| socket.listen(backlog))?
        .map_err(|error| errno::general("listening", &error))
}

/// The set-up of an association of a one-to-many socket. Dropped, it goes on unseen.
#[derive(Debug)]
pub(crate) struct SetUp {
    core: Arc<Core>,
    id: i32,
}

impl SetUp {
    /// Waits for its end.
    pub(crate) async fn connected(self) -> Result<AssocId> {
        Operation::new(&self.core, Interest::Read, || self.look()).await?;
        Ok(AssocId(AssocRepr::Kernel(self.id)))
    }

    fn look(&self) -> Result<()> {
        let known = |state: &State| state.watched.get(&self.id).cloned().unwrap_or(Fate::Pending);
        let mut fate = known(&self.core.state());
        if fate == Fate::Pending {
            match self.core.raw_status(self.id) {
                Ok(status) if status.state >= abi::SCTP_ESTABLISHED => return Ok(()),
                Ok(_) => return Err(Error::WouldBlock),
                Err(Error::NoSuchAssociation) => {}
                Err(error) => return Err(error),
            }
            // It has ended; why is in what was not received yet.
            self.core.take_in_until(|state| known(state) != Fate::Pending)?;
            fate = known(&self.core.state());
        }
        match fate {
            Fate::Up => Ok(()),
            Fate::Failed(reason) => Err(Error::ConnectFailed(reason)),
            Fate::Pending => Err(Error::ConnectFailed(FailureReason::SetupTimeout)),
        }
    }
}

impl Drop for SetUp {
    fn drop(&mut self) {
        self.core.state().watched.remove(&self.id);
    }
}
