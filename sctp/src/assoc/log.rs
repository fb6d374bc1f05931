//! Log lines about an association. Nothing depends on them.
//!
//! What happens to an association or a path as a whole is logged for people (info), with the association's span as its
//! parent. Details are logged (debug: timers, control chunks; trace: packets) in the spans that the stack enters while
//! it has the association do something, if anybody wants details.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};

use tracing::span::EnteredSpan;
use tracing::{Level, Span, debug, debug_span, enabled, field, info, info_span};

use super::Association;
use crate::error::FailureReason;
use crate::event::PathChange;
use crate::path::PathId;
use crate::serial::VerificationTag;
use crate::wire::ChunkType;

/// The span of an association, for its whole life.
pub(super) fn span(tag: VerificationTag, port: u16, peer: (IpAddr, u16)) -> Span {
    info_span!("association", assoc = field::Empty, %tag, port, peer = %SocketAddr::from(peer))
}

impl Association {
    /// Log lines name it so from now on.
    pub(crate) fn set_log_name(&self, name: impl Display) {
        self.span.record("assoc", field::display(name));
    }

    /// Details logged while this is held are about the association.
    #[inline]
    pub(crate) fn log_details(&self) -> Option<EnteredSpan> {
        enabled!(Level::DEBUG).then(|| self.span.clone().entered())
    }

    /// Details logged while this is held are about a path of the association.
    #[inline]
    pub(crate) fn log_path_details(&self, id: PathId) -> Option<EnteredSpan> {
        enabled!(Level::DEBUG).then(|| self.enter_path(id))
    }

    #[cold]
    fn enter_path(&self, id: PathId) -> EnteredSpan {
        let address = self.paths.get(id).map(|path| field::display(path.address));
        debug_span!(parent: &self.span, "path", path = address).entered()
    }

    pub(super) fn log_up(&self) {
        info!(
            parent: &self.span,
            initiated_here = self.initiated_here,
            outbound_streams = self.outbound.streams(),
            inbound_streams = self.inbound.streams(),
            "association up"
        );
    }

    pub(super) fn log_end(&self, result: &Result<(), FailureReason>, setup: bool) {
        match result {
            Ok(()) => info!(parent: &self.span, "association shut down"),
            Err(reason) if setup => info!(parent: &self.span, %reason, "association not set up"),
            Err(reason) => info!(parent: &self.span, %reason, "association lost"),
        }
    }

    /// The peer has restarted. The tag is another one, so the span is.
    pub(super) fn log_restart(&mut self, address: IpAddr) {
        info!(parent: &self.span, new_tag = %self.local_tag, "association restarted by its peer");
        self.span = span(self.local_tag, self.local.port, (address, self.peer_port));
    }

    pub(super) fn log_path(&self, id: PathId, change: PathChange) {
        let Some(path) = self.paths.get(id) else { return };
        if change == PathChange::Confirmed {
            debug!(parent: &self.span, path = %path.address, ?change, "path");
        } else {
            info!(parent: &self.span, path = %path.address, ?change, errors = path.error_count, "path");
        }
    }

    /// A chunk other than DATA was put into a packet.
    #[inline]
    pub(super) fn note_sent(&mut self, chunk: ChunkType) {
        self.stats.control_chunks_sent += 1;
        debug!(%chunk, "chunk sent");
    }
}
