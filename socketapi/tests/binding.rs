//! What sockets are bound to: addresses of the host, and ports that are shared (RFC 6458 §3.1.2, §8.1.27, §9.1).

mod common;

use std::net::{IpAddr, SocketAddr};

use common::{ip, within};
#[cfg(target_os = "linux")]
use netns_tests::namespace::Namespace;
use socketapi::{Error, SctpListener, SctpSocket, SctpStream, SndInfo, SocketBuilder, StackHandle};

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(within(test));
}

/// A stack on these addresses, all if there are none, and on a UDP port of its own.
async fn stack(addresses: &[&str]) -> StackHandle {
    let builder = StackHandle::builder().addresses(addresses.iter().map(|text| ip(text)));
    builder.udp_port(0).start().await.unwrap()
}

async fn bound(stack: &StackHandle, address: &str) -> socketapi::Result<SctpSocket> {
    SctpSocket::builder().stack(stack).bind(address).await
}

fn addresses(socket: &SctpSocket) -> Vec<IpAddr> {
    let mut all: Vec<_> = socket.local_addresses().unwrap().iter().map(SocketAddr::ip).collect();
    all.sort_unstable();
    all
}

#[test]
#[cfg(target_os = "linux")]
fn rfc6458_9_1_any_address_of_the_host_can_be_bound_to() {
    run(async {
        let stack = stack(&[]).await;
        // No interface bears it.
        let socket = bound(&stack, "127.0.0.77:0").await.unwrap();
        socket.bindx_add_all(&["127.0.0.1", "127.0.0.78"].map(ip)).unwrap();
        let expected = ["127.0.0.1", "127.0.0.77", "127.0.0.78"].map(ip);
        assert_eq!(addresses(&socket), expected);
        for wrong in ["192.0.2.77", "224.0.0.1", "255.255.255.255"] {
            let refused = socket.bindx_add(ip(wrong));
            assert_eq!(refused, Err(Error::AddressNotAvailable), "{wrong}");
            let refused = bound(&stack, &format!("{wrong}:0")).await.map(drop);
            assert_eq!(refused, Err(Error::AddressNotAvailable), "{wrong}");
        }
        assert!(
            !stack.addresses().contains(&ip("127.0.0.77")),
            "all are those of interfaces"
        );
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_stack_that_was_started_on_some_addresses_says_that_it_has_no_others() {
    run(async {
        let stack = stack(&["127.0.0.1"]).await;
        let socket = bound(&stack, "127.0.0.1:0").await.unwrap();
        let other = Err(Error::AddressOfOthers(ip("127.0.0.2")));
        assert_eq!(socket.bindx_add(ip("127.0.0.2")), other);
        assert_eq!(bound(&stack, "127.0.0.2:0").await.map(drop), other);
        assert_eq!(
            bound(&stack, "192.0.2.77:0").await.map(drop),
            Err(Error::AddressNotAvailable)
        );
    });
}

#[test]
#[cfg(target_os = "linux")]
fn rfc6458_9_1_an_address_can_be_bound_to_as_soon_as_the_host_has_it() {
    let Some(namespace) = Namespace::new() else { return };
    namespace.enter();
    run(async {
        let stack = stack(&[]).await;
        let socket = bound(&stack, "127.0.0.1:0").await.unwrap();
        let all = bound(&stack, "0.0.0.0:0").await.unwrap();
        for number in 1..=20 {
            namespace.run(&format!("ip address add 10.0.0.{number}/24 dev lo"));
            socket.bindx_add(ip(&format!("10.0.0.{number}"))).unwrap();
        }
        assert_eq!(addresses(&socket).len(), 21);
        assert_eq!(addresses(&all), addresses(&socket), "wildcards follow");
    });
}

// Shared ports.

fn sharing(stack: &StackHandle) -> SocketBuilder {
    SocketBuilder::new().stack(stack).reuse_port(true)
}

async fn listener(stack: &StackHandle, address: SocketAddr) -> SctpListener {
    sharing(stack).listen(address, 4).await.unwrap()
}

/// Connects from a port of the own stack to a listener of another one.
async fn connect(own: &StackHandle, from: SocketAddr, to: &SctpListener) -> socketapi::Result<SctpStream> {
    let peer = to.local_addresses()?[0];
    sharing(own).local(&[from]).connect(peer).await
}

/// Sends something; the other end.
async fn meet(client: &SctpStream, server: &SctpListener, text: &'static str) -> SctpStream {
    let (accepted, _) = server.accept().await.unwrap();
    client.send(text, &SndInfo::new()).await.unwrap();
    assert_eq!(accepted.recv().await.unwrap().unwrap().payload, text);
    accepted
}

#[test]
fn rfc6458_8_1_27_one_to_one_sockets_share_a_port_if_all_say_so() {
    run(async {
        let network = socketapi::MemoryNetwork::new();
        let start = async |address: &str| {
            let builder = StackHandle::builder().device(socketapi::DeviceConfig::Memory(network.clone()));
            builder.addresses([ip(address)]).start().await.unwrap()
        };
        let own = start("10.0.0.1").await;
        let others = [start("10.0.0.2").await, start("10.0.0.3").await];
        let port: SocketAddr = "10.0.0.1:7".parse().unwrap();
        let servers = [
            listener(&others[0], "10.0.0.2:7".parse().unwrap()).await,
            listener(&others[1], "10.0.0.3:7".parse().unwrap()).await,
        ];
        let server = listener(&own, port).await;
        // Two clients and a server on one port.
        let first = connect(&own, port, &servers[0]).await.unwrap();
        let second = connect(&own, port, &servers[1]).await.unwrap();
        let _one = meet(&first, &servers[0], "one").await;
        let _two = meet(&second, &servers[1], "two").await;
        let third = SocketBuilder::new().stack(&others[0]).connect(port).await.unwrap();
        let _three = meet(&third, &server, "three").await;

        // One that listens, and one association with a peer.
        assert_eq!(sharing(&own).listen(port, 1).await.map(drop), Err(Error::PortInUse));
        let again = connect(&own, port, &servers[0]).await.map(drop);
        assert_eq!(again, Err(Error::AddressNotAvailable));
        // All say so, and none of them is a one-to-many socket.
        let other = SocketBuilder::new().stack(&own).listen(port, 1).await;
        assert_eq!(other.map(drop), Err(Error::PortInUse));
        let many = sharing(&own).bind(port).await;
        assert!(matches!(many, Err(Error::Unsupported(_))), "{many:?}");
        // The next one listens when nobody does any more.
        server.close();
        let next = listener(&own, port).await;
        let fourth = SocketBuilder::new().stack(&others[1]).connect(port).await.unwrap();
        meet(&fourth, &next, "four").await;
    });
}
