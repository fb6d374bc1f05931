//! What bulk data costs over the loopback interface: one association in UDP, beside one TCP connection, in this process.
//!
//! Both ends and the stacks under them run on one tokio runtime; processor time is that of the whole process, kernel
//! included. The modes take turns, and medians are told, since the machine has other things to do as well.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use socketapi::{AssociationConfig, SctpListener, SctpStream, SndInfo, SocketBuilder, StackHandle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Bytes of a run.
const VOLUME: usize = 512 << 20;
/// Bytes before a run is measured: windows open, buffers are there.
const WARM_UP: usize = 16 << 20;
/// How often each mode runs.
const RUNS: usize = 7;
/// The path MTU: that of Ethernet, although the loopback interface carries more.
const MTU: u16 = 1500;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What carries the data.
#[derive(Clone, Copy, Debug)]
enum Mode {
    /// An association, with messages of so many bytes.
    Sctp(usize),
    /// A TCP connection.
    Tcp,
}

/// What a run took.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    wall: Duration,
    cpu: Duration,
    bytes: usize,
}

impl Outcome {
    fn mb_per_s(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.wall.as_secs_f64()
    }

    fn cpu_s_per_gb(&self) -> f64 {
        self.cpu.as_secs_f64() / (self.bytes as f64 / 1e9)
    }
}

/// Processor time of this process so far.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Starts to measure once the warm-up has arrived, and ends with the last byte.
struct Meter {
    arrived: usize,
    start: Option<(Instant, Duration, usize)>,
}

impl Meter {
    const fn new() -> Self {
        Self {
            arrived: 0,
            start: None,
        }
    }

    /// Counts bytes in; what it took once all have arrived.
    fn count(&mut self, bytes: usize) -> Option<Outcome> {
        self.arrived += bytes;
        if self.arrived >= WARM_UP && self.start.is_none() {
            self.start = Some((Instant::now(), cpu_time(), self.arrived));
        }
        if self.arrived < WARM_UP + VOLUME {
            return None;
        }
        let (wall, cpu, before) = self.start?;
        Some(Outcome {
            wall: wall.elapsed(),
            cpu: cpu_time().saturating_sub(cpu),
            bytes: self.arrived - before,
        })
    }
}

async fn sctp_pair() -> (SctpStream, SctpStream) {
    let mut config = AssociationConfig::default();
    config.path_mut().set_mtu(MTU).expect("an Ethernet MTU is valid");
    config.set_send_buffer(4 << 20).expect("4 MiB are valid");
    config.set_receive_buffer(4 << 20).expect("4 MiB are valid");
    let server = StackHandle::builder()
        .addresses([LOOPBACK])
        .udp_port(0)
        .start()
        .await
        .expect("a server stack");
    let client = StackHandle::builder()
        .addresses([LOOPBACK])
        .udp_port(0)
        .peer_udp_port(server.udp_port());
    let client = client.start().await.expect("a client stack");
    let builder = SocketBuilder::new().association(config);
    let address = SocketAddr::new(LOOPBACK, 7);
    let listener: SctpListener = builder
        .clone()
        .stack(&server)
        .listen(address, 1)
        .await
        .expect("a listener");
    let sender = builder.stack(&client).connect(address).await.expect("a connection");
    let (receiver, _) = listener.accept().await.expect("an accepted connection");
    (sender, receiver)
}

async fn run_sctp(message: usize) -> Outcome {
    let (sender, receiver) = sctp_pair().await;
    let sending = tokio::spawn(async move {
        let payload = Bytes::from(vec![0xa5; message]);
        let info = SndInfo::new();
        // Ends when the receiver has had enough.
        while sender.send(payload.clone(), &info).await.is_ok() {}
    });
    let mut meter = Meter::new();
    let outcome = loop {
        let message = receiver.recv().await.expect("data").expect("more data");
        if let Some(outcome) = meter.count(message.payload.len()) {
            break outcome;
        }
    };
    receiver.abort("enough").expect("the association is up");
    sending.await.expect("the sender ends");
    outcome
}

async fn run_tcp() -> Outcome {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let mut sender = TcpStream::connect(address).await.expect("a connection");
    let (mut receiver, _) = listener.accept().await.expect("an accepted connection");
    let sending = tokio::spawn(async move {
        let payload = vec![0xa5; 64 << 10];
        while sender.write_all(&payload).await.is_ok() {}
    });
    let mut buf = vec![0; 64 << 10];
    let mut meter = Meter::new();
    let outcome = loop {
        let len = receiver.read(&mut buf).await.expect("data");
        if let Some(outcome) = meter.count(len) {
            break outcome;
        }
    };
    drop(receiver);
    sending.await.expect("the sender ends");
    outcome
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::print_stdout, reason = "a benchmark tells its figures there")]
fn main() {
    let modes = [
        ("udp_64KiB", Mode::Sctp(64 << 10)),
        ("udp_1KiB", Mode::Sctp(1 << 10)),
        ("tcp", Mode::Tcp),
    ];
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let mut outcomes = vec![Vec::new(); modes.len()];
    for _ in 0..RUNS {
        for ((_, mode), outcomes) in modes.iter().zip(&mut outcomes) {
            outcomes.push(match *mode {
                Mode::Sctp(message) => runtime.block_on(run_sctp(message)),
                Mode::Tcp => runtime.block_on(run_tcp()),
            });
        }
    }
    println!("{:<12} {:>12} {:>16}", "mode", "MB/s", "CPU s/GB");
    let mut figures = Vec::new();
    for ((name, _), outcomes) in modes.iter().zip(&outcomes) {
        let rate = median(outcomes.iter().map(Outcome::mb_per_s).collect());
        let cpu = median(outcomes.iter().map(Outcome::cpu_s_per_gb).collect());
        println!("{name:<12} {rate:>12.0} {cpu:>16.3}");
        figures.push(format!("figure {name}_cpu_s_per_gb {cpu:.3} s/GB"));
        figures.push(format!("figure {name}_mb_per_s {rate:.0} MB/s"));
    }
    println!("\n{}", figures.join("\n"));
}
