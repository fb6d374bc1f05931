//! The stacks that sockets of the process share when they name none.

use std::collections::BTreeSet;
use std::env;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use super::device::{DEFAULT_UDP_PORT, DeviceConfig};
use super::shard::Shard;
use super::sharing;
use super::stack::{About, StackBuilder, StackHandle};
use crate::resolve::LocalAddresses;
use crate::{Error, Result};

/// The running shared stacks. They are not kept alive here.
static SHARED: Mutex<Vec<(Weak<Shard>, Arc<About>)>> = Mutex::new(Vec::new());

/// How often, a millisecond apart, the end of a stack is waited for whose UDP port is needed again.
const END_WAITS: usize = 1000;

/// A shared stack for a socket on `local`, started if there is none.
///
/// `connects` tells that the socket only connects: then its UDP port does not matter, and if the usual one belongs to
/// another program it gets a free one.
pub(super) fn shared(local: &LocalAddresses, connects: bool, on_runtime: bool) -> Result<StackHandle> {
    let setting = match env::var("SCTP_UDP_PORT") {
        Ok(text) => Some(
            text.parse()
                .map_err(|_| Error::Unsupported("SCTP_UDP_PORT is not a port number"))?,
        ),
        Err(_) => None,
    };
    let device = DeviceConfig::from_environment()?;
    let peers = setting.unwrap_or(DEFAULT_UDP_PORT);
    let wanted = match local {
        LocalAddresses::Any | LocalAddresses::AnyV4 => BTreeSet::new(),
        LocalAddresses::These(addresses) => addresses.clone(),
    };

    let mut list = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let mut ending = Vec::new();
    list.retain(|(shard, _)| shard.strong_count() > 0);
    for (weak, about) in list.iter() {
        let fits = about.asked_udp_port == setting || (connects && about.peer_udp_port == Some(peers));
        if about.device != device || !fits || !covers(about, &wanted) {
            continue;
        }
        match weak
            .upgrade()
            .and_then(|shard| StackHandle::revive(shard, Arc::clone(about)))
        {
            Some(handle) => return Ok(handle),
            None => ending.push(weak.clone()),
        }
    }
    // One that has just stopped still holds the UDP port for a moment.
    for _ in 0..END_WAITS {
        if ending.iter().all(|weak| weak.strong_count() == 0) {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }

    let builder = StackBuilder::default().device(device.clone()).addresses(wanted);
    let usual = match setting {
        Some(port) => builder.clone().udp_port(port),
        None => builder.clone(),
    };
    let usually = setting.is_none() && cfg!(target_os = "linux");
    let shares = sharing::from_environment()?.unwrap_or(usually);
    let mut outcome = if shares && device == DeviceConfig::Udp {
        // Who shares the port has it on all addresses anyway.
        usual.clone().addresses([]).share_udp_port(true).launch(on_runtime)
    } else {
        usual.clone().launch(on_runtime)
    };
    if is_taken(&outcome) && setting.is_none() {
        let some = !matches!(local, LocalAddresses::Any | LocalAddresses::AnyV4);
        let other = match connects {
            // A few addresses may be free where not all are.
            _ if some => usual.share_udp_port(false).launch(on_runtime),
            true => builder.clone().udp_port(0).peer_udp_port(peers).launch(on_runtime),
            false => Err(Error::NoPortFree),
        };
        let other = match other {
            Err(_) if some && connects => builder.udp_port(0).peer_udp_port(peers).launch(on_runtime),
            other => other,
        };
        // What was wrong first is what the program should be told.
        outcome = other.or(outcome);
    }
    let handle = outcome?;
    list.push((Arc::downgrade(handle.shard()), Arc::clone(handle.about())));
    Ok(handle)
}

/// Whether the UDP port belongs to others.
const fn is_taken(outcome: &Result<StackHandle>) -> bool {
    matches!(outcome, Err(Error::UdpPortInUse { .. } | Error::UdpPortOfUser { .. }))
}

/// Whether a stack has all the addresses that are wanted; none stands for all of the host's.
fn covers(about: &About, wanted: &BTreeSet<IpAddr>) -> bool {
    about.addresses.are_all() || (!wanted.is_empty() && wanted.is_subset(&about.addresses.now().into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::super::addresses::Addresses;
    use super::*;

    fn about(addresses: &[&str]) -> About {
        About {
            addresses: Arc::new(Addresses::fixed(addresses, addresses.is_empty())),
            device: DeviceConfig::Udp,
            asked_udp_port: None,
            udp_port: Some(1),
            peer_udp_port: None,
        }
    }

    fn set(addresses: &[&str]) -> BTreeSet<IpAddr> {
        addresses.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_stack_serves_those_who_want_some_of_its_addresses() {
        let two = about(&["127.0.0.1", "127.0.0.2"]);
        assert!(covers(&two, &set(&["127.0.0.2"])));
        assert!(!covers(&two, &set(&["127.0.0.2", "127.0.0.3"])));
        assert!(!covers(&two, &set(&[])), "all of the host's are more");
        let all = about(&[]);
        assert!(covers(&all, &set(&["127.0.0.2"])) && covers(&all, &set(&[])));
    }
}
