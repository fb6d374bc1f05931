//! The handlespace as text, for logs and people.

use std::fmt;
use std::net::IpAddr;

use super::{Element, Handlespace};
use crate::wire::policy::PolicyParam;
use crate::wire::transport::{SctpTransport, Transport, TransportUse};

/// A handlespace as text: a line for each pool, and one for each of its elements below it.
#[derive(Clone, Copy, Debug)]
pub struct Dump<'a>(&'a Handlespace);

impl<'a> Dump<'a> {
    pub(super) const fn new(handlespace: &'a Handlespace) -> Self {
        Self(handlespace)
    }
}

impl fmt::Display for Dump<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} pools, {} elements", self.0.pools().count(), self.0.len())?;
        for (handle, pool) in self.0.pools() {
            writeln!(f, "{handle}: {}, {} elements", pool.policy().number(), pool.len())?;
            for element in self.0.elements_of(handle) {
                writeln!(f, "  {}", Line(element))?;
            }
        }
        Ok(())
    }
}

struct Line<'a>(&'a Element);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let param = self.0.param();
        write!(f, "{}", param.id)?;
        match param.home {
            Some(home) => write!(f, " home {home}")?,
            None => f.write_str(" home none")?,
        }
        write!(f, " life {} ", param.life.0)?;
        transport(f, &param.user_transport)?;
        policy(f, &param.policy)?;
        if let Some(asap) = &param.asap_transport {
            f.write_str(" asap ")?;
            sctp(f, asap)?;
        }
        if self.0.is_suspect() {
            f.write_str(" suspect")?;
        }
        Ok(())
    }
}

fn transport(f: &mut fmt::Formatter<'_>, transport: &Transport) -> fmt::Result {
    match transport {
        Transport::Sctp(t) => {
            f.write_str("sctp ")?;
            sctp(f, t)?;
            match t.transport_use {
                TransportUse::DataOnly => Ok(()),
                TransportUse::DataPlusControl => f.write_str(" with control"),
            }
        }
        Transport::Tcp(address) => write!(f, "tcp {address}"),
        Transport::Udp(address) => write!(f, "udp {address}"),
        Transport::UdpLite(address) => write!(f, "udp-lite {address}"),
        Transport::Dccp { address, service_code } => write!(f, "dccp {address} service {service_code}"),
        Transport::Opaque(bytes) => write!(f, "opaque {} bytes", bytes.len()),
    }
}

fn sctp(f: &mut fmt::Formatter<'_>, transport: &SctpTransport) -> fmt::Result {
    for (i, address) in transport.addresses.iter().enumerate() {
        if i > 0 {
            f.write_str(",")?;
        }
        match address {
            IpAddr::V4(v4) => write!(f, "{v4}")?,
            IpAddr::V6(v6) => write!(f, "[{v6}]")?,
        }
    }
    write!(f, ":{}", transport.port)
}

fn policy(f: &mut fmt::Formatter<'_>, policy: &PolicyParam) -> fmt::Result {
    match policy.load() {
        // A load of u32::MAX is 100 %.
        Some(load) => write!(f, " load {}%", u64::from(load) * 100 / u64::from(u32::MAX)),
        None => Ok(()),
    }
}
