//! Path MTU discovery (RFC 8899) over real sockets.

#![cfg(all(feature = "userland", target_os = "linux"))]

mod common;

use common::{at, builder, next, pattern, stack, stack_towards, unhurried, within};
use socketapi::{MtuDiscovery, SndInfo};

/// The loopback interface carries whatever a length field of IP can say.
async fn finds_the_largest_packet(address: &str) {
    let server = stack(&[address]).await;
    let client = stack_towards(&[address], &server).await;
    let listener = server.listener(7).unwrap();
    let patient = builder(&client).association(unhurried());
    let opened = within(patient.connect(at(address, 7))).await.unwrap();
    let (accepted, _) = within(listener.accept()).await.unwrap();
    let sent = pattern(150_000);
    let mut rounds = 0;
    loop {
        for _ in 0..4 {
            within(opened.send(sent.clone(), &SndInfo::new())).await.unwrap();
        }
        for _ in 0..4 {
            let mut received = Vec::new();
            while received.len() < sent.len() {
                received.extend_from_slice(&next(&accepted).await.payload);
            }
            assert!(received == sent, "the bytes differ");
        }
        rounds += 1;
        let path = &opened.status().unwrap().paths[0];
        if path.mtu_discovery == MtuDiscovery::SearchComplete {
            assert_eq!(path.mtu, 65_535, "after {rounds} rounds");
            break;
        }
        // Each probe has an answer, or is refused at once.
        assert!(rounds < 1000, "{path:?}");
    }
    let status = opened.status().unwrap();
    assert_eq!((status.paths[0].mtu, status.stats.t3_expiries), (65_535, 0));
}

#[tokio::test]
async fn rfc8899_5_3_the_loopback_interface_carries_64_kib_over_ipv4() {
    finds_the_largest_packet("127.0.0.1").await;
}

#[tokio::test]
async fn rfc8899_5_3_the_loopback_interface_carries_64_kib_over_ipv6() {
    finds_the_largest_packet("::1").await;
}
