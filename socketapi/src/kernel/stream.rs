//! The connected one-to-one style socket.

use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::core::Core;
use super::readiness::Operation;
use super::receive::{Incoming, TakeError};
use super::state::{Phase, State, Style};
use super::target::Target;
use super::waiters::Interest;
use super::{abi, close, errno};
use crate::FailureReason;
use crate::info::AssocRepr;
use crate::{AssocId, Destination, Error, Message, Received, Result, SndInfo};

/// A connected one-to-one socket.
#[derive(Clone, Debug)]
pub(crate) struct Stream(Arc<Connected>);

#[derive(Debug)]
struct Connected {
    core: Arc<Core>,
    id: i32,
    peer: SocketAddr,
}

impl Stream {
    pub(super) fn new(core: Core, id: i32, peer: SocketAddr) -> Self {
        let core = Arc::new(core);
        Self(Arc::new(Connected { core, id, peer }))
    }

    fn core(&self) -> &Core {
        &self.0.core
    }

    pub(crate) fn connected(&self) -> Operation<'_, impl FnMut() -> Result<()>> {
        Operation::new(self.core(), Interest::Read, || {
            self.core().take_in_until(|state| state.phase != Phase::Connecting)?;
            let phase = self.core().state().phase.clone();
            match phase {
                Phase::Connecting => Err(Error::WouldBlock),
                Phase::Up | Phase::ShutDown => Ok(()),
                Phase::Lost(reason) => Err(Error::AssociationLost(reason)),
                Phase::Failed(reason) => Err(Error::ConnectFailed(reason)),
            }
        })
    }

    pub(crate) fn recv(&self) -> Operation<'_, impl FnMut() -> Result<Option<Message>>> {
        Operation::new(self.core(), Interest::Read, || {
            loop {
                match self.try_recv()? {
                    Some(Received::Data { payload, info }) => return Ok(Some(Message { payload, info })),
                    Some(Received::Notification(_)) => {}
                    None => return Ok(None),
                }
            }
        })
    }

    pub(crate) fn recv_any(&self) -> Operation<'_, impl FnMut() -> Result<Option<Received>>> {
        Operation::new(self.core(), Interest::Read, || self.try_recv())
    }

    fn try_recv(&self) -> Result<Option<Received>> {
        let core = self.core();
        if core.state().deaf {
            return Ok(None);
        }
        if let Some(received) = core.state().inbox.pop_front() {
            return Ok(Some(received));
        }
        loop {
            match core.take_in() {
                Ok(Incoming::Received(received)) => return Ok(Some(received)),
                Ok(Incoming::Known) => {}
                Ok(Incoming::End) => {
                    let mut state = core.state();
                    if state.phase == Phase::Up {
                        state.phase = Phase::ShutDown;
                    }
                    drop(state);
                    return self.end(Error::WouldBlock);
                }
                Err(TakeError::Kernel(error)) => {
                    if let Some(reason) = error.raw_os_error().and_then(errno::lost) {
                        self.lost(reason, &error);
                    }
                    return self.end(errno::general("receiving", &error));
                }
                Err(TakeError::Other(error)) => return self.end(error),
            }
        }
    }

    /// What is received when nothing is there: the end, if it has come.
    fn end<T>(&self, otherwise: Error) -> Result<Option<T>> {
        let state = self.core().state();
        match &state.phase {
            Phase::Failed(reason) => Err(Error::ConnectFailed(reason.clone())),
            Phase::Lost(reason) => Err(Error::AssociationLost(reason.clone())),
            _ if otherwise != Error::WouldBlock => Err(otherwise),
            Phase::ShutDown => Ok(None),
            Phase::Up if state.peer_shut_down => Ok(None),
            Phase::Up | Phase::Connecting => Err(otherwise),
        }
    }

    /// The socket has an error of which no notification was seen.
    fn lost(&self, reason: FailureReason, error: &std::io::Error) {
        let mut state = self.core().state();
        match state.phase {
            Phase::Connecting => {
                state.phase = Phase::Failed(errno::not_set_up(error.raw_os_error().unwrap_or_default()));
            }
            Phase::Up => state.phase = Phase::Lost(reason),
            _ => {}
        }
    }

    pub(crate) fn send(&self, payload: Bytes, info: SndInfo) -> Operation<'_, impl FnMut() -> Result<()>> {
        Operation::new(self.core(), Interest::Write, move || self.try_send(&payload, &info))
    }

    fn try_send(&self, payload: &Bytes, info: &SndInfo) -> Result<()> {
        match info.destination {
            Destination::Peer => {}
            Destination::Association(assoc) if assoc.kernel() == Ok(self.0.id) => {}
            Destination::Association(_) => return Err(Error::NoDestination),
            Destination::Address(peer) if peer == self.0.peer || self.core().find(peer)?.is_some() => {}
            Destination::Address(_) => return Err(Error::AddressNotAvailable),
        }
        if info.abort {
            return self.abort(payload.clone());
        }
        self.may_send()?;
        if info.eof && payload.is_empty() {
            return self.shutdown();
        }
        let connecting = self.core().state().phase == Phase::Connecting;
        let outcome = self
            .core()
            .send(self.0.id, connecting.then_some(self.0.peer), payload, info);
        match outcome {
            Ok(()) if info.eof => self.shutdown(),
            Err(Error::NoSuchAssociation | Error::ShuttingDown | Error::Io { .. }) => {
                // What has happened to it may wait to be received.
                let goes_on = |state: &State| matches!(state.phase, Phase::Up | Phase::Connecting);
                let taken = self.core().take_in_until(|state| !goes_on(state));
                self.may_send().and(taken).and(outcome)
            }
            outcome => outcome,
        }
    }

    fn may_send(&self) -> Result<()> {
        let state = self.core().state();
        match &state.phase {
            Phase::Failed(reason) => Err(Error::ConnectFailed(reason.clone())),
            Phase::Lost(reason) => Err(Error::AssociationLost(reason.clone())),
            Phase::ShutDown => Err(Error::ShuttingDown),
            Phase::Up | Phase::Connecting if state.shut_down_here || state.peer_shut_down => Err(Error::ShuttingDown),
            Phase::Up | Phase::Connecting => Ok(()),
        }
    }

    pub(crate) fn shutdown(&self) -> Result<()> {
        let core = self.core();
        core.state().shut_down_here = true;
        if core.style == Style::PeeledOff {
            return match core.end(self.0.id, abi::SCTP_EOF, &[]) {
                Err(Error::NoSuchAssociation) => Ok(()),
                outcome => outcome,
            };
        }
        if core.has_opened() && close::shut_down_later(core.descriptor()?, &core.reactor()) {
            return Ok(());
        }
        match core.socket_option(|socket| socket.shutdown(Shutdown::Write))? {
            // One that has ended needs no end.
            Err(error) if error.raw_os_error() != Some(libc::ENOTCONN) => Err(errno::general("shutting down", &error)),
            _ => Ok(()),
        }
    }

    /// Receives nothing more. What comes stays in the kernel.
    pub(crate) fn shutdown_read(&self) -> Result<()> {
        let core = self.core();
        core.descriptor()?;
        let mut state = core.state();
        state.deaf = true;
        state.inbox.clear();
        drop(state);
        core.wake_all();
        Ok(())
    }

    /// Aborts. The kernel sends a reason only for an association that was peeled off.
    pub(crate) fn abort(&self, reason: Bytes) -> Result<()> {
        let core = self.core();
        if core.style == Style::PeeledOff {
            return core.end(self.0.id, abi::SCTP_ABORT, &reason);
        }
        if matches!(core.state().phase, Phase::Lost(_) | Phase::Failed(_) | Phase::ShutDown) {
            return Err(Error::NoSuchAssociation);
        }
        let descriptor = core.take().ok_or(Error::NoSuchAssociation)?;
        core.state().phase = Phase::Lost(FailureReason::UserAbort);
        // Who closes without patience aborts.
        descriptor
            .get_ref()
            .set_linger(Some(Duration::ZERO))
            .map_err(|error| errno::general("aborting", &error))?;
        drop(descriptor);
        core.wake_all();
        Ok(())
    }

    pub(crate) async fn close(&self) -> Result<()> {
        if let Some(descriptor) = self.core().take() {
            close::close(self.core().style, self.core().has_opened(), descriptor).await;
        }
        Ok(())
    }

    pub(crate) fn assoc_id(&self) -> AssocId {
        AssocId(AssocRepr::Kernel(self.0.id))
    }

    pub(crate) fn peer_addr(&self) -> SocketAddr {
        self.0.peer
    }

    pub(crate) fn association(&self) -> Target {
        Target::new(&self.0.core, Some(self.assoc_id()))
    }
}
