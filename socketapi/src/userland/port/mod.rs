//! The shared port: any number of processes of a host on one UDP port, with one space of SCTP ports.
//!
//! The process that came first is the *holder*: it bound the UDP sockets, and listens under an abstract AF_UNIX name
//! made of the UDP port. Later ones are its *guests*. A guest connects to that name, is checked (same user, or root)
//! and gets duplicates of the UDP sockets, which it sends through as if they were its own. It claims the SCTP ports
//! that its end points bind. The holder alone receives; it passes packets on to the guest whose SCTP port they are for,
//! and has its own engine answer those that are for nobody.
//!
//! When the holder goes away, the guests race for the name. The winner reads from its duplicates of the same sockets,
//! so what waits in them is not lost, and the others tell it what ports they have. Until it has heard from everyone it
//! gives no ports to newcomers, and lets nobody's packets go unanswered.
//!
//! SCTP directly on IP is shared in the same way, but that each process has raw sockets of its own, which get all
//! packets: the ports alone are given away, each process takes in what is for its own, and the holder what is for
//! nobody.
//!
//! A holder that is stopped without ending leaves its guests without packets until it goes on. So does a child of the
//! holder that was forked and runs no other program, if it outlives the holder: it has the name, and no thread to
//! answer.
//!
//! | file | what |
//! |---|---|
//! | `join` | how a process comes to the port: as the holder, or as a guest |
//! | `meeting` | the abstract name and the connections under it |
//! | `common` | what it is that processes share |
//! | `wire` | the messages on them |
//! | `desk` | between callers that want ports and the process's thread |
//! | `worker` | that thread: the process's part, whatever it is, and the change from one to the other |
//! | `holder`, `guest` | the two parts |
//! | `own` | the ports of this process |
//! | `registry` | the ports of all processes, at the holder |
//! | `ports` | the same as raw sockets are told of it |
//! | `batch`, `inbox` | packets on their way from the holder to a guest |
//! | `poller` | waiting for descriptors |

mod batch;
mod common;
mod desk;
mod guest;
mod holder;
mod inbox;
mod join;
mod meeting;
mod own;
mod poller;
mod ports;
mod registry;
#[cfg(test)]
mod tests;
mod wire;
mod worker;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

pub(crate) use desk::Claim;

use self::common::Common;
use self::desk::Desk;
pub(crate) use self::worker::Local;
use self::worker::{Start, Worker};
use super::device::{RawDevice, UdpDevice};
use crate::{Error, Result};

/// A process's place on a shared port. Dropped, it is left.
#[derive(Debug)]
pub(crate) struct SharedPort {
    desk: Arc<Desk>,
    common: Common,
    start: Mutex<Option<Start>>,
}

impl SharedPort {
    /// Holds the port, or joins those who share it.
    ///
    /// # Errors
    ///
    /// [`Error::UdpPortInUse`] if others have it and do not share it, [`Error::UdpPortOfUser`].
    pub(crate) fn open(udp_port: u16) -> Result<Self> {
        Self::on_udp(join::open(udp_port)?)
    }

    /// Joins those who share the port; `None` if nobody does.
    ///
    /// # Errors
    ///
    /// [`Error::UdpPortOfUser`].
    pub(crate) fn join(udp_port: u16) -> Result<Option<Self>> {
        join::join(udp_port)?.map(Self::on_udp).transpose()
    }

    /// Shares the ports of SCTP directly on IP with the other processes of the host; `None` if they are of another
    /// user, or do not answer.
    pub(crate) fn raw(device: &Arc<RawDevice>) -> Result<Option<Self>> {
        let start = join::open_raw()?;
        start
            .map(|start| Self::new(Common::Raw(Arc::clone(device)), start))
            .transpose()
    }

    fn on_udp((device, start): join::Place) -> Result<Self> {
        Self::new(Common::Udp(Arc::new(device)), start)
    }

    fn new(common: Common, start: Start) -> Result<Self> {
        let desk = Desk::new().map_err(|e| Error::io("sharing SCTP ports", &e.into()))?;
        Ok(Self {
            desk: Arc::new(desk),
            common,
            start: Mutex::new(Some(start)),
        })
    }

    /// The UDP sockets, if they are what is shared. They only send.
    pub(crate) const fn udp(&self) -> Option<&Arc<UdpDevice>> {
        self.common.udp()
    }

    /// Begins to receive, on a thread of its own.
    pub(crate) fn run(&self, local: impl Local + Send + 'static) -> Result<()> {
        let failed = |error: std::io::Error| Error::io("sharing SCTP ports", &error);
        let start = self.start.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(start) = start else { return Ok(()) };
        let worker = Worker::new(start, Arc::clone(&self.desk), self.common.clone(), local);
        let worker = worker.map_err(|e| failed(e.into()))?;
        let name = self.common.name().to_string();
        let started = thread::Builder::new().name(name).spawn(move || worker.run());
        started.map(drop).map_err(failed)
    }

    /// Gets an SCTP port, `None` for any, on own addresses, none for all; one that the process `shares` it may have
    /// again to be shared as well. Waits for the holder's answer, which takes
    /// microseconds; where the holder has just been killed, until there is another one.
    ///
    /// # Errors
    ///
    /// [`Error::PortInUse`], [`Error::NoPortFree`]; [`Error::TimedOut`] if the holder does not answer,
    /// [`Error::StackStopped`].
    pub(crate) fn claim(&self, port: Option<u16>, addresses: Vec<IpAddr>, shares: bool) -> Result<Claim> {
        self.desk.claim(port, addresses, shares)
    }
}

impl Drop for SharedPort {
    fn drop(&mut self) {
        self.desk.close();
    }
}
