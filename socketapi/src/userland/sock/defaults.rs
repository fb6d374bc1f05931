//! What holds for messages and notifications where nothing else is said (RFC 6458 §6.2, §8.1.25, §8.1.31, §8.1.32).

use std::time::Duration;

use sctp::{AssocId, EndpointId, OutMessage, Reliability};

use super::{Holder, Owner, Sockets, Style};
use crate::info::AssocRepr;
use crate::{AssociationConfig, Notification, Result, SndInfo, Subscriptions};

/// What is sent and received with where nothing else is said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Defaults {
    pub(crate) sndinfo: SndInfo,
    pub(crate) prinfo: Reliability,
    /// What goes with received messages.
    pub(crate) context: u32,
    /// How long closing waits for the end of the associations; zero aborts them.
    pub(crate) linger: Option<Duration>,
    /// Whether a message may come in several sends.
    pub(crate) explicit_eor: bool,
    /// Whether a received message tells what comes next.
    pub(crate) nxtinfo: bool,
}

/// All that new associations of an end point start with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    association: AssociationConfig,
    subscriptions: Subscriptions,
    defaults: Option<Box<Defaults>>,
}

impl Sockets {
    /// What new associations of an end point start with.
    pub(crate) fn settings(&self, endpoint: EndpointId) -> Option<Settings> {
        let entry = self.endpoints.get(&endpoint)?;
        Some(Settings {
            association: self.stack.endpoint_config(endpoint)?.clone(),
            subscriptions: entry.subscriptions,
            defaults: entry.defaults.clone(),
        })
    }

    /// Changes what new associations of an end point start with, if it is still there.
    pub(crate) fn set_settings(&mut self, endpoint: EndpointId, settings: &Settings) {
        if let Some(entry) = self.endpoints.get_mut(&endpoint) {
            entry.subscriptions = settings.subscriptions;
            entry.defaults.clone_from(&settings.defaults);
            self.stack.set_endpoint_config(endpoint, settings.association.clone());
        }
    }

    /// Whether an open end point, or an association of that socket, is there.
    pub(crate) fn exists(&mut self, endpoint: EndpointId, assoc: Option<AssocId>, holder: Holder) -> Result<()> {
        let owner = match holder {
            Holder::Socket => Owner::Socket,
            Holder::Stream => Owner::Stream,
        };
        match assoc {
            Some(id) => self.owned(endpoint, id, owner).map(|_| ()),
            None => self.open_endpoint(endpoint).map(|_| ()),
        }
    }

    /// Whether an end point was bound for a one-to-many socket.
    pub(crate) fn is_one_to_many(&self, endpoint: EndpointId) -> bool {
        self.endpoints
            .get(&endpoint)
            .is_some_and(|entry| entry.style == Style::Many)
    }

    /// The defaults of an association, or of the new ones of an end point.
    pub(crate) fn defaults(&mut self, endpoint: EndpointId, assoc: Option<AssocId>) -> Result<Defaults> {
        let defaults = match assoc {
            Some(id) => &self.live(endpoint, id)?.defaults,
            None => &self.open_endpoint(endpoint)?.defaults,
        };
        Ok(defaults.as_deref().cloned().unwrap_or_default())
    }

    /// Changes the defaults of an association, or of the new ones of an end point.
    pub(crate) fn change_defaults(
        &mut self,
        endpoint: EndpointId,
        assoc: Option<AssocId>,
        change: impl FnOnce(&mut Defaults),
    ) -> Result<()> {
        let defaults = match assoc {
            Some(id) => &mut self.live(endpoint, id)?.defaults,
            None => &mut self.open_endpoint(endpoint)?.defaults,
        };
        change(defaults.get_or_insert_default());
        Ok(())
    }

    /// Which notifications new associations of an end point cause.
    pub(crate) fn subscriptions(&mut self, endpoint: EndpointId) -> Result<Subscriptions> {
        Ok(self.open_endpoint(endpoint)?.subscriptions)
    }

    /// Which notifications new associations of an end point cause from now on.
    pub(crate) fn set_future_subscriptions(&mut self, endpoint: EndpointId, wanted: Subscriptions) -> Result<()> {
        self.open_endpoint(endpoint)?.subscriptions = wanted;
        Ok(())
    }

    /// Which notifications a socket receives: of new associations, and of those that it receives from.
    pub(crate) fn set_subscriptions(&mut self, endpoint: EndpointId, subscriptions: Subscriptions) -> Result<()> {
        let entry = self.open_endpoint(endpoint)?;
        entry.subscriptions = subscriptions;
        let own = entry.assocs.iter().filter(|(_, assoc)| assoc.owner == Owner::Socket);
        for id in own.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.set_subscriptions_of(endpoint, id, subscriptions)?;
        }
        Ok(())
    }

    /// Which notifications an association causes.
    pub(crate) fn subscriptions_of(&mut self, endpoint: EndpointId, id: AssocId) -> Result<Subscriptions> {
        Ok(self.live(endpoint, id)?.subscriptions)
    }

    /// Which notifications an association causes from now on.
    pub(crate) fn set_subscriptions_of(
        &mut self,
        endpoint: EndpointId,
        id: AssocId,
        subscriptions: Subscriptions,
    ) -> Result<()> {
        let assoc = self.live(endpoint, id)?;
        let begins = subscriptions.sender_dry && !assoc.subscriptions.sender_dry && !assoc.phase.has_ended();
        assoc.subscriptions = subscriptions;
        if begins && self.stack.status(id).is_some_and(|status| status.buffered_bytes == 0) {
            let assoc = crate::AssocId(AssocRepr::Userland(id));
            self.notify(endpoint, id, Notification::SenderDry { assoc });
        }
        Ok(())
    }
}

/// The message that is to be sent: as `info` says, and where it does not, as the defaults say.
pub(super) fn message(info: &SndInfo, defaults: Option<&Defaults>, payload: bytes::Bytes) -> OutMessage {
    let chosen = defaults.map(|defaults| &defaults.sndinfo).filter(|_| info.use_defaults);
    let fallback = SndInfo::new();
    let how = if info.use_defaults {
        chosen.unwrap_or(&fallback)
    } else {
        info
    };
    let prinfo = || defaults.map_or(Reliability::Reliable, |defaults| defaults.prinfo);
    OutMessage {
        unordered: how.unordered,
        sack_immediately: how.sack_immediately,
        context: how.context,
        destination: info.to_address,
        reliability: info.reliability.unwrap_or_else(prinfo),
        auth_key: info.auth_key,
        ..OutMessage::new(how.stream, how.ppid, payload)
    }
}
