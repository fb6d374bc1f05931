//! How a registrar behaves.

use std::net::SocketAddr;
use std::time::Duration;

use sctp::addr::Scope;

use super::{ANNOUNCE_GROUP, ConfigError, check};
use crate::net::SctpAddress;
use crate::wire::element::LifeUnit;
use crate::wire::transport::SctpTransport;

/// What becomes of an element whose association with the registrar was aborted or lost.
///
/// An element that only shut its association down is probed in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AssociationLoss {
    /// It is removed at once, so that pool users fail over fast. One that still lives registers again.
    #[default]
    Remove,
    /// It is probed over a new association and removed when that fails (RFC 5352 §3.4).
    Probe,
}

/// Which of the user transport addresses in a registration are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AddressCheck {
    /// Those that the registering association has too (RFC 5352 §2.2.1: they MUST be a subset). Without any, the
    /// registration is refused.
    #[default]
    OfAssociation,
    /// All. Any node can then send the users of a pool to any other node (RFC 5355 §2.3).
    Any,
}

/// What is done when a node changes or deregisters an element that another node registered (RFC 5352 §2.2.2 forbids
/// it, RFC 5355 §2.3 counts on authentication to tell).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ForeignChange {
    /// It is carried out and counted: an element may come back from other addresses.
    #[default]
    Count,
    /// It is refused while the association that the element registered on stands.
    Refuse,
}

/// How a registrar makes itself known by multicast (RFC 5352 §3.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    /// The group and UDP port.
    pub group: SocketAddr,
    /// The transport addresses to announce. Without them, receivers take the address the datagram came from, with
    /// its UDP port (deployed systems) or the port of ASAP (RFC 5352 §3.6).
    pub address: Option<SctpAddress>,
}

impl Default for Announce {
    fn default() -> Self {
        Self {
            group: ANNOUNCE_GROUP,
            address: None,
        }
    }
}

/// How much a handlespace holds. A registration beyond a limit is refused with "lack of resources".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandlespaceLimits {
    pub(crate) pools: usize,
    pub(crate) elements: usize,
    pub(crate) elements_per_pool: usize,
}

impl Default for HandlespaceLimits {
    /// 10 000 pools, 100 000 elements, all of them in one pool if need be.
    fn default() -> Self {
        Self {
            pools: 10_000,
            elements: 100_000,
            elements_per_pool: 100_000,
        }
    }
}

impl HandlespaceLimits {
    /// The limits of so many pools, elements in all pools together, and elements in one pool; each at least 1. Limits
    /// beyond what memory holds (some 500 bytes an element) leave a flood of registrations unchecked.
    pub fn new(pools: usize, elements: usize, elements_per_pool: usize) -> Result<Self, ConfigError> {
        check(
            pools >= 1 && elements >= 1 && elements_per_pool >= 1,
            "handlespace limits",
            "at least 1",
        )?;
        Ok(Self {
            pools,
            elements,
            elements_per_pool,
        })
    }
}

/// How a registrar behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrarConfig {
    announce: Option<Announce>,
    server_announce_cycle: Duration,
    keep_alive_interval: Duration,
    keep_alive_timeout: Duration,
    max_bad_pe_reports: u32,
    default_items: u32,
    max_items: u32,
    max_increment: u32,
    max_addresses: usize,
    max_associations: usize,
    limits: HandlespaceLimits,
    association_loss: AssociationLoss,
    address_check: AddressCheck,
    foreign_change: ForeignChange,
    min_address_scope: Scope,
    life_unit: LifeUnit,
}

impl Default for RegistrarConfig {
    /// T6-Serverannounce 1 s (RFC 5352 §7.1). The RFCs give no numbers for: keep-alive interval and timeout 5 s each,
    /// removal at 3 unreachable reports, 3 elements in an answer (at most 128), 1 element moved on by a selection, 64
    /// addresses an element. There are no announces.
    fn default() -> Self {
        Self {
            announce: None,
            server_announce_cycle: Duration::from_secs(1),
            keep_alive_interval: Duration::from_secs(5),
            keep_alive_timeout: Duration::from_secs(5),
            max_bad_pe_reports: 3,
            default_items: 3,
            max_items: 128,
            max_increment: 1,
            max_addresses: 64,
            max_associations: 100_000,
            limits: HandlespaceLimits::default(),
            association_loss: AssociationLoss::default(),
            address_check: AddressCheck::default(),
            foreign_change: ForeignChange::default(),
            min_address_scope: Scope::Loopback,
            life_unit: LifeUnit::Seconds,
        }
    }
}

impl RegistrarConfig {
    /// Whether and how the registrar announces itself.
    pub const fn announce(&self) -> Option<&Announce> {
        self.announce.as_ref()
    }

    /// Sets whether and how the registrar announces itself.
    pub fn set_announce(&mut self, announce: Option<Announce>) -> Result<(), ConfigError> {
        let valid = announce.as_ref().is_none_or(|announce| {
            let address_valid = announce.address.as_ref().is_none_or(|a| !a.addresses.is_empty());
            announce.group.ip().is_multicast() && announce.group.port() != 0 && address_valid
        });
        check(valid, "announce", "a multicast group, a port, and addresses if any")?;
        self.announce = announce;
        Ok(())
    }

    /// T6-Serverannounce: the time between announces, before it is varied by up to an eighth.
    pub const fn server_announce_cycle(&self) -> Duration {
        self.server_announce_cycle
    }

    /// Sets T6-Serverannounce. Beyond T7-ENRPoutdate of the receivers (5 s) they forget the registrar in between.
    pub fn set_server_announce_cycle(&mut self, cycle: Duration) -> Result<(), ConfigError> {
        let valid = (Duration::from_millis(100)..=Duration::from_secs(60)).contains(&cycle);
        check(valid, "T6-Serverannounce", "100 ms to 60 s")?;
        self.server_announce_cycle = cycle;
        Ok(())
    }

    /// The mean time from an answer of an element to the next keep-alive; each is varied by up to a half.
    pub const fn keep_alive_interval(&self) -> Duration {
        self.keep_alive_interval
    }

    /// How long an element may take to answer a keep-alive, setting up an association included.
    pub const fn keep_alive_timeout(&self) -> Duration {
        self.keep_alive_timeout
    }

    /// Sets the mean keep-alive interval and the time to answer. Together they bound how long a dead element stays in
    /// the handlespace (one and a half intervals and the timeout); short ones cost messages, and a timeout below what
    /// SCTP needs to retransmit a lost packet (1 s and more) removes living elements.
    pub fn set_keep_alive(&mut self, interval: Duration, timeout: Duration) -> Result<(), ConfigError> {
        let bounds = Duration::from_millis(100)..=Duration::from_secs(300);
        check(
            bounds.contains(&interval) && bounds.contains(&timeout),
            "keep-alive interval and timeout",
            "100 ms to 300 s each",
        )?;
        (self.keep_alive_interval, self.keep_alive_timeout) = (interval, timeout);
        Ok(())
    }

    /// MAX-BAD-PE-REPORT: the number of unreachable reports at which an element is removed.
    pub const fn max_bad_pe_reports(&self) -> u32 {
        self.max_bad_pe_reports
    }

    /// Sets MAX-BAD-PE-REPORT. At 1 any single pool user removes any element.
    pub fn set_max_bad_pe_reports(&mut self, reports: u32) -> Result<(), ConfigError> {
        check((1..=1000).contains(&reports), "MAX-BAD-PE-REPORT", "1 to 1000")?;
        self.max_bad_pe_reports = reports;
        Ok(())
    }

    /// How many elements an answer lists if the request does not say.
    pub const fn default_items(&self) -> u32 {
        self.default_items
    }

    /// How many elements an answer lists at most.
    pub const fn max_items(&self) -> u32 {
        self.max_items
    }

    /// Sets how many elements an answer lists, if the request does not say and at most. An answer is one message and
    /// ends where 64 KiB are full, whatever the limit. Many items cost bandwidth; few leave a pool user without
    /// alternatives.
    pub fn set_items(&mut self, default: u32, max: u32) -> Result<(), ConfigError> {
        check(
            1 <= default && default <= max && max <= 4096,
            "handle resolution items",
            "1 <= default <= maximum <= 4096",
        )?;
        (self.default_items, self.max_items) = (default, max);
        Ok(())
    }

    /// How many of the elements in an answer lose their turn by it.
    pub const fn max_increment(&self) -> u32 {
        self.max_increment
    }

    /// Sets how many of the elements in an answer lose their turn by it. With 1 the head of the circular list advances
    /// by one (RFC 5356 §4.1.2); more suits users that use all they get.
    pub fn set_max_increment(&mut self, elements: u32) -> Result<(), ConfigError> {
        check(elements >= 1, "maximum increment", "at least 1")?;
        self.max_increment = elements;
        Ok(())
    }

    /// How many addresses a user transport may list.
    pub const fn max_addresses(&self) -> usize {
        self.max_addresses
    }

    /// Sets how many addresses a user transport may list.
    pub fn set_max_addresses(&mut self, addresses: usize) -> Result<(), ConfigError> {
        let valid = (1..=SctpTransport::MAX_ADDRESSES).contains(&addresses);
        check(valid, "addresses of an element", "1 to 64")?;
        self.max_addresses = addresses;
        Ok(())
    }

    /// How many associations may stand at a time; those beyond are aborted.
    pub const fn max_associations(&self) -> usize {
        self.max_associations
    }

    /// Sets how many associations may stand at a time.
    pub fn set_max_associations(&mut self, associations: usize) -> Result<(), ConfigError> {
        check(associations >= 1, "associations", "at least 1")?;
        self.max_associations = associations;
        Ok(())
    }

    /// How much the handlespace holds.
    pub const fn limits(&self) -> HandlespaceLimits {
        self.limits
    }

    /// Sets how much the handlespace holds.
    pub const fn set_limits(&mut self, limits: HandlespaceLimits) {
        self.limits = limits;
    }

    /// What becomes of an element whose association was aborted or lost.
    pub const fn association_loss(&self) -> AssociationLoss {
        self.association_loss
    }

    /// Sets what becomes of an element whose association was aborted or lost.
    pub const fn set_association_loss(&mut self, rule: AssociationLoss) {
        self.association_loss = rule;
    }

    /// Which user transport addresses are believed.
    pub const fn address_check(&self) -> AddressCheck {
        self.address_check
    }

    /// Sets which user transport addresses are believed.
    pub const fn set_address_check(&mut self, rule: AddressCheck) {
        self.address_check = rule;
    }

    /// What is done about changes by a node other than the registered one.
    pub const fn foreign_change(&self) -> ForeignChange {
        self.foreign_change
    }

    /// Sets what is done about changes by a node other than the registered one.
    pub const fn set_foreign_change(&mut self, rule: ForeignChange) {
        self.foreign_change = rule;
    }

    /// The narrowest scope of addresses that are registered.
    pub const fn min_address_scope(&self) -> Scope {
        self.min_address_scope
    }

    /// Sets the narrowest scope of addresses that are registered. Loopback addresses help nobody on another host;
    /// without them, a system on one host needs addresses of a wider scope.
    pub const fn set_min_address_scope(&mut self, scope: Scope) {
        self.min_address_scope = scope;
    }

    /// The unit in which elements give the life of their registration.
    pub const fn life_unit(&self) -> LifeUnit {
        self.life_unit
    }

    /// Sets the unit in which elements give the life of their registration. Milliseconds taken for seconds only last
    /// longer, and keep-alives find the dead; seconds taken for milliseconds run out at once.
    pub const fn set_life_unit(&mut self, unit: LifeUnit) {
        self.life_unit = unit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5352_7_1_the_defaults_are_the_rfcs() {
        let config = RegistrarConfig::default();
        assert_eq!(config.server_announce_cycle(), Duration::from_secs(1));
        assert_eq!(config.announce(), None);
        let mut same = config.clone();
        same.set_server_announce_cycle(config.server_announce_cycle()).unwrap();
        same.set_keep_alive(config.keep_alive_interval(), config.keep_alive_timeout())
            .unwrap();
        same.set_max_bad_pe_reports(config.max_bad_pe_reports()).unwrap();
        same.set_items(config.default_items(), config.max_items()).unwrap();
        same.set_max_increment(config.max_increment()).unwrap();
        same.set_max_addresses(config.max_addresses()).unwrap();
        same.set_max_associations(config.max_associations()).unwrap();
        assert_eq!(same, config);
    }

    #[test]
    fn a_refused_value_changes_nothing() {
        let mut config = RegistrarConfig::default();
        let second = Duration::from_secs(1);
        assert!(config.set_server_announce_cycle(Duration::ZERO).is_err());
        assert!(config.set_keep_alive(second, Duration::ZERO).is_err());
        assert!(config.set_keep_alive(Duration::ZERO, second).is_err());
        assert!(config.set_max_bad_pe_reports(0).is_err());
        assert!(config.set_items(4, 3).is_err());
        assert!(config.set_items(0, 3).is_err());
        assert!(config.set_max_increment(0).is_err());
        assert!(config.set_max_addresses(0).is_err());
        assert!(config.set_max_associations(0).is_err());
        assert!(HandlespaceLimits::new(1, 0, 1).is_err());
        let unicast = Announce {
            group: "192.0.2.1:3863".parse().unwrap(),
            address: None,
        };
        assert!(config.set_announce(Some(unicast)).is_err());
        assert_eq!(config, RegistrarConfig::default());
        assert!(config.set_announce(Some(Announce::default())).is_ok());
    }
}
