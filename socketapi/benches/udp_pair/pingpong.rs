//! A request and its response, one after the other: over an association, and in bare UDP datagrams.
//!
//! Each end has a thread of its own, as two programs would have, which blocks: [`sctp`] and [`udp`]; or which runs
//! tasks: [`sctp_async`]. Or both ends are tasks that mostly share one thread, so that nothing but work is left:
//! [`sctp_tasks`] and [`udp_tasks`].

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use socketapi::{AssociationConfig, SctpStream, SndInfo, SocketBuilder};
use tokio::net::UdpSocket;

use crate::cpu;
use crate::figures::percentile;
use crate::pair::{LOOPBACK, Pair, SERVER, client_of, client_on, connect, listener, server_on};

/// Bytes of a request, and of a response.
const SIZE: usize = 100;
/// Round trips before it is measured.
const WARM_UP: usize = 500;
/// How long is measured.
const MEASURED: Duration = Duration::from_millis(400);

/// Round-trip times, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// When to stop, and what it took until then.
struct Meter {
    trips: Vec<f64>,
    warm_up: usize,
    end: Option<Instant>,
}

impl Meter {
    const fn new() -> Self {
        Self {
            trips: Vec::new(),
            warm_up: WARM_UP,
            end: None,
        }
    }

    /// Counts a round trip; true when it is time to end.
    fn count(&mut self, start: Instant) -> bool {
        let now = Instant::now();
        if self.warm_up > 0 {
            self.warm_up -= 1;
            return false;
        }
        self.trips.push((now - start).as_secs_f64() * 1e6);
        now >= *self.end.get_or_insert(now + MEASURED)
    }

    fn outcome(self) -> Outcome {
        Outcome {
            p50: percentile(&self.trips, 50),
            p99: percentile(&self.trips, 99),
        }
    }
}

/// Runs a task on a runtime of the thread that asks for it.
fn on_this_thread<T: Send + 'static>(end: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.expect("a runtime").block_on(async { tokio::spawn(end).await });
    ended.expect("the task ends")
}

/// Where the ends run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cores {
    /// Where the system puts them: mostly both on one core, so that nothing is waited for but work.
    Any,
    /// Each on a core of its own, as on two hosts.
    Apart([usize; 2]),
}

impl Cores {
    /// A core for each end, if there are as many.
    pub(crate) fn apart() -> Option<Self> {
        match cpu::cores()[..] {
            [one, other, ..] => Some(Self::Apart([one, other])),
            _ => None,
        }
    }

    fn keep(self, end: usize) {
        if let Self::Apart(cores) = self {
            cpu::keep_to(cores[end]);
        }
    }
}

/// Runs both ends on threads of their own; what the client says. The server tells it where it is.
fn ends<T: Send>(
    cores: Cores,
    server: impl FnOnce(&mpsc::Sender<T>) + Send,
    client: impl FnOnce(T) -> Outcome + Send,
) -> Outcome {
    let (told, tells) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            cores.keep(0);
            server(&told);
        });
        let client = scope.spawn(move || {
            cores.keep(1);
            client(tells.recv().expect("the server starts"))
        });
        client.join().expect("the client ends")
    })
}

pub(crate) fn sctp(cores: Cores) -> Outcome {
    ends(
        cores,
        |told| {
            let stack = server_on(LOOPBACK).start_blocking().expect("a server stack");
            let listener = SocketBuilder::new().stack(&stack).listen_blocking(SERVER, 1);
            let listener = listener.expect("a listener");
            told.send(stack.udp_port()).expect("the client waits for it");
            let (stream, _) = listener.accept_blocking().expect("a connection");
            let info = SndInfo::new();
            while let Ok(Some(request)) = stream.recv_blocking() {
                if stream.send_blocking(request.payload, &info).is_err() {
                    break;
                }
            }
        },
        |udp_port| {
            let stack = client_on(LOOPBACK, udp_port).start_blocking().expect("a client stack");
            let stream = SocketBuilder::new().stack(&stack).connect_blocking(SERVER);
            let stream = stream.expect("a connection");
            let request = Bytes::from(vec![0x5a; SIZE]);
            let info = SndInfo::new();
            let mut meter = Meter::new();
            loop {
                let start = Instant::now();
                stream
                    .send_blocking(request.clone(), &info)
                    .expect("the association is up");
                let response = stream.recv_blocking().expect("data").expect("a response");
                assert_eq!(response.payload.len(), SIZE);
                if meter.count(start) {
                    break;
                }
            }
            stream.close_blocking().expect("closed in good order");
            meter.outcome()
        },
    )
}

pub(crate) fn sctp_async() -> Outcome {
    let (told, tells) = mpsc::channel();
    let server = thread::spawn(move || {
        on_this_thread(async move {
            let (stack, listener) = listener(AssociationConfig::default(), 1).await;
            told.send(stack.udp_port()).expect("the client waits for it");
            let (stream, _) = listener.accept().await.expect("a connection");
            answer(stream).await;
        });
    });
    let udp_port = tells.recv().expect("the server starts");
    let outcome = on_this_thread(async move {
        let stack = client_of(udp_port).await;
        ask(connect(&stack, AssociationConfig::default()).await).await
    });
    server.join().expect("the server ends");
    outcome
}

pub(crate) fn udp(cores: Cores) -> Outcome {
    let bind = || std::net::UdpSocket::bind((LOOPBACK, 0)).expect("a socket");
    let (server, client) = (bind(), bind());
    client.connect(server.local_addr().expect("bound")).expect("connected");
    server.connect(client.local_addr().expect("bound")).expect("connected");
    ends(
        cores,
        |told| {
            told.send(()).expect("the client waits for it");
            let mut buf = vec![0; 2048];
            loop {
                let len = server.recv(&mut buf).expect("a request");
                if len == 0 {
                    break;
                }
                server.send(&buf[..len]).expect("the client is there");
            }
        },
        |()| {
            let request = vec![0x5a; SIZE];
            let mut buf = vec![0; 2048];
            let mut meter = Meter::new();
            loop {
                let start = Instant::now();
                client.send(&request).expect("the server is there");
                assert_eq!(client.recv(&mut buf).expect("a response"), SIZE);
                if meter.count(start) {
                    break;
                }
            }
            client.send(&[]).expect("the server is there");
            meter.outcome()
        },
    )
}

pub(crate) async fn sctp_tasks() -> Outcome {
    let (client, server) = Pair::start(AssociationConfig::default(), 1).await.open().await;
    let answering = tokio::spawn(answer(server));
    let outcome = ask(client).await;
    answering.await.expect("the server ends");
    outcome
}

/// Answers until the association ends.
async fn answer(stream: SctpStream) {
    let info = SndInfo::new();
    while let Ok(Some(request)) = stream.recv().await {
        if stream.send(request.payload, &info).await.is_err() {
            break;
        }
    }
}

async fn ask(stream: SctpStream) -> Outcome {
    let request = Bytes::from(vec![0x5a; SIZE]);
    let info = SndInfo::new();
    let mut meter = Meter::new();
    loop {
        let start = Instant::now();
        stream
            .send(request.clone(), &info)
            .await
            .expect("the association is up");
        let response = stream.recv().await.expect("data").expect("a response");
        assert_eq!(response.payload.len(), SIZE);
        if meter.count(start) {
            break;
        }
    }
    stream.close().await.expect("closed in good order");
    meter.outcome()
}

pub(crate) async fn udp_tasks() -> Outcome {
    let server = UdpSocket::bind((LOOPBACK, 0)).await.expect("a server");
    let client = UdpSocket::bind((LOOPBACK, 0)).await.expect("a client");
    client
        .connect(server.local_addr().expect("bound"))
        .await
        .expect("connected");
    server
        .connect(client.local_addr().expect("bound"))
        .await
        .expect("connected");
    let answering = tokio::spawn(async move {
        let mut buf = vec![0; 2048];
        loop {
            let len = server.recv(&mut buf).await.expect("a request");
            if len == 0 {
                break;
            }
            server.send(&buf[..len]).await.expect("the client is there");
        }
    });
    let request = vec![0x5a; SIZE];
    let mut buf = vec![0; 2048];
    let mut meter = Meter::new();
    loop {
        let start = Instant::now();
        client.send(&request).await.expect("the server is there");
        assert_eq!(client.recv(&mut buf).await.expect("a response"), SIZE);
        if meter.count(start) {
            break;
        }
    }
    client.send(&[]).await.expect("the server is there");
    answering.await.expect("the server ends");
    meter.outcome()
}
