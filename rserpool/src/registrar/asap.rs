//! What elements and users ask of a registrar: registration, deregistration, handle resolution (RFC 5352 §3.1 to
//! §3.3).

use std::net::IpAddr;

use sctp::Instant;
use sctp::addr::{is_usable_peer, scope};

use super::event::{RegistrarEvent, RemovalReason};
use super::{Registrar, TimerKey};
use crate::config::{AddressCheck, ForeignChange};
use crate::handlespace::ElementKey;
use crate::ids::{PeId, PoolHandle};
use crate::net::ConnId;
use crate::wire::asap::AsapMessage;
use crate::wire::cause::{Cause, CauseCode, OperationError};
use crate::wire::element::PoolElementParam;
use crate::wire::param::to_bytes;
use crate::wire::transport::{SctpTransport, Transport, TransportUse};

impl Registrar {
    pub(super) fn on_message(&mut self, now: Instant, conn: ConnId, payload: &[u8]) {
        let (message, report) = match AsapMessage::decode_reporting(payload) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.stats.malformed_messages += 1;
                if let Some(cause) = error.answer() {
                    self.send_error(conn, cause.clone().into());
                }
                return;
            }
        };
        match message {
            AsapMessage::Registration { pool, element } => self.on_registration(now, conn, pool, element),
            AsapMessage::Deregistration { pool, pe } => self.on_deregistration(conn, pool, pe),
            AsapMessage::HandleResolution { pool, items, .. } => self.on_resolution(conn, pool, items),
            AsapMessage::EndpointKeepAliveAck { pool, pe } => self.on_keep_alive_ack(now, conn, &pool, pe),
            AsapMessage::EndpointUnreachable { pool, pe } => self.on_unreachable(now, conn, &pool, pe),
            AsapMessage::Error { .. } => self.stats.received_errors += 1,
            _ => self.stats.unexpected_messages += 1,
        }
        if let Some(report) = report {
            self.send_error(conn, report);
        }
    }

    fn send_error(&mut self, conn: ConnId, error: OperationError) {
        self.send(conn, &AsapMessage::Error { error });
    }

    fn on_registration(&mut self, now: Instant, conn: ConnId, pool: PoolHandle, element: PoolElementParam) {
        let pe = element.id;
        let refusal = self.register(now, conn, &pool, element).err();
        if refusal.is_some() {
            self.stats.refused_registrations += 1;
        }
        let response = AsapMessage::RegistrationResponse {
            pool,
            pe,
            reject: refusal.is_some(),
            error: refusal.map(OperationError::from),
        };
        self.send(conn, &response);
    }

    fn register(
        &mut self,
        now: Instant,
        conn: ConnId,
        pool: &PoolHandle,
        mut param: PoolElementParam,
    ) -> Result<(), Cause> {
        if self.is_foreign(conn, self.handlespace.find(pool, param.id)) {
            return Err(CauseCode::NON_UNIQUE_PE_IDENTIFIER.into());
        }
        let life = param.life.duration(self.config.life_unit());
        if life.is_some_and(|life| life.is_zero()) {
            return Err(Cause::new(CauseCode::INVALID_VALUES, to_bytes(|w| param.write(w))));
        }
        param.user_transport = self.believed(conn, param.user_transport)?;
        param.asap_transport = Some(self.asap_transport(conn)?);
        // The registrar that accepts a registration is the home registrar (RFC 5352 §3.1 rule 4).
        param.home = Some(self.id);

        let pe = param.id;
        let old = self
            .handlespace
            .find(pool, pe)
            .and_then(|key| self.handlespace.get(key));
        let changed = old.is_some_and(|element| *element.param() != param);
        let registered = self
            .handlespace
            .register(pool, param)
            .map_err(|refusal| refusal.cause())?;
        let key = registered.key;
        self.watch(now, key, conn);
        match life {
            Some(life) => self.timers.set(TimerKey::Life(key), now + life),
            None => {
                self.timers.cancel(TimerKey::Life(key));
            }
        }
        let pool = pool.clone();
        if registered.new {
            self.stats.registrations += 1;
            self.events.push_back(RegistrarEvent::ElementRegistered { pool, pe });
        } else {
            self.stats.reregistrations += 1;
            if changed {
                self.events.push_back(RegistrarEvent::ElementUpdated { pool, pe });
            }
        }
        Ok(())
    }

    /// Whether the element `key`, if there is one, is another node's than that of `conn`, and the configuration forbids
    /// to change it (RFC 5352 §2.2.2, RFC 5355 §2.3).
    fn is_foreign(&mut self, conn: ConnId, key: Option<ElementKey>) -> bool {
        let Some(key) = key.filter(|&key| !self.is_own(conn, key)) else {
            return false;
        };
        self.stats.foreign_changes += 1;
        let stands = self
            .conn_of(key)
            .and_then(|own| self.connections.get(own))
            .is_some_and(|own| own.up);
        stands && self.config.foreign_change() == ForeignChange::Refuse
    }

    /// The user transport with the addresses that can be believed, or why there are none.
    fn believed(&self, conn: ConnId, transport: Transport) -> Result<Transport, Cause> {
        let connection = self.connections.get(conn);
        let good = |address: IpAddr| {
            is_usable_peer(address)
                && scope(address) >= self.config.min_address_scope()
                && match self.config.address_check() {
                    AddressCheck::OfAssociation => connection.is_some_and(|connection| connection.has(address)),
                    AddressCheck::Any => true,
                }
        };
        let invalid = |transport: &Transport| Cause::new(CauseCode::INVALID_VALUES, to_bytes(|w| transport.write(w)));
        if transport.port() == Some(0) || transport.addresses().len() > self.config.max_addresses() {
            return Err(invalid(&transport));
        }
        match transport {
            Transport::Sctp(sctp) => {
                let addresses: Vec<_> = sctp.addresses.iter().copied().filter(|a| good(*a)).collect();
                if addresses.is_empty() {
                    return Err(invalid(&Transport::Sctp(sctp)));
                }
                Ok(Transport::Sctp(SctpTransport { addresses, ..sctp }))
            }
            other if other.addresses().into_iter().all(good) => Ok(other),
            other => Err(invalid(&other)),
        }
    }

    /// The address that the registration came from (RFC 5352 §3.1 rule 4).
    fn asap_transport(&self, conn: ConnId) -> Result<SctpTransport, Cause> {
        let peer = self.connections.get(conn).map(|connection| &connection.peer);
        let peer = peer.ok_or_else(|| Cause::from(CauseCode::UNSPECIFIED))?;
        let mut transport = SctpTransport::new(peer, TransportUse::DataOnly);
        let min_scope = self.config.min_address_scope();
        transport.addresses.retain(|address| scope(*address) >= min_scope);
        if transport.addresses.is_empty() {
            return Err(CauseCode::INVALID_VALUES.into());
        }
        Ok(transport)
    }

    fn on_deregistration(&mut self, conn: ConnId, pool: PoolHandle, pe: PeId) {
        let key = self.handlespace.find(&pool, pe);
        let refusal = self.is_foreign(conn, key).then(|| CauseCode::SECURITY.into());
        if refusal.is_none() {
            // One that is not there counts as deregistered (RFC 5352 §3.2).
            self.stats.deregistrations += 1;
            if let Some(key) = key {
                self.remove(key, RemovalReason::Deregistered);
            }
        }
        let response = AsapMessage::DeregistrationResponse {
            pool,
            pe,
            error: refusal,
        };
        self.send(conn, &response);
    }

    /// The life of a registration is over (RFC 5352 §3.2).
    pub(super) fn on_life_timer(&mut self, key: ElementKey) {
        self.dismiss(key, RemovalReason::Expired);
    }

    /// Removes an element, and tells it if it can be told: one that lives registers again.
    pub(super) fn dismiss(&mut self, key: ElementKey, reason: RemovalReason) {
        let conn = self.conn_of(key);
        let Some(element) = self.handlespace.get(key) else {
            return;
        };
        let response = AsapMessage::DeregistrationResponse {
            pool: element.pool().clone(),
            pe: element.param().id,
            error: None,
        };
        if let Some(conn) = conn.filter(|&conn| self.connections.get(conn).is_some_and(|c| c.up)) {
            self.send(conn, &response);
        }
        self.remove(key, reason);
    }

    fn on_resolution(&mut self, conn: ConnId, pool: PoolHandle, items: Option<u32>) {
        // An answer may be far larger than its request, so a peer that does not take answers gets no more of them.
        if self
            .connections
            .get(conn)
            .is_some_and(|connection| connection.congested)
        {
            self.stats.dropped_requests += 1;
            return;
        }
        let count = match items {
            None | Some(0) => self.config.default_items(),
            Some(items) => items.min(self.config.max_items()),
        };
        let [count, increment] = [count, self.config.max_increment()].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let keys = self.handlespace.resolve(&pool, count, increment, &mut self.random);
        let elements: Option<Vec<_>> = keys.map(|keys| keys.into_iter().filter_map(|key| self.listed(key)).collect());
        let error = elements.is_none().then(|| CauseCode::UNKNOWN_POOL_HANDLE.into());
        let elements = elements.unwrap_or_default();
        if error.is_some() {
            self.stats.failed_resolutions += 1;
        } else {
            self.stats.resolutions += 1;
        }
        let response = AsapMessage::HandleResolutionResponse {
            pool,
            updates: false,
            // Receivers take the number only (RFC 5352 §2.2.6), but RSPLIB wants the values of the first element.
            policy: elements.first().map(|first| first.policy.clone()),
            elements,
            error,
        };
        self.send(conn, &response);
    }

    /// An element as answers list it. Its ASAP transport is for registrars only.
    fn listed(&self, key: ElementKey) -> Option<PoolElementParam> {
        let mut param = self.handlespace.get(key)?.param().clone();
        param.asap_transport = None;
        Some(param)
    }
}
