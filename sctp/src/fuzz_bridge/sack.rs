//! SACKs of a hostile peer (RFC 9260 §3.3.4, §6.2.1).

use std::time::Duration;

use super::Choices;
use super::sender::Sender;
use crate::config::CongestionControl;
use crate::message::Reliability;
use crate::send::SackResult;
use crate::serial::Tsn;
use crate::wire::Sack;

/// How many messages there are, of which the windows take most at once.
const MESSAGES: usize = 60;

/// Bytes as the values of SACK chunks, one after the other, to a sender with many chunks out: nothing is acknowledged
/// that was not sent, whatever the numbers say, and only what they say.
pub fn sack(data: &[u8]) {
    let mut choices = Choices::new(data);
    let setup = choices.u8();
    let algorithm = [CongestionControl::Rfc9260, CongestionControl::Cubic][usize::from(setup & 1)];
    let initial = Tsn(0x10);
    let mut sender = Sender::new(1, initial, algorithm, true);
    let messages = if setup & 2 == 0 { 12 } else { MESSAGES };
    for n in 0..messages {
        let reliability = match n % 8 {
            3 => Reliability::Retransmissions(0),
            _ => Reliability::Reliable,
        };
        sender.push(0, n % 4 == 1, reliability, 12);
    }
    sender.flush(10);
    while !choices.is_empty() {
        let kind = choices.u8();
        if kind & 0x30 == 0x30 {
            sender.pass(Duration::from_millis(50));
            sender.timeout(0);
        }
        if kind & 0x40 != 0 {
            sender.flush(10);
            sender.forward(10);
        }
        // The lengths that go with the bytes, or whatever they say.
        let (gaps, duplicates) = (choices.below(24), choices.below(3));
        let mut value = Vec::new();
        let near = sender.point().0.wrapping_add(u32::from(kind & 15)).wrapping_sub(1);
        let point = if kind & 0x80 == 0 { near } else { choices.u32() };
        value.extend_from_slice(&point.to_be_bytes());
        value.extend_from_slice(&u32::from(choices.u8()).to_be_bytes());
        value.extend_from_slice(&[0, gaps as u8, 0, duplicates as u8]);
        let mut at = 0;
        for _ in 0..gaps {
            let (skip, len) = (choices.u8(), choices.u8());
            let start = if skip == 255 {
                choices.u16()
            } else {
                at + u16::from(skip & 31)
            };
            let end = if len == 255 {
                choices.u16()
            } else {
                start.wrapping_add((len & 15).into())
            };
            value.extend_from_slice(&start.to_be_bytes());
            value.extend_from_slice(&end.to_be_bytes());
            at = end % 1024;
        }
        value.resize(value.len() + 4 * duplicates, 0);
        let sack = Sack::parse(&value).expect("its lengths fit");
        let gaps: Vec<(u16, u16)> = sack.gaps.clone().collect();
        let result = sender.sack(sack.cumulative_tsn_ack, sack.a_rwnd, &gaps);
        assert_ne!(result, SackResult::Fickle, "it took little back");
    }
    sender.finish();
}
