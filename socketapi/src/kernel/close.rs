//! How sockets end: nothing that was sent is lost, and nothing that was not received turns a shutdown into an abort.

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use socket2::Socket;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

use super::abi::{self, Abi, Number, Status};
use super::cmsg::Control;
use super::state::Style;
use super::{reactor, sys};

/// How many messages are thrown away at most when a socket goes: with more, its association is aborted.
const MAX_UNREAD: usize = 100_000;
/// How often the kernel is asked whether all is over: it tells a socket that is shut down in both directions no more.
const FIRST_WAIT: Duration = Duration::from_millis(1);
const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// Lets a socket go that nobody holds any more. Its associations are shut down in the background. `opened` says whether
/// this side has begun to set up one of which it does not know that this is over.
pub(crate) fn let_go(style: Style, opened: bool, descriptor: Arc<AsyncFd<Socket>>, reactor: Handle) {
    if style == Style::Listener {
        abort_waiting(descriptor.get_ref());
        return;
    }
    if opened && !aborts(descriptor.get_ref()) && is_set_up(style, descriptor.get_ref()) {
        // The kernel forgets an association that is closed while it is set up, with all it was to deliver.
        let watching = reactor.clone();
        reactor.spawn(async move {
            until_set_up(style, descriptor.get_ref(), &watching).await;
            discard(descriptor.get_ref());
        });
    } else {
        discard(descriptor.get_ref());
    }
}

/// Ends the association or associations of a socket gracefully, and waits until they are over; `opened` as for
/// [`let_go`].
pub(crate) async fn close(style: Style, opened: bool, descriptor: Arc<AsyncFd<Socket>>) {
    // The one that polls this, or one that never ends: the one that looks after the descriptor may be gone.
    let Ok(reactor) = reactor::reactor(true) else { return };
    let socket = descriptor.get_ref();
    if aborts(socket) {
        return;
    }
    if opened {
        until_set_up(style, socket, &reactor).await;
    }
    if style == Style::Stream {
        // One that has ended has no other direction to shut.
        let _ = socket.shutdown(Shutdown::Write);
    } else {
        for id in associations(socket) {
            let raw = abi::SndInfo {
                assoc: id,
                flags: abi::SCTP_EOF,
                ..abi::SndInfo::default()
            };
            let mut control = Control::default();
            control.push(abi::CMSG_SNDINFO, &raw.to_bytes());
            // One that has ended meanwhile needs no end.
            let _ = sys::send(socket.as_fd(), &[], control.bytes(), None);
        }
    }
    discard(socket);
    let mut wait = FIRST_WAIT;
    while is_alive(style, socket) {
        pause(&reactor, wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
        discard(socket);
    }
}

/// Whether the kernel aborts the associations of the socket when it closes.
fn aborts(socket: &Socket) -> bool {
    matches!(socket.linger(), Ok(Some(Duration::ZERO)))
}

/// Shuts the association of a one-to-one socket down once it is set up, in the background: the kernel forgets one that
/// is shut down before, with all it was to deliver. `false` if it is set up already, and nothing was done.
pub(crate) fn shut_down_later(descriptor: Arc<AsyncFd<Socket>>, reactor: &Handle) -> bool {
    if !is_set_up(Style::Stream, descriptor.get_ref()) {
        return false;
    }
    let watching = reactor.clone();
    reactor.spawn(async move {
        until_set_up(Style::Stream, descriptor.get_ref(), &watching).await;
        // One that failed needs no end.
        let _ = descriptor.get_ref().shutdown(Shutdown::Write);
    });
    true
}

/// Waits until no association is being set up any more.
async fn until_set_up(style: Style, socket: &Socket, reactor: &Handle) {
    if style == Style::Many {
        // No new ones meanwhile. One that did not listen goes on like that.
        let _ = socket.listen(0);
    }
    let mut wait = FIRST_WAIT;
    while is_set_up(style, socket) {
        pause(reactor, wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Whether an association is being set up, by either side.
fn is_set_up(style: Style, socket: &Socket) -> bool {
    match style {
        Style::Listener | Style::PeeledOff => false,
        // How it ends is what is received first. It has a peer while it is up, and an error if it failed.
        Style::Stream => {
            socket.peer_addr().is_err()
                && matches!(peek(socket), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
                && matches!(socket.take_error(), Ok(None))
        }
        Style::Many => associations(socket).into_iter().any(|assoc| {
            let request = Status {
                assoc,
                ..Status::default()
            };
            let mut buf = request.to_bytes();
            let asked = sys::get_option(socket.as_fd(), libc::IPPROTO_SCTP, abi::SCTP_STATUS, &mut buf);
            let status = Status::from_bytes(&buf).filter(|_| asked.is_ok());
            status.is_some_and(|status| status.state < abi::SCTP_ESTABLISHED)
        }),
    }
}

/// Whether something can be received.
fn peek(socket: &Socket) -> io::Result<()> {
    sys::receive(socket.as_fd(), &mut [0; 1], &mut [], libc::MSG_PEEK).map(drop)
}

/// Throws away what was not received: the kernel would abort the association of a socket that closes with it.
fn discard(socket: &Socket) {
    // From now on it throws data away itself.
    let _ = socket.shutdown(Shutdown::Read);
    let mut scratch = [0; 16 << 10];
    for _ in 0..MAX_UNREAD {
        match sys::receive(socket.as_fd(), &mut scratch, &mut [], 0) {
            Ok(raw) if raw.len > 0 => {}
            _ => break,
        }
    }
}

/// Aborts the associations that wait to be accepted.
fn abort_waiting(listener: &Socket) {
    while let Ok((socket, _)) = listener.accept() {
        let _ = socket.set_linger(Some(Duration::ZERO));
    }
}

fn is_alive(style: Style, socket: &Socket) -> bool {
    if style == Style::Many {
        let mut buf = Number::default().to_bytes();
        let asked = sys::get_option(socket.as_fd(), libc::IPPROTO_SCTP, abi::SCTP_GET_ASSOC_NUMBER, &mut buf);
        return asked.is_ok() && Number::from_bytes(&buf).is_some_and(|number| number.value > 0);
    }
    let mut buf = Status::default().to_bytes();
    sys::get_option(socket.as_fd(), libc::IPPROTO_SCTP, abi::SCTP_STATUS, &mut buf).is_ok()
}

/// The associations of a socket that is not of one-to-one style.
pub(crate) fn associations(socket: &Socket) -> Vec<i32> {
    let mut room = 256;
    loop {
        let mut buf = vec![0; 4 + 4 * room];
        match sys::get_option(
            socket.as_fd(),
            libc::IPPROTO_SCTP,
            abi::SCTP_GET_ASSOC_ID_LIST,
            &mut buf,
        ) {
            Ok(_) => {
                let (count, ids) = buf.split_at(4);
                let count = Number::from_bytes(count).map_or(0, |number| number.value);
                let ids = ids.chunks_exact(4).filter_map(<i32 as abi::Field>::load);
                return ids.take(usize::try_from(count).unwrap_or(0)).collect();
            }
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) && room < 1 << 22 => room *= 16,
            Err(_) => return Vec::new(),
        }
    }
}

async fn pause(reactor: &Handle, time: Duration) {
    let sleep = {
        let _inside = reactor.enter();
        tokio::time::sleep(time)
    };
    sleep.await;
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Instant;

    use super::super::core::Core;
    use super::super::state::{Phase, State};
    use super::*;
    use crate::Subscriptions;

    /// Whether the descriptor of a connecting socket outlives it.
    fn is_kept(socket: UdpSocket, phase: Phase) -> bool {
        let mut state = State::new(Subscriptions::none(), phase);
        state.opened.insert(1, Instant::now());
        let reactor = reactor::reactor(false).unwrap();
        let core = Core::new(socket.into(), Style::Stream, reactor, state).unwrap();
        let descriptor = Arc::downgrade(&core.descriptor().unwrap());
        drop(core);
        descriptor.strong_count() > 0
    }

    // UDP sockets without a peer look the same to the calls that are made.

    #[test]
    fn a_socket_is_kept_as_long_as_its_association_is_being_set_up() {
        let socket = || UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(is_kept(socket(), Phase::Connecting));
        assert!(!is_kept(socket(), Phase::Failed(crate::FailureReason::SetupTimeout)));
        assert!(!is_kept(socket(), Phase::ShutDown));
    }

    #[test]
    fn a_socket_is_not_kept_whose_association_has_failed_unnoticed() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        sys::set_option(socket.as_fd(), libc::IPPROTO_IP, libc::IP_RECVERR, &1i32.to_ne_bytes()).unwrap();
        // It hears itself alone.
        let closed = UdpSocket::bind("127.0.0.1:0").unwrap();
        let nobody = closed.local_addr().unwrap();
        closed.connect(nobody).unwrap();
        socket.send_to(b"x", nobody).unwrap();
        assert!(!is_kept(socket, Phase::Connecting));
    }

    #[test]
    fn a_socket_is_not_kept_that_has_something_to_receive() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        assert!(!is_kept(socket, Phase::Connecting));
    }
}
