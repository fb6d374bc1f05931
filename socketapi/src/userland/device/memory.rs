//! Networks inside the process.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sctp::random::Random;
use sctp::{ChecksumState, IcmpKind, IcmpReport, RxMeta, Transmit, UdpPorts};

use super::mailbox::Mailbox;
use super::stats::Counters;
use super::{Datagrams, Progress, Receiver, Trouble};
use crate::{Error, Result};

/// What a network carries if nobody says otherwise.
const MTU: usize = 65_535;
/// Where free UDP ports are drawn from.
const EPHEMERAL: std::ops::RangeInclusive<u16> = 49_152..=65_535;

/// The network of those who name none.
static COMMON: LazyLock<MemoryNetwork> = LazyLock::new(MemoryNetwork::new);

/// A network inside the process, for tests of programs: stacks with
/// [`DeviceConfig::Memory`](crate::DeviceConfig::Memory) of one network reach each other, and nobody else.
///
/// It is a handle and cheap to clone. Its addresses are its own: any will do, and the system knows nothing of them.
#[derive(Clone, Debug)]
pub struct MemoryNetwork(Arc<Network>);

#[derive(Debug)]
struct Network {
    state: Mutex<State>,
    /// Told when packets are put off.
    put_off: Condvar,
}

#[derive(Debug)]
struct State {
    ports: BTreeMap<Place, Arc<Mailbox>>,
    loss: f64,
    random: Random,
    delay: Duration,
    mtu: usize,
    /// Packets on their way, by the time they arrive and their order.
    on_the_way: BTreeMap<(Instant, u64), (Place, RxMeta, Bytes)>,
    count: u64,
    /// Whether there is a thread that lets them arrive.
    carried: bool,
}

/// Where packets go to: an address, and a UDP port or SCTP directly on IP.
type Place = (IpAddr, Option<u16>);

impl Default for MemoryNetwork {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for MemoryNetwork {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for MemoryNetwork {}

impl MemoryNetwork {
    /// A network that carries packets of up to 65535 bytes at once, in order and without loss.
    pub fn new() -> Self {
        let state = State {
            ports: BTreeMap::new(),
            loss: 0.0,
            random: Random::from_number(0),
            delay: Duration::ZERO,
            mtu: MTU,
            on_the_way: BTreeMap::new(),
            count: 0,
            carried: false,
        };
        Self(Arc::new(Network {
            state: Mutex::new(state),
            put_off: Condvar::new(),
        }))
    }

    /// The one that `SCTP_DEVICE=memory` stands for: the same in the whole process.
    pub fn common() -> Self {
        COMMON.clone()
    }

    /// From now on loses this share of the packets, from 0 (none) to 1 (all). The same seed loses the same ones of the
    /// same packets in the same order.
    pub fn set_loss(&self, share: f64, seed: u64) {
        let mut state = self.0.lock();
        state.loss = share;
        state.random = Random::from_number(seed);
    }

    /// From now on packets take so long.
    pub fn set_delay(&self, delay: Duration) {
        self.0.lock().delay = delay;
    }

    /// From now on carries IP packets of up to so many bytes.
    pub fn set_mtu(&self, mtu: usize) {
        self.0.lock().mtu = mtu;
    }
}

impl Network {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets packets arrive in their time, until none is on its way.
    fn carry(&self) {
        let mut state = self.lock();
        while let Some(((at, _), _)) = state.on_the_way.first_key_value() {
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                if let Some((_, (place, meta, packet))) = state.on_the_way.pop_first() {
                    state.deliver(place, meta, packet);
                }
            } else {
                let waited = self.put_off.wait_timeout(state, left);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        state.carried = false;
    }
}

impl State {
    fn deliver(&self, place: Place, meta: RxMeta, packet: Bytes) {
        if let Some(port) = self.ports.get(&place) {
            port.push(meta, packet);
        }
    }

    /// Why nobody gets a packet to a place; nothing if somebody does.
    fn obstacle(&self, place: Place) -> Option<IcmpKind> {
        let (address, port) = place;
        if self.ports.contains_key(&place) {
            return None;
        }
        let is_there = self.ports.keys().any(|(of, _)| *of == address);
        Some(match (is_there, port) {
            (false, _) => IcmpKind::Unreachable,
            (true, Some(_)) => IcmpKind::PortUnreachable,
            (true, None) => IcmpKind::ProtocolUnreachable,
        })
    }
}

/// A stack's place on a network.
#[derive(Debug)]
pub(crate) struct MemoryDevice {
    network: Arc<Network>,
    addresses: Vec<IpAddr>,
    udp_port: Option<u16>,
    port: Arc<Mailbox>,
    pub(super) counters: Counters,
}

impl MemoryDevice {
    /// A place at `addresses`, or at the loopback addresses if there are none; on a UDP port (0: a free one) or
    /// directly on IP.
    pub(crate) fn open(network: &MemoryNetwork, addresses: &[IpAddr], udp_port: Option<u16>) -> Result<Self> {
        let addresses = if addresses.is_empty() {
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        } else {
            addresses.to_vec()
        };
        let port = Mailbox::new().map_err(|error| Error::io("opening a place in memory", &error))?;
        let port = Arc::new(port);
        let mut state = network.0.lock();
        let is_free = |port| {
            addresses
                .iter()
                .all(|address| !state.ports.contains_key(&(*address, port)))
        };
        let udp_port = match udp_port {
            Some(0) => Some(
                EPHEMERAL
                    .into_iter()
                    .find(|port| is_free(Some(*port)))
                    .ok_or(Error::NoPortFree)?,
            ),
            asked => asked,
        };
        if let Some(address) = addresses
            .iter()
            .find(|address| state.ports.contains_key(&(**address, udp_port)))
        {
            return Err(udp_port.map_or(Error::AddressNotAvailable, |port| Error::UdpPortInUse {
                address: *address,
                port,
            }));
        }
        for address in &addresses {
            state.ports.insert((*address, udp_port), Arc::clone(&port));
        }
        drop(state);
        Ok(Self {
            network: Arc::clone(&network.0),
            addresses,
            udp_port,
            port,
            counters: Counters::default(),
        })
    }

    /// The most packets that the engine is asked for at once.
    pub(super) const MAX_SEGMENTS: usize = 16;

    pub(super) const fn udp_port(&self) -> Option<u16> {
        self.udp_port
    }

    pub(super) fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.port.descriptor()
    }

    pub(super) fn receive<'a>(&self, receiver: &'a mut Receiver) -> io::Result<Datagrams<'a>> {
        let datagrams = self.port.receive(receiver)?;
        self.counters.received();
        Ok(datagrams)
    }

    pub(super) fn send(
        &self,
        transmit: &Transmit,
        buf: &[u8],
        sent: &mut usize,
        troubles: &mut Vec<Trouble>,
    ) -> Progress {
        let own = |address: &IpAddr| address.is_ipv4() == transmit.dst.is_ipv4();
        let src = transmit.src.or_else(|| self.addresses.iter().copied().find(own));
        let Some(src) = src.filter(|src| self.addresses.contains(src)) else {
            self.counters.send_failed();
            return Progress::Done;
        };
        let headers = if transmit.dst.is_ipv4() { 20 } else { 40 } + if transmit.encap.is_some() { 8 } else { 0 };
        let place = (transmit.dst, transmit.encap.map(|ports| ports.destination));
        let mut state = self.network.lock();
        for packet in transmit.segments(buf.get(..transmit.size).unwrap_or(buf)) {
            *sent += packet.len();
            if packet.len() + headers > state.mtu && transmit.dont_fragment {
                self.counters.send_failed();
                troubles.push(Trouble::too_big(transmit, packet));
                continue;
            }
            self.counters.sent();
            let loss = state.loss;
            if state.random.chance(loss) {
                continue;
            }
            let packet = Bytes::copy_from_slice(packet);
            if let Some(kind) = state.obstacle(place) {
                troubles.push(Trouble::Icmp(IcmpReport {
                    src: Some(src),
                    dst: transmit.dst,
                    encap: transmit.encap,
                    kind,
                    quoted: packet,
                }));
                continue;
            }
            let meta = RxMeta {
                src,
                dst: transmit.dst,
                encap: transmit.encap.map(|ports| UdpPorts {
                    source: self.udp_port.unwrap_or(ports.source),
                    ..ports
                }),
                ecn: transmit.ecn,
                checksum: ChecksumState::Unverified,
                buffer_len: packet.len(),
            };
            if state.delay.is_zero() {
                state.deliver(place, meta, packet);
            } else {
                let order = (Instant::now() + state.delay, state.count);
                state.count += 1;
                state.on_the_way.insert(order, (place, meta, packet));
            }
        }
        if !state.on_the_way.is_empty() && !state.carried {
            let network = Arc::clone(&self.network);
            let thread = thread::Builder::new().name("sctp-memory".to_owned());
            state.carried = thread.spawn(move || network.carry()).is_ok();
        }
        drop(state);
        self.network.put_off.notify_one();
        Progress::Done
    }
}

impl Drop for MemoryDevice {
    fn drop(&mut self) {
        let mut state = self.network.lock();
        state.ports.retain(|_, port| !Arc::ptr_eq(port, &self.port));
    }
}
