//! Partial reliability on bad links: messages of every kind both ways, and what became of each (RFC 3758, RFC 7496).

mod common;

use common::{Setup, bad, exchange_mixtures};

fn soak(setup: Setup, seed: u64, count: u32, longest: u64) {
    let mut pair = setup.seed(seed).build();
    pair.connect();
    exchange_mixtures(&mut pair, seed, count, longest);
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
