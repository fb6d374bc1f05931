//! Snapshots of an association.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::abi::{self, AssocParams, AssocStats, Number, PaddrInfo, PaddrThresholds, Storage, UdpEncaps};
use super::core::Core;
use super::errno;
use crate::{
    AssociationFeatures, AssociationPhase, AssociationStats, AssociationStatus, Instant, MtuDiscovery, PathState,
    PathStats, PathStatus, Result, VerificationTag,
};

impl Core {
    /// A snapshot of an association. What the kernel does not tell is zero.
    pub(crate) fn status(&self, assoc: i32) -> Result<AssociationStatus> {
        let status = self.raw_status(assoc)?;
        let assoc = status.assoc;
        let local = self.addresses(abi::SCTP_GET_LOCAL_ADDRS, assoc)?;
        let peers = self.addresses(abi::SCTP_GET_PEER_ADDRS, assoc)?;
        let primary = { status.primary_address }.address();
        let paths: Vec<PathStatus> = peers
            .iter()
            .filter_map(|peer| self.path(assoc, *peer, primary))
            .collect();
        let request = AssocParams {
            assoc,
            ..AssocParams::default()
        };
        let params = self.get(abi::SCTP_ASSOCINFO, request)?.unwrap_or_default();
        let features = self.features(assoc);
        Ok(AssociationStatus {
            phase: phase(status.state),
            local_tag: VerificationTag::ZERO,
            peer_tag: VerificationTag::ZERO,
            established_at: None,
            max_retrans: params.max_rxt,
            error_count: 0,
            local_port: local.first().map_or(0, SocketAddr::port),
            peer_port: primary.or_else(|| peers.first().copied()).map_or(0, |peer| peer.port()),
            local_addresses: local.iter().map(SocketAddr::ip).collect(),
            outbound_streams: status.outstrms,
            inbound_streams: status.instrms,
            partial_reliability: features.partial_reliability,
            zero_checksum: false,
            authentication: features.authentication,
            address_changes: features.address_changes,
            reconfiguration: features.reconfiguration,
            interleaving: features.interleaving,
            ecn: matches!(self.value(abi::SCTP_ECN_SUPPORTED, assoc), Ok(Ok(1..))),
            peer_rwnd: usize::try_from(status.rwnd).unwrap_or(usize::MAX),
            fragmentation_point: usize::try_from(status.fragmentation_point).unwrap_or(usize::MAX),
            local_rwnd: params.local_rwnd,
            unacknowledged_messages: status.unackdata.into(),
            buffered_bytes: 0,
            pending_messages: status.penddata.into(),
            paths,
            stats: self.association_stats(assoc),
        })
    }

    /// What both sides of an association support.
    pub(crate) fn features(&self, assoc: i32) -> AssociationFeatures {
        let negotiated = |name| matches!(self.value(name, assoc), Ok(Ok(1..)));
        let interleaving = negotiated(abi::SCTP_INTERLEAVING_SUPPORTED);
        let level = self.get(abi::SCTP_FRAGMENT_INTERLEAVE, Number::default());
        AssociationFeatures {
            partial_reliability: negotiated(abi::SCTP_PR_SUPPORTED),
            authentication: negotiated(abi::SCTP_AUTH_SUPPORTED),
            address_changes: negotiated(abi::SCTP_ASCONF_SUPPORTED),
            multiple_buffers: interleaving && matches!(level, Ok(Ok(Number { value: 1.. }))),
            reconfiguration: negotiated(abi::SCTP_RECONFIG_SUPPORTED),
            interleaving,
        }
    }

    fn path(&self, assoc: i32, peer: SocketAddr, primary: Option<SocketAddr>) -> Option<PathStatus> {
        let address = Storage::new(Some(peer));
        let request = PaddrInfo {
            assoc,
            address,
            ..PaddrInfo::default()
        };
        let info = self.get(abi::SCTP_GET_PEER_ADDR_INFO, request).ok()?.ok()?;
        let encapsulation = UdpEncaps {
            assoc,
            address,
            port: 0,
        };
        let port = self.get(abi::SCTP_REMOTE_UDP_ENCAPS_PORT, encapsulation).ok()?;
        let port = port.map_or(0, |answer| u16::from_be(answer.port));
        Some(PathStatus {
            address: peer.ip(),
            state: match info.state {
                abi::SCTP_ACTIVE => PathState::Active,
                abi::SCTP_PF => PathState::PotentiallyFailed,
                abi::SCTP_INACTIVE => PathState::Inactive,
                _ => PathState::Unconfirmed,
            },
            primary: Some(peer) == primary,
            source: None,
            added_at: Instant::ZERO,
            heartbeat_interval: None,
            max_retrans: self.thresholds(assoc, address).map_or(0, |set| set.path_max_rxt),
            srtt: (info.srtt > 0).then(|| Duration::from_millis(info.srtt.into())),
            rttvar: None,
            rto: Duration::from_millis(info.rto.into()),
            longest_rto: Duration::ZERO,
            cwnd: usize::try_from(info.cwnd).unwrap_or(usize::MAX),
            ssthresh: 0,
            flight_size: 0,
            error_count: 0,
            mtu: usize::try_from(info.mtu).unwrap_or(usize::MAX),
            mtu_discovery: MtuDiscovery::Disabled,
            encapsulation_port: (port != 0).then_some(port),
            stats: PathStats::default(),
        })
    }

    fn association_stats(&self, assoc: i32) -> AssociationStats {
        let request = AssocStats {
            assoc,
            ..AssocStats::default()
        };
        let Ok(Ok(stats)) = self.get(abi::SCTP_GET_ASSOC_STATS, request) else {
            return AssociationStats::default();
        };
        AssociationStats {
            packets_received: stats.ipackets,
            packets_sent: stats.opackets,
            control_chunks_received: stats.ictrlchunks,
            control_chunks_sent: stats.octrlchunks,
            data_chunks_received: stats.iodchunks + stats.iuodchunks,
            unordered_chunks_received: stats.iuodchunks,
            unordered_chunks_sent: stats.ouodchunks,
            out_of_order_tsns: stats.outofseqtsns,
            gap_ack_blocks_received: stats.gapcnt,
            duplicate_tsns: stats.idupchunks,
            data_chunks_sent: stats.oodchunks + stats.ouodchunks,
            data_chunks_retransmitted: stats.rtxchunks,
            sacks_sent: stats.osacks,
            sacks_received: stats.isacks,
            ..AssociationStats::default()
        }
    }

    /// One of the peer's addresses for a structure that names a path: none for what new paths start with.
    pub(crate) fn path_storage(&self, assoc: Option<i32>, address: Option<IpAddr>) -> Result<Storage> {
        Ok(match (assoc, address) {
            (_, None) => Storage::new(None),
            (None, Some(_)) => return Err(crate::Error::NoSuchPath),
            (Some(assoc), Some(address)) => Storage::new(Some(self.path_address(assoc, address)?)),
        })
    }

    /// The thresholds of a path.
    pub(crate) fn thresholds(&self, assoc: i32, address: Storage) -> Result<PaddrThresholds> {
        let request = PaddrThresholds {
            assoc,
            address,
            ..PaddrThresholds::default()
        };
        self.get(abi::SCTP_PEER_ADDR_THLDS_V2, request)?
            .map_err(|error| errno::of_association("reading the thresholds of a path", &error))
    }
}

const fn phase(state: i32) -> AssociationPhase {
    match state {
        abi::SCTP_COOKIE_WAIT => AssociationPhase::CookieWait,
        abi::SCTP_COOKIE_ECHOED => AssociationPhase::CookieEchoed,
        abi::SCTP_ESTABLISHED => AssociationPhase::Established,
        abi::SCTP_SHUTDOWN_PENDING => AssociationPhase::ShutdownPending,
        abi::SCTP_SHUTDOWN_SENT => AssociationPhase::ShutdownSent,
        abi::SCTP_SHUTDOWN_RECEIVED => AssociationPhase::ShutdownReceived,
        8 => AssociationPhase::ShutdownAckSent,
        _ => AssociationPhase::Closed,
    }
}
