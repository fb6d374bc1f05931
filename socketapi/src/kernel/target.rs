//! What options are read and set of, and what can be asked of an association.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use sctp::error::ConfigError;

use super::abi::{
    self, Abi, AddStreams, AuthKeyId, DefaultPrInfo, PaddrParams, PrStatus, Prim, ResetStreams, SndInfo as RawSndInfo,
    StreamValue,
};
use super::core::Core;
use super::keys::{self, key_error};
use super::state::Style;
use super::{bindx, close, config, errno, paths, send};
use crate::{
    AbandonedMessages, AssocId, AssociationConfig, AssociationStats, AssociationStatus, AuthKeyError, ChunkType, Error,
    NxtInfo, PartialReliabilityPolicy, PathConfig, ReconfigError, Reliability, Result, SharedKeyId, SndInfo,
    StreamDirections, StreamId, Subscriptions,
};

/// The new associations of a socket, or one association. It keeps no socket open.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    core: Weak<Core>,
    assoc: Option<AssocId>,
    /// Whether associations that there are keep what is set of the socket.
    future: bool,
}

/// What is sent and received with where nothing else is said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Defaults {
    pub(crate) sndinfo: SndInfo,
    pub(crate) prinfo: Reliability,
    pub(crate) context: u32,
}

impl Target {
    pub(super) fn new(core: &Arc<Core>, assoc: Option<AssocId>) -> Self {
        Self {
            core: Arc::downgrade(core),
            assoc,
            future: false,
        }
    }

    /// The same, for what is set of future associations alone.
    pub(crate) fn of_future(self) -> Self {
        Self { future: true, ..self }
    }

    /// Whether idle associations can be closed: those of one-to-many sockets (RFC 6458 §8.1.8).
    pub(crate) fn has_autoclose(&self) -> Result<bool> {
        let (core, _) = self.enter()?;
        Ok(core.style == Style::Many)
    }

    /// The socket, and the association if it is about one; that is there then.
    fn enter(&self) -> Result<(Arc<Core>, Option<i32>)> {
        let id = self.assoc.map(AssocId::kernel).transpose()?;
        let core = self.core.upgrade().ok_or(match id {
            Some(_) => Error::NoSuchAssociation,
            None => Error::Closed,
        })?;
        if let Some(id) = id {
            core.raw_status(id)?;
        } else {
            core.descriptor()?;
        }
        Ok((core, id))
    }

    /// As [`enter`](Self::enter), for what only an association can do.
    fn association(&self) -> Result<(Arc<Core>, i32)> {
        let (core, id) = self.enter()?;
        Ok((core, id.ok_or(Error::NoSuchAssociation)?))
    }

    pub(crate) fn config(&self) -> Result<AssociationConfig> {
        let (core, id) = self.enter()?;
        config::read(&core, id)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut AssociationConfig) -> Result<(), ConfigError>) -> Result<()> {
        let (core, id) = self.enter()?;
        let have = config::read(&core, id)?;
        let mut want = have.clone();
        change(&mut want)?;
        config::apply(&core, id, &have, &want)
    }

    pub(crate) fn path_config(&self, address: Option<IpAddr>) -> Result<PathConfig> {
        let (core, id) = self.enter()?;
        paths::read(&core, id, address)
    }

    pub(crate) fn change_path(
        &self,
        address: Option<IpAddr>,
        change: impl FnOnce(&mut PathConfig) -> Result<(), ConfigError>,
    ) -> Result<()> {
        let (core, id) = self.enter()?;
        let have = paths::read(&core, id, address)?;
        let mut want = have;
        change(&mut want)?;
        paths::apply(&core, id, address, &have, &want)
    }

    pub(crate) fn defaults(&self) -> Result<Defaults> {
        let (core, id) = self.enter()?;
        let assoc = id.unwrap_or(abi::FUTURE_ASSOC);
        let request = RawSndInfo {
            assoc,
            ..RawSndInfo::default()
        };
        let failed = |error: io::Error| errno::of_association("reading what messages are sent with", &error);
        let raw = core.get(abi::SCTP_DEFAULT_SNDINFO, request)?.map_err(failed)?;
        let (policy, value) = core.default_prinfo(assoc)?;
        Ok(Defaults {
            sndinfo: send::info_of_raw(&raw),
            prinfo: send::reliability_of(policy, value),
            context: core.value(abi::SCTP_CONTEXT, assoc)?.map_err(failed)?,
        })
    }

    pub(crate) fn change_defaults(&self, change: impl FnOnce(&mut Defaults)) -> Result<()> {
        let (core, id) = self.enter()?;
        let assoc = id.unwrap_or(abi::FUTURE_ASSOC);
        let have = self.defaults()?;
        let mut want = have.clone();
        change(&mut want);
        let failed = |error: io::Error| errno::of_association("setting what messages are sent with", &error);
        if want.context != have.context {
            core.set_value(abi::SCTP_CONTEXT, assoc, want.context)?
                .map_err(failed)?;
        }
        if want.sndinfo != have.sndinfo {
            core.set(abi::SCTP_DEFAULT_SNDINFO, send::raw_info(assoc, &want.sndinfo))?
                .map_err(failed)?;
        }
        if want.prinfo != have.prinfo || want.sndinfo != have.sndinfo {
            // The kernel keeps the policy among the flags of the other one.
            let (policy, value) = send::raw_reliability(want.prinfo)?;
            let value = DefaultPrInfo { assoc, value, policy };
            core.set(abi::SCTP_DEFAULT_PRINFO, value)?.map_err(failed)?;
            core.state().default_prinfo = true;
        }
        Ok(())
    }

    pub(crate) fn linger(&self) -> Result<Option<Duration>> {
        let (core, _) = self.enter()?;
        let linger = core.state().linger;
        Ok(linger)
    }

    pub(crate) fn set_linger(&self, linger: Option<Duration>) -> Result<()> {
        let (core, _) = self.enter()?;
        // The kernel knows whether a close aborts. That it waits is this library's to do, and without a thread.
        let aborts = linger.filter(Duration::is_zero);
        core.socket_option(|socket| socket.set_linger(aborts))?
            .map_err(|error| errno::general("setting how long closing waits", &error))?;
        core.state().linger = linger;
        Ok(())
    }

    pub(crate) fn explicit_eor(&self) -> Result<bool> {
        self.enter().map(|_| false)
    }

    pub(crate) fn set_explicit_eor(&self, explicit: bool) -> Result<()> {
        self.enter()?;
        if explicit {
            return Err(Error::Unsupported("every send is a whole message for the kernel"));
        }
        Ok(())
    }

    pub(crate) fn recv_nxtinfo(&self) -> Result<bool> {
        let (core, id) = self.enter()?;
        let state = core.state();
        Ok(id.map_or(state.recv_nxtinfo, |id| state.recv_nxtinfo_of(id)))
    }

    pub(crate) fn set_recv_nxtinfo(&self, told: bool) -> Result<()> {
        let (core, id) = self.enter()?;
        let mut state = core.state();
        match id {
            Some(id) => {
                state.own_nxtinfo.insert(id, told);
            }
            None => state.recv_nxtinfo = told,
        }
        Ok(())
    }

    pub(crate) fn subscriptions(&self) -> Result<Subscriptions> {
        let (core, id) = self.enter()?;
        let state = core.state();
        Ok(id.map_or(state.subscriptions, |id| state.subscriptions_of(id)))
    }

    pub(crate) fn set_subscriptions(&self, subscriptions: Subscriptions) -> Result<()> {
        let (core, id) = self.enter()?;
        match id {
            Some(id) => {
                core.subscribe(id, subscriptions)?;
                core.state().own.insert(id, subscriptions);
            }
            None => {
                // A listening socket has no associations.
                let all = core.style == Style::Many && !self.future;
                let before = core.state().subscriptions;
                let kept = match self.future && core.style == Style::Many {
                    true => close::associations(core.descriptor()?.get_ref()),
                    false => Vec::new(),
                };
                core.subscribe(if all { abi::ALL_ASSOC } else { abi::FUTURE_ASSOC }, subscriptions)?;
                let mut state = core.state();
                state.subscriptions = subscriptions;
                if !self.future {
                    state.own.clear();
                }
                for assoc in kept {
                    state.own.entry(assoc).or_insert(before);
                }
            }
        }
        Ok(())
    }

    // Keys.

    pub(crate) fn set_auth_key(&self, key: SharedKeyId, secret: &[u8]) -> Result<()> {
        let (core, id) = self.enter()?;
        keys::set_auth_key(&core, id, key, secret)
    }

    pub(crate) fn active_auth_key(&self) -> Result<SharedKeyId> {
        let (core, id) = self.enter()?;
        let request = AuthKeyId {
            assoc: id.unwrap_or(abi::FUTURE_ASSOC),
            key: 0,
        };
        let answer = core.get(abi::SCTP_AUTH_ACTIVE_KEY, request)?;
        answer
            .map(|answer| SharedKeyId(answer.key))
            .map_err(|error| key_error(&error))
    }

    fn with_key(&self, name: i32, key: SharedKeyId) -> Result<()> {
        let (core, id) = self.enter()?;
        let assoc = id.unwrap_or(abi::FUTURE_ASSOC);
        core.set(name, AuthKeyId { assoc, key: key.0 })?
            .map_err(|error| key_error(&error))
    }

    fn is_not_active(&self, key: SharedKeyId) -> Result<()> {
        if self.active_auth_key()? == key {
            return Err(Error::AuthKey(AuthKeyError::Active));
        }
        Ok(())
    }

    pub(crate) fn set_active_auth_key(&self, key: SharedKeyId) -> Result<()> {
        self.with_key(abi::SCTP_AUTH_ACTIVE_KEY, key)
    }

    pub(crate) fn deactivate_auth_key(&self, key: SharedKeyId) -> Result<()> {
        self.is_not_active(key)?;
        self.with_key(abi::SCTP_AUTH_DEACTIVATE_KEY, key)
    }

    pub(crate) fn delete_auth_key(&self, key: SharedKeyId) -> Result<()> {
        self.is_not_active(key)?;
        self.with_key(abi::SCTP_AUTH_DELETE_KEY, key)
    }

    fn auth_chunks(&self, name: i32) -> Result<Vec<ChunkType>> {
        let (core, id) = self.association()?;
        keys::auth_chunks(&core, id, name)
    }

    pub(crate) fn local_auth_chunks(&self) -> Result<Vec<ChunkType>> {
        self.auth_chunks(abi::SCTP_LOCAL_AUTH_CHUNKS)
    }

    pub(crate) fn peer_auth_chunks(&self) -> Result<Vec<ChunkType>> {
        self.auth_chunks(abi::SCTP_PEER_AUTH_CHUNKS)
    }

    // What can be asked of an association.

    pub(crate) fn status(&self) -> Result<Option<AssociationStatus>> {
        let (core, id) = self.enter()?;
        id.map(|id| core.status(id)).transpose()
    }

    /// What the association has counted.
    pub(crate) fn stats(&self) -> Result<AssociationStats> {
        let status = self.status()?;
        let stats = status.map(|status| status.stats);
        stats.ok_or(Error::Unsupported("the kernel counts for each association alone"))
    }

    pub(crate) fn next_info(&self) -> Result<Option<NxtInfo>> {
        // What it has received outlives it.
        let id = self.assoc.ok_or(Error::NoSuchAssociation)?.kernel()?;
        let core = self.core.upgrade().ok_or(Error::NoSuchAssociation)?;
        core.next_info(id)
    }

    pub(crate) fn set_primary_addr(&self, address: IpAddr) -> Result<()> {
        let (core, assoc) = self.association()?;
        let address = core.path_storage(Some(assoc), Some(address))?;
        core.set(abi::SCTP_PRIMARY_ADDR, Prim { assoc, address })?
            .map_err(|error| match error.raw_os_error() {
                Some(libc::EINVAL) => Error::NoSuchPath,
                _ => errno::general("choosing the primary address", &error),
            })
    }

    pub(crate) fn set_peer_primary_addr(&self, address: IpAddr) -> Result<()> {
        let (core, assoc) = self.association()?;
        let own = core.addresses(abi::SCTP_GET_LOCAL_ADDRS, assoc)?;
        let found = own.into_iter().find(|own| own.ip() == address);
        let address = found.ok_or(Error::AddressNotAvailable)?;
        let address = abi::Storage::new(Some(address));
        core.set(abi::SCTP_SET_PEER_PRIMARY_ADDR, Prim { assoc, address })?
            .map_err(|error| match error.raw_os_error() {
                Some(libc::EPERM) => Error::AddressChange(crate::AddressError::NotNegotiated),
                _ => errno::general("asking the peer for a primary address", &error),
            })
    }

    /// The socket, if it has this association alone: the kernel changes the addresses of whole sockets.
    fn only(&self) -> Result<Arc<Core>> {
        let (core, _) = self.association()?;
        if core.style.is_single() {
            Ok(core)
        } else {
            Err(Error::Unsupported(
                "the kernel changes the addresses of a whole socket only: bindx",
            ))
        }
    }

    pub(crate) fn add_local_address(&self, address: IpAddr) -> Result<()> {
        let core = self.only()?;
        bindx::add(&core, address)
    }

    pub(crate) fn remove_local_address(&self, address: IpAddr) -> Result<()> {
        let core = self.only()?;
        bindx::remove(&core, address)
    }

    pub(crate) fn request_heartbeat(&self, address: IpAddr) -> Result<()> {
        let (core, assoc) = self.association()?;
        let params = PaddrParams {
            assoc,
            address: core.path_storage(Some(assoc), Some(address))?,
            flags: abi::SPP_HB_DEMAND,
            ..PaddrParams::default()
        };
        core.set(abi::SCTP_PEER_ADDR_PARAMS, params)?
            .map_err(|error| errno::of_association("asking for a heartbeat", &error))
    }

    pub(crate) fn reset_streams(&self, directions: StreamDirections, streams: &[StreamId]) -> Result<()> {
        let (core, assoc) = self.association()?;
        let status = core.raw_status(assoc)?;
        let flags = match directions {
            StreamDirections::Outgoing => abi::SCTP_STREAM_RESET_OUTGOING,
            StreamDirections::Incoming => abi::SCTP_STREAM_RESET_INCOMING,
            StreamDirections::Both => abi::SCTP_STREAM_RESET_OUTGOING | abi::SCTP_STREAM_RESET_INCOMING,
        };
        let is_there = |stream: &StreamId| {
            (flags & abi::SCTP_STREAM_RESET_OUTGOING == 0 || stream.0 < status.outstrms)
                && (flags & abi::SCTP_STREAM_RESET_INCOMING == 0 || stream.0 < status.instrms)
        };
        if !streams.iter().all(is_there) {
            return Err(Error::InvalidStream);
        }
        let count = u16::try_from(streams.len()).map_err(|_| Error::InvalidStream)?;
        let mut bytes = ResetStreams { assoc, flags, count }.to_bytes();
        bytes.extend(streams.iter().flat_map(|stream| stream.0.to_ne_bytes()));
        ask(&core, assoc, abi::SCTP_ENABLE_RESET_STREAM_REQ, || {
            core.set_bytes(abi::SCTP_RESET_STREAMS, &bytes)
        })
    }

    pub(crate) fn reset_assoc(&self) -> Result<()> {
        let (core, assoc) = self.association()?;
        ask(&core, assoc, abi::SCTP_ENABLE_RESET_ASSOC_REQ, || {
            core.set_bytes(abi::SCTP_RESET_ASSOC, &assoc.to_ne_bytes())
        })
    }

    pub(crate) fn add_streams(&self, outbound: u16, inbound: u16) -> Result<()> {
        let (core, assoc) = self.association()?;
        let value = AddStreams {
            assoc,
            inbound,
            outbound,
        };
        ask(&core, assoc, abi::SCTP_ENABLE_CHANGE_ASSOC_REQ, || {
            core.set(abi::SCTP_ADD_STREAMS, value)
        })
    }

    pub(crate) fn stream_scheduler_value(&self, stream: StreamId) -> Result<u16> {
        let (core, assoc) = self.association()?;
        let request = StreamValue {
            assoc,
            stream: stream.0,
            value: 0,
        };
        let answer = core.get(abi::SCTP_STREAM_SCHEDULER_VALUE, request)?;
        answer.map(|answer| answer.value).map_err(|error| stream_error(&error))
    }

    pub(crate) fn set_stream_scheduler_value(&self, stream: StreamId, value: u16) -> Result<()> {
        let (core, assoc) = self.association()?;
        if stream.0 >= core.raw_status(assoc)?.outstrms {
            return Err(Error::InvalidStream);
        }
        let value = StreamValue {
            assoc,
            stream: stream.0,
            value,
        };
        core.set(abi::SCTP_STREAM_SCHEDULER_VALUE, value)?
            .map_err(|error| stream_error(&error))
    }

    pub(crate) fn pr_assoc_status(&self, policy: Option<PartialReliabilityPolicy>) -> Result<AbandonedMessages> {
        self.abandoned(abi::SCTP_PR_ASSOC_STATUS, 0, policy)
    }

    pub(crate) fn pr_stream_status(
        &self,
        stream: StreamId,
        policy: Option<PartialReliabilityPolicy>,
    ) -> Result<AbandonedMessages> {
        self.abandoned(abi::SCTP_PR_STREAM_STATUS, stream.0, policy)
    }

    fn abandoned(&self, name: i32, sid: u16, policy: Option<PartialReliabilityPolicy>) -> Result<AbandonedMessages> {
        let (core, assoc) = self.association()?;
        let policy = match policy {
            None => abi::SCTP_PR_SCTP_ALL,
            Some(PartialReliabilityPolicy::Timed) => abi::SCTP_PR_SCTP_TTL,
            Some(PartialReliabilityPolicy::Retransmissions) => abi::SCTP_PR_SCTP_RTX,
            Some(PartialReliabilityPolicy::Priority) => abi::SCTP_PR_SCTP_PRIO,
            Some(_) => return Err(Error::Unsupported("this policy of partial reliability")),
        };
        let request = PrStatus {
            assoc,
            sid,
            policy,
            ..PrStatus::default()
        };
        let answer = core.get(name, request)?;
        answer
            .map(|answer| AbandonedMessages {
                unsent: answer.unsent,
                sent: answer.sent,
            })
            .map_err(|error| stream_error(&error))
    }
}

/// Asks the peer for a re-configuration. The kernel asks only for what it would carry out itself for the peer (RFC 6525
/// §6.3.1 speaks of the latter alone), so that is let happen for the moment.
fn ask(core: &Core, assoc: i32, request: u32, ask: impl FnOnce() -> Result<io::Result<()>>) -> Result<()> {
    let failed = |error: io::Error| errno::of_association("asking for a re-configuration", &error);
    let enabled = core.value(abi::SCTP_ENABLE_STREAM_RESET, assoc)?.map_err(failed)?;
    if enabled & request != 0 {
        return ask()?.map_err(|error| reconfig_error(&error));
    }
    core.set_value(abi::SCTP_ENABLE_STREAM_RESET, assoc, enabled | request)?
        .map_err(failed)?;
    let outcome = ask();
    core.set_value(abi::SCTP_ENABLE_STREAM_RESET, assoc, enabled)?
        .map_err(failed)?;
    outcome?.map_err(|error| reconfig_error(&error))
}

fn reconfig_error(error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(libc::ENOPROTOOPT | libc::EPERM) => Error::Reconfig(ReconfigError::NotSupported),
        Some(libc::EINPROGRESS) => Error::Reconfig(ReconfigError::InProgress),
        Some(libc::ENOTCONN) => Error::Reconfig(ReconfigError::NotEstablished),
        Some(libc::EAGAIN) => Error::Reconfig(ReconfigError::TooSoon),
        Some(libc::EINVAL) => Error::InvalidStream,
        _ => errno::general("asking for a re-configuration", error),
    }
}

fn stream_error(error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(libc::EINVAL) => Error::InvalidStream,
        _ => errno::general("asking about a stream", error),
    }
}
