//! Where the processes of a shared port meet: an abstract AF_UNIX name, which the kernel gives to one of them, and
//! which goes with its process. Names of this kind belong to a network namespace, as ports do.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::{Errno, Result};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, listen, recv, recvmsg, send,
    sendmsg, socket_with, sockopt,
};
use rustix::process::geteuid;

use super::common::Name;
use super::wire::{HEADER, PAYLOAD};

/// How many processes may wait to be welcomed.
const BACKLOG: i32 = 256;
/// How many UDP sockets a port has: one for each family.
pub(super) const MAX_SOCKETS: usize = 2;
/// What a connection holds that its reader has not taken yet; the system may allow less.
const BUFFER: usize = 4 << 20;

const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// The user of another process.
pub(super) type User = u32;

fn address(name: Name) -> Result<SocketAddrUnix> {
    SocketAddrUnix::new_abstract_name(name.to_string().as_bytes())
}

/// Listens under a name; `ADDRINUSE` while another process has it.
pub(super) fn open(name: impl Into<Name>) -> Result<OwnedFd> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, FLAGS, None)?;
    bind(&socket, &address(name.into())?)?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Connects to who has the name; `CONNREFUSED` if there is nobody.
pub(super) fn approach(name: impl Into<Name>) -> Result<OwnedFd> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, FLAGS, None)?;
    connect(&socket, &address(name.into())?)?;
    Ok(socket)
}

/// The next one who has connected.
pub(super) fn admit(listener: &OwnedFd) -> Result<OwnedFd> {
    let socket = accept_with(listener, FLAGS)?;
    // Less works too.
    let _ = sockopt::set_socket_send_buffer_size(&socket, BUFFER);
    Ok(socket)
}

/// The user that the process at the other end runs for.
pub(super) fn user(connection: &OwnedFd) -> Result<User> {
    Ok(sockopt::socket_peercred(connection)?.uid.as_raw())
}

/// Whether the process at the other end runs for the same user, or for root; else for whom.
pub(super) fn check(connection: &OwnedFd) -> Result<std::result::Result<(), User>> {
    let user = sockopt::socket_peercred(connection)?.uid;
    Ok(if user == geteuid() || user.is_root() {
        Ok(())
    } else {
        Err(user.as_raw())
    })
}

/// Sends a message with descriptors.
pub(super) fn send_sockets(connection: &OwnedFd, message: &[u8], sockets: &[BorrowedFd<'_>]) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(Errno::INVAL);
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    sendmsg(connection, &[IoSlice::new(message)], &mut control, flags).map(drop)
}

/// Receives a message with descriptors into `buffer`; its length, and the descriptors.
pub(super) fn receive_sockets(connection: &OwnedFd, buffer: &mut [u8]) -> Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(connection, &mut [IoSliceMut::new(buffer)], &mut control, flags)?;
    let mut sockets = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            sockets.extend(rights);
        }
    }
    Ok((received.bytes, sockets))
}

/// Sends a message; `AGAIN` if the reader is too far behind.
pub(super) fn send_message(connection: &OwnedFd, message: &[u8]) -> Result<()> {
    send(connection, message, SendFlags::DONTWAIT | SendFlags::NOSIGNAL).map(drop)
}

/// Sends a header with the datagrams that follow it; `AGAIN` if the reader is too far behind.
pub(super) fn send_datagrams(connection: &OwnedFd, pieces: &[IoSlice<'_>]) -> Result<()> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    sendmsg(connection, pieces, &mut SendAncillaryBuffer::default(), flags).map(drop)
}

/// Receives a message of a guest; its length, zero at the end.
pub(super) fn receive_request(connection: &OwnedFd, buffer: &mut [u8]) -> Result<usize> {
    recv(connection, buffer, RecvFlags::DONTWAIT).map(|(taken, _)| taken)
}

/// Receives a message of the holder; how much of the payload there is, `None` at the end. Descriptors that come along
/// are closed.
pub(super) fn receive_reply(
    connection: &OwnedFd,
    header: &mut [u8; HEADER],
    payload: &mut [u8],
) -> Result<Option<usize>> {
    debug_assert!(payload.len() >= PAYLOAD, "room for every message");
    let mut pieces = [IoSliceMut::new(header), IoSliceMut::new(payload)];
    let mut control = RecvAncillaryBuffer::default();
    let received = recvmsg(connection, &mut pieces, &mut control, RecvFlags::DONTWAIT)?;
    Ok(received.bytes.checked_sub(HEADER))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    /// A name that no other test uses, of a port that nobody needs here.
    fn unused(test: u16) -> (u16, OwnedFd) {
        let first = u16::try_from(std::process::id() % 6000).unwrap() * 10 + test;
        let free = |port| open(port).ok().map(|listener| (port, listener));
        (first..=u16::MAX).step_by(10).find_map(free).unwrap()
    }

    #[test]
    fn a_name_belongs_to_one_and_goes_with_it() {
        let (port, listener) = unused(1);
        assert_eq!(open(port).map(drop), Err(Errno::ADDRINUSE));
        let guest = approach(port).unwrap();
        let seen = admit(&listener).unwrap();
        assert_eq!((check(&guest), check(&seen)), (Ok(Ok(())), Ok(Ok(()))));
        drop((listener, seen));
        assert_eq!(approach(port).map(drop), Err(Errno::CONNREFUSED));
        let mut buffer = [0; 8];
        assert_eq!(receive_request(&guest, &mut buffer), Ok(0));
        assert!(open(port).is_ok());
    }

    #[test]
    fn sockets_cross_with_a_message() {
        let (port, listener) = unused(2);
        let guest = approach(port).unwrap();
        let holder = admit(&listener).unwrap();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        send_sockets(&holder, b"here", &[socket.as_fd()]).unwrap();
        let mut buffer = [0; 8];
        let (len, mut sockets) = receive_sockets(&guest, &mut buffer).unwrap();
        assert_eq!((&buffer[..len], sockets.len()), (&b"here"[..], 1));
        let twin = std::net::UdpSocket::from(sockets.remove(0));
        assert_eq!(twin.local_addr().unwrap(), socket.local_addr().unwrap());
    }

    #[test]
    fn who_does_not_read_blocks_nobody() {
        let (port, listener) = unused(3);
        let _guest = approach(port).unwrap();
        let holder = admit(&listener).unwrap();
        let message = vec![0; HEADER + PAYLOAD];
        let sent = (0..10_000)
            .take_while(|_| send_message(&holder, &message).is_ok())
            .count();
        assert!(sent > 0 && sent < 10_000);
        assert_eq!(send_message(&holder, &message), Err(Errno::AGAIN));
    }
}
