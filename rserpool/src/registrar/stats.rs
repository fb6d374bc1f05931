//! What a registrar has counted since it began.

/// Counters of a registrar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegistrarStats {
    /// Elements that were added.
    pub registrations: u64,
    /// Registrations of elements that were there.
    pub reregistrations: u64,
    /// Registrations that were refused.
    pub refused_registrations: u64,
    /// Deregistrations that were carried out, those of unknown elements included.
    pub deregistrations: u64,
    /// Handle resolutions that were answered with elements.
    pub resolutions: u64,
    /// Handle resolutions of unknown pools.
    pub failed_resolutions: u64,
    /// Keep-alives that were sent.
    pub keep_alives: u64,
    /// Keep-alives that were not answered in time, or could not be sent.
    pub failed_keep_alives: u64,
    /// Reports of unreachable elements that are registered here.
    pub unreachable_reports: u64,
    /// Elements that were removed for any reason but their own wish.
    pub removals: u64,
    /// Changes and deregistrations of an element by a node that shares no address with it (RFC 5355 §2.3).
    pub foreign_changes: u64,
    /// Announces that were sent.
    pub announces: u64,
    /// Messages that could not be decoded.
    pub malformed_messages: u64,
    /// Messages that are not for a registrar, and keep-alive answers that nobody waits for.
    pub unexpected_messages: u64,
    /// Errors that peers reported.
    pub received_errors: u64,
    /// Associations that were aborted, for a wrong payload protocol identifier or for want of room.
    pub aborted_associations: u64,
    /// Requests that were dropped because the peer does not take what it was answered.
    pub dropped_requests: u64,
}
