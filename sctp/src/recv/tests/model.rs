//! A sender, a bad network and a slow user around the receiving half, against the list of what was sent.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::{check_invariants, fragments, gap_acked, pattern, sack};
use crate::Instant;
use crate::random::Random;
use crate::recv::*;

/// One run.
#[derive(Clone, Debug)]
struct Scenario {
    seed: u64,
    initial_tsn: u32,
    receive_buffer: u32,
    streams: u16,
    messages: usize,
    /// The longest message, in bytes.
    longest: usize,
    /// The user data of a full chunk.
    chunk: usize,
    loss: f64,
    duplication: f64,
    /// How far a packet may overtake others.
    reordering: u64,
    /// How likely the user takes a message after a packet.
    reading: f64,
    /// Whether the sender heeds the window.
    polite: bool,
    /// How likely the sender gives a message up rather than sending it again.
    abandoning: f64,
}

fn scenario() -> impl Strategy<Value = Scenario> {
    (
        (
            any::<u64>(),
            any::<u32>(),
            prop::sample::select(vec![1500, 4000, 20_000, 131_072]),
            1u16..6,
            1usize..60,
        ),
        (
            prop::sample::select(vec![1usize, 60, 3000, 40_000]),
            prop::sample::select(vec![1usize, 40, 500, 1400]),
            prop::sample::select(vec![0.0, 0.05, 0.4]),
            prop::sample::select(vec![0.0, 0.2]),
            prop::sample::select(vec![1u64, 3, 1000]),
            prop::sample::select(vec![0.02, 0.3, 1.0]),
            any::<bool>(),
            prop::sample::select(vec![0.0, 0.3]),
        ),
    )
        .prop_map(|((seed, initial_tsn, receive_buffer, streams, messages), rest)| {
            let (longest, chunk, loss, duplication, reordering, reading, polite, abandoning) = rest;
            Scenario {
                seed,
                initial_tsn,
                receive_buffer,
                streams,
                messages,
                // Some hundred chunks in all.
                longest: longest.min(chunk * 800 / messages),
                chunk,
                loss,
                duplication,
                reordering,
                reading,
                polite,
                abandoning,
            }
        })
}

/// What was sent, in the order of the TSNs.
#[derive(Clone, Debug)]
struct Sent {
    stream: StreamId,
    ssn: Option<Ssn>,
    ppid: Ppid,
    tsn: Tsn,
    payload: Vec<u8>,
}

fn write_messages(scenario: &Scenario, random: &mut Random) -> (Vec<Sent>, Vec<DataFragment>) {
    let (mut messages, mut all) = (Vec::new(), Vec::new());
    let mut ssns = BTreeMap::new();
    let mut tsn = Tsn(scenario.initial_tsn);
    for number in 0..scenario.messages {
        let len = 1 + random.below(scenario.longest as u64) as usize;
        let payload = pattern(number, len);
        let stream = StreamId(random.below(scenario.streams.into()) as u16);
        let unordered = random.chance(0.3);
        let ssn: &mut Ssn = ssns.entry(stream).or_default();
        let sent = Sent {
            stream,
            ssn: (!unordered).then_some(*ssn),
            ppid: Ppid(number as u32),
            tsn,
            payload,
        };
        let cut = fragments(tsn, stream, *ssn, sent.ppid, unordered, &sent.payload, scenario.chunk);
        if !unordered {
            *ssn = ssn.next();
        }
        tsn = tsn.plus(cut.len() as u32);
        messages.push(sent);
        all.extend(cut);
    }
    (messages, all)
}

/// A data sender that knows what the SACKs say, and no more.
struct Sender<'a> {
    scenario: &'a Scenario,
    all: Vec<DataFragment>,
    /// How many were sent at least once.
    sent: usize,
    /// How many the Cumulative TSN Ack covers.
    acked: usize,
    gap_acked: BTreeSet<usize>,
    /// What was given up, with all of its message.
    abandoned: BTreeSet<usize>,
    a_rwnd: usize,
}

/// What travels.
#[derive(Clone, Debug)]
enum Packet {
    Data(Vec<usize>),
    Forward(Tsn, Vec<(StreamId, Ssn)>),
}

impl Sender<'_> {
    fn outstanding(&self) -> usize {
        (self.acked..self.sent)
            .filter(|index| !self.gap_acked.contains(index) && !self.abandoned.contains(index))
            .map(|index| self.all[index].payload.len())
            .sum()
    }

    /// New packets, as many as the window allows, or a probe of a closed one.
    fn send_new(&mut self, network: &mut VecDeque<Packet>) {
        let mut outstanding = self.outstanding();
        while let Some(next) = self.all.get(self.sent) {
            if self.abandoned.contains(&self.sent) {
                self.sent += 1;
                continue;
            }
            let len = next.payload.len();
            let fits = outstanding + len <= self.a_rwnd || outstanding == 0;
            let limit = if self.scenario.polite {
                fits
            } else {
                self.sent - self.acked < 3000
            };
            if !limit {
                break;
            }
            match network.back_mut() {
                Some(Packet::Data(packet)) if packet.len() < 3 => packet.push(self.sent),
                _ => network.push_back(Packet::Data(vec![self.sent])),
            }
            outstanding += len;
            self.sent += 1;
        }
    }

    fn retransmit(&mut self, random: &mut Random, network: &mut VecDeque<Packet>) {
        for index in self.acked..self.sent {
            if self.gap_acked.contains(&index) || self.abandoned.contains(&index) {
                continue;
            }
            if random.chance(self.scenario.abandoning) {
                let message = self.all[index].ppid;
                let same = |index: &usize| self.all[*index].ppid == message;
                self.abandoned.extend((0..self.all.len()).filter(same));
            } else if index == self.acked || random.chance(0.5) {
                network.push_back(Packet::Data(vec![index]));
            }
        }
        self.send_forward(network);
    }

    /// A FORWARD-TSN over what was given up and is next, if there is something.
    fn send_forward(&mut self, network: &mut VecDeque<Packet>) {
        let end = (self.acked..).find(|index| !self.abandoned.contains(index)).unwrap();
        if end == self.acked {
            return;
        }
        let ordered = self.all[self.acked..end].iter().filter(|skipped| !skipped.unordered);
        let streams: BTreeMap<StreamId, Ssn> = ordered.map(|skipped| (skipped.stream, skipped.ssn)).collect();
        self.sent = self.sent.max(end);
        network.push_back(Packet::Forward(self.all[end - 1].tsn, streams.into_iter().collect()));
    }

    fn on_sack(&mut self, numbers: SackNumbers, gaps: &[(u16, u16)]) {
        let acked = numbers
            .cumulative_tsn_ack
            .next()
            .steps_from(Tsn(self.scenario.initial_tsn)) as usize;
        assert!(
            acked >= self.acked && acked <= self.sent,
            "the acknowledgement went back, or too far"
        );
        self.acked = acked;
        self.a_rwnd = numbers.a_rwnd as usize;
        assert!(numbers.a_rwnd <= self.scenario.receive_buffer);
        self.gap_acked = gap_acked(acked, gaps);
        assert!(self.gap_acked.last().is_none_or(|last| *last < self.sent));
        assert!(!self.gap_acked.contains(&self.acked));
    }
}

/// A user who puts pieces together and compares with what was sent.
struct User {
    unordered: Vec<Sent>,
    ordered: BTreeMap<StreamId, VecDeque<Sent>>,
    partial: Option<Received>,
    /// What was passed over.
    skipped: Vec<Ppid>,
}

impl User {
    fn expecting(messages: Vec<Sent>) -> Self {
        let mut user = Self {
            unordered: Vec::new(),
            ordered: BTreeMap::new(),
            partial: None,
            skipped: Vec::new(),
        };
        for sent in messages {
            if sent.ssn.is_some() {
                user.ordered.entry(sent.stream).or_default().push_back(sent);
            } else {
                user.unordered.push(sent);
            }
        }
        user
    }

    fn take(&mut self, piece: Received) {
        let whole = match self.partial.take() {
            None => piece,
            Some(begun) => {
                assert_eq!(
                    (begun.stream, begun.tsn, begun.unordered, begun.ppid),
                    (piece.stream, piece.tsn, piece.unordered, piece.ppid),
                    "something came between two pieces"
                );
                let payload = [begun.payload, piece.payload].concat().into();
                Received { payload, ..piece }
            }
        };
        if !whole.end_of_message {
            self.partial = Some(whole);
            return;
        }
        let sent = if whole.unordered {
            let at = self
                .unordered
                .iter()
                .position(|sent| sent.tsn == whole.tsn)
                .expect("sent, and not yet delivered");
            self.unordered.swap_remove(at)
        } else {
            let queue = self.ordered.get_mut(&whole.stream).expect("a stream that was used");
            // What comes before it was given up; `has_all` will see whether it was.
            let skipped = std::iter::from_fn(|| queue.pop_front_if(|sent| sent.tsn.is_before(whole.tsn)));
            self.skipped.extend(skipped.map(|sent| sent.ppid));
            queue.pop_front().expect("a message that was not yet delivered")
        };
        assert_eq!((sent.tsn, sent.ppid), (whole.tsn, whole.ppid));
        assert!(sent.ssn.is_none_or(|ssn| ssn == whole.ssn));
        assert_eq!(sent.payload, whole.payload);
    }

    /// Whether everything was delivered but for some of what was given up.
    fn has_all_but(&self, abandoned: &BTreeSet<Ppid>) -> bool {
        let left = self.unordered.iter().chain(self.ordered.values().flatten());
        let mut missing = left.map(|sent| &sent.ppid).chain(&self.skipped);
        self.partial.is_none() && missing.all(|message| abandoned.contains(message))
    }

    /// The rest of a message will not come.
    fn cut(&mut self) {
        assert!(self.partial.take().is_some(), "nothing was begun");
    }
}

fn run(scenario: &Scenario) {
    let mut random = Random::from_number(scenario.seed);
    let config = InboundConfig {
        receive_buffer: scenario.receive_buffer,
        streams: scenario.streams,
        forward_tsn: scenario.abandoning > 0.0,
        sack_delay: Duration::from_millis(200),
        sack_frequency: 2,
        partial_delivery_point: None,
        interleaving: false,
        fragment_interleave: FragmentInterleave::Associations,
    };
    let mut inbound = Inbound::new(Tsn(scenario.initial_tsn), config);
    let (messages, all) = write_messages(scenario, &mut random);
    let total = all.len();
    let mut sender = Sender {
        scenario,
        all,
        sent: 0,
        acked: 0,
        gap_acked: BTreeSet::new(),
        abandoned: BTreeSet::new(),
        a_rwnd: scenario.receive_buffer as usize,
    };
    let mut user = User::expecting(messages);
    let mut network: VecDeque<Packet> = VecDeque::new();
    let mut now = Instant::ZERO;
    let mut rounds = 0;
    while sender.acked < total || inbound.readable() {
        sender.send_new(&mut network);
        if network.is_empty() {
            // Silence: timers run on both sides, and the user has time to read.
            rounds += 1;
            assert!(
                rounds < 20 * total + 100,
                "no progress: {} of {total} acknowledged",
                sender.acked
            );
            now += Duration::from_millis(200);
            inbound.on_sack_timeout(now);
            assert_eq!(inbound.sack_timeout(), None);
            if let Some(received) = inbound.recv() {
                user.take(received);
            }
            sender.retransmit(&mut random, &mut network);
        }
        if let Some(at) = Some(random.below(scenario.reordering.min(network.len() as u64)) as usize)
            && let Some(packet) = network.remove(at)
            && !random.chance(scenario.loss)
        {
            if random.chance(scenario.duplication) {
                network.push_back(packet.clone());
            }
            match packet {
                Packet::Data(indexes) => {
                    for index in indexes {
                        inbound.on_data(sender.all[index].clone()).expect("an honest sender");
                        check_invariants(&inbound);
                    }
                }
                Packet::Forward(tsn, streams) => {
                    let outcome = inbound.on_forward_tsn(tsn, streams.into_iter());
                    check_invariants(&inbound);
                    assert!(inbound.cumulative_tsn_ack().is_at_or_after(tsn));
                    if outcome == (ForwardOutcome::Moved { cut: true }) {
                        user.cut();
                    }
                }
            }
            inbound.on_packet_end(now);
            assert!(inbound.sack_wanted() || inbound.sack_timeout().is_some() == inbound.sack_pending());
        }
        if inbound.readable() && random.chance(scenario.reading) {
            user.take(inbound.recv().expect("it said it was readable"));
            check_invariants(&inbound);
        }
        if inbound.sack_wanted() {
            let (numbers, gaps, _) = sack(&mut inbound);
            assert!(!inbound.sack_wanted() && !inbound.sack_pending() && inbound.sack_timeout().is_none());
            if !random.chance(scenario.loss / 2.0) {
                sender.on_sack(numbers, &gaps);
                sender.send_forward(&mut network);
            }
        }
    }
    let abandoned = sender.abandoned.iter().map(|index| sender.all[*index].ppid).collect();
    assert!(user.has_all_but(&abandoned) && !inbound.is_partial());
    assert_eq!((inbound.buffered_bytes(), inbound.pending_messages()), (0, 0));
    assert!(inbound.reassembly.piece_lens().is_empty() && inbound.ordering.held().next().is_none());
    assert_eq!(inbound.window.free(), scenario.receive_buffer as usize);
    let whole = inbound.window.whole();
    assert!(inbound.a_rwnd() as usize > whole - (whole / 2).min(1452));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn everything_arrives_once_and_in_order_but_for_what_was_given_up(scenario in scenario()) {
        run(&scenario);
    }

    /// Whatever a peer sends, memory stays bounded and the counts stay true.
    #[test]
    fn anything_at_all_is_survived(
        chunks in prop::collection::vec(
            (
                prop_oneof![8 => 0u32..40, 1 => 0u32..70_000, 1 => any::<u32>()],
                0u16..3,
                prop_oneof![4 => 0u16..6, 1 => any::<u16>()],
                (any::<bool>(), prop::bool::weighted(0.7), prop::bool::weighted(0.7)),
                prop_oneof![Just(1usize), Just(100), Just(1400), Just(60_000)],
                prop::bool::weighted(0.3),
                prop::bool::weighted(0.1),
            ),
            1..300,
        ),
        forward_tsn: bool,
    ) {
        let config = InboundConfig { receive_buffer: 4000, streams: 2, forward_tsn, ..super::CONFIG };
        let mut inbound = Inbound::new(Tsn(0), config);
        for (tsn, stream, ssn, (unordered, beginning, ending), len, read, forward) in chunks {
            if forward && forward_tsn {
                inbound.on_forward_tsn(Tsn(tsn), [(StreamId(stream), Ssn(ssn)), (StreamId(0), Ssn(ssn))].into_iter());
                check_invariants(&inbound);
                continue;
            }
            let fragment = DataFragment {
                unordered,
                beginning,
                ending,
                ..super::data(tsn, stream, ssn, &vec![0; len])
            };
            if inbound.on_data(fragment).is_err() {
                // The association is over; what is complete may still be taken.
                while inbound.recv().is_some() {}
                return Ok(());
            }
            check_invariants(&inbound);
            inbound.on_packet_end(Instant::ZERO);
            if read {
                inbound.recv();
                check_invariants(&inbound);
                sack(&mut inbound);
            }
        }
        while inbound.recv().is_some() {}
        check_invariants(&inbound);
    }
}

/// A message of many times the receive buffer comes through it (RFC 9260 §6.9).
#[test]
fn rfc9260_6_9_a_message_of_ten_mebibytes_comes_through_a_buffer_of_64_kib() {
    for (seed, loss) in [(1, 0.0), (2, 0.02)] {
        run(&Scenario {
            seed,
            initial_tsn: u32::MAX - 1000,
            receive_buffer: 65_536,
            streams: 1,
            messages: 1,
            longest: 10 << 20,
            chunk: 1400,
            loss,
            duplication: loss,
            reordering: 3,
            reading: 0.5,
            polite: true,
            abandoning: 0.0,
        });
    }
}
