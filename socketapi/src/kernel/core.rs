//! A socket of the kernel, whatever its style: its descriptor and its options.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use socket2::Socket;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

use super::abi::{self, Abi, AssocValue, Event, GetAddrs};
use super::state::{Phase, State, Style};
use super::waiters::{Interest, Waiters};
use super::{address, close, errno, reactor, sys};
use crate::{Error, Result, Subscriptions};

/// A socket. Dropped, it closes, and the kernel shuts its associations down.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) style: Style,
    descriptor: Mutex<Option<Arc<AsyncFd<Socket>>>>,
    reactor: Mutex<Handle>,
    readers: Arc<Waiters>,
    writers: Arc<Waiters>,
    state: Mutex<State>,
}

impl Core {
    /// Takes over a socket.
    pub(crate) fn new(socket: Socket, style: Style, reactor: Handle, state: State) -> Result<Self> {
        let failed = |error: io::Error| Error::io("preparing a socket", &error);
        socket.set_nonblocking(true).map_err(failed)?;
        if state.aborts() {
            socket.set_linger(state.linger).map_err(failed)?;
        }
        let (descriptor, reactor) = watch(socket, reactor)?;
        Ok(Self {
            style,
            descriptor: Mutex::new(Some(Arc::new(descriptor))),
            reactor: Mutex::new(reactor),
            readers: Arc::default(),
            writers: Arc::default(),
            state: Mutex::new(state),
        })
    }

    /// The descriptor, while the socket is open.
    pub(crate) fn descriptor(&self) -> Result<Arc<AsyncFd<Socket>>> {
        let descriptor = self.descriptor.lock().unwrap_or_else(PoisonError::into_inner);
        descriptor.clone().ok_or(Error::Closed)
    }

    /// Takes the descriptor away, for good. Whoever waits learns of it.
    pub(crate) fn take(&self) -> Option<Arc<AsyncFd<Socket>>> {
        let taken = self.descriptor.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.wake_all();
        taken
    }

    /// Moves the descriptor to another runtime, as the one that looked after it is gone; once for all who notice.
    pub(crate) fn move_from(&self, gone: &Arc<AsyncFd<Socket>>) -> Result<()> {
        let mut slot = self.descriptor.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, gone)) {
            // A second number for the same socket: the first is closed once nobody uses it.
            let same = gone.get_ref().try_clone();
            let same = same.map_err(|error| Error::io("watching a socket", &error))?;
            let (descriptor, reactor) = watch(same, reactor::reactor(false)?)?;
            *slot = Some(Arc::new(descriptor));
            *self.reactor.lock().unwrap_or_else(PoisonError::into_inner) = reactor;
        }
        Ok(())
    }

    /// The runtime that looks after the descriptor.
    pub(crate) fn reactor(&self) -> Handle {
        self.reactor.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn waiters(&self, interest: Interest) -> &Arc<Waiters> {
        match interest {
            Interest::Read => &self.readers,
            Interest::Write => &self.writers,
        }
    }

    /// Lets all who wait look again.
    pub(crate) fn wake_all(&self) {
        self.readers.wake_all();
        self.writers.wake_all();
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this side has begun to set up an association of which it does not know that this is over.
    pub(crate) fn has_opened(&self) -> bool {
        let state = self.state();
        let known = self.style == Style::Stream && state.phase != Phase::Connecting;
        !known && !state.opened.is_empty()
    }

    // Options.

    /// Reads a structure, whose fields may be input.
    pub(crate) fn get<T: Abi>(&self, name: i32, request: T) -> Result<io::Result<T>> {
        let mut buf = request.to_bytes();
        let outcome = sys::get_option(self.descriptor()?.get_ref().as_fd(), libc::IPPROTO_SCTP, name, &mut buf);
        Ok(outcome.and_then(|_| T::from_bytes(&buf).ok_or_else(|| io::ErrorKind::InvalidData.into())))
    }

    /// Sets a structure.
    pub(crate) fn set<T: Abi>(&self, name: i32, value: T) -> Result<io::Result<()>> {
        self.set_bytes(name, &value.to_bytes())
    }

    /// Reads something of any length, at most `room` bytes.
    pub(crate) fn get_bytes(&self, name: i32, request: &[u8], room: usize) -> Result<io::Result<Vec<u8>>> {
        let mut buf = request.to_vec();
        buf.resize(request.len().max(room), 0);
        let outcome = sys::get_option(self.descriptor()?.get_ref().as_fd(), libc::IPPROTO_SCTP, name, &mut buf);
        Ok(outcome.map(|len| {
            buf.truncate(len);
            buf
        }))
    }

    /// Sets something of any length.
    pub(crate) fn set_bytes(&self, name: i32, value: &[u8]) -> Result<io::Result<()>> {
        self.set_at(libc::IPPROTO_SCTP, name, value)
    }

    /// Sets an option of another level.
    pub(crate) fn set_at(&self, level: i32, name: i32, value: &[u8]) -> Result<io::Result<()>> {
        let descriptor = self.descriptor()?;
        Ok(sys::set_option(descriptor.get_ref().as_fd(), level, name, value))
    }

    /// Reads an option that is one number, of an association or of new ones.
    pub(crate) fn value(&self, name: i32, assoc: i32) -> Result<io::Result<u32>> {
        let answer = self.get(name, AssocValue { assoc, value: 0 })?;
        Ok(answer.map(|answer| answer.value))
    }

    /// Sets an option that is one number, of an association or of new ones.
    pub(crate) fn set_value(&self, name: i32, assoc: i32, value: u32) -> Result<io::Result<()>> {
        self.set(name, AssocValue { assoc, value })
    }

    /// An option of the level of all sockets.
    pub(crate) fn socket_option<T>(&self, read: impl FnOnce(&Socket) -> io::Result<T>) -> Result<io::Result<T>> {
        Ok(read(self.descriptor()?.get_ref()))
    }

    /// The own addresses of an association or of the socket, or the peer's.
    pub(crate) fn addresses(&self, name: i32, assoc: i32) -> Result<Vec<SocketAddr>> {
        // A host may have many; there is no way to ask how many beforehand.
        let mut room = 4096;
        loop {
            let mut buf = GetAddrs { assoc, count: 0 }.to_bytes();
            buf.resize(room, 0);
            let descriptor = self.descriptor()?;
            // The length of the answer leaves out the head in one of the two options: the count is what is right.
            match sys::get_option(descriptor.get_ref().as_fd(), libc::IPPROTO_SCTP, name, &mut buf) {
                Ok(_) => {
                    let count = GetAddrs::from_bytes(&buf).map_or(0, |head| head.count);
                    let list = buf.get(GetAddrs::LEN..).unwrap_or_default();
                    return Ok(address::decode_list(list, count));
                }
                Err(error) if error.raw_os_error() == Some(libc::ENOMEM) && room < 1 << 20 => room *= 4,
                Err(error) => return Err(errno::of_association("reading addresses", &error)),
            }
        }
    }

    /// Asks the kernel for what the user wants, and for what this backend needs to know: how associations begin and
    /// end.
    pub(crate) fn subscribe(&self, assoc: i32, wanted: Subscriptions) -> Result<()> {
        let single = self.style.is_single() || self.style == Style::Listener;
        let events = [
            (abi::SCTP_ASSOC_CHANGE, true),
            (abi::SCTP_SHUTDOWN_EVENT, wanted.peer_shutdown || single),
            (abi::SCTP_PEER_ADDR_CHANGE, wanted.peer_address_change),
            (abi::SCTP_REMOTE_ERROR, wanted.remote_error),
            (abi::SCTP_SEND_FAILED_EVENT, wanted.send_failed),
            (abi::SCTP_PARTIAL_DELIVERY_EVENT, wanted.partial_delivery),
            (abi::SCTP_ADAPTATION_INDICATION, wanted.adaptation_indication),
            (abi::SCTP_AUTHENTICATION_EVENT, wanted.authentication),
            (abi::SCTP_STREAM_RESET_EVENT, wanted.stream_reset),
            (abi::SCTP_ASSOC_RESET_EVENT, wanted.association_reset),
            (abi::SCTP_STREAM_CHANGE_EVENT, wanted.stream_change),
            (abi::SCTP_SENDER_DRY_EVENT, wanted.sender_dry),
        ];
        for (kind, on) in events {
            let on = u8::from(on);
            self.set(abi::SCTP_EVENT, Event { assoc, kind, on })?
                .map_err(|error| errno::of_association("subscribing to notifications", &error))?;
        }
        Ok(())
    }
}

/// Has a runtime look after a socket: the one that is wanted, or that of this library if it is gone.
fn watch(socket: Socket, reactor: Handle) -> Result<(AsyncFd<Socket>, Handle)> {
    let watched_by = |reactor: &Handle, socket| {
        let _inside = reactor.enter();
        sys::watch(socket)
    };
    match watched_by(&reactor, socket) {
        Ok(descriptor) => Ok((descriptor, reactor)),
        Err((socket, _)) => {
            let own = reactor::reactor(false)?;
            match watched_by(&own, socket) {
                Ok(descriptor) => Ok((descriptor, own)),
                Err((_, error)) => Err(Error::io("watching a socket", &error)),
            }
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if let Some(descriptor) = self.take() {
            close::let_go(self.style, self.has_opened(), descriptor, self.reactor());
        }
    }
}
