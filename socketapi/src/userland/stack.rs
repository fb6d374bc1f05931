//! A running stack, and how it is started.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use sctp::config::{EndpointConfig, OotbPolicy, StackConfig};
use sctp::{Instant, Stack, StackStats};

use super::addresses::Addresses;
use super::device::{Capture, DeviceConfig, DeviceStats};
use super::driver;
use super::operation::Operation;
use super::port::Claim;
use super::shard::Shard;
use super::sharing;
use super::sock::Sockets;
use super::workers::{Held, Worker, Workers};
use crate::{Error, Result, blocking};

/// A running stack of the userland backend: SCTP on a set of addresses, in UDP or directly on IP.
///
/// It is a handle and cheap to clone. The stack runs while a handle or a socket of it exists, and after that until
/// associations that end in the background have ended.
#[derive(Clone, Debug)]
pub struct StackHandle(Arc<User>);

/// One that needs the stack.
#[derive(Debug)]
struct User {
    /// All shards of the stack.
    shards: Vec<Arc<Shard>>,
    /// The one that this is at.
    shard: Arc<Shard>,
    about: Arc<About>,
}

/// A port that an end point may be bound to.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Where other processes use the same UDP port.
    pub(super) claim: Option<Arc<Claim>>,
    /// Who is to be told once the port is free again.
    pub(super) told: Option<Waker>,
}

/// What does not change while a stack runs.
#[derive(Debug)]
pub(super) struct About {
    pub(super) addresses: Arc<Addresses>,
    /// What it was started with.
    pub(super) device: DeviceConfig,
    /// The UDP port that was asked for; 0 for any, `None` for what is usual.
    pub(super) asked_udp_port: Option<u16>,
    pub(super) udp_port: Option<u16>,
    pub(super) peer_udp_port: Option<u16>,
}

impl Drop for User {
    fn drop(&mut self) {
        for shard in &self.shards {
            shard.remove_user();
        }
    }
}

impl StackHandle {
    /// A builder of a stack.
    pub fn builder() -> StackBuilder {
        StackBuilder::default()
    }

    /// The own UDP port; 0 if packets go directly on IP.
    pub fn udp_port(&self) -> u16 {
        self.0.about.udp_port.unwrap_or(0)
    }

    /// What carries the packets.
    pub fn device(&self) -> &DeviceConfig {
        &self.0.about.device
    }

    /// The addresses that sockets of the stack may use: those it was [started on](StackBuilder::addresses), or those
    /// that the host has now.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.0.about.addresses.now()
    }

    /// The counters of the engine.
    pub fn stats(&self) -> StackStats {
        let mut sum = StackStats::default();
        for shard in &self.0.shards {
            sum += shard.stats();
        }
        sum
    }

    /// The counters of the network device.
    pub fn device_stats(&self) -> DeviceStats {
        let mut sum = DeviceStats::default();
        for shard in &self.0.shards {
            sum += shard.device.stats();
        }
        sum
    }

    /// How long a State Cookie made from now on may be used (Valid.Cookie.Life; `sasoc_cookie_life` of
    /// `SCTP_ASSOCINFO`, RFC 6458 §8.1.2), for all sockets of the stack.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a time that is out of range, [`Error::StackStopped`].
    pub fn set_valid_cookie_life(&self, life: Duration) -> Result<()> {
        for shard in &self.0.shards {
            shard.enter(|sockets, _| sockets.stack.set_valid_cookie_life(life))??;
        }
        Ok(())
    }

    /// Stops listening on all sockets, shuts all associations down gracefully, also those that end in the background,
    /// and waits until they have ended: what a program does before it exits, since no kernel does it afterwards.
    ///
    /// Associations that have not ended after `timeout` are aborted.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if some were aborted, [`Error::StackStopped`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with its time driver enabled.
    pub async fn shutdown_graceful(&self, timeout: Duration) -> Result<()> {
        self.enter_all(Sockets::shutdown_all)?;
        match tokio::time::timeout(timeout, self.all_ended()).await {
            Ok(outcome) => outcome,
            Err(_) => self.give_up(),
        }
    }

    /// As [`shutdown_graceful`](Self::shutdown_graceful), but blocks.
    ///
    /// # Errors
    ///
    /// As [`shutdown_graceful`](Self::shutdown_graceful).
    pub fn shutdown_graceful_blocking(&self, timeout: Duration) -> Result<()> {
        self.enter_all(Sockets::shutdown_all)?;
        blocking::wait_for(self.all_ended(), timeout).unwrap_or_else(|| self.give_up())
    }

    async fn all_ended(&self) -> Result<()> {
        for shard in &self.0.shards {
            Operation::new(shard, |sockets, _| sockets.all_ended()).await?;
        }
        Ok(())
    }

    fn give_up(&self) -> Result<()> {
        self.enter_all(Sockets::abort_all)?;
        Err(Error::TimedOut)
    }

    fn enter_all(&self, command: impl Fn(&mut Sockets, Instant)) -> Result<()> {
        for shard in &self.0.shards {
            shard.enter(|sockets, now| command(sockets, now))?;
        }
        Ok(())
    }

    /// The same stack, at each of its workers.
    pub(super) fn workers(&self) -> Result<Vec<Self>> {
        self.0.shards.iter().map(|shard| self.at(shard)).collect()
    }

    fn at(&self, shard: &Arc<Shard>) -> Result<Self> {
        let User { shards, about, .. } = &*self.0;
        let handle = Self::new(shards.clone(), Arc::clone(shard), Arc::clone(about));
        handle.ok_or(Error::StackStopped)
    }

    /// One that counts as a user of all shards; `None` if one has stopped.
    fn new(shards: Vec<Arc<Shard>>, shard: Arc<Shard>, about: Arc<About>) -> Option<Self> {
        let running = shards.iter().take_while(|shard| shard.add_user()).count();
        if running < shards.len() {
            for shard in shards.iter().take(running) {
                shard.remove_user();
            }
            return None;
        }
        Some(Self(Arc::new(User { shards, shard, about })))
    }

    /// All shards of the stack.
    pub(super) fn shards(&self) -> &[Arc<Shard>] {
        &self.0.shards
    }

    pub(super) fn shard(&self) -> &Arc<Shard> {
        &self.0.shard
    }

    /// Gets the port that an end point at one worker is to be bound to, and that worker.
    pub(super) fn take_port(&self, endpoint: &mut EndpointConfig) -> Result<(Self, Taken)> {
        let wanted = endpoint.port.filter(|port| *port != 0);
        if let Some(Worker { workers, .. }) = self.shard().worker() {
            let (index, held) = workers.pin(wanted)?;
            endpoint.port = Some(held.port());
            let shard = self.0.shards.get(usize::from(index)).ok_or(Error::StackStopped)?;
            let taken = Taken {
                claim: None,
                told: Some(held.into()),
            };
            return Ok((self.at(shard)?, taken));
        }
        let Some(port) = self.shard().shared_port() else {
            return Ok((self.clone(), Taken::default()));
        };
        let addresses = if endpoint.addresses.is_empty() && !self.about().addresses.are_all() {
            self.addresses()
        } else {
            endpoint.addresses.clone()
        };
        let claim = Arc::new(port.claim(wanted, addresses, endpoint.reuse_port)?);
        endpoint.port = Some(claim.port());
        let taken = Taken {
            claim: Some(Arc::clone(&claim)),
            told: Some(claim.into()),
        };
        Ok((self.clone(), taken))
    }

    /// Gets the port that end points at all workers are to be bound to; `None` if the stack has one worker.
    pub(super) fn take_port_everywhere(&self, endpoint: &mut EndpointConfig) -> Result<Option<Arc<Held>>> {
        let Some(Worker { workers, .. }) = self.shard().worker() else {
            return Ok(None);
        };
        let held = workers.spread(endpoint.port.filter(|port| *port != 0))?;
        endpoint.port = Some(held.port());
        Ok(Some(held))
    }

    pub(super) fn about(&self) -> &Arc<About> {
        &self.0.about
    }

    /// A handle on a stack that may have stopped meanwhile.
    pub(super) fn revive(shard: Arc<Shard>, about: Arc<About>) -> Option<Self> {
        Self::new(vec![Arc::clone(&shard)], shard, about)
    }
}

/// How a stack is to run.
#[derive(Clone, Debug, Default)]
pub struct StackBuilder {
    device: Option<DeviceConfig>,
    addresses: BTreeSet<IpAddr>,
    udp_port: Option<u16>,
    peer_udp_port: Option<u16>,
    share_udp_port: Option<bool>,
    workers: Option<u16>,
    max_associations: Option<usize>,
    max_associations_per_peer: Option<usize>,
    ootb_policy: Option<OotbPolicy>,
    capture: Option<PathBuf>,
}

impl StackBuilder {
    /// What carries the packets. By default what [`DeviceConfig::from_environment`] says.
    #[must_use]
    pub fn device(mut self, device: DeviceConfig) -> Self {
        self.device = Some(device);
        self
    }

    /// Uses these addresses of the host; none (the default) stands for all it has at the time: sockets that are bound
    /// to all addresses follow the host's as they come and go, and tell the peers of their associations if
    /// [`AsconfConfig::set_automatic`](sctp::config::AsconfConfig::set_automatic) says so. IPv6 link-local addresses
    /// cannot be used.
    #[must_use]
    pub fn addresses(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.addresses = addresses.into_iter().collect();
        self
    }

    /// Carries packets in UDP on this port; 0 draws a free one. By default [`DeviceConfig::Udp`] is on port 9899, and
    /// [`DeviceConfig::Tun`] and [`DeviceConfig::Memory`] carry packets directly on IP, as [`DeviceConfig::Raw`] always
    /// does.
    #[must_use]
    pub const fn udp_port(mut self, port: u16) -> Self {
        self.udp_port = Some(port);
        self
    }

    /// Expects peers on this UDP port, until their packets show another one. By default, on the stack's own port.
    /// [`PathConfig::set_remote_encapsulation_port`](crate::PathConfig::set_remote_encapsulation_port) is the same
    /// for one socket or association.
    #[must_use]
    pub const fn peer_udp_port(mut self, port: u16) -> Self {
        self.peer_udp_port = Some(port);
        self
    }

    /// Shares the UDP port with other processes of the same user on this host, which then have one space of SCTP ports
    /// together; or keeps it to this stack. All that share a port must say so.
    ///
    /// By default, the environment variable `SCTP_SHARE_UDP_PORT` decides (`yes` or `no`). Without it, a stack on all
    /// addresses and on UDP port 9899 shares it, and one that was given addresses keeps them to itself, unless the port
    /// is shared already. Only Linux has shared ports.
    ///
    /// One process receives for all. When it ends, however that may be, another one goes on without loss; while it is
    /// stopped (`SIGSTOP`, a debugger), nobody receives.
    #[must_use]
    pub const fn share_udp_port(mut self, share: bool) -> Self {
        self.share_udp_port = Some(share);
        self
    }

    /// Runs so many workers side by side, one by default: each is a task (a thread, of a stack that is started
    /// [without a runtime](Self::start_blocking)) with a part of the associations. The kernel gives each packet to the
    /// worker that its verification tag stands for.
    ///
    /// The associations of a listening socket are shared out among all workers, those of a one-to-many style socket
    /// are all at one; limits hold for each worker. More workers than processors gain nothing. The UDP port cannot be
    /// [shared](Self::share_udp_port) with other processes then.
    #[must_use]
    pub const fn workers(mut self, workers: u16) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Holds at most so many associations; more are refused.
    #[must_use]
    pub const fn max_associations(mut self, limit: usize) -> Self {
        self.max_associations = Some(limit);
        self
    }

    /// Lets one peer open at most so many associations
    /// ([`StackConfig::set_max_associations_per_peer`](sctp::config::StackConfig::set_max_associations_per_peer)).
    #[must_use]
    pub const fn max_associations_per_peer(mut self, limit: usize) -> Self {
        self.max_associations_per_peer = Some(limit);
        self
    }

    /// What to do with packets that belong to no association (RFC 9260 §8.4). By default they are answered, by one
    /// stack where several share the ports of a host.
    #[must_use]
    pub const fn ootb_policy(mut self, policy: OotbPolicy) -> Self {
        self.ootb_policy = Some(policy);
        self
    }

    /// Writes all packets to this file, for Wireshark (libpcap format): those that arrive, and those that leave, each
    /// with IP and UDP headers like the ones on the network. `%p` in the name becomes the number of the process. Stacks
    /// of a process may share a file; processes may not. By default, the environment variable `SCTP_PCAP` names the
    /// file if there is to be one.
    #[must_use]
    pub fn capture(mut self, file: impl Into<PathBuf>) -> Self {
        self.capture = Some(file.into());
        self
    }

    /// Starts the stack on the runtime that this is called on; should that shut down while the stack is in use, it
    /// goes on on a thread of its own.
    ///
    /// # Errors
    ///
    /// [`Error::UdpPortInUse`], [`Error::UdpPortOfUser`], [`Error::AddressNotAvailable`], [`Error::NotPermitted`],
    /// [`Error::Io`]; [`Error::Unsupported`] if the environment names no device, or the device lacks an address.
    ///
    /// # Panics
    ///
    /// The runtime needs its I/O and time drivers enabled.
    #[expect(
        clippy::unused_async,
        reason = "the sockets are to be of the thread that asks, whose network namespace it is; another process is rarely \
                  waited for, and not for long"
    )]
    pub async fn start(self) -> Result<StackHandle> {
        self.launch(true)
    }

    /// Starts the stack on a thread of its own, which needs no runtime.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_blocking(self) -> Result<StackHandle> {
        self.launch(false)
    }

    pub(super) fn launch(self, on_runtime: bool) -> Result<StackHandle> {
        let explicit: Vec<IpAddr> = self.addresses.iter().copied().collect();
        if explicit.iter().any(IpAddr::is_unspecified) {
            return Err(Error::InvalidAddress);
        }
        let capture = self.capture.or_else(Capture::path_from_environment);
        let capture = capture.map(|path| Capture::start(&path)).transpose()?;
        let chosen = self.device.map_or_else(DeviceConfig::from_environment, Ok)?;
        let share = self
            .share_udp_port
            .map_or_else(sharing::from_environment, |share| Ok(Some(share)))?;
        let mut port = None;
        let mut workers = None;
        let devices = match self.workers {
            Some(count) if count > 1 => {
                let mut secret = [0; 4];
                fill(&mut secret)?;
                let several = Arc::new(Workers::new(count, u32::from_ne_bytes(secret)));
                let devices = sharing::open_for(&several, &chosen, &explicit, self.udp_port, share)?;
                workers = Some(several);
                devices
            }
            _ => {
                let place = sharing::open(&chosen, &explicit, self.udp_port, share)?;
                port = place.1;
                vec![place.0]
            }
        };
        let first = devices.first().ok_or(Error::AddressNotAvailable)?;
        let addresses = Addresses::new(explicit, first)?;
        let udp_port = first.udp_port();

        let mut config = StackConfig::new(addresses.now(), udp_port);
        config.set_ootb_policy(self.ootb_policy.unwrap_or_else(|| first.ootb_policy()));
        if let Some(limit) = self.max_associations {
            config.set_max_associations(limit);
        }
        if let Some(limit) = self.max_associations_per_peer {
            config.set_max_associations_per_peer(limit);
        }
        let mut shards = Vec::new();
        for (index, device) in (0..).zip(devices) {
            let worker = workers.clone().map(|workers| Worker { workers, index });
            config.set_tag_share(worker.as_ref().map(|worker| worker.workers.share(index)));
            let mut seed = [0; 32];
            fill(&mut seed)?;
            let sockets = Sockets::new(Stack::new(config.clone(), seed));
            let shard = Shard::new(sockets, device)
                .on_shared_port(port.take())
                .answering_by_role(self.ootb_policy.is_none());
            shards.push(Arc::new(shard.among_workers(worker).captured(capture.clone())));
        }
        if let Some(workers) = workers {
            workers.introduce(&shards);
        }
        let shard = Arc::clone(shards.first().ok_or(Error::StackStopped)?);
        if let Some(port) = shard.shared_port() {
            port.run(Arc::downgrade(&shard))?;
        }
        addresses.introduce(&shards);
        let addresses = Arc::new(addresses);
        let mut followed = addresses.follow_the_host().then(|| Arc::clone(&addresses));
        let about = About {
            addresses,
            device: chosen,
            asked_udp_port: self.udp_port,
            udp_port,
            peer_udp_port: self.peer_udp_port,
        };
        let about = Arc::new(about);
        // A new shard has its first user already.
        let handle = StackHandle(Arc::new(User { shards, shard, about }));
        for shard in &handle.0.shards {
            driver::start(shard, followed.take(), on_runtime)?;
        }
        tracing::debug!(device = %handle.device(), udp_port, addresses = ?handle.addresses(), "stack started");
        Ok(handle)
    }
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|_| Error::Unsupported("the system has no randomness"))
}
