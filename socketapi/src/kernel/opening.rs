//! How sockets are made.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use socket2::{Domain, Protocol, SockAddr, Socket as Descriptor, Type};

use super::abi::{self, Number};
use super::core::Core;
use super::listener::Listener;
use super::reactor::reactor;
use super::socket::{Socket, listen, open};
use super::state::{Phase, State, Style};
use super::stream::Stream;
use super::{address, config, errno};
use crate::resolve::{Local, LocalAddresses, ONE_TO_ONE_ONLY};
use crate::{AssociationConfig, ConnectOptions, Error, Result, Subscriptions};

/// What a socket is made with.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) association: AssociationConfig,
    pub(crate) subscriptions: Option<Subscriptions>,
    /// Whether the port may be shared with other one-to-one sockets.
    pub(crate) reuse_port: bool,
    /// Whether the caller's runtime looks after the socket, rather than a thread of this library.
    pub(crate) on_runtime: bool,
}

impl Opening {
    /// A one-to-many socket.
    pub(crate) fn bind(self, local: &Local) -> Result<Socket> {
        if self.reuse_port {
            return Err(ONE_TO_ONE_ONLY);
        }
        let subscriptions = self.subscriptions.unwrap_or_default();
        let core = self.make(local, Style::Many, subscriptions)?;
        bind(&core, local)?;
        Ok(Socket(Arc::new(core)))
    }

    /// A listening socket.
    pub(crate) fn listen(self, local: &Local, backlog: usize) -> Result<Listener> {
        let subscriptions = self.subscriptions.unwrap_or(Subscriptions::none());
        let core = self.make(local, Style::Listener, subscriptions)?;
        bind(&core, local)?;
        // The kernel lets one more wait than it is told, and takes none for an end.
        listen(&core, backlog.saturating_sub(1).max(1))?;
        Ok(Listener(Arc::new(core)))
    }

    /// A one-to-one socket that begins to connect.
    pub(crate) fn connect(self, local: &Local, peer: &[SocketAddr], options: ConnectOptions) -> Result<Stream> {
        let subscriptions = self.subscriptions.unwrap_or(Subscriptions::none());
        let opening = Self {
            association: options.config.unwrap_or(self.association),
            ..self
        };
        let core = opening.make(local, Style::Stream, subscriptions)?;
        if *local != Local::any() {
            bind(&core, local)?;
        }
        let first = crate::resolve::first(peer.to_vec()).map_err(|_| Error::InvalidAddress)?;
        let id = open(&core, peer, false)?;
        Ok(Stream::new(core, id, first))
    }

    fn make(self, local: &Local, style: Style, subscriptions: Subscriptions) -> Result<Core> {
        let kind = if style == Style::Many {
            Type::SEQPACKET
        } else {
            Type::STREAM
        };
        let only_v4 = match &local.addresses {
            LocalAddresses::Any => false,
            LocalAddresses::AnyV4 => true,
            LocalAddresses::These(addresses) => addresses.iter().all(IpAddr::is_ipv4),
        };
        let socket = if only_v4 {
            Descriptor::new(Domain::IPV4, kind, Some(Protocol::SCTP))
        } else {
            let both = Descriptor::new(Domain::IPV6, kind, Some(Protocol::SCTP));
            both.and_then(|socket| socket.set_only_v6(false).map(|()| socket))
                .or_else(|error| match (error.raw_os_error(), &local.addresses) {
                    // A host without IPv6: all its addresses are of IPv4.
                    (Some(libc::EAFNOSUPPORT), LocalAddresses::Any) => {
                        Descriptor::new(Domain::IPV4, kind, Some(Protocol::SCTP))
                    }
                    _ => Err(error),
                })
        };
        let socket = socket.map_err(|error| errno::general("opening a socket", &error))?;
        let phase = if style == Style::Stream {
            Phase::Connecting
        } else {
            Phase::Up
        };
        let core = Core::new(
            socket,
            style,
            reactor(self.on_runtime)?,
            State::new(subscriptions, phase),
        )?;
        for (name, value) in [
            (abi::SCTP_RECVRCVINFO, 1),
            (abi::SCTP_NODELAY, 1),
            (abi::SCTP_I_WANT_MAPPED_V4_ADDR, 0),
        ] {
            core.set(name, Number { value })?
                .map_err(|error| errno::general("preparing a socket", &error))?;
        }
        if self.reuse_port {
            core.set(abi::SCTP_REUSE_PORT, Number { value: 1 })?
                .map_err(|error| errno::general("sharing a port", &error))?;
        }
        core.subscribe(abi::FUTURE_ASSOC, subscriptions)?;
        config::prepare(&core, self.association)?;
        Ok(core)
    }
}

/// Binds a socket to its first address, then to the others with the same port.
fn bind(core: &Core, local: &Local) -> Result<()> {
    let port = local.port.unwrap_or(0);
    let v4_only = core
        .socket_option(Descriptor::domain)?
        .is_ok_and(|domain| domain == Domain::IPV4);
    let addresses: Vec<IpAddr> = match &local.addresses {
        LocalAddresses::Any if !v4_only => vec![Ipv6Addr::UNSPECIFIED.into()],
        LocalAddresses::Any | LocalAddresses::AnyV4 => vec![Ipv4Addr::UNSPECIFIED.into()],
        LocalAddresses::These(addresses) => addresses.iter().copied().collect(),
    };
    let (first, others) = addresses.split_first().ok_or(Error::InvalidAddress)?;
    let failed = |error: &std::io::Error| errno::general("binding a socket", error);
    let name = SockAddr::from(SocketAddr::new(*first, port));
    core.socket_option(|socket| socket.bind(&name))?
        .map_err(|error| failed(&error))?;
    if others.is_empty() {
        return Ok(());
    }
    let own = crate::resolve::first(core.addresses(abi::SCTP_GET_LOCAL_ADDRS, abi::FUTURE_ASSOC)?)?;
    let others: Vec<SocketAddr> = others.iter().map(|ip| SocketAddr::new(*ip, own.port())).collect();
    core.set_bytes(abi::SCTP_SOCKOPT_BINDX_ADD, &address::encode_list(&others))?
        .map_err(|error| failed(&error))
}
