//! Control chunks that wait to be sent.

use std::collections::VecDeque;
use std::net::IpAddr;

use bytes::Bytes;

use crate::path::PathId;
use crate::serial::VerificationTag;
use crate::tlv::padded;
use crate::wire::CHUNK_HEADER_LEN;

/// How many answers to a peer's chunks may wait. What comes beyond is dropped: the peer asks again, or did not need
/// to know.
const MAX_ANSWERS: usize = 16;

/// How many bytes of chunks one packet of the peer gets as answers, SACK and single HEARTBEAT ACK aside. They fit into
/// one packet with whatever else the packet asks for: no packet is answered by more than one (§12.4, RFC 5062 §8, §10).
const ANSWER_LEN: usize = 600;

/// The control chunks to be sent next. Those of which one is enough are flags, so that repeated requests coalesce.
#[derive(Debug, Default)]
pub(crate) struct ControlOut {
    pub(crate) init: bool,
    /// An INIT ACK is refused by an ABORT with this tag, and the set-up goes on.
    pub(crate) refused_init_ack: Option<VerificationTag>,
    pub(crate) cookie_echo: bool,
    /// Where the COOKIE ACK goes.
    pub(crate) cookie_ack: Option<PathId>,
    pub(crate) shutdown: bool,
    pub(crate) shutdown_ack: bool,
    /// The last packet of the association.
    pub(crate) farewell: Option<Farewell>,
    errors: VecDeque<Bytes>,
    heartbeat_acks: VecDeque<(AnswerRoute, Bytes)>,
    /// Answers to RE-CONFIGs, and where they go.
    reconfigs: VecDeque<(PathId, Bytes)>,
    /// Bytes of answers to the packet that is being read.
    answered: usize,
}

/// Where an answer goes, and the own address that it comes from, if that matters.
type AnswerRoute = (PathId, Option<IpAddr>);

/// How the peer is told that the association is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// SHUTDOWN COMPLETE, to this path.
    ShutdownComplete(PathId),
    /// ABORT with these error causes.
    Abort {
        causes: Bytes,
        /// Reflect the peer's packet's tag, because the peer's own is unknown.
        tag_reflected: bool,
    },
}

impl ControlOut {
    /// Another packet of the peer is about to be read.
    pub(crate) const fn begin_answers(&mut self) {
        self.answered = 0;
    }

    /// Queues error causes for an ERROR chunk.
    pub(crate) fn push_error(&mut self, causes: Bytes) {
        let len = CHUNK_HEADER_LEN + padded(causes.len());
        if self.errors.len() < MAX_ANSWERS && self.answered + len <= ANSWER_LEN {
            self.answered += len;
            self.errors.push_back(causes);
        }
    }

    pub(crate) fn next_error_len(&self) -> Option<usize> {
        self.errors.front().map(Bytes::len)
    }

    pub(crate) fn pop_error(&mut self) -> Option<Bytes> {
        self.errors.pop_front()
    }

    /// Queues the answer to a HEARTBEAT, to where it came from, and from where it went to. The first one of a packet
    /// may be as large as the packet was.
    pub(crate) fn push_heartbeat_ack(&mut self, route: AnswerRoute, info: Bytes) {
        let len = CHUNK_HEADER_LEN + padded(info.len());
        if self.heartbeat_acks.len() < MAX_ANSWERS && (self.answered == 0 || self.answered + len <= ANSWER_LEN) {
            self.answered += len;
            self.heartbeat_acks.push_back((route, info));
        }
    }

    /// The route of the next answer to a HEARTBEAT, and its length.
    pub(crate) fn next_heartbeat_ack(&self) -> Option<(AnswerRoute, usize)> {
        self.heartbeat_acks.front().map(|(route, info)| (*route, info.len()))
    }

    pub(crate) fn pop_heartbeat_ack(&mut self) -> Option<Bytes> {
        self.heartbeat_acks.pop_front().map(|(_, info)| info)
    }

    /// The path `gone` is no more. Answers to HEARTBEATs from there are not wanted any more; others go to `to`.
    pub(crate) fn leave_path(&mut self, gone: PathId, to: PathId) {
        self.heartbeat_acks.retain(|((path, _), _)| *path != gone);
        for (path, _) in self.reconfigs.iter_mut().filter(|(path, _)| *path == gone) {
            *path = to;
        }
        if let Some(path) = self.cookie_ack.as_mut().filter(|path| **path == gone) {
            *path = to;
        }
    }

    /// Queues the parameters of a RE-CONFIG that answers one.
    pub(crate) fn push_reconfig(&mut self, path: PathId, params: Bytes) {
        let len = CHUNK_HEADER_LEN + padded(params.len());
        if self.reconfigs.len() < MAX_ANSWERS && self.answered + len <= ANSWER_LEN {
            self.answered += len;
            self.reconfigs.push_back((path, params));
        }
    }

    /// Where the next answer to a RE-CONFIG goes, and its length.
    pub(crate) fn next_reconfig(&self) -> Option<(PathId, usize)> {
        self.reconfigs.front().map(|(path, params)| (*path, params.len()))
    }

    pub(crate) fn pop_reconfig(&mut self) -> Option<Bytes> {
        self.reconfigs.pop_front().map(|(_, params)| params)
    }

    /// Whether a chunk for a packet that is not bound to a path waits.
    pub(crate) fn has_chunks(&self) -> bool {
        self.cookie_echo || self.cookie_ack.is_some() || self.shutdown || self.shutdown_ack || !self.errors.is_empty()
    }

    /// Forgets everything, keeping only the farewell.
    pub(crate) fn clear(&mut self) {
        *self = Self {
            farewell: self.farewell.take(),
            ..Self::default()
        };
    }
}
