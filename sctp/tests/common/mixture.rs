//! Messages of every kind, each of which arrives as it was sent or is given up as its reliability allows.

use std::collections::{BTreeMap, BTreeSet};

use sctp::config::FragmentInterleave;
use sctp::error::SendError;
use sctp::random::Random;
use sctp::serial::{Ppid, StreamId, Tsn};
use sctp::sim::LinkConfig;
use sctp::{Event, OutMessage, Received, Reliability};

use super::{A, B, Pair, ms, secs};

/// What was sent as a message.
struct Sent {
    stream: u16,
    unordered: bool,
    reliability: Reliability,
    len: usize,
}

/// Messages of every kind from one side, and what became of them.
pub(crate) struct Mixture {
    from: usize,
    left: u32,
    longest: u64,
    streams: u16,
    /// The messages that were taken.
    sent: Vec<Sent>,
    heard: BTreeSet<u32>,
    /// The last ordered message of each stream.
    last: BTreeMap<u16, u32>,
    /// The beginnings of messages, by stream.
    partial: BTreeMap<u16, (Tsn, Vec<u8>)>,
}

impl Mixture {
    /// `count` messages of less than `longest` + 4 bytes on no more than `streams` streams.
    pub(crate) fn new(from: usize, count: u32, longest: u64, streams: u16) -> Self {
        Self {
            from,
            left: count,
            longest,
            streams,
            sent: Vec::new(),
            heard: BTreeSet::new(),
            last: BTreeMap::new(),
            partial: BTreeMap::new(),
        }
    }

    fn payload(id: u32, len: usize) -> Vec<u8> {
        let mut payload = id.to_be_bytes().to_vec();
        payload.extend((0..len as u32).map(|at| (at.wrapping_mul(id | 1) >> 3) as u8));
        payload
    }

    /// Whether all messages were handed over.
    pub(crate) const fn is_sent(&self) -> bool {
        self.left == 0
    }

    /// Sends as much as is taken, and checks what arrived.
    pub(crate) fn pump(&mut self, pair: &mut Pair, random: &mut Random) {
        let streams = pair.status(self.from).map_or(1, |status| status.outbound_streams);
        while self.left > 0 {
            let id = self.sent.len() as u32;
            let len = random.below(self.longest) as usize;
            let stream = random.below(streams.min(self.streams).into()) as u16;
            let unordered = random.below(100) < 25;
            let reliability = match random.below(6) {
                0 => Reliability::Timed(ms(random.below(2000))),
                1 => Reliability::Retransmissions(random.below(3) as u16),
                2 => Reliability::Priority(random.below(100) as u32),
                _ => Reliability::Reliable,
            };
            let message = OutMessage {
                unordered,
                reliability,
                context: id,
                sack_immediately: random.below(100) < 5,
                ..OutMessage::new(StreamId(stream), Ppid(id), Self::payload(id, len).into())
            };
            match pair.send(self.from, message) {
                Ok(()) => {}
                Err(SendError::WouldBlock) => break,
                Err(error) => pair.fail(&format!("message {id} of side {}: {error}", self.from)),
            }
            self.sent.push(Sent {
                stream,
                unordered,
                reliability,
                len,
            });
            self.left -= 1;
        }
        for piece in pair.hear(1 - self.from) {
            self.check(pair, piece);
        }
    }

    fn check(&mut self, pair: &Pair, piece: Received) {
        let stream = piece.stream.0;
        // Below level 2 (RFC 6458 §8.1.20), what follows a piece of a message is the next piece of it.
        let to = 1 - self.from;
        let config = pair.world.peek(pair.hosts[to]).association_config(pair.assoc(to));
        let level = config.unwrap().interleaving().fragment_interleave();
        let begun = if level == FragmentInterleave::Streams {
            self.partial.remove_entry(&stream)
        } else {
            self.partial.pop_first()
        };
        let mut payload = Vec::new();
        match begun {
            Some((_, (tsn, begun))) if tsn == piece.tsn => payload = begun,
            Some((of, (cut, _))) => {
                // The rest of it will not come, as the user was told.
                let told = |event: &Event| {
                    matches!(event, Event::PartialDeliveryAborted { stream, tsn, .. }
                        if *tsn == cut && stream.0 == of)
                };
                assert!(pair.reported(to, told), "a message is cut without a word");
            }
            None => {}
        }
        payload.extend(&piece.payload);
        if !piece.end_of_message {
            self.partial.insert(stream, (piece.tsn, payload));
            return;
        }
        let id = piece.ppid.0;
        let sent = &self.sent[id as usize];
        assert_eq!((stream, piece.unordered), (sent.stream, sent.unordered), "message {id}");
        assert!(payload == Self::payload(id, sent.len), "message {id} is altered");
        assert!(self.heard.insert(id), "message {id} is there twice");
        if !piece.unordered {
            let last = self.last.insert(stream, id);
            assert!(last.is_none_or(|last| last < id), "message {id} is out of order");
        }
    }

    /// The messages that are not there and not reported as given up. What is reported was not reliable, and is reported
    /// once.
    pub(crate) fn missing(&self, pair: &Pair) -> Vec<u32> {
        let failures = pair.failures(self.from);
        let failed: BTreeSet<u32> = failures.iter().map(|failure| failure.context).collect();
        assert_eq!(failed.len(), failures.len(), "each is reported once");
        for id in &failed {
            let reliability = self.sent[*id as usize].reliability;
            assert_ne!(reliability, Reliability::Reliable, "message {id} is given up");
        }
        let all = 0..self.sent.len() as u32;
        all.filter(|id| !self.heard.contains(id) && !failed.contains(id))
            .collect()
    }

    /// Checks that no message is lost without a word, and that those given up are counted (RFC 7496 §4.3).
    pub(crate) fn finish(&self, pair: &mut Pair) {
        assert_eq!(self.missing(pair), [] as [u32; 0], "from side {}", self.from);
        let failed = pair.failures(self.from).len() as u64;
        let stats = pair.status(self.from).unwrap().stats;
        assert_eq!(stats.messages_abandoned_sent + stats.messages_abandoned_unsent, failed);
        let assoc = pair.assoc(self.from);
        let counted = pair.world.stack(pair.hosts[self.from]).abandoned_messages(assoc, None);
        let counted = counted.unwrap();
        assert_eq!(counted.sent + counted.unsent, failed);
    }
}

/// Sends `count` messages of every kind each way on five streams of a pair that is up, and then shuts it down.
#[track_caller]
pub(crate) fn exchange_mixtures(pair: &mut Pair, seed: u64, count: u32, longest: u64) {
    let mut random = Random::from_number(seed);
    let mut mixtures = [A, B].map(|side| Mixture::new(side, count, longest, 5));
    pair.must("everything is sent or given up", secs(4000), |pair| {
        mixtures.iter_mut().for_each(|mixture| mixture.pump(pair, &mut random));
        let idle = |side| {
            pair.status(side)
                .is_some_and(|status| status.buffered_bytes == 0 && status.unacknowledged_messages == 0)
        };
        mixtures.iter().all(Mixture::is_sent) && idle(A) && idle(B)
    });
    pair.run(secs(1));
    mixtures.iter_mut().for_each(|mixture| mixture.pump(pair, &mut random));
    pair.assert_idle();
    mixtures.iter().for_each(|mixture| mixture.finish(pair));
    assert!(mixtures[0].heard.len() < count as usize, "the test tests something");
    pair.shutdown(A);
    pair.must("both ends close", secs(500), |pair| pair.ends(A) + pair.ends(B) == 2);
    for side in [A, B] {
        let graceful = |event: &Event| *event == Event::ShutdownComplete;
        assert!(
            pair.reported(side, graceful),
            "side {side}: {:?}",
            pair.log[side].last()
        );
    }
}

/// A link that loses, repeats and reorders.
pub(crate) fn bad(loss: f64) -> LinkConfig {
    super::wire(ms(20)).loss(loss).duplication(0.02).reordering(0.1, ms(30))
}
