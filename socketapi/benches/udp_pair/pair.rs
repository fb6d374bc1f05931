//! Two stacks on the loopback interface, and associations between them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use socketapi::{AssociationConfig, SctpListener, SctpStream, SocketBuilder, StackHandle};

pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Where the listener is.
const PORT: u16 = 7;

/// A listener on one stack, and the stack of its clients.
pub(crate) struct Pair {
    pub(crate) listener: SctpListener,
    client: StackHandle,
    config: AssociationConfig,
}

impl Pair {
    /// Two stacks with one UDP port each, whose associations are as `config` says.
    pub(crate) async fn start(config: AssociationConfig, backlog: usize) -> Self {
        let (server, listener) = listener(config.clone(), backlog).await;
        let client = client_of(server.udp_port()).await;
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
    let stack = StackHandle::builder().addresses([LOOPBACK]).udp_port(0);
    let stack = stack.start().await.expect("a server stack");
    let builder = SocketBuilder::new().association(config).stack(&stack);
    let listener = builder.listen(SocketAddr::new(LOOPBACK, PORT), backlog).await;
    (stack, listener.expect("a listener"))
}

/// A stack whose peers are behind one UDP port of this host.
pub(crate) async fn client_of(peer_udp_port: u16) -> StackHandle {
    let client = StackHandle::builder()
        .addresses([LOOPBACK])
        .udp_port(0)
        .peer_udp_port(peer_udp_port);
    client.start().await.expect("a client stack")
}

/// A new association with the listener.
pub(crate) async fn connect(stack: &StackHandle, config: AssociationConfig) -> SctpStream {
    let builder = SocketBuilder::new().association(config).stack(stack);
    let stream = builder.connect(SocketAddr::new(LOOPBACK, PORT)).await;
    stream.expect("a connection")
}
