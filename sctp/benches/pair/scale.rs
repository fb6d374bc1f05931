//! This engine alone: small and large messages, set-up and close, and many associations that do nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use sctp::config::{EndpointConfig, StackConfig};
use sctp::serial::{Ppid, StreamId};
use sctp::{
    AssocId, ChecksumState, ConnectOptions, EcnCodepoint, EndpointId, Event, Instant, OutMessage, RxMeta, Stack,
};

use crate::callgrind;
use crate::cpu::CpuTime;

const PORT: u16 = 5000;
const SEGMENTS: usize = 16;
/// How many associations are held for the figures about idle ones.
const MANY: u32 = 100_000;

/// Counts the bytes that are allocated.
pub(crate) struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

#[expect(
    unsafe_code,
    reason = "an allocator that counts is the only way to see what an association holds"
)]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(ptr, layout) }
    }
}

/// The work that callgrind counts: so many bundled messages of 64 bytes.
pub(crate) fn small_messages(messages: u64) {
    let mut world = World::new(1500);
    let (client, server) = world.open(1);
    world.transfer(client, server, 64, messages);
}

/// What was measured.
pub(crate) struct Scale {
    small_instructions: Option<f64>,
    large_mb: f64,
    setup_close_us: f64,
    setup_close_many_us: f64,
    idle_bytes: f64,
    packet_ns: f64,
    packet_many_ns: f64,
}

/// Measures everything; instructions only if asked for.
pub(crate) fn measure(count_instructions: bool) -> Scale {
    let small_instructions = count_instructions
        .then(|| callgrind::instructions("engine_64B"))
        .flatten();
    let large_mb = large_messages();
    let setup_close_us = World::new(1500).setup_close(2000);
    let mut world = World::new(1500);
    let idle_bytes = world.idle_bytes();
    Scale {
        small_instructions,
        large_mb,
        setup_close_us,
        setup_close_many_us: world.setup_close(2000),
        idle_bytes,
        packet_many_ns: world.packet_cost(MANY + 1),
        packet_ns: World::new(1500).packet_cost(1),
    }
}

impl Scale {
    /// For people.
    pub(crate) fn describe(&self) {
        if let Some(count) = self.small_instructions {
            println!("64-byte messages, bundled: {count:.0} instructions each");
        }
        println!(
            "64 KiB messages, MTU 1400: {:.0} MB in a second of one core, both ends",
            self.large_mb
        );
        println!(
            "set-up and close: {:.1} us, with {MANY} associations held {:.1} us, both ends",
            self.setup_close_us, self.setup_close_many_us
        );
        println!(
            "an idle association: {:.0} bytes an end, at 2048 streams",
            self.idle_bytes
        );
        println!(
            "a packet: {:.0} ns, with {MANY} idle associations {:.0} ns, both ends\n",
            self.packet_ns, self.packet_many_ns
        );
    }

    /// For scripts.
    pub(crate) fn figures(&self) {
        if let Some(count) = self.small_instructions {
            println!("figure engine_64B_instructions {count:.0} instructions");
        }
        println!("figure engine_64KiB_mb_per_cpu_s {:.0} MB/s", self.large_mb);
        println!("figure setup_close_us {:.1} us", self.setup_close_us);
        println!("figure setup_close_100k_us {:.1} us", self.setup_close_many_us);
        println!("figure idle_association_bytes {:.0} bytes", self.idle_bytes);
        println!("figure idle_100k_ns_per_packet {:.0} ns", self.packet_many_ns);
        println!("figure idle_0_ns_per_packet {:.0} ns", self.packet_ns);
    }
}

/// Megabytes of user data a second, the median of some rounds.
fn large_messages() -> f64 {
    const MESSAGES: u64 = 2000;
    let mut rounds: Vec<f64> = (0..5)
        .map(|_| {
            let mut world = World::new(1400);
            let (client, server) = world.open(1);
            let start = CpuTime::now();
            world.transfer(client, server, 65_536, MESSAGES);
            MESSAGES as f64 * 65_536.0 / 1e6 / start.elapsed().as_secs_f64()
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

/// A client and a server, and the network between them, which gives the `n`th association the address `10.n` at both
/// ends: so a pair of stacks can hold as many as it likes.
struct World {
    now: Instant,
    client: Stack,
    server: Stack,
    endpoint: EndpointId,
    /// What came up at the server since last asked.
    accepted: Option<AssocId>,
    buf: Vec<u8>,
}

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

fn address(n: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n))
}

impl World {
    fn new(mtu: u16) -> Self {
        let mut client = Stack::new(StackConfig::new(vec![CLIENT], None), [1; 32]);
        let mut server = Stack::new(StackConfig::new(vec![SERVER], None), [2; 32]);
        let mut config = EndpointConfig {
            port: Some(PORT),
            ..EndpointConfig::default()
        };
        config.association.path_mut().set_mtu(mtu).expect("valid");
        config.association.set_outbound_streams(2048).expect("valid");
        let listening = server.bind(config.clone()).expect("free");
        assert!(server.listen(listening, 1));
        let endpoint = client.bind(config).expect("free");
        Self {
            now: Instant::ZERO,
            client,
            server,
            endpoint,
            accepted: None,
            buf: Vec::new(),
        }
    }

    /// Opens the `n`th association. Each takes a moment: a stack remembers only so many State Cookies of one instant.
    fn open(&mut self, n: u32) -> (AssocId, AssocId) {
        self.now += std::time::Duration::from_micros(10);
        let peer = [address(n)];
        let client = self
            .client
            .connect(self.now, self.endpoint, &peer, PORT, ConnectOptions::default());
        self.settle();
        (client.expect("a usable peer"), self.accepted.take().expect("up"))
    }

    /// Carries packets until there are none.
    fn settle(&mut self) {
        while carry(
            self.now,
            &mut self.client,
            &mut self.server,
            CLIENT,
            SERVER,
            &mut self.buf,
        ) | carry(
            self.now,
            &mut self.server,
            &mut self.client,
            SERVER,
            CLIENT,
            &mut self.buf,
        ) {
            while let Some((_, assoc, event)) = self.server.poll_event() {
                if matches!(event, Event::CommunicationUp { .. }) {
                    self.server.accept(assoc).expect("up");
                    self.accepted = Some(assoc);
                }
            }
            while self.client.poll_event().is_some() {}
        }
    }

    fn transfer(&mut self, client: AssocId, server: AssocId, len: usize, messages: u64) {
        let payload = Bytes::from(vec![0x5a; len]);
        let in_flight = (500_000 / len as u64).clamp(8, 512);
        let (mut sent, mut received) = (0, 0);
        while received < messages {
            while sent < messages && sent - received < in_flight {
                let message = OutMessage::new(StreamId(0), Ppid(0), payload.clone());
                self.client
                    .send(self.now, client, message)
                    .expect("room for what is in flight");
                sent += 1;
            }
            self.settle();
            while let Some(message) = self.server.recv(self.now, server).expect("up") {
                assert!(message.end_of_message && message.payload.len() == len);
                received += 1;
            }
            self.now += std::time::Duration::from_micros(100);
            for stack in [&mut self.client, &mut self.server] {
                if stack.poll_timeout().is_some_and(|at| at <= self.now) {
                    stack.handle_timeout(self.now);
                }
            }
        }
    }

    /// Microseconds to set up and close an association, both ends together.
    fn setup_close(&mut self, rounds: u32) -> f64 {
        let start = CpuTime::now();
        for _ in 0..rounds {
            let (client, _) = self.open(0);
            self.client.shutdown(self.now, client).expect("up");
            self.settle();
            assert!(self.client.status(client).is_none(), "closed and forgotten");
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(rounds)
    }

    /// Opens many associations; bytes allocated for each end of one.
    fn idle_bytes(&mut self) -> f64 {
        let before = ALLOCATED.load(Ordering::Relaxed);
        for n in 1..=MANY {
            self.open(n);
        }
        (ALLOCATED.load(Ordering::Relaxed) - before) as f64 / f64::from(MANY) / 2.0
    }

    /// Nanoseconds a packet with one message of 1200 bytes costs both ends, over the `n`th association.
    fn packet_cost(&mut self, n: u32) -> f64 {
        const MESSAGES: u64 = 50_000;
        let (client, server) = self.open(n);
        self.transfer(client, server, 1200, MESSAGES);
        let start = CpuTime::now();
        self.transfer(client, server, 1200, MESSAGES);
        start.elapsed().as_nanos() as f64 / MESSAGES as f64
    }
}

/// Carries all packets from one stack to the other; whether there were any. The address that names the association
/// stands in for the far end on both sides.
fn carry(now: Instant, from: &mut Stack, to: &mut Stack, own: IpAddr, far: IpAddr, buf: &mut Vec<u8>) -> bool {
    let mut moved = false;
    while let Some(transmit) = from.poll_transmit(now, SEGMENTS, buf) {
        moved = true;
        debug_assert_ne!(own, transmit.dst);
        let meta = RxMeta {
            src: transmit.dst,
            dst: far,
            encap: None,
            ecn: EcnCodepoint::NotEct,
            checksum: ChecksumState::Unverified,
            buffer_len: transmit.size,
        };
        // A device would have received into a buffer of its own.
        let mut packets = Bytes::from(std::mem::replace(buf, Vec::with_capacity(SEGMENTS * 1500)));
        while !packets.is_empty() {
            let packet = packets.split_to(transmit.segment_size.min(packets.len()));
            to.handle_datagram(now, &meta, packet);
        }
    }
    moved
}
