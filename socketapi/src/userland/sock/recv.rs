//! Receiving: messages and notifications in the order in which they happened, associations in turn.

use sctp::serial::Tsn;
use sctp::{AssocId, EndpointId, Instant, Stack};

use super::{Assoc, Item, Owner, Phase, Sockets};
use crate::info::AssocRepr;
use crate::userland::wait::{Attempt, Interest, Refused};
use crate::{Error, Message, Notification, NxtInfo, RcvInfo, Received, Result};

impl Sockets {
    /// The next thing that a one-to-many socket receives.
    pub(crate) fn recv(&mut self, now: Instant, endpoint: EndpointId) -> Attempt<Received> {
        loop {
            self.open_endpoint(endpoint)?;
            let Self { stack, endpoints, .. } = self;
            let entry = endpoints.get_mut(&endpoint).ok_or(Error::Closed)?;
            let Some(id) = entry.ready.pop_front() else {
                return Err(Refused::Wait(Interest::Receive(endpoint)));
            };
            let Some(assoc) = entry.assocs.get_mut(&id) else {
                continue;
            };
            let received = assoc.next(stack, now, id);
            assoc.in_turn = received.is_some() && !assoc.inbox.is_empty();
            if assoc.in_turn {
                entry.ready.push_back(id);
            } else {
                self.sweep(now, endpoint, id);
            }
            if let Some(received) = received {
                return Ok(received);
            }
        }
    }

    /// The next thing that a one-to-one socket receives; `None` at the end.
    pub(crate) fn recv_from(&mut self, now: Instant, endpoint: EndpointId, id: AssocId) -> Attempt<Option<Received>> {
        self.owned(endpoint, id, Owner::Stream).map_err(|_| Error::Closed)?;
        let Self { stack, endpoints, .. } = self;
        let assoc = endpoints.get_mut(&endpoint).and_then(|entry| entry.assocs.get_mut(&id));
        let assoc = assoc.ok_or(Error::Closed)?;
        if let Some(received) = assoc.next(stack, now, id) {
            return Ok(Some(received));
        }
        match &assoc.phase {
            Phase::Failed(reason) => Err(Error::ConnectFailed(reason.clone()).into()),
            Phase::Lost(reason) => Err(Error::AssociationLost(reason.clone()).into()),
            Phase::ShutDown => Ok(None),
            Phase::Up if assoc.peer_shut_down => Ok(None),
            Phase::Up | Phase::Connecting => Err(Refused::Wait(Interest::ReceiveFrom(endpoint, id))),
        }
    }

    /// What would be received next from an association.
    pub(crate) fn next_info(&mut self, endpoint: EndpointId, id: AssocId) -> Result<Option<NxtInfo>> {
        self.live(endpoint, id)?;
        let Self { stack, endpoints, .. } = self;
        let assoc = endpoints.get(&endpoint).and_then(|entry| entry.assocs.get(&id));
        let mut inbox = assoc.ok_or(Error::NoSuchAssociation)?.inbox.iter();
        Ok(inbox.find_map(|item| match item {
            Item::Data(Some(0)) => None,
            Item::Data(_) => stack.peek(id).map(|message| NxtInfo::Message {
                stream: message.stream,
                ppid: message.ppid,
                unordered: message.unordered,
                length: message.payload.len(),
                complete: message.end_of_message,
            }),
            Item::Notification(_) => Some(NxtInfo::Notification),
        }))
    }

    /// The next message of a one-to-one socket, notifications left out; `None` at the end.
    pub(crate) fn recv_message(&mut self, now: Instant, endpoint: EndpointId, id: AssocId) -> Attempt<Option<Message>> {
        loop {
            match self.recv_from(now, endpoint, id)? {
                Some(Received::Data { payload, info }) => return Ok(Some(Message { payload, info })),
                Some(Received::Notification(_)) => {}
                None => return Ok(None),
            }
        }
    }
}

impl Assoc {
    /// Takes the oldest thing out of the inbox.
    fn next(&mut self, stack: &mut Stack, now: Instant, id: AssocId) -> Option<Received> {
        loop {
            match self.inbox.front_mut()? {
                Item::Data(Some(0)) => {}
                Item::Data(limit) => {
                    if let Ok(Some(message)) = stack.recv(now, id) {
                        if let Some(left) = limit.as_mut().filter(|_| message.end_of_message) {
                            *left = left.saturating_sub(1);
                        }
                        let cumulative = message.unordered.then(|| stack.cumulative_tsn(id)).flatten();
                        let context = self.defaults.as_ref().map_or(0, |defaults| defaults.context);
                        return Some(data(id, message, cumulative, context));
                    }
                }
                Item::Notification(_) => {
                    if let Some(Item::Notification(notification)) = self.inbox.pop_front() {
                        if matches!(notification, Notification::NotificationsStopped { .. }) {
                            self.notifications_stopped = false;
                        }
                        return Some(Received::Notification(notification));
                    }
                }
            }
            // A marker without messages behind it.
            self.inbox.pop_front();
        }
    }
}

fn data(id: AssocId, message: sctp::Received, cumulative_tsn: Option<Tsn>, context: u32) -> Received {
    Received::Data {
        payload: message.payload,
        info: RcvInfo {
            assoc: crate::AssocId(AssocRepr::Userland(id)),
            stream: message.stream,
            ssn: message.ssn,
            mid: message.mid,
            ppid: message.ppid,
            unordered: message.unordered,
            tsn: message.tsn,
            cumulative_tsn,
            context,
            end_of_message: message.end_of_message,
        },
    }
}
