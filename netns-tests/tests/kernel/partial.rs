//! Partial reliability (RFC 3758, RFC 7496), with packets lost on the way.

use std::collections::BTreeSet;
use std::time::Duration;

use netns_tests::content;
use sctp::config::AssociationConfig;
use sctp::{Event, OutMessage, Reliability};

use crate::common::{Carrier, Pair, hasty};

const COUNT: u32 = 200;
const SIZE: usize = 1000;

fn config() -> AssociationConfig {
    let rto = Duration::from_millis(200);
    hasty(rto, 5 * rto)
}

/// What the engine gives up is what the kernel may lack, and nothing else; order is kept.
fn engine_gives_up(reliability: Reliability, unordered: bool) {
    let Some(mut pair) = Pair::new(Carrier::Udp, 1) else {
        return;
    };
    let assoc = pair.engine_connects(&config());
    assert!(pair.host.status(assoc).partial_reliability);
    pair.begin("collect");
    pair.host.lose(0, 5);
    for index in 0..COUNT {
        let message = OutMessage {
            reliability,
            unordered,
            context: index,
            ..content::message(index, SIZE, 0)
        };
        pair.host.send(assoc, &message);
    }
    pair.host.shutdown(assoc);
    let collected: Vec<u32> = pair
        .said("collected")
        .split(' ')
        .map(|word| word.parse().unwrap())
        .collect();
    assert!(unordered || collected.is_sorted(), "{collected:?}");
    let arrived: BTreeSet<u32> = collected.iter().copied().collect();
    assert_eq!(arrived.len(), collected.len(), "nothing comes twice");
    let given_up: BTreeSet<u32> = pair
        .host
        .log()
        .iter()
        .filter_map(|(_, event)| match event {
            Event::SendFailed(failure) => Some(failure.context),
            _ => None,
        })
        .collect();
    let missing: BTreeSet<u32> = (0..COUNT).filter(|index| !arrived.contains(index)).collect();
    assert!(!missing.is_empty() && !arrived.is_empty());
    assert!(
        missing.is_subset(&given_up),
        "missing {missing:?}, given up {given_up:?}"
    );
}

#[test]
fn rfc7496_3_1_the_engine_gives_up_what_would_be_sent_again() {
    engine_gives_up(Reliability::Retransmissions(0), false);
}

#[test]
fn rfc3758_4_the_engine_gives_up_what_is_late() {
    engine_gives_up(Reliability::Timed(Duration::from_millis(50)), false);
}

#[test]
fn rfc3758_4_the_engine_gives_up_unordered_messages() {
    engine_gives_up(Reliability::Retransmissions(0), true);
}

/// The kernel gives up; the engine gets the rest, in order, and is not held up.
#[test]
fn rfc3758_3_6_the_kernel_gives_up() {
    let Some(mut pair) = Pair::new(Carrier::Ip, 1) else {
        return;
    };
    pair.order("set rto 300 1000 300");
    let assoc = pair.kernel_connects(&config());
    pair.kernel_gives_up(assoc, COUNT, SIZE);
}
