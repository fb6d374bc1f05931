//! Two sockets with an association.

use socketapi::{
    AssocId, Association, AssociationConfig, Notification, Options, Received, SctpListener, SctpSocket, SctpStream,
    SndInfo,
};

use super::{Host, at, has_kernel, stack, stack_towards, up, within};

/// A client with an association to a listening server, on hosts of their own, both one-to-many style.
pub(crate) struct Pair {
    pub(crate) client: SctpSocket,
    pub(crate) server: SctpSocket,
    /// The client's name of the association, and the server's.
    pub(crate) names: [AssocId; 2],
    /// The client's host, and the server's.
    pub(crate) hosts: [Host; 2],
}

impl Pair {
    /// The server is at port 7 of `addresses`, and so is the client at another port.
    async fn at(addresses: &[&str], client: AssociationConfig, server: AssociationConfig) -> Self {
        let own = stack(addresses).await;
        let other = stack_towards(addresses, &own).await;
        let bound = |port| -> Vec<_> { addresses.iter().map(|address| at(address, port)).collect() };
        let server = own.builder().association(server).bind(&bound(7)[..]).await.unwrap();
        server.listen(5).unwrap();
        let client = other.builder().association(client).bind(&bound(0)[..]).await.unwrap();
        let there = within(client.connect_multi(&bound(7))).await.unwrap();
        let here = up(&server).await;
        Self {
            client,
            server,
            names: [there, here],
            hosts: [other, own],
        }
    }

    pub(crate) async fn new(client: AssociationConfig, server: AssociationConfig) -> Self {
        Self::at(&["127.0.0.1"], client, server).await
    }

    pub(crate) async fn usual() -> Self {
        Self::new(AssociationConfig::default(), AssociationConfig::default()).await
    }

    /// Both ends have two addresses.
    pub(crate) async fn two_homed(client: AssociationConfig) -> Self {
        Self::at(&["127.0.0.1", "127.0.0.2"], client, AssociationConfig::default()).await
    }

    /// The server takes little before it receives.
    pub(crate) async fn narrow() -> Self {
        Self::new(AssociationConfig::default(), narrow()).await
    }

    /// How the client sends on it.
    pub(crate) fn to(&self) -> SndInfo {
        SndInfo::to(self.names[0])
    }

    pub(crate) async fn send(&self, payload: impl Into<bytes::Bytes>, info: SndInfo) {
        within(self.client.send(payload, &info)).await.unwrap();
    }

    /// The server answers.
    pub(crate) async fn answer(&self, payload: impl Into<bytes::Bytes>) {
        within(self.server.send(payload, &SndInfo::to(self.names[1])))
            .await
            .unwrap();
    }

    /// The association as the client has it.
    pub(crate) fn here(&self) -> Association {
        self.client.association(self.names[0])
    }

    /// The association as the server has it.
    pub(crate) fn there(&self) -> Association {
        self.server.association(self.names[1])
    }

    /// The options of the association as the client has it.
    pub(crate) fn options(&self) -> Options {
        self.here().options()
    }
}

/// A configuration of an end that takes little before it receives.
pub(crate) fn narrow() -> AssociationConfig {
    let mut config = AssociationConfig::default();
    config.set_receive_buffer(1_500).unwrap();
    config
}

/// Both ends of a one-to-one style association.
pub(crate) struct Streams {
    pub(crate) opened: SctpStream,
    pub(crate) accepted: SctpStream,
    pub(crate) listener: SctpListener,
    /// The client's host, and the server's.
    pub(crate) hosts: [Host; 2],
}

impl Streams {
    pub(crate) async fn new(client: AssociationConfig, server: AssociationConfig) -> Self {
        let own = stack(&["127.0.0.1", "127.0.0.2"]).await;
        let other = stack_towards(&["127.0.0.1", "127.0.0.2"], &own).await;
        let peer = [at("127.0.0.1", 7), at("127.0.0.2", 7)];
        let builder = own.builder().association(server);
        let listener = builder.listen(&peer[..], 5).await.unwrap();
        let opened = within(other.builder().association(client).connect_multi(&peer))
            .await
            .unwrap();
        let (accepted, _) = within(listener.accept()).await.unwrap();
        Self {
            opened,
            accepted,
            listener,
            hosts: [other, own],
        }
    }

    pub(crate) async fn usual() -> Self {
        Self::new(AssociationConfig::default(), AssociationConfig::default()).await
    }
}

/// Waits until something has become so.
pub(crate) async fn until(mut so: impl FnMut() -> bool) {
    within(async {
        while !so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Waits until so many messages wait to be received, where that is told.
pub(crate) async fn waiting(assoc: &Association, messages: usize) {
    if !has_kernel() {
        until(|| assoc.status().unwrap().pending_messages >= messages).await;
    }
}

/// The next notification that is looked for, whatever comes before it.
pub(crate) async fn told<T>(socket: &SctpSocket, wanted: impl Fn(&Notification) -> Option<T>) -> T {
    loop {
        if let Received::Notification(notification) = within(socket.recv()).await.unwrap()
            && let Some(found) = wanted(&notification)
        {
            return found;
        }
    }
}
