//! One-to-many style sockets.

mod common;

use std::collections::BTreeMap;

use common::{at, builder, echo, ip, next_change, next_data, pattern, stack, stack_towards, up, within};
use socketapi::{AssociationState, ConnectOptions, Error, Received, SctpSocket, SndInfo, SocketBuilder};

async fn echoes(addresses: &[&str], to: &str) {
    let server = stack(addresses).await;
    let client = stack_towards(addresses, &server).await;
    let _echo = echo(&server);
    let socket = client.socket(0).unwrap();
    let info = SndInfo::to_address(at(to, 7)).on_stream(3).with_ppid(51);
    within(socket.send("hello", &info)).await.unwrap();
    let message = next_data(&socket).await;
    assert_eq!(message.payload, "hello");
    assert_eq!(
        (message.info.stream.0, message.info.ppid.0, message.info.end_of_message),
        (3, 51, true)
    );
    assert_eq!(socket.peer_addresses(message.info.assoc).unwrap()[0], at(to, 7));
    within(socket.close()).await.unwrap();
}

#[tokio::test]
async fn a_message_sets_its_association_up_over_ipv4() {
    echoes(&["127.0.0.1"], "127.0.0.1").await;
}

#[tokio::test]
async fn a_message_sets_its_association_up_over_ipv6() {
    echoes(&["::1"], "::1").await;
}

#[tokio::test]
async fn the_wildcard_serves_ipv4() {
    echoes(&[], "127.0.0.1").await;
}

#[tokio::test]
async fn the_wildcard_serves_ipv6() {
    echoes(&[], "::1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_works_on_several_threads() {
    echoes(&["127.0.0.1"], "127.0.0.1").await;
}

#[tokio::test]
async fn both_ends_may_live_on_one_stack() {
    let stack = stack(&["127.0.0.1"]).await;
    let _echo = echo(&stack);
    let socket = stack.socket(0).unwrap();
    let assoc = within(socket.connect(at("127.0.0.1", 7))).await.unwrap();
    within(socket.send("within", &SndInfo::to(assoc))).await.unwrap();
    assert_eq!(next_data(&socket).await.payload, "within");
}

#[tokio::test]
async fn two_addresses_make_a_multihomed_association() {
    let server = stack(&["127.0.0.1", "127.0.0.2"]).await;
    let client = stack_towards(&["127.0.0.3", "127.0.0.4"], &server).await;
    let _echo = echo(&server);
    let socket = client.socket(0).unwrap();
    let assoc = within(socket.connect_multi(&[at("127.0.0.2", 7), at("127.0.0.1", 7)]))
        .await
        .unwrap();
    let mut peer = socket.peer_addresses(assoc).unwrap();
    peer.sort_unstable();
    assert_eq!(peer, [at("127.0.0.1", 7), at("127.0.0.2", 7)]);
    let status = socket.status(assoc).unwrap();
    assert_eq!(status.local_addresses.len(), 2, "{status:?}");

    // Both paths carry data; the one that set-up did not use once it is confirmed.
    for address in ["127.0.0.2", "127.0.0.1"] {
        within(async {
            while socket.set_primary(assoc, ip(address)) == Err(Error::AddressUnconfirmed) {
                socket.recv().await.unwrap();
            }
        })
        .await;
        let status = socket.status(assoc).unwrap();
        let primary = status.paths.iter().find(|path| path.primary).unwrap();
        assert_eq!(primary.address, ip(address));
        within(socket.send(address, &SndInfo::to(assoc))).await.unwrap();
        assert_eq!(next_data(&socket).await.payload, address);
    }
    assert_eq!(socket.set_primary(assoc, ip("127.0.0.9")), Err(Error::NoSuchPath));
    assert_eq!(socket.request_heartbeat(assoc, ip("127.0.0.1")), Ok(()));
}

#[cfg(feature = "userland")]
#[tokio::test]
async fn rfc6951_5_4_the_udp_port_that_set_up_has_seen_holds_for_all_addresses() {
    if common::on_kernel("one kernel has one UDP port") {
        return;
    }
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.3", "127.0.0.4"], &server).await;
    let listening = server.socket(7).unwrap();
    listening.listen(1).unwrap();
    let socket = client.socket(0).unwrap();
    within(socket.connect(at("127.0.0.1", 7))).await.unwrap();
    let assoc = up(&listening).await;
    let paths = listening.status(assoc).unwrap().paths;
    assert_eq!(paths.len(), 2);
    for path in paths {
        assert_eq!(
            path.encapsulation_port,
            Some(client.stack().udp_port()),
            "{}",
            path.address
        );
    }
}

#[tokio::test]
async fn a_large_message_comes_back_whole() {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let _echo = echo(&server);
    let socket = client.socket(0).unwrap();
    let sent = pattern(1 << 20);
    within(socket.send(sent.clone(), &SndInfo::to_address(at("127.0.0.1", 7))))
        .await
        .unwrap();
    let mut received = Vec::new();
    while received.len() < sent.len() {
        received.extend_from_slice(&next_data(&socket).await.payload);
    }
    assert!(received == sent, "the bytes differ");
}

#[tokio::test]
async fn thousands_of_small_messages_keep_their_order() {
    const COUNT: u32 = 5000;
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let _echo = echo(&server);
    let socket = client.socket(0).unwrap();
    let assoc = within(socket.connect(at("127.0.0.1", 7))).await.unwrap();
    let sender = socket.clone();
    let sending = tokio::spawn(async move {
        for number in 0..COUNT {
            sender
                .send(number.to_be_bytes().to_vec(), &SndInfo::to(assoc))
                .await
                .unwrap();
        }
    });
    for number in 0..COUNT {
        assert_eq!(next_data(&socket).await.payload, number.to_be_bytes().as_slice());
    }
    within(sending).await.unwrap();
}

#[tokio::test]
async fn many_associations_share_one_socket() {
    const PEERS: usize = 200;
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let echo = echo(&server);
    let mut peers = Vec::new();
    for _ in 0..PEERS {
        let socket = client.socket(0).unwrap();
        let text = format!("from {:?}", socket.local_addr().unwrap());
        within(socket.send(text.clone(), &SndInfo::to_address(at("127.0.0.1", 7))))
            .await
            .unwrap();
        peers.push((socket, text));
    }
    for (socket, text) in &peers {
        assert_eq!(next_data(socket).await.payload, text.as_bytes());
    }
    assert_eq!(echo.associations().unwrap().len(), PEERS);
    for (socket, _) in &peers {
        within(socket.close()).await.unwrap();
    }
}

#[tokio::test]
async fn one_socket_reaches_many_peers() {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let mut servers = BTreeMap::new();
    for port in 100..110 {
        let socket = server.socket(port).unwrap();
        socket.listen(1).unwrap();
        servers.insert(port, socket);
    }
    let socket = client.socket(0).unwrap();
    for port in servers.keys() {
        within(socket.send(port.to_string(), &SndInfo::to_address(at("127.0.0.1", *port))))
            .await
            .unwrap();
    }
    for (port, server) in &servers {
        let message = next_data(server).await;
        assert_eq!(message.payload, port.to_string().as_bytes());
        within(server.send("got it", &message.info.reply())).await.unwrap();
    }
    for _ in &servers {
        assert_eq!(next_data(&socket).await.payload, "got it");
    }
    assert_eq!(socket.associations().unwrap().len(), servers.len());
    let found = socket.find(at("127.0.0.1", 105)).unwrap().unwrap();
    assert_eq!(socket.peer_addresses(found).unwrap(), [at("127.0.0.1", 105)]);
    assert_eq!(socket.find(at("127.0.0.1", 99)).unwrap(), None);
}

#[tokio::test]
async fn a_second_association_with_a_peer_is_refused() {
    let stack = stack(&["127.0.0.1"]).await;
    let _echo = echo(&stack);
    let socket = stack.socket(0).unwrap();
    within(socket.connect(at("127.0.0.1", 7))).await.unwrap();
    assert_eq!(socket.try_connect(at("127.0.0.1", 7)), Err(Error::AlreadyConnected));
}

#[tokio::test]
async fn bad_calls_are_told_from_bad_luck() {
    let stack = stack(&["127.0.0.1"]).await;
    let _echo = echo(&stack);
    let socket = stack.socket(0).unwrap();
    let to = at("127.0.0.1", 7);
    assert_eq!(socket.try_recv(), Err(Error::WouldBlock));
    assert_eq!(socket.try_send("", &SndInfo::to_address(to)), Err(Error::EmptyMessage));
    assert_eq!(socket.associations(), Ok(Vec::new()));
    assert_eq!(socket.try_send("x", &SndInfo::new()), Err(Error::NoDestination));
    assert_eq!(socket.open(&[], ConnectOptions::default()), Err(Error::InvalidAddress));
    assert_eq!(socket.try_connect(at("127.0.0.1", 0)), Err(Error::InvalidAddress));
    assert_eq!(socket.try_connect(at("0.0.0.0", 7)), Err(Error::InvalidAddress));
    assert_eq!(socket.try_connect(at("::1", 7)), Err(Error::InvalidAddress));
    let assoc = within(socket.connect(to)).await.unwrap();
    assert_eq!(
        socket.try_send("x", &SndInfo::to(assoc).on_stream(60_000)),
        Err(Error::InvalidStream)
    );
    assert_eq!(socket.try_send("", &SndInfo::to(assoc)), Err(Error::EmptyMessage));
    assert_eq!(
        socket.try_send(vec![0; 4 << 20], &SndInfo::to(assoc)),
        Err(Error::MessageTooLarge)
    );
    let other = stack.socket(0).unwrap();
    assert_eq!(other.try_send("x", &SndInfo::to(assoc)), Err(Error::AssociationGone));
    assert_eq!(other.shutdown(assoc), Err(Error::AssociationGone));
}

#[tokio::test]
async fn a_port_in_use_cannot_be_bound() {
    let stack = stack(&["127.0.0.1"]).await;
    let socket = stack.socket(5000).unwrap();
    assert_eq!(stack.socket(5000).map(drop), Err(Error::PortInUse));
    assert_eq!(socket.local_addr().unwrap(), at("127.0.0.1", 5000));
    let elsewhere = builder(&stack).bind("192.0.2.9:5001").await;
    assert_eq!(elsewhere.map(drop), Err(Error::AddressNotAvailable));
}

#[cfg(feature = "userland")]
#[tokio::test]
async fn the_udp_port_of_another_stack_is_refused_with_advice() {
    if common::on_kernel("it is about stacks") {
        return;
    }
    let first = stack(&["127.0.0.1"]).await;
    let second = socketapi::StackHandle::builder()
        .addresses([ip("127.0.0.1")])
        .udp_port(first.stack().udp_port())
        .start()
        .await;
    assert_eq!(
        second.map(drop),
        Err(Error::UdpPortInUse {
            address: ip("127.0.0.1"),
            port: first.stack().udp_port()
        })
    );
}

#[tokio::test]
async fn a_peeled_off_association_has_a_socket_of_its_own() {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let socket = server.socket(7).unwrap();
    socket.listen(1).unwrap();
    let peer = client.socket(0).unwrap();
    let to_server = within(peer.connect(at("127.0.0.1", 7))).await.unwrap();
    let assoc = up(&socket).await;
    within(peer.send("before", &SndInfo::to(to_server))).await.unwrap();

    let stream = socket.peel_off(assoc).unwrap();
    assert_eq!(common::next(&stream).await.payload, "before");
    assert_eq!(socket.try_send("x", &SndInfo::to(assoc)), Err(Error::AssociationGone));
    within(stream.send("mine", &SndInfo::new())).await.unwrap();
    assert_eq!(next_data(&peer).await.payload, "mine");

    // It outlives the socket it came from.
    drop(socket);
    within(peer.send("after", &SndInfo::to(to_server))).await.unwrap();
    assert_eq!(common::next(&stream).await.payload, "after");
    drop(stream);
    let change = next_change(&peer).await;
    assert_eq!(change.state, AssociationState::ShutdownComplete);
}

#[tokio::test]
async fn a_socket_that_goes_away_while_it_connects_delivers_what_was_sent() {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let listening = server.socket(7).unwrap();
    listening.listen(5).unwrap();
    for close in [false, true] {
        let socket = client.socket(0).unwrap();
        socket
            .try_send("early", &SndInfo::to_address(at("127.0.0.1", 7)))
            .unwrap();
        if close {
            within(socket.close()).await.unwrap();
        }
        drop(socket);
        assert_eq!(next_data(&listening).await.payload, "early");
    }
}

#[tokio::test]
async fn sockets_that_name_no_stack_share_one() {
    // The only test of this program that uses the process's own stacks.
    let own = common::own_address();
    let socket = SctpSocket::bind((own, 7)).await.unwrap();
    let other = SctpSocket::bind((own, 0)).await.unwrap();
    socket.listen(1).unwrap();
    within(other.send("shared", &SndInfo::to_address((own, 7).into())))
        .await
        .unwrap();
    let message = next_data(&socket).await;
    assert_eq!(message.payload, "shared");
    within(socket.close()).await.unwrap();
    assert!(matches!(within(socket.recv()).await, Err(Error::Closed)));
    assert_eq!(SocketBuilder::new().bind((own, 0)).await.map(drop), Ok(()));
    let received = within(other.recv()).await.unwrap();
    assert!(matches!(received, Received::Notification(_)));
}
