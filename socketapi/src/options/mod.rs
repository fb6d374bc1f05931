//! Socket options (RFC 6458 §8.1, §8.3, and the chapters about sockets of the extensions' RFCs).

mod auth;
mod delivery;
mod extensions;
mod scope;
mod values;

use std::net::IpAddr;
use std::time::Duration;

use sctp::error::ConfigError;

pub use self::scope::AssocScope;
pub use self::values::{AssocParams, DelayedSack, InitMsg, RtoInfo};
use crate::backend::{AnyTarget, dispatch};
use crate::{
    AssociationConfig, AssociationStatus, Error, PathConfig, PathThresholds, Reliability, Result, SndInfo,
    Subscriptions,
};

/// Why one-to-one sockets have no autoclose (RFC 6458 §8.1.8).
pub(crate) const NO_AUTOCLOSE: &str = "only one-to-many style sockets close what is idle";

/// The options of a socket or of an association.
///
/// Those of a [socket](crate::SctpSocket::options) or [listener](crate::SctpListener::options) are what associations
/// start with that begin later (`SCTP_FUTURE_ASSOC`, RFC 6458 §7.1); those of an
/// [association](crate::Association::options) are its own. Every option can be read of both. Some can be set of new
/// associations only, since they are told to the peer at set-up; it is said where.
///
/// This is a cheap handle; it keeps no socket open.
///
/// # Errors
///
/// All of them fail with [`Error::Closed`](crate::Error::Closed) or
/// [`Error::NoSuchAssociation`](crate::Error::NoSuchAssociation) once the socket or the association is gone, and with
/// [`Error::StackStopped`](crate::Error::StackStopped). Setters fail with [`Error::Config`](crate::Error::Config) for a
/// value that is out of range, and with [`Error::Fixed`](crate::Error::Fixed) where the association was told otherwise;
/// nothing is changed then.
#[derive(Clone, Debug)]
pub struct Options(pub(crate) AnyTarget);

impl Options {
    /// All settings in one: what [`SocketBuilder::association`](crate::SocketBuilder::association) gave the socket, as
    /// they are by now.
    pub fn config(&self) -> Result<AssociationConfig> {
        dispatch!(AnyTarget, self.0, target => target.config())
    }

    /// Replaces all settings. The paths of an association keep theirs:
    /// [`set_peer_addr_params`](Self::set_peer_addr_params) changes these.
    pub fn set_config(&self, config: AssociationConfig) -> Result<()> {
        self.set(|own| {
            *own = config;
            Ok(())
        })
    }

    fn get<T>(&self, read: impl FnOnce(&AssociationConfig) -> T) -> Result<T> {
        Ok(read(&self.config()?))
    }

    fn set(&self, change: impl FnOnce(&mut AssociationConfig) -> Result<(), ConfigError>) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.change(change))
    }

    fn set_path(
        &self,
        address: Option<IpAddr>,
        change: impl FnOnce(&mut PathConfig) -> Result<(), ConfigError>,
    ) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.change_path(address, change))
    }

    /// The same, for what is set of future associations alone (`SCTP_FUTURE_ASSOC`).
    fn of_future(self) -> Self {
        Self(match self.0 {
            #[cfg(feature = "userland")]
            AnyTarget::Userland(target) => target.of_future().into(),
            #[cfg(feature = "kernel")]
            AnyTarget::Kernel(target) => target.of_future().into(),
        })
    }

    fn status(&self) -> Result<Option<AssociationStatus>> {
        dispatch!(AnyTarget, self.0, target => target.status())
    }

    /// The bounds of the retransmission time-out (`SCTP_RTOINFO`, RFC 6458 §8.1.1).
    pub fn rto_info(&self) -> Result<RtoInfo> {
        self.get(|config| RtoInfo {
            initial: config.rto_initial(),
            min: config.rto_min(),
            max: config.rto_max(),
        })
    }

    /// Sets the bounds of the retransmission time-out: 1 ms to 600 s, the initial one between the others.
    pub fn set_rto_info(&self, info: RtoInfo) -> Result<()> {
        self.set(|config| config.set_rto(info.initial, info.min, info.max))
    }

    /// Retransmissions, addresses and windows (`SCTP_ASSOCINFO`, RFC 6458 §8.1.2).
    pub fn assoc_info(&self) -> Result<AssocParams> {
        let status = self.status()?;
        self.get(|config| AssocParams {
            max_retransmits: config.association_max_retrans(),
            peer_destinations: status.as_ref().map_or(0, |status| status.paths.len()),
            peer_rwnd: status.as_ref().map_or(0, |status| status.peer_rwnd),
            local_rwnd: status
                .as_ref()
                .map_or_else(|| config.receive_buffer(), |status| status.local_rwnd),
            cookie_life: config.cookie_life(),
        })
    }

    /// Sets Association.Max.Retrans (`sasoc_asocmaxrxt` of `SCTP_ASSOCINFO`, all of it that can be set for one
    /// association).
    pub fn set_association_max_retrans(&self, limit: u16) -> Result<()> {
        self.set(|config| {
            config.set_association_max_retrans(limit);
            Ok(())
        })
    }

    /// Sets how long State Cookies may be used that a listening socket makes from now on (`sasoc_cookie_life` of
    /// `SCTP_ASSOCINFO`); `None` for what the stack says. It has no meaning for an association.
    pub fn set_cookie_life(&self, life: Option<Duration>) -> Result<()> {
        self.set(|config| config.set_cookie_life(life))
    }

    /// What set-up asks for (`SCTP_INITMSG`, RFC 6458 §8.1.3).
    pub fn init_msg(&self) -> Result<InitMsg> {
        self.get(|config| InitMsg {
            num_ostreams: config.outbound_streams(),
            max_instreams: config.max_inbound_streams(),
            max_attempts: config.max_init_retransmits(),
            max_init_timeo: config.max_init_timeout(),
        })
    }

    /// Sets what set-up asks for. The numbers of streams are fixed in an association.
    pub fn set_init_msg(&self, init: InitMsg) -> Result<()> {
        self.set(|config| {
            config.set_outbound_streams(init.num_ostreams)?;
            config.set_max_inbound_streams(init.max_instreams)?;
            config.set_max_init_retransmits(init.max_attempts);
            config.set_max_init_timeout(init.max_init_timeo)?;
            Ok(())
        })
    }

    /// The receive buffer of an association in bytes (`SO_RCVBUF`, RFC 6458 §8.1.6).
    pub fn receive_buffer(&self) -> Result<u32> {
        self.get(AssociationConfig::receive_buffer)
    }

    /// Sets the receive buffer of an association: 1500 bytes to 1 GiB.
    pub fn set_receive_buffer(&self, bytes: u32) -> Result<()> {
        self.set(|config| config.set_receive_buffer(bytes))
    }

    /// The send buffer of an association in bytes (`SO_SNDBUF`, RFC 6458 §8.1.7).
    pub fn send_buffer(&self) -> Result<u32> {
        self.get(AssociationConfig::send_buffer)
    }

    /// Sets the send buffer of an association: 1500 bytes to 1 GiB.
    pub fn set_send_buffer(&self, bytes: u32) -> Result<()> {
        self.set(|config| config.set_send_buffer(bytes))
    }

    /// After how long without user data an association is shut down (`SCTP_AUTOCLOSE`, RFC 6458 §8.1.8); `None` for
    /// never, as always with one-to-one style sockets.
    pub fn autoclose(&self) -> Result<Option<Duration>> {
        self.get(AssociationConfig::autoclose)
    }

    /// Sets after how long without user data an association is shut down.
    ///
    /// Fails with [`Error::Unsupported`](crate::Error::Unsupported) for one-to-one style sockets.
    pub fn set_autoclose(&self, idle: Option<Duration>) -> Result<()> {
        let has = dispatch!(AnyTarget, self.0, target => target.has_autoclose())?;
        if idle.is_some() && !has {
            return Err(Error::Unsupported(NO_AUTOCLOSE));
        }
        self.set(|config| config.set_autoclose(idle))
    }

    /// The own Adaptation Code point (`SCTP_ADAPTATION_LAYER`, RFC 6458 §8.1.10), which set-up tells the peer.
    pub fn adaptation_layer(&self) -> Result<Option<u32>> {
        self.get(AssociationConfig::adaptation_indication)
    }

    /// Sets the own Adaptation Code point of new associations.
    pub fn set_adaptation_layer(&self, indication: Option<u32>) -> Result<()> {
        self.set(|config| {
            config.set_adaptation_indication(indication);
            Ok(())
        })
    }

    /// Heartbeats, thresholds, MTU, UDP port, DSCP and IPv6 flow label of the path to one of the peer's addresses; with
    /// `None`, what new paths start with (`SCTP_PEER_ADDR_PARAMS`, RFC 6458 §8.1.12).
    ///
    /// Fails with [`Error::NoSuchPath`](crate::Error::NoSuchPath) if the peer does not have the
    /// address, as do all that name one; new associations have none.
    pub fn peer_addr_params(&self, address: Option<IpAddr>) -> Result<PathConfig> {
        dispatch!(AnyTarget, self.0, target => target.path_config(address))
    }

    /// Sets them of the path to one of the peer's addresses; with `None`, of all paths and those to come.
    pub fn set_peer_addr_params(&self, address: Option<IpAddr>, params: PathConfig) -> Result<()> {
        self.set_path(address, |path| {
            *path = params;
            Ok(())
        })
    }

    /// After how many missing answers a path is treated how (`SCTP_PEER_ADDR_THLDS`, RFC 7829 §7.2); addresses as for
    /// [`peer_addr_params`](Self::peer_addr_params).
    pub fn peer_addr_thlds(&self, address: Option<IpAddr>) -> Result<PathThresholds> {
        Ok(self.peer_addr_params(address)?.thresholds())
    }

    /// Sets after how many missing answers a path is treated how.
    pub fn set_peer_addr_thlds(&self, address: Option<IpAddr>, thresholds: PathThresholds) -> Result<()> {
        self.set_path(address, |path| {
            path.set_thresholds(thresholds);
            Ok(())
        })
    }

    /// The peer's UDP port (`SCTP_REMOTE_UDP_ENCAPS_PORT`, RFC 6951 §6.1); addresses as for
    /// [`peer_addr_params`](Self::peer_addr_params). The port in use may be another by now: see
    /// [`PathStatus::encapsulation_port`](crate::PathStatus::encapsulation_port).
    pub fn remote_udp_encaps_port(&self, address: Option<IpAddr>) -> Result<Option<u16>> {
        Ok(self.peer_addr_params(address)?.remote_encapsulation_port())
    }

    /// Sets the peer's UDP port, until its packets show another one; with no address, that of paths to come alone (with
    /// kernel sockets, of all).
    pub fn set_remote_udp_encaps_port(&self, address: Option<IpAddr>, port: Option<u16>) -> Result<()> {
        #[cfg(feature = "userland")]
        if address.is_none() && matches!(self.0, AnyTarget::Userland(_)) {
            return self.set(|config| {
                config.path_mut().set_remote_encapsulation_port(port);
                Ok(())
            });
        }
        self.set_path(address, |path| {
            path.set_remote_encapsulation_port(port);
            Ok(())
        })
    }

    /// How acknowledgements are delayed (`SCTP_DELAYED_SACK`, RFC 6458 §8.1.19).
    pub fn delayed_sack(&self) -> Result<DelayedSack> {
        self.get(|config| DelayedSack {
            delay: config.sack_delay(),
            frequency: config.sack_frequency(),
        })
    }

    /// Sets how acknowledgements are delayed.
    pub fn set_delayed_sack(&self, sack: DelayedSack) -> Result<()> {
        self.set(|config| {
            config.set_sack_delay(sack.delay)?;
            config.set_sack_frequency(sack.frequency)
        })
    }

    /// How many packets may be sent at once (`SCTP_MAX_BURST`, RFC 6458 §8.1.24); zero for any number.
    pub fn max_burst(&self) -> Result<u16> {
        self.get(AssociationConfig::max_burst)
    }

    /// Sets how many packets may be sent at once.
    pub fn set_max_burst(&self, packets: u16) -> Result<()> {
        self.set(|config| {
            config.set_max_burst(packets);
            Ok(())
        })
    }

    /// The number that goes with received messages (`SCTP_CONTEXT`, RFC 6458 §8.1.25); 0 at first.
    pub fn context(&self) -> Result<u32> {
        dispatch!(AnyTarget, self.0, target => Ok(target.defaults()?.context))
    }

    /// Sets the number that goes with received messages, as [`RcvInfo::context`](crate::RcvInfo::context).
    pub fn set_context(&self, context: u32) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.change_defaults(|defaults| defaults.context = context))
    }

    /// How messages are sent [with defaults](SndInfo::with_defaults) (`SCTP_DEFAULT_SNDINFO`, RFC 6458 §8.1.31).
    pub fn default_sndinfo(&self) -> Result<SndInfo> {
        dispatch!(AnyTarget, self.0, target => Ok(target.defaults()?.sndinfo))
    }

    /// Sets how messages are sent [with defaults](SndInfo::with_defaults): stream, payload protocol identifier, order,
    /// I bit, context, and end of file. The rest of `info` has no meaning here.
    pub fn set_default_sndinfo(&self, info: SndInfo) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.change_defaults(|defaults| defaults.sndinfo = info))
    }

    /// How long messages are tried whose [`SndInfo::reliability`] is `None` (`SCTP_DEFAULT_PRINFO`, RFC 6458 §8.1.32).
    pub fn default_prinfo(&self) -> Result<Reliability> {
        dispatch!(AnyTarget, self.0, target => Ok(target.defaults()?.prinfo))
    }

    /// Sets how long messages are tried whose [`SndInfo::reliability`] is `None`; [`Reliability::Reliable`] at first.
    pub fn set_default_prinfo(&self, reliability: Reliability) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.change_defaults(|defaults| defaults.prinfo = reliability))
    }

    /// Which notifications are received (`SCTP_EVENT`, RFC 6458 §6.2.2).
    pub fn subscriptions(&self) -> Result<Subscriptions> {
        dispatch!(AnyTarget, self.0, target => target.subscriptions())
    }

    /// Sets which notifications are received from now on: of an association, or of a socket with all its associations.
    pub fn set_subscriptions(&self, subscriptions: Subscriptions) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.set_subscriptions(subscriptions))
    }
}
