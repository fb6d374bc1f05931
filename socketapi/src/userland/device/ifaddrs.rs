//! The addresses of the host, and their changes.

use std::net::IpAddr;

#[cfg(target_os = "linux")]
#[path = "netlink.rs"]
mod system;

#[cfg(not(target_os = "linux"))]
mod system {
    //! Systems that do not tell of changes are asked from time to time.

    use std::io;
    use std::net::IpAddr;
    use std::time::Duration;

    /// How often they are asked.
    const PAUSE: Duration = Duration::from_secs(5);

    #[derive(Debug)]
    pub(super) struct System;

    impl System {
        pub(super) const fn open() -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) fn read(&self) -> io::Result<Vec<IpAddr>> {
            Ok(if_addrs::get_if_addrs()?.iter().map(if_addrs::Interface::ip).collect())
        }

        pub(super) async fn changed(&self) -> io::Result<()> {
            tokio::time::sleep(PAUSE).await;
            Ok(())
        }
    }
}

use self::system::System;
use crate::{Error, Result};

/// A view of the host's addresses, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub(crate) struct HostAddresses(System);

impl HostAddresses {
    pub(crate) fn open() -> Result<Self> {
        System::open()
            .map(Self)
            .map_err(|e| Error::io("watching the host's addresses", &e))
    }

    /// The addresses that a stack on all interfaces may use now, in a fixed order. Link-local IPv6 addresses are left
    /// out: without an interface they name nothing. So are those that are not yet known to be the host's alone.
    pub(crate) fn read(&self) -> Result<Vec<IpAddr>> {
        let all = self
            .0
            .read()
            .map_err(|e| Error::io("listing the host's addresses", &e))?;
        let mut addresses: Vec<IpAddr> = all.into_iter().filter(is_usable).collect();
        addresses.sort_unstable();
        addresses.dedup();
        Ok(addresses)
    }

    /// Waits until they may have changed since it was opened, or waited for last. The system tells of each change at
    /// once on Linux; others are to be looked at every few seconds.
    ///
    /// # Panics
    ///
    /// Outside of a runtime with its I/O and time drivers.
    pub(crate) async fn changed(&self) -> Result<()> {
        let changed = self.0.changed().await;
        changed.map_err(|e| Error::io("watching the host's addresses", &e))
    }
}

fn is_usable(address: &IpAddr) -> bool {
    let link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    !link_local && !address.is_unspecified() && !address.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_has_its_loopback_address_and_each_address_once() {
        let addresses = HostAddresses::open().unwrap().read().unwrap();
        assert!(addresses.contains(&"127.0.0.1".parse().unwrap()), "{addresses:?}");
        assert!(addresses.is_sorted());
        assert!(addresses.iter().all(is_usable));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn rfc4862_5_4_an_address_counts_once_it_is_known_to_be_the_hosts_alone() {
        netns_tests::rootless::as_root(|| {
            let namespaces = (
                netns_tests::namespace::Namespace::new(),
                netns_tests::namespace::Namespace::new(),
            );
            let (Some(one), Some(two)) = namespaces else { return };
            one.cable("eth0", &two, "eth0");
            // Where nobody could object, nothing is known.
            two.run("ip link set eth0 down");
            one.enter();
            let host = HostAddresses::open().unwrap();
            let (v4, v6): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap());
            one.run("ip address add 10.0.0.1/24 dev eth0; ip address add fd00::1/64 dev eth0");
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let until = async |wanted: fn(bool, bool) -> bool| loop {
                    let known = host.read().unwrap();
                    if wanted(known.contains(&v4), known.contains(&v6)) {
                        break;
                    }
                    let changed = tokio::time::timeout(netns_tests::process::PATIENCE, host.changed()).await;
                    changed.expect("the addresses change").unwrap();
                };
                until(|has_v4, has_v6| {
                    assert!(!has_v6, "nobody can have said so");
                    has_v4
                })
                .await;
                two.run("ip link set eth0 up");
                until(|_, has_v6| has_v6).await;
                one.run("ip address del 10.0.0.1/24 dev eth0; ip address del fd00::1/64 dev eth0");
                until(|has_v4, has_v6| !has_v4 && !has_v6).await;
            });
        });
    }
}
