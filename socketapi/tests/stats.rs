//! Statistics of stacks, sockets, associations and paths, and captures of stacks with several workers.
#![cfg(feature = "userland")]

use std::path::Path;
use std::time::Duration;

use socketapi::{
    AssociationPhase, AssociationSnapshot, Error, Received, SctpListener, SctpSocket, SctpStream, SndInfo,
    SocketBuilder, StackBuilder, StackHandle,
};

const ADDRESS: &str = "127.91.1.1";
const WORKERS: u16 = 3;
const LIMIT: Duration = Duration::from_secs(60);

fn builder() -> StackBuilder {
    let addresses = [ADDRESS.parse().unwrap()];
    StackHandle::builder().addresses(addresses).udp_port(0)
}

/// A server with several workers that echoes one message of each association, and a client.
async fn pair(server: StackBuilder) -> (StackHandle, SctpListener, StackHandle) {
    let server = server.workers(WORKERS).start().await.unwrap();
    let client = builder().peer_udp_port(server.udp_port()).start().await.unwrap();
    let at = format!("{ADDRESS}:7");
    let listener = SocketBuilder::new().stack(&server).listen(at, 64).await.unwrap();
    (server, listener, client)
}

async fn exchange(listener: &SctpListener, client: &StackHandle, count: usize) -> Vec<(SctpStream, SctpStream)> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let at = format!("{ADDRESS}:7");
        let stream = SocketBuilder::new().stack(client).connect(at).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        stream.send(vec![1; 3000], &SndInfo::new()).await.unwrap();
        assert_eq!(accepted.recv().await.unwrap().unwrap().payload.len(), 3000);
        streams.push((stream, accepted));
    }
    streams
}

#[tokio::test]
async fn rfc3873_a_stack_tells_of_all_its_workers_associations() {
    let (server, listener, client) = pair(builder()).await;
    let streams = exchange(&listener, &client, 100).await;
    let snapshot = server.snapshot();
    assert_eq!((snapshot.associations, snapshot.stats.current_established), (100, 100));
    assert_eq!(
        snapshot.stats.ordered_chunks_received,
        client.stats().ordered_chunks_sent
    );
    assert_eq!(snapshot.stats.messages_reassembled, client.stats().messages_fragmented);
    let found: Vec<AssociationSnapshot> = server.associations().collect();
    assert_eq!(found.len(), 100);
    for association in &found {
        let status = &association.status;
        assert_eq!(
            (status.phase, status.stats.messages_received),
            (AssociationPhase::Established, 1)
        );
        let [path] = status.paths.as_slice() else {
            panic!("{status:?}")
        };
        assert!(path.stats.bytes_received > 3000 && path.stats.bytes_received == status.stats.bytes_received);
    }
    // The client has one worker: pages in the order of their ids.
    let ids: Vec<_> = client.associations().map(|association| association.id).collect();
    assert!(ids.is_sorted() && ids.len() == 100);
    drop(streams);
    client.shutdown_graceful(LIMIT).await.unwrap();
    server.shutdown_graceful(LIMIT).await.unwrap();
    assert_eq!(server.associations().count(), 0);
    assert_eq!(
        (server.snapshot().stats.shutdowns, server.stats().current_established),
        (100, 0)
    );
    assert!(
        server
            .snapshot()
            .to_string()
            .contains("sctpPassiveEstabs                100\n")
    );
}

#[tokio::test]
async fn a_socket_counts_for_its_associations_also_for_those_that_ended() {
    let (server, listener, client) = pair(builder()).await;
    let streams = exchange(&listener, &client, 10).await;
    let stats = listener.stats().unwrap();
    assert_eq!((stats.messages_received, stats.messages_sent), (10, 0));
    let (stream, accepted) = &streams[0];
    assert_eq!(accepted.association().stats().unwrap().messages_received, 1);
    assert_eq!(stream.association().stats().unwrap(), stream.status().unwrap().stats);
    drop(streams);
    client.shutdown_graceful(LIMIT).await.unwrap();
    server.shutdown_graceful(LIMIT).await.unwrap();
    assert_eq!(listener.stats().unwrap().messages_received, 10);
    listener.close();
    assert_eq!(listener.stats(), Err(Error::Closed));
}

#[tokio::test]
async fn a_one_to_many_socket_counts_both_ways() {
    let stack = builder().start().await.unwrap();
    let [one, two] = [7, 8].map(|port| SctpSocket::bind_on(&stack, port).unwrap());
    two.listen(1).unwrap();
    let to = format!("{ADDRESS}:8").parse().unwrap();
    let assoc = one.connect(to).await.unwrap();
    for _ in 0..5 {
        one.send("there", &SndInfo::to(assoc)).await.unwrap();
        loop {
            if let Received::Data { info, .. } = two.recv().await.unwrap() {
                two.send("and back", &info.reply()).await.unwrap();
                break;
            }
        }
        while !matches!(one.recv().await.unwrap(), Received::Data { .. }) {}
    }
    let (a, b) = (one.stats().unwrap(), two.stats().unwrap());
    assert_eq!((a.messages_sent, a.messages_received), (5, 5));
    assert_eq!((b.messages_sent, b.messages_received), (5, 5));
    assert_eq!(one.association(assoc).stats().unwrap(), a);
}

/// How many packets are in a capture.
fn packets(file: &Path) -> u64 {
    let bytes = std::fs::read(file).unwrap();
    let mut rest = &bytes[24..];
    let mut count = 0;
    while !rest.is_empty() {
        let len = u32::from_ne_bytes(rest[8..12].try_into().unwrap());
        rest = &rest[16 + usize::try_from(len).unwrap()..];
        count += 1;
    }
    count
}

#[tokio::test]
async fn the_workers_of_a_stack_write_each_packet_down_once() {
    let name = format!("socketapi-workers-{}.pcap", std::process::id());
    let file = std::env::temp_dir().join(name);
    let (server, listener, client) = pair(builder().capture(&file)).await;
    let streams = exchange(&listener, &client, 20).await;
    drop(streams);
    client.shutdown_graceful(LIMIT).await.unwrap();
    server.shutdown_graceful(LIMIT).await.unwrap();
    let stats = server.stats();
    let (written, told) = (packets(&file), stats.packets_sent + stats.packets_received);
    let _ = std::fs::remove_file(&file);
    assert_eq!(written, told, "{stats}");
}
