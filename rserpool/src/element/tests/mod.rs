mod registration;
mod service;
mod sessions;

use std::time::Duration;

use super::*;
use crate::asap::RequestId;
use crate::config::ANNOUNCE_GROUP;
use crate::ids::PoolHandle;
use crate::service::{Replies, Service, ServiceMessage};
use crate::testing::{Did, asap, at, closed, connected, data, drain, host, ms, pe, pool, raw};
use crate::wire::cause::{Cause, CauseCode};
use crate::wire::element::{LifeUnit, PoolElementParam, RegistrationLife};
use crate::wire::transport::{SctpTransport, TransportUse};

/// Host 100 is the element's own; registrars are on hosts below 100, users above.
const OWN: u8 = 100;
const PE: u32 = 0x1234;
const STREAM: StreamId = StreamId(0);

struct Bench {
    element: PoolElement,
    now: Instant,
}

fn config(policy: PolicyParam) -> ElementConfig {
    let mut config = ElementConfig::new(pool(), policy);
    config.set_pe_id(Some(pe(PE)));
    config
}

fn endpoint() -> EndpointConfig {
    let mut endpoint = EndpointConfig::default();
    endpoint.add_registrar(host(1)).unwrap();
    endpoint
}

fn user_transport() -> SctpTransport {
    SctpTransport::new(&host(OWN), TransportUse::DataPlusControl)
}

impl Bench {
    fn with(config: ElementConfig, endpoint: EndpointConfig) -> Self {
        let mut bench = Self {
            element: PoolElement::new(config, endpoint, user_transport(), [1; 32]),
            now: at(0),
        };
        bench.element.start(bench.now);
        bench
    }

    fn new() -> Self {
        Self::with(config(PolicyParam::RoundRobin), endpoint())
    }

    fn did(&mut self) -> Vec<Did> {
        drain(|| self.element.poll_command())
    }

    fn events(&mut self) -> Vec<ElementEvent> {
        std::iter::from_fn(|| self.element.poll_event()).collect()
    }

    fn handle(&mut self, event: NetEvent) {
        self.element.handle(self.now, event);
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.element.poll_timeout().filter(|at| *at <= end) {
            assert!(at >= self.now, "a timer in the past");
            self.now = at;
            self.element.handle_timeout(at);
        }
        self.now = end;
    }

    /// Lets the registrar that is sought be found on host 1, and yields the registration that it gets.
    fn find_registrar(&mut self) -> (ConnId, PoolElementParam) {
        let did = self.did();
        let conn = did.iter().find_map(|did| match did {
            Did::Connect(conn, _) => Some(*conn),
            _ => None,
        });
        let conn = conn.unwrap_or_else(|| panic!("no search: {did:?}"));
        self.handle(connected(conn, 1));
        (conn, self.registration(conn))
    }

    /// The registration that was just sent, and nothing else.
    fn registration(&mut self, on: ConnId) -> PoolElementParam {
        match &self.did()[..] {
            [Did::Asap(conn, AsapMessage::Registration { pool: p, element })] if *conn == on && *p == pool() => {
                element.clone()
            }
            other => panic!("{other:?}"),
        }
    }

    fn answer(&mut self, conn: ConnId, element: PeId, error: Option<Cause>) {
        let reject = error.is_some();
        let error = error.map(OperationError::from);
        let response = AsapMessage::RegistrationResponse {
            pool: pool(),
            pe: element,
            reject,
            error,
        };
        self.handle(asap(conn, &response));
    }

    /// Registered at a registrar on host 1; its association.
    fn registered(config: ElementConfig) -> (Self, ConnId) {
        let mut bench = Self::with(config, endpoint());
        let (conn, element) = bench.find_registrar();
        bench.answer(conn, element.id, None);
        let registered = ElementEvent::Registered {
            pe: element.id,
            again: false,
            warning: None,
        };
        assert_eq!(bench.events(), [registered]);
        (bench, conn)
    }

    /// A user on host 101 comes; its association.
    fn user(&mut self, number: u64) -> ConnId {
        let conn = ConnId::Accepted(number);
        self.handle(connected(conn, 101));
        conn
    }
}

fn keep_alive(home: bool, server: u32, pool: PoolHandle, element: Option<u32>) -> AsapMessage {
    AsapMessage::EndpointKeepAlive {
        home,
        server: RegistrarId::new(server),
        pool,
        pe: element.map(pe),
    }
}

fn ack(conn: ConnId) -> Did {
    Did::Asap(
        conn,
        AsapMessage::EndpointKeepAliveAck {
            pool: pool(),
            pe: pe(PE),
        },
    )
}

fn cookie(text: &'static str) -> Cookie {
    Cookie::new(text).unwrap()
}
