//! A fuzzer that nothing guides, and so fast and without need of a C++ compiler: changes inputs of folders at random.
//!
//! `blind TARGET EXECUTIONS SEED FOLDER...`. At a finding it writes the input to `finding-TARGET` in the working
//! folder.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use sctp::fuzz_bridge::{TARGETS, Target};
use sctp::random::Random;

/// Another input, made from those that are there.
fn vary(inputs: &[Vec<u8>], max_len: usize, random: &mut Random) -> Vec<u8> {
    let below = |random: &mut Random, n: usize| random.below(n as u64) as usize;
    let mut input = match inputs.len() {
        0 => Vec::new(),
        n => inputs[below(random, n)].clone(),
    };
    for _ in 0..=below(random, 5) {
        let at = below(random, input.len() + 1);
        let byte = random.u32() as u8;
        match below(random, 8) {
            0 | 1 if at < input.len() => input[at] = byte,
            2 if at < input.len() => input[at] ^= 1 << (byte & 7),
            3 => input.insert(at, byte),
            4 => input.truncate(at),
            5 => {
                let end = (at + below(random, 16)).min(input.len());
                input.drain(at..end);
            }
            6 if !inputs.is_empty() => {
                let other = &inputs[below(random, inputs.len())];
                let from = below(random, other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => (0..below(random, 32)).for_each(|_| input.push(random.u32() as u8)),
        }
    }
    input.truncate(max_len);
    input
}

fn run(target: &Target, executions: u64, seed: u64, inputs: &[Vec<u8>]) -> Result<(), Vec<u8>> {
    let mut random = Random::from_number(seed);
    for number in 0..executions {
        let input = match inputs.get(number as usize) {
            Some(input) => input.clone(),
            None => vary(inputs, target.max_len, &mut random),
        };
        if catch_unwind(AssertUnwindSafe(|| (target.body)(&input))).is_err() {
            return Err(input);
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let target = args.first().and_then(|name| TARGETS.iter().find(|target| target.name == name));
    let number = |n: usize| args.get(n).and_then(|text| text.parse().ok());
    let (Some(target), Some(executions), Some(seed)) = (target, number(1), number(2)) else {
        eprintln!("usage: blind TARGET EXECUTIONS SEED FOLDER...");
        return ExitCode::from(2);
    };
    let files = args[3..].iter().flat_map(fs::read_dir).flatten().flatten();
    let mut inputs: Vec<Vec<u8>> = files.filter_map(|entry| fs::read(entry.path()).ok()).collect();
    inputs.sort();
    let start = Instant::now();
    match run(target, executions, seed, &inputs) {
        Ok(()) => {
            println!("blind: {executions} executions in {} s", start.elapsed().as_secs());
            ExitCode::SUCCESS
        }
        Err(input) => {
            let file = format!("finding-{}", target.name);
            eprintln!("a finding: {file}, {} bytes", input.len());
            let _ = fs::write(file, input);
            ExitCode::FAILURE
        }
    }
}
