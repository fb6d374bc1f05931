//! Out-of-the-blue packets (RFC 9260 §8.4).

use super::Stack;
use crate::addr;
use crate::config::{Marks, OotbPolicy};
use crate::serial::VerificationTag;
use crate::time::Instant;
use crate::transmit::RxMeta;
use crate::wire::{self, CauseCode, ChunkType, CommonHeader, OperationError, Packet};

/// How many out-of-the-blue packets are answered in a second; none is worth more.
#[derive(Debug)]
pub(super) struct OotbLimiter {
    per_second: u32,
    second: u64,
    answered: u32,
}

impl OotbLimiter {
    pub(super) const fn new(per_second: u32) -> Self {
        Self {
            per_second,
            second: 0,
            answered: 0,
        }
    }

    /// Whether one more may be answered.
    fn admit(&mut self, now: Instant) -> bool {
        let second = now.as_nanos() / 1_000_000_000;
        if second != self.second {
            (self.second, self.answered) = (second, 0);
        }
        let admitted = self.answered < self.per_second;
        self.answered += u32::from(admitted);
        admitted
    }
}

impl Stack {
    /// A packet that belongs to no association, and opens none.
    pub(super) fn on_out_of_the_blue(&mut self, now: Instant, meta: &RxMeta, packet: &Packet<'_>) {
        self.stats.out_of_the_blue += 1;
        // Rule 1.
        if !addr::is_usable_peer(meta.src) || !addr::is_usable_peer(meta.dst) {
            return;
        }
        // Rules 2 to 7, in their order.
        if packet.find(ChunkType::ABORT).is_some() {
            return;
        }
        if self.is_silent_at(meta, packet) {
            self.stats.out_of_the_blue_unanswered += 1;
            return;
        }
        let tag = packet.header.verification_tag;
        if packet.find(ChunkType::SHUTDOWN_ACK).is_some() {
            return self.answer(now, meta, packet, tag, |buf| wire::write_shutdown_complete(buf, true));
        }
        if packet.find(ChunkType::SHUTDOWN_COMPLETE).is_some()
            || packet.find(ChunkType::COOKIE_ACK).is_some()
            || has_stale_cookie(packet)
        {
            return;
        }
        // Rule 8.
        self.answer(now, meta, packet, tag, |buf| wire::write_abort(buf, true, |_| {}));
    }

    /// Answers a packet of no association, as far as policy and rate allow.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        meta: &RxMeta,
        packet: &Packet<'_>,
        tag: VerificationTag,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.is_silent_at(meta, packet) || !self.ootb.admit(now) {
            self.stats.out_of_the_blue_unanswered += 1;
            return;
        }
        let header = CommonHeader {
            source_port: packet.header.destination_port,
            destination_port: packet.header.source_port,
            verification_tag: tag,
        };
        let mut buf = Vec::new();
        let start = wire::begin_packet(&mut buf, &header);
        write(&mut buf);
        wire::finish_packet(&mut buf, start);
        self.reply(meta, buf, Marks::default());
    }

    /// Whether a packet may be for another stack. What is for an own end point is for nobody else to answer.
    fn is_silent_at(&self, meta: &RxMeta, packet: &Packet<'_>) -> bool {
        let port = packet.header.destination_port;
        self.config.ootb_policy() == OotbPolicy::Silent && self.endpoints.find(meta.dst, port).is_none()
    }
}

fn has_stale_cookie(packet: &Packet<'_>) -> bool {
    let Some(chunk) = packet.find(ChunkType::ERROR) else {
        return false;
    };
    let Ok(error) = OperationError::parse(chunk.value) else {
        return false;
    };
    let mut causes = error.causes.tlvs().map_while(Result::ok);
    causes.any(|tlv| CauseCode(tlv.kind) == CauseCode::STALE_COOKIE)
}
