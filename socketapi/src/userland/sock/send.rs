//! Sending: finding the association a message is for, setting it up if needed.

use bytes::Bytes;
use sctp::error::SendError;
use sctp::{AssocId, ConnectOptions, EndpointId, Instant};

use super::defaults::message;
use super::record::Place;
use super::{Assoc, Defaults, Owner, Phase, Sockets};
use crate::userland::wait::{Attempt, Interest, Refused};
use crate::{Destination, Error, Result, SndInfo};

impl Sockets {
    /// Sends on a one-to-many socket.
    pub(crate) fn send(&mut self, now: Instant, endpoint: EndpointId, payload: &Bytes, info: &SndInfo) -> Attempt<()> {
        self.open_endpoint(endpoint)?;
        let id = match info.destination {
            Destination::Association(assoc) => assoc.userland()?,
            Destination::Address(peer) => match self.stack.find(endpoint, peer.ip(), peer.port()) {
                Some(id) if self.is_alive(endpoint, id) => id,
                _ => {
                    // What the set-up cannot take would leave an association that nobody asked for.
                    if info.abort || payload.is_empty() && info.eof {
                        return Err(Error::NoSuchAssociation.into());
                    }
                    check(payload)?;
                    self.open(now, endpoint, &[peer], ConnectOptions::default())?
                }
            },
            Destination::Peer => return Err(Error::NoDestination.into()),
        };
        self.owned(endpoint, id, Owner::Socket)?;
        self.queue(now, endpoint, id, payload, info)
    }

    /// Sends to every association of a one-to-many socket that is established; those that would not take it.
    pub(crate) fn send_all(
        &mut self,
        now: Instant,
        endpoint: EndpointId,
        payload: &Bytes,
        info: &SndInfo,
    ) -> Result<Vec<(AssocId, Error)>> {
        let entry = self.open_endpoint(endpoint)?;
        check(payload)?;
        let takes = |assoc: &Assoc| {
            assoc.owner == Owner::Socket && assoc.phase == Phase::Up && !assoc.shut_down_here && !assoc.peer_shut_down
        };
        let all = entry.assocs.iter().filter(|(_, assoc)| takes(assoc));
        let ids: Vec<AssocId> = all.map(|(id, _)| *id).collect();
        let mut refused = Vec::new();
        for id in ids {
            match self.queue(now, endpoint, id, payload, info) {
                Ok(()) => {}
                Err(Refused::Wait(_)) => refused.push((id, Error::WouldBlock)),
                Err(Refused::Failed(error)) => refused.push((id, error)),
            }
        }
        Ok(refused)
    }

    /// Sends on a one-to-one socket.
    pub(crate) fn send_from(
        &mut self,
        now: Instant,
        endpoint: EndpointId,
        id: AssocId,
        payload: &Bytes,
        info: &SndInfo,
    ) -> Attempt<()> {
        match info.destination {
            Destination::Peer => {}
            Destination::Association(assoc) if assoc.userland() == Ok(id) => {}
            Destination::Association(_) => return Err(Error::NoDestination.into()),
            Destination::Address(peer) if self.stack.find(endpoint, peer.ip(), peer.port()) == Some(id) => {}
            Destination::Address(_) => return Err(Error::AddressNotAvailable.into()),
        }
        let assoc = self.owned(endpoint, id, Owner::Stream).map_err(|_| Error::Closed)?;
        match &assoc.phase {
            Phase::Failed(reason) => Err(Error::ConnectFailed(reason.clone()).into()),
            Phase::Lost(reason) => Err(Error::AssociationLost(reason.clone()).into()),
            Phase::ShutDown => Err(Error::ShuttingDown.into()),
            Phase::Connecting | Phase::Up => self.queue(now, endpoint, id, payload, info),
        }
    }

    fn queue(
        &mut self,
        now: Instant,
        endpoint: EndpointId,
        id: AssocId,
        payload: &Bytes,
        info: &SndInfo,
    ) -> Attempt<()> {
        if info.abort {
            return Ok(self.abort(now, endpoint, id, payload.clone())?);
        }
        let assoc = self.assoc_mut(endpoint, id).ok_or(Error::NoSuchAssociation)?;
        if assoc.shut_down_here {
            return Err(Error::ShuttingDown.into());
        }
        if payload.is_empty() && info.eof {
            return Ok(self.shutdown(now, endpoint, id)?);
        }
        let place = if assoc.defaults.is_none() {
            Place {
                info: *info,
                piece: false,
                end: true,
            }
        } else {
            self.place(endpoint, id, info)?
        };
        self.hand_over(now, endpoint, id, payload.clone(), &place)
    }

    /// Gives a message or a piece of one to the engine.
    fn hand_over(
        &mut self,
        now: Instant,
        endpoint: EndpointId,
        id: AssocId,
        payload: Bytes,
        place: &Place,
    ) -> Attempt<()> {
        let info = &place.info;
        let assoc = self.assoc_mut(endpoint, id).ok_or(Error::NoSuchAssociation)?;
        let eof = info.eof || place.end && ends_by_default(info, assoc.defaults.as_deref());
        let message = message(info, assoc.defaults.as_deref(), payload);
        if let Some(address) = info.to_address {
            // The engine would take another one (RFC 6458 §4.1.8).
            self.stack.path_config(id, address).map_err(Error::from)?;
        }
        let result = if place.piece {
            let result = self.stack.send_more(now, id, message, place.end);
            self.note_place(endpoint, id, place, result);
            result
        } else {
            self.stack.send(now, id, message)
        };
        match result {
            Ok(()) => {
                if eof {
                    self.shutdown(now, endpoint, id)?;
                }
                Ok(())
            }
            Err(SendError::WouldBlock) => Err(Refused::Wait(Interest::Send(endpoint, id))),
            Err(error) => Err(Error::from(error).into()),
        }
    }

    /// Whether an association exists and has not ended.
    fn is_alive(&mut self, endpoint: EndpointId, id: AssocId) -> bool {
        self.assoc_mut(endpoint, id)
            .is_some_and(|assoc| !assoc.phase.has_ended())
    }
}

/// Whether the association is shut down behind a message because the defaults say so.
fn ends_by_default(info: &SndInfo, defaults: Option<&Defaults>) -> bool {
    info.use_defaults && defaults.is_some_and(|defaults| defaults.sndinfo.eof)
}

const fn check(payload: &Bytes) -> Result<()> {
    if payload.is_empty() {
        Err(Error::EmptyMessage)
    } else {
        Ok(())
    }
}
