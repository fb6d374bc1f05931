//! The network of a node over SCTP sockets.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use socketapi::{
    AssocId, AssociationChange, AssociationState, ConnectOptions, Destination, Error, Notification, RcvInfo, Received,
    SctpSocket, SndInfo, SocketBuilder, Subscriptions,
};

use super::backlog::Backlog;
use super::multicast::Multicast;
use crate::net::{ConnId, NetCommand, NetEvent, SctpAddress};

/// The largest message that is put together from pieces.
const MAX_MESSAGE: usize = 1 << 20;

/// Which end points a node has.
#[derive(Clone, Debug)]
pub(crate) enum Ports {
    /// One to which peers come, and from which associations are opened.
    Listening(SctpSocket),
    /// None to which peers come; each association is opened from an end point of its own, so that there can be several
    /// with one peer, and each can be kept from receiving.
    Separate,
}

type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Names an end point of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PortId(u64);

struct Port {
    socket: SctpSocket,
    receiving: Pending<Result<Received, Error>>,
    /// Whether nothing is to be received for now.
    paused: bool,
}

impl Port {
    fn new(socket: SctpSocket) -> Self {
        Self {
            receiving: receive(socket.clone()),
            socket,
            paused: false,
        }
    }
}

fn receive(socket: SctpSocket) -> Pending<Result<Received, Error>> {
    Box::pin(async move { socket.recv().await })
}

/// An association of the node.
struct Assoc {
    port: PortId,
    id: AssocId,
    /// Pieces of a message that is not complete yet.
    pieces: BytesMut,
    /// What waits for room in the association's send buffer.
    backlog: Backlog,
    /// The first message, being sent as soon as there is room.
    sending: Option<Pending<Result<(), Error>>>,
    /// Whether to shut it down once the backlog is gone.
    ending: bool,
}

/// The network of a node.
pub(crate) struct Transport {
    builder: SocketBuilder,
    main: Option<PortId>,
    ports: BTreeMap<PortId, Port>,
    next_port: u64,
    assocs: BTreeMap<ConnId, Assoc>,
    by_assoc: BTreeMap<(PortId, AssocId), ConnId>,
    /// Those with something that waits to be sent.
    blocked: BTreeSet<ConnId>,
    next_accepted: u64,
    /// What happened while a command was carried out.
    events: VecDeque<NetEvent>,
    multicast: Multicast,
}

impl Transport {
    /// A node whose further sockets `builder` makes. `local` is where it is, for multicast.
    pub(crate) fn new(ports: Ports, builder: SocketBuilder, local: Vec<SocketAddr>) -> Self {
        let mut transport = Self {
            builder: Self::subscribed(builder),
            main: None,
            ports: BTreeMap::new(),
            next_port: 0,
            assocs: BTreeMap::new(),
            by_assoc: BTreeMap::new(),
            blocked: BTreeSet::new(),
            next_accepted: 0,
            events: VecDeque::new(),
            multicast: Multicast::new(local),
        };
        if let Ports::Listening(socket) = ports {
            transport.main = Some(transport.add_port(socket));
        }
        transport
    }

    /// The builder of sockets that tell what a node wants to know.
    pub(crate) fn subscribed(builder: SocketBuilder) -> SocketBuilder {
        builder.subscriptions(Subscriptions {
            association_change: true,
            peer_shutdown: true,
            ..Subscriptions::none()
        })
    }

    /// Whether there is no association.
    pub(crate) fn is_quiet(&self) -> bool {
        self.assocs.is_empty()
    }

    /// Aborts what is left.
    pub(crate) fn abort_all(&mut self) {
        let conns: Vec<ConnId> = self.assocs.keys().copied().collect();
        for conn in conns {
            self.abort(conn);
        }
    }

    /// Keeps an association from receiving, so that its peer has to wait, or lets it go on. Has no effect on one that
    /// shares its end point with others.
    pub(crate) fn pause(&mut self, conn: ConnId, paused: bool) {
        let Some(assoc) = self.assocs.get(&conn) else { return };
        if Some(assoc.port) != self.main
            && let Some(port) = self.ports.get_mut(&assoc.port)
        {
            port.paused = paused;
        }
    }

    /// Carries out a command.
    pub(crate) fn execute(&mut self, command: NetCommand) {
        tracing::trace!(?command, "to the network");
        match command {
            NetCommand::Connect { conn, peer } => {
                if !self.connect(conn, &peer) {
                    self.events.push_back(NetEvent::Closed { conn, graceful: false });
                }
            }
            NetCommand::Send {
                conn,
                stream,
                ppid,
                payload,
            } => {
                let mut info = SndInfo::new().with_ppid(ppid.0);
                info.stream = stream;
                self.send(conn, payload, info);
            }
            NetCommand::Shutdown { conn } => self.shut_down(conn),
            NetCommand::Abort { conn } => self.abort(conn),
            NetCommand::SendDatagram { group, payload } => self.multicast.send(group, &payload),
            NetCommand::JoinGroup { group } => self.multicast.join(group),
        }
    }

    /// The next event. Cancel-safe.
    pub(crate) async fn next(&mut self) -> NetEvent {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<NetEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                tracing::trace!(?event, "from the network");
                return Poll::Ready(event);
            }
            let sent = self.poll_backlogs(cx);
            let received = self.poll_ports(cx);
            if let Poll::Ready((group, source, payload)) = self.multicast.poll_recv(cx) {
                self.events.push_back(NetEvent::Datagram { group, source, payload });
            } else if !sent && !received {
                return Poll::Pending;
            }
        }
    }

    /// Receives from each end point once; says whether any had something.
    fn poll_ports(&mut self, cx: &mut Context<'_>) -> bool {
        let mut received = Vec::new();
        let mut broken = Vec::new();
        for (id, port) in &mut self.ports {
            if port.paused {
                continue;
            }
            match port.receiving.as_mut().poll(cx) {
                Poll::Ready(Ok(what)) => {
                    port.receiving = receive(port.socket.clone());
                    received.push((*id, what));
                }
                Poll::Ready(Err(error)) => {
                    tracing::warn!(%error, "an end point is gone");
                    broken.push(*id);
                }
                Poll::Pending => {}
            }
        }
        let any = !received.is_empty() || !broken.is_empty();
        for (port, what) in received {
            match what {
                Received::Data { payload, info } => self.on_data(port, &payload, &info),
                Received::Notification(notification) => self.on_notification(port, notification),
            }
        }
        for port in broken {
            self.lose_port(port);
        }
        any
    }

    fn on_data(&mut self, port: PortId, payload: &Bytes, info: &RcvInfo) {
        let Some(&conn) = self.by_assoc.get(&(port, info.assoc)) else {
            return;
        };
        let Some(assoc) = self.assocs.get_mut(&conn) else {
            return;
        };
        let payload = if info.end_of_message && assoc.pieces.is_empty() {
            payload.clone()
        } else {
            assoc.pieces.extend_from_slice(payload);
            if assoc.pieces.len() > MAX_MESSAGE {
                tracing::warn!(?conn, "a message is too large");
                return self.fail(conn);
            }
            if !info.end_of_message {
                return;
            }
            assoc.pieces.split().freeze()
        };
        self.events.push_back(NetEvent::Message {
            conn,
            stream: info.stream,
            ppid: info.ppid,
            payload,
        });
    }

    fn on_notification(&mut self, port: PortId, notification: Notification) {
        match notification {
            Notification::AssociationChange(AssociationChange { assoc, peer, state, .. }) => {
                let conn = self.by_assoc.get(&(port, assoc)).copied();
                match state {
                    AssociationState::Up { .. } => self.on_up(port, assoc, conn, peer),
                    AssociationState::Restarted { .. } => {
                        // The peer remembers nothing: for the node it is another association.
                        if let Some(conn) = conn {
                            self.forget(conn);
                            self.events.push_back(NetEvent::Closed { conn, graceful: false });
                        }
                        self.on_up(port, assoc, None, peer);
                    }
                    AssociationState::ShutdownComplete => self.on_end(conn, true),
                    AssociationState::Lost(_) | AssociationState::CannotStart(_) => self.on_end(conn, false),
                    _ => {}
                }
            }
            Notification::PeerShutdown { assoc } => {
                if let Some(&conn) = self.by_assoc.get(&(port, assoc)) {
                    self.events.push_back(NetEvent::PeerShutdown { conn });
                }
            }
            _ => {}
        }
    }

    fn on_up(&mut self, port: PortId, id: AssocId, conn: Option<ConnId>, peer: SocketAddr) {
        let conn = conn.unwrap_or_else(|| {
            let conn = ConnId::Accepted(self.next_accepted);
            self.next_accepted = self.next_accepted.wrapping_add(1);
            self.insert(conn, port, id);
            conn
        });
        let status = self.ports.get(&port).and_then(|port| port.socket.status(id).ok());
        let addresses = status.map(|status| status.paths.iter().map(|path| path.address).collect());
        let peer = SctpAddress {
            port: peer.port(),
            addresses: addresses.unwrap_or_else(|| vec![peer.ip()]),
        };
        self.events.push_back(NetEvent::Connected { conn, peer });
    }

    fn on_end(&mut self, conn: Option<ConnId>, graceful: bool) {
        if let Some(conn) = conn {
            self.forget(conn);
            self.events.push_back(NetEvent::Closed { conn, graceful });
        }
    }

    /// An end point is gone, and with it its associations.
    fn lose_port(&mut self, port: PortId) {
        let conns: Vec<ConnId> = self
            .assocs
            .iter()
            .filter(|(_, a)| a.port == port)
            .map(|(conn, _)| *conn)
            .collect();
        for conn in conns {
            self.on_end(Some(conn), false);
        }
        self.ports.remove(&port);
    }

    fn connect(&mut self, conn: ConnId, peer: &SctpAddress) -> bool {
        let peers: Vec<SocketAddr> = peer
            .addresses
            .iter()
            .map(|ip| SocketAddr::new(*ip, peer.port))
            .collect();
        let opened = match self.main {
            Some(main) => match self.open(main, &peers) {
                // Two end points have one association at most; another one needs another end point.
                Err(Error::AlreadyConnected | Error::ConnectInProgress) => self.open_separately(&peers),
                opened => opened,
            },
            None => self.open_separately(&peers),
        };
        match opened {
            Ok((port, id)) => {
                self.insert(conn, port, id);
                true
            }
            Err(error) => {
                tracing::debug!(?peer, %error, "cannot connect");
                false
            }
        }
    }

    fn open(&self, port: PortId, peers: &[SocketAddr]) -> Result<(PortId, AssocId), Error> {
        let socket = &self.ports.get(&port).ok_or(Error::Closed)?.socket;
        Ok((port, socket.open(peers, ConnectOptions::default())?))
    }

    fn open_separately(&mut self, peers: &[SocketAddr]) -> Result<(PortId, AssocId), Error> {
        let any_port: Vec<SocketAddr> = self
            .multicast
            .local()
            .iter()
            .map(|at| SocketAddr::new(at.ip(), 0))
            .collect();
        let socket = self.builder.clone().bind_blocking(any_port.as_slice())?;
        let port = self.add_port(socket);
        let opened = self.open(port, peers);
        if opened.is_err() {
            self.ports.remove(&port);
        }
        opened
    }

    fn add_port(&mut self, socket: SctpSocket) -> PortId {
        let id = PortId(self.next_port);
        self.next_port = self.next_port.wrapping_add(1);
        self.ports.insert(id, Port::new(socket));
        id
    }

    fn insert(&mut self, conn: ConnId, port: PortId, id: AssocId) {
        self.by_assoc.insert((port, id), conn);
        let assoc = Assoc {
            port,
            id,
            pieces: BytesMut::new(),
            backlog: Backlog::default(),
            sending: None,
            ending: false,
        };
        self.assocs.insert(conn, assoc);
    }

    /// Forgets an association, and the end point that was opened for it alone.
    fn forget(&mut self, conn: ConnId) -> Option<Assoc> {
        let assoc = self.assocs.remove(&conn)?;
        self.by_assoc.remove(&(assoc.port, assoc.id));
        self.blocked.remove(&conn);
        if Some(assoc.port) != self.main && !self.assocs.values().any(|other| other.port == assoc.port) {
            self.ports.remove(&assoc.port);
        }
        Some(assoc)
    }

    fn send(&mut self, conn: ConnId, payload: Bytes, mut info: SndInfo) {
        let Some(assoc) = self.assocs.get_mut(&conn) else {
            return;
        };
        let Some(port) = self.ports.get(&assoc.port) else {
            return;
        };
        info.destination = Destination::Association(assoc.id);
        if assoc.sending.is_none() {
            match port.socket.try_send(payload.clone(), &info) {
                Err(Error::WouldBlock) => {
                    self.events.push_back(NetEvent::Congestion { conn, congested: true });
                    assoc.sending = Some(send_when_possible(port.socket.clone(), payload, info));
                    self.blocked.insert(conn);
                }
                outcome => note(conn, &outcome),
            }
            return;
        }
        assoc.backlog.push(payload, info);
        if assoc.backlog.is_too_long() {
            tracing::warn!(?conn, "the peer takes nothing any more");
            self.fail(conn);
        }
    }

    /// Goes on with what waits to be sent; says whether anything changed that the node hears of.
    fn poll_backlogs(&mut self, cx: &mut Context<'_>) -> bool {
        let mut relieved = Vec::new();
        for conn in &self.blocked {
            let Some(assoc) = self.assocs.get_mut(conn) else {
                continue;
            };
            let Some(port) = self.ports.get(&assoc.port) else {
                continue;
            };
            while let Some(sending) = &mut assoc.sending {
                let Poll::Ready(outcome) = sending.as_mut().poll(cx) else {
                    break;
                };
                note(*conn, &outcome);
                let next = assoc.backlog.pop();
                assoc.sending = next.map(|(payload, info)| send_when_possible(port.socket.clone(), payload, info));
                if assoc.sending.is_none() {
                    relieved.push(*conn);
                }
            }
        }
        for conn in &relieved {
            self.blocked.remove(conn);
            self.events.push_back(NetEvent::Congestion {
                conn: *conn,
                congested: false,
            });
            if self.assocs.get(conn).is_some_and(|assoc| assoc.ending) {
                self.shut_down(*conn);
            }
        }
        !relieved.is_empty()
    }

    fn shut_down(&mut self, conn: ConnId) {
        let Some(assoc) = self.assocs.get_mut(&conn) else {
            return;
        };
        let Some(port) = self.ports.get_mut(&assoc.port) else {
            return;
        };
        assoc.ending = true;
        // The peer's data has to be taken for its shutdown to come through.
        port.paused = false;
        if assoc.sending.is_none() {
            // It may be ending already; its end is told in any case.
            note(conn, &port.socket.shutdown(assoc.id));
        }
    }

    fn abort(&mut self, conn: ConnId) {
        let socket = self.assocs.get(&conn).and_then(|assoc| self.ports.get(&assoc.port));
        let socket = socket.map(|port| port.socket.clone());
        if let (Some(assoc), Some(socket)) = (self.forget(conn), socket) {
            note(conn, &socket.abort(assoc.id, Bytes::new()));
        }
    }

    /// Aborts an association for a reason that the node does not know.
    fn fail(&mut self, conn: ConnId) {
        self.abort(conn);
        self.events.push_back(NetEvent::Closed { conn, graceful: false });
    }
}

fn send_when_possible(socket: SctpSocket, payload: Bytes, info: SndInfo) -> Pending<Result<(), Error>> {
    Box::pin(async move { socket.send(payload, &info).await })
}

/// What cannot be sent is lost, as everything is on an association that ends.
fn note(conn: ConnId, outcome: &Result<(), Error>) {
    if let Err(error) = outcome {
        tracing::debug!(?conn, %error, "not done");
    }
}
