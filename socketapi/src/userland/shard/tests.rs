//! What is left to who drives.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use bytes::Bytes;
use sctp::config::StackConfig;
use sctp::{ChecksumState, EcnCodepoint, RxMeta, Stack};

use super::super::device::{DeviceConfig, MemoryNetwork};
use super::super::wheel::Role;
use super::*;

#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// An own shard, and how often its driver was called.
fn shard() -> (Shard, Arc<Calls>) {
    let address = IpAddr::from([10, 0, 0, 1]);
    let network = MemoryNetwork::new();
    // Nobody else is there, and nothing is to say so.
    network.set_loss(1.0, 1);
    let device = Device::open(&DeviceConfig::Memory(network), &[address], None).unwrap();
    let stack = Stack::new(StackConfig::new(vec![address], None), [7; 32]);
    let shard = Shard::new(Sockets::new(stack), device);
    let calls = Arc::<Calls>::default();
    let waker = Waker::from(Arc::clone(&calls));
    assert_eq!(shard.wheel.role(&Context::from_waker(&waker), None), Role::Drives);
    (shard, calls)
}

/// A SHUTDOWN ACK out of the blue, which is answered (RFC 9260 §8.4).
fn out_of_the_blue(host: u8) -> (RxMeta, Bytes) {
    let packet = [0, 9, 0, 7, 0, 0, 0, host, 0, 0, 0, 0, 8, 0, 0, 4];
    let meta = RxMeta {
        src: Ipv4Addr::new(10, 0, 1, host).into(),
        dst: Ipv4Addr::new(10, 0, 0, 1).into(),
        encap: None,
        ecn: EcnCodepoint::NotEct,
        checksum: ChecksumState::Verified,
        buffer_len: packet.len(),
    };
    (meta, Bytes::copy_from_slice(&packet))
}

#[test]
fn answers_that_do_not_leave_at_once_are_left_to_who_drives() {
    let (shard, calls) = shard();
    let waker = Waker::from(Arc::clone(&calls));
    let turn = || {
        shard.wheel.role(&Context::from_waker(&waker), None);
        assert_eq!(shard.flush(INLINE_BATCHES), Flushed::All);
        while shard.next_turn(true) == NextTurn::Now {}
        calls.0.swap(0, Ordering::Relaxed)
    };
    let budget = u8::try_from(INLINE_BATCHES).unwrap();
    shard.ingest((1..budget).map(out_of_the_blue));
    assert_eq!(turn(), 0);
    shard.ingest((1..=budget + 1).map(out_of_the_blue));
    assert_eq!(shard.device.stats().send_calls, 2 * INLINE_BATCHES as u64 - 1);
    assert_eq!(turn(), 1);
    assert_eq!(shard.device.stats().send_calls, 2 * INLINE_BATCHES as u64);
}
