//! A path that loses packets and changes their order.

use std::collections::BTreeMap;
use std::time::Duration;

use netns_tests::namespace::Namespace;
use netns_tests::require;
use netns_tests::rootless::as_root;
use socketapi::AssociationConfig;

use crate::common::{Host, Load, capture_both, counted, packets, say, under_load};

const LOAD: Load = Load {
    size: 5000,
    pause: Duration::from_millis(1),
    config: patient_for_a_second,
};
const MESSAGES: usize = 150;

/// Nearly one of five packets lacks its answer, so that the time-out would often double, up to a minute.
fn patient_for_a_second() -> AssociationConfig {
    let mut config = AssociationConfig::default();
    let [initial, least, most] = [500, 100, 1000].map(Duration::from_millis);
    config.set_rto(initial, least, most).unwrap();
    config
}

/// Two routers with two links between them, and the hosts at either side. The first router loses 10 % of the packets of
/// each direction, and sends 30 % of what goes to the server over a slow link, so that others overtake them. That is
/// not `tc netem`, which many kernels lack, but the order changes as it does in real networks.
fn bad_path() -> Option<[Namespace; 4]> {
    let hosts = [
        Namespace::new()?,
        Namespace::new()?,
        Namespace::new()?,
        Namespace::new()?,
    ];
    let [client, near, far, server] = &hosts;
    client.cable("eth0", near, "left");
    near.cable("fast", far, "fast");
    near.cable("slow", far, "slow");
    server.cable("eth0", far, "right");
    client.run("ip address add 10.0.1.2/24 dev eth0; ip route add default via 10.0.1.1");
    server.run("ip address add 10.0.2.2/24 dev eth0; ip route add default via 10.0.2.1");
    near.run(
        "echo 1 > /proc/sys/net/ipv4/ip_forward
         ip address add 10.0.1.1/24 dev left
         ip address add 10.0.3.1/24 dev fast
         ip address add 10.0.4.1/24 dev slow
         ip route add 10.0.2.0/24 via 10.0.3.2
         ip route add 10.0.2.0/24 via 10.0.4.2 table 100
         ip rule add fwmark 1 lookup 100
         tc qdisc add dev slow root tbf rate 8mbit burst 3000 latency 100ms
         nft 'add table ip bad
              add chain ip bad arrive { type filter hook prerouting priority -150; }
              add rule ip bad arrive iifname left numgen random mod 100 < 30 meta mark set 1
              add chain ip bad pass { type filter hook forward priority 0; }
              add rule ip bad pass numgen random mod 100 < 10 counter drop'",
    );
    far.run(
        "echo 1 > /proc/sys/net/ipv4/ip_forward
         ip address add 10.0.2.1/24 dev right
         ip address add 10.0.3.2/24 dev fast
         ip address add 10.0.4.2/24 dev slow
         ip route add 10.0.1.0/24 via 10.0.3.1",
    );
    Some(hosts)
}

/// The TSNs of DATA in the order they went by.
fn tsns(packets: &[Vec<String>]) -> Vec<u32> {
    let lists = packets.iter().flat_map(|packet| packet[0].split(','));
    lists
        .filter(|tsn| !tsn.is_empty())
        .map(|tsn| tsn.parse().unwrap())
        .collect()
}

#[test]
fn rfc9260_7_2_4_a_path_that_loses_and_reorders_costs_no_message() {
    as_root(|| {
        const TEST: &str = "loss";
        if require::tool("nft").is_none() || require::tool("tc").is_none() {
            return;
        }
        let Some([one, near, _far, two]) = bad_path() else {
            return;
        };
        let Some([sent, arrived]) = capture_both(&one, &two, TEST) else {
            return;
        };
        let (client, server) = (Host::new(&one, &["10.0.1.2"]), Host::new(&two, &["10.0.2.2"]));
        let status = under_load(&client, &server, LOAD, |progress| progress.wait_for_more(MESSAGES));
        let stats = status.stats;
        assert!(stats.data_chunks_retransmitted > 0, "{stats:?}");
        let (sent, arrived) = (sent.stop(), arrived.stop());
        let field = ["sctp.data_tsn"];
        let (sent, arrived) = (tsns(&packets(&sent, &field)), tsns(&packets(&arrived, &field)));
        let mut times = BTreeMap::new();
        for tsn in &sent {
            *times.entry(*tsn).or_insert(0) += 1;
        }
        assert!(times.len() < sent.len(), "some chunks are sent again");
        // Those that were sent once were overtaken if they arrive after a later one.
        let once: Vec<u32> = arrived
            .iter()
            .copied()
            .filter(|tsn| times.get(tsn) == Some(&1))
            .collect();
        let overtaken = once
            .windows(2)
            .filter(|pair| pair[1].wrapping_sub(pair[0]) > u32::MAX / 2)
            .count();
        assert!(overtaken > 0, "the order never changed");
        let dropped = counted(&near);
        say(
            TEST,
            &format!(
                "{} chunks sent, {} of them again; {dropped} packets lost, {overtaken} overtaken; {} time-outs",
                sent.len(),
                sent.len() - times.len(),
                stats.t3_expiries
            ),
        );
    });
}
