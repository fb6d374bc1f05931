//! Snapshots of an association for its user (STATUS, RFC 9260 §11.1.8).

use std::net::IpAddr;
use std::time::Duration;

use super::capabilities::Extensions;
use super::{Association, AssociationPhase};
use crate::path::{MtuDiscovery, Path, PathState};
use crate::serial::VerificationTag;
use crate::stats::{AssociationStats, PathStats, TallyReceived, TallySent};
use crate::time::Instant;

/// One of the peer's addresses (GET SRTT REPORT and STATUS, RFC 9260 §11.1.8, §11.1.13; `sctpAssocRemAddrTable` of
/// RFC 3873).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct PathStatus {
    /// The peer's address.
    pub address: IpAddr,
    /// Whether it works.
    pub state: PathState,
    /// Whether new data goes there by default.
    pub primary: bool,
    /// The own address that packets leave from; `None` leaves the choice to routing.
    pub source: Option<IpAddr>,
    /// When the path was added, by the clock of the stack.
    pub added_at: Instant,
    /// How long between heartbeats the path may be idle; `None` if there are none.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::serialize::maybe_seconds"))]
    pub heartbeat_interval: Option<Duration>,
    /// Path.Max.Retrans: how many answers in a row may be missing.
    pub max_retrans: u16,
    /// Smoothed round-trip time, once measured.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::serialize::maybe_seconds"))]
    pub srtt: Option<Duration>,
    /// Variation of the round-trip time, once measured.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::serialize::maybe_seconds"))]
    pub rttvar: Option<Duration>,
    /// Retransmission time-out.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::serialize::seconds"))]
    pub rto: Duration,
    /// The longest that the retransmission time-out was, the initial one included.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::serialize::seconds"))]
    pub longest_rto: Duration,
    /// Congestion window in bytes.
    pub cwnd: usize,
    /// Slow start threshold in bytes.
    pub ssthresh: usize,
    /// Bytes in flight, chunk headers and padding included.
    pub flight_size: usize,
    /// Missing answers in a row.
    pub error_count: u16,
    /// Largest IP packet that the path is known to carry, headers included.
    pub mtu: usize,
    /// Where the search for a larger one stands.
    pub mtu_discovery: MtuDiscovery,
    /// The peer's UDP port, with encapsulation.
    pub encapsulation_port: Option<u16>,
    /// Counters.
    pub stats: PathStats,
}

/// A snapshot of an association (STATUS, RFC 9260 §11.1.8; `sctpAssocTable` of RFC 3873).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct AssociationStatus {
    /// Where in its life it is.
    pub phase: AssociationPhase,
    /// The own verification tag, in the packets that arrive. Who knows it can disturb the association.
    pub local_tag: VerificationTag,
    /// The peer's verification tag, in the packets that leave; zero if it is not known yet.
    pub peer_tag: VerificationTag,
    /// When it was established, by the clock of the stack; `None` before.
    pub established_at: Option<Instant>,
    /// Association.Max.Retrans: how many answers in a row may be missing on all paths together.
    pub max_retrans: u16,
    /// Missing answers in a row on all paths together.
    pub error_count: u16,
    /// The own SCTP port.
    pub local_port: u16,
    /// The peer's SCTP port.
    pub peer_port: u16,
    /// The own addresses it uses.
    pub local_addresses: Vec<IpAddr>,
    /// Streams that this side may send on.
    pub outbound_streams: u16,
    /// Streams that the peer may send on.
    pub inbound_streams: u16,
    /// Whether both sides support partial reliability (RFC 3758 §4.2): if not, every message is sent reliably.
    pub partial_reliability: bool,
    /// Whether packets leave without a checksum (RFC 9653): both sides named the same method.
    pub zero_checksum: bool,
    /// Whether both sides take part in AUTH (RFC 4895).
    pub authentication: bool,
    /// Whether both sides let addresses change (RFC 5061).
    pub address_changes: bool,
    /// Whether both sides support re-configuration (RFC 6525 §5.1.1).
    pub reconfiguration: bool,
    /// Whether messages are interleaved (RFC 8260): both sides have offered it.
    pub interleaving: bool,
    /// Whether both sides take part in Explicit Congestion Notification (RFC 3168).
    pub ecn: bool,
    /// What is left of the peer's receive window, in bytes.
    pub peer_rwnd: usize,
    /// How many bytes of user data go in one chunk: larger messages are fragmented.
    pub fragmentation_point: usize,
    /// The own receive window in bytes, as the peer was told last.
    pub local_rwnd: u32,
    /// Messages queued or not fully acknowledged.
    pub unacknowledged_messages: usize,
    /// Bytes of user data queued or not acknowledged.
    pub buffered_bytes: usize,
    /// Messages waiting to be received.
    pub pending_messages: usize,
    /// The peer's addresses; the first one is the one that set-up used.
    pub paths: Vec<PathStatus>,
    /// Counters.
    pub stats: AssociationStats,
}

impl Association {
    /// RFC 7829 §3.2 rule 12.
    fn shown_state(&self, path: &Path) -> PathState {
        match path.state {
            PathState::PotentiallyFailed if !self.config.expose_potentially_failed() => PathState::Active,
            state => state,
        }
    }

    /// A snapshot.
    pub(crate) fn status(&self) -> AssociationStatus {
        let paths = self.paths.iter().map(|(id, path)| PathStatus {
            address: path.address,
            state: self.shown_state(path),
            primary: id == self.paths.primary(),
            source: path.local,
            added_at: path.added_at,
            heartbeat_interval: path.config.heartbeat_interval(),
            max_retrans: path.config.path_max_retrans(),
            srtt: path.srtt(),
            rttvar: path.rto.rttvar(),
            rto: path.rto(),
            longest_rto: path.rto.longest(),
            cwnd: path.cc.cwnd(),
            ssthresh: path.cc.ssthresh(),
            flight_size: self.outbound.flight(id),
            error_count: path.error_count,
            mtu: path.pmtud.mtu().into(),
            mtu_discovery: path.pmtud.state(),
            encapsulation_port: path.encap.map(|ports| ports.destination),
            stats: path.stats,
        });
        AssociationStatus {
            phase: self.phase(),
            local_tag: self.local_tag,
            peer_tag: self.peer_tag,
            established_at: self.established_at,
            max_retrans: self.config.association_max_retrans(),
            error_count: self.error_count,
            local_port: self.local.port,
            peer_port: self.peer_port,
            local_addresses: self.local.addresses.to_vec(),
            outbound_streams: self.outbound.streams(),
            inbound_streams: self.inbound.streams(),
            partial_reliability: self.extensions.contains(Extensions::FORWARD_TSN),
            zero_checksum: self.sends_zero_checksum(),
            authentication: self.has_auth(),
            address_changes: self.extensions.contains(Extensions::ASCONF),
            reconfiguration: self.extensions.contains(Extensions::RECONFIG),
            interleaving: self.extensions.contains(Extensions::INTERLEAVING),
            ecn: self.has_ecn(),
            peer_rwnd: self.outbound.peer_rwnd(),
            fragmentation_point: self.max_unfragmented(),
            local_rwnd: self.inbound.local_rwnd(),
            unacknowledged_messages: self.outbound.messages(),
            buffered_bytes: self.outbound.buffered(),
            pending_messages: self.inbound.pending_messages(),
            paths: paths.collect(),
            stats: self.stats(),
        }
    }

    /// The counters.
    pub(crate) fn stats(&self) -> AssociationStats {
        AssociationStats {
            messages_fragmented: self.outbound.fragmented(),
            messages_reassembled: self.inbound.reassembled(),
            unordered_chunks_received: self.inbound.unordered(),
            unordered_chunks_sent: self.outbound.unordered(),
            out_of_order_tsns: self.inbound.out_of_order(),
            ..self.stats
        }
    }

    /// What was sent that counts for the stack.
    #[inline]
    pub(crate) const fn tally_sent(&self) -> TallySent {
        TallySent {
            control_chunks: self.stats.control_chunks_sent,
            data_chunks: self.stats.data_chunks_sent,
            unordered_chunks: self.outbound.unordered(),
            data_chunks_retransmitted: self.stats.data_chunks_retransmitted,
            messages_fragmented: self.outbound.fragmented(),
        }
    }

    /// What was received that counts for the stack.
    #[inline]
    pub(crate) const fn tally_received(&self) -> TallyReceived {
        TallyReceived {
            control_chunks: self.stats.control_chunks_received,
            data_chunks: self.stats.data_chunks_received,
            unordered_chunks: self.inbound.unordered(),
            data_chunks_dropped: self.stats.data_chunks_dropped,
            duplicate_tsns: self.stats.duplicate_tsns,
            messages_reassembled: self.inbound.reassembled(),
        }
    }

    /// A COOKIE ECHO came, which the stack has read.
    pub(crate) const fn count_cookie_echo(&mut self) {
        self.stats.control_chunks_received += 1;
    }
}
