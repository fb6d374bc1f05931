//! Partial reliability on bad links: messages of every kind both ways, and what became of each (RFC 3758, RFC 7496).

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::{A, B, Pair, Setup, ms, secs};
use sctp::error::SendError;
use sctp::serial::{Ppid, StreamId, Tsn};
use sctp::sim::LinkConfig;
use sctp::{Event, OutMessage, Received, Reliability};

/// Messages of every kind, and what became of them.
struct Mixture {
    from: usize,
    count: u32,
    longest: usize,
    sent: u32,
    /// Messages that were taken, with their streams and reliabilities.
    taken: BTreeMap<u32, (u16, bool, Reliability)>,
    heard: BTreeSet<u32>,
    /// The last ordered message of each stream.
    last: BTreeMap<u16, u32>,
    partial: Option<(Tsn, Vec<u8>)>,
    state: u64,
}

impl Mixture {
    fn new(from: usize, seed: u64, count: u32, longest: usize) -> Self {
        Self {
            from,
            count,
            longest,
            sent: 0,
            taken: BTreeMap::new(),
            heard: BTreeSet::new(),
            last: BTreeMap::new(),
            partial: None,
            state: seed | 1,
        }
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.state = self
            .state
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        (self.state >> 33) % below
    }

    fn payload(id: u32, len: usize) -> Vec<u8> {
        let mut payload = id.to_be_bytes().to_vec();
        payload.extend((0..len as u32).map(|at| (at.wrapping_mul(id | 1) >> 3) as u8));
        payload
    }

    fn pump(&mut self, pair: &mut Pair) {
        while self.sent < self.count {
            let id = self.sent;
            let len = self.draw(self.longest as u64) as usize;
            let (stream, unordered) = (self.draw(5) as u16, self.draw(4) == 0);
            let reliability = match self.draw(5) {
                0 => Reliability::Timed(Duration::from_millis(self.draw(2000))),
                1 => Reliability::Retransmissions(self.draw(3) as u16),
                2 => Reliability::Priority(self.draw(100) as u32),
                _ => Reliability::Reliable,
            };
            let message = OutMessage {
                unordered,
                reliability,
                context: id,
                ..OutMessage::new(StreamId(stream), Ppid(id), Self::payload(id, len).into())
            };
            match pair.send(self.from, message) {
                Ok(()) => {}
                Err(SendError::WouldBlock) => break,
                Err(error) => pair.fail(&format!("{error}")),
            }
            self.taken.insert(id, (stream, unordered, reliability));
            self.sent += 1;
        }
        for piece in pair.hear(1 - self.from) {
            self.check(pair, piece);
        }
    }

    fn check(&mut self, pair: &mut Pair, piece: Received) {
        let (tsn, mut payload) = match self.partial.take() {
            Some((tsn, begun)) if tsn == piece.tsn => (tsn, begun),
            Some(_) => {
                // The rest of it will not come, as the user was told.
                let to = 1 - self.from;
                let told = |event: &Event| matches!(event, Event::PartialDeliveryAborted { .. });
                assert!(pair.reported(to, told), "a message is cut without a word");
                (piece.tsn, Vec::new())
            }
            None => (piece.tsn, Vec::new()),
        };
        payload.extend(&piece.payload);
        if !piece.end_of_message {
            self.partial = Some((tsn, payload));
            return;
        }
        let id = piece.ppid.0;
        let (stream, unordered, _) = self.taken[&id];
        assert_eq!((piece.stream.0, piece.unordered), (stream, unordered));
        assert!(
            payload == Self::payload(id, payload.len() - 4),
            "message {id} is altered"
        );
        assert!(self.heard.insert(id), "message {id} is there twice");
        if !unordered {
            let last = self.last.insert(stream, id);
            assert!(last.is_none_or(|last| last < id), "message {id} is out of order");
        }
    }

    /// What did not arrive was not reliable, and the sender knows of it.
    fn finish(&self, pair: &Pair) {
        let failed: BTreeSet<u32> = pair.failures(self.from).iter().map(|failure| failure.context).collect();
        assert_eq!(failed.len(), pair.failures(self.from).len(), "each is reported once");
        for (id, (_, _, reliability)) in &self.taken {
            assert!(self.heard.contains(id) || failed.contains(id), "message {id} is lost");
            assert!(*reliability != Reliability::Reliable || !failed.contains(id));
        }
        let stats = pair.status(self.from).unwrap().stats;
        let counted = stats.messages_abandoned_sent + stats.messages_abandoned_unsent;
        assert_eq!(counted, failed.len() as u64);
    }
}

fn soak(setup: Setup, seed: u64, count: u32, longest: usize) {
    let mut pair = setup.seed(seed).build();
    pair.connect();
    let mut mixtures = [
        Mixture::new(A, seed, count, longest),
        Mixture::new(B, seed + 1, count, longest),
    ];
    pair.must("everything is sent or given up", secs(4000), |pair| {
        mixtures.iter_mut().for_each(|mixture| mixture.pump(pair));
        let idle = |side| {
            pair.status(side)
                .is_some_and(|status| status.buffered_bytes == 0 && status.unacknowledged_messages == 0)
        };
        mixtures.iter().all(|mixture| mixture.sent == count) && idle(A) && idle(B)
    });
    pair.run(secs(1));
    mixtures.iter_mut().for_each(|mixture| mixture.pump(&mut pair));
    pair.assert_idle();
    mixtures.iter().for_each(|mixture| mixture.finish(&pair));
    assert!(mixtures[0].heard.len() < count as usize, "the test tests something");
    pair.shutdown(A);
    pair.must("both ends close", secs(500), |pair| pair.ends(A) + pair.ends(B) == 2);
}

/// A link that loses, repeats and reorders.
fn bad(loss: f64) -> LinkConfig {
    common::wire(ms(20))
        .loss(loss)
        .duplication(0.02)
        .reordering(0.1, ms(30))
}

#[test]
fn whatever_is_given_up_the_rest_arrives_in_order_and_unaltered() {
    for seed in 1..6 {
        soak(Setup::single().link(&bad(0.05)), seed, 300, 3000);
    }
}

#[test]
fn with_heavy_loss_nothing_reliable_is_lost_beside_what_is_given_up() {
    for seed in 1..4 {
        soak(Setup::single().link(&bad(0.25)), seed, 120, 3000);
    }
}

#[test]
fn on_two_paths_and_with_small_buffers_nothing_stalls() {
    for seed in 1..4 {
        let setup = Setup::dual().link(&bad(0.1)).config(|config| {
            config.set_receive_buffer(10_000).unwrap();
            config.set_send_buffer(30_000).unwrap();
        });
        soak(setup, seed, 200, 20_000);
    }
}
