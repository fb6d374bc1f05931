//! Parameters of dynamic address reconfiguration (RFC 5061).

use std::net::IpAddr;

/// Whether and how the addresses of an association may change while it is open (RFC 5061).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsconfConfig {
    offered: bool,
    authentication_required: bool,
    automatic: bool,
    peer_may_change: bool,
    peer_may_set_primary: bool,
    preferred_address: Option<IpAddr>,
}

impl Default for AsconfConfig {
    /// Not offered. Once it is: only with authenticated chunks (RFC 5061 §4.1.1), own addresses change on command only,
    /// and the peer may change all of its own.
    fn default() -> Self {
        Self {
            offered: false,
            authentication_required: true,
            automatic: false,
            peer_may_change: true,
            peer_may_set_primary: true,
            preferred_address: None,
        }
    }
}

impl AsconfConfig {
    /// Whether ASCONF is offered to the peer.
    pub const fn offered(&self) -> bool {
        self.offered
    }

    /// Sets whether ASCONF is offered to the peer. It is used if both sides offer it.
    pub const fn set_offered(&mut self, offered: bool) {
        self.offered = offered;
    }

    /// Whether ASCONF and ASCONF-ACK must be authenticated (RFC 4895).
    pub const fn authentication_required(&self) -> bool {
        self.authentication_required
    }

    /// Sets whether ASCONF and ASCONF-ACK must be authenticated, as RFC 5061 §4.1.1 demands. Without it whoever learns
    /// the verification tag can lead the association away; only a network that nobody else is on excuses that.
    pub const fn set_authentication_required(&mut self, required: bool) {
        self.authentication_required = required;
    }

    /// Takes over what may change while an association is open.
    pub(crate) const fn follow(&mut self, next: &Self) {
        self.automatic = next.automatic;
        self.peer_may_change = next.peer_may_change;
        self.peer_may_set_primary = next.peer_may_set_primary;
    }

    /// Whether it is offered and must be authenticated.
    pub(crate) const fn is_authenticated(&self) -> bool {
        self.offered && self.authentication_required
    }

    /// Whether the peer is told by itself of addresses that the host gets and loses (RFC 6458 §8.1.23).
    pub const fn automatic(&self) -> bool {
        self.automatic
    }

    /// Sets whether the peer is told by itself of addresses that the host gets and loses. It holds for associations of
    /// end points that are bound to all addresses.
    pub const fn set_automatic(&mut self, automatic: bool) {
        self.automatic = automatic;
    }

    /// Whether the peer may add and delete addresses of its own.
    pub const fn peer_may_change(&self) -> bool {
        self.peer_may_change
    }

    /// Sets whether the peer may add and delete addresses of its own. If not, it is told that it has no authorization
    /// (RFC 5061 §4.3.5).
    pub const fn set_peer_may_change(&mut self, allowed: bool) {
        self.peer_may_change = allowed;
    }

    /// Whether the peer may say to which of its addresses data goes first.
    pub const fn peer_may_set_primary(&self) -> bool {
        self.peer_may_set_primary
    }

    /// Sets whether the peer may say to which of its addresses data goes first (RFC 5061 §5.4).
    pub const fn set_peer_may_set_primary(&mut self, allowed: bool) {
        self.peer_may_set_primary = allowed;
    }

    /// The own address that INIT and INIT ACK ask the peer to send to first.
    pub const fn preferred_address(&self) -> Option<IpAddr> {
        self.preferred_address
    }

    /// Sets the own address that INIT and INIT ACK ask the peer to send to first (RFC 5061 §5.4). These chunks are not
    /// authenticated; `Stack::set_peer_primary` asks later, under protection (RFC 5061 §6).
    pub const fn set_preferred_address(&mut self, address: Option<IpAddr>) {
        self.preferred_address = address;
    }
}
