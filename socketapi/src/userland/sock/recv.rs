//! Receiving: messages and notifications in the order in which they happened, associations in turn.

use sctp::serial::Tsn;
use sctp::{AssocId, EndpointId, Instant, Stack};

use super::{Assoc, Endpoint, Item, Owner, Phase, Piece, Sockets};
use crate::info::AssocRepr;
use crate::userland::wait::{Attempt, Interest, Refused};
use crate::{Error, FragmentInterleave, Message, Notification, NxtInfo, RcvInfo, Received, Result};

impl Sockets {
    /// The next thing that a one-to-many socket receives.
    pub(crate) fn recv(&mut self, now: Instant, endpoint: EndpointId) -> Attempt<Received> {
        loop {
            self.open_endpoint(endpoint)?;
            let Self { stack, endpoints, .. } = self;
            let entry = endpoints.get_mut(&endpoint).ok_or(Error::Closed)?;
            let Some(id) = entry.next_in_turn(stack) else {
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
                self.note_piece(endpoint, id, &received);
                return Ok(received);
            }
        }
    }

    /// Keeps in mind that a message was begun, or ended, where nothing may come between its pieces.
    fn note_piece(&mut self, endpoint: EndpointId, id: AssocId, received: &Received) {
        let Received::Data { info, .. } = received else { return };
        let Some(entry) = self.endpoints.get_mut(&endpoint) else {
            return;
        };
        if info.end_of_message {
            entry.begun = None;
            return;
        }
        let config = self.stack.association_config(id);
        let level = config.map(|config| config.interleaving().fragment_interleave());
        entry.begun = (level == Some(FragmentInterleave::Nothing)).then_some(id);
    }

    /// The next thing that a one-to-one socket receives; `None` at the end, which is that of the association for who
    /// wants to be told of that.
    pub(crate) fn recv_from(&mut self, now: Instant, endpoint: EndpointId, id: AssocId) -> Attempt<Option<Received>> {
        let told_of_end = self
            .assoc_mut(endpoint, id)
            .is_some_and(|assoc| assoc.subscriptions.association_change);
        self.recv_until(now, endpoint, id, told_of_end)
    }

    /// The next thing that a one-to-one socket receives; `None` once the peer has shut down, or the association has
    /// `ended`.
    fn recv_until(
        &mut self,
        now: Instant,
        endpoint: EndpointId,
        id: AssocId,
        ended: bool,
    ) -> Attempt<Option<Received>> {
        self.owned(endpoint, id, Owner::Stream).map_err(|_| Error::Closed)?;
        let Self { stack, endpoints, .. } = self;
        let assoc = endpoints.get_mut(&endpoint).and_then(|entry| entry.assocs.get_mut(&id));
        let assoc = assoc.ok_or(Error::Closed)?;
        if assoc.deaf {
            return Ok(None);
        }
        if let Some(received) = assoc.next(stack, now, id) {
            return Ok(Some(received));
        }
        match &assoc.phase {
            Phase::Failed(reason) => Err(Error::ConnectFailed(reason.clone()).into()),
            Phase::Lost(reason) => Err(Error::AssociationLost(reason.clone()).into()),
            Phase::ShutDown => Ok(None),
            Phase::Up if assoc.peer_shut_down && !ended => Ok(None),
            Phase::Up | Phase::Connecting => Err(Refused::Wait(Interest::ReceiveFrom(endpoint, id))),
        }
    }

    /// What would be received next from an association.
    pub(crate) fn next_info(&mut self, endpoint: EndpointId, id: AssocId) -> Result<Option<NxtInfo>> {
        self.live(endpoint, id)?;
        let Self { stack, endpoints, .. } = self;
        let assoc = endpoints.get(&endpoint).and_then(|entry| entry.assocs.get(&id));
        Ok(assoc.ok_or(Error::NoSuchAssociation)?.peek(stack, id))
    }

    /// The next message of a one-to-one socket, notifications left out; `None` at the end.
    pub(crate) fn recv_message(&mut self, now: Instant, endpoint: EndpointId, id: AssocId) -> Attempt<Option<Message>> {
        loop {
            match self.recv_until(now, endpoint, id, false)? {
                Some(Received::Data { payload, info }) => return Ok(Some(Message { payload, info })),
                Some(Received::Notification(_)) => {}
                None => return Ok(None),
            }
        }
    }
}

impl Endpoint {
    /// Takes the association whose turn it is to be received from.
    fn next_in_turn(&mut self, stack: &Stack) -> Option<AssocId> {
        let Some(begun) = self.begun else {
            return self.ready.pop_front();
        };
        if let Some(place) = self.ready.iter().position(|id| *id == begun) {
            return self.ready.remove(place);
        }
        let owned = self.assocs.get(&begun).filter(|assoc| assoc.owner == Owner::Socket);
        if owned.is_some_and(|assoc| !assoc.phase.has_ended()) && stack.is_partial(begun) {
            return None;
        }
        // The end will not come.
        self.begun = None;
        self.ready.pop_front()
    }
}

impl Assoc {
    /// What would be taken out of the inbox next.
    fn peek(&self, stack: &Stack, id: AssocId) -> Option<NxtInfo> {
        self.inbox.iter().find_map(|item| match item {
            Item::Data(Some(0)) => None,
            Item::Data(_) => stack.peek(id).map(|message| NxtInfo::Message {
                stream: message.stream,
                ppid: message.ppid,
                unordered: message.unordered,
                length: message.payload.len(),
                complete: message.end_of_message,
            }),
            Item::CutOff if self.pieces.is_empty() => None,
            Item::Notification(_) | Item::CutOff => Some(NxtInfo::Notification),
        })
    }

    /// Keeps in mind which messages were received in part.
    #[cold]
    fn note(&mut self, message: &sctp::Received) {
        let piece = Piece {
            stream: message.stream,
            ssn: message.ssn,
            unordered: message.unordered,
            tsn: message.tsn,
        };
        self.pieces.retain(|known| *known != piece);
        if !message.end_of_message {
            self.pieces.push(piece);
        }
    }

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
                        if !message.end_of_message || !self.pieces.is_empty() {
                            self.note(&message);
                        }
                        let cumulative = message.unordered.then(|| stack.cumulative_tsn(id)).flatten();
                        let context = self.defaults.as_ref().map_or(0, |defaults| defaults.context);
                        let told = self.defaults.as_ref().is_some_and(|defaults| defaults.nxtinfo);
                        let next = told.then(|| self.peek(stack, id)).flatten();
                        return Some(data(id, message, cumulative, context, next));
                    }
                }
                Item::CutOff => {
                    if let Some(piece) = self.pieces.pop() {
                        return Some(Received::Notification(piece.aborted(id)));
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
            // A marker with nothing behind it.
            self.inbox.pop_front();
        }
    }
}

impl Piece {
    /// What tells that the rest of the message will not come.
    const fn aborted(self, id: AssocId) -> Notification {
        Notification::PartialDeliveryAborted {
            assoc: crate::AssocId(AssocRepr::Userland(id)),
            stream: self.stream,
            ssn: self.ssn,
            unordered: self.unordered,
            tsn: self.tsn,
        }
    }
}

fn data(
    id: AssocId,
    message: sctp::Received,
    cumulative_tsn: Option<Tsn>,
    context: u32,
    next: Option<NxtInfo>,
) -> Received {
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
            next,
        },
    }
}
