//! Explicit Congestion Notification (RFC 3168).

use std::time::Duration;

use sctp::config::AssociationConfig;

use crate::common::{Carrier, Pair};

const COUNT: u32 = 300;
const SIZE: usize = 5000;

/// How long both sides wait at least before they send something again: longer than the guest stands still.
const RTO: Duration = Duration::from_secs(20);

fn config(ecn: bool) -> AssociationConfig {
    let mut config = AssociationConfig::default();
    config.set_rto(RTO, RTO, RTO).unwrap();
    config.set_ecn(ecn);
    config
}

/// Who opens the association does not matter, nor what carries it.
fn agreed(carrier: Carrier) {
    for kernel in [true, false] {
        let Some(mut pair) = Pair::with(carrier, 1, &[("ecn_enable", kernel.into())]) else {
            return;
        };
        for engine in [true, false] {
            for engine_connects in [true, false] {
                let assoc = if engine_connects {
                    pair.engine_connects(&config(engine))
                } else {
                    pair.kernel_connects(&config(engine))
                };
                assert_eq!(pair.host.status(assoc).ecn, kernel && engine);
                pair.talk(assoc);
                pair.begin("collect");
                pair.host.shutdown(assoc);
                pair.said("collected");
                pair.end("collect");
                pair.order("close");
                pair.order("reset");
            }
        }
    }
}

#[test]
fn ecn_is_used_where_both_offer_it_in_udp() {
    agreed(Carrier::Udp);
}

#[test]
fn ecn_is_used_where_both_offer_it_on_ip() {
    agreed(Carrier::Ip);
}

/// Packets to the kernel are marked: it tells, and the engine slows down without sending anything again.
fn the_kernel_tells(carrier: Carrier) {
    let Some(mut pair) = Pair::new(carrier, 1) else { return };
    let assoc = pair.engine_connects(&config(true));
    pair.host.mark(0, 20);
    let expect = format!("expect {COUNT} {SIZE}");
    pair.begin(&expect);
    pair.send_all(assoc, COUNT, SIZE, 1);
    pair.end(&expect);
    let stats = pair.host.status(assoc).stats;
    assert!(stats.ecn_echoes_received > 0 && stats.ecn_reductions > 0, "{stats:?}");
    assert!(stats.ecn_reductions < stats.ecn_echoes_received, "{stats:?}");
    // A busy machine may lose packets, which the kernel reports.
    let nothing_again = stats.data_chunks_retransmitted == 0 || stats.gap_ack_blocks_received > 0;
    assert!(nothing_again, "a mark is no loss: {stats:?}");
    // It has heard of the last mark too, and tells no more.
    pair.host.mark(0, 0);
    pair.talk(assoc);
    let quiet = pair.host.status(assoc).stats.ecn_echoes_received;
    pair.talk(assoc);
    assert_eq!(pair.host.status(assoc).stats.ecn_echoes_received, quiet);
}

#[test]
fn rfc3168_6_1_the_kernel_tells_of_marks_in_udp() {
    the_kernel_tells(Carrier::Udp);
}

#[test]
fn rfc3168_6_1_the_kernel_tells_of_marks_on_ip() {
    the_kernel_tells(Carrier::Ip);
}

#[test]
fn rfc3168_6_1_the_engine_tells_of_marks_until_the_kernel_has_heard() {
    let rto = u32::try_from(RTO.as_millis()).unwrap();
    let settings = [("rto_min", rto), ("rto_initial", rto)];
    let Some(mut pair) = Pair::with(Carrier::Ip, 1, &settings) else {
        return;
    };
    let assoc = pair.kernel_connects(&config(true));
    pair.host.mark(20, 0);
    let send = format!("send {COUNT} {SIZE}");
    pair.begin(&send);
    pair.receive_all(assoc, COUNT, SIZE, 1);
    pair.end(&send);
    let stats = pair.host.status(assoc).stats;
    assert!(
        stats.marked_packets_received > 0,
        "the kernel asks for marks: {stats:?}"
    );
    assert!(stats.ecn_echoes_sent > 0, "{stats:?}");
    assert_eq!(stats.duplicate_tsns, 0, "nothing was sent again: {stats:?}");
    pair.host.mark(0, 0);
    pair.talk(assoc);
    let quiet = pair.host.status(assoc).stats.ecn_echoes_sent;
    pair.talk(assoc);
    assert_eq!(pair.host.status(assoc).stats.ecn_echoes_sent, quiet);
}
