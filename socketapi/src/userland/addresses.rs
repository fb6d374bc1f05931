//! The addresses of a stack, which follow the host's.

use std::net::{IpAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use super::device::{Device, HostAddresses};
use super::shard::Shard;
use crate::{Error, Result};

/// How long to wait before the host's addresses are looked at again, where that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// What addresses a stack has.
#[derive(Debug)]
pub(super) struct Addresses {
    /// Where they come from, if they are the host's.
    host: Option<HostAddresses>,
    /// Whether they are all that there are.
    all: bool,
    /// Whether what carries the packets has addresses of its own.
    own: bool,
    now: Mutex<Vec<IpAddr>>,
    shards: OnceLock<Vec<Weak<Shard>>>,
}

impl Addresses {
    /// Those in the list; if there are none, all that a device has.
    pub(super) fn new(explicit: Vec<IpAddr>, device: &Device) -> Result<Self> {
        let mut host = None;
        let all = explicit.is_empty();
        let own = device.own_addresses().is_some();
        let now = match device.own_addresses() {
            _ if !all => explicit,
            Some(own) => own.to_vec(),
            None => {
                let addresses = host.insert(HostAddresses::open()?).read()?;
                usable(addresses, device)
            }
        };
        Ok(Self {
            host,
            all,
            own,
            now: Mutex::new(now),
            shards: OnceLock::new(),
        })
    }

    /// Names the shards that are to be told of changes.
    pub(super) fn introduce(&self, shards: &[Arc<Shard>]) {
        // There is one start.
        let _ = self.shards.set(shards.iter().map(Arc::downgrade).collect());
    }

    /// Whether they are all that the device has.
    pub(super) const fn are_all(&self) -> bool {
        self.all
    }

    /// Whether they are the host's, as they come and go.
    pub(super) const fn follow_the_host(&self) -> bool {
        self.host.is_some()
    }

    /// What they are now.
    pub(super) fn now(&self) -> Vec<IpAddr> {
        self.lock().clone()
    }

    /// Makes sure that a socket may be bound to an address that the host has, whether or not that is known yet.
    ///
    /// # Errors
    ///
    /// [`Error::AddressNotAvailable`] if the host does not have it; [`Error::AddressOfOthers`] if the stack was started
    /// on others.
    pub(super) fn admit(&self, address: IpAddr) -> Result<()> {
        if self.lock().contains(&address) {
            return Ok(());
        }
        if self.own || !is_local(address) {
            return Err(Error::AddressNotAvailable);
        }
        if !self.all {
            return Err(Error::AddressOfOthers(address));
        }
        self.reread()?;
        if self.lock().contains(&address) {
            return Ok(());
        }
        for shard in self.shards() {
            if !shard.device.has_family_of(address) {
                return Err(Error::AddressNotAvailable);
            }
            shard.enter(|sockets, _| sockets.stack.allow_local_address(address))?;
        }
        Ok(())
    }

    /// Tells the shards of changes, for ever.
    pub(super) async fn follow(self: Arc<Self>) {
        let Some(host) = &self.host else { return };
        loop {
            let noticed = match host.changed().await {
                Ok(()) => self.reread(),
                Err(error) => Err(error),
            };
            if let Err(error) = noticed {
                tracing::warn!(%error, "the stack does not follow the host's addresses for now");
                tokio::time::sleep(PAUSE).await;
                if let Err(error) = self.reread() {
                    tracing::debug!(%error, "nor does it now");
                }
            }
        }
    }

    /// Looks at the host's addresses, and tells the shards if they have changed.
    fn reread(&self) -> Result<()> {
        let Some(host) = &self.host else { return Ok(()) };
        // Held until all shards know: what was read first must not be told last.
        let mut now = self.lock();
        let all = host.read()?;
        for shard in self.shards() {
            let addresses = usable(all.clone(), &shard.device);
            if *now != addresses {
                tracing::debug!(?addresses, "the host's addresses have changed");
            }
            // One that has stopped need not know.
            let _ = shard.enter(|sockets, now| sockets.stack.set_local_addresses(now, &addresses));
            now.clone_from(&addresses);
        }
        Ok(())
    }

    /// Some for tests; all there are if `all` says so.
    #[cfg(test)]
    pub(super) fn fixed(addresses: &[&str], all: bool) -> Self {
        let addresses = addresses.iter().map(|text| text.parse().unwrap());
        Self {
            host: None,
            all,
            own: false,
            now: Mutex::new(addresses.collect()),
            shards: OnceLock::new(),
        }
    }

    fn shards(&self) -> impl Iterator<Item = Arc<Shard>> {
        let shards = self.shards.get().into_iter().flatten();
        shards.filter_map(Weak::upgrade)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<IpAddr>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the host has an address, be it that an interface bears it or not, like 127.0.0.2 (in the network namespace
/// of the thread that asks).
fn is_local(address: IpAddr) -> bool {
    // Groups, and networks as a whole, can be bound to as well; but only by who says so can these be sent to.
    let bound = || UdpSocket::bind((address, 0)).and_then(|socket| socket.connect(socket.local_addr()?));
    !address.is_multicast() && !address.is_unspecified() && bound().is_ok()
}

fn usable(mut addresses: Vec<IpAddr>, device: &Device) -> Vec<IpAddr> {
    addresses.retain(|address| device.has_family_of(*address));
    addresses
}
