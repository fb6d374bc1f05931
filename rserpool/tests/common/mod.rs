//! A registrar between scripted peers.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use rserpool::config::RegistrarConfig;
use rserpool::ids::{PeId, PoolHandle, RegistrarId};
use rserpool::net::{ConnId, NetCommand, NetEvent, PPID_ASAP, SctpAddress};
use rserpool::registrar::{Registrar, RegistrarEvent, RemovalReason};
use rserpool::wire::asap::AsapMessage;
use rserpool::wire::cause::CauseCode;
use rserpool::wire::element::{PoolElementParam, RegistrationLife};
use rserpool::wire::policy::PolicyParam;
use rserpool::wire::transport::{SctpTransport, Transport, TransportUse};
use sctp::Instant;
use sctp::serial::{Ppid, StreamId};

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn pool(name: &str) -> PoolHandle {
    PoolHandle::new(name.to_owned()).unwrap()
}

pub(crate) fn pe(id: u32) -> PeId {
    PeId::new(id).unwrap()
}

/// The address of host `n`.
pub(crate) fn host(n: u8) -> IpAddr {
    [10, 0, 0, n].into()
}

pub(crate) fn sctp_address(host_number: u8, port: u16) -> SctpAddress {
    SctpAddress {
        port,
        addresses: vec![host(host_number)],
    }
}

/// A round-robin element on host `n`, for data only.
pub(crate) fn element(id: u32, n: u8) -> PoolElementParam {
    PoolElementParam {
        id: pe(id),
        home: None,
        life: RegistrationLife(600),
        user_transport: Transport::Sctp(SctpTransport {
            port: 7000,
            transport_use: TransportUse::DataOnly,
            addresses: vec![host(n)],
        }),
        policy: PolicyParam::RoundRobin,
        asap_transport: None,
    }
}

pub(crate) fn registration(pool_name: &str, element: PoolElementParam) -> AsapMessage {
    AsapMessage::Registration {
        pool: pool(pool_name),
        element,
    }
}

pub(crate) fn deregistration(pool_name: &str, id: u32) -> AsapMessage {
    AsapMessage::Deregistration {
        pool: pool(pool_name),
        pe: pe(id),
    }
}

pub(crate) fn unreachable(pool_name: &str, id: u32) -> AsapMessage {
    AsapMessage::EndpointUnreachable {
        pool: pool(pool_name),
        pe: pe(id),
    }
}

pub(crate) fn keep_alive(pool_name: &str, id: u32) -> AsapMessage {
    AsapMessage::EndpointKeepAlive {
        home: false,
        server: Some(Bench::ID),
        pool: pool(pool_name),
        pe: Some(pe(id)),
    }
}

pub(crate) fn ack(pool_name: &str, id: u32) -> AsapMessage {
    AsapMessage::EndpointKeepAliveAck {
        pool: pool(pool_name),
        pe: pe(id),
    }
}

pub(crate) fn removed(pool_name: &str, id: u32, reason: RemovalReason) -> RegistrarEvent {
    RegistrarEvent::ElementRemoved {
        pool: pool(pool_name),
        pe: pe(id),
        reason,
    }
}

pub(crate) fn registered(pool_name: &str, id: u32) -> RegistrarEvent {
    RegistrarEvent::ElementRegistered {
        pool: pool(pool_name),
        pe: pe(id),
    }
}

/// A registrar, its clock, and what it sent.
pub(crate) struct Bench {
    pub(crate) registrar: Registrar,
    pub(crate) now: Instant,
    sent: BTreeMap<ConnId, Vec<AsapMessage>>,
    /// Commands other than sending on an association.
    others: Vec<NetCommand>,
}

impl Bench {
    pub(crate) const ID: RegistrarId = RegistrarId::new(0x0a0b_0c0d).unwrap();

    pub(crate) fn new(config: RegistrarConfig) -> Self {
        Self::seeded(config, 1)
    }

    pub(crate) fn seeded(config: RegistrarConfig, seed: u8) -> Self {
        Self {
            registrar: Registrar::new(config, Self::ID, [seed; 32]),
            now: Instant::from_millis(1000),
            sent: BTreeMap::new(),
            others: Vec::new(),
        }
    }

    fn drain(&mut self) {
        while let Some(command) = self.registrar.poll_command() {
            match command {
                NetCommand::Send {
                    conn,
                    stream,
                    ppid,
                    payload,
                } => {
                    assert_eq!((stream, ppid), (StreamId(0), PPID_ASAP));
                    self.sent
                        .entry(conn)
                        .or_default()
                        .push(AsapMessage::decode(&payload).unwrap());
                }
                other => self.others.push(other),
            }
        }
    }

    pub(crate) fn event(&mut self, event: NetEvent) {
        self.registrar.handle(self.now, event);
        self.drain();
    }

    /// Host `n` opens an association from port 5000.
    pub(crate) fn connect(&mut self, n: u8) -> ConnId {
        self.connect_as(u64::from(n), sctp_address(n, 5000))
    }

    pub(crate) fn connect_as(&mut self, number: u64, peer: SctpAddress) -> ConnId {
        let conn = ConnId::Accepted(number);
        self.event(NetEvent::Connected { conn, peer });
        conn
    }

    pub(crate) fn close(&mut self, conn: ConnId, graceful: bool) {
        self.event(NetEvent::Closed { conn, graceful });
    }

    pub(crate) fn raw(&mut self, conn: ConnId, ppid: Ppid, payload: &[u8]) {
        let (stream, payload) = (StreamId(0), payload.to_vec().into());
        self.event(NetEvent::Message {
            conn,
            stream,
            ppid,
            payload,
        });
    }

    pub(crate) fn send(&mut self, conn: ConnId, message: &AsapMessage) {
        self.raw(conn, PPID_ASAP, &message.encode());
    }

    /// What was sent on an association since the last time.
    pub(crate) fn sent(&mut self, conn: ConnId) -> Vec<AsapMessage> {
        self.sent.remove(&conn).unwrap_or_default()
    }

    /// Commands other than messages since the last time.
    pub(crate) fn others(&mut self) -> Vec<NetCommand> {
        std::mem::take(&mut self.others)
    }

    pub(crate) fn events(&mut self) -> Vec<RegistrarEvent> {
        std::iter::from_fn(|| self.registrar.poll_event()).collect()
    }

    /// The one answer to a message.
    pub(crate) fn ask(&mut self, conn: ConnId, message: &AsapMessage) -> AsapMessage {
        self.sent(conn);
        self.send(conn, message);
        let mut answers = self.sent(conn);
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    }

    /// Registers, and says with which cause that was refused, if it was.
    pub(crate) fn register(
        &mut self,
        conn: ConnId,
        pool_name: &str,
        element: PoolElementParam,
    ) -> Result<(), CauseCode> {
        let id = element.id;
        match self.ask(conn, &registration(pool_name, element)) {
            AsapMessage::RegistrationResponse {
                pool: p,
                pe,
                reject,
                error,
            } => {
                assert_eq!((p, pe), (pool(pool_name), id));
                assert_eq!(reject, error.is_some());
                error.map_or(Ok(()), |error| Err(error.code()))
            }
            other => panic!("{other:?}"),
        }
    }

    /// The identifiers in an answer, or the cause of a refusal.
    pub(crate) fn resolve(&mut self, conn: ConnId, pool_name: &str, items: Option<u32>) -> Result<Vec<u32>, CauseCode> {
        let request = AsapMessage::HandleResolution {
            pool: pool(pool_name),
            subscribe: false,
            items,
        };
        match self.ask(conn, &request) {
            AsapMessage::HandleResolutionResponse {
                elements, error: None, ..
            } => Ok(elements.iter().map(|element| element.id.as_u32()).collect()),
            AsapMessage::HandleResolutionResponse {
                error: Some(error),
                elements,
                policy,
                ..
            } => {
                assert!(elements.is_empty() && policy.is_none());
                Err(error.code())
            }
            other => panic!("{other:?}"),
        }
    }

    /// The identifiers of all elements of a pool.
    pub(crate) fn members(&self, pool_name: &str) -> Vec<u32> {
        let elements = self.registrar.handlespace().elements_of(&pool(pool_name));
        elements.map(|element| element.param().id.as_u32()).collect()
    }

    /// Lets time pass, timer by timer, until there is something to see or the time is over.
    pub(crate) fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.registrar.poll_timeout().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.registrar.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// Lets time pass until a message goes out on `conn`; returns what does.
    pub(crate) fn advance_to_message(&mut self, conn: ConnId) -> Vec<AsapMessage> {
        loop {
            let sent = self.sent(conn);
            if !sent.is_empty() {
                return sent;
            }
            let at = self.registrar.poll_timeout().expect("something must be due");
            self.now = self.now.max(at);
            self.registrar.handle_timeout(self.now);
            self.drain();
        }
    }
}
