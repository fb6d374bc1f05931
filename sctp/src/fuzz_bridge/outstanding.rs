//! What was sent, and what becomes of it (RFC 9260 §6.1, §6.2.1, §6.3, §7.2.4; RFC 3758 §3.5).

use std::time::Duration;

use super::Choices;
use super::sender::Sender;
use crate::config::CongestionControl;
use crate::message::Reliability;
use crate::send::SackResult;
use crate::serial::Tsn;

/// Bytes as commands to a sender: messages, packets, acknowledgements, time-outs. After each of them every chunk is in
/// one state into which it could come, the sums are right, and in the end everything was delivered or given up.
pub fn outstanding(data: &[u8]) {
    let mut choices = Choices::new(data);
    let setup = choices.u8();
    let algorithm = [CongestionControl::Rfc9260, CongestionControl::Cubic][usize::from(setup & 1)];
    let initial = if setup & 2 == 0 { Tsn(u32::MAX - 5) } else { Tsn(1) };
    let mut sender = Sender::new(1 + (setup >> 2) % 3, initial, algorithm, setup & 16 == 0);
    while !choices.is_empty() {
        sender.pass(Duration::from_millis(10));
        match choices.below(12) {
            0..=2 => {
                let kind = choices.u8();
                let len = match kind >> 6 {
                    0 => usize::from(choices.u8()),
                    1 => usize::from(choices.u8()) * 100,
                    _ => 20,
                };
                sender.push(u16::from(kind & 7), kind & 8 != 0, reliability(&mut choices), len);
            }
            3 | 4 => sender.flush(1 + choices.below(8)),
            5..=7 => {
                let count = choices.below(4);
                let ahead = choices.below(usize::try_from(sender.outstanding()).map_or(1, |n| n.min(200) + 1));
                let gaps = gaps(count, &mut choices);
                let a_rwnd = choices.pick(&[1 << 20, 1 << 20, 1 << 20, 3000, 0]);
                let result = sender.sack(sender.point().plus(ahead as u32), a_rwnd, &gaps);
                assert_ne!(result, SackResult::Fickle, "it took little back");
            }
            8 => sender.timeout(choices.u8() % 3),
            9 => match choices.u8() {
                what if what >= 0xc0 => sender.echo(sender.point().plus((what & 31).into()).minus(8), what & 32 != 0),
                what => sender.forward(usize::from(what & 3)),
            },
            10 => sender.pass(Duration::from_millis(10) * choices.u8().into()),
            _ => sender.cumulative_ack(sender.point().plus(choices.u8().into()).minus(1)),
        }
    }
    sender.finish();
}

/// Blocks that follow one another, mostly.
fn gaps(count: usize, choices: &mut Choices<'_>) -> Vec<(u16, u16)> {
    let mut at = 0;
    let mut gaps = Vec::new();
    for _ in 0..count {
        let shape = choices.u8();
        let start = at + u16::from(shape & 15);
        at = start + u16::from(shape >> 4);
        gaps.push((start, at));
    }
    gaps
}

fn reliability(choices: &mut Choices<'_>) -> Reliability {
    let kind = choices.u8();
    let number = u16::from(kind >> 3);
    match kind & 7 {
        0 => Reliability::Timed(Duration::from_millis(10) * number.into()),
        1 => Reliability::Retransmissions(number % 3),
        2 => Reliability::Priority(number.into()),
        _ => Reliability::Reliable,
    }
}
