//! Hosts with IPv4, IPv6 or both.

use std::time::Duration;

use netns_tests::namespace::Namespace;
use netns_tests::require;
use netns_tests::rootless::as_root;
use socketapi::PathState;

use crate::common::{Host, Load, capture, packets, path, under_load, watchful};

const LOAD: Load = Load {
    size: 2000,
    pause: Duration::from_millis(2),
    config: watchful,
};
const V4: [&str; 2] = ["10.0.0.1", "10.0.0.2"];
const V6: [&str; 2] = ["fd00::1", "fd00::2"];

/// Which addresses hosts have.
struct Mix<'a> {
    name: &'a str,
    client: &'a [&'a str],
    /// The first one is where the client connects to.
    server: &'a [&'a str],
    /// Those of the server's that the client can reach.
    paths: &'a [&'a str],
}

/// Two hosts with a cable between them, and both versions of IP.
fn cabled() -> Option<[Namespace; 2]> {
    let hosts = [Namespace::new()?, Namespace::new()?];
    let [one, two] = &hosts;
    one.cable("eth0", two, "eth0");
    for (host, (v4, v6)) in hosts.iter().zip(V4.iter().zip(V6)) {
        host.run(&format!(
            "ip address add {v4}/24 dev eth0; ip address add {v6}/64 dev eth0 nodad"
        ));
    }
    Some(hosts)
}

#[test]
fn rfc9260_5_1_2_hosts_use_the_versions_of_ip_that_both_have() {
    as_root(|| {
        let Some([one, two]) = cabled() else { return };
        let both: [[&str; 2]; 2] = [[V4[0], V6[0]], [V4[1], V6[1]]];
        let mix = |name, client, server, paths| Mix {
            name,
            client,
            server,
            paths,
        };
        let mixes = [
            mix("ipv6-alone", &V6[..1], &V6[1..], &V6[1..]),
            mix("client-ipv4", &V4[..1], &both[1], &V4[1..]),
            mix("client-ipv6", &V6[..1], &[V6[1], V4[1]], &V6[1..]),
            mix("server-ipv4", &both[0], &V4[1..], &V4[1..]),
            mix("both", &both[0], &[V6[1], V4[1]], &[V6[1], V4[1]]),
        ];
        for mix in mixes {
            let Some(capture) = capture(&one, "eth0", "mixed", mix.name) else {
                return;
            };
            let client = Host {
                namespace: &one,
                addresses: mix.client,
            };
            let server = Host {
                namespace: &two,
                addresses: mix.server,
            };
            under_load(&client, &server, LOAD, |progress| {
                progress.wait_for_client(mix.name, |status| {
                    let mut working = mix.paths.iter().map(|address| path(status, address));
                    working.all(|path| path.state == PathState::Active)
                });
                progress.wait_for_more(50);
            });
            let packets = packets(&capture.stop(), &["ip.dst", "ipv6.dst", "sctp.data_tsn"]);
            let data = |field: usize, to: &str| {
                let mut packets = packets.iter();
                packets.any(|packet| packet[field] == to && !packet[2].is_empty())
            };
            let to = mix.server[0];
            assert!(data(usize::from(to.contains(':')), to), "{}: no data to {to}", mix.name);
        }
    });
}

#[test]
fn rfc9260_6_4_1_an_association_outlives_ipv6_and_goes_on_over_ipv4() {
    as_root(|| {
        const TEST: &str = "without-ipv6";
        if require::tool("nft").is_none() {
            return;
        }
        let Some([one, two]) = cabled() else { return };
        let Some(capture) = capture(&one, "eth0", TEST, "client") else {
            return;
        };
        let client = Host {
            namespace: &one,
            addresses: &[V6[0], V4[0]],
        };
        let server = Host {
            namespace: &two,
            addresses: &[V6[1], V4[1]],
        };
        under_load(&client, &server, LOAD, |progress| {
            progress.wait_for_client("both paths work", |status| {
                status.paths.iter().all(|path| path.state == PathState::Active) && status.paths.len() == 2
            });
            progress.wait_for_more(50);
            two.run(
                "nft 'add table ip6 off
                      add chain ip6 off input { type filter hook input priority 0; }
                      add rule ip6 off input drop'",
            );
            progress.wait_for_client("IPv6 fails", |status| path(status, V6[1]).state != PathState::Active);
            progress.wait_for_more(50);
        });
        let packets = packets(&capture.stop(), &["ip.dst", "ipv6.dst", "sctp.data_tsn"]);
        let to = |field: usize, to: &str| {
            let mut packets = packets.iter();
            packets.any(|packet| packet[field] == to && !packet[2].is_empty())
        };
        assert!(to(1, V6[1]) && to(0, V4[1]), "data over both");
    });
}
