//! A router that marks packets in place of losing them (RFC 3168).

use std::time::Duration;

use netns_tests::namespace::Namespace;
use netns_tests::require;
use netns_tests::rootless::as_root;
use socketapi::AssociationConfig;

use crate::common::{Host, Load, capture_both, counted, packets, routed, say, under_load};

const LOAD: Load = Load {
    size: 20_000,
    pause: Duration::from_millis(1),
    config: AssociationConfig::default,
};
const MESSAGES: usize = 200;

/// The router marks one of twenty packets of those that ask for it.
fn mark(router: &Namespace, v6: bool) {
    let family = if v6 { "ip6" } else { "ip" };
    router.run(&format!(
        "nft 'add table {family} full
              add chain {family} full pass {{ type filter hook forward priority 0; }}
              add rule {family} full pass {family} ecn ect0 numgen random mod 100 < 5 counter {family} ecn set ce'"
    ));
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
    let Some(([one, router, two], [client, server])) = routed(v6) else {
        return;
    };
    mark(&router, v6);
    let Some([sent, arrived]) = capture_both(&one, &two, test) else {
        return;
    };
    let (client, server) = ([client], [server]);
    let (client, server) = (Host::new(&one, &client), Host::new(&two, &server));
    let status = under_load(&client, &server, LOAD, |progress| progress.wait_for_more(MESSAGES));
    let stats = status.stats;
    assert!(
        status.ecn && stats.ecn_echoes_received > 0 && stats.ecn_reductions > 0,
        "{stats:?}"
    );
    let marked = counted(&router);

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
