//! Snapshots of a stack for its operator (RFC 3873): all of it in numbers, and its associations a few at a time.

use std::fmt;
use std::net::IpAddr;
use std::ops::Bound;
use std::time::Duration;

use super::{AssocId, EndpointId, Stack};
use crate::assoc::{AssociationStatus, PathStatus};
use crate::config::AssociationConfig;
use crate::stats::{AssociationStats, StackStats};

/// How RTO is computed (`sctpRtoAlgorithm` of RFC 3873).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum RtoAlgorithm {
    /// Van Jacobson's (RFC 9260 §6.3.1).
    #[default]
    Vanj,
}

/// What holds for associations of which nobody says otherwise (the group `sctpParams` of RFC 3873).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Parameters {
    /// How RTO is computed (`sctpRtoAlgorithm`).
    pub rto_algorithm: RtoAlgorithm,
    /// RTO.Min (`sctpRtoMin`).
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::serialize::seconds"))]
    pub rto_min: Duration,
    /// RTO.Max (`sctpRtoMax`).
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::serialize::seconds"))]
    pub rto_max: Duration,
    /// RTO.Initial (`sctpRtoInitial`).
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::serialize::seconds"))]
    pub rto_initial: Duration,
    /// How many associations the stack holds at most (`sctpMaxAssocs`).
    pub max_associations: usize,
    /// Valid.Cookie.Life (`sctpValCookieLife`).
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::serialize::seconds"))]
    pub valid_cookie_life: Duration,
    /// Max.Init.Retransmits (`sctpMaxInitRetr`).
    pub max_init_retransmits: u16,
}

/// A stack in numbers, from [`Stack::snapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct StackSnapshot {
    /// What holds unless end points or associations say otherwise.
    pub parameters: Parameters,
    /// Associations that are held: in any state, also those that have ended and hold something to receive.
    pub associations: usize,
    /// Counters.
    pub stats: StackStats,
}

/// An association of a stack, from [`Stack::associations`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct AssociationSnapshot {
    /// Its name.
    pub id: AssocId,
    /// Its own end point.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub endpoint: EndpointId,
    /// All about it.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub status: AssociationStatus,
}

/// Where a walk through the associations goes on; the default is the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotCursor(u32);

/// Some associations of a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotPage {
    /// The associations, none maybe.
    pub associations: Vec<AssociationSnapshot>,
    /// Where to go on; `None` at the end.
    pub next: Option<SnapshotCursor>,
}

impl Stack {
    /// The stack in numbers, in constant time.
    pub fn snapshot(&self) -> StackSnapshot {
        let defaults = AssociationConfig::default();
        StackSnapshot {
            parameters: Parameters {
                rto_algorithm: RtoAlgorithm::Vanj,
                rto_min: defaults.rto_min(),
                rto_max: defaults.rto_max(),
                rto_initial: defaults.rto_initial(),
                max_associations: self.config.max_associations(),
                valid_cookie_life: self.config.valid_cookie_life(),
                max_init_retransmits: defaults.max_init_retransmits(),
            },
            associations: self.table.len(),
            stats: self.stats,
        }
    }

    /// What the associations of an end point counted that are over and forgotten, together; `None` if there is no such
    /// end point.
    pub fn ended_stats(&self, endpoint: EndpointId) -> Option<AssociationStats> {
        let endpoint = self.endpoints.get(endpoint)?;
        Some(endpoint.ended.as_deref().copied().unwrap_or_default())
    }

    /// What some others of an end point have counted, together: at most `limit` (one at least) of those behind `after`.
    /// Also the last of them; `None` for that at the end, or if there is no such end point.
    pub fn open_stats(
        &self,
        endpoint: EndpointId,
        after: Option<AssocId>,
        limit: usize,
    ) -> (AssociationStats, Option<AssocId>) {
        let mut sum = AssociationStats::default();
        let mut last = None;
        if let Some(endpoint) = self.endpoints.get(endpoint) {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            for id in endpoint.associations.range((from, Bound::Unbounded)).take(limit.max(1)) {
                last = Some(*id);
                if let Some(slot) = self.table.get(*id) {
                    sum += slot.assoc.stats();
                }
            }
        }
        (sum, last)
    }

    /// Some of the associations, in the order of their ids, at most `limit` (one at least is looked for). Takes time
    /// for `limit` of them, however many there are.
    ///
    /// An association that is there during a whole walk is met once; one that comes or goes meanwhile, maybe.
    pub fn associations(&self, from: SnapshotCursor, limit: usize) -> SnapshotPage {
        let places = self.table.places();
        let step = u32::try_from(limit.max(1)).unwrap_or(u32::MAX);
        let end = from.0.saturating_add(step).min(places);
        let held = (from.0..end).filter_map(|index| self.table.at(index));
        let live = held.filter(|(_, slot)| !slot.released);
        let associations = live.map(|(id, slot)| AssociationSnapshot {
            id,
            endpoint: slot.endpoint,
            status: slot.assoc.status(),
        });
        SnapshotPage {
            associations: associations.collect(),
            next: (end < places).then_some(SnapshotCursor(end)),
        }
    }
}

/// A table for people: what the stack holds, and the counters that are not zero.
impl fmt::Display for StackSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<32} {}", "associations", self.associations)?;
        self.stats.fmt(f)
    }
}

/// Some lines for people: the association, and one for each of its paths.
impl fmt::Display for AssociationSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, status, .. } = self;
        let stats = &status.stats;
        writeln!(
            f,
            "association {id} {} port {} to {}, streams {} out {} in, tags {} {}",
            status.phase,
            status.local_port,
            status.peer_port,
            status.outbound_streams,
            status.inbound_streams,
            status.local_tag,
            status.peer_tag,
        )?;
        writeln!(
            f,
            "  messages {} out {} in, bytes {} out {} in, again {}, queued {}, window {}, errors {}/{}",
            stats.messages_sent,
            stats.messages_received,
            stats.bytes_sent,
            stats.bytes_received,
            stats.data_chunks_retransmitted,
            status.buffered_bytes,
            status.peer_rwnd,
            status.error_count,
            status.max_retrans,
        )?;
        status.paths.iter().try_for_each(|path| write_path(f, path))
    }
}

fn write_path(f: &mut fmt::Formatter<'_>, path: &PathStatus) -> fmt::Result {
    let source = path.source.map(|own: IpAddr| format!(" from {own}"));
    let srtt = path.srtt.map_or_else(|| "-".to_owned(), |srtt| format!("{srtt:.1?}"));
    writeln!(
        f,
        "  path {}{} {}{}, srtt {srtt}, rto {:.1?}, cwnd {}, flight {}, mtu {}, errors {}/{}, packets {} out {} in, again {}",
        path.address,
        source.unwrap_or_default(),
        path.state,
        if path.primary { ", primary" } else { "" },
        path.rto,
        path.cwnd,
        path.flight_size,
        path.mtu,
        path.error_count,
        path.max_retrans,
        path.stats.packets_sent,
        path.stats.packets_received,
        path.stats.data_chunks_retransmitted,
    )
}
