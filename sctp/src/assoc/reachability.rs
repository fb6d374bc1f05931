//! Whether the peer and its addresses can be reached (RFC 9260 §8, RFC 7829), and whose they are (§5.4).

use bytes::Bytes;

use super::causes::causes;
use super::input::PacketIn;
use super::{Association, AssociationPhase};
use crate::error::FailureReason;
use crate::event::{Event, PathChange};
use crate::path::{Failure, HeartbeatInfo, Path, PathId, PathState, Recovery};
use crate::random::Random;
use crate::time::Instant;
use crate::wire::{Cause, Heartbeat};

impl Association {
    /// Runs the timers of the paths that are due.
    pub(super) fn on_path_timers(&mut self, now: Instant, random: &mut Random) {
        for id in self.paths.ids() {
            let Some(path) = self.paths.get_mut(id) else { continue };
            // As it was when the timers were armed.
            let busy = self.outbound.flight(id) > 0;
            if path.t3_rtx.is_some_and(|at| at <= now) {
                self.stats.t3_expiries += 1;
                path.stats.t3_expiries += 1;
                tracing::debug!(path = %path.address, rto = ?path.rto(), "T3-rtx expired");
                self.look_for_black_hole(id);
                if self.outbound.on_t3_expiry(id, &mut self.paths) {
                    self.on_missing_answer(now, id, true, true);
                }
            }
            let Some(path) = self.paths.get_mut(id) else { continue };
            if path.pmtud.on_timer(now) {
                path.on_mtu_change();
            }
            if let Some(expiry) = path.on_probe_timer(now, busy, random)
                && (expiry.missed || self.asks_in_vain(id))
            {
                let _entered = self.log_path_details(id);
                tracing::debug!("a heartbeat is not answered");
                // §8.1: only heartbeats on the path in use say something about the peer, and with data outstanding the
                // path in use is where that is. While no address is confirmed no path is in use, and every heartbeat
                // counts.
                let in_use = id == self.paths.for_new_data(None);
                let counts = self.knows_no_way() || (in_use && (busy || !self.has_data_in_flight()));
                self.on_missing_answer(now, id, counts, false);
            }
            if self.phase() == AssociationPhase::Closed {
                return;
            }
        }
        self.take_turns_verifying(now);
    }

    /// Whether a heartbeat is due that cannot be sent: no own address is left from which any of the peer's could be
    /// reached (RFC 5061 §5.3). Both sides may have lost what the other one knew, so this must come to an end as if
    /// the heartbeat had been lost.
    fn asks_in_vain(&mut self, id: PathId) -> bool {
        let cut_off = self.local.explicit && self.paths.iter().all(|(_, path)| path.local.is_none());
        let Some(path) = self.paths.get_mut(id).filter(|path| cut_off && path.probe.is_due()) else {
            return false;
        };
        path.rto.back_off();
        true
    }

    /// Lets one unconfirmed path send its heartbeat in an RTO, the one that was asked least, and puts the others off:
    /// HB.Max.Burst is one (§5.4). The addresses may be somebody else's, who should not get more than that (RFC 5062
    /// §6).
    fn take_turns_verifying(&mut self, now: Instant) {
        let rto = self.current_rto();
        let mut turn = None;
        if now >= self.next_verification {
            let due = self
                .paths
                .iter()
                .filter(|&(id, path)| self.waits_for_verification(id, path));
            turn = due.min_by_key(|(_, path)| path.error_count).map(|(id, _)| id);
            if turn.is_some() {
                self.next_verification = now + rto;
            }
        }
        for id in self.paths.ids() {
            let next = self.next_verification;
            if turn != Some(id)
                && self
                    .paths
                    .get(id)
                    .is_some_and(|path| self.waits_for_verification(id, path))
                && let Some(path) = self.paths.get_mut(id)
            {
                path.put_probe_off(next);
            }
        }
    }

    /// Whether the address of a path would be asked now; one that nothing can be sent to takes no turn from others.
    fn waits_for_verification(&self, id: PathId, path: &Path) -> bool {
        path.state == PathState::Unconfirmed && path.probe.is_due() && self.has_source(id)
    }

    /// Whether none of the peer's addresses is confirmed, as after an ASCONF that deleted those that were.
    fn knows_no_way(&self) -> bool {
        self.paths.iter().all(|(_, path)| path.state == PathState::Unconfirmed)
    }

    fn has_data_in_flight(&self) -> bool {
        self.paths.iter().any(|(id, _)| self.outbound.flight(id) > 0)
    }

    /// An answer is missing on a path (§8.2, RFC 7829 §3.2), to data or to a heartbeat, and maybe of the peer as a
    /// whole (§8.1).
    pub(super) fn on_missing_answer(&mut self, now: Instant, id: PathId, counts_for_peer: bool, to_data: bool) {
        let Some(path) = self.paths.get_mut(id) else { return };
        let failure = path.missed();
        path.try_other_local(&self.config);
        // §8.3: heartbeats end with SHUTDOWN and SHUTDOWN ACK.
        let probing = self.state.phase().may_send_data();
        match failure {
            Some(Failure::PotentiallyFailed) => {
                // RFC 7829 §3.2 rule 6: if the data goes there again, its fate tells as much as a heartbeat's.
                let used = to_data && self.paths.for_retransmission(id) == id;
                if let Some(path) = self.paths.get_mut(id).filter(|_| probing) {
                    path.arm_failure_probe(now, used);
                }
                if self.config.expose_potentially_failed() {
                    self.path_event(id, PathChange::PotentiallyFailed);
                } else {
                    self.log_path(id, PathChange::PotentiallyFailed);
                }
            }
            Some(Failure::Inactive) => {
                if probing {
                    path.resume_probing(now);
                }
                self.path_event(id, PathChange::Unreachable);
            }
            None => {}
        }
        // RFC 5061 §5.3 F14: until an address is confirmed nothing goes on, so who is not there must be noticed.
        if probing
            && self.knows_no_way()
            && let Some(path) = self.paths.get_mut(id)
        {
            path.request_probe();
        }
        if id == self.paths.primary()
            && self.paths.get(id).is_some_and(Path::exceeds_switchover)
            && let Some(new) = self.paths.switch_primary_over()
        {
            self.path_event(new, PathChange::Primary);
        }
        if counts_for_peer {
            self.error_count = self.error_count.saturating_add(1);
            if self.error_count > self.config.association_max_retrans() {
                // The peer may be there and only its answers be lost: it should know.
                let text = causes(|w| Cause::ProtocolViolation(b"no answer").write(w));
                self.abort(text, FailureReason::PeerUnreachable);
            }
        }
    }

    /// ICMP says that an address cannot be reached (§10 ICMP9): one answer is missing there, or the set-up goes on with
    /// another address. What it says of the peer is left to the peer.
    pub(crate) fn on_destination_unreachable(&mut self, now: Instant, id: PathId) {
        let Some(path) = self.paths.get_mut(id) else { return };
        if path.state == PathState::Unconfirmed || !path.counts_as_unreachable(now) {
            return;
        }
        if !self.phase().is_setup() {
            self.on_missing_answer(now, id, false, false);
        } else if id == self.control_path && self.call_next_address() {
            self.repeat_setup();
        }
    }

    /// ICMP says that nobody is at the UDP port of an address. That stands for no SCTP (RFC 6951 §5.5), but says it of
    /// this address alone: behind the others may be somebody. Ends the association when none is left.
    pub(crate) fn on_port_unreachable(&mut self, now: Instant, id: PathId, about_init: bool) -> Option<()> {
        if about_init && self.phase() != AssociationPhase::CookieWait {
            return None;
        }
        let state = self.paths.get(id)?.state;
        if state == PathState::Unconfirmed {
            return Some(());
        }
        let is_other = |(other, path): (PathId, &Path)| other != id && path.is_usable();
        if !self.paths.iter().any(is_other) {
            return self.on_protocol_unreachable(about_init);
        }
        if state == PathState::Inactive {
            return Some(());
        }
        let setup = self.phase().is_setup();
        let path = self.paths.get_mut(id)?;
        path.exhaust_errors();
        if !setup {
            self.on_missing_answer(now, id, false, false);
            return Some(());
        }
        path.missed();
        if id == self.control_path && self.call_next_address() {
            self.repeat_setup();
        }
        Some(())
    }

    /// ICMP says that the peer's host has no SCTP (§10 ICMP8), about an INIT or another packet: as an ABORT would.
    /// `None` if it is too late for that.
    pub(crate) fn on_protocol_unreachable(&mut self, about_init: bool) -> Option<()> {
        match self.phase() {
            AssociationPhase::CookieWait if about_init => {}
            _ if about_init => return None,
            AssociationPhase::Closed => return None,
            // As with an ABORT: both sides had everything, and the other one is gone.
            AssociationPhase::ShutdownAckSent => {
                self.terminate(Ok(()));
                return Some(());
            }
            _ => {}
        }
        self.terminate(Err(FailureReason::ProtocolUnreachable));
        Some(())
    }

    /// What was sent on a path was acknowledged (§8.1, §8.2).
    pub(super) fn on_answer(&mut self, now: Instant, id: PathId) {
        self.error_count = 0;
        let Some(path) = self.paths.get_mut(id) else { return };
        match path.answered(now) {
            Some(Recovery::FromPotentiallyFailed) if !self.config.expose_potentially_failed() => {
                self.log_path(id, PathChange::Available);
            }
            Some(_) => self.path_event(id, PathChange::Available),
            None => {}
        }
    }

    /// After a SACK, or a SHUTDOWN that acknowledged something.
    pub(super) fn after_acknowledgement(&mut self, now: Instant, progress: bool) {
        if !progress {
            return;
        }
        self.error_count = 0;
        for id in self.paths.ids() {
            let Some(path) = self.paths.get(id).filter(|path| path.error_count > 0) else {
                continue;
            };
            let ambiguous = path.takes_ambiguous_answers();
            if self
                .outbound
                .acked_paths()
                .any(|(acked, sure)| acked == id && (sure || ambiguous))
            {
                self.on_answer(now, id);
            }
        }
        self.after_release(now);
    }

    /// The send buffer holds less than before.
    fn after_release(&mut self, now: Instant) {
        self.after_drain();
        self.tell_room();
        self.tell_unused_keys();
        if self.outbound.is_empty() {
            self.tell(Event::SenderDry);
        }
        self.advance_shutdown(now);
    }

    /// Messages may have been given up: tells the user (RFC 3758 §3.5, RFC 7496 §3).
    #[inline]
    pub(super) fn after_abandonment(&mut self, now: Instant) {
        if self.outbound.has_abandoned() {
            self.tell_abandoned(now);
        }
    }

    #[cold]
    fn tell_abandoned(&mut self, now: Instant) {
        for failure in self.outbound.take_abandoned() {
            if failure.sent {
                self.stats.messages_abandoned_sent += 1;
            } else {
                self.stats.messages_abandoned_unsent += 1;
            }
            self.events.push_back(Event::SendFailed(failure));
        }
        self.after_release(now);
    }

    /// A HEARTBEAT is answered with what it carried, to where it came from (§8.3). It asks about the own address that
    /// it went to, so that answers, whatever else the path is used from.
    pub(super) fn on_heartbeat(&mut self, value: &[u8], packet: &PacketIn<'_>) {
        let (from, own) = (packet.path, packet.meta.dst);
        let own = (!self.local.explicit || self.local.addresses.contains(&own)).then_some(own);
        let answers = !matches!(
            self.phase(),
            AssociationPhase::CookieWait | AssociationPhase::ShutdownAckSent | AssociationPhase::Closed
        );
        // One to an own address that was left, and of whose kind there is no other, cannot be answered.
        if answers && self.has_source(from) && Heartbeat::parse(value).is_ok() {
            self.control
                .push_heartbeat_ack((from, own), Bytes::copy_from_slice(value));
            self.inbound.trim();
        }
    }

    /// A HEARTBEAT ACK counts if it brings back the nonce that was sent to its path (§5.4, §8.3).
    pub(super) fn on_heartbeat_ack(&mut self, now: Instant, value: &[u8], random: &mut Random) {
        let Ok(chunk) = Heartbeat::parse(value) else { return };
        let Some(info) = HeartbeatInfo::read(chunk.info) else {
            return;
        };
        let id = info.path();
        let Some(path) = self.paths.get_mut(id) else { return };
        if info.probes_mtu() {
            return self.on_mtu_probe_ack(now, &info);
        }
        if !path.on_probe_ack(now, &info, random) {
            return;
        }
        if path.state == PathState::Unconfirmed {
            path.state = PathState::Active;
            path.error_count = 0;
            self.confirmed = true;
            self.path_event(id, PathChange::Confirmed);
            self.heed_primary_wish();
        } else if path.state == PathState::PotentiallyFailed && self.outbound.flight(id) > 0 {
            // RFC 7829 §3.2 rule 7: heartbeats may get through where data does not. Rule 5: they go on once an RTO.
            path.arm_failure_probe(now, true);
            return;
        }
        self.on_answer(now, id);
    }
}
