//! What a peer can make the stack hold, in bytes of memory and not of user data (RFC 9260 §6.2, RFC 8260 §2.2.3).

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::IpAddr;

use common::datagram;
use sctp::config::{EndpointConfig, StackConfig};
use sctp::serial::{Fsn, Mid, Ppid, Ssn, StreamId, Tsn, VerificationTag};
use sctp::wire::{
    ChecksumRule, ChunkType, DataHeader, Fragment, IDataHeader, Init, InitFixed, Packet, Param, write_chunk,
    write_cookie_echo, write_data, write_i_data, write_init,
};
use sctp::{EndpointId, Instant, Stack};

/// Counts what each thread allocates; a test has a thread of its own.
struct Counting;

thread_local! {
    static ALLOCATED: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // Nothing is counted while the thread ends.
    let _ = ALLOCATED.try_with(|allocated| allocated.set(allocated.get() + bytes));
}

#[expect(unsafe_code, reason = "an allocator that counts is the only way to see what is held")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const PORT: u16 = 7;
const PEER_PORT: u16 = 9;
const BUFFER: u32 = 256 * 1024;

fn address(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

/// A stack whose user takes nothing, and a peer.
struct Victim {
    stack: Stack,
    endpoint: EndpointId,
    tag: VerificationTag,
}

impl Victim {
    fn new(interleaving: bool) -> Self {
        let mut stack = Stack::new(StackConfig::new(vec![address(2)], None), [1; 32]);
        let mut config = EndpointConfig {
            port: Some(PORT),
            ..EndpointConfig::default()
        };
        config.association.set_receive_buffer(BUFFER).unwrap();
        config.association.interleaving_mut().set_offered(interleaving);
        let endpoint = stack.bind(config).unwrap();
        stack.listen(endpoint, 1);
        let mut victim = Self {
            stack,
            endpoint,
            tag: VerificationTag::ZERO,
        };
        victim.establish();
        victim
    }

    fn establish(&mut self) {
        let fixed = InitFixed {
            initiate_tag: VerificationTag(1),
            a_rwnd: 100_000,
            outbound_streams: 2048,
            inbound_streams: 10,
            initial_tsn: Tsn(0),
        };
        let listed = [ChunkType::I_DATA.0, ChunkType::I_FORWARD_TSN.0];
        self.give(|buf| {
            write_init(buf, ChunkType::INIT, &fixed, |w| {
                Param::SupportedExtensions(&listed).write(w)
            });
        });
        let mut buf = Vec::new();
        self.stack.poll_transmit(Instant::ZERO, 1, &mut buf).unwrap();
        let packet = Packet::parse(&buf, ChecksumRule::Verify).unwrap();
        let init_ack = Init::parse(packet.first_chunk().unwrap().value).unwrap();
        let cookie = init_ack.params.flatten().find_map(|param| match param {
            Param::StateCookie(cookie) => Some(cookie.to_vec()),
            _ => None,
        });
        self.tag = init_ack.fixed.initiate_tag;
        self.give(|buf| write_cookie_echo(buf, &cookie.unwrap()));
        self.drain();
    }

    fn give(&mut self, chunks: impl FnOnce(&mut Vec<u8>)) {
        let (meta, packet) = datagram((address(1), PEER_PORT), (address(2), PORT), self.tag, chunks);
        self.stack.handle_datagram(Instant::ZERO, &meta, packet);
    }

    fn drain(&mut self) {
        let mut buf = Vec::new();
        while self.stack.poll_transmit(Instant::ZERO, 1, &mut buf).is_some() {}
    }

    /// How many times the announced window the stack holds at most, while chunks arrive, `bundle` in a packet. With one
    /// in a packet there is something behind it.
    fn factor(&mut self, bundle: u32, chunk: impl Fn(u32, &mut Vec<u8>)) -> f64 {
        let before = ALLOCATED.get();
        let mut most = 0;
        // Far more than can be held.
        for first in (0..40 * BUFFER / 128).step_by(bundle as usize) {
            self.give(|buf| {
                for n in first..first + bundle {
                    chunk(n, buf);
                }
                if bundle == 1 {
                    write_chunk(buf, ChunkType::PAD, 0, &[0; 500]);
                }
            });
            self.drain();
            while self.stack.poll_event().is_some() {}
            most = most.max(ALLOCATED.get() - before);
        }
        assert!(
            self.stack.find(self.endpoint, address(1), PEER_PORT).is_some(),
            "nothing was wrong with it"
        );
        most as f64 / f64::from(BUFFER)
    }
}

fn data(tsn: u32, ssn: u32, flags: (bool, bool)) -> DataHeader {
    DataHeader {
        tsn: Tsn(tsn),
        stream: StreamId(0),
        ssn: Ssn(ssn as u16),
        ppid: Ppid(0),
        unordered: false,
        beginning: flags.0,
        ending: flags.1,
        immediate: false,
    }
}

fn i_data(tsn: u32, stream: u32, mid: u32, fragment: Fragment, ending: bool) -> IDataHeader {
    IDataHeader {
        tsn: Tsn(tsn),
        stream: StreamId((stream % 2048) as u16),
        mid: Mid(mid),
        fragment,
        unordered: false,
        ending,
        immediate: false,
    }
}

/// What a flood writes of its `n`th chunk.
type Flood = fn(u32, &mut Vec<u8>);

/// Every flood, with one chunk and useless bytes in each packet, with many chunks in each, and with the gap before
/// them all being filled, for which a closed window is no obstacle.
#[track_caller]
fn check(interleaving: bool, floods: &[(&str, Flood)]) {
    for (name, flood) in floods {
        for bundle in [1, 50] {
            for far in [false, true] {
                let mut victim = Victim::new(interleaving);
                if far {
                    victim.give(|buf| {
                        if interleaving {
                            write_i_data(buf, &i_data(60_000, 0, 60_000, FIRST, false), b"x");
                        } else {
                            let tsn = data(60_000, 60_000, (true, false));
                            write_data(buf, &tsn, b"x");
                        }
                    });
                }
                let factor = victim.factor(bundle, flood);
                assert!(factor <= MOST, "{name}, {bundle} in a packet, far {far}: {factor}");
            }
        }
    }
}

/// Four for the copies of small pieces (they share blocks, and some keep one alone), as much again for the maps that
/// find them, and all that twice: what has been sent before the peer learns that the window is closed gets in.
const MOST: f64 = 15.0;

const FIRST: Fragment = Fragment::First(Ppid(0));

const fn later(n: u32) -> Fragment {
    Fragment::Later(Fsn(n))
}

#[test]
fn rfc8260_2_2_3_tiny_fragments_take_a_bounded_multiple_of_the_window() {
    check(
        true,
        &[
            ("beginnings", |n, buf| {
                write_i_data(buf, &i_data(n, n, n / 2048, FIRST, false), b"x")
            }),
            ("beginnings of one stream", |n, buf| {
                write_i_data(buf, &i_data(n, 0, n, FIRST, false), b"x")
            }),
            ("pieces of many messages", |n, buf| {
                write_i_data(buf, &i_data(1 + n, n, n / 2048, later(7), false), b"x");
            }),
            ("every second one of them", |n, buf| {
                write_i_data(buf, &i_data(1 + 2 * n, n, n / 2048, later(7), false), b"x");
            }),
            ("pieces of one message", |n, buf| {
                write_i_data(buf, &i_data(n, 0, 0, later(1 + 2 * n), false), b"x")
            }),
            ("every second one of them", |n, buf| {
                write_i_data(buf, &i_data(1 + 2 * n, 0, 0, later(1 + 2 * n), false), b"x");
            }),
            ("two pieces of many messages", |n, buf| {
                write_i_data(buf, &i_data(n, n / 2, n / 4096, later(5 + 2 * (n % 2)), false), b"x");
            }),
            ("messages out of turn", |n, buf| {
                write_i_data(buf, &i_data(n, 0, 1 + n, FIRST, true), b"x")
            }),
            ("messages", |n, buf| {
                write_i_data(buf, &i_data(n, 0, n, FIRST, true), b"x")
            }),
        ],
    );
}

#[test]
fn rfc9260_6_2_tiny_fragments_take_a_bounded_multiple_of_the_window() {
    check(
        false,
        &[
            ("every second piece of a message", |n, buf| {
                write_data(buf, &data(1 + 2 * n, 0, (false, false)), b"x");
            }),
            ("pieces of one message", |n, buf| {
                write_data(buf, &data(n, 0, (n == 0, false)), b"x")
            }),
            ("messages out of turn", |n, buf| {
                write_data(buf, &data(n, 1 + n, (true, true)), b"x")
            }),
            ("messages", |n, buf| write_data(buf, &data(n, n, (true, true)), b"x")),
        ],
    );
}
