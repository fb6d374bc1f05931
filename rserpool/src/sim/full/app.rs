//! Commands of a node become calls of its host's stack, and the stack's events become the node's.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use sctp::config::EndpointConfig as SctpEndpointConfig;
use sctp::error::{ConnectError, SendError};
use sctp::sim::{App, AppEvent, HostCtx};
use sctp::{AssocId, ConnectOptions, EndpointId, Event, Instant, OutMessage};

use super::Inbox;
use crate::config::EndpointConfig;
use crate::net::{ConnId, NetCommand, NetEvent, SctpAddress};
use crate::sim::network::NodeId;

/// How many associations may wait to be accepted.
const BACKLOG: usize = 128;

struct Conn {
    assoc: AssocId,
    pieces: BytesMut,
    /// What waits for room.
    waiting: VecDeque<OutMessage>,
    ending: bool,
}

/// The transport of a node.
pub(super) struct NodeApp {
    node: NodeId,
    port: u16,
    inbox: Inbox,
    /// The first is the one that peers come to.
    endpoints: Vec<EndpointId>,
    conns: BTreeMap<ConnId, Conn>,
    by_assoc: BTreeMap<AssocId, ConnId>,
    next_accepted: u64,
    closed: bool,
}

impl NodeApp {
    pub(super) const fn new(node: NodeId, port: u16, inbox: Inbox) -> Self {
        Self {
            node,
            port,
            inbox,
            endpoints: Vec::new(),
            conns: BTreeMap::new(),
            by_assoc: BTreeMap::new(),
            next_accepted: 0,
            closed: false,
        }
    }

    fn tell(&self, event: NetEvent) {
        self.inbox.borrow_mut().push_back((self.node, event));
    }

    fn bind(&mut self, port: Option<u16>, ctx: &mut HostCtx<'_>) -> EndpointId {
        let config = SctpEndpointConfig {
            port,
            addresses: Vec::new(),
            association: EndpointConfig::default_association(),
            ..SctpEndpointConfig::default()
        };
        let endpoint = ctx.bind(config).expect("a port that is free");
        self.endpoints.push(endpoint);
        endpoint
    }

    /// Ends as a process does: its peers are told.
    pub(super) fn close(&mut self, ctx: &mut HostCtx<'_>) {
        self.closed = true;
        let now = ctx.now();
        for endpoint in self.endpoints.drain(..) {
            ctx.stack().close_endpoint(now, endpoint);
        }
    }

    pub(super) fn command(&mut self, command: NetCommand, ctx: &mut HostCtx<'_>) {
        let now = ctx.now();
        match command {
            NetCommand::Connect { conn, peer } => self.connect(conn, &peer, ctx),
            NetCommand::Send {
                conn,
                stream,
                ppid,
                payload,
            } => {
                self.send(conn, OutMessage::new(stream, ppid, payload), ctx);
            }
            NetCommand::Shutdown { conn } => {
                if let Some(conn) = self.conns.get_mut(&conn) {
                    conn.ending = true;
                    if conn.waiting.is_empty() {
                        // One that has ended is told to be closed in its own event.
                        let _ = ctx.stack().shutdown(now, conn.assoc);
                    }
                }
            }
            NetCommand::Abort { conn } => {
                if let Some(conn) = self.forget(conn) {
                    ctx.stack().release(now, conn.assoc);
                }
            }
            NetCommand::SendDatagram { group, payload } => ctx.send_datagram(self.port, group, payload),
            NetCommand::JoinGroup { group } => ctx.join_group(group),
        }
    }

    fn connect(&mut self, conn: ConnId, peer: &SctpAddress, ctx: &mut HostCtx<'_>) {
        let now = ctx.now();
        let open = |endpoint: EndpointId, ctx: &mut HostCtx<'_>| {
            ctx.stack()
                .connect(now, endpoint, &peer.addresses, peer.port, ConnectOptions::default())
        };
        let opened = match open(self.endpoints[0], ctx) {
            Err(ConnectError::AlreadyConnected) => {
                let endpoint = self.bind(None, ctx);
                open(endpoint, ctx)
            }
            opened => opened,
        };
        match opened {
            Ok(assoc) => self.insert(conn, assoc),
            Err(_) => self.tell(NetEvent::Closed { conn, graceful: false }),
        }
    }

    fn send(&mut self, id: ConnId, message: OutMessage, ctx: &mut HostCtx<'_>) {
        let now = ctx.now();
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.waiting.is_empty() {
            match ctx.stack().send(now, conn.assoc, message.clone()) {
                Err(SendError::WouldBlock) => {}
                // Lost, as what is sent on an association that ends.
                Ok(()) | Err(_) => return,
            }
            conn.waiting.push_back(message);
            return self.tell(NetEvent::Congestion {
                conn: id,
                congested: true,
            });
        }
        conn.waiting.push_back(message);
    }

    fn writable(&mut self, id: ConnId, ctx: &mut HostCtx<'_>) {
        let now = ctx.now();
        let Some(conn) = self.conns.get_mut(&id) else { return };
        while let Some(message) = conn.waiting.front() {
            if ctx.stack().send(now, conn.assoc, message.clone()) == Err(SendError::WouldBlock) {
                return;
            }
            conn.waiting.pop_front();
        }
        if conn.ending {
            // As above.
            let _ = ctx.stack().shutdown(now, conn.assoc);
        }
        self.tell(NetEvent::Congestion {
            conn: id,
            congested: false,
        });
    }

    fn receive(&mut self, id: ConnId, ctx: &mut HostCtx<'_>) {
        let now = ctx.now();
        while let Some(conn) = self.conns.get_mut(&id) {
            let Ok(Some(received)) = ctx.stack().recv(now, conn.assoc) else {
                return;
            };
            let payload: Bytes = if received.end_of_message && conn.pieces.is_empty() {
                received.payload
            } else {
                conn.pieces.extend_from_slice(&received.payload);
                if !received.end_of_message {
                    continue;
                }
                conn.pieces.split().freeze()
            };
            self.tell(NetEvent::Message {
                conn: id,
                stream: received.stream,
                ppid: received.ppid,
                payload,
            });
        }
    }

    fn on_sctp(&mut self, assoc: AssocId, event: Event, ctx: &mut HostCtx<'_>) {
        let conn = self.by_assoc.get(&assoc).copied();
        match (event, conn) {
            (Event::CommunicationUp { initiated_here, .. }, known) => {
                if known.is_none() && initiated_here {
                    // Aborted while it was being set up.
                    return;
                }
                self.up(assoc, known, ctx);
            }
            (Event::Restarted { .. }, Some(conn)) => {
                // The peer remembers nothing: for the node it is another association.
                self.forget(conn);
                self.tell(NetEvent::Closed { conn, graceful: false });
                self.up(assoc, None, ctx);
            }
            (Event::Readable, Some(conn)) => self.receive(conn, ctx),
            (Event::Writable, Some(conn)) => self.writable(conn, ctx),
            (Event::PeerShutdown, Some(conn)) => {
                self.receive(conn, ctx);
                self.tell(NetEvent::PeerShutdown { conn });
            }
            (Event::ConnectFailed { .. } | Event::CommunicationLost { .. }, Some(conn)) => self.end(conn, false, ctx),
            (Event::ShutdownComplete, Some(conn)) => self.end(conn, true, ctx),
            _ => {}
        }
    }

    fn up(&mut self, assoc: AssocId, known: Option<ConnId>, ctx: &mut HostCtx<'_>) {
        let conn = known.unwrap_or_else(|| {
            self.next_accepted += 1;
            ConnId::Accepted(self.next_accepted)
        });
        if known.is_none() {
            // One that was accepted before it restarted is not in the backlog.
            let _ = ctx.stack().accept(assoc);
            self.insert(conn, assoc);
        }
        let Some(status) = ctx.stack().status(assoc) else {
            return;
        };
        let peer = SctpAddress {
            port: status.peer_port,
            addresses: status.paths.iter().map(|path| path.address).collect(),
        };
        self.tell(NetEvent::Connected { conn, peer });
    }

    fn end(&mut self, conn: ConnId, graceful: bool, ctx: &mut HostCtx<'_>) {
        self.receive(conn, ctx);
        self.forget(conn);
        self.tell(NetEvent::Closed { conn, graceful });
    }

    fn insert(&mut self, conn: ConnId, assoc: AssocId) {
        self.by_assoc.insert(assoc, conn);
        let state = Conn {
            assoc,
            pieces: BytesMut::new(),
            waiting: VecDeque::new(),
            ending: false,
        };
        self.conns.insert(conn, state);
    }

    fn forget(&mut self, conn: ConnId) -> Option<Conn> {
        let state = self.conns.remove(&conn)?;
        self.by_assoc.remove(&state.assoc);
        Some(state)
    }
}

impl App for NodeApp {
    fn handle(&mut self, _now: Instant, event: AppEvent, ctx: &mut HostCtx<'_>) {
        match event {
            _ if self.closed => {}
            AppEvent::Start => {
                let endpoint = self.bind(Some(self.port), ctx);
                ctx.stack().listen(endpoint, BACKLOG);
            }
            AppEvent::Timeout => {}
            AppEvent::Sctp { assoc, event, .. } => self.on_sctp(assoc, event, ctx),
            AppEvent::Datagram {
                source,
                destination: group,
                payload,
            } => {
                self.tell(NetEvent::Datagram { group, source, payload });
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
