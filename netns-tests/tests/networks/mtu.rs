//! A router whose other network takes smaller packets from one moment to the next (RFC 8899).

use std::time::Duration;

use netns_tests::namespace::Namespace;
use netns_tests::rootless::as_root;
use socketapi::{AssociationConfig, MtuDiscovery};

use crate::common::{Host, Load, capture, packets, path, routed, say, under_load};

const LOAD: Load = Load {
    size: 20_000,
    pause: Duration::from_millis(5),
    config: AssociationConfig::default,
};
const SMALL: usize = 1300;

/// A client, a router and a server, in one version of IP or the other.
struct Routed {
    client: Namespace,
    router: Namespace,
    server: Namespace,
    addresses: [&'static str; 2],
}

impl Routed {
    fn new(v6: bool) -> Option<Self> {
        let ([client, router, server], addresses) = routed(v6)?;
        Some(Self {
            client,
            router,
            server,
            addresses,
        })
    }

    /// The largest packet drops to [`SMALL`] under load.
    fn drop_under_load(&self, test: &str) {
        let Some(capture) = capture(&self.server, "eth0", test, "server") else {
            return;
        };
        let [client, server] = self.addresses;
        let status = under_load(
            &Host {
                namespace: &self.client,
                addresses: &[client],
            },
            &Host {
                namespace: &self.server,
                addresses: &[server],
            },
            LOAD,
            |progress| {
                progress.wait_for_client("the search is complete", |status| {
                    path(status, server).mtu_discovery == MtuDiscovery::SearchComplete
                });
                progress.wait_for_client("large packets", |status| path(status, server).mtu == 1500);
                progress.wait_for_more(10);
                let before = std::time::Instant::now();
                self.router.run(&format!("ip link set right mtu {SMALL}"));
                progress.wait_for_client("smaller packets", |status| path(status, server).mtu <= SMALL);
                progress.wait_for_more(50);
                say(
                    test,
                    &format!("{} ms without a message", progress.longest_gap(before).as_millis()),
                );
            },
        );
        let mtu = path(&status, server).mtu;
        assert!((1200..=SMALL).contains(&mtu), "{mtu}");
        let fields = ["ip.len", "ipv6.plen", "ip.flags.mf", "ip.frag_offset", "sctp.data_tsn"];
        let packets = packets(&capture.stop(), &fields);
        let sizes: Vec<usize> = packets
            .iter()
            .filter(|packet| !packet[4].is_empty())
            .map(|packet| {
                let v4: Option<usize> = packet[0].parse().ok();
                v4.unwrap_or_else(|| packet[1].parse::<usize>().unwrap() + 40)
            })
            .collect();
        let large = sizes
            .iter()
            .rposition(|size| *size > SMALL)
            .expect("large packets first");
        let rest = &sizes[large + 1..];
        assert!(rest.len() > 100, "{} packets after the last large one", rest.len());
        // Chunks from before are sent once more in fragments (RFC 9260 §6.9), new ones fit.
        let whole = |packet: &Vec<String>| {
            !matches!(packet[2].as_str(), "1" | "True") && matches!(packet[3].as_str(), "" | "0")
        };
        assert!(packets.iter().rev().take(100).all(whole), "fragments to the end");
    }
}

#[test]
fn rfc8899_4_6_1_a_router_that_tells_of_smaller_packets_is_believed_over_ipv4() {
    as_root(|| {
        let Some(routed) = Routed::new(false) else { return };
        routed.drop_under_load("mtu-told-ipv4");
    });
}

#[test]
fn rfc8899_4_6_1_a_router_that_tells_of_smaller_packets_is_believed_over_ipv6() {
    as_root(|| {
        let Some(routed) = Routed::new(true) else { return };
        routed.drop_under_load("mtu-told-ipv6");
    });
}

#[test]
fn rfc8899_4_3_a_router_that_swallows_large_packets_in_silence_is_noticed() {
    as_root(|| {
        if netns_tests::require::tool("nft").is_none() {
            return;
        }
        let Some(routed) = Routed::new(false) else { return };
        routed.router.run(
            "nft 'add table ip silence
                  add chain ip silence output { type filter hook output priority 0; }
                  add rule ip silence output icmp type destination-unreachable drop'",
        );
        routed.drop_under_load("mtu-black-hole");
    });
}
