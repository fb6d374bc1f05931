//! Interleaving of messages with every scheduler on bad links (RFC 8260).

mod common;

use common::{A, B, Flow, SCHEDULERS, Setup, bad, exchange_mixtures, secs, transfer};
use sctp::serial::StreamId;

#[test]
fn every_scheduler_delivers_everything_in_order_on_a_bad_link() {
    for (seed, kind) in (1..).zip(SCHEDULERS) {
        for on in [false, true] {
            let setup = Setup::single().link(&bad(0.05)).seed(seed).config(move |config| {
                config.set_stream_scheduler(kind);
                config.interleaving_mut().set_offered(on);
                if seed % 2 == 0 && on {
                    config.interleaving_mut().set_fragments_from_zero(true);
                }
            });
            let mut pair = setup.build();
            pair.connect();
            let flow = |from| {
                Flow::new(from, 60)
                    .sizes(&[10, 5000, 100, 20_000])
                    .streams(5)
                    .unordered_every(3)
            };
            transfer(&mut pair, &mut [flow(A), flow(B)], secs(600));
            pair.run(secs(1));
            pair.assert_idle();
        }
    }
}

fn soak(setup: Setup, seed: u64, count: u32, longest: u64) {
    let kind = SCHEDULERS[seed as usize % SCHEDULERS.len()];
    let setup = setup
        .seed(seed)
        .config(|config| config.interleaving_mut().set_offered(true))
        .config(move |config| config.set_stream_scheduler(kind));
    let mut pair = setup.build();
    pair.connect();
    for side in [A, B] {
        let (assoc, stack) = (pair.assoc(side), pair.world.stack(pair.hosts[side]));
        for stream in 0..5 {
            stack
                .set_stream_scheduler_value(assoc, StreamId(stream), stream % 3)
                .unwrap();
        }
    }
    exchange_mixtures(&mut pair, seed, count, longest);
}

#[test]
fn interleaved_messages_of_every_kind_arrive_or_are_given_up() {
    for seed in 1..9 {
        soak(Setup::single().link(&bad(0.08)), seed, 150, 6000);
    }
}

#[test]
fn with_heavy_loss_and_small_buffers_nothing_stalls() {
    for seed in 1..7 {
        let setup = Setup::dual().link(&bad(0.2)).config(|config| {
            config.set_receive_buffer(10_000).unwrap();
            config.set_send_buffer(40_000).unwrap();
        });
        soak(setup, seed, 80, 20_000);
    }
}
