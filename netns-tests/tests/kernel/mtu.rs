//! The size of packets that a path carries (RFC 8899), found with PAD chunks (RFC 4820), which the kernel does not
//! know.

use sctp::MtuDiscovery;
use sctp::config::AssociationConfig;

use crate::common::{Carrier, Pair};

/// What the guest's interfaces carry.
const MTU: usize = 1500;

fn the_engine_finds_what_the_path_carries(carrier: Carrier) {
    let Some(mut pair) = Pair::new(carrier, 1) else { return };
    let assoc = pair.engine_connects(&AssociationConfig::default());
    assert!(pair.host.status(assoc).paths[0].mtu < MTU);
    pair.talk(assoc);
    pair.host.until("the search is complete", |host| {
        let path = &host.status(assoc).paths[0];
        (path.mtu_discovery == MtuDiscovery::SearchComplete).then_some(())
    });
    assert_eq!(pair.host.status(assoc).paths[0].mtu, MTU);
    pair.talk(assoc);
    pair.begin("collect");
    pair.host.shutdown(assoc);
}

#[test]
fn rfc8899_5_the_engine_finds_what_the_path_carries_in_udp() {
    the_engine_finds_what_the_path_carries(Carrier::Udp);
}

#[test]
fn rfc8899_5_the_engine_finds_what_the_path_carries_on_ip() {
    the_engine_finds_what_the_path_carries(Carrier::Ip);
}
