//! In bare UDP datagrams.

use std::time::Instant;

use tokio::net::UdpSocket;

use super::{Cores, Meter, Outcome, SIZE, ends};
use crate::pair::LOOPBACK;

/// Two sockets that send to each other.
pub(crate) fn connected() -> [std::net::UdpSocket; 2] {
    let bind = || std::net::UdpSocket::bind((LOOPBACK, 0)).expect("a socket");
    let (server, client) = (bind(), bind());
    client.connect(server.local_addr().expect("bound")).expect("connected");
    server.connect(client.local_addr().expect("bound")).expect("connected");
    [server, client]
}

/// Both ends block.
pub(crate) fn blocking(cores: Cores) -> Outcome {
    let [server, client] = connected();
    ends(
        cores,
        |told| {
            told.send(()).expect("the client waits for it");
            let mut buf = vec![0; 2048];
            loop {
                let len = server.recv(&mut buf).expect("a request");
                if len == 0 {
                    break;
                }
                server.send(&buf[..len]).expect("the client is there");
            }
        },
        |()| {
            let request = vec![0x5a; SIZE];
            let mut buf = vec![0; 2048];
            let mut meter = Meter::new();
            loop {
                let start = Instant::now();
                client.send(&request).expect("the server is there");
                assert_eq!(client.recv(&mut buf).expect("a response"), SIZE);
                if meter.count(start) {
                    break;
                }
            }
            client.send(&[]).expect("the server is there");
            meter.outcome()
        },
    )
}

/// Both ends are tasks of one runtime.
pub(crate) async fn tasks() -> Outcome {
    let [server, client] = connected().map(|socket| {
        socket.set_nonblocking(true).expect("it need not block");
        UdpSocket::from_std(socket).expect("a runtime")
    });
    let answering = tokio::spawn(async move {
        let mut buf = vec![0; 2048];
        loop {
            let len = server.recv(&mut buf).await.expect("a request");
            if len == 0 {
                break;
            }
            server.send(&buf[..len]).await.expect("the client is there");
        }
    });
    let request = vec![0x5a; SIZE];
    let mut buf = vec![0; 2048];
    let mut meter = Meter::new();
    loop {
        let start = Instant::now();
        client.send(&request).await.expect("the server is there");
        assert_eq!(client.recv(&mut buf).await.expect("a response"), SIZE);
        if meter.count(start) {
            break;
        }
    }
    client.send(&[]).await.expect("the server is there");
    answering.await.expect("the server ends");
    meter.outcome()
}
