//! Where the parts of a demonstration are, and what carries SCTP between them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use socketapi::Backend;
#[cfg(feature = "userland")]
use socketapi::DeviceConfig;

use crate::args::{CarrierArgs, Local, NetArgs};
use crate::program::Failure;

/// Where the kernel says whether it forwards packets between interfaces.
#[cfg(feature = "userland")]
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// A place for the registrar and the user, and one for each pool element: loopback addresses, or TUN interfaces.
#[derive(Clone, Debug)]
pub struct Layout {
    backend: Backend,
    #[cfg(feature = "userland")]
    device: DeviceConfig,
    udp_port: Option<u16>,
}

impl Layout {
    /// As the options say, or the environment; with a free UDP port where one is needed and none is named.
    ///
    /// # Errors
    ///
    /// If the environment or the system does not allow it.
    pub fn new(carrier: &CarrierArgs, udp_port: Option<u16>, slots: usize) -> Result<Self, Failure> {
        let mut layout = Self {
            backend: carrier.backend.map_or_else(Backend::from_environment, Ok)?,
            #[cfg(feature = "userland")]
            device: match &carrier.device {
                Some(device) => device.clone(),
                None => DeviceConfig::from_environment()?,
            },
            udp_port,
        };
        layout.check()?;
        if layout.is_in_udp() && udp_port.is_none() {
            layout.udp_port = Some(free_udp_port(slots)?);
        }
        Ok(layout)
    }

    #[cfg(feature = "userland")]
    fn check(&self) -> Result<(), Failure> {
        match &self.device {
            DeviceConfig::Memory(_) => Err(Failure(
                "--device memory is for one process, and pool elements are processes of their own".to_owned(),
            )),
            DeviceConfig::Tun(config) if config.to_string().contains(',') => Err(Failure(
                "--device tun:NAME without addresses: each part of the demonstration gets its own".to_owned(),
            )),
            DeviceConfig::Tun(_) if std::fs::read_to_string(FORWARDING).is_ok_and(|text| text.trim() == "0") => {
                Err(Failure(
                    "the system does not forward packets between TUN interfaces: sysctl -w net.ipv4.ip_forward=1, \
                     best in a network namespace of its own"
                        .to_owned(),
                ))
            }
            _ => Ok(()),
        }
    }

    #[cfg(not(feature = "userland"))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "with devices there is more to it"
    )]
    fn check(&self) -> Result<(), Failure> {
        Ok(())
    }

    #[cfg(feature = "userland")]
    fn is_in_udp(&self) -> bool {
        self.device == DeviceConfig::Udp
    }

    #[cfg(not(feature = "userland"))]
    #[expect(clippy::unused_self, reason = "with devices there is more to it")]
    const fn is_in_udp(&self) -> bool {
        false
    }

    /// The address of the registrar and the user.
    pub fn home(&self) -> IpAddr {
        self.address(1)
    }

    /// The address of the pool element in `slot`.
    pub fn element(&self, slot: usize) -> IpAddr {
        self.address(number_of(slot))
    }

    fn address(&self, number: u8) -> IpAddr {
        #[cfg(feature = "userland")]
        if let DeviceConfig::Tun(_) = self.device {
            return Ipv4Addr::new(10, 132, number, 2).into();
        }
        Ipv4Addr::new(127, 0, 0, number).into()
    }

    /// The network of the registrar and the user.
    ///
    /// # Errors
    ///
    /// If the name of a TUN interface is too long for a number behind it.
    pub fn home_net(&self) -> Result<NetArgs, Failure> {
        self.net(1)
    }

    /// The same for the pool element in `slot`, as options of a program.
    ///
    /// # Errors
    ///
    /// As [`home_net`](Self::home_net).
    pub fn element_options(&self, slot: usize) -> Result<Vec<String>, Failure> {
        let net = self.net(number_of(slot))?;
        let mut options = vec!["--local".to_owned(), self.element(slot).to_string()];
        if let Some(port) = net.udp_port {
            options.extend(["--udp-port".to_owned(), port.to_string()]);
        }
        #[cfg(feature = "userland")]
        if let Some(device) = net.carrier.device {
            options.extend(["--device".to_owned(), device.to_string()]);
        }
        if let Some(backend) = net.carrier.backend {
            options.extend(["--backend".to_owned(), backend.to_string()]);
        }
        Ok(options)
    }

    #[cfg_attr(
        not(feature = "userland"),
        expect(clippy::unnecessary_wraps, reason = "with devices there is more to it")
    )]
    fn net(&self, number: u8) -> Result<NetArgs, Failure> {
        let local = Local {
            addresses: vec![self.address(number)],
            port: None,
        };
        Ok(NetArgs {
            local: Some(local),
            udp_port: self.udp_port,
            stats: None,
            carrier: CarrierArgs {
                #[cfg(feature = "userland")]
                device: Some(match &self.device {
                    DeviceConfig::Tun(name) => {
                        let own = self.address(number);
                        format!("tun:{name}{number},10.132.{number}.1/24,{own}").parse()?
                    }
                    device => device.clone(),
                }),
                backend: Some(self.backend),
            },
        })
    }
}

/// 2 for slot 0, and so on; there are 253 of them.
fn number_of(slot: usize) -> u8 {
    u8::try_from(slot.saturating_add(2)).unwrap_or(u8::MAX)
}

/// A UDP port that is free now at the loopback addresses of the registrar and of all `slots`.
fn free_udp_port(slots: usize) -> io::Result<u16> {
    for _ in 0..100 {
        let candidate = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = candidate.local_addr()?.port();
        let free = |slot| UdpSocket::bind((Ipv4Addr::new(127, 0, 0, number_of(slot)), port)).is_ok();
        if (0..slots).all(free) {
            return Ok(port);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AddrInUse,
        "no UDP port is free on all addresses",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(device: &str) -> Result<Layout, Failure> {
        let carrier = CarrierArgs {
            #[cfg(feature = "userland")]
            device: Some(device.parse().unwrap()),
            backend: None,
        };
        assert!(!device.is_empty());
        Layout::new(&carrier, None, 3)
    }

    #[test]
    fn each_slot_has_a_loopback_address_of_its_own() {
        let layout = layout("udp").unwrap();
        assert_eq!(layout.home().to_string(), "127.0.0.1");
        assert_eq!(layout.element(0).to_string(), "127.0.0.2");
        assert_eq!(layout.element(2).to_string(), "127.0.0.4");
        assert!((0..200).all(|slot| layout.element(slot).is_loopback()));
    }

    #[cfg(feature = "userland")]
    #[test]
    fn a_free_port_can_be_bound_everywhere() {
        let layout = layout("udp").unwrap();
        let port = layout.udp_port.unwrap();
        let sockets: Vec<_> = (0..3)
            .map(|slot| UdpSocket::bind((layout.element(slot), port)).unwrap())
            .collect();
        assert_eq!(sockets.len(), 3);
    }

    #[cfg(feature = "userland")]
    #[test]
    fn parts_behind_tun_interfaces_have_interfaces_and_networks_of_their_own() {
        let layout = Layout {
            device: "tun:demo".parse().unwrap(),
            udp_port: None,
            ..layout("udp").unwrap()
        };
        assert_eq!(layout.home().to_string(), "10.132.1.2");
        let options = layout.element_options(1).unwrap().join(" ");
        let expected = "--local 10.132.3.2 --device tun:demo3,10.132.3.1/24,10.132.3.2";
        assert!(options.starts_with(expected), "{options}");
        for refused in ["memory", "tun:demo,10.9.0.2"] {
            assert!(self::layout(refused).is_err(), "{refused}");
        }
    }
}
