//! What a message costs: two ends in one thread, no sockets, virtual time, no loss, checksums on.
//!
//! The same work is given to this engine and to two published ones, in the same process: the sender keeps
//! [`transfer::IN_FLIGHT`] numbered messages on the way, the receiver takes them and checks the numbers.
//!
//! ```text
//! cargo bench -p sctp --bench pair [-- --messages N] [--rounds N] [--no-instructions]
//! ```
//!
//! Times are the thread's own, medians over rounds in which the implementations take turns, so that a slow minute of
//! the machine meets all of them. Instructions are counted by callgrind in runs of two lengths, whose difference leaves
//! out set-up and slow start; they hardly vary, so compare those.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_types,
    reason = "a benchmark prints and reads the clock"
)]

mod callgrind;
mod cpu;
mod dcsctp;
mod engine;
mod scale;
mod sctp_proto;
mod transfer;

use std::env;
use std::process::ExitCode;

use cpu::CpuTime;
use transfer::{MESSAGE_SIZE, Pair, transfer};

#[global_allocator]
static ALLOCATOR: scale::Counting = scale::Counting;

/// Transfers so many messages over a fresh association.
type Run = fn(u64);

/// What is measured, under its name in the figures.
const IMPLEMENTATIONS: [(&str, Run); 3] = [
    ("engine", run::<engine::Engine>),
    ("dcsctp", run::<dcsctp::Dcsctp>),
    ("sctp_proto", run::<sctp_proto::SctpProto>),
];

fn run<P: Pair>(messages: u64) {
    transfer(&mut P::connect(), messages);
}

struct Options {
    messages: u64,
    rounds: usize,
    instructions: bool,
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [flag, name, messages] = args.as_slice()
        && flag == callgrind::CHILD_FLAG
    {
        return count(name, messages);
    }
    match options(&args) {
        Ok(options) => {
            report(&options);
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// The child under callgrind: nothing but the transfer.
fn count(name: &str, messages: &str) -> ExitCode {
    let small: (&str, Run) = ("engine_64B", scale::small_messages);
    let implementation = IMPLEMENTATIONS.iter().chain([&small]).find(|(n, _)| *n == name);
    match (implementation, messages.parse()) {
        (Some((_, run)), Ok(messages)) => {
            run(messages);
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}

fn options(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        messages: 20_000,
        rounds: 7,
        instructions: true,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut number = || {
            let value = args
                .next()
                .and_then(|value| value.parse::<u32>().ok())
                .filter(|&n| n > 0);
            value.ok_or_else(|| format!("{arg} wants a number above zero"))
        };
        match arg.as_str() {
            // Cargo's own.
            "--bench" => {}
            "--test" => (options.messages, options.rounds, options.instructions) = (100, 1, false),
            "--messages" => options.messages = number()?.into(),
            "--rounds" => options.rounds = number()? as usize,
            "--no-instructions" => options.instructions = false,
            other => {
                return Err(format!(
                    "unknown option {other}; known: --messages N, --rounds N, --no-instructions"
                ));
            }
        }
    }
    Ok(options)
}

fn report(options: &Options) {
    println!(
        "{} messages of {MESSAGE_SIZE} bytes, {} rounds, both ends in one thread",
        options.messages, options.rounds
    );
    let nanoseconds = nanoseconds(options);
    let instructions = if options.instructions {
        IMPLEMENTATIONS.map(|(name, _)| callgrind::instructions(name))
    } else {
        [const { None }; IMPLEMENTATIONS.len()]
    };

    println!(
        "\n{:<12}{:>12}{:>10}{:>18}{:>10}",
        "", "ns/message", "ratio", "instr./message", "ratio"
    );
    for (index, (name, _)) in IMPLEMENTATIONS.iter().enumerate() {
        print!(
            "{name:<12}{:>12.0}{:>10.2}",
            nanoseconds[index],
            nanoseconds[index] / nanoseconds[0]
        );
        match (instructions[index], instructions[0]) {
            (Some(count), Some(own)) => println!("{count:>18.0}{:>10.2}", count / own),
            _ => println!("{:>18}{:>10}", "-", "-"),
        }
    }
    println!(
        "\ndcsctp as published prints every packet into a string; without that it took 19300 instructions a message,"
    );
    println!("and usrsctp 23100, when they were measured apart.\n");
    let scale = scale::measure(options.instructions);
    scale.describe();

    for (index, (name, _)) in IMPLEMENTATIONS.iter().enumerate() {
        println!("figure {name}_{MESSAGE_SIZE}B_ns {:.0} ns", nanoseconds[index]);
        if let Some(count) = instructions[index] {
            println!("figure {name}_{MESSAGE_SIZE}B_instructions {count:.0} instructions");
        }
    }
    scale.figures();
}

/// The median time of a message, for each implementation.
fn nanoseconds(options: &Options) -> [f64; IMPLEMENTATIONS.len()] {
    let mut rounds = [const { Vec::new() }; IMPLEMENTATIONS.len()];
    // The first round warms up the caches and the allocator; it does not count.
    for round in 0..=options.rounds {
        for (times, (_, run)) in rounds.iter_mut().zip(&IMPLEMENTATIONS) {
            let start = CpuTime::now();
            run(options.messages);
            if round > 0 {
                times.push(start.elapsed().as_nanos() as f64 / options.messages as f64);
            }
        }
    }
    rounds.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    })
}
