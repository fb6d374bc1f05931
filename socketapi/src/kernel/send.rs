//! Sending: what goes with a message into control messages.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use super::abi::{self, Abi, AuthInfo, DefaultPrInfo, PaddrInfo, PrInfo, SendFailed, SndInfo as Raw, Status, Storage};
use super::cmsg::Control;
use super::core::Core;
use super::{errno, sys};
use crate::{Error, Ppid, Reliability, Result, SndInfo, StreamId};

/// The kernel's form of what is sent with a message. Payload protocol identifiers are in the order of the network: the
/// kernel does not touch them.
pub(crate) fn raw_info(assoc: i32, info: &SndInfo) -> Raw {
    let flag = |on: bool, bit: u16| if on { bit } else { 0 };
    Raw {
        sid: info.stream.0,
        flags: flag(info.unordered, abi::SCTP_UNORDERED) | flag(info.sack_immediately, abi::SCTP_SACK_IMMEDIATELY),
        ppid: info.ppid.0.to_be(),
        context: info.context,
        assoc,
    }
}

/// And back.
pub(crate) fn info_of_raw(raw: &Raw) -> SndInfo {
    SndInfo {
        stream: StreamId(raw.sid),
        ppid: Ppid(u32::from_be(raw.ppid)),
        unordered: raw.flags & abi::SCTP_UNORDERED != 0,
        sack_immediately: raw.flags & abi::SCTP_SACK_IMMEDIATELY != 0,
        context: raw.context,
        ..SndInfo::new()
    }
}

/// How a message that failed was to be sent.
pub(crate) fn info_of(failed: &SendFailed) -> SndInfo {
    let raw = Raw {
        sid: failed.sid,
        flags: failed.snd_flags,
        ppid: failed.ppid,
        context: failed.context,
        assoc: failed.assoc,
    };
    SndInfo {
        destination: crate::Destination::Association(crate::AssocId(crate::info::AssocRepr::Kernel(failed.assoc))),
        ..info_of_raw(&raw)
    }
}

/// The policy and its value.
pub(crate) fn raw_reliability(reliability: Reliability) -> Result<(u16, u32)> {
    Ok(match reliability {
        Reliability::Reliable => (abi::SCTP_PR_SCTP_NONE, 0),
        // No time at all would mean any time.
        Reliability::Timed(life) => (abi::SCTP_PR_SCTP_TTL, milliseconds(life).max(1)),
        Reliability::Retransmissions(count) => (abi::SCTP_PR_SCTP_RTX, count.into()),
        Reliability::Priority(priority) => (abi::SCTP_PR_SCTP_PRIO, priority),
        _ => return Err(Error::Unsupported("this policy of partial reliability")),
    })
}

/// And back.
pub(crate) fn reliability_of(policy: u16, value: u32) -> Reliability {
    match policy {
        abi::SCTP_PR_SCTP_TTL => Reliability::Timed(Duration::from_millis(value.into())),
        abi::SCTP_PR_SCTP_RTX => Reliability::Retransmissions(u16::try_from(value).unwrap_or(u16::MAX)),
        abi::SCTP_PR_SCTP_PRIO => Reliability::Priority(value),
        _ => Reliability::Reliable,
    }
}

/// A time in milliseconds, as the kernel counts; rounded up, so that something stays something.
pub(crate) fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_micros().div_ceil(1000)).unwrap_or(u32::MAX)
}

impl Core {
    /// Sends a message on an association. `peer` is the address of one that is being set up on a one-to-one socket,
    /// where the kernel does not find it otherwise.
    pub(crate) fn send(&self, assoc: i32, peer: Option<SocketAddr>, payload: &[u8], info: &SndInfo) -> Result<()> {
        if payload.is_empty() {
            return Err(Error::EmptyMessage);
        }
        let mut raw = if info.use_defaults {
            let defaults = self.get(
                abi::SCTP_DEFAULT_SNDINFO,
                Raw {
                    assoc,
                    ..Raw::default()
                },
            )?;
            let defaults = defaults.map_err(|error| errno::of_association("sending", &error))?;
            Raw { assoc, ..defaults }
        } else {
            raw_info(assoc, info)
        };
        let mut to = peer;
        if let Some(address) = info.to_address {
            raw.flags |= abi::SCTP_ADDR_OVER;
            to = Some(self.path_address(assoc, address)?);
        }
        let mut control = Control::default();
        control.push(abi::CMSG_SNDINFO, &raw.to_bytes());
        if let Some((policy, value)) = self.prinfo(assoc, info)? {
            control.push(abi::CMSG_PRINFO, &PrInfo { policy, value }.to_bytes());
        }
        if let Some(key) = info.auth_key {
            control.push(abi::CMSG_AUTHINFO, &AuthInfo { key: key.0 }.to_bytes());
        }
        let descriptor = self.descriptor()?;
        sys::send(descriptor.get_ref().as_fd(), payload, control.bytes(), to)
            .map_err(|error| self.refused(assoc, info, raw.sid, &error))
    }

    /// The policy that is to be said with a message, unless it is what the kernel does anyway.
    fn prinfo(&self, assoc: i32, info: &SndInfo) -> Result<Option<(u16, u32)>> {
        let has_default = self.state().default_prinfo;
        match info.reliability {
            Some(Reliability::Reliable) if !has_default => Ok(None),
            Some(reliability) => raw_reliability(reliability).map(Some),
            None if has_default => self.default_prinfo(assoc).map(Some),
            None => Ok(None),
        }
    }

    /// The policy of messages that say nothing of it.
    pub(crate) fn default_prinfo(&self, assoc: i32) -> Result<(u16, u32)> {
        let request = DefaultPrInfo {
            assoc,
            ..DefaultPrInfo::default()
        };
        let default = self
            .get(abi::SCTP_DEFAULT_PRINFO, request)?
            .map_err(|error| errno::of_association("reading the default of partial reliability", &error))?;
        Ok((default.policy, default.value))
    }

    /// One of the peer's addresses with its port.
    pub(crate) fn path_address(&self, assoc: i32, address: IpAddr) -> Result<SocketAddr> {
        let peers = self.addresses(abi::SCTP_GET_PEER_ADDRS, assoc)?;
        let found = peers.into_iter().find(|peer| peer.ip() == address);
        found.ok_or(Error::NoSuchPath)
    }

    /// Whether an association is there, and what it is like.
    pub(crate) fn raw_status(&self, assoc: i32) -> Result<Status> {
        let request = Status {
            assoc,
            ..Status::default()
        };
        self.get(abi::SCTP_STATUS, request)?
            .map_err(|error| errno::of_association("reading an association's state", &error))
    }

    /// The association with a peer's address, if there is one.
    pub(crate) fn find(&self, peer: SocketAddr) -> Result<Option<i32>> {
        let request = PaddrInfo {
            address: Storage::new(Some(peer)),
            ..PaddrInfo::default()
        };
        match self.get(abi::SCTP_GET_PEER_ADDR_INFO, request)? {
            Ok(found) => Ok(Some(found.assoc)),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOENT)) => Ok(None),
            Err(error) => Err(errno::general("looking for an association", &error)),
        }
    }

    /// What the kernel means by refusing a message.
    fn refused(&self, assoc: i32, info: &SndInfo, stream: u16, error: &io::Error) -> Error {
        match error.raw_os_error() {
            Some(libc::EINVAL) => match self.raw_status(assoc) {
                Ok(status) if stream >= status.outstrms => Error::InvalidStream,
                Ok(_) if info.auth_key.is_some() => Error::NoSuchKey,
                Ok(_) => Error::io("sending", error),
                Err(error) => error,
            },
            Some(libc::EPIPE) => match self.raw_status(assoc) {
                Ok(_) => Error::ShuttingDown,
                Err(error) => error,
            },
            _ => errno::general("sending", error),
        }
    }

    /// Ends an association of a one-to-many socket gracefully, or at once with a reason.
    pub(crate) fn end(&self, assoc: i32, how: u16, reason: &[u8]) -> Result<()> {
        let raw = Raw {
            assoc,
            flags: how,
            ..Raw::default()
        };
        let mut control = Control::default();
        control.push(abi::CMSG_SNDINFO, &raw.to_bytes());
        let descriptor = self.descriptor()?;
        let outcome = sys::send(descriptor.get_ref().as_fd(), reason, control.bytes(), None);
        outcome.map_err(|error| match error.raw_os_error() {
            Some(libc::EPIPE | libc::EINVAL) => Error::NoSuchAssociation,
            _ => errno::general("ending an association", &error),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6458_5_3_4_what_is_sent_survives_the_way_to_the_kernel_and_back() {
        let info = SndInfo::new()
            .on_stream(4)
            .with_ppid(0x0102_0304)
            .unordered()
            .with_context(9);
        let raw = raw_info(7, &info);
        assert_eq!(raw.ppid.to_ne_bytes(), [1, 2, 3, 4], "as on the wire");
        assert_eq!(info_of_raw(&raw), info);
    }

    #[test]
    fn rfc7496_4_policies_survive_the_way_to_the_kernel_and_back() {
        for reliability in [
            Reliability::Reliable,
            Reliability::Timed(Duration::from_millis(250)),
            Reliability::Retransmissions(0),
            Reliability::Priority(70_000),
        ] {
            let (policy, value) = raw_reliability(reliability).unwrap();
            assert_eq!(reliability_of(policy, value), reliability);
        }
        let soon = raw_reliability(Reliability::Timed(Duration::from_micros(1)));
        assert_eq!(soon, Ok((abi::SCTP_PR_SCTP_TTL, 1)));
    }
}
