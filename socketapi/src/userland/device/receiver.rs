//! Receiving in batches: several buffers a system call, each with a train of datagrams.

use std::array;
use std::io::{self, IoSliceMut};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::vec::Drain;

use bytes::Bytes;
use quinn_udp::RecvMeta;
use sctp::{ChecksumState, EcnCodepoint, RxMeta, UdpPorts};

use super::pool::{BUFFER, Pool, share};
use super::raw::Gate;

/// How many buffers one system call fills.
const BATCH: usize = 8;
/// Below this a train is copied out of its buffer, so that few bytes do not hold much memory.
const COPY_BELOW: usize = BUFFER / 4;

/// Where datagrams are received to.
#[derive(Debug)]
pub(crate) struct Receiver {
    buffers: [Box<[u8]>; BATCH],
    metas: [RecvMeta; BATCH],
    pool: Arc<Pool>,
    trains: Vec<Train>,
}

/// Datagrams from one sender, one after another.
#[derive(Debug)]
struct Train {
    meta: RxMeta,
    bytes: Bytes,
    stride: usize,
}

impl Default for Receiver {
    /// Empty buffers.
    fn default() -> Self {
        Self {
            buffers: array::from_fn(|_| vec![0; BUFFER].into_boxed_slice()),
            metas: [RecvMeta::default(); BATCH],
            pool: Arc::default(),
            trains: Vec::with_capacity(BATCH),
        }
    }
}

impl Receiver {
    /// Calls `receive` for the number of buffers it filled, and takes the datagrams out of them. They came to UDP
    /// port `port`, or directly on IP; and to `address` where the system does not say otherwise.
    pub(super) fn fill(
        &mut self,
        address: IpAddr,
        port: Option<u16>,
        receive: impl FnOnce(&mut [IoSliceMut<'_>], &mut [RecvMeta]) -> io::Result<usize>,
    ) -> io::Result<Datagrams<'_>> {
        let Self {
            buffers,
            metas,
            pool,
            trains,
        } = self;
        let mut slices = buffers.each_mut().map(|buffer| IoSliceMut::new(buffer));
        let filled = receive(&mut slices, metas)?;
        trains.clear();
        for (buffer, meta) in buffers.iter_mut().zip(metas.iter()).take(filled) {
            // A raw socket of IPv4 hands out the IP header as well.
            let start = match port {
                None if address.is_ipv4() => ipv4_header_len(buffer),
                _ => 0,
            };
            let Some(received) = buffer.get(start..meta.len).filter(|received| !received.is_empty()) else {
                continue;
            };
            let stride = meta.stride.saturating_sub(start).max(1);
            let spare = if meta.len < COPY_BELOW { None } else { pool.take() };
            let bytes = match spare {
                None => Bytes::copy_from_slice(received),
                Some(spare) => share(std::mem::replace(buffer, spare), pool).slice(start..meta.len),
            };
            let rx = RxMeta {
                src: meta.addr.ip(),
                dst: meta.dst_ip.unwrap_or(address),
                encap: port.map(|port| UdpPorts {
                    source: meta.addr.port(),
                    destination: port,
                }),
                ecn: meta
                    .ecn
                    .map_or(EcnCodepoint::NotEct, |ecn| EcnCodepoint::from_bits(ecn as u8)),
                checksum: ChecksumState::Unverified,
                // The pool bounds what slices hold; nothing has to be copied out for that.
                buffer_len: stride,
            };
            trains.push(Train {
                meta: rx,
                bytes,
                stride,
            });
        }
        Ok(Datagrams {
            last: filled < BATCH,
            trains: trains.drain(..),
            current: None,
            gate: None,
        })
    }

    /// Takes datagrams that have a memory of their own; `last` if there are no more for now.
    pub(super) fn take(&mut self, datagrams: impl Iterator<Item = (RxMeta, Bytes)>, last: bool) -> Datagrams<'_> {
        self.trains.clear();
        self.trains.extend(datagrams.map(|(meta, bytes)| Train {
            meta,
            stride: bytes.len().max(1),
            bytes,
        }));
        Datagrams {
            last,
            trains: self.trains.drain(..),
            current: None,
            gate: None,
        }
    }

    /// Calls `read` for a packet as often as there are buffers, or until there is none (`WouldBlock`). It says where in
    /// the buffer a datagram is, or that there is none for the stack.
    pub(super) fn read(
        &mut self,
        mut read: impl FnMut(&mut [u8]) -> io::Result<Option<(RxMeta, Range<usize>)>>,
    ) -> io::Result<Datagrams<'_>> {
        self.trains.clear();
        let mut last = false;
        for (index, buffer) in self.buffers.iter_mut().enumerate() {
            let (meta, range) = match read(buffer) {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(error) if index == 0 => return Err(error),
                Err(_) => {
                    last = true;
                    break;
                }
            };
            let len = range.len();
            let spare = if len < COPY_BELOW { None } else { self.pool.take() };
            let bytes = match spare {
                None => Bytes::copy_from_slice(buffer.get(range).unwrap_or_default()),
                Some(spare) => share(std::mem::replace(buffer, spare), &self.pool).slice(range),
            };
            self.trains.push(Train {
                meta,
                bytes,
                stride: len.max(1),
            });
        }
        Ok(Datagrams {
            last,
            trains: self.trains.drain(..),
            current: None,
            gate: None,
        })
    }
}

/// The length of the IPv4 header that a packet starts with.
fn ipv4_header_len(packet: &[u8]) -> usize {
    packet.first().map_or(0, |byte| usize::from(byte & 15) * 4)
}

/// The datagrams of one system call.
#[derive(Debug)]
pub(crate) struct Datagrams<'a> {
    last: bool,
    trains: Drain<'a, Train>,
    current: Option<Train>,
    gate: Option<Arc<dyn Gate>>,
}

impl Datagrams<'_> {
    /// The same, of which there may be more.
    pub(super) fn with_more(self) -> Self {
        Self { last: false, ..self }
    }

    /// Those that a gate admits.
    pub(super) fn through(self, gate: Arc<dyn Gate>) -> Self {
        Self {
            gate: Some(gate),
            ..self
        }
    }

    /// Whether the socket had no more.
    pub(crate) const fn is_last(&self) -> bool {
        self.last
    }
}

impl Iterator for Datagrams<'_> {
    type Item = (RxMeta, Bytes);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (meta, datagram) = self.any()?;
            if self.gate.as_ref().is_none_or(|gate| admits(&**gate, &meta, &datagram)) {
                return Some((meta, datagram));
            }
        }
    }
}

/// Whether a packet is one for this process; those that are too short to say so are for nobody.
fn admits(gate: &dyn Gate, meta: &RxMeta, datagram: &[u8]) -> bool {
    let &[_, _, high, low, ..] = datagram else { return false };
    gate.admits(meta.dst, u16::from_be_bytes([high, low]))
}

impl Datagrams<'_> {
    fn any(&mut self) -> Option<(RxMeta, Bytes)> {
        let mut train = self.current.take().or_else(|| self.trains.next())?;
        if train.bytes.len() <= train.stride {
            return Some((train.meta, train.bytes));
        }
        let datagram = train.bytes.split_to(train.stride);
        let meta = train.meta;
        self.current = Some(train);
        Some((meta, datagram))
    }
}
