//! One element of a pool.

use crate::ids::PoolHandle;
use crate::net::SctpAddress;
use crate::wire::element::PoolElementParam;
use crate::wire::transport::TransportUse;

/// Names a registered element within its handlespace, from its first registration to its removal. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElementKey(pub(super) u64);

/// A registered element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    pub(super) pool: PoolHandle,
    pub(super) param: PoolElementParam,
    pub(super) suspect: bool,
}

impl Element {
    /// Its pool.
    pub const fn pool(&self) -> &PoolHandle {
        &self.pool
    }

    /// What it registered, with the home registrar and the ASAP transport that the registrar filled in.
    pub const fn param(&self) -> &PoolElementParam {
        &self.param
    }

    /// Whether it is probably gone.
    pub const fn is_suspect(&self) -> bool {
        self.suspect
    }

    /// Where a registrar reaches it without an association: at its ASAP transport; failing that, at a user transport
    /// that takes control messages.
    pub fn control_address(&self) -> Option<SctpAddress> {
        let user = self.param.user_transport.as_sctp();
        let user = user.filter(|sctp| sctp.transport_use == TransportUse::DataPlusControl);
        self.param.asap_transport.as_ref().or(user).map(|sctp| sctp.address())
    }
}
