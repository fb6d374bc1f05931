//! How a process comes to a shared port: it holds the UDP sockets, or gets them from who does. With SCTP directly on IP
//! there are no sockets to be had, only the ports.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::common::Name;
use super::meeting;
use super::wire::{HEADER, Reason, Reply, Request, VERSION};
use super::worker::Start;
use crate::userland::device::UdpDevice;
use crate::{Error, Result};

/// How long the port is waited for that others have and nobody holds: while they find out who is the next holder.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked for meanwhile.
const BREAK: Duration = Duration::from_millis(2);
/// How long the holder may take to answer.
const ANSWER: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// A place on a port.
pub(super) type Place = (UdpDevice, Start);

/// Holds the port, or joins those who share it.
pub(super) fn open(port: u16) -> Result<Place> {
    let end = Instant::now() + PATIENCE;
    loop {
        // The sockets come first: nobody but a process that has them can become the holder.
        let error = match UdpDevice::bind(&[], port) {
            Ok(device) => match meeting::open(device.port()) {
                Ok(listener) => return Ok((device.shared(), Start::Holder(listener))),
                // Of someone who is about to end; or who has nothing but the name, to keep others from the port.
                Err(Errno::ADDRINUSE) => {
                    approach(port)?;
                    in_use(port)
                }
                Err(error) => return Err(Error::io("sharing a UDP port", &error.into())),
            },
            Err(Error::UdpPortInUse { .. }) => match join(port)? {
                Some(place) => return Ok(place),
                None => in_use(port),
            },
            Err(error) => return Err(error),
        };
        if Instant::now() >= end {
            return Err(error);
        }
        thread::sleep(BREAK);
    }
}

/// Joins those who share the port; `None` if there is nobody, or nobody any more.
pub(super) fn join(port: u16) -> Result<Option<Place>> {
    match ask(port.into()).map_err(failed)? {
        Asked::Nobody => Ok(None),
        Asked::User(user) => Err(Error::UdpPortOfUser { port, user }),
        Asked::Refused(Reply::Refused(Reason::Version)) => {
            Err(Error::Unsupported("the UDP port is shared by another version"))
        }
        Asked::Refused(_) => Err(in_use(port)),
        Asked::Welcome(connection, sockets) => {
            let device = UdpDevice::adopt(sockets, port).ok_or_else(|| in_use(port))?;
            Ok(Some((device, Start::Guest(connection))))
        }
    }
}

/// A place among those who have SCTP directly on IP; `None` if they do not have this process with them.
pub(super) fn open_raw() -> Result<Option<Start>> {
    let end = Instant::now() + PATIENCE;
    loop {
        match meeting::open(Name::Raw) {
            Ok(listener) => return Ok(Some(Start::Holder(listener))),
            Err(Errno::ADDRINUSE) => {}
            Err(error) => return Err(Error::io("sharing the SCTP ports of the host", &error.into())),
        }
        match ask(Name::Raw) {
            Ok(Asked::Welcome(connection, _)) => return Ok(Some(Start::Guest(connection))),
            Ok(Asked::Nobody) if Instant::now() < end => thread::sleep(BREAK),
            other => {
                tracing::warn!(holder = ?other, "SCTP ports on IP are not shared with other processes");
                return Ok(None);
            }
        }
    }
}

/// What came of asking the holder.
#[derive(Debug)]
enum Asked {
    /// There is none, or not any more.
    Nobody,
    /// It is of this user, who is somebody else.
    User(u32),
    /// It said something else than welcome.
    Refused(Reply),
    /// The connection to it, and the sockets that it gave.
    Welcome(OwnedFd, Vec<OwnedFd>),
}

/// Asks who has the name to be let in.
fn ask(name: Name) -> rustix::io::Result<Asked> {
    let connection = match meeting::approach(name) {
        Ok(connection) => connection,
        Err(Errno::CONNREFUSED | Errno::AGAIN | Errno::INTR) => return Ok(Asked::Nobody),
        Err(error) => return Err(error),
    };
    if let Err(user) = meeting::check(&connection)? {
        return Ok(Asked::User(user));
    }
    let hello = Request::Hello { version: VERSION }.encode();
    // One that refuses may have hung up already, but not without a word.
    let _ = meeting::send_message(&connection, &hello);
    Ok(match await_reply(&connection)? {
        None => Asked::Nobody,
        Some((Reply::Welcome, sockets)) => Asked::Welcome(connection, sockets),
        Some((Reply::Refused(Reason::User), _)) => Asked::User(meeting::user(&connection)?),
        Some((reply, _)) => Asked::Refused(reply),
    })
}

/// Connects to who has the name, if that is a process of this user or of root; `None` if there is nobody.
fn approach(port: u16) -> Result<Option<OwnedFd>> {
    let connection = match meeting::approach(port) {
        Ok(connection) => connection,
        Err(Errno::CONNREFUSED | Errno::AGAIN | Errno::INTR) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match meeting::check(&connection).map_err(failed)? {
        Ok(()) => Ok(Some(connection)),
        Err(user) => Err(Error::UdpPortOfUser { port, user }),
    }
}

fn failed(error: Errno) -> Error {
    Error::io("joining those who share a UDP port", &error.into())
}

/// The first thing that the holder says; `None` if it is gone.
fn await_reply(connection: &OwnedFd) -> rustix::io::Result<Option<(Reply, Vec<OwnedFd>)>> {
    let mut ready = [PollFd::new(connection, PollFlags::IN)];
    match poll(&mut ready, Some(&ANSWER)) {
        Ok(1..) | Err(Errno::INTR) => {}
        Ok(0) => return Err(Errno::TIMEDOUT),
        Err(error) => return Err(error),
    }
    let mut header = [0; HEADER];
    let mut received = meeting::receive_sockets(connection, &mut header);
    if matches!(received, Err(Errno::CONNRESET)) {
        // It did not read the hello before it hung up; what it said comes after that.
        received = meeting::receive_sockets(connection, &mut header);
    }
    match received {
        Ok((HEADER, sockets)) => Ok(Reply::decode(&header).map(|reply| (reply, sockets))),
        Ok(_) | Err(Errno::AGAIN | Errno::INTR | Errno::CONNRESET | Errno::PIPE) => Ok(None),
        Err(error) => Err(error),
    }
}

fn in_use(port: u16) -> Error {
    let address = IpAddr::from(Ipv4Addr::UNSPECIFIED);
    Error::UdpPortInUse { address, port }
}
