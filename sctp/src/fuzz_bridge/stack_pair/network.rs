//! Packets on their way.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Choices;
use super::setup::{LINKS, address};
use crate::wire::{ChunkType, Chunks, CommonHeader, finish_packet};
use crate::{ChecksumState, EcnCodepoint, RxMeta, Transmit};

/// How many packets may be on their way to a side; more are lost.
const MOST: usize = 64;

/// The packets on their way to each side.
#[derive(Debug, Default)]
pub(super) struct Network {
    to: [VecDeque<(RxMeta, Bytes)>; 2],
    down: [bool; LINKS],
    mtu: usize,
}

impl Network {
    /// Links that carry IP packets of so many bytes.
    pub(super) fn new(mtu: usize) -> Self {
        Self { mtu, ..Self::default() }
    }

    pub(super) fn send(&mut self, from: usize, transmit: &Transmit, packet: &[u8]) {
        let to = 1 - from;
        let Some(link) = (0..LINKS).find(|&link| address(to, link) == transmit.dst) else {
            return;
        };
        let asks = transmit.ecn == EcnCodepoint::Ect0;
        assert!(
            asks && has_data(packet) || transmit.ecn == EcnCodepoint::NotEct,
            "{:?} without data",
            transmit.ecn
        );
        let headers = if transmit.encap.is_some() { 28 } else { 20 };
        if self.down[link] || self.to[to].len() >= MOST || packet.len() + headers > self.mtu {
            return;
        }
        let meta = RxMeta {
            src: transmit.src.unwrap_or_else(|| address(from, link)),
            dst: transmit.dst,
            encap: transmit.encap,
            ecn: transmit.ecn,
            checksum: ChecksumState::Unverified,
            buffer_len: packet.len(),
        };
        self.to[to].push_back((meta, Bytes::copy_from_slice(packet)));
    }

    pub(super) fn len(&self, to: usize) -> usize {
        self.to[to].len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.to.iter().all(VecDeque::is_empty)
    }

    pub(super) fn take(&mut self, to: usize, place: usize) -> Option<(RxMeta, Bytes)> {
        self.to[to].remove(place)
    }

    pub(super) fn lose(&mut self, to: usize, place: usize) {
        self.to[to].remove(place);
    }

    pub(super) fn duplicate(&mut self, to: usize, place: usize) {
        if let Some(packet) = self.to[to].get(place).filter(|_| self.to[to].len() < MOST).cloned() {
            self.to[to].push_back(packet);
        }
    }

    /// Tells of congestion, to those that asked for it.
    pub(super) fn mark(&mut self, to: usize, place: usize) {
        if let Some((meta, _)) = self.to[to].get_mut(place)
            && meta.ecn != EcnCodepoint::NotEct
        {
            meta.ecn = EcnCodepoint::Ce;
        }
    }

    /// Others overtake a packet.
    pub(super) fn delay(&mut self, to: usize, place: usize) {
        if let Some(packet) = self.to[to].remove(place) {
            self.to[to].push_back(packet);
        }
    }

    /// Changes up to four bytes in a row, which the checksum finds unless it is made to fit. Where there is none, what
    /// carries the packets drops it (RFC 9653 §5.1).
    pub(super) fn damage(&mut self, to: usize, checksum_fits: bool, choices: &mut Choices<'_>) {
        let (place, at) = (choices.below(8), usize::from(choices.u8()) + 4 * choices.below(4));
        let Some((_, packet)) = self.to[to].get_mut(place) else {
            return;
        };
        if !checksum_fits && packet.get(8..12) == Some(&[0; 4]) {
            self.to[to].remove(place);
            return;
        }
        let mut bytes = packet.to_vec();
        let len = 1 + choices.below(4);
        bytes
            .iter_mut()
            .skip(at)
            .take(len)
            .for_each(|byte| *byte ^= choices.u8());
        if checksum_fits {
            if choices.below(4) == 0 {
                bytes.truncate(at.max(12));
            }
            finish_packet(&mut bytes, 0);
        }
        *packet = bytes.into();
    }

    /// Cuts a link, or mends it.
    pub(super) fn switch(&mut self, link: usize) {
        self.down[link] = !self.down[link];
    }

    pub(super) fn restore(&mut self) {
        self.down = [false; LINKS];
    }
}

fn has_data(packet: &[u8]) -> bool {
    let mut kinds = Chunks::new(&packet[CommonHeader::LEN..], 0)
        .map_while(Result::ok)
        .map(|chunk| chunk.kind);
    kinds.any(|kind| matches!(kind, ChunkType::DATA | ChunkType::I_DATA))
}
