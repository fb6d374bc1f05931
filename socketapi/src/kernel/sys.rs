//! The system calls that no crate offers: the only `unsafe` code of this backend.
#![allow(unsafe_code, reason = "system calls; each block says why it is sound")]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use socket2::Socket;
use tokio::io::unix::AsyncFd;

use super::abi::{self, Abi, PeelOff};
use super::address;

/// Has the current runtime look after a socket. The socket comes back if it does not.
pub(crate) fn watch(socket: Socket) -> Result<AsyncFd<Socket>, (Socket, io::Error)> {
    // SAFETY: the socket owns its descriptor, and nothing takes it out of the `AsyncFd` or closes it before that does.
    unsafe { AsyncFd::register(socket) }.map_err(|error| error.into_parts())
}

/// Reads an option into `buf`, whose beginning may be input. The length of the answer.
pub(crate) fn get_option(fd: BorrowedFd<'_>, level: i32, name: i32, buf: &mut [u8]) -> io::Result<usize> {
    let mut len = length(buf.len())?;
    // SAFETY: `buf` and `len` are valid for writes for the whole call, and `len` is the length of `buf`, beyond which
    // the kernel writes nothing. No option of SCTP that is read by this takes pointers; those that do have a function
    // here.
    let outcome = unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, buf.as_mut_ptr().cast(), &raw mut len) };
    checked(outcome)?;
    Ok(usize::try_from(len).unwrap_or(buf.len()).min(buf.len()))
}

/// Sets an option.
pub(crate) fn set_option(fd: BorrowedFd<'_>, level: i32, name: i32, value: &[u8]) -> io::Result<()> {
    let len = length(value.len())?;
    // SAFETY: `value` is valid for reads of `len` bytes for the whole call. No option that is set by this takes
    // pointers.
    checked(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, value.as_ptr().cast(), len) })
}

/// `struct sctp_getaddrs_old`.
#[repr(C)]
struct ConnectX {
    assoc: i32,
    len: i32,
    addresses: *const u8,
}

/// Begins to set up an association with a peer. Its name, and whether that was all, or went wrong: `EINPROGRESS` is how
/// a set-up begins on a non-blocking socket.
pub(crate) fn connectx(fd: BorrowedFd<'_>, peer: &[SocketAddr]) -> (i32, io::Result<()>) {
    let addresses = address::encode_list(peer);
    let mut request = ConnectX {
        assoc: 0,
        len: i32::try_from(addresses.len()).unwrap_or(i32::MAX),
        addresses: addresses.as_ptr(),
    };
    let mut len = libc::socklen_t::try_from(size_of::<ConnectX>()).unwrap_or(0);
    // SAFETY: `request` and `len` are valid for writes for the whole call, and `len` is the size of `request`. The
    // kernel reads `request.len` bytes at `request.addresses`, which is that vector, alive until the end of this
    // function. It writes over the first field only.
    let outcome = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_SCTP,
            abi::SCTP_SOCKOPT_CONNECTX3,
            (&raw mut request).cast(),
            &raw mut len,
        )
    };
    (request.assoc, checked(outcome))
}

/// Makes a socket of an association of a one-to-many socket.
pub(crate) fn peel_off(fd: BorrowedFd<'_>, assoc: i32) -> io::Result<OwnedFd> {
    let flags = u32::try_from(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC).unwrap_or_default();
    let request = PeelOff {
        assoc,
        descriptor: -1,
        flags,
    };
    let mut buf = request.to_bytes();
    get_option(fd, libc::IPPROTO_SCTP, abi::SCTP_SOCKOPT_PEELOFF_FLAGS, &mut buf)?;
    let answer = PeelOff::from_bytes(&buf).ok_or(io::ErrorKind::InvalidData)?;
    if answer.descriptor < 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // SAFETY: the call succeeded, so the kernel has just opened this descriptor for this process, and nothing else
    // knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(answer.descriptor) })
}

/// What was received.
#[derive(Debug)]
pub(crate) struct RawReceived {
    /// How many bytes of data.
    pub(crate) len: usize,
    /// How many bytes of control messages.
    pub(crate) control_len: usize,
    /// `MSG_EOR`, `MSG_NOTIFICATION` and others.
    pub(crate) flags: i32,
    /// The peer's address.
    pub(crate) peer: Option<SocketAddr>,
}

/// Receives into `data` and `control`.
pub(crate) fn receive(fd: BorrowedFd<'_>, data: &mut [u8], control: &mut [u8], flags: i32) -> io::Result<RawReceived> {
    let mut name = [0_u8; 128];
    let mut part = libc::iovec {
        iov_base: data.as_mut_ptr().cast(),
        iov_len: data.len(),
    };
    // SAFETY: `msghdr` is a plain C structure, for which all zeros is a valid value.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_name = name.as_mut_ptr().cast();
    header.msg_namelen = length(name.len())?;
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = control.len() as _;
    // SAFETY: everything that `header` points to is valid for writes of the length beside it, for the whole call.
    let len = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, flags) };
    let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
    let name_len = usize::try_from(header.msg_namelen).unwrap_or(0);
    Ok(RawReceived {
        len,
        control_len: (header.msg_controllen as usize).min(control.len()),
        flags: header.msg_flags,
        peer: name.get(..name_len).and_then(address::decode).map(|(peer, _)| peer),
    })
}

/// Sends a message; all of it or nothing.
pub(crate) fn send(fd: BorrowedFd<'_>, data: &[u8], control: &[u8], peer: Option<SocketAddr>) -> io::Result<()> {
    let mut name = peer.map(address::encode).unwrap_or_default();
    let mut part = libc::iovec {
        iov_base: data.as_ptr().cast_mut().cast(),
        iov_len: data.len(),
    };
    // SAFETY: as in `receive`.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    if !name.is_empty() {
        header.msg_name = name.as_mut_ptr().cast();
        header.msg_namelen = length(name.len())?;
    }
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = if control.is_empty() {
        ptr::null_mut()
    } else {
        control.as_ptr().cast_mut().cast()
    };
    header.msg_controllen = control.len() as _;
    // SAFETY: everything that `header` points to is valid for reads of the length beside it, for the whole call, and
    // `sendmsg` does not write there.
    let sent = unsafe {
        libc::sendmsg(
            fd.as_raw_fd(),
            &raw const header,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    };
    if sent < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn length(len: usize) -> io::Result<libc::socklen_t> {
    libc::socklen_t::try_from(len).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn checked(outcome: i32) -> io::Result<()> {
    // One that opens a descriptor answers with its number.
    if outcome >= 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
