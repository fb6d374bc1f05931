//! A router that marks packets in place of losing them (RFC 3168).

use std::time::Duration;

use netns_tests::namespace::Namespace;
use netns_tests::require;
use netns_tests::rootless::as_root;
use socketapi::AssociationConfig;

use crate::common::{Host, Load, capture, packets, say, under_load};

const LOAD: Load = Load {
    size: 20_000,
    pause: Duration::from_millis(1),
    config: AssociationConfig::default,
};
const MESSAGES: usize = 200;

/// A client, a router that marks one of twenty packets of those that ask for it, and a server.
fn marking(v6: bool) -> Option<([Namespace; 3], [&'static str; 2])> {
    let hosts = [Namespace::new()?, Namespace::new()?, Namespace::new()?];
    let [client, router, server] = &hosts;
    client.cable("eth0", router, "left");
    server.cable("eth0", router, "right");
    let (nets, length, options, family) = if v6 {
        (["fd00:1::", "fd00:2::"], 64, "nodad", "ip6")
    } else {
        (["10.0.1.", "10.0.2."], 24, "", "ip")
    };
    let [left, right] = nets;
    router.run(&format!(
        "echo 1 > /proc/sys/net/ipv4/ip_forward
         echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
         ip address add {left}1/{length} dev left {options}
         ip address add {right}1/{length} dev right {options}
         nft 'add table {family} full
              add chain {family} full pass {{ type filter hook forward priority 0; }}
              add rule {family} full pass {family} ecn ect0 numgen random mod 100 < 5 counter {family} ecn set ce'"
    ));
    for (host, net) in [(client, left), (server, right)] {
        host.run(&format!(
            "ip address add {net}2/{length} dev eth0 {options}
             ip route add default via {net}1"
        ));
    }
    let addresses = if v6 {
        ["fd00:1::2", "fd00:2::2"]
    } else {
        ["10.0.1.2", "10.0.2.2"]
    };
    Some((hosts, addresses))
}

/// The ECN field of each packet, and the types of its chunks.
fn fields(packets: Vec<Vec<String>>) -> Vec<(u8, Vec<u8>)> {
    let numbers = |text: &str| -> Vec<u8> { text.split(',').filter_map(|number| number.parse().ok()).collect() };
    packets
        .into_iter()
        .map(|packet| {
            let ecn = numbers(&packet[0]).into_iter().chain(numbers(&packet[1])).next();
            (ecn.unwrap_or_default(), numbers(&packet[2]))
        })
        .collect()
}

fn marks_slow_down(test: &str, v6: bool) {
    const DATA: u8 = 0;
    const ECNE: u8 = 12;
    const CWR: u8 = 13;
    if require::tool("nft").is_none() {
        return;
    }
    let Some(([one, router, two], [client, server])) = marking(v6) else {
        return;
    };
    let (Some(sent), Some(arrived)) = (
        capture(&one, "eth0", test, "client"),
        capture(&two, "eth0", test, "server"),
    ) else {
        return;
    };
    let status = under_load(
        &Host {
            namespace: &one,
            addresses: &[client],
        },
        &Host {
            namespace: &two,
            addresses: &[server],
        },
        LOAD,
        |progress| progress.wait_for_more(MESSAGES),
    );
    let stats = status.stats;
    assert!(
        status.ecn && stats.ecn_echoes_received > 0 && stats.ecn_reductions > 0,
        "{stats:?}"
    );
    let rules = router.run("nft list ruleset");
    let marked: u32 = rules
        .split_whitespace()
        .skip_while(|word| *word != "packets")
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    assert!(marked > 0, "{rules}");

    let asked = ["ip.dsfield.ecn", "ipv6.tclass.ecn", "sctp.chunk_type"];
    let (sent, arrived) = (
        fields(packets(&sent.stop(), &asked)),
        fields(packets(&arrived.stop(), &asked)),
    );
    let of = |packets: &[(u8, Vec<u8>)], ecn: u8, kind: u8| {
        let like = packets
            .iter()
            .filter(|(field, kinds)| *field == ecn && kinds.contains(&kind));
        like.count()
    };
    assert!(of(&sent, 2, DATA) > 0, "data asks for marks");
    let modest = |(ecn, kinds): &(u8, Vec<u8>)| *ecn == 0 || kinds.contains(&DATA);
    assert!(sent.iter().all(modest), "nothing else does");
    assert!(of(&arrived, 3, DATA) > 0, "marks arrive");
    assert!(of(&sent, 0, ECNE) > 0, "the server tells");
    assert!(of(&sent, 0, CWR) + of(&sent, 2, CWR) > 0, "the client has heard");
    say(
        test,
        &format!(
            "{marked} packets or trains marked, {} times told, the window shrunk {} times; {} chunks sent again",
            stats.ecn_echoes_received, stats.ecn_reductions, stats.data_chunks_retransmitted
        ),
    );
}

#[test]
fn rfc3168_5_marks_of_a_router_slow_a_sender_down_in_ipv4() {
    as_root(|| marks_slow_down("ecn-v4", false));
}

#[test]
fn rfc3168_5_marks_of_a_router_slow_a_sender_down_in_ipv6() {
    as_root(|| marks_slow_down("ecn-v6", true));
}
