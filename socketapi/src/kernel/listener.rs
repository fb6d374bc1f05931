//! The listening one-to-one style socket.

use std::net::SocketAddr;
use std::sync::Arc;

use socket2::Socket;

use super::bound::Bound;
use super::core::Core;
use super::readiness::Operation;
use super::state::{Phase, State, Style};
use super::stream::Stream;
use super::waiters::Interest;
use super::{abi, close, errno};
use crate::Result;

/// A listening socket.
#[derive(Clone, Debug)]
pub(crate) struct Listener(pub(super) Arc<Core>);

impl Listener {
    pub(crate) fn accept(&self) -> Operation<'_, impl FnMut() -> Result<(Stream, SocketAddr)>> {
        Operation::new(&self.0, Interest::Read, || self.try_accept())
    }

    fn try_accept(&self) -> Result<(Stream, SocketAddr)> {
        loop {
            let accepted = self.0.socket_option(Socket::accept)?;
            let (socket, peer) = accepted.map_err(|error| errno::general("accepting", &error))?;
            // One without a name is of no use. Others may wait behind it, of whom the descriptor says nothing anew.
            if let Some(stream) = self.take_over(socket, peer.as_socket())? {
                return Ok(stream);
            }
        }
    }

    /// An association that was accepted; `None` if it has ended and left no trace of its peer.
    fn take_over(&self, socket: Socket, peer: Option<SocketAddr>) -> Result<Option<(Stream, SocketAddr)>> {
        let mut own = self.0.state();
        let mut state = State::new(own.subscriptions, Phase::Up);
        state.inherit(&mut own, abi::FUTURE_ASSOC);
        drop(own);
        let core = Core::new(socket, Style::Stream, self.0.reactor(), state)?;
        // One that has ended already still has messages, but no name.
        let status = core.raw_status(abi::FUTURE_ASSOC);
        let id = status.as_ref().map_or(abi::FUTURE_ASSOC, |status| status.assoc);
        let known = peer.or_else(|| status.ok().and_then(|status| { status.primary_address }.address()));
        Ok(known.map(unmapped).map(|peer| (Stream::new(core, id, peer), peer)))
    }

    pub(crate) fn close(&self) {
        if let Some(descriptor) = self.0.take() {
            close::let_go(Style::Listener, false, descriptor, self.0.reactor());
        }
    }

    pub(crate) const fn bound(&self) -> Bound<'_> {
        Bound(&self.0)
    }
}

/// An IPv4 address in its own clothes.
fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
