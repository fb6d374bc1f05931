//! Addresses as system calls take and give them: `sockaddr_in` and `sockaddr_in6`, alone and packed into lists.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use super::field::Field;

const IN_LEN: usize = 16;
const IN6_LEN: usize = 28;

/// The bytes of an address.
pub(crate) fn encode(address: SocketAddr) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(IN6_LEN);
    match address {
        SocketAddr::V4(address) => {
            bytes.extend(family(libc::AF_INET).to_ne_bytes());
            bytes.extend(address.port().to_be_bytes());
            bytes.extend(address.ip().octets());
            bytes.resize(IN_LEN, 0);
        }
        SocketAddr::V6(address) => {
            bytes.extend(family(libc::AF_INET6).to_ne_bytes());
            bytes.extend(address.port().to_be_bytes());
            bytes.extend(address.flowinfo().to_be_bytes());
            bytes.extend(address.ip().octets());
            bytes.extend(address.scope_id().to_ne_bytes());
        }
    }
    bytes
}

/// Addresses one behind the other.
pub(crate) fn encode_list(addresses: &[SocketAddr]) -> Vec<u8> {
    addresses.iter().copied().flat_map(encode).collect()
}

/// The first address in `bytes`, and its length; `None` if that is no IP address. IPv4 addresses in the clothes of IPv6
/// are taken for what they are.
pub(crate) fn decode(bytes: &[u8]) -> Option<(SocketAddr, usize)> {
    let kind = i32::from(u16::load(bytes)?);
    let port = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
    match kind {
        libc::AF_INET => {
            let ip = Ipv4Addr::from(*bytes.get(4..)?.first_chunk::<4>()?);
            Some((SocketAddrV4::new(ip, port).into(), IN_LEN))
        }
        libc::AF_INET6 => {
            let flow = u32::from_be_bytes(*bytes.get(4..)?.first_chunk()?);
            let ip = Ipv6Addr::from(*bytes.get(8..)?.first_chunk::<16>()?);
            let scope = u32::load(bytes.get(24..)?)?;
            let address = match ip.to_ipv4_mapped() {
                Some(ip) => SocketAddrV4::new(ip, port).into(),
                None => SocketAddrV6::new(ip, port, flow, scope).into(),
            };
            Some((address, IN6_LEN))
        }
        _ => None,
    }
}

/// So many addresses that lie one behind the other; fewer if the bytes hold no more.
pub(crate) fn decode_list(mut bytes: &[u8], count: u32) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for _ in 0..count {
        let Some((address, len)) = decode(bytes) else { break };
        addresses.push(address);
        bytes = bytes.get(len..).unwrap_or_default();
    }
    addresses
}

fn family(number: i32) -> u16 {
    // The two that are used fit.
    u16::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_to_bytes_and_back() {
        let list: Vec<SocketAddr> = ["10.1.2.3:7", "[fe80::1%3]:8", "[2001:db8::9]:65535"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let bytes = encode_list(&list);
        assert_eq!(bytes.len(), IN_LEN + 2 * IN6_LEN);
        assert_eq!(decode_list(&bytes, 3), list);
        assert_eq!(decode_list(&bytes, 9), list, "what is not there is not made up");
        assert_eq!(bytes[2..8], [0, 7, 10, 1, 2, 3]);
    }

    #[test]
    fn a_mapped_address_is_one_of_ipv4() {
        let bytes = encode("[::ffff:10.1.2.3]:7".parse().unwrap());
        assert_eq!(decode(&bytes), Some(("10.1.2.3:7".parse().unwrap(), IN6_LEN)));
    }

    #[test]
    fn what_is_cut_off_is_no_address() {
        let bytes = encode("[::1]:7".parse().unwrap());
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len]), None, "{len}");
        }
        assert_eq!(decode(&[0; 28]), None);
    }
}
