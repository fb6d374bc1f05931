//! IP version 6, alone and beside version 4.

use std::time::Duration;

use netns_tests::guest::{GUEST, GUEST_V6, HOST, HOST_V6};
use sctp::config::AssociationConfig;
use sctp::{Event, PathChange, PathState};

use crate::common::{Carrier, Pair, hasty};

const COUNT: u32 = 100;
const SIZE: usize = 10_000;

/// Messages of many packets each way, whoever opens the association.
fn bulk(carrier: Carrier) {
    for engine_connects in [true, false] {
        let Some(mut pair) = Pair::between(carrier, &HOST_V6[..1], &GUEST_V6[..1], &[]) else {
            return;
        };
        let config = AssociationConfig::default();
        let assoc = if engine_connects {
            pair.engine_connects(&config)
        } else {
            pair.kernel_connects(&config)
        };
        let path = &pair.host.status(assoc).paths[0];
        assert_eq!(path.address.to_string(), GUEST_V6[0]);
        pair.begin(&format!("expect {COUNT} {SIZE}"));
        pair.send_all(assoc, COUNT, SIZE, 1);
        pair.end("expect");
        pair.begin(&format!("send {COUNT} {SIZE}"));
        pair.receive_all(assoc, COUNT, SIZE, 1);
        pair.end("send");
        pair.begin("collect");
        pair.host.shutdown(assoc);
        assert_eq!(pair.said("collected"), "");
    }
}

#[test]
fn bulk_over_ipv6_in_udp() {
    bulk(Carrier::Udp);
}

#[test]
fn bulk_over_ipv6_on_ip() {
    bulk(Carrier::Ip);
}

/// One association over both versions; its IPv4 network fails, and what is sent takes the other one once the first path
/// is potentially failed (RFC 7829 §3.2), long before it counts as inactive.
fn fails_over_to_ipv6(carrier: Carrier) {
    let (ours, theirs) = ([HOST[0], HOST_V6[1]], [GUEST[0], GUEST_V6[1]]);
    let settings = [
        ("rto_min", 300),
        ("rto_initial", 300),
        ("rto_max", 600),
        ("association_max_retrans", 1000),
    ];
    let Some(mut pair) = Pair::between(carrier, &ours, &theirs, &settings) else {
        return;
    };
    let rto = Duration::from_millis(200);
    let mut config = hasty(rto, 2 * rto);
    config.path_mut().set_heartbeat_interval(Some(rto)).unwrap();
    config.path_mut().set_path_max_retrans(200);
    let assoc = pair.engine_connects(&config);
    pair.host.until("both paths are confirmed", |host| {
        let paths = host.status(assoc).paths;
        (paths.len() == 2 && paths.iter().all(|path| path.state == PathState::Active)).then_some(())
    });
    pair.begin(&format!("expect {COUNT} {SIZE}"));
    pair.send_some(assoc, 0..COUNT / 2, SIZE, 1);
    pair.session.link(1, false);
    pair.send_some(assoc, COUNT / 2..COUNT, SIZE, 1);
    // All of it arrives while the first network is away.
    pair.end("expect");
    let happened = |pair: &mut Pair, wanted| {
        pair.host.happened(assoc, |event| {
            matches!(event, Event::PathChanged { address, change }
                if address.to_string() == GUEST[0] && *change == wanted)
        })
    };
    assert!(happened(&mut pair, PathChange::PotentiallyFailed).is_some());
    assert!(happened(&mut pair, PathChange::Unreachable).is_none());
    pair.session.link(1, true);
    pair.host.until("the path is back", |host| {
        let paths = host.status(assoc).paths;
        paths.iter().all(|path| path.state == PathState::Active).then_some(())
    });
    pair.talk(assoc);
}

#[test]
fn rfc7829_3_2_an_association_goes_on_over_ipv6_in_udp() {
    fails_over_to_ipv6(Carrier::Udp);
}

#[test]
fn rfc7829_3_2_an_association_goes_on_over_ipv6_on_ip() {
    fails_over_to_ipv6(Carrier::Ip);
}
