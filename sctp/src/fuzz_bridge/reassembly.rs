//! From chunks to messages (RFC 9260 §6.2, §6.5, §6.6, §6.9; RFC 3758 §3.6).

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::{Choices, PATTERN};
use crate::Instant;
use crate::config::FragmentInterleave;
use crate::message::Received;
use crate::recv::exercise::{check_invariants, is_idle};
use crate::recv::{DataFragment, DataOutcome, ForwardOutcome, Inbound, InboundConfig};
use crate::serial::{Ppid, Ssn, StreamId, Tsn};

const STREAMS: u16 = 4;

/// Bytes as what a peer sends, in an order that the bytes choose. Of an honest peer every message comes out once, as
/// it was and in its turn, but for some that it gave up; of any other the counts stay true and the memory bounded.
pub fn reassembly(data: &[u8]) {
    let mut choices = Choices::new(data);
    let setup = choices.u8();
    let config = InboundConfig {
        receive_buffer: [1500, 4000, 20_000, 131_072][usize::from(setup >> 2) % 4],
        streams: STREAMS,
        forward_tsn: setup & 1 == 0,
        interleaving: false,
        fragment_interleave: FragmentInterleave::Associations,
        sack_delay: Duration::from_millis(200),
        sack_frequency: 2,
        partial_delivery_point: None,
    };
    if setup & 2 == 0 {
        Honest::new(config, &mut choices).run(&mut choices);
    } else {
        hostile(config, &mut choices);
    }
}

fn hostile(config: InboundConfig, choices: &mut Choices<'_>) {
    let mut inbound = Inbound::new(Tsn(0), config);
    while !choices.is_empty() {
        let kind = choices.u8();
        let tsn = match kind >> 6 {
            3 => choices.u32(),
            2 => choices.u16().into(),
            _ => u32::from(choices.u8()) % 48,
        };
        let (stream, ssn) = (StreamId(choices.u8() as u16 % (STREAMS + 1)), Ssn(choices.u8().into()));
        if kind & 31 == 31 && config.forward_tsn {
            inbound.on_forward_tsn(Tsn(tsn), [(stream, ssn), (StreamId(0), ssn)].into_iter());
        } else {
            let len = choices.pick(&[1, 1, 100, 1400, 60_000]);
            let fragment = DataFragment {
                tsn: Tsn(tsn),
                stream,
                ssn: Ssn((ssn.0 % 8) | ((ssn.0 << 8) & 0xc000)),
                ppid: Ppid(u32::from(kind & 32)),
                unordered: kind & 1 != 0,
                beginning: kind & 2 != 0,
                ending: kind & 4 != 0,
                immediate: kind & 8 != 0,
                payload: Bytes::from_static(&PATTERN[..len]),
            };
            if inbound.on_data(fragment).is_err() {
                break;
            }
        }
        check_invariants(&inbound);
        inbound.on_packet_end(Instant::ZERO);
        if kind & 24 == 24 {
            inbound.recv();
            inbound.take_sack(&mut Vec::new(), &mut Vec::new(), 8);
            check_invariants(&inbound);
        }
    }
    while inbound.recv().is_some() {}
    assert!(!inbound.readable());
}

/// A message, in the order of the TSNs.
#[derive(Clone, Debug)]
struct Sent {
    stream: StreamId,
    ssn: Ssn,
    unordered: bool,
    /// The numbers of its fragments.
    first: usize,
    fragments: usize,
    piece: usize,
    delivered: bool,
    abandoned: bool,
}

impl Sent {
    fn payload(&self) -> &'static [u8] {
        &PATTERN[self.first * 97..][..self.fragments * self.piece]
    }
}

/// An honest peer, a network without manners, and a user who compares.
struct Honest {
    inbound: Inbound,
    initial: Tsn,
    messages: Vec<Sent>,
    /// The message of each fragment.
    owners: Vec<usize>,
    /// Whether a fragment was taken, or skipped.
    known: Vec<bool>,
    /// How many fragments the Cumulative TSN Ack covers.
    acked: usize,
    partial: Option<Received>,
    last: BTreeMap<StreamId, usize>,
    now: Instant,
}

impl Honest {
    fn new(config: InboundConfig, choices: &mut Choices<'_>) -> Self {
        let initial = choices.pick(&[Tsn(1), Tsn(u32::MAX - 3)]);
        let (mut messages, mut owners) = (Vec::new(), Vec::new());
        let mut next: BTreeMap<StreamId, Ssn> = BTreeMap::new();
        for number in 0..=choices.below(16) {
            let shape = choices.u8();
            let stream = StreamId(u16::from(shape & 1) * 3);
            let unordered = shape & 2 != 0;
            let ssn = next.entry(stream).or_default();
            let sent = Sent {
                stream,
                ssn: *ssn,
                unordered,
                first: owners.len(),
                fragments: 1 + usize::from(shape >> 2 & 7),
                piece: [1, 40, 700, 1400][usize::from(shape >> 5 & 3)],
                delivered: false,
                abandoned: false,
            };
            if !unordered {
                *ssn = ssn.next();
            }
            owners.extend(std::iter::repeat_n(number, sent.fragments));
            messages.push(sent);
        }
        Self {
            inbound: Inbound::new(initial, config),
            initial,
            known: vec![false; owners.len()],
            messages,
            owners,
            acked: 0,
            partial: None,
            last: BTreeMap::new(),
            now: Instant::ZERO,
        }
    }

    fn run(mut self, choices: &mut Choices<'_>) {
        let total = self.owners.len();
        while !choices.is_empty() {
            let what = choices.u8();
            let number = usize::from(what >> 3);
            match what & 7 {
                0..=2 if self.acked < total => self.give(self.acked + number % (total - self.acked)),
                3 => self.give(choices.below(256) % total),
                4 => (self.acked..total.min(self.acked + number)).for_each(|fragment| self.give(fragment)),
                5 => self.read(),
                6 if number < 8 => self.abandon(choices.below(16)),
                6 if number < 24 => self.forward(),
                _ => self.acknowledge(),
            }
        }
        for round in 0.. {
            if self.acked == total && !self.inbound.readable() {
                break;
            }
            assert!(round < 4 * total + 10, "no progress at {} of {total}", self.acked);
            for fragment in self.acked..total {
                if !self.messages[self.owners[fragment]].abandoned {
                    self.give(fragment);
                }
            }
            self.forward();
            self.read();
            self.acknowledge();
        }
        assert!(self.partial.is_none() && is_idle(&self.inbound));
        for (number, sent) in self.messages.iter().enumerate() {
            assert!(sent.delivered || sent.abandoned, "message {number} is lost");
        }
    }

    fn tsn(&self, fragment: usize) -> Tsn {
        self.initial.plus(fragment as u32)
    }

    fn give(&mut self, fragment: usize) {
        let number = self.owners[fragment];
        let sent = &self.messages[number];
        let place = fragment - sent.first;
        let chunk = DataFragment {
            tsn: self.tsn(fragment),
            stream: sent.stream,
            ssn: sent.ssn,
            ppid: Ppid(number as u32),
            unordered: sent.unordered,
            beginning: place == 0,
            ending: place + 1 == sent.fragments,
            immediate: false,
            payload: Bytes::from_static(&sent.payload()[place * sent.piece..][..sent.piece]),
        };
        match self.inbound.on_data(chunk).expect("an honest peer") {
            DataOutcome::Accepted => {
                assert!(fragment >= self.acked);
                self.known[fragment] = true;
            }
            DataOutcome::Duplicate => assert!(self.known[fragment], "it never came"),
            DataOutcome::NoRoom => {}
            DataOutcome::InvalidStream => panic!("the stream exists"),
        }
        self.inbound.on_packet_end(self.now);
        self.check();
    }

    /// The Cumulative TSN Ack covers what came, and never goes back.
    fn check(&mut self) {
        check_invariants(&self.inbound);
        let acked = self.inbound.cumulative_tsn_ack().next().steps_from(self.initial) as usize;
        assert!((self.acked..=self.owners.len()).contains(&acked));
        assert!(self.known[self.acked..acked].iter().all(|known| *known));
        self.acked = acked;
    }

    fn acknowledge(&mut self) {
        self.now += Duration::from_millis(200);
        self.inbound.on_sack_timeout(self.now);
        assert!(self.inbound.sack_timeout().is_none());
        let mut gaps = Vec::new();
        let numbers = self.inbound.take_sack(&mut gaps, &mut Vec::new(), 16);
        assert_eq!(numbers.cumulative_tsn_ack.next(), self.tsn(self.acked));
        let mut at = 1;
        for (start, end) in gaps {
            assert!(start > at && start <= end, "blocks overlap or touch");
            let range = self.acked + usize::from(start) - 1..self.acked + usize::from(end);
            assert!(self.known[range].iter().all(|known| *known), "it never came");
            at = end + 1;
        }
        assert!(!self.inbound.sack_wanted());
    }

    fn abandon(&mut self, number: usize) {
        let sent = self
            .messages
            .get_mut(number)
            .filter(|sent| sent.first + sent.fragments > self.acked);
        if let Some(sent) = sent {
            sent.abandoned = true;
        }
    }

    /// Skips what was given up and comes next, if the peer was told that this may be.
    fn forward(&mut self) {
        let given_up = |fragment: &usize| self.messages[self.owners[*fragment]].abandoned;
        let skipped: Vec<usize> = (self.acked..self.owners.len()).take_while(given_up).collect();
        let Some(&last) = skipped.last() else { return };
        let of = skipped.iter().map(|fragment| &self.messages[self.owners[*fragment]]);
        let ordered: BTreeMap<StreamId, Ssn> = of.filter(|m| !m.unordered).map(|m| (m.stream, m.ssn)).collect();
        self.known[..=last].fill(true);
        let outcome = self.inbound.on_forward_tsn(self.tsn(last), ordered.into_iter());
        match outcome {
            ForwardOutcome::Moved { cut: true } => assert!(self.partial.take().is_some(), "nothing was begun"),
            ForwardOutcome::Moved { cut: false } => {}
            ForwardOutcome::OutOfDate | ForwardOutcome::PutOff => panic!("it says something new"),
        }
        self.inbound.on_packet_end(self.now);
        self.check();
        assert!(self.acked > last);
    }

    fn read(&mut self) {
        while let Some(piece) = self.inbound.recv() {
            self.take(piece);
            check_invariants(&self.inbound);
        }
    }

    fn take(&mut self, piece: Received) {
        let number = piece.ppid.0 as usize;
        let sent = &mut self.messages[number];
        let expected = (sent.stream, sent.unordered, self.initial.plus(sent.first as u32));
        assert_eq!((piece.stream, piece.unordered, piece.tsn), expected);
        assert!(sent.unordered || piece.ssn == sent.ssn);
        let whole = match self.partial.take() {
            None => piece,
            Some(begun) => {
                assert_eq!(begun.ppid, piece.ppid, "something came between two pieces");
                let payload = [begun.payload, piece.payload].concat().into();
                Received { payload, ..piece }
            }
        };
        if !whole.end_of_message {
            assert!(sent.payload().starts_with(&whole.payload));
            self.partial = Some(whole);
            return;
        }
        assert_eq!(whole.payload, sent.payload());
        assert!(
            !std::mem::replace(&mut sent.delivered, true),
            "message {number} is there twice"
        );
        if !sent.unordered {
            let last = self.last.insert(sent.stream, number);
            assert!(
                last.is_none_or(|last| last < number),
                "message {number} is out of order"
            );
        }
    }
}
