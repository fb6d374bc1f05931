//! Associations that carry nothing but heartbeats.
//!
//! Those that were opened together have their heartbeats together, once in HB.interval and an RTO (RFC 9260 §8.3). So
//! one such period is measured, in a process of its own beside everything else.

use std::env;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use socketapi::AssociationConfig;

use crate::cpu;
use crate::pair::Pair;
use crate::program::Program;

/// The option that makes this program the process that is measured.
pub(crate) const CHILD_FLAG: &str = "--idle-child";
/// How many there are.
pub(crate) const COUNT: usize = 5000;
/// Half a period: in the middle between two heartbeats.
const SETTLED: Duration = Duration::from_millis(15_500);
/// The default HB.interval, and the least RTO.
const PERIOD: Duration = Duration::from_secs(31);

/// What the process has printed at the end: the part of a core that both ends take, in percent.
pub(crate) fn child() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let (_pair, streams) = runtime.block_on(async {
        let pair = Pair::start(AssociationConfig::default(), 1).await;
        let mut streams = Vec::new();
        for _ in 0..COUNT {
            streams.push(pair.open().await);
        }
        (pair, streams)
    });
    sleep(SETTLED);
    let (start, before) = (Instant::now(), cpu::own());
    sleep(PERIOD);
    let (cpu, wall) = (cpu::own() - before, start.elapsed());
    for (opened, accepted) in &streams {
        for end in [opened, accepted] {
            end.status().expect("all associations are still up");
        }
    }
    println!("{}", cpu.as_secs_f64() / wall.as_secs_f64() * 100.0);
}

/// Starts the process.
pub(crate) fn start() -> Option<Program> {
    Program::start(&mut Command::new(env::current_exe().ok()?), [CHILD_FLAG])
}

/// What it measured.
pub(crate) fn core_percent(process: Program) -> Option<f64> {
    process.finish_within(SETTLED + PERIOD + PERIOD)?.trim().parse().ok()
}
