//! The two sides of most tests: the engine beside the guest, a program on a kernel socket in it.

use std::ops::Range;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use netns_tests::content;
use netns_tests::guest::{GUEST, HOST, Job, Session, addresses};
use netns_tests::host::Host;
use netns_tests::process::Source;
use sctp::config::{AssociationConfig, EndpointConfig};
use sctp::{AssocId, EndpointId, Event, Received};

/// What carries the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    Udp,
    Ip,
}

/// The UDP port of both sides.
pub(crate) const UDP_PORT: u16 = 9899;
/// The next SCTP ports: each association has its own, since the kernel may still hold one of an earlier test.
static NEXT_PORT: AtomicU16 = AtomicU16::new(20001);

/// Engine and kernel, with one or two networks between them.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) host: Host,
    peer: Job,
    /// How many lines of the program were looked at.
    seen: usize,
    /// The addresses that the kernel's end points are bound to, and the engine's.
    pub(crate) theirs: Vec<&'static str>,
    pub(crate) ours: Vec<&'static str>,
    /// The last one: the next test must not begin before the program is dropped.
    pub(crate) session: Session,
}

impl Pair {
    pub(crate) fn new(carrier: Carrier, networks: usize) -> Option<Self> {
        Self::with(carrier, networks, &[])
    }

    /// With the kernel's `net.sctp` variables set so.
    pub(crate) fn with(carrier: Carrier, networks: usize, settings: &[(&str, u32)]) -> Option<Self> {
        Self::between(carrier, &HOST[..networks], &GUEST[..networks], settings)
    }

    /// With these addresses of the engine and of the kernel.
    pub(crate) fn between(
        carrier: Carrier,
        ours: &[&'static str],
        theirs: &[&'static str],
        settings: &[(&str, u32)],
    ) -> Option<Self> {
        let mut settings = settings.to_vec();
        if carrier == Carrier::Udp {
            settings.extend([("encap_port", UDP_PORT.into()), ("udp_port", UDP_PORT.into())]);
        }
        let session = Session::start(&settings)?;
        let own = addresses(ours);
        let host = match carrier {
            Carrier::Udp => Host::udp(&own, UDP_PORT),
            Carrier::Ip => Host::raw(&own),
        };
        Some(Self {
            host,
            peer: session.program("peer.py", &[]),
            seen: 0,
            theirs: theirs.to_vec(),
            ours: ours.to_vec(),
            session,
        })
    }

    /// Tells the kernel's program to do something.
    pub(crate) fn begin(&mut self, command: &str) {
        self.peer.write_line(command);
    }

    /// Runs the engine until the program says a line that begins like this; gives the rest of it.
    pub(crate) fn said(&mut self, beginning: &str) -> String {
        let (peer, seen) = (&self.peer, &mut self.seen);
        let line = self.host.until(&format!("the kernel's program says {beginning}"), |_| {
            let lines = peer.lines(Source::Stdout);
            for line in lines.iter().skip(*seen) {
                *seen += 1;
                if line.starts_with(beginning) {
                    return Some(line.clone());
                }
                assert!(!line.starts_with("failed"), "{line}:\n{}", peer.text());
            }
            assert!(peer.status().is_none(), "the kernel's program ended:\n{}", peer.text());
            None
        });
        line[beginning.len()..].trim().to_owned()
    }

    /// Runs the engine until the program is done with a command.
    pub(crate) fn end(&mut self, command: &str) {
        let word = command.split(' ').next().unwrap_or(command);
        self.said(&format!("done {word}"));
    }

    /// Tells the program to do something, and runs the engine until it is done.
    pub(crate) fn order(&mut self, command: &str) {
        self.begin(command);
        self.end(command);
    }

    /// As [`order`](Self::order), with an answer: the rest of the line that begins like this.
    pub(crate) fn ask(&mut self, command: &str, beginning: &str) -> String {
        self.begin(command);
        let answer = self.said(beginning);
        self.end(command);
        answer
    }

    fn bind(&mut self, port: Option<u16>, config: &AssociationConfig) -> EndpointId {
        let config = EndpointConfig {
            port,
            addresses: addresses(&self.ours),
            association: config.clone(),
            ..EndpointConfig::default()
        };
        self.host.act(|stack, _| stack.bind(config)).unwrap()
    }

    /// An association that the engine opens.
    pub(crate) fn engine_connects(&mut self, config: &AssociationConfig) -> AssocId {
        let port = fresh_port();
        self.order(&format!("listen {port} {}", self.theirs.join(" ")));
        let endpoint = self.bind(None, config);
        let assoc = self.host.connect(endpoint, &addresses(&self.theirs), port);
        self.order("accept");
        assoc
    }

    /// An association that the kernel opens.
    pub(crate) fn kernel_connects(&mut self, config: &AssociationConfig) -> AssocId {
        let (port, from) = (fresh_port(), fresh_port());
        let endpoint = self.bind(Some(port), config);
        self.host.act(|stack, _| stack.listen(endpoint, 1));
        let (to, own) = (self.ours.join(" "), self.theirs.join(" "));
        let command = format!("connect {port} {to} from {from} {own}");
        self.begin(&command);
        let assoc = self.host.accept();
        self.end(&command);
        assoc
    }

    /// Sends the messages `0..count` on `streams` streams in turn.
    pub(crate) fn send_all(&mut self, assoc: AssocId, count: u32, size: usize, streams: u16) {
        self.send_some(assoc, 0..count, size, streams);
    }

    /// Sends some of many messages.
    pub(crate) fn send_some(&mut self, assoc: AssocId, which: Range<u32>, size: usize, streams: u16) {
        let mut outgoing = Outgoing { which, size, streams };
        self.host
            .until("everything is sent", |host| outgoing.advance(host, assoc));
    }

    /// Some messages each way.
    pub(crate) fn talk(&mut self, assoc: AssocId) {
        self.begin("expect 20 2000");
        self.send_all(assoc, 20, 2000, 1);
        self.end("expect");
        self.begin("send 20 2000");
        self.receive_all(assoc, 20, 2000, 1);
        self.end("send");
    }

    /// Receives the messages `0..count` on `streams` streams, each stream in order.
    pub(crate) fn receive_all(&mut self, assoc: AssocId, count: u32, size: usize, streams: u16) {
        Incoming::new(size, streams).take(&mut self.host, assoc, count);
    }

    /// The kernel sends `count` messages, gives each up at its first loss, and shuts the association down behind them:
    /// some arrive but not all, whole and in order, and nothing is held up.
    pub(crate) fn kernel_gives_up(&mut self, assoc: AssocId, count: u32, size: usize) {
        self.host.lose(5, 0);
        self.order(&format!("send {count} {size} rtx=0 gap=0.005"));
        self.begin("shutdown");
        self.host.until("the kernel has sent everything", |host| {
            host.happened(assoc, |event| {
                matches!(event, Event::PeerShutdown | Event::ShutdownComplete)
            })
        });
        let mut arrived = Vec::new();
        while let Some(message) = self.host.try_receive(assoc) {
            assert!(message.end_of_message);
            arrived.push(content::index(&message.payload));
        }
        assert!(arrived.is_sorted(), "{arrived:?}");
        assert!((1..count as usize).contains(&arrived.len()));
        self.host.until_shutdown(assoc);
        self.end("shutdown");
    }

    /// Sends `count` messages while it receives as many.
    pub(crate) fn exchange(&mut self, assoc: AssocId, count: u32, size: usize, streams: u16) {
        let which = 0..count;
        let mut outgoing = Outgoing { which, size, streams };
        let mut incoming = Incoming::new(size, streams);
        for _ in 0..count {
            let message = self.host.receive_while(assoc, |host| outgoing.advance(host, assoc));
            incoming.check(&message);
        }
        self.host
            .until("everything is sent", |host| outgoing.advance(host, assoc));
    }
}

/// Short time-outs, and no end of patience: a guest that stands still for a moment is not given up.
pub(crate) fn hasty(rto: Duration, most: Duration) -> AssociationConfig {
    let mut config = AssociationConfig::default();
    config.set_rto(rto, rto, most).unwrap();
    config.set_max_init_retransmits(1000);
    config.set_association_max_retrans(1000);
    config
}

fn fresh_port() -> u16 {
    NEXT_PORT.fetch_add(1, Ordering::Relaxed)
}

/// Messages on their way into the send buffer.
#[derive(Debug)]
struct Outgoing {
    which: Range<u32>,
    size: usize,
    streams: u16,
}

impl Outgoing {
    /// Sends what there is room for; something once that was all.
    fn advance(&mut self, host: &mut Host, assoc: AssocId) -> Option<()> {
        while self.which.start < self.which.end {
            let index = self.which.start;
            let stream = u16::try_from(index % u32::from(self.streams)).unwrap();
            if !host.try_send(assoc, content::message(index, self.size, stream)) {
                return None;
            }
            self.which.start += 1;
        }
        Some(())
    }
}

/// Messages as they arrive: none missing, none twice, each stream in order.
#[derive(Debug)]
pub(crate) struct Incoming {
    size: usize,
    /// The next message of each stream.
    wanted: Vec<u32>,
}

impl Incoming {
    /// Messages from number 0 on, on `streams` streams in turn.
    pub(crate) fn new(size: usize, streams: u16) -> Self {
        let wanted = (0..streams.into()).collect();
        Self { size, wanted }
    }

    /// Receives some more.
    pub(crate) fn take(&mut self, host: &mut Host, assoc: AssocId, count: u32) {
        for _ in 0..count {
            let message = host.receive(assoc);
            self.check(&message);
        }
    }

    fn check(&mut self, message: &Received) {
        let streams = u32::try_from(self.wanted.len()).unwrap();
        let next = &mut self.wanted[usize::from(message.stream.0)];
        let (index, size) = (content::index(&message.payload), message.payload.len());
        assert_eq!((index, message.ppid, size), (*next, content::ppid(*next), self.size));
        *next += streams;
    }
}
