//! ICMP (RFC 9260 §10, RFC 6951 §5.5) over real sockets.

#![cfg(all(feature = "userland", target_os = "linux"))]

mod common;

use std::sync::Arc;

use common::{at, builder, next, stack, stack_towards, unhurried, within};
use socketapi::{AssociationConfig, Error, FailureReason, SndInfo, SocketBuilder, StackHandle};
use tokio::net::UdpSocket;

/// A UDP port of an address where nobody is: what has it hears itself alone, and keeps others from it.
fn closed_port(address: &str) -> (std::net::UdpSocket, u16) {
    let socket = std::net::UdpSocket::bind((address, 0)).unwrap();
    let own = socket.local_addr().unwrap();
    socket.connect(own).unwrap();
    (socket, own.port())
}

/// The set-up would be tried for a minute and more.
async fn is_refused_at_once(address: &str) {
    let (_closed, port) = closed_port(address);
    let client = StackHandle::builder()
        .addresses([common::ip(address)])
        .udp_port(0)
        .peer_udp_port(port);
    let client = client.start().await.unwrap();
    for _ in 0..10 {
        let outcome = within(SocketBuilder::new().stack(&client).connect(at(address, 7))).await;
        let Err(error) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(error, Error::ConnectFailed(FailureReason::ProtocolUnreachable));
        assert_eq!(
            std::io::Error::from(error).kind(),
            std::io::ErrorKind::ConnectionRefused
        );
    }
    assert_eq!(client.stats().icmp_processed, 10);
}

#[tokio::test]
async fn rfc6951_5_5_connecting_to_a_port_where_nobody_is_is_refused_over_ipv4() {
    is_refused_at_once("127.0.0.1").await;
}

#[tokio::test]
async fn rfc6951_5_5_connecting_to_a_port_where_nobody_is_is_refused_over_ipv6() {
    is_refused_at_once("::1").await;
}

#[tokio::test]
async fn rfc6951_5_5_a_peer_that_has_died_is_noticed() {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    // A relay stands for a process that can be killed: a stack never leaves its associations without a word.
    let relay = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let own = relay.local_addr().unwrap();
    let mut config = AssociationConfig::default();
    config.path_mut().set_remote_encapsulation_port(Some(own.port()));
    let listener = server.listener(7).unwrap();
    let ports = [client.stack().udp_port(), server.stack().udp_port()];
    let relaying = tokio::spawn({
        let relay = Arc::clone(&relay);
        async move {
            let mut buf = vec![0; 65_536];
            loop {
                let (len, from) = relay.recv_from(&mut buf).await.unwrap();
                let to = if from.port() == ports[0] { ports[1] } else { ports[0] };
                relay.send_to(&buf[..len], ("127.0.0.1", to)).await.unwrap();
            }
        }
    });
    let connecting = builder(&client).association(config).connect(at("127.0.0.1", 7));
    let stream = within(connecting).await.unwrap();
    let (accepted, _) = within(listener.accept()).await.unwrap();
    within(accepted.send("alive", &SndInfo::new())).await.unwrap();
    assert_eq!(next(&stream).await.payload, "alive");
    relaying.abort();
    assert!(relaying.await.unwrap_err().is_cancelled());
    // It hears itself alone, and its port becomes nobody else's.
    relay.connect(own).await.unwrap();
    within(stream.send("anybody?", &SndInfo::new())).await.unwrap();
    assert_eq!(
        within(stream.recv()).await,
        Err(Error::AssociationLost(FailureReason::ProtocolUnreachable))
    );
}

#[tokio::test]
async fn refused_packets_leave_other_associations_of_the_stack_alone() {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let listener = server.listener(7).unwrap();
    let patient = builder(&client).association(unhurried());
    let stream = within(patient.connect(at("127.0.0.1", 7))).await.unwrap();
    let (accepted, _) = within(listener.accept()).await.unwrap();
    let mut config = AssociationConfig::default();
    let (_closed, port) = closed_port("127.0.0.1");
    config.path_mut().set_remote_encapsulation_port(Some(port));
    for number in 0..100 {
        let refused = builder(&client)
            .association(config.clone())
            .try_connect(&[at("127.0.0.1", 7)]);
        let text = format!("message {number}");
        within(stream.send(text.clone(), &SndInfo::new())).await.unwrap();
        assert_eq!(next(&accepted).await.payload, text.as_bytes());
        let outcome = within(refused.unwrap().recv()).await;
        assert!(outcome.is_err(), "{outcome:?}");
    }
    let stats = stream.status().unwrap().stats;
    assert_eq!((stats.t3_expiries, stats.data_chunks_retransmitted), (0, 0));
}
