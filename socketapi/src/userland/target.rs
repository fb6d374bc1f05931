//! What options are read and set of, and what can be asked of an association.

use std::net::IpAddr;
use std::time::Duration;

use sctp::error::{AddressError, AuthKeyError, ConfigError};
use sctp::{
    AbandonedMessages, AssocId as Id, AssociationStatus, EndpointId, Instant, PartialReliabilityPolicy, Stack,
    StreamDirections,
};

use super::sock::{Defaults, Holder, Sockets};
use super::stack::StackHandle;
use crate::{
    AssocId, AssociationConfig, AssociationStats, ChunkType, Error, NxtInfo, PathConfig, Result, SharedKeyId, StreamId,
    Subscriptions,
};

/// The new associations of an end point, or one association.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    stack: StackHandle,
    endpoint: EndpointId,
    assoc: Option<AssocId>,
    holder: Holder,
    /// Whether associations that there are keep what is set of the socket.
    future: bool,
    /// The same end point at other workers of the stack.
    twins: Vec<(StackHandle, EndpointId)>,
}

impl Target {
    pub(super) const fn new(stack: StackHandle, endpoint: EndpointId, assoc: Option<AssocId>, holder: Holder) -> Self {
        Self {
            stack,
            endpoint,
            assoc,
            holder,
            future: false,
            twins: Vec::new(),
        }
    }

    /// The same, for what is set of future associations alone.
    pub(crate) fn of_future(self) -> Self {
        Self { future: true, ..self }
    }

    /// The same, with end points at other workers that are to have the same settings.
    pub(super) fn with_twins(self, twins: Vec<(StackHandle, EndpointId)>) -> Self {
        Self { twins, ..self }
    }

    fn enter<T>(&self, command: impl FnOnce(&mut Sockets, Instant, EndpointId, Option<Id>) -> Result<T>) -> Result<T> {
        let id = self.assoc.map(AssocId::userland).transpose()?;
        let (outcome, settings) = self.stack.shard().enter(|sockets, now| {
            sockets.exists(self.endpoint, id, self.holder)?;
            let outcome = command(sockets, now, self.endpoint, id);
            let settings = match self.twins.is_empty() {
                true => None,
                false => sockets.settings(self.endpoint),
            };
            Ok::<_, Error>((outcome, settings))
        })??;
        if let Some(settings) = settings {
            for (stack, endpoint) in &self.twins {
                stack
                    .shard()
                    .enter(|sockets, _| sockets.set_settings(*endpoint, &settings))?;
            }
        }
        outcome
    }

    /// Something that only an association can do.
    fn command<T>(&self, command: impl FnOnce(&mut Stack, Instant, Id) -> Result<T>) -> Result<T> {
        self.enter(|sockets, now, _, id| command(&mut sockets.stack, now, id.ok_or(Error::NoSuchAssociation)?))
    }

    /// The configuration as it is by now.
    pub(crate) fn config(&self) -> Result<AssociationConfig> {
        self.enter(|sockets, _, endpoint, id| config(&sockets.stack, endpoint, id))
    }

    /// Changes the configuration.
    pub(crate) fn change(&self, change: impl FnOnce(&mut AssociationConfig) -> Result<(), ConfigError>) -> Result<()> {
        self.enter(|sockets, now, endpoint, id| {
            let mut config = config(&sockets.stack, endpoint, id)?;
            change(&mut config)?;
            match id {
                Some(id) => Ok(sockets.stack.set_association_config(now, id, config)?),
                None if sockets.stack.set_endpoint_config(endpoint, config) => Ok(()),
                None => Err(Error::Closed),
            }
        })
    }

    /// Whether idle associations can be closed: those of one-to-many sockets (RFC 6458 §8.1.8).
    pub(crate) fn has_autoclose(&self) -> Result<bool> {
        self.enter(|sockets, _, endpoint, _| Ok(self.holder == Holder::Socket && sockets.is_one_to_many(endpoint)))
    }

    /// The settings of the path to an address, or those that new paths start with.
    pub(crate) fn path_config(&self, address: Option<IpAddr>) -> Result<PathConfig> {
        self.enter(|sockets, _, endpoint, id| path_config(&sockets.stack, endpoint, id, address))
    }

    /// Changes the settings of the path to an address, or of all paths and those to come.
    pub(crate) fn change_path(
        &self,
        address: Option<IpAddr>,
        change: impl FnOnce(&mut PathConfig) -> Result<(), ConfigError>,
    ) -> Result<()> {
        self.enter(|sockets, now, endpoint, id| {
            let mut path = path_config(&sockets.stack, endpoint, id, address)?;
            change(&mut path)?;
            if let Some(id) = id {
                return Ok(sockets.stack.set_path_config(now, id, address, path)?);
            }
            let mut config = config(&sockets.stack, endpoint, None)?;
            *config.path_mut() = path;
            sockets.stack.set_endpoint_config(endpoint, config);
            Ok(())
        })
    }

    pub(crate) fn defaults(&self) -> Result<Defaults> {
        self.enter(|sockets, _, endpoint, id| sockets.defaults(endpoint, id))
    }

    pub(crate) fn change_defaults(&self, change: impl FnOnce(&mut Defaults)) -> Result<()> {
        self.enter(|sockets, _, endpoint, id| sockets.change_defaults(endpoint, id, change))
    }

    pub(crate) fn linger(&self) -> Result<Option<Duration>> {
        Ok(self.defaults()?.linger)
    }

    pub(crate) fn set_linger(&self, linger: Option<Duration>) -> Result<()> {
        self.change_defaults(|defaults| defaults.linger = linger)
    }

    pub(crate) fn explicit_eor(&self) -> Result<bool> {
        Ok(self.defaults()?.explicit_eor)
    }

    pub(crate) fn set_explicit_eor(&self, explicit: bool) -> Result<()> {
        self.change_defaults(|defaults| defaults.explicit_eor = explicit)
    }

    pub(crate) fn recv_nxtinfo(&self) -> Result<bool> {
        Ok(self.defaults()?.nxtinfo)
    }

    pub(crate) fn set_recv_nxtinfo(&self, told: bool) -> Result<()> {
        self.change_defaults(|defaults| defaults.nxtinfo = told)
    }

    pub(crate) fn subscriptions(&self) -> Result<Subscriptions> {
        self.enter(|sockets, _, endpoint, id| match id {
            Some(id) => sockets.subscriptions_of(endpoint, id),
            None => sockets.subscriptions(endpoint),
        })
    }

    pub(crate) fn set_subscriptions(&self, subscriptions: Subscriptions) -> Result<()> {
        self.enter(|sockets, _, endpoint, id| match id {
            Some(id) => sockets.set_subscriptions_of(endpoint, id, subscriptions),
            None if self.future => sockets.set_future_subscriptions(endpoint, subscriptions),
            None => sockets.set_subscriptions(endpoint, subscriptions),
        })
    }

    pub(crate) fn set_auth_key(&self, key: SharedKeyId, secret: &[u8]) -> Result<()> {
        self.enter(|sockets, _, endpoint, id| match id {
            Some(id) => Ok(sockets.stack.set_auth_key(id, key, secret)?),
            None => {
                let config = config(&sockets.stack, endpoint, None)?;
                if !config.auth().is_offered() && !config.asconf().offered() {
                    return Err(Error::AuthKey(AuthKeyError::NotOffered));
                }
                let auth = sockets.stack.endpoint_auth_mut(endpoint).ok_or(Error::Closed)?;
                auth.keys_mut().set(key, secret);
                Ok(())
            }
        })
    }

    pub(crate) fn active_auth_key(&self) -> Result<SharedKeyId> {
        self.enter(|sockets, _, endpoint, id| {
            let keys = match id {
                Some(id) => sockets.stack.auth_keys(id),
                None => sockets.stack.endpoint_auth(endpoint).map(|auth| auth.keys()),
            };
            Ok(keys.ok_or(Error::AuthKey(AuthKeyError::NotOffered))?.active())
        })
    }

    pub(crate) fn set_active_auth_key(&self, key: SharedKeyId) -> Result<()> {
        self.enter(|sockets, _, endpoint, id| match id {
            Some(id) => Ok(sockets.stack.set_active_auth_key(id, key)?),
            None => {
                let auth = sockets.stack.endpoint_auth_mut(endpoint).ok_or(Error::Closed)?;
                Ok(auth.keys_mut().set_active(key)?)
            }
        })
    }

    pub(crate) fn deactivate_auth_key(&self, key: SharedKeyId) -> Result<()> {
        self.enter(|sockets, _, endpoint, id| match id {
            Some(id) => Ok(sockets.stack.deactivate_auth_key(id, key)?),
            None => {
                let auth = sockets.stack.endpoint_auth_mut(endpoint).ok_or(Error::Closed)?;
                Ok(auth.keys_mut().deactivate(key)?)
            }
        })
    }

    pub(crate) fn delete_auth_key(&self, key: SharedKeyId) -> Result<()> {
        self.enter(|sockets, _, endpoint, id| match id {
            Some(id) => Ok(sockets.stack.delete_auth_key(id, key)?),
            None => {
                let auth = sockets.stack.endpoint_auth_mut(endpoint).ok_or(Error::Closed)?;
                Ok(auth.keys_mut().remove(key)?)
            }
        })
    }

    /// A snapshot; `None` of what is no association.
    pub(crate) fn status(&self) -> Result<Option<AssociationStatus>> {
        self.enter(|sockets, _, endpoint, id| id.map(|id| sockets.status(endpoint, id)).transpose())
    }

    /// What the association has counted, or all of the end point's.
    pub(crate) fn stats(&self) -> Result<AssociationStats> {
        if let Some(status) = self.status()? {
            return Ok(status.stats);
        }
        let mut sum = self.stack.endpoint_stats(self.endpoint)?;
        for (stack, endpoint) in &self.twins {
            sum += stack.endpoint_stats(*endpoint)?;
        }
        Ok(sum)
    }

    pub(crate) fn next_info(&self) -> Result<Option<NxtInfo>> {
        self.enter(|sockets, _, endpoint, id| sockets.next_info(endpoint, id.ok_or(Error::NoSuchAssociation)?))
    }

    pub(crate) fn set_primary_addr(&self, address: IpAddr) -> Result<()> {
        self.command(|stack, _, id| Ok(stack.set_primary(id, address)?))
    }

    pub(crate) fn set_peer_primary_addr(&self, address: IpAddr) -> Result<()> {
        self.command(|stack, now, id| match stack.set_peer_primary(now, id, address) {
            Err(AddressError::NoSuchAddress) => Err(Error::AddressNotAvailable),
            outcome => Ok(outcome?),
        })
    }

    pub(crate) fn add_local_address(&self, address: IpAddr) -> Result<()> {
        self.command(|stack, now, id| Ok(stack.add_local_address(now, id, address)?))
    }

    pub(crate) fn remove_local_address(&self, address: IpAddr) -> Result<()> {
        self.command(|stack, now, id| Ok(stack.remove_local_address(now, id, address)?))
    }

    pub(crate) fn request_heartbeat(&self, address: IpAddr) -> Result<()> {
        self.command(|stack, now, id| Ok(stack.request_heartbeat(now, id, address)?))
    }

    pub(crate) fn local_auth_chunks(&self) -> Result<Vec<ChunkType>> {
        self.command(|stack, _, id| stack.local_auth_chunks(id).ok_or(Error::NoSuchAssociation))
    }

    pub(crate) fn peer_auth_chunks(&self) -> Result<Vec<ChunkType>> {
        self.command(|stack, _, id| stack.peer_auth_chunks(id).ok_or(Error::NoSuchAssociation))
    }

    pub(crate) fn reset_streams(&self, directions: StreamDirections, streams: &[StreamId]) -> Result<()> {
        self.command(|stack, now, id| Ok(stack.reset_streams(now, id, directions, streams)?))
    }

    pub(crate) fn reset_assoc(&self) -> Result<()> {
        self.command(|stack, now, id| Ok(stack.reset_association(now, id)?))
    }

    pub(crate) fn add_streams(&self, outbound: u16, inbound: u16) -> Result<()> {
        self.command(|stack, now, id| Ok(stack.add_streams(now, id, outbound, inbound)?))
    }

    pub(crate) fn stream_scheduler_value(&self, stream: StreamId) -> Result<u16> {
        self.command(|stack, _, id| Ok(stack.stream_scheduler_value(id, stream)?))
    }

    pub(crate) fn set_stream_scheduler_value(&self, stream: StreamId, value: u16) -> Result<()> {
        self.command(|stack, _, id| Ok(stack.set_stream_scheduler_value(id, stream, value)?))
    }

    pub(crate) fn pr_assoc_status(&self, policy: Option<PartialReliabilityPolicy>) -> Result<AbandonedMessages> {
        self.command(|stack, _, id| Ok(stack.abandoned_messages(id, policy)?))
    }

    pub(crate) fn pr_stream_status(
        &self,
        stream: StreamId,
        policy: Option<PartialReliabilityPolicy>,
    ) -> Result<AbandonedMessages> {
        self.command(|stack, _, id| Ok(stack.abandoned_messages_of_stream(id, stream, policy)?))
    }
}

fn config(stack: &Stack, endpoint: EndpointId, id: Option<Id>) -> Result<AssociationConfig> {
    match id {
        Some(id) => stack.association_config(id).ok_or(Error::NoSuchAssociation),
        None => stack.endpoint_config(endpoint).cloned().ok_or(Error::Closed),
    }
}

fn path_config(stack: &Stack, endpoint: EndpointId, id: Option<Id>, address: Option<IpAddr>) -> Result<PathConfig> {
    match (id, address) {
        (Some(id), Some(address)) => Ok(stack.path_config(id, address)?),
        (None, Some(_)) => Err(Error::NoSuchPath),
        (_, None) => Ok(*config(stack, endpoint, id)?.path()),
    }
}
