//! How messages are cut and bundled.

use super::*;

#[test]
fn rfc6458_8_1_5_without_nodelay_a_small_message_waits_for_an_acknowledgement_or_company() {
    let mut sender = Sender::new(1, 1);
    let mut sending = SendingConfig::default();
    sending.set_nodelay(false);
    sender.out.set_sending(sending);
    sender.push(100).unwrap();
    assert_eq!(sender.flush(1), [[0]], "nothing is outstanding");
    for _ in 0..3 {
        sender.push(100).unwrap();
    }
    assert!(sender.flush(1).is_empty(), "they wait");
    for _ in 0..20 {
        sender.push(100).unwrap();
    }
    let packets = sender.flush(1);
    let lens: Vec<usize> = packets.iter().map(Vec::len).collect();
    assert_eq!(lens, [10, 10], "only what fills a packet goes");
    sending.set_nodelay(true);
    sender.out.set_sending(sending);
    assert_eq!(sender.flush(1).concat().len(), 3);
}

#[test]
fn rfc6458_8_1_16_chunks_are_no_larger_than_the_limit() {
    let mut sender = Sender::new(1, 1);
    let mut sending = SendingConfig::default();
    sending.set_max_fragment(Some(100)).unwrap();
    sender.out.set_sending(sending);
    sender.push(250).unwrap();
    sender.push(20).unwrap();
    sender.flush(1);
    let lens: Vec<usize> = sender.sent.iter().map(Vec::len).collect();
    assert_eq!(lens, [100, 100, 50, 20]);
}
