//! Transfers of many messages, each of which is checked: nothing lost, twice, altered, or out of order in its stream.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use sctp::error::SendError;
use sctp::serial::{Ppid, StreamId};
use sctp::{OutMessage, Received};

use super::Pair;

/// The payload protocol identifier of a message. Far from those that dissectors know.
const fn ppid(id: u64) -> Ppid {
    Ppid(0x4000_0000 | id as u32)
}

/// Messages from one side to the other.
pub(crate) struct Flow {
    from: usize,
    count: u64,
    sizes: Vec<usize>,
    streams: u16,
    /// Every so many messages, one is unordered; zero is never.
    unordered_every: u64,
    sent: u64,
    received: u64,
    ordered: BTreeMap<u16, VecDeque<u64>>,
    unordered: BTreeSet<u64>,
    partial: Vec<u8>,
    /// Whether the receiver takes what arrives.
    pub(crate) reading: bool,
}

impl Flow {
    /// `count` ordered messages of 1000 bytes on one stream.
    pub(crate) fn new(from: usize, count: u64) -> Self {
        Self {
            from,
            count,
            sizes: vec![1000],
            streams: 1,
            unordered_every: 0,
            sent: 0,
            received: 0,
            ordered: BTreeMap::new(),
            unordered: BTreeSet::new(),
            partial: Vec::new(),
            reading: true,
        }
    }

    /// The sizes of the messages, in turn; at least 8.
    pub(crate) fn sizes(mut self, sizes: &[usize]) -> Self {
        assert!(sizes.iter().all(|&size| size >= 8));
        self.sizes = sizes.to_vec();
        self
    }

    /// Spreads the messages over streams in turn.
    pub(crate) fn streams(mut self, streams: u16) -> Self {
        self.streams = streams;
        self
    }

    /// Sends every so many messages unordered.
    pub(crate) fn unordered_every(mut self, n: u64) -> Self {
        self.unordered_every = n;
        self
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.received == self.count
    }

    pub(crate) const fn received(&self) -> u64 {
        self.received
    }

    fn payload(&self, id: u64) -> Bytes {
        let size = self.sizes[id as usize % self.sizes.len()];
        let mut payload = Vec::with_capacity(size + 8);
        payload.extend(id.to_be_bytes());
        let mut state = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        while payload.len() < size {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            payload.extend(state.to_be_bytes());
        }
        payload.truncate(size);
        payload.into()
    }

    /// How many messages were handed over.
    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends as much as is taken, and takes what arrived. Says what is wrong with it.
    pub(crate) fn pump(&mut self, pair: &mut Pair) -> Result<(), String> {
        self.pump_up_to(pair, self.count)?;
        self.pump_received(pair)
    }

    /// Sends one more message, if it is taken.
    pub(crate) fn pump_one(&mut self, pair: &mut Pair) -> Result<(), String> {
        self.pump_up_to(pair, self.sent + 1)
    }

    fn pump_up_to(&mut self, pair: &mut Pair, count: u64) -> Result<(), String> {
        while self.sent < count && pair.has_assoc(self.from) {
            let id = self.sent;
            let stream = (id % u64::from(self.streams)) as u16;
            let unordered = self.unordered_every > 0 && id.is_multiple_of(self.unordered_every);
            let message = OutMessage {
                unordered,
                ..OutMessage::new(StreamId(stream), ppid(id), self.payload(id))
            };
            match pair.send(self.from, message) {
                Ok(()) => {}
                Err(SendError::WouldBlock) => break,
                Err(error) => return Err(format!("message {id} is refused: {error}")),
            }
            self.sent += 1;
            if unordered {
                self.unordered.insert(id);
            } else {
                self.ordered.entry(stream).or_default().push_back(id);
            }
        }
        Ok(())
    }

    /// Takes what arrived.
    pub(crate) fn pump_received(&mut self, pair: &mut Pair) -> Result<(), String> {
        if self.reading && pair.has_assoc(1 - self.from) {
            for piece in pair.hear(1 - self.from) {
                self.check(piece)?;
            }
        }
        Ok(())
    }

    fn check(&mut self, piece: Received) -> Result<(), String> {
        self.partial.extend(&piece.payload);
        if !piece.end_of_message {
            return Ok(());
        }
        let message = Bytes::from(std::mem::take(&mut self.partial));
        let Some((id, _)) = message
            .split_first_chunk()
            .map(|(id, rest)| (u64::from_be_bytes(*id), rest))
        else {
            return Err(format!("a message of {} bytes", message.len()));
        };
        if id >= self.sent || message != self.payload(id) {
            return Err(format!("message {id} is altered"));
        }
        if piece.ppid != ppid(id) || u64::from(piece.stream.0) != id % u64::from(self.streams) {
            return Err(format!("message {id} has the wrong stream or identifier"));
        }
        let expected = if piece.unordered {
            self.unordered.remove(&id)
        } else {
            self.ordered.get_mut(&piece.stream.0).and_then(VecDeque::pop_front) == Some(id)
        };
        if !expected {
            return Err(format!("message {id} is twice there or out of order"));
        }
        self.received += 1;
        Ok(())
    }
}

/// Runs transfers until all are complete, which must be within `limit`.
#[track_caller]
pub(crate) fn transfer(pair: &mut Pair, flows: &mut [Flow], limit: Duration) {
    let mut wrong = None;
    let complete = pair.wait(limit, |pair| {
        wrong = flows.iter_mut().find_map(|flow| flow.pump(pair).err());
        wrong.is_some() || flows.iter().all(Flow::is_complete)
    });
    if let Some(wrong) = wrong {
        pair.fail(&wrong);
    }
    if !complete {
        let received: Vec<u64> = flows.iter().map(Flow::received).collect();
        pair.fail(&format!("incomplete after {limit:?}: received {received:?}"));
    }
}
