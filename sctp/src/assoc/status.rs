//! Snapshots of an association for its user (STATUS, RFC 9260 §11.1.8).

use std::net::IpAddr;
use std::time::Duration;

use super::capabilities::Extensions;
use super::{Association, AssociationPhase};
use crate::path::{MtuDiscovery, Path, PathState};
use crate::stats::AssociationStats;

/// One of the peer's addresses (GET SRTT REPORT and STATUS, RFC 9260 §11.1.8, §11.1.13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathStatus {
    /// The peer's address.
    pub address: IpAddr,
    /// Whether it works.
    pub state: PathState,
    /// Whether new data goes there by default.
    pub primary: bool,
    /// Smoothed round-trip time, once measured.
    pub srtt: Option<Duration>,
    /// Retransmission time-out.
    pub rto: Duration,
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
}

/// A snapshot of an association (STATUS, RFC 9260 §11.1.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssociationStatus {
    /// Where in its life it is.
    pub phase: AssociationPhase,
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
    /// What is left of the peer's receive window, in bytes.
    pub peer_rwnd: usize,
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
            srtt: path.srtt(),
            rto: path.rto(),
            cwnd: path.cc.cwnd(),
            ssthresh: path.cc.ssthresh(),
            flight_size: self.outbound.flight(id),
            error_count: path.error_count,
            mtu: path.pmtud.mtu().into(),
            mtu_discovery: path.pmtud.state(),
            encapsulation_port: path.encap.map(|ports| ports.destination),
        });
        AssociationStatus {
            phase: self.phase(),
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
            peer_rwnd: self.outbound.peer_rwnd(),
            unacknowledged_messages: self.outbound.messages(),
            buffered_bytes: self.outbound.buffered(),
            pending_messages: self.inbound.pending_messages(),
            paths: paths.collect(),
            stats: self.stats,
        }
    }
}
