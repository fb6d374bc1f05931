//! Sockets of stacks with several workers.

use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sctp::config::{EndpointConfig, StackConfig};
use sctp::{ChecksumState, EcnCodepoint, Instant, RxMeta, Stack, UdpPorts};

use crate::{
    AssociationConfig, Error, Received, SctpListener, SctpSocket, SctpStream, SndInfo, SocketBuilder, StackHandle,
};

const WORKERS: u16 = 4;
/// A limit that only a test which hangs reaches.
const LIMIT: Duration = Duration::from_secs(120);

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("the test hangs")
}

async fn stack(workers: u16, udp_port: u16, peer: Option<&StackHandle>) -> StackHandle {
    let mut builder = StackHandle::builder()
        .addresses(["127.0.0.1".parse().unwrap()])
        .udp_port(udp_port)
        .workers(workers);
    if let Some(peer) = peer {
        builder = builder.peer_udp_port(peer.udp_port());
    }
    builder.start().await.unwrap()
}

async fn listen(stack: &StackHandle, config: AssociationConfig) -> SctpListener {
    let builder = SocketBuilder::new().stack(stack).association(config);
    builder.listen("127.0.0.1:7", 64).await.unwrap()
}

/// Echoes on whatever is accepted.
fn echo(listener: &SctpListener) {
    let listener = listener.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                while let Ok(Some(message)) = stream.recv().await {
                    stream.send(message.payload, &message.info.reply()).await.unwrap();
                }
            });
        }
    });
}

/// Nothing is sent twice that was not lost, however busy the machine is.
fn unhurried() -> AssociationConfig {
    let mut config = AssociationConfig::default();
    config.set_rto(LIMIT, LIMIT, LIMIT).unwrap();
    config
}

async fn connect(stack: &StackHandle) -> SctpStream {
    let builder = SocketBuilder::new().stack(stack).association(unhurried());
    within(builder.connect("127.0.0.1:7")).await.unwrap()
}

/// Messages of one packet and of many come back.
async fn exchange(stream: &SctpStream) {
    for size in [1, 1000, 20_000] {
        let message = Bytes::from(vec![7; size]);
        within(stream.send(message.clone(), &SndInfo::new())).await.unwrap();
        assert_eq!(within(stream.recv()).await.unwrap().unwrap().payload, message);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listening_socket_has_associations_at_all_workers() {
    let server = stack(WORKERS, 0, None).await;
    let client = stack(1, 0, Some(&server)).await;
    let listener = listen(&server, AssociationConfig::default()).await;
    echo(&listener);
    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(connect(&client).await);
    }
    for stream in &streams {
        exchange(stream).await;
    }
    let mut established = 0;
    for worker in server.workers().unwrap() {
        let stats = worker.shard().stats();
        assert!(stats.passive_establishments > 0, "a worker has nothing to do");
        assert!(
            worker.shard().device.stats().receive_calls > 0,
            "all came by another socket"
        );
        assert_eq!((stats.out_of_the_blue, stats.bad_cookies), (0, 0), "{stats:?}");
        established += stats.passive_establishments;
    }
    assert_eq!((established, server.stats().passive_establishments), (64, 64));
    drop(streams);
    within(server.shutdown_graceful(LIMIT)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_one_to_many_socket_is_at_one_worker() {
    let server = stack(WORKERS, 0, None).await;
    let client = stack(WORKERS, 0, Some(&server)).await;
    // At whatever worker it is.
    for _ in 0..WORKERS {
        let builder = SocketBuilder::new().stack(&server).association(unhurried());
        let socket = builder.bind("127.0.0.1:7").await.unwrap();
        socket.listen(64).unwrap();
        let echoing = socket.clone();
        let echo = tokio::spawn(async move {
            while let Ok(received) = echoing.recv().await {
                if let Received::Data { payload, info } = received {
                    echoing.send(payload, &info.reply()).await.unwrap();
                }
            }
        });
        for _ in 0..8 {
            exchange(&connect(&client).await).await;
        }
        echo.abort();
        within(socket.close()).await.unwrap();
    }
    assert_eq!(client.stats().out_of_the_blue + server.stats().out_of_the_blue, 0);
}

/// An engine that listens on port 7, driven by hand: it can lose its memory.
struct Forgetful {
    udp_port: u16,
    forget: Arc<AtomicBool>,
    end: Arc<AtomicBool>,
}

impl Forgetful {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let udp_port = socket.local_addr().unwrap().port();
        let (forget, end) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let orders = (Arc::clone(&forget), Arc::clone(&end));
        std::thread::spawn(move || Self::run(&socket, udp_port, &orders.0, &orders.1));
        Self { udp_port, forget, end }
    }

    fn run(socket: &UdpSocket, udp_port: u16, forget: &AtomicBool, end: &AtomicBool) {
        let here: IpAddr = "127.0.0.1".parse().unwrap();
        let new = |listens: bool| {
            let mut stack = Stack::new(StackConfig::new(vec![here], Some(udp_port)), [9; 32]);
            if listens {
                let at = EndpointConfig {
                    port: Some(7),
                    ..EndpointConfig::default()
                };
                let at = stack.bind(at).unwrap();
                stack.listen(at, 64);
            }
            stack
        };
        let mut stack = new(true);
        let (mut buffer, mut out) = (vec![0; 65_536], Vec::new());
        while !end.load(Ordering::Relaxed) {
            if forget.load(Ordering::Relaxed) {
                stack = new(false);
                forget.store(false, Ordering::Relaxed);
            }
            let Ok((len, from)) = socket.recv_from(&mut buffer) else {
                continue;
            };
            let meta = RxMeta {
                src: from.ip(),
                dst: here,
                encap: Some(UdpPorts {
                    source: from.port(),
                    destination: udp_port,
                }),
                ecn: EcnCodepoint::NotEct,
                checksum: ChecksumState::Unverified,
                buffer_len: len,
            };
            stack.handle_datagram(Instant::ZERO, &meta, Bytes::copy_from_slice(&buffer[..len]));
            while let Some(transmit) = stack.poll_transmit(Instant::ZERO, 1, &mut out) {
                let to = transmit.encap.unwrap().destination;
                socket.send_to(&out[..transmit.size], (transmit.dst, to)).unwrap();
            }
        }
    }
}

impl Drop for Forgetful {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc9260_8_5_1_an_abort_with_a_reflected_tag_finds_its_association() {
    let server = Forgetful::start();
    let builder = StackHandle::builder()
        .addresses(["127.0.0.1".parse().unwrap()])
        .udp_port(0);
    let builder = builder.peer_udp_port(server.udp_port).workers(WORKERS);
    let client = builder.start().await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(connect(&client).await);
    }
    // What comes now is out of the blue, and so answered with the tag that it came with.
    server.forget.store(true, Ordering::Relaxed);
    while server.forget.load(Ordering::Relaxed) {
        tokio::task::yield_now().await;
    }
    for stream in &streams {
        stream.try_send("anybody there?", &SndInfo::new()).unwrap();
        let lost = within(stream.recv()).await;
        assert!(matches!(lost, Err(Error::AssociationLost(_))), "{lost:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_of_a_listening_socket_hold_at_all_workers() {
    let server = stack(WORKERS, 0, None).await;
    let client = stack(1, 0, Some(&server)).await;
    let listener = listen(&server, AssociationConfig::default()).await;
    let mut config = AssociationConfig::default();
    config.path_mut().set_path_max_retrans(3);
    listener.options().set_peer_addr_params(None, *config.path()).unwrap();
    let mut streams = Vec::new();
    for _ in 0..32 {
        streams.push(connect(&client).await);
        let (accepted, _) = within(listener.accept()).await.unwrap();
        let path = accepted.association().options().peer_addr_params(None).unwrap();
        assert_eq!(path.path_max_retrans(), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_have_one_space_of_ports() {
    let server = stack(WORKERS, 0, None).await;
    let listener = listen(&server, AssociationConfig::default()).await;
    assert_eq!(SctpSocket::bind_on(&server, 7).map(drop), Err(Error::PortInUse));
    let eight = SctpSocket::bind_on(&server, 8).unwrap();
    assert_eq!(SctpSocket::bind_on(&server, 8).map(drop), Err(Error::PortInUse));
    let builder = SocketBuilder::new().stack(&server);
    assert_eq!(builder.listen("127.0.0.1:8", 1).await.map(drop), Err(Error::PortInUse));
    drop((listener, eight));
    let _seven = SctpSocket::bind_on(&server, 7).unwrap();
    let _listener = SocketBuilder::new()
        .stack(&server)
        .listen("127.0.0.1:8", 1)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_cannot_have_workers_says_so() {
    let refused = StackHandle::builder().workers(2).share_udp_port(true).start().await;
    assert!(matches!(refused, Err(Error::Unsupported(_))));
    let raw = StackHandle::builder().workers(2).device(crate::DeviceConfig::Raw);
    assert!(matches!(raw.start().await, Err(Error::Unsupported(_))));
    assert!(matches!(
        StackHandle::builder().workers(u16::MAX).start().await,
        Err(Error::Unsupported(_))
    ));
}
