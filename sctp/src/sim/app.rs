//! Engines of other packages on a host.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::ids::AppId;
use super::trace::Trace;
use crate::config::EndpointConfig;
use crate::error::BindError;
use crate::random::Random;
use crate::{AssocId, EcnCodepoint, EndpointId, Event, Instant, Stack};

/// An engine that runs on a host. It decides only when told something, and acts through its [`HostCtx`].
pub trait App: Any {
    /// Something happened.
    fn handle(&mut self, now: Instant, event: AppEvent, ctx: &mut HostCtx<'_>);

    /// When it wants [`AppEvent::Timeout`]; never is `None`.
    fn poll_timeout(&self) -> Option<Instant>;
}

/// What an application is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppEvent {
    /// It was put on its host: the time to bind, connect and join.
    Start,
    /// The time it waited for has come.
    Timeout,
    /// Something happened on an end point that it bound.
    Sctp {
        /// The end point.
        endpoint: EndpointId,
        /// The association.
        assoc: AssocId,
        /// What happened.
        event: Event,
    },
    /// A UDP datagram arrived for a group it joined or a port it opened.
    Datagram {
        /// Where it came from.
        source: SocketAddr,
        /// The group or own address it was sent to.
        destination: SocketAddr,
        /// The bytes.
        payload: Bytes,
    },
}

/// What leaves a host.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Sctp {
        src: Option<IpAddr>,
        dst: IpAddr,
        encap: Option<crate::UdpPorts>,
        payload: Bytes,
        dont_fragment: bool,
        ecn: EcnCodepoint,
    },
    Datagram {
        from: AppId,
        source_port: u16,
        destination: SocketAddr,
        payload: Bytes,
    },
}

/// Who on a host wants what.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    pub(crate) endpoints: BTreeMap<EndpointId, AppId>,
    groups: BTreeSet<(SocketAddr, AppId)>,
    ports: BTreeSet<(u16, AppId)>,
}

impl Subscriptions {
    /// The applications that a datagram to `destination` is for.
    pub(crate) fn receivers(&self, destination: SocketAddr) -> Vec<AppId> {
        let all = (AppId(0), AppId(usize::MAX));
        if destination.ip().is_multicast() {
            let range = self.groups.range((destination, all.0)..=(destination, all.1));
            range.map(|&(_, app)| app).collect()
        } else {
            let port = destination.port();
            let range = self.ports.range((port, all.0)..=(port, all.1));
            range.map(|&(_, app)| app).collect()
        }
    }
}

/// What an application can do on its host.
pub struct HostCtx<'a> {
    pub(crate) now: Instant,
    pub(crate) host: &'a str,
    pub(crate) app: AppId,
    pub(crate) addresses: &'a [IpAddr],
    pub(crate) stack: &'a mut Stack,
    pub(crate) subscriptions: &'a mut Subscriptions,
    pub(crate) out: &'a mut Vec<Outgoing>,
    pub(crate) random: &'a mut Random,
    pub(crate) trace: &'a mut Trace,
}

impl fmt::Debug for HostCtx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostCtx")
            .field("host", &self.host)
            .field("app", &self.app)
            .finish_non_exhaustive()
    }
}

impl HostCtx<'_> {
    /// The time.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// The host's addresses.
    pub const fn addresses(&self) -> &[IpAddr] {
        self.addresses
    }

    /// The host's stack, for any command. End points are to be bound by [`bind`](Self::bind), or their events go to
    /// [`World::events`](super::World::events) rather than to the application.
    pub const fn stack(&mut self) -> &mut Stack {
        self.stack
    }

    /// Binds an end point whose events come to this application.
    ///
    /// # Errors
    ///
    /// As [`Stack::bind`].
    pub fn bind(&mut self, config: EndpointConfig) -> Result<EndpointId, BindError> {
        let endpoint = self.stack.bind(config)?;
        self.subscriptions.endpoints.insert(endpoint, self.app);
        Ok(endpoint)
    }

    /// Receives what is sent to a multicast group and port, on every interface.
    pub fn join_group(&mut self, group: SocketAddr) {
        assert!(group.ip().is_multicast(), "{group} is no group");
        self.subscriptions.groups.insert((group, self.app));
    }

    /// Undoes [`join_group`](Self::join_group).
    pub fn leave_group(&mut self, group: SocketAddr) {
        self.subscriptions.groups.remove(&(group, self.app));
    }

    /// Receives the plain datagrams that are sent to a UDP port of this host.
    pub fn open_udp_port(&mut self, port: u16) {
        self.subscriptions.ports.insert((port, self.app));
    }

    /// Sends a plain datagram. One to a group goes out on every interface of its family, and to the other members
    /// on this host.
    pub fn send_datagram(&mut self, source_port: u16, destination: SocketAddr, payload: Bytes) {
        self.out.push(Outgoing::Datagram {
            from: self.app,
            source_port,
            destination,
            payload,
        });
    }

    /// A seed for something random; another one each time.
    pub fn seed(&mut self) -> [u8; 32] {
        self.random.child_seed()
    }

    /// Adds a line to the trace.
    pub fn note(&mut self, what: &str) {
        self.trace.line(self.now, self.host, format_args!("{what}"));
    }
}
