//! What stands behind options: addresses, identifiers, times, pool policies.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rserpool::config::{ANNOUNCE_GROUP, ASAP_PORT};
use rserpool::ids::{PeId, PoolHandle};
use rserpool::net::SctpAddress;
use rserpool::wire::policy::PolicyParam;

/// Own addresses, and a port where one was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// The addresses; at least one.
    pub addresses: Vec<IpAddr>,
    /// The SCTP port.
    pub port: Option<u16>,
}

/// Whether registrars announce themselves by multicast, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnnounceChoice(pub Option<SocketAddr>);

/// An identifier, as `0x` and hexadecimal digits or as a decimal number.
pub fn identifier(text: &str) -> Result<u32, String> {
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    match number {
        Ok(0) | Err(_) => Err("1 to 4294967295, or 0x1 to 0xffffffff".to_owned()),
        Ok(number) => Ok(number),
    }
}

/// The identifier of a pool element.
pub fn pe_id(text: &str) -> Result<PeId, String> {
    identifier(text).and_then(|number| PeId::new(number).ok_or_else(|| "not zero".to_owned()))
}

/// A pool handle.
pub fn pool_handle(text: &str) -> Result<PoolHandle, String> {
    PoolHandle::new(text.as_bytes().to_vec()).map_err(|error| error.to_string())
}

/// Addresses with a port, by default the one of ASAP.
pub fn transport(text: &str) -> Result<SctpAddress, String> {
    let Local { addresses, port } = local(text)?;
    Ok(SctpAddress {
        port: port.unwrap_or(ASAP_PORT),
        addresses,
    })
}

/// A transport address as [`transport`] reads it: `192.0.2.1:3863,[2001:db8::1]`.
pub fn show(address: &SctpAddress) -> String {
    let mut text = String::new();
    for (index, ip) in address.addresses.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&match (ip, index) {
            (_, 0) => SocketAddr::new(*ip, address.port).to_string(),
            (IpAddr::V4(ip), _) => ip.to_string(),
            (IpAddr::V6(ip), _) => format!("[{ip}]"),
        });
    }
    text
}

/// Addresses separated by commas. A port may follow any of them; the first one counts, as in RSPLIB.
pub fn local(text: &str) -> Result<Local, String> {
    let mut addresses = Vec::new();
    let mut port = None;
    for part in text.split(',') {
        let (address, own_port) =
            address(part).ok_or_else(|| format!("{part:?} is no address like 192.0.2.1:3863 or [2001:db8::1]:3863"))?;
        addresses.push(address);
        port = port.or(own_port);
    }
    Ok(Local { addresses, port })
}

/// An address, with a port or without: `a.b.c.d`, `a.b.c.d:p`, `x::y`, `[x::y]`, `[x::y]:p`.
fn address(text: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Ok(address) = text.parse() {
        return Some((address, None));
    }
    let (address, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            if after.is_empty() {
                return Some((address.parse().ok()?, None));
            }
            (address, after.strip_prefix(':')?)
        }
        None => text.split_once(':')?,
    };
    let port = port.parse().ok().filter(|&port: &u16| port != 0)?;
    Some((address.parse().ok()?, Some(port)))
}

/// `auto` (or `on`) for the usual group, `off` (or `none`) for no announces, or a group with a port, by default ASAP's.
pub fn announce(text: &str) -> Result<AnnounceChoice, String> {
    let group = match text {
        "auto" | "on" => Some(ANNOUNCE_GROUP),
        "off" | "none" => None,
        _ => {
            let (group, port) =
                address(text).ok_or_else(|| format!("{text:?} is neither auto, off nor ADDR[:PORT]"))?;
            Some(SocketAddr::new(group, port.unwrap_or(ASAP_PORT)))
        }
    };
    if group.is_some_and(|group| !group.ip().is_multicast()) {
        return Err(format!("{text:?} is no multicast address"));
    }
    Ok(AnnounceChoice(group))
}

/// A time in milliseconds.
pub fn millis(text: &str) -> Result<Duration, String> {
    text.parse()
        .map(Duration::from_millis)
        .map_err(|_| format!("{text:?} is not a number of milliseconds"))
}

/// A pool policy by its long or short name, with its values after colons as in RSPLIB: `WeightedRoundRobin:10`,
/// `LeastUsedDegradation:0.25`. Weights and priorities are numbers; degradations
/// and delay penalty factors are fractions from 0 to 1.
///
/// # Errors
///
/// What is wrong with the text.
pub fn policy(text: &str) -> Result<PolicyParam, String> {
    let mut parts = text.split(':');
    let name = parts.next().unwrap_or_default();
    let mut policy = PolicyParam::from_name(name)
        .ok_or_else(|| format!("unknown policy {name:?}; try RoundRobin, Random or LeastUsed"))?;
    let mut next = |what: &str| parts.next().ok_or_else(|| format!("{name} wants {what} after a colon"));
    match &mut policy {
        PolicyParam::WeightedRoundRobin { weight } | PolicyParam::WeightedRandom { weight } => {
            *weight = number(next("a weight")?)?;
        }
        PolicyParam::Priority { priority } => *priority = number(next("a priority")?)?,
        PolicyParam::LeastUsedDegradation { degradation, .. }
        | PolicyParam::PriorityLeastUsed { degradation, .. }
        | PolicyParam::RandomizedPriorityLeastUsed { degradation, .. }
        | PolicyParam::RandomizedLeastUsedDegradation { degradation, .. }
        | PolicyParam::PriorityLeastUsedDegradation { degradation, .. }
        | PolicyParam::RandomizedPriorityLeastUsedDegradation { degradation, .. } => {
            *degradation = fraction(next("a degradation")?)?;
        }
        PolicyParam::WeightedRandomDpf { weight, weight_dpf, .. } => {
            *weight = number(next("a weight")?)?;
            *weight_dpf = fraction(next("a delay penalty factor")?)?;
        }
        PolicyParam::LeastUsedDpf { load_dpf, .. } => *load_dpf = fraction(next("a delay penalty factor")?)?,
        PolicyParam::LeastUsedDegradationDpf {
            degradation, load_dpf, ..
        }
        | PolicyParam::PriorityLeastUsedDpf {
            degradation, load_dpf, ..
        }
        | PolicyParam::PriorityLeastUsedDegradationDpf {
            degradation, load_dpf, ..
        } => {
            *degradation = fraction(next("a degradation")?)?;
            *load_dpf = fraction(next("a delay penalty factor")?)?;
        }
        _ => {}
    }
    match parts.next() {
        Some(more) => Err(format!("{name} wants nothing like {more:?}")),
        None => Ok(policy),
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not a number from 0 to {}", u32::MAX))
}

/// A fraction of 0xffffffff.
fn fraction(text: &str) -> Result<u32, String> {
    let value: f64 = text
        .parse()
        .ok()
        .filter(|value| (0.0..=1.0).contains(value))
        .ok_or_else(|| format!("{text:?} is not a fraction from 0 to 1"))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 1 of the greatest value fits"
    )]
    let scaled = (value * f64::from(u32::MAX)).round() as u32;
    Ok(scaled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn several_addresses_may_share_a_port() {
        let address = transport("10.98.1.1:3900,[fd98:1::1]").unwrap();
        assert_eq!(
            address,
            SctpAddress {
                port: 3900,
                addresses: vec![ip("10.98.1.1"), ip("fd98:1::1")]
            }
        );
        assert_eq!(transport("[fd98::1]:77").unwrap().port, 77);
        assert_eq!(
            transport("fd98::1").unwrap(),
            SctpAddress {
                port: ASAP_PORT,
                addresses: vec![ip("fd98::1")]
            }
        );
        assert_eq!(
            local("127.0.0.2").unwrap(),
            Local {
                addresses: vec![ip("127.0.0.2")],
                port: None
            }
        );
        for wrong in [
            "",
            "1.2.3.4:",
            "1.2.3.4:0",
            "1.2.3.4:70000",
            "[::1",
            "[::1]x",
            "a,b",
            "1.2.3.4,,",
        ] {
            assert!(transport(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn identifiers_are_hexadecimal_or_decimal_and_not_zero() {
        assert_eq!(identifier("0xffffffff"), Ok(u32::MAX));
        assert_eq!(identifier("12"), Ok(12));
        assert!(identifier("0").is_err() && identifier("0x0").is_err() && identifier("4294967296").is_err());
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for text in ["10.98.1.1:3900,[fd98:1::1],10.0.0.1", "[fd98::1]:77", "127.0.0.1:3863"] {
            assert_eq!(show(&transport(text).unwrap()), text);
        }
    }

    #[test]
    fn announces_are_on_off_or_elsewhere() {
        assert_eq!(announce("auto"), Ok(AnnounceChoice(Some(ANNOUNCE_GROUP))));
        assert_eq!(announce("off"), Ok(AnnounceChoice(None)));
        let elsewhere = SocketAddr::new(ip("239.1.1.1"), ASAP_PORT);
        assert_eq!(announce("239.1.1.1"), Ok(AnnounceChoice(Some(elsewhere))));
        assert_eq!(announce("[ff02::1]:9").unwrap().0.unwrap().port(), 9);
        assert!(announce("127.0.0.1").is_err() && announce("maybe").is_err());
    }

    #[test]
    fn policies_are_known_by_both_names() {
        assert_eq!(policy("RoundRobin"), Ok(PolicyParam::RoundRobin));
        assert_eq!(policy("rr"), Ok(PolicyParam::RoundRobin));
        assert_eq!(policy("Random"), Ok(PolicyParam::Random));
        assert_eq!(policy("LeastUsed"), Ok(PolicyParam::LeastUsed { load: 0 }));
    }

    #[test]
    fn values_follow_after_colons() {
        assert_eq!(
            policy("WeightedRoundRobin:7"),
            Ok(PolicyParam::WeightedRoundRobin { weight: 7 })
        );
        assert_eq!(
            policy("LeastUsedDegradation:1"),
            Ok(PolicyParam::LeastUsedDegradation {
                load: 0,
                degradation: u32::MAX
            })
        );
        assert_eq!(
            policy("LeastUsedDegradationDPF:0:0.5"),
            Ok(PolicyParam::LeastUsedDegradationDpf {
                load: 0,
                degradation: 0,
                load_dpf: 1 << 31,
                distance: 0
            })
        );
    }

    #[test]
    fn mistakes_are_refused() {
        for wrong in [
            "",
            "Robin",
            "RoundRobin:1",
            "WeightedRoundRobin",
            "WeightedRoundRobin:x",
            "WeightedRoundRobin:-1",
            "LeastUsedDegradation:1.5",
            "LeastUsedDegradation:NaN",
            "LeastUsedDPF:0.5:0.5",
        ] {
            assert!(policy(wrong).is_err(), "{wrong}");
        }
    }
}
