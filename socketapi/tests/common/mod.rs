//! What the tests of sockets share: hosts on either backend, time limits, echoes.
#![allow(dead_code, unused_imports, reason = "each test file uses its part")]

mod host;
mod pair;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use socketapi::{
    AssocId, AssociationChange, AssociationConfig, AssociationState, Message, Notification, Received, SctpSocket,
    SctpStream, SocketBuilder,
};

pub(crate) use host::{
    Host, has_kernel, ip_command, on_kernel, stack, stack_blocking, stack_towards, stack_towards_silence,
};
pub(crate) use pair::{Pair, Streams, narrow, told, until, waiting};

/// A limit that only a test which hangs reaches.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Waits for `future`, but not for ever.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("the test hangs")
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip(address), port)
}

/// An address of the loopback interface that no other process uses: the processes of a host may share a UDP port, and
/// then there is one space of SCTP ports for all of them.
pub(crate) fn own_address() -> IpAddr {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | high, middle, low).into()
}

/// A configuration with short time-outs that never gives up: what is late on a busy machine does no harm.
pub(crate) fn hasty() -> AssociationConfig {
    let mut config = AssociationConfig::default();
    let (min, max) = (Duration::from_millis(20), Duration::from_millis(100));
    config.set_rto(min, min, max).unwrap();
    config.set_max_init_retransmits(1_000);
    config.set_association_max_retrans(1_000);
    config
}

/// A configuration whose time-outs do not come, however busy the machine is: nothing is sent twice that was not lost.
pub(crate) fn unhurried() -> AssociationConfig {
    let mut config = AssociationConfig::default();
    config.set_rto(LIMIT, LIMIT, LIMIT).unwrap();
    config
}

/// A configuration that gives up soon, for tests in which nobody answers.
pub(crate) fn impatient() -> AssociationConfig {
    let mut config = hasty();
    config.set_max_init_retransmits(2);
    config.set_association_max_retrans(3);
    config.path_mut().set_path_max_retrans(2);
    config
}

/// A builder of sockets of a host.
pub(crate) fn builder(host: &Host) -> SocketBuilder {
    host.builder()
}

/// A one-to-many socket that listens on port 7 of a host, and echoes until it is closed.
pub(crate) fn echo(host: &Host) -> SctpSocket {
    let socket = host.socket(7).unwrap();
    socket.listen(256).unwrap();
    let echoing = socket.clone();
    tokio::spawn(async move {
        while let Ok(received) = echoing.recv().await {
            if let Received::Data { payload, info } = received {
                // The association may have ended meanwhile.
                let _ = echoing.send(payload, &info.reply()).await;
            }
        }
    });
    socket
}

/// The next message, whatever comes before it.
pub(crate) async fn next_data(socket: &SctpSocket) -> Message {
    loop {
        if let Some(message) = within(socket.recv()).await.unwrap().into_data() {
            return message;
        }
    }
}

/// The next message of a stream.
pub(crate) async fn next(stream: &SctpStream) -> Message {
    within(stream.recv()).await.unwrap().expect("the peer has shut down")
}

/// The next association change, whatever comes before it.
pub(crate) async fn next_change(socket: &SctpSocket) -> AssociationChange {
    loop {
        if let Received::Notification(Notification::AssociationChange(change)) = within(socket.recv()).await.unwrap() {
            return change;
        }
    }
}

/// Waits until an association is up.
pub(crate) async fn up(socket: &SctpSocket) -> AssocId {
    let change = next_change(socket).await;
    assert!(matches!(change.state, AssociationState::Up { .. }), "{change:?}");
    change.assoc
}

/// Bytes that tell their place.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| u8::try_from((i ^ (i >> 8) ^ (i >> 16)) & 0xff).unwrap())
        .collect()
}
