//! What the engine says becomes notifications, wake-ups and ends.

use std::net::SocketAddr;

use bytes::Bytes;
use sctp::{AssocId, EndpointId, Event, Instant, SendFailure};

use super::{Assoc, Endpoint, Item, Owner, Phase, Piece, Sockets, Style};
use crate::info::AssocRepr;
use crate::{AssociationChange, AssociationFeatures, AssociationState, Notification, SndInfo};

/// How many notifications that a peer can cause at will wait for an association; more are dropped.
const MAX_NOTIFICATIONS: usize = 128;

impl Sockets {
    pub(super) fn on_event(&mut self, now: Instant, endpoint: EndpointId, id: AssocId, event: Event) {
        log(id, &event);
        if matches!(
            event,
            Event::CommunicationUp {
                initiated_here: false,
                ..
            }
        ) {
            self.adopt(now, endpoint, id);
        }
        let Some(entry) = self.endpoints.get_mut(&endpoint) else {
            return;
        };
        let Some(assoc) = entry.assocs.get_mut(&id) else { return };
        let new_phase = next_phase(&event);
        let changed = new_phase.is_some();
        if let Some(phase) = new_phase {
            assoc.phase = phase;
            assoc.wake_everyone(&mut self.woken);
        }
        match &event {
            Event::PeerShutdown => {
                assoc.peer_shut_down = true;
                assoc.receivers.wake(&mut self.woken);
                assoc.senders.wake(&mut self.woken);
            }
            Event::Writable => assoc.senders.wake(&mut self.woken),
            Event::Readable => self.on_readable(now, endpoint, id),
            // Others may have waited for the end of the message.
            Event::PartialDeliveryAborted { .. } | Event::CommunicationLost { .. } | Event::ShutdownComplete => {
                entry.receivers.wake(&mut self.woken);
            }
            _ => {}
        }
        if let Event::CommunicationLost { .. } = &event {
            self.cut_off(endpoint, id);
        }
        if let Event::PartialDeliveryAborted {
            stream, unordered, tsn, ..
        } = &event
            && let Some(assoc) = self.assoc_mut(endpoint, id)
        {
            let ended = |piece: &Piece| (piece.stream, piece.unordered, piece.tsn) == (*stream, *unordered, *tsn);
            assoc.pieces.retain(|piece| !ended(piece));
        }
        if let Some(notification) = self.notification(endpoint, id, event) {
            self.notify(endpoint, id, notification);
        }
        if changed {
            self.after_change(now, endpoint, id);
        }
    }

    /// Takes in an association that a peer has opened.
    fn adopt(&mut self, now: Instant, endpoint: EndpointId, id: AssocId) {
        let peer = self.stack.status(id).and_then(|status| {
            status
                .paths
                .first()
                .map(|path| SocketAddr::new(path.address, status.peer_port))
        });
        let (Some(entry), Some(peer)) = (self.endpoints.get_mut(&endpoint), peer) else {
            return;
        };
        if entry.assocs.contains_key(&id) {
            return;
        }
        let owner = match entry.style {
            _ if !entry.open => Owner::Nobody,
            Style::Many => Owner::Socket,
            Style::Listener => Owner::Backlog,
            Style::Single => Owner::Nobody,
        };
        let assoc = Assoc::new(entry, peer, owner, Phase::Up);
        entry.assocs.insert(id, assoc);
        match owner {
            Owner::Backlog => {
                entry.backlog.push_back(id);
                entry.receivers.wake(&mut self.woken);
            }
            Owner::Nobody => self.discard(now, endpoint, id, Bytes::new()),
            // The engine's backlog is for those who wait to be accepted; nobody waits here.
            Owner::Socket | Owner::Stream => {
                let known = self.stack.accept(id);
                debug_assert!(known.is_ok(), "the engine knows the association it has just told about");
            }
        }
    }

    fn on_readable(&mut self, now: Instant, endpoint: EndpointId, id: AssocId) {
        let Some(entry) = self.endpoints.get_mut(&endpoint) else {
            return;
        };
        let Some(assoc) = entry.assocs.get_mut(&id) else { return };
        if assoc.owner == Owner::Nobody || assoc.deaf {
            // Nobody will take it, and the peer's shutdown waits for it.
            while let Ok(Some(_)) = self.stack.recv(now, id) {}
            return;
        }
        if !matches!(assoc.inbox.back(), Some(Item::Data(None))) {
            assoc.inbox.push_back(Item::Data(None));
        }
        entry.mark_ready(id, &mut self.woken);
    }

    /// Has the messages that are received in part told of, behind what there is of them (RFC 6458 §6.1.7).
    fn cut_off(&mut self, endpoint: EndpointId, id: AssocId) {
        let Some(entry) = self.endpoints.get_mut(&endpoint) else {
            return;
        };
        let Some(assoc) = entry.assocs.get_mut(&id) else { return };
        let begun = !assoc.pieces.is_empty() || assoc.inbox.iter().any(|item| matches!(item, Item::Data(_)));
        if begun && assoc.owner != Owner::Nobody && !assoc.deaf && assoc.subscriptions.partial_delivery {
            assoc.inbox.push_back(Item::CutOff);
            entry.mark_ready(id, &mut self.woken);
        }
    }

    /// Puts a notification behind what the association has received so far.
    pub(super) fn notify(&mut self, endpoint: EndpointId, id: AssocId, notification: Notification) {
        let Some(entry) = self.endpoints.get_mut(&endpoint) else {
            return;
        };
        let Some(assoc) = entry.assocs.get_mut(&id) else { return };
        if assoc.owner == Owner::Nobody || assoc.deaf || !assoc.subscriptions.wants(&notification) {
            return;
        }
        let mut notification = notification;
        if assoc.inbox.len() >= MAX_NOTIFICATIONS && is_repeatable(&notification) {
            if assoc.notifications_stopped {
                return;
            }
            assoc.notifications_stopped = true;
            let assoc = crate::AssocId(AssocRepr::Userland(id));
            notification = Notification::NotificationsStopped { assoc };
        }
        // Messages that arrived before the notification are received before it; the marker behind it is for those
        // that arrive later.
        let more = matches!(assoc.inbox.back(), Some(Item::Data(None)));
        if more {
            assoc.inbox.pop_back();
            let counted: usize = assoc.inbox.iter().map(Item::messages).sum();
            let here = self.stack.status(id).map_or(0, |status| status.pending_messages);
            assoc.inbox.push_back(Item::Data(Some(here.saturating_sub(counted))));
        }
        assoc.inbox.push_back(Item::Notification(notification));
        if more {
            assoc.inbox.push_back(Item::Data(None));
        }
        entry.mark_ready(id, &mut self.woken);
    }

    /// What to do once an association is established, or has ended.
    fn after_change(&mut self, now: Instant, endpoint: EndpointId, id: AssocId) {
        let Some(entry) = self.endpoints.get_mut(&endpoint) else {
            return;
        };
        let Some(assoc) = entry.assocs.get_mut(&id) else { return };
        match assoc.phase {
            Phase::Up if assoc.shut_down_here => {
                // Asked for before it was established; a second request changes nothing.
                let _ = self.stack.shutdown(now, id);
            }
            Phase::Lost(_) | Phase::Failed(_) if assoc.owner == Owner::Backlog => {
                entry.backlog.retain(|waiting| *waiting != id);
                self.remove(now, endpoint, id);
            }
            _ if assoc.phase.has_ended() => {
                entry.enders.wake(&mut self.woken);
                self.all_ended.wake(&mut self.woken);
                self.sweep(now, endpoint, id);
            }
            _ => {}
        }
    }

    /// What both sides of an association support.
    fn features(&self, id: AssocId) -> AssociationFeatures {
        self.stack
            .status(id)
            .map_or_else(AssociationFeatures::default, |status| AssociationFeatures {
                partial_reliability: status.partial_reliability,
                authentication: status.authentication,
                address_changes: status.address_changes,
                multiple_buffers: true,
                reconfiguration: status.reconfiguration,
                interleaving: status.interleaving,
            })
    }

    fn notification(&self, endpoint: EndpointId, id: AssocId, event: Event) -> Option<Notification> {
        let peer = self.endpoints.get(&endpoint)?.assocs.get(&id)?.peer;
        let assoc = crate::AssocId(AssocRepr::Userland(id));
        let change = |state| {
            Some(Notification::AssociationChange(AssociationChange {
                assoc,
                peer,
                state,
            }))
        };
        match event {
            Event::CommunicationUp {
                initiated_here,
                outbound_streams,
                inbound_streams,
            } => change(AssociationState::Up {
                initiated_here,
                outbound_streams,
                inbound_streams,
                features: self.features(id),
            }),
            Event::ConnectFailed { reason } => change(AssociationState::CannotStart(reason)),
            Event::CommunicationLost { reason } => change(AssociationState::Lost(reason)),
            Event::Restarted {
                outbound_streams,
                inbound_streams,
            } => change(AssociationState::Restarted {
                outbound_streams,
                inbound_streams,
                features: self.features(id),
            }),
            Event::ShutdownComplete => change(AssociationState::ShutdownComplete),
            Event::PeerShutdown => Some(Notification::PeerShutdown { assoc }),
            Event::PartialDeliveryAborted {
                stream,
                ssn,
                unordered,
                tsn,
            } => Some(Notification::PartialDeliveryAborted {
                assoc,
                stream,
                ssn,
                unordered,
                tsn,
            }),
            Event::SenderDry => Some(Notification::SenderDry { assoc }),
            Event::SendFailed(SendFailure {
                stream,
                ppid,
                unordered,
                context,
                sent,
                cause,
                payload,
            }) => {
                let info = SndInfo {
                    stream,
                    ppid,
                    unordered,
                    context,
                    ..SndInfo::to(assoc)
                };
                Some(Notification::SendFailed {
                    assoc,
                    info,
                    sent,
                    error: cause,
                    payload,
                })
            }
            Event::PathChanged { address, change } => Some(Notification::PeerAddressChange {
                assoc,
                address: SocketAddr::new(address, peer.port()),
                change,
            }),
            Event::PeerError { cause, raw } => Some(Notification::RemoteError { assoc, cause, raw }),
            other => of_extension(assoc, other),
        }
    }
}

/// What events of extensions become.
fn of_extension(assoc: crate::AssocId, event: Event) -> Option<Notification> {
    match event {
        Event::AdaptationIndication { code_point } => Some(Notification::AdaptationIndication {
            assoc,
            indication: code_point,
        }),
        Event::Authentication(event) => Some(Notification::Authentication { assoc, event }),
        Event::StreamReset {
            direction,
            streams,
            outcome,
        } => Some(Notification::StreamReset {
            assoc,
            direction,
            streams,
            outcome,
        }),
        Event::AssociationReset {
            local_tsn,
            remote_tsn,
            outcome,
        } => Some(Notification::AssociationReset {
            assoc,
            local_tsn,
            remote_tsn,
            outcome,
        }),
        Event::StreamChange {
            inbound_streams,
            outbound_streams,
            outcome,
        } => Some(Notification::StreamChange {
            assoc,
            inbound_streams,
            outbound_streams,
            outcome,
        }),
        Event::AddressChangeAnswered { change, refused } => {
            Some(Notification::LocalAddressChange { assoc, change, refused })
        }
        _ => None,
    }
}

/// Whether the peer can cause such a notification over and over.
const fn is_repeatable(notification: &Notification) -> bool {
    match notification {
        Notification::AssociationChange(change) => matches!(change.state, AssociationState::Restarted { .. }),
        Notification::RemoteError { .. }
        | Notification::PeerAddressChange { .. }
        | Notification::SenderDry { .. }
        | Notification::AdaptationIndication { .. }
        | Notification::Authentication { .. }
        | Notification::StreamReset { .. }
        | Notification::AssociationReset { .. }
        | Notification::StreamChange { .. } => true,
        _ => false,
    }
}

impl Endpoint {
    /// An association has something to receive: its turn comes, and whoever waits for it is woken.
    pub(super) fn mark_ready(&mut self, id: AssocId, woken: &mut Vec<std::task::Waker>) {
        let Some(assoc) = self.assocs.get_mut(&id) else { return };
        match assoc.owner {
            Owner::Socket => {
                if !assoc.in_turn {
                    assoc.in_turn = true;
                    self.ready.push_back(id);
                }
                self.receivers.wake(woken);
            }
            Owner::Stream => assoc.receivers.wake(woken),
            Owner::Backlog | Owner::Nobody => {}
        }
    }
}

fn log(id: AssocId, event: &Event) {
    match event {
        Event::Readable | Event::Writable | Event::SenderDry => tracing::trace!(assoc = %id, ?event),
        // The message itself may be long, and is nobody's business.
        Event::SendFailed(failure) => {
            tracing::debug!(assoc = %id, context = failure.context, bytes = failure.payload.len(), "send failed");
        }
        _ => tracing::debug!(assoc = %id, ?event),
    }
}

fn next_phase(event: &Event) -> Option<Phase> {
    match event {
        Event::CommunicationUp { .. } => Some(Phase::Up),
        Event::ConnectFailed { reason } => Some(Phase::Failed(reason.clone())),
        Event::CommunicationLost { reason } => Some(Phase::Lost(reason.clone())),
        Event::ShutdownComplete => Some(Phase::ShutDown),
        _ => None,
    }
}
