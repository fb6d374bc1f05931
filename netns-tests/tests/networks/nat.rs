//! A client behind a box that translates its address and port (RFC 6951).

use std::time::{Duration, Instant};

use netns_tests::namespace::Namespace;
use netns_tests::process::PATIENCE;
use netns_tests::require;
use netns_tests::rootless::as_root;

use crate::common::{Host, Load, capture, packets, under_load, watchful};

const LOAD: Load = Load {
    size: 2000,
    pause: Duration::from_millis(2),
    config: watchful,
};
const BEFORE: u16 = 41_000;
const AFTER: u16 = 42_000;

/// Has the box give the client's packets a source port.
fn translate(nat: &Namespace, port: u16) {
    nat.run(&format!(
        "nft 'flush chain ip nat out
              add rule ip nat out oifname outside udp sport 9899 masquerade to :{port}'"
    ));
}

#[test]
fn rfc6951_5_4_a_nat_gives_another_port_in_mid_association() {
    as_root(|| {
        const TEST: &str = "nat";
        if require::tool("nft").is_none() {
            return;
        }
        let (Some(one), Some(nat), Some(two)) = (Namespace::new(), Namespace::new(), Namespace::new()) else {
            return;
        };
        one.cable("eth0", &nat, "inside");
        two.cable("eth0", &nat, "outside");
        one.run("ip address add 192.168.1.2/24 dev eth0; ip route add default via 192.168.1.1");
        two.run("ip address add 203.0.113.2/24 dev eth0");
        // What arrives from outside and belongs to nothing is dropped without a word.
        nat.run(
            "echo 1 > /proc/sys/net/ipv4/ip_forward
             ip address add 192.168.1.1/24 dev inside
             ip address add 203.0.113.1/24 dev outside
             nft 'add table ip nat
                  add chain ip nat out { type nat hook postrouting priority 100; }
                  add chain ip nat in { type filter hook input priority 0; }
                  add rule ip nat in iifname outside drop'",
        );
        translate(&nat, BEFORE);
        let (Some(inside), Some(outside)) = (
            capture(&one, "eth0", TEST, "inside"),
            capture(&two, "eth0", TEST, "outside"),
        ) else {
            return;
        };
        let client = Host {
            namespace: &one,
            addresses: &["192.168.1.2"],
        };
        let server = Host {
            namespace: &two,
            addresses: &["203.0.113.2"],
        };
        under_load(&client, &server, LOAD, |progress| {
            progress.wait_for_server("the first port", |status| {
                status.paths[0].encapsulation_port == Some(BEFORE)
            });
            progress.wait_for_more(100);
            // An interface that goes down makes the box forget its translations.
            nat.run("ip link set outside down");
            forget(&nat);
            translate(&nat, AFTER);
            nat.run("ip link set outside up");
            progress.wait_for_server("the other port", |status| {
                status.paths[0].encapsulation_port == Some(AFTER)
            });
            progress.wait_for_more(100);
        });
        let (inside, outside) = (inside.stop(), outside.stop());
        let fields = ["ip.src", "udp.srcport", "ip.dst", "udp.dstport", "sctp.data_tsn"];
        let outside = packets(&outside, &fields);
        let from_port = |port: u16| {
            let wanted = ["203.0.113.1", &port.to_string(), "203.0.113.2", "9899"].map(str::to_owned);
            let mut packets = outside.iter();
            packets.any(|packet| packet[..4] == wanted && !packet[4].is_empty())
        };
        assert!(from_port(BEFORE) && from_port(AFTER), "data from both ports");
        let to_new = ["203.0.113.2", "9899", "203.0.113.1", &AFTER.to_string()].map(str::to_owned);
        assert!(
            outside.iter().any(|packet| packet[..4] == to_new),
            "the server answers to the new port"
        );
        let ports = packets(&inside, &["udp.port"]);
        assert!(
            ports.iter().all(|packet| packet[0] == "9899,9899"),
            "the client knows nothing of it"
        );
    });
}

/// Waits until the box has no translation left; it forgets them in the background.
fn forget(nat: &Namespace) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let count = nat.run("cat /proc/sys/net/netfilter/nf_conntrack_count");
        if count.trim() == "0" {
            return;
        }
        assert!(Instant::now() < deadline, "{count} translations are left");
    }
}
