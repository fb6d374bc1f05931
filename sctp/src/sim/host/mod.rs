//! A host: interfaces, a stack, applications; or interfaces that a test speaks for.

mod config;

use std::any::Any;
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use config::Tune;

pub use config::HostConfig;

use super::app::{App, AppEvent, HostCtx, Outgoing, Subscriptions};
use super::ids::{AppId, LinkId};
use super::packet::Packet;
use super::route::Interface;
use super::trace::Trace;
use crate::config::{Marks, StackConfig};
use crate::random::Random;
use crate::time::earliest;
use crate::{
    AssocId, ChecksumState, EndpointId, Event, IcmpReport, Instant, LocalAddressChange, RxMeta, SendFailure, Stack,
    Transmit,
};

/// How many packets wait for a paused host; more are lost, as from a socket's full buffer.
const PAUSED_PACKETS: usize = 256;
/// More output at one instant than any host can have: the engine does not come to rest.
const RUNAWAY: usize = 200_000;

/// Counts of what a host could not send or take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostStats {
    /// Packets to addresses that no interface reaches.
    pub unroutable: u64,
    /// Packets from an address that the host had and lost.
    pub stale_source: u64,
    /// SCTP packets and datagrams that nothing on the host wanted: no encapsulation, no such port or group.
    pub unwanted: u64,
    /// Packets that came while it was down, or too many while it was paused.
    pub lost: u64,
}

/// Something that is done to a host.
#[derive(Debug)]
pub(crate) enum Input {
    Packet(Packet),
    /// A datagram that an application of the same host sent to a group.
    Looped {
        from: AppId,
        packet: Packet,
    },
    /// What the network says about a packet of the host's stack.
    Icmp(IcmpReport),
    /// An SCTP packet was too large for the interface that it was to leave by.
    TooBig(Packet),
    Wake,
}

/// Where a host is between power on and power off.
#[derive(Debug)]
enum State {
    Running,
    Paused(VecDeque<Input>),
    Down,
}

/// What a host with a stack holds, and loses when it crashes.
struct Node {
    stack: Stack,
    apps: Vec<Box<dyn App>>,
    subscriptions: Subscriptions,
    events: Vec<(EndpointId, AssocId, Event)>,
}

/// A host of a world.
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) stats: HostStats,
    pub(crate) wake: Option<(Instant, u64)>,
    former_addresses: BTreeSet<IpAddr>,
    encapsulation: Option<u16>,
    max_segments: usize,
    tune: Option<Tune>,
    state: State,
    node: Option<Node>,
    inbox: Vec<(Instant, Packet)>,
    scripted: bool,
    random: Random,
    buffer: Vec<u8>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("name", &self.name)
            .field("interfaces", &self.interfaces)
            .field("state", &self.state)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

impl Host {
    pub(crate) fn new(config: HostConfig, seed: [u8; 32]) -> Self {
        let interfaces = config.interfaces.into_iter();
        let mut host = Self {
            name: config.name,
            interfaces: interfaces
                .map(|(link, addresses)| Interface { link, addresses })
                .collect(),
            stats: HostStats::default(),
            wake: None,
            former_addresses: BTreeSet::new(),
            encapsulation: config.encapsulation,
            max_segments: config.max_segments,
            tune: config.tune,
            state: State::Running,
            node: None,
            inbox: Vec::new(),
            scripted: config.scripted,
            random: Random::new(seed),
            buffer: Vec::new(),
        };
        host.start();
        host
    }

    /// Starts with nothing: a fresh stack with a seed of its own, no applications, nothing in the inbox.
    pub(crate) fn start(&mut self) {
        self.state = State::Running;
        self.inbox.clear();
        if self.scripted {
            return;
        }
        let mut config = StackConfig::new(self.addresses(), self.encapsulation);
        if let Some(tune) = &self.tune {
            tune(&mut config);
        }
        self.node = Some(Node {
            stack: Stack::new(config, self.random.child_seed()),
            apps: Vec::new(),
            subscriptions: Subscriptions::default(),
            events: Vec::new(),
        });
    }

    /// Loses everything at once and tells nobody.
    pub(crate) fn crash(&mut self) {
        self.state = State::Down;
        self.node = None;
        self.inbox.clear();
    }

    pub(crate) fn pause(&mut self) {
        if matches!(self.state, State::Running) {
            self.state = State::Paused(VecDeque::new());
        }
    }

    /// What waits for the host, which runs again.
    pub(crate) fn resume(&mut self) -> VecDeque<Input> {
        match std::mem::replace(&mut self.state, State::Running) {
            State::Running => VecDeque::new(),
            State::Paused(waiting) => waiting,
            State::Down => panic!("{} is down: start it", self.name),
        }
    }

    pub(crate) const fn is_running(&self) -> bool {
        matches!(self.state, State::Running)
    }

    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let interfaces = self.interfaces.iter();
        interfaces
            .flat_map(|interface| interface.addresses.iter().copied())
            .collect()
    }

    /// Whether it may send from `address`: `None` if it never had it.
    pub(crate) fn owns(&self, address: IpAddr) -> Option<bool> {
        if self
            .interfaces
            .iter()
            .any(|interface| interface.addresses.contains(&address))
        {
            return Some(true);
        }
        (self.scripted || self.former_addresses.contains(&address)).then_some(self.scripted)
    }

    pub(crate) fn add_address(&mut self, now: Instant, interface: usize, address: IpAddr) {
        self.interfaces[interface].addresses.push(address);
        self.former_addresses.remove(&address);
        self.tell_address(now, LocalAddressChange::Added(address));
    }

    /// Takes an address away; the link it was on, if the host had it.
    pub(crate) fn remove_address(&mut self, now: Instant, address: IpAddr) -> Option<LinkId> {
        let mut interfaces = self.interfaces.iter_mut();
        let interface = interfaces.find(|interface| interface.addresses.contains(&address))?;
        interface.addresses.retain(|&own| own != address);
        let link = interface.link;
        self.former_addresses.insert(address);
        self.tell_address(now, LocalAddressChange::Removed(address));
        Some(link)
    }

    fn tell_address(&mut self, now: Instant, change: LocalAddressChange) {
        if let Some(node) = &mut self.node {
            node.stack.handle_local_address(now, change);
        }
    }

    fn node(&mut self) -> &mut Node {
        let name = &self.name;
        self.node.as_mut().unwrap_or_else(|| panic!("{name} has no stack"))
    }

    /// The stack, to be used: what comes of it is collected when the world goes on.
    pub(crate) fn stack(&mut self) -> &mut Stack {
        &mut self.node().stack
    }

    /// The stack, to be looked at.
    pub(crate) fn peek(&self) -> &Stack {
        let node = self.node.as_ref();
        &node.unwrap_or_else(|| panic!("{} has no stack", self.name)).stack
    }

    pub(crate) fn take_events(&mut self) -> Vec<(EndpointId, AssocId, Event)> {
        std::mem::take(&mut self.node().events)
    }

    pub(crate) fn take_inbox(&mut self) -> Vec<(Instant, Packet)> {
        std::mem::take(&mut self.inbox)
    }

    /// Puts an application on the host and tells it to start.
    pub(crate) fn add_app(&mut self, app: Box<dyn App>, run: &mut Run<'_>) -> AppId {
        let node = self.node();
        let id = AppId(node.apps.len());
        node.apps.push(app);
        self.tell(id, AppEvent::Start, run);
        id
    }

    pub(crate) fn app<T: App>(&self, id: AppId) -> Option<&T> {
        let app: &dyn Any = self.node.as_ref()?.apps.get(id.0)?.as_ref();
        app.downcast_ref()
    }

    /// Lets `act` use an application in its context.
    pub(crate) fn with_app<T: App, R>(
        &mut self,
        id: AppId,
        run: &mut Run<'_>,
        act: impl FnOnce(&mut T, &mut HostCtx<'_>) -> R,
    ) -> Option<R> {
        self.in_context(id, run, |app, ctx| {
            let app: &mut dyn Any = app;
            app.downcast_mut().map(|app| act(app, ctx))
        })
        .flatten()
    }

    fn tell(&mut self, id: AppId, event: AppEvent, run: &mut Run<'_>) {
        self.in_context(id, run, |app, ctx| app.handle(ctx.now, event, ctx));
    }

    fn in_context<R>(
        &mut self,
        id: AppId,
        run: &mut Run<'_>,
        act: impl FnOnce(&mut dyn App, &mut HostCtx<'_>) -> R,
    ) -> Option<R> {
        let addresses = self.addresses();
        let node = self.node.as_mut()?;
        let app = node.apps.get_mut(id.0)?;
        let mut ctx = HostCtx {
            now: run.now,
            host: &self.name,
            app: id,
            addresses: &addresses,
            stack: &mut node.stack,
            subscriptions: &mut node.subscriptions,
            out: run.out,
            random: &mut self.random,
            trace: run.trace,
        };
        Some(act(app.as_mut(), &mut ctx))
    }

    /// Does something to the host, and lets it do what it wants then.
    pub(crate) fn input(&mut self, input: Input, run: &mut Run<'_>) {
        match &mut self.state {
            State::Running => self.take(input, run),
            State::Paused(_) if matches!(input, Input::Wake) => {}
            State::Paused(waiting) if waiting.len() < PAUSED_PACKETS => waiting.push_back(input),
            State::Paused(_) | State::Down => self.stats.lost += 1,
        }
    }

    fn take(&mut self, input: Input, run: &mut Run<'_>) {
        match input {
            Input::Wake => self.timeouts(run),
            Input::Packet(packet) if self.scripted => self.inbox.push((run.now, packet)),
            Input::Packet(packet) => self.packet(&packet, None, run),
            Input::Looped { from, packet } => self.packet(&packet, Some(from), run),
            Input::Icmp(report) => {
                let kind = report.kind;
                run.trace.line(run.now, &self.name, format_args!("ICMP {kind:?}"));
                if let Some(node) = &mut self.node {
                    node.stack.handle_icmp(run.now, &report);
                }
            }
            Input::TooBig(packet) => self.too_big(&packet, run),
        }
        self.settle(run);
    }

    fn too_big(&mut self, packet: &Packet, run: &mut Run<'_>) {
        let Some(node) = &mut self.node else { return };
        let len = packet.payload.len();
        let transmit = Transmit {
            src: Some(packet.src),
            dst: packet.dst,
            encap: packet.udp_ports(),
            size: len,
            segment_size: len,
            dont_fragment: true,
            marks: Marks::default(),
            ecn: packet.ecn,
        };
        node.stack.handle_too_big(run.now, &transmit, &packet.payload, len);
    }

    fn timeouts(&mut self, run: &mut Run<'_>) {
        let Some(node) = &mut self.node else { return };
        run.trace.line(run.now, &self.name, format_args!("timeout"));
        if is_due(node.stack.poll_timeout(), run.now) {
            node.stack.handle_timeout(run.now);
        }
        let apps = node.apps.iter().enumerate();
        let due: Vec<AppId> = apps
            .filter(|(_, app)| is_due(app.poll_timeout(), run.now))
            .map(|(index, _)| AppId(index))
            .collect();
        for app in due {
            self.tell(app, AppEvent::Timeout, run);
        }
    }

    fn packet(&mut self, packet: &Packet, looped: Option<AppId>, run: &mut Run<'_>) {
        let Some(node) = &mut self.node else { return };
        let ports = packet.udp_ports();
        // Who speaks SCTP in UDP takes it in without UDP as well (RFC 6951 §5.4).
        if ports.is_none_or(|ports| Some(ports.destination) == self.encapsulation) {
            let meta = RxMeta {
                src: packet.src,
                dst: packet.dst,
                encap: ports,
                ecn: packet.ecn,
                checksum: ChecksumState::Unverified,
                buffer_len: packet.payload.len(),
            };
            node.stack.handle_datagram(run.now, &meta, packet.payload.clone());
            return;
        }
        let Some(ports) = ports else {
            self.stats.unwanted += 1;
            return;
        };
        let source = SocketAddr::new(packet.src, ports.source);
        let destination = SocketAddr::new(packet.dst, ports.destination);
        let mut receivers = node.subscriptions.receivers(destination);
        receivers.retain(|&app| looped != Some(app));
        if receivers.is_empty() && !packet.dst.is_multicast() {
            self.stats.unwanted += 1;
        }
        for app in receivers {
            let payload = packet.payload.clone();
            let event = AppEvent::Datagram {
                source,
                destination,
                payload,
            };
            self.tell(app, event, run);
        }
    }

    /// Takes everything out of the stack and gives it where it belongs, until nothing is left to do.
    pub(crate) fn settle(&mut self, run: &mut Run<'_>) {
        if !self.is_running() {
            return;
        }
        let mut rounds = 0;
        while self.collect_packets(run) | self.deliver_events(run) {
            rounds += 1;
            assert!(
                rounds < RUNAWAY && run.out.len() < RUNAWAY,
                "{} does not come to rest at {:?}",
                self.name,
                run.now
            );
        }
    }

    fn collect_packets(&mut self, run: &mut Run<'_>) -> bool {
        let Some(node) = &mut self.node else { return false };
        let mut any = false;
        while let Some(transmit) = node.stack.poll_transmit(run.now, self.max_segments, &mut self.buffer) {
            assert_eq!(transmit.size, self.buffer.len(), "a transmission fills its buffer");
            assert!(transmit.size > 0, "a transmission has bytes");
            for segment in transmit.segments(&self.buffer) {
                run.out.push(Outgoing::Sctp {
                    src: transmit.src,
                    dst: transmit.dst,
                    encap: transmit.encap,
                    payload: Bytes::copy_from_slice(segment),
                    dont_fragment: transmit.dont_fragment,
                    ecn: transmit.ecn,
                });
            }
            any = true;
            if run.out.len() >= RUNAWAY {
                break;
            }
        }
        any
    }

    fn deliver_events(&mut self, run: &mut Run<'_>) -> bool {
        let mut any = false;
        while let Some((endpoint, assoc, event)) = self.node.as_mut().and_then(|node| node.stack.poll_event()) {
            any = true;
            trace_event(&self.name, &event, run);
            let Some(node) = &mut self.node else { break };
            match node.subscriptions.endpoints.get(&endpoint) {
                Some(&app) => {
                    let event = AppEvent::Sctp { endpoint, assoc, event };
                    self.tell(app, event, run);
                }
                None => node.events.push((endpoint, assoc, event)),
            }
        }
        any
    }

    /// When the host wants to be woken.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let node = self.node.as_ref().filter(|_| self.is_running())?;
        let apps = node.apps.iter().map(|app| app.poll_timeout());
        apps.fold(node.stack.poll_timeout(), earliest)
    }
}

/// What a host may use while it acts.
pub(crate) struct Run<'a> {
    pub(crate) now: Instant,
    pub(crate) out: &'a mut Vec<Outgoing>,
    pub(crate) trace: &'a mut Trace,
}

fn is_due(timeout: Option<Instant>, now: Instant) -> bool {
    timeout.is_some_and(|at| at <= now)
}

fn trace_event(host: &str, event: &Event, run: &mut Run<'_>) {
    match event {
        // The payload may be large; its bytes were in the trace when it was sent, if ever.
        Event::SendFailed(SendFailure {
            stream, context, sent, ..
        }) => run.trace.line(
            run.now,
            host,
            format_args!("SendFailed stream {stream:?} context {context} sent {sent}"),
        ),
        event => run.trace.line(run.now, host, format_args!("{event:?}")),
    }
}
