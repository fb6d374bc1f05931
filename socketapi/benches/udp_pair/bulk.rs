//! Bulk data: one association, or one TCP connection, in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use socketapi::{AssociationConfig, MtuDiscovery, SctpStream, SndInfo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::cpu;
use crate::pair::{LOOPBACK, Pair};

/// How many associations the workers of a stack share.
const ASSOCIATIONS: usize = 4;
/// How long data flows before it is measured, at least: windows open, buffers are there.
const WARM_UP: Duration = Duration::from_millis(150);
/// How long path MTU discovery may take.
const DISCOVERY: Duration = Duration::from_secs(2);
/// How long is measured.
const MEASURED: Duration = Duration::from_millis(800);

/// What a transfer took, both ends together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    pub(crate) bytes: u64,
    /// The size of IP packets; not known of others' transfers.
    pub(crate) mtu: Option<usize>,
}

impl Outcome {
    pub(crate) fn mb_per_s(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.wall.as_secs_f64()
    }

    pub(crate) fn cpu_s_per_gb(&self) -> f64 {
        self.cpu.as_secs_f64() / (self.bytes as f64 / 1e9)
    }
}

/// Starts to measure once the warm-up is over.
struct Meter {
    began: Instant,
    arrived: u64,
    start: Option<(Instant, Duration, u64)>,
}

impl Meter {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            arrived: 0,
            start: None,
        }
    }

    /// Counts bytes in; what it took once the time is over.
    fn count(&mut self, bytes: usize, settled: impl FnOnce() -> bool) -> Option<Outcome> {
        self.arrived += bytes as u64;
        let Some((start, cpu, before)) = self.start else {
            let elapsed = self.began.elapsed();
            if elapsed >= WARM_UP && (elapsed >= DISCOVERY || settled()) {
                self.start = Some((Instant::now(), cpu::own(), self.arrived));
            }
            return None;
        };
        let wall = start.elapsed();
        (wall >= MEASURED).then(|| Outcome {
            wall,
            cpu: cpu::own().saturating_sub(cpu),
            bytes: self.arrived - before,
            mtu: None,
        })
    }
}

/// Messages of so many bytes, in packets of at most `mtu` bytes; without that, as large as path MTU discovery finds.
pub(crate) async fn sctp(message: usize, mtu: Option<u16>) -> Outcome {
    let mut config = AssociationConfig::default();
    if let Some(mtu) = mtu {
        config.path_mut().set_mtu(mtu).expect("a valid MTU");
    }
    let (sender, receiver) = Pair::start(config, 1).await.open().await;
    let path = sender.clone();
    let sending = tokio::spawn(async move {
        let payload = Bytes::from(vec![0xa5; message]);
        let info = SndInfo::new();
        // Ends when the receiver has had enough.
        while sender.send(payload.clone(), &info).await.is_ok() {}
    });
    let mut meter = Meter::new();
    let outcome = loop {
        let message = receiver.recv().await.expect("data").expect("more data");
        let settled = || mtu.is_some() || is_found(&path);
        if let Some(outcome) = meter.count(message.payload.len(), settled) {
            break outcome;
        }
    };
    let mtu = path
        .status()
        .expect("the association is up")
        .paths
        .first()
        .map(|path| path.mtu);
    receiver.abort("enough").expect("the association is up");
    sending.await.expect("the sender ends");
    Outcome { mtu, ..outcome }
}

/// Messages of so many bytes over several associations at once, between stacks of so many workers.
pub(crate) async fn sctp_of_workers(workers: u16, message: usize, mtu: u16) -> Outcome {
    let mut config = AssociationConfig::default();
    config.path_mut().set_mtu(mtu).expect("a valid MTU");
    let pair = Pair::start_with(config, ASSOCIATIONS, workers).await;
    let arrived = Arc::new(AtomicU64::new(0));
    let mut receivers = Vec::new();
    let mut tasks = Vec::new();
    for _ in 0..ASSOCIATIONS {
        let (sender, receiver) = pair.open().await;
        receivers.push(receiver.clone());
        let arrived = Arc::clone(&arrived);
        tasks.push(tokio::spawn(async move {
            // Ends with the association.
            while let Ok(Some(message)) = receiver.recv().await {
                arrived.fetch_add(message.payload.len() as u64, Ordering::Relaxed);
            }
        }));
        tasks.push(tokio::spawn(async move {
            let payload = Bytes::from(vec![0xa5; message]);
            let info = SndInfo::new();
            while sender.send(payload.clone(), &info).await.is_ok() {}
        }));
    }
    tokio::time::sleep(WARM_UP).await;
    let (start, cpu, before) = (Instant::now(), cpu::own(), arrived.load(Ordering::Relaxed));
    tokio::time::sleep(MEASURED).await;
    let outcome = Outcome {
        wall: start.elapsed(),
        cpu: cpu::own().saturating_sub(cpu),
        bytes: arrived.load(Ordering::Relaxed) - before,
        mtu: Some(usize::from(mtu)),
    };
    for receiver in receivers {
        receiver.abort("enough").expect("the association is up");
    }
    for task in tasks {
        task.await.expect("the ends end");
    }
    outcome
}

/// Whether path MTU discovery is through.
fn is_found(stream: &SctpStream) -> bool {
    let status = stream.status().expect("the association is up");
    status
        .paths
        .iter()
        .all(|path| path.mtu_discovery == MtuDiscovery::SearchComplete)
}

/// One TCP connection of the kernel.
pub(crate) async fn tcp(message: usize) -> Outcome {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let mut sender = TcpStream::connect(address).await.expect("a connection");
    let (mut receiver, _) = listener.accept().await.expect("an accepted connection");
    let sending = tokio::spawn(async move {
        let payload = vec![0xa5; message];
        while sender.write_all(&payload).await.is_ok() {}
    });
    let mut buf = vec![0; message];
    let mut meter = Meter::new();
    let outcome = loop {
        let len = receiver.read(&mut buf).await.expect("data");
        if let Some(outcome) = meter.count(len, || true) {
            break outcome;
        }
    };
    drop(receiver);
    sending.await.expect("the sender ends");
    outcome
}
