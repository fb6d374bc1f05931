//! What the tests of the engines share: times, names, and commands in readable form.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use sctp::Instant;
use sctp::serial::{Ppid, StreamId};

use crate::ids::{PeId, PoolHandle};
use crate::net::{ConnId, NetCommand, NetEvent, PPID_ASAP, SctpAddress};
use crate::wire::asap::AsapMessage;
use crate::wire::element::{PoolElementParam, RegistrationLife};
use crate::wire::policy::PolicyParam;
use crate::wire::transport::{SctpTransport, TransportUse};

/// A command, with ASAP messages decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Did {
    Connect(ConnId, SctpAddress),
    Asap(ConnId, AsapMessage),
    Data(ConnId, &'static str),
    Shutdown(ConnId),
    Abort(ConnId),
    Join,
}

/// All that an engine wants from its network.
pub(crate) fn drain(mut poll: impl FnMut() -> Option<NetCommand>) -> Vec<Did> {
    let commands = std::iter::from_fn(&mut poll);
    let did = commands.map(|command| match command {
        NetCommand::Connect { conn, peer } => Did::Connect(conn, peer),
        NetCommand::Send {
            conn, ppid, payload, ..
        } if ppid == PPID_ASAP => Did::Asap(conn, AsapMessage::decode(&payload).unwrap()),
        NetCommand::Send { conn, payload, .. } => {
            let text = String::from_utf8(payload.to_vec()).unwrap();
            Did::Data(conn, text.leak())
        }
        NetCommand::Shutdown { conn } => Did::Shutdown(conn),
        NetCommand::Abort { conn } => Did::Abort(conn),
        NetCommand::JoinGroup { .. } => Did::Join,
        NetCommand::SendDatagram { .. } => panic!("only registrars announce"),
    });
    did.collect()
}

pub(crate) fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn pool() -> PoolHandle {
    PoolHandle::new("Pool").unwrap()
}

pub(crate) fn pe(id: u32) -> PeId {
    PeId::new(id).unwrap()
}

/// The end point of host `n`.
pub(crate) fn host(n: u8) -> SctpAddress {
    SctpAddress {
        port: 5000,
        addresses: vec![IpAddr::from([192, 0, 2, n])],
    }
}

/// The element `n` on host `n`.
pub(crate) fn element(n: u8) -> PoolElementParam {
    PoolElementParam {
        id: pe(n.into()),
        home: None,
        life: RegistrationLife(300),
        user_transport: SctpTransport::new(&host(n), TransportUse::DataPlusControl).into(),
        policy: PolicyParam::RoundRobin,
        asap_transport: None,
    }
}

pub(crate) fn connected(conn: ConnId, host_number: u8) -> NetEvent {
    NetEvent::Connected {
        conn,
        peer: host(host_number),
    }
}

pub(crate) fn closed(conn: ConnId) -> NetEvent {
    NetEvent::Closed { conn, graceful: false }
}

pub(crate) fn asap(conn: ConnId, message: &AsapMessage) -> NetEvent {
    raw(conn, PPID_ASAP, message.encode())
}

pub(crate) fn data(conn: ConnId, text: &'static str) -> NetEvent {
    raw(conn, Ppid(33), Bytes::from_static(text.as_bytes()))
}

pub(crate) fn raw(conn: ConnId, ppid: Ppid, payload: Bytes) -> NetEvent {
    NetEvent::Message {
        conn,
        stream: StreamId(0),
        ppid,
        payload,
    }
}
