//! Two networks, one of which fails under load (RFC 9260 §6.4, §8).

use std::time::Duration;

use netns_tests::guest::GUEST;
use sctp::config::AssociationConfig;
use sctp::{AssocId, Event, PathChange, PathState};

use crate::common::{Carrier, Incoming, Pair, hasty};

const COUNT: u32 = 400;
const SIZE: usize = 5000;

/// Quick to give a path up, but never the association.
fn config() -> AssociationConfig {
    let rto = Duration::from_millis(200);
    let mut config = hasty(rto, 2 * rto);
    config.path_mut().set_path_max_retrans(2);
    config.path_mut().set_heartbeat_interval(Some(rto)).unwrap();
    config
}

fn pair(carrier: Carrier) -> Option<Pair> {
    let settings = [
        ("rto_min", 300),
        ("rto_initial", 300),
        ("rto_max", 600),
        ("path_max_retrans", 2),
        ("association_max_retrans", 1000),
        ("hb_interval", 300),
    ];
    Pair::with(carrier, 2, &settings)
}

fn until_both_paths_work(pair: &mut Pair, assoc: AssocId) {
    pair.host.until("both paths are confirmed", |host| {
        let paths = host.status(assoc).paths;
        (paths.len() == 2 && paths.iter().all(|path| path.state == PathState::Active)).then_some(())
    });
}

fn until_path(pair: &mut Pair, assoc: AssocId, network: usize, wanted: PathChange) {
    pair.host.until("the path changes", |host| {
        host.happened(assoc, |event| {
            matches!(event, Event::PathChanged { address, change }
                if address.to_string() == GUEST[network] && *change == wanted)
        })
    });
}

/// The engine sends while the first network fails, and on after it is back.
fn engine_fails_over(carrier: Carrier) {
    let Some(mut pair) = pair(carrier) else { return };
    let assoc = pair.engine_connects(&config());
    until_both_paths_work(&mut pair, assoc);
    let said = pair.ask("status", "status");
    assert!(said.contains("10.99.1.1") && said.contains("10.99.2.1"), "{said}");
    pair.begin(&format!("expect {COUNT} {SIZE} streams=3"));
    pair.send_some(assoc, 0..COUNT / 4, SIZE, 3);
    pair.session.link(1, false);
    pair.send_some(assoc, COUNT / 4..COUNT / 2, SIZE, 3);
    until_path(&mut pair, assoc, 0, PathChange::Unreachable);
    pair.send_some(assoc, COUNT / 2..COUNT * 3 / 4, SIZE, 3);
    pair.session.link(1, true);
    until_path(&mut pair, assoc, 0, PathChange::Available);
    pair.send_some(assoc, COUNT * 3 / 4..COUNT, SIZE, 3);
    pair.end("expect");
    pair.begin("collect");
    pair.host.shutdown(assoc);
    assert_eq!(pair.said("collected"), "", "nothing came twice");
}

#[test]
fn rfc9260_6_4_the_engine_fails_over_in_udp() {
    engine_fails_over(Carrier::Udp);
}

#[test]
fn rfc9260_6_4_the_engine_fails_over_on_ip() {
    engine_fails_over(Carrier::Ip);
}

/// The kernel sends while the first network fails, and on after it is back.
fn kernel_fails_over(carrier: Carrier) {
    let Some(mut pair) = pair(carrier) else { return };
    let assoc = pair.kernel_connects(&config());
    until_both_paths_work(&mut pair, assoc);
    pair.begin(&format!("send {COUNT} {SIZE} streams=3"));
    let mut received = Incoming::new(SIZE, 3);
    received.take(&mut pair.host, assoc, COUNT / 4);
    pair.session.link(1, false);
    received.take(&mut pair.host, assoc, COUNT / 2);
    until_path(&mut pair, assoc, 0, PathChange::Unreachable);
    pair.session.link(1, true);
    received.take(&mut pair.host, assoc, COUNT / 4);
    until_path(&mut pair, assoc, 0, PathChange::Available);
    pair.end("send");
    pair.begin("shutdown");
    pair.host.until_shutdown(assoc);
    assert!(pair.host.try_receive(assoc).is_none(), "nothing came twice");
    pair.end("shutdown");
}

#[test]
fn rfc9260_6_4_the_kernel_fails_over_in_udp() {
    kernel_fails_over(Carrier::Udp);
}

#[test]
fn rfc9260_6_4_the_kernel_fails_over_on_ip() {
    kernel_fails_over(Carrier::Ip);
}
