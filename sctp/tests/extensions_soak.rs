//! All extensions at random: the seed draws what each side offers, what the links do, and what the users ask for while
//! messages of every kind go both ways. No message may be lost, come twice, be altered, or overtake another one of its
//! stream, but for those that their reliability allows to be given up, of which the sender is told.
//!
//! `SOAK_SEEDS` says how many seeds, `SOAK_FIRST` which is the first. A failure prints the command that repeats it.

mod common;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use common::{A, B, Family, Mixture, Pair, SCHEDULERS, Setup, ms, number, secs};
use sctp::config::{AssociationConfig, CongestionControl, PathThresholds, ReconfigRequests};
use sctp::random::Random;
use sctp::serial::{SharedKeyId, StreamId};
use sctp::sim::{LinkConfig, LinkId};
use sctp::wire::{ChunkType, ErrorDetectionMethod};
use sctp::{AssociationPhase, Event, Instant, StreamDirections};

/// What a seed is made of.
struct Dice(Random);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0.below(n)
    }

    fn often(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }
}

/// What both sides have in common.
struct Common {
    links: usize,
    auth: bool,
    asconf: bool,
    zero_checksum: bool,
}

/// What one side offers, and how it is set.
fn association(dice: &mut Dice, common: &Common, config: &mut AssociationConfig) {
    config
        .set_receive_buffer(dice.pick(&[10_000, 65_536, 200_000]))
        .unwrap();
    config.set_send_buffer(dice.pick(&[20_000, 65_536, 200_000])).unwrap();
    config.set_outbound_streams(dice.pick(&[1, 3, 10, 40])).unwrap();
    config.set_max_inbound_streams(dice.pick(&[5, 20, 2048])).unwrap();
    config.set_sack_frequency(dice.pick(&[1, 2, 2, 3])).unwrap();
    config.set_sack_delay(ms(dice.pick(&[0, 100, 200, 400]))).unwrap();
    config.set_rto(secs(1), ms(dice.pick(&[200, 1000])), secs(10)).unwrap();
    config.set_max_burst(dice.pick(&[0, 4, 4, 8]));
    // Bad spells are to be survived.
    config.set_association_max_retrans(60);
    config.set_max_init_retransmits(30);
    config.set_congestion_control(dice.pick(&[CongestionControl::Rfc9260, CongestionControl::Cubic]));
    config.set_partial_reliability(dice.often(80));
    config.interleaving_mut().set_offered(dice.often(60));
    config.set_stream_scheduler(dice.pick(&SCHEDULERS));
    config.reconfig_mut().set_offered(dice.often(85));
    config.reconfig_mut().set_accepted(ReconfigRequests::ALL);
    config.reconfig_mut().set_max_outbound_streams(60).unwrap();
    let limit = dice.pick(&[2, 5]);
    let potentially_failed = dice.pick(&[None, Some(0), Some(1)]);
    let switchover = dice.often(30).then_some(limit);
    let thresholds = PathThresholds::new(limit, potentially_failed, switchover).unwrap();
    config.path_mut().set_thresholds(thresholds);
    config
        .path_mut()
        .set_heartbeat_interval(Some(secs(dice.pick(&[5, 30]))))
        .unwrap();
    if dice.often(40) {
        config.path_mut().set_mtu_discovery(None).unwrap();
    }
    config.set_zero_checksum(common.zero_checksum.then_some(ErrorDetectionMethod::DTLS));
    config.asconf_mut().set_offered(common.asconf);
    config.asconf_mut().set_authentication_required(common.auth);
    if common.auth {
        let auth = config.auth_mut();
        auth.set_enabled(true);
        (1..3).for_each(|key| auth.keys_mut().set(SharedKeyId(key), &[key as u8; 20]));
        for kind in [
            ChunkType::DATA,
            ChunkType::SACK,
            ChunkType::RE_CONFIG,
            ChunkType::FORWARD_TSN,
        ] {
            if dice.often(40) {
                auth.require(kind).unwrap();
            }
        }
    }
}

fn link(dice: &mut Dice, zero_checksum: bool) -> LinkConfig {
    let mut link = LinkConfig::new()
        .latency(ms(1 + dice.below(60)))
        .jitter(ms(dice.below(10)))
        .mtu(dice.pick(&[1300, 1500, 1500, 4000, 9000]))
        .loss(dice.pick(&[0.0, 0.01, 0.05, 0.1]))
        .duplication(dice.pick(&[0.0, 0.05]))
        .reordering(dice.pick(&[0.0, 0.1]), ms(50));
    if dice.often(30) {
        link = link.rate(2_000_000, 30_000);
    }
    if !zero_checksum && dice.often(30) {
        link = link.corruption(0.02);
    }
    link
}

/// Something that a user or the network does.
fn act(pair: &mut Pair, dice: &mut Dice, common: &Common, down: &mut Option<(LinkId, Instant)>) {
    let side = dice.below(2) as usize;
    let (now, assoc) = (pair.now(), pair.assoc(side));
    let link = dice.below(common.links as u64) as usize;
    let (own, peer) = (pair.address(side, link), pair.address(1 - side, link));
    let streams = pair.status(side).map_or(1, |status| status.outbound_streams);
    // Sides that remove what the other one could reach part for good: a link stays that both are on.
    let is_on = |side, link| {
        let own = pair.address(side, link);
        pair.status(side)
            .is_some_and(|status| status.local_addresses.contains(&own))
    };
    let another_link = (0..common.links).any(|other| other != link && is_on(A, other) && is_on(B, other));
    let host = pair.hosts[side];
    let stack = pair.world.stack(host);
    match dice.below(13) {
        0..=2 => {
            let way = dice.pick(&[
                StreamDirections::Outgoing,
                StreamDirections::Incoming,
                StreamDirections::Both,
            ]);
            let list = [StreamId(dice.below(streams.into()) as u16)];
            let _ = stack.reset_streams(now, assoc, way, &list[..dice.below(2) as usize]);
        }
        3 if streams < 30 => drop(stack.add_streams(now, assoc, dice.below(4) as u16, dice.below(4) as u16)),
        4 if another_link => drop(stack.remove_local_address(now, assoc, own)),
        5 => drop(stack.add_local_address(now, assoc, own)),
        6 => drop(stack.set_peer_primary(now, assoc, own)),
        7 => {
            let _ = stack.set_primary(assoc, peer);
            let _ = stack.request_heartbeat(now, assoc, peer);
        }
        8 => {
            let _ = stack.set_stream_scheduler(assoc, dice.pick(&SCHEDULERS));
            let stream = StreamId(dice.below(streams.into()) as u16);
            let _ = stack.set_stream_scheduler_value(assoc, stream, dice.below(5) as u16);
        }
        9 => {
            let mut config = stack.association_config(assoc).unwrap();
            config.set_max_burst(dice.pick(&[0, 2, 4, 10]));
            config.set_sack_frequency(dice.pick(&[1, 2, 4])).unwrap();
            config.set_rto(secs(1), ms(dice.pick(&[200, 500])), secs(10)).unwrap();
            let _ = stack.set_association_config(now, assoc, config);
        }
        10 => drop(stack.set_active_auth_key(assoc, SharedKeyId(dice.below(3) as u16))),
        11 => drop(stack.reset_association(now, assoc)),
        12 if down.is_none() => {
            let link = pair.links[link];
            pair.world.set_link_up(link, false);
            *down = Some((link, now + ms(500 + dice.below(8000))));
        }
        _ => {}
    }
}

fn run(seed: u64) {
    let mut dice = Dice(Random::from_number(seed));
    let common = Common {
        links: 1 + dice.below(3) as usize,
        auth: dice.often(40),
        asconf: dice.often(50),
        zero_checksum: dice.often(25),
    };
    let family = dice.pick(&[Family::V4, Family::V6, Family::Alternating]);
    let link = link(&mut dice, common.zero_checksum);
    let calm = link.clone().loss(0.0).corruption(0.0);
    let mut setup = Setup::with_links(common.links).seed(seed).family(family).link(&link);
    if dice.often(40) {
        setup = setup.encapsulated(9899, 9900);
    }
    let mut configs = [AssociationConfig::default(), AssociationConfig::default()];
    configs
        .iter_mut()
        .for_each(|config| association(&mut dice, &common, config));
    for side in [A, B] {
        setup = setup.config_of(side, |config| *config = configs[side].clone());
    }
    let mut pair = setup.build();
    pair.connect();

    let count = 30 + dice.below(100) as u32;
    let longest = dice.pick(&[100, 2000, 9000]);
    let mut mixtures = [A, B].map(|side| Mixture::new(side, count, longest, 12));
    let (mut next, mut actions, mut down) = (pair.now(), dice.below(12), None);
    pair.must("everything arrives or is given up", secs(7200), |pair| {
        if let Some((link, _)) = down.filter(|(_, until)| *until <= pair.now()) {
            pair.world.set_link_up(link, true);
            down = None;
        } else if actions > 0 && pair.now() >= next {
            actions -= 1;
            next = pair.now() + ms(dice.below(1500));
            act(pair, &mut dice, &common, &mut down);
        }
        mixtures.iter_mut().for_each(|mixture| mixture.pump(pair, &mut dice.0));
        let done = |mixture: &Mixture| mixture.is_sent() && mixture.missing(pair).is_empty();
        let idle = |side| {
            pair.status(side)
                .is_some_and(|status| status.buffered_bytes == 0 && status.unacknowledged_messages == 0)
        };
        down.is_none() && idle(A) && idle(B) && mixtures.iter().all(done)
    });
    for side in [A, B] {
        assert_eq!(pair.phase(side), Some(AssociationPhase::Established), "side {side}");
        let stats = pair.status(side).unwrap().stats;
        let counted = stats.messages_abandoned_sent + stats.messages_abandoned_unsent;
        assert_eq!(counted, pair.failures(side).len() as u64);
    }
    // What was asked for of streams and addresses may still be open.
    pair.run(ms(dice.below(2000)));
    pair.shutdown(seed as usize % 2);
    let ended = pair.wait(secs(20), |pair| pair.ends(A) > 0 && pair.ends(B) > 0);
    if !ended {
        // T5-shutdown-guard leaves time for six tries or so, which may all be lost by chance.
        for link in pair.links.clone() {
            pair.world.set_link(link, calm.clone());
        }
    }
    pair.must("both sides end", secs(1200), |pair| {
        pair.ends(A) > 0 && pair.ends(B) > 0
    });
    pair.run(secs(10));
    for side in [A, B] {
        let graceful = pair.reported(side, |event| *event == Event::ShutdownComplete);
        if !graceful || pair.ends(side) != 1 {
            let told = format!("{:?}", pair.log[side].last());
            pair.fail(&format!("side {side} ended otherwise: {told}"));
        }
    }
}

/// Says something that the test harness does not swallow.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn run_seeds(seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
            say(&format!(
                "to see it again: SOAK_SEEDS=1 SOAK_FIRST={seed} cargo test -p sctp --test extensions_soak -- at_random"
            ));
            resume_unwind(panic);
        }
    }
}

#[test]
fn every_extension_at_random() {
    let (first, count) = (number("SOAK_FIRST", 1), number("SOAK_SEEDS", 100));
    run_seeds(first..first + count);
}

/// Seeds that nobody has seen.
#[test]
fn every_extension_with_new_seeds() {
    let first = RandomState::new().build_hasher().finish() >> 16;
    say(&format!("new seeds: {first} to {}", first + 9));
    run_seeds(first..first + 10);
}
