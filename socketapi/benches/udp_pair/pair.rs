//! Two stacks on the loopback interface, and associations between them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use socketapi::{AssociationConfig, SctpListener, SctpStream, SocketBuilder, StackBuilder, StackHandle};

pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Where the listener is.
pub(crate) const SERVER: SocketAddr = SocketAddr::new(LOOPBACK, 7);

/// A listener on one stack, and the stack of its clients.
pub(crate) struct Pair {
    pub(crate) listener: SctpListener,
    client: StackHandle,
    config: AssociationConfig,
}

impl Pair {
    /// Two stacks with one UDP port each, whose associations are as `config` says.
    pub(crate) async fn start(config: AssociationConfig, backlog: usize) -> Self {
        Self::start_with(config, backlog, 1).await
    }

    /// The same, each with so many workers.
    pub(crate) async fn start_with(config: AssociationConfig, backlog: usize, workers: u16) -> Self {
        let server = server_on(LOOPBACK).workers(workers).start().await;
        let server = server.expect("a server stack");
        let listener = listener_on(&server, config.clone(), backlog).await;
        let client = client_on(LOOPBACK, server.udp_port()).workers(workers).start().await;
        let client = client.expect("a client stack");
        Self {
            listener,
            client,
            config,
        }
    }

    /// A new association: its connecting end, and its accepted one.
    pub(crate) async fn open(&self) -> (SctpStream, SctpStream) {
        let (opened, accepted) = tokio::join!(self.connect(), self.listener.accept());
        (opened, accepted.expect("an accepted connection").0)
    }

    /// A new association, which somebody else accepts.
    pub(crate) async fn connect(&self) -> SctpStream {
        connect(&self.client, self.config.clone()).await
    }
}

/// A stack on a free UDP port, and a listener on it.
pub(crate) async fn listener(config: AssociationConfig, backlog: usize) -> (StackHandle, SctpListener) {
    let stack = server_on(LOOPBACK).start().await.expect("a server stack");
    let listener = listener_on(&stack, config, backlog).await;
    (stack, listener)
}

async fn listener_on(stack: &StackHandle, config: AssociationConfig, backlog: usize) -> SctpListener {
    let builder = SocketBuilder::new().association(config).stack(stack);
    builder.listen(SERVER, backlog).await.expect("a listener")
}

/// A stack on a free UDP port.
pub(crate) fn server_on(address: IpAddr) -> StackBuilder {
    StackHandle::builder().addresses([address]).udp_port(0)
}

/// The same, with peers behind one UDP port of this host.
pub(crate) fn client_on(address: IpAddr, peer_udp_port: u16) -> StackBuilder {
    server_on(address).peer_udp_port(peer_udp_port)
}

/// A stack whose peers are behind one UDP port of this host.
pub(crate) async fn client_of(peer_udp_port: u16) -> StackHandle {
    let client = client_on(LOOPBACK, peer_udp_port).start().await;
    client.expect("a client stack")
}

/// A new association with the listener.
pub(crate) async fn connect(stack: &StackHandle, config: AssociationConfig) -> SctpStream {
    let builder = SocketBuilder::new().association(config).stack(stack);
    let stream = builder.connect(SERVER).await;
    stream.expect("a connection")
}
