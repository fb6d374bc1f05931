//! What associations cost over the loopback interface, beside what others take for the same work in the same minute.
//!
//! Ours run in this process, both ends and the stacks under them on one tokio runtime, with default parameters. The
//! others are usrsctp's `tsctp` (Debian's libusrsctp-examples), a program of this bench with usrsctp (libusrsctp-dev and a
//! C compiler) and `iperf3` (TCP), a process for each end, and the crate `dcsctp`, TCP and bare UDP datagrams in this
//! process. Processor time is that of both ends, kernel included. All take turns, and medians are told, since the
//! machine may have other things to do as well. What is not installed is left out.
//!
//! ```text
//! cargo bench -p socketapi --bench udp_pair [-- --rounds N] [--only ROW]
//! ```

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_types,
    reason = "a benchmark prints and reads the clock"
)]

mod bulk;
mod cpu;
mod figures;
mod idle;
mod iperf3;
mod lifecycle;
mod median;
mod pair;
mod pingpong;
mod program;
mod tsctp;
mod usrsctp;

use std::env;
use std::process::ExitCode;

use tokio::runtime::Runtime;

use bulk::Outcome;
use figures::Figures;
use median::median;
use pingpong::Cores;
use program::Program;
use tsctp::Tsctp;
use usrsctp::Usrsctp;

const KIB: usize = 1 << 10;
/// The path MTU of Ethernet, although the loopback interface carries more.
const ETHERNET: Option<u16> = Some(1500);

/// Our rows of bulk data: name, size of a message, size of a packet.
const BULK: [(&str, usize, Option<u16>); 5] = [
    ("udp_mtu1500_64KiB", 64 * KIB, ETHERNET),
    ("udp_mtu1500_8KiB", 8 * KIB, ETHERNET),
    ("udp_mtu1500_64B", 64, ETHERNET),
    ("udp_lo_64KiB", 64 * KIB, None),
    ("udp_64B", 64, None),
];
/// Our rows of several associations at once: name, how many workers the stacks have.
const WORKERS: [(&str, u16); 2] = [("workers_1", 1), ("workers_2", 2)];
/// Rows of `tsctp`: name, size of a message.
const TSCTP: [(&str, usize); 2] = [("tsctp_64KiB", 64 * KIB), ("tsctp_64B", 64)];
const TCP: &str = "tcp_64KiB";
const IPERF3: &str = "iperf3_64KiB";
/// Where the ends of round trips run.
const PINGPONG: [Place; 2] = [
    Place {
        suffix: "",
        meaning: "each end on a core of its own, as on two hosts",
        cores: Cores::apart,
    },
    Place {
        suffix: "_one_core",
        meaning: "both ends on one core, where nothing is waited for but work",
        cores: Cores::together,
    },
];
const IDLE: &str = "idle_5000";

/// Programs to compare with, as far as there are any.
struct Others {
    tsctp: Option<Tsctp>,
    usrsctp: Option<Usrsctp>,
    iperf3: bool,
}

struct Place {
    /// What is added to the names of figures.
    suffix: &'static str,
    meaning: &'static str,
    cores: fn() -> Option<Cores>,
}

struct Options {
    rounds: usize,
    only: Option<String>,
}

impl Options {
    fn from_args() -> Result<Self, String> {
        let mut options = Self { rounds: 3, only: None };
        let mut args = env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                // Cargo's own.
                "--bench" => {}
                "--rounds" => {
                    let rounds = args.next().and_then(|value| value.parse().ok()).filter(|n| *n > 0);
                    options.rounds = rounds.ok_or("--rounds wants a number above zero")?;
                }
                "--only" => options.only = Some(args.next().ok_or("--only wants the name of a row")?),
                other => return Err(format!("unknown option {other}; known: --rounds N, --only ROW")),
            }
        }
        Ok(options)
    }

    fn wants(&self, row: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == row)
    }
}

/// Round trips of all rounds, with the ends in one place.
#[derive(Default)]
struct Trips {
    udp: Vec<pingpong::Outcome>,
    ours: Vec<pingpong::Outcome>,
    ours_async: Vec<pingpong::Outcome>,
    dcsctp: Vec<pingpong::Outcome>,
    usrsctp: Vec<pingpong::Outcome>,
}

/// What all rounds gave.
#[derive(Default)]
struct Rounds {
    bulk: [Vec<Outcome>; BULK.len()],
    workers: [Vec<Outcome>; WORKERS.len()],
    tsctp: [Vec<Outcome>; TSCTP.len()],
    tcp: Vec<Outcome>,
    iperf3: Vec<Outcome>,
    pingpong: [Trips; PINGPONG.len()],
    pingpong_tasks: Vec<pingpong::Outcome>,
    udp_pingpong_tasks: Vec<pingpong::Outcome>,
    setup_close: Vec<f64>,
    tsctp_setup_close: Vec<f64>,
}

fn main() -> ExitCode {
    if env::args().any(|arg| arg == idle::CHILD_FLAG) {
        idle::child();
        return ExitCode::SUCCESS;
    }
    let options = match Options::from_args() {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let others = Others {
        tsctp: Tsctp::find(),
        usrsctp: Usrsctp::build(),
        iperf3: iperf3::is_there(),
    };
    let idle = if options.wants(IDLE) { idle::start() } else { None };
    let mut rounds = Rounds::default();
    for _ in 0..options.rounds {
        round(&mut rounds, &options, &runtime, &others);
    }
    let mut figures = Figures::default();
    report_bulk(&mut figures, &rounds, &options, &others);
    report_others(&mut figures, &rounds, &options, &others);
    if options.wants(IDLE) {
        report_idle(&mut figures, idle, &others);
    }
    figures.print();
    ExitCode::SUCCESS
}

/// Runs a task on the workers of the runtime, rather than beside them.
fn run<T: Send + 'static>(runtime: &Runtime, task: impl Future<Output = T> + Send + 'static) -> T {
    runtime.block_on(async { tokio::spawn(task).await.expect("the task ends") })
}

fn round(rounds: &mut Rounds, options: &Options, runtime: &Runtime, others: &Others) {
    for ((name, message, mtu), outcomes) in BULK.into_iter().zip(&mut rounds.bulk) {
        if options.wants(name) {
            outcomes.push(run(runtime, bulk::sctp(message, mtu)));
        }
    }
    for ((name, workers), outcomes) in WORKERS.into_iter().zip(&mut rounds.workers) {
        if options.wants(name) {
            outcomes.push(run(runtime, bulk::sctp_of_workers(workers, 64 * KIB, 1500)));
        }
    }
    if options.wants(TCP) {
        rounds.tcp.push(run(runtime, bulk::tcp(64 * KIB)));
    }
    if others.iperf3 && options.wants(IPERF3) {
        rounds.iperf3.extend(iperf3::bulk(64 * KIB));
    }
    if options.wants("pingpong") {
        for (place, trips) in PINGPONG.iter().zip(&mut rounds.pingpong) {
            if let Some(cores) = (place.cores)() {
                trips.udp.push(pingpong::udp::blocking(cores));
                trips.ours.push(pingpong::sctp::blocking(cores));
                trips.ours_async.push(pingpong::sctp::tasks_apart(cores));
                trips.dcsctp.push(pingpong::dcsctp::blocking(cores));
                trips
                    .usrsctp
                    .extend(others.usrsctp.as_ref().and_then(|usrsctp| usrsctp.pingpong(cores)));
            }
        }
        rounds.pingpong_tasks.push(run(runtime, pingpong::sctp::tasks()));
        rounds.udp_pingpong_tasks.push(run(runtime, pingpong::udp::tasks()));
    }
    if options.wants("setup_close") {
        rounds.setup_close.push(run(runtime, lifecycle::sctp()));
    }
    let Some(tsctp) = &others.tsctp else { return };
    for ((name, message), outcomes) in TSCTP.into_iter().zip(&mut rounds.tsctp) {
        if options.wants(name) {
            outcomes.extend(tsctp.bulk(message));
        }
    }
    if options.wants("tsctp_setup_close") {
        rounds.tsctp_setup_close.extend(tsctp.setup_close(runtime));
    }
}

fn report_bulk(figures: &mut Figures, rounds: &Rounds, options: &Options, others: &Others) {
    figures.text(format!(
        "{:<20} {:>8} {:>10} {:>12}",
        "bulk data", "MTU", "MB/s", "CPU s/GB"
    ));
    let rates = BULK.iter().zip(&rounds.bulk).map(|((name, _, _), outcomes)| {
        let rate = options.wants(name).then(|| figures.bulk(name, outcomes));
        (*name, rate.flatten())
    });
    let rates: Vec<_> = rates.collect();
    let rate_of = |wanted: &str| {
        rates
            .iter()
            .find(|(name, _)| *name == wanted)
            .and_then(|(_, rate)| *rate)
    };
    for ((name, _), outcomes) in WORKERS.into_iter().zip(&rounds.workers) {
        if options.wants(name) {
            figures.bulk(name, outcomes);
        }
    }
    if options.wants(TCP) {
        figures.bulk(TCP, &rounds.tcp);
    }
    let over = |figures: &mut Figures, name: &str, ours: Option<f64>, theirs: Option<f64>| {
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            figures.text(format!("{name}: {:.2}", ours / theirs));
            figures.add(name, ours / theirs, "");
        }
    };
    if !others.iperf3 {
        figures.missing("iperf3 (Debian package iperf3); without it there is no goodput_over_tcp");
    } else if options.wants(IPERF3) {
        let theirs = figures.bulk(IPERF3, &rounds.iperf3);
        over(figures, "goodput_over_tcp", rate_of("udp_lo_64KiB"), theirs);
    }
    let Some(tsctp) = &others.tsctp else {
        figures.missing("tsctp (Debian package libusrsctp-examples); without it there is no goodput_over_tsctp");
        return;
    };
    for ((name, message), outcomes) in TSCTP.into_iter().zip(&rounds.tsctp) {
        if options.wants(name) {
            let theirs = figures.bulk(name, outcomes);
            if message == 64 * KIB {
                over(figures, "goodput_over_tsctp", rate_of("udp_mtu1500_64KiB"), theirs);
            }
        }
    }
    if !tsctp.is_silent() {
        figures.missing("tsctp without its report of every packet (no C compiler); as it is, it is slower");
    }
}

fn report_others(figures: &mut Figures, rounds: &Rounds, options: &Options, others: &Others) {
    if options.wants("pingpong") {
        figures.text("\nrequest and response, 100 bytes each, in a thread for each end that blocks");
        for (Place { suffix, meaning, .. }, trips) in PINGPONG.iter().zip(&rounds.pingpong) {
            if trips.udp.is_empty() {
                figures.missing(&format!("pingpong{suffix}, {meaning}: there are not as many"));
                continue;
            }
            figures.text(format!("{meaning}:"));
            figures.trips(&format!("udp_pingpong{suffix}"), &trips.udp);
            figures.pingpong(&format!("pingpong{suffix}"), &trips.ours, &trips.udp);
            figures.pingpong(&format!("pingpong_async{suffix}"), &trips.ours_async, &trips.udp);
            figures.pingpong(&format!("dcsctp_pingpong{suffix}"), &trips.dcsctp, &trips.udp);
            if trips.usrsctp.is_empty() {
                figures.missing("round trips of usrsctp (a C compiler, Debian package libusrsctp-dev)");
            } else {
                figures.pingpong(&format!("usrsctp_pingpong{suffix}"), &trips.usrsctp, &trips.udp);
            }
        }
        figures.text("both ends tasks of one runtime:");
        figures.trips("udp_pingpong_tasks", &rounds.udp_pingpong_tasks);
        figures.pingpong("pingpong_tasks", &rounds.pingpong_tasks, &rounds.udp_pingpong_tasks);
        figures.text("");
    }
    let ours = (!rounds.setup_close.is_empty()).then(|| median(rounds.setup_close.iter().copied()));
    let theirs = (!rounds.tsctp_setup_close.is_empty()).then(|| median(rounds.tsctp_setup_close.iter().copied()));
    if let Some(ours) = ours {
        figures.text(format!("set up and closed: {ours:.0} per CPU second"));
        figures.add("setup_close_per_cpu_s", ours, "1/s");
    }
    if let Some(theirs) = theirs {
        figures.text(format!(
            "set up and closed, tsctp's server, its time doubled: {theirs:.0} per CPU second"
        ));
        figures.add("tsctp_setup_close_per_cpu_s", theirs, "1/s");
    } else if others.tsctp.is_some() && options.wants("tsctp_setup_close") {
        figures.missing("tsctp_setup_close_per_cpu_s: associations with it failed");
    }
    if let (Some(ours), Some(theirs)) = (ours, theirs) {
        figures.text(format!("setup_close_over_tsctp: {:.2}", ours / theirs));
        figures.add("setup_close_over_tsctp", ours / theirs, "");
    }
}

fn report_idle(figures: &mut Figures, ours: Option<Program>, others: &Others) {
    if let Some(percent) = ours.and_then(idle::core_percent) {
        figures.text(format!("5000 idle associations, both ends: {percent:.2} % of a core"));
        figures.add("idle_5000_core_percent", percent, "%");
    } else {
        figures.missing("idle_5000_core_percent: the associations did not all stay up");
    }
    let theirs = others.usrsctp.as_ref().and_then(|usrsctp| usrsctp.idle(idle::COUNT));
    if let Some(percent) = theirs {
        figures.text(format!(
            "the same of usrsctp, one stack for both: {percent:.2} % of a core"
        ));
        figures.add("usrsctp_idle_5000_core_percent", percent, "%");
    } else {
        figures.missing("usrsctp_idle_5000_core_percent (a C compiler, Debian package libusrsctp-dev)");
    }
}
