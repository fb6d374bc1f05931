//! Every target over its seeds, as they are and damaged.

use std::fs;
use std::path::Path;

use super::{TARGETS, Target, parse_seeds};
use crate::random::Random;

/// How many damaged inputs of each target are tried; there are more of them than time.
const DAMAGED: usize = 3000;

fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/seeds/{}.hex", target.name));
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert!(text.len() < 2 << 20, "{} bytes", text.len());
    parse_seeds(&text).expect("hexadecimal digits")
}

/// A seed, cut off somewhere or with a byte changed.
fn damaged(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let at = random.below(seed.len() as u64) as usize;
    let mut damaged = seed.to_vec();
    match random.below(5) {
        0 => damaged.truncate(at),
        1 => drop(damaged.remove(at)),
        2 => damaged.insert(at, random.u32() as u8),
        _ => damaged[at] ^= [0x01, 0x40, 0x80, 0xff][random.below(4) as usize],
    }
    damaged
}

fn run(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    let seeds = seeds(target);
    assert!(seeds.len() > 10, "{} seeds", seeds.len());
    seeds.iter().for_each(|seed| (target.body)(seed));
    let mut random = Random::from_number(1);
    for _ in 0..DAMAGED {
        let seed = &seeds[random.below(seeds.len() as u64) as usize];
        (target.body)(&damaged(seed, &mut random));
    }
}

macro_rules! each_target {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                run(stringify!($name));
            }
        )*

        #[test]
        fn every_target_has_its_test() {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

each_target!(packet chunk cookie sack outstanding reassembly reconfig asconf auth stack_pair);
