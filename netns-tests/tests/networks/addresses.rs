//! A host that gets and loses addresses while it sends (RFC 5061): its stack follows them, and tells its peers.

use netns_tests::namespace::Namespace;
use netns_tests::rootless::as_root;
use socketapi::{AssociationConfig, AssociationStatus, PathState};
use std::time::Duration;

use crate::common::{Host, Load, capture, ip, packets, under_load};

const SIZE: usize = 1000;

/// Offers to change addresses, and does so by itself (RFC 6458 §8.1.23).
fn automatic() -> AssociationConfig {
    let mut config = AssociationConfig::default();
    config.asconf_mut().set_offered(true);
    config.asconf_mut().set_automatic(true);
    config
}

/// The addresses at which a peer can be reached.
fn active(status: &AssociationStatus) -> Vec<String> {
    let active = status.paths.iter().filter(|path| path.state == PathState::Active);
    active.map(|path| path.address.to_string()).collect()
}

/// Where a client comes from and goes to, and the server's addresses; all on one network.
struct Move<'a> {
    test: &'a str,
    before: &'a str,
    after: &'a str,
    prefix: u8,
    server: [&'a str; 2],
}

/// The client is on all addresses, whatever they are.
fn moves(way: &Move<'_>) {
    let (Some(one), Some(two)) = (Namespace::new(), Namespace::new()) else {
        return;
    };
    one.cable("eth0", &two, "eth0");
    let Move {
        before,
        after,
        prefix,
        server,
        ..
    } = way;
    // Two hosts without others need not find out who has an address.
    let options = if ip(before).is_ipv6() { "nodad" } else { "" };
    one.run(&format!("ip address add {before}/{prefix} dev eth0 {options}"));
    for address in server {
        two.run(&format!("ip address add {address}/{prefix} dev eth0 {options}"));
    }
    let Some(capture) = capture(&two, "eth0", way.test, "server") else {
        return;
    };
    let client = Host {
        namespace: &one,
        addresses: &[],
    };
    let host = Host {
        namespace: &two,
        addresses: server,
    };
    let load = Load {
        size: SIZE,
        pause: Duration::from_millis(1),
        config: automatic,
    };
    under_load(&client, &host, load, |progress| {
        progress.wait_for_more(50);
        one.run(&format!("ip address add {after}/{prefix} dev eth0 {options}"));
        progress.wait_for_server("the new address is used", |status| {
            active(status).iter().any(|address| address == after)
        });
        progress.wait_for_more(50);
        one.run(&format!("ip address del {before}/{prefix} dev eth0"));
        progress.wait_for_server("the old address is forgotten", |status| active(status) == [*after]);
        progress.wait_for_more(50);
    });
    let version = if ip(before).is_ipv6() { "ipv6.src" } else { "ip.src" };
    let packets = packets(&capture.stop(), &[version, "sctp.chunk_type", "sctp.parameter_type"]);
    let asks = |from: &str, parameter: &str| {
        packets.iter().any(|packet| {
            let asconf = packet[1].split(',').any(|kind| matches!(kind, "193" | "0xc1"));
            packet[0] == from && asconf && packet[2].contains(parameter)
        })
    };
    assert!(
        asks(before, "0xc001") || asks(after, "0xc001"),
        "a request to add: {packets:?}"
    );
    assert!(asks(after, "0xc002"), "a request to delete, from the new address");
}

#[test]
fn rfc5061_5_1_addresses_that_come_and_go_are_told_by_themselves() {
    as_root(|| {
        moves(&Move {
            test: "addresses",
            before: "10.0.0.1",
            after: "10.0.1.1",
            prefix: 24,
            server: ["10.0.0.2", "10.0.1.2"],
        });
    });
}

#[test]
fn rfc5061_5_1_ipv6_addresses_that_come_and_go_are_told_by_themselves() {
    as_root(|| {
        moves(&Move {
            test: "addresses-ipv6",
            before: "fd00::1",
            after: "fd00:0:0:1::1",
            prefix: 64,
            server: ["fd00::2", "fd00:0:0:1::2"],
        });
    });
}
