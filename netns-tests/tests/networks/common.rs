//! Two hosts, each a namespace with a thread of its own, and a load between them while the network changes.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use netns_tests::capture::{Capture, Decoder};
use netns_tests::content;
use netns_tests::namespace::Namespace;
use netns_tests::process::PATIENCE;
use netns_tests::require;
use socketapi::{AssociationConfig, AssociationStatus, Error, PathStatus, SndInfo, SocketBuilder, StackHandle};
use tokio::sync::Notify;

/// The UDP port of all hosts.
pub(crate) const UDP_PORT: u16 = 9899;
const PORT: u16 = 7;
/// How long all that is waited for in one test may take.
const ALL_PATIENCE: Duration = Duration::from_secs(300);
/// No test sends more messages, however long it takes.
const MAX_MESSAGES: u32 = 100_000;

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// One side's addresses, where it is.
pub(crate) struct Host<'a> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) addresses: &'a [&'a str],
}

impl<'a> Host<'a> {
    pub(crate) const fn new(namespace: &'a Namespace, addresses: &'a [&'a str]) -> Self {
        Self { namespace, addresses }
    }

    fn ips(&self) -> Vec<IpAddr> {
        self.addresses.iter().map(|text| ip(text)).collect()
    }

    fn sockets(&self) -> Vec<SocketAddr> {
        self.ips().into_iter().map(|ip| SocketAddr::new(ip, PORT)).collect()
    }

    async fn stack(&self) -> StackHandle {
        let builder = StackHandle::builder().addresses(self.ips()).udp_port(UDP_PORT);
        builder.start().await.unwrap()
    }

    /// Runs a task there.
    fn work<F: Future>(&self, task: impl FnOnce() -> F + Send) -> F::Output
    where
        F::Output: Send,
    {
        self.namespace.inside(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let done = tokio::time::timeout(ALL_PATIENCE, task()).await;
                done.expect("the task ends in time")
            })
        })
    }
}

/// What is sent.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// Size of a message.
    pub(crate) size: usize,
    /// Time between two messages.
    pub(crate) pause: Duration,
    pub(crate) config: fn() -> AssociationConfig,
}

/// Looks at working paths often, so that it is soon seen when one works again; otherwise as by default.
pub(crate) fn watchful() -> AssociationConfig {
    let mut config = AssociationConfig::default();
    config
        .path_mut()
        .set_heartbeat_interval(Some(Duration::from_millis(200)))
        .unwrap();
    config
}

#[derive(Default)]
struct Seen {
    arrivals: Vec<Instant>,
    client: Option<AssociationStatus>,
    server: Option<AssociationStatus>,
}

/// How far the load is, while the hosts work.
#[derive(Default)]
pub(crate) struct Progress {
    seen: Mutex<Seen>,
    changed: Condvar,
    over: AtomicBool,
    server_ended: Notify,
}

impl Progress {
    fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.seen.lock().unwrap());
        self.changed.notify_all();
    }

    fn until<T>(&self, what: &str, mut done: impl FnMut(&Seen) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = self.seen.lock().unwrap();
        loop {
            if let Some(result) = done(&seen) {
                return result;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero() && !self.over.load(Ordering::Relaxed),
                "{what}: did not happen after {} messages: {:#?}",
                seen.arrivals.len(),
                seen.client
            );
            seen = self.changed.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// Messages that have arrived.
    pub(crate) fn arrived(&self) -> usize {
        self.seen.lock().unwrap().arrivals.len()
    }

    /// Waits until so many more messages have arrived.
    pub(crate) fn wait_for_more(&self, count: usize) {
        let enough = self.arrived() + count;
        self.until("messages arrive", |seen| (seen.arrivals.len() >= enough).then_some(()));
    }

    /// Waits until the client's association is as wanted.
    pub(crate) fn wait_for_client(&self, what: &str, wanted: impl Fn(&AssociationStatus) -> bool) {
        self.until(what, |seen| seen.client.as_ref().is_some_and(&wanted).then_some(()));
    }

    /// As [`wait_for_client`](Self::wait_for_client), at the server.
    pub(crate) fn wait_for_server(&self, what: &str, wanted: impl Fn(&AssociationStatus) -> bool) {
        self.until(what, |seen| seen.server.as_ref().is_some_and(&wanted).then_some(()));
    }

    /// The longest time without a message since `from`.
    pub(crate) fn longest_gap(&self, from: Instant) -> Duration {
        let seen = self.seen.lock().unwrap();
        let first = seen.arrivals.partition_point(|at| *at < from).saturating_sub(1);
        let times = seen.arrivals.get(first..).unwrap_or_default();
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        gaps.max().unwrap_or_default()
    }
}

/// Ends the load, also if the test fails.
struct Finish<'a>(&'a Progress);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

/// The path to an address.
pub(crate) fn path<'a>(status: &'a AssociationStatus, address: &str) -> &'a PathStatus {
    let mut paths = status.paths.iter();
    let found = paths.find(|path| path.address == ip(address));
    found.unwrap_or_else(|| panic!("no path to {address}: {:#?}", status.paths))
}

/// Sends messages from the client to the first of the server's addresses, while `meanwhile` runs; then shuts down.
/// Every message must arrive, once, in order and unchanged. Gives the client's last status.
pub(crate) fn under_load(
    client: &Host<'_>,
    server: &Host<'_>,
    load: Load,
    meanwhile: impl FnOnce(&Progress),
) -> AssociationStatus {
    let progress = Progress::default();
    let (listens, listening) = mpsc::channel();
    let (sent, received) = thread::scope(|scope| {
        let finish = Finish(&progress);
        let receiving = scope.spawn(|| server.work(|| receive(server, load, &progress, listens)));
        listening.recv_timeout(PATIENCE).expect("the server listens");
        let sending = scope.spawn(|| client.work(|| send(client, server, load, &progress)));
        meanwhile(&progress);
        drop(finish);
        (sending.join().unwrap(), receiving.join().unwrap())
    });
    assert_eq!(sent, received, "messages sent and received");
    let status = progress.seen.lock().unwrap().client.take();
    status.expect("the client has sent")
}

async fn receive(host: &Host<'_>, load: Load, progress: &Progress, listens: mpsc::Sender<()>) -> u32 {
    let stack = host.stack().await;
    let builder = SocketBuilder::new().stack(&stack).association((load.config)());
    let listener = builder.listen(&host.sockets()[..], 1).await.unwrap();
    listens.send(()).unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let mut count = 0;
    while let Some(message) = stream.recv().await.unwrap() {
        assert!(message.info.end_of_message && message.payload.len() == load.size);
        assert_eq!(content::index(&message.payload), count, "in order");
        count += 1;
        let status = stream.status().ok();
        progress.note(|seen| {
            seen.arrivals.push(Instant::now());
            seen.server = status.or_else(|| seen.server.take());
        });
    }
    let _ = stream.close().await;
    let _ = stack.shutdown_graceful(PATIENCE).await;
    progress.server_ended.notify_one();
    count
}

async fn send(host: &Host<'_>, server: &Host<'_>, load: Load, progress: &Progress) -> u32 {
    let stack = host.stack().await;
    let builder = SocketBuilder::new().stack(&stack).association((load.config)());
    let stream = builder.connect_multi(&server.sockets()[..1]).await.unwrap();
    let mut count = 0;
    while count < MAX_MESSAGES && !progress.over.load(Ordering::Relaxed) {
        let sent = stream.try_send(content::bytes(count, load.size), &SndInfo::new());
        match sent {
            Ok(()) => count += 1,
            // What the state is now is of interest in particular when nothing goes on.
            Err(Error::WouldBlock) => (),
            Err(error) => panic!("message {count}: {error}"),
        }
        let status = stream.status().unwrap();
        progress.note(|seen| seen.client = Some(status));
        tokio::time::sleep(load.pause).await;
    }
    stream.close().await.unwrap();
    // The last packet may be lost: like a kernel, the host is still there to send it again.
    progress.server_ended.notified().await;
    count
}

/// A client, a router and a server, in one version of IP or the other, and the addresses of the client and the server.
/// The router's interfaces are `left` and `right`.
pub(crate) fn routed(v6: bool) -> Option<([Namespace; 3], [&'static str; 2])> {
    let hosts = [Namespace::new()?, Namespace::new()?, Namespace::new()?];
    let [client, router, server] = &hosts;
    client.cable("eth0", router, "left");
    server.cable("eth0", router, "right");
    let (nets, length, options) = if v6 {
        (["fd00:1::", "fd00:2::"], 64, "nodad")
    } else {
        (["10.0.1.", "10.0.2."], 24, "")
    };
    let [left, right] = nets;
    router.run(&format!(
        "echo 1 > /proc/sys/net/ipv4/ip_forward
         echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
         ip address add {left}1/{length} dev left {options}
         ip address add {right}1/{length} dev right {options}"
    ));
    for (host, net) in [(client, left), (server, right)] {
        host.run(&format!(
            "ip address add {net}2/{length} dev eth0 {options}
             ip route add default via {net}1"
        ));
    }
    let addresses = if v6 {
        ["fd00:1::2", "fd00:2::2"]
    } else {
        ["10.0.1.2", "10.0.2.2"]
    };
    Some((hosts, addresses))
}

/// How many packets the first counter among the rules of a router has counted: some.
pub(crate) fn counted(router: &Namespace) -> u32 {
    let rules = router.run("nft list ruleset");
    let mut words = rules.split_whitespace().skip_while(|word| *word != "packets");
    let count = words.nth(1).unwrap().parse().unwrap();
    assert!(count > 0, "{rules}");
    count
}

// Captures.

/// Captures at the interfaces `eth0` of a client and of a server.
pub(crate) fn capture_both(client: &Namespace, server: &Namespace, test: &str) -> Option<[Capture; 2]> {
    let client = capture(client, "eth0", test, "client")?;
    Some([client, capture(server, "eth0", test, "server")?])
}

/// Where a capture is left.
pub(crate) fn file(test: &str, place: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("networks");
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    folder.join(format!("{test}-{place}.pcapng"))
}

/// Captures SCTP in UDP, its fragments and ICMP on a host's interface.
pub(crate) fn capture(host: &Namespace, interface: &str, test: &str, place: &str) -> Option<Capture> {
    let file = file(test, place);
    let filter = format!("udp port {UDP_PORT} or icmp or icmp6 or ip[6:2] & 0x1fff != 0 or ip6[6] == 44");
    host.inside(|| Capture::filtered(interface, UDP_PORT, &filter, &file))
}

/// The packets of a capture; all must be well formed, with right checksums. ICMP is left out.
pub(crate) fn packets(decoder: &Decoder, fields: &[&str]) -> Vec<Vec<String>> {
    let all: Vec<&str> = ["sctp.checksum.status", "_ws.malformed"]
        .iter()
        .chain(fields)
        .copied()
        .collect();
    let lines = decoder.packets("sctp && !icmp && !icmpv6", &all);
    let packets = lines.iter().map(|line| {
        let mut values = line.split('\t').map(str::to_owned);
        let judged = (values.next(), values.next());
        assert_eq!(
            judged,
            (Some("1".to_owned()), Some(String::new())),
            "a wrong packet: {line}"
        );
        values.collect()
    });
    packets.collect()
}

/// A line about what was measured.
pub(crate) fn say(test: &str, what: &str) {
    require::say(&format!("{test}: {what}"));
}
