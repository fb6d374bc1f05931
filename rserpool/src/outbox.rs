//! What an engine has to say to its network, until it is polled.

use std::collections::VecDeque;

use bytes::Bytes;
use sctp::serial::{Ppid, StreamId};

use crate::net::{ConnId, NetCommand, PPID_ASAP, SctpAddress};
use crate::wire::asap::AsapMessage;

/// The commands of an engine, in order, and the numbers of its associations.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    commands: VecDeque<NetCommand>,
    next_conn: u64,
}

impl Outbox {
    pub(crate) fn pop(&mut self) -> Option<NetCommand> {
        self.commands.pop_front()
    }

    pub(crate) fn push(&mut self, command: NetCommand) {
        self.commands.push_back(command);
    }

    pub(crate) fn connect(&mut self, peer: SctpAddress) -> ConnId {
        let conn = ConnId::Opened(self.next_conn);
        self.next_conn = self.next_conn.wrapping_add(1);
        self.push(NetCommand::Connect { conn, peer });
        conn
    }

    pub(crate) fn send(&mut self, conn: ConnId, stream: StreamId, ppid: Ppid, payload: Bytes) {
        self.push(NetCommand::Send {
            conn,
            stream,
            ppid,
            payload,
        });
    }

    /// Sends an ASAP message. All of them go on stream 0, which keeps their order.
    pub(crate) fn send_asap(&mut self, conn: ConnId, message: &AsapMessage) {
        self.send(conn, StreamId(0), PPID_ASAP, message.encode());
    }

    pub(crate) fn shutdown(&mut self, conn: ConnId) {
        self.push(NetCommand::Shutdown { conn });
    }

    pub(crate) fn abort(&mut self, conn: ConnId) {
        self.push(NetCommand::Abort { conn });
    }
}
