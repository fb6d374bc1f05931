//! Options about the extensions: whether they are supported, and how they behave.
//!
//! Of a socket, `x_supported` is whether the extension is offered to the peers of new associations, and can be set; of
//! an association, whether both sides support it, which is fixed (RFC 7496 §4.5, RFC 8260 §4.3.1).

use super::Options;
use crate::{
    AssociationConfig, AssociationStatus, ErrorDetectionMethod, FragmentInterleave, ReconfigRequests, Result,
    StreamScheduler,
};

impl Options {
    fn supported(
        &self,
        negotiated: impl FnOnce(&AssociationStatus) -> bool,
        offered: impl FnOnce(&AssociationConfig) -> bool,
    ) -> Result<bool> {
        match self.status()? {
            Some(status) => Ok(negotiated(&status)),
            None => self.get(offered),
        }
    }

    /// Whether partial reliability is supported (`SCTP_PR_SUPPORTED`, RFC 7496 §4.5); by default it is offered.
    pub fn pr_supported(&self) -> Result<bool> {
        self.supported(
            |status| status.partial_reliability,
            AssociationConfig::partial_reliability,
        )
    }

    /// Sets whether partial reliability is offered to the peers of new associations.
    pub fn set_pr_supported(&self, offered: bool) -> Result<()> {
        self.set(|config| {
            config.set_partial_reliability(offered);
            Ok(())
        })
    }

    /// Whether Explicit Congestion Notification is supported (RFC 3168; Linux: `SCTP_ECN_SUPPORTED`); by default it is
    /// offered. Where it is, routers may mark packets in place of dropping them.
    pub fn ecn_supported(&self) -> Result<bool> {
        self.supported(|status| status.ecn, AssociationConfig::ecn)
    }

    /// Sets whether Explicit Congestion Notification is offered to the peers of new associations.
    pub fn set_ecn_supported(&self, offered: bool) -> Result<()> {
        self.set(|config| {
            config.set_ecn(offered);
            Ok(())
        })
    }

    /// Whether authenticated chunks are supported (RFC 4895); by default they are not offered.
    pub fn auth_supported(&self) -> Result<bool> {
        self.supported(|status| status.authentication, |config| config.auth().is_offered())
    }

    /// Sets whether authenticated chunks are offered to the peers of new associations. They are in any case once a
    /// chunk type [must be](Self::auth_chunk) authenticated.
    pub fn set_auth_supported(&self, offered: bool) -> Result<()> {
        self.set(|config| {
            config.auth_mut().set_enabled(offered);
            Ok(())
        })
    }

    /// Whether addresses can change while an association is open (RFC 5061); by default that is not offered.
    pub fn asconf_supported(&self) -> Result<bool> {
        self.supported(|status| status.address_changes, |config| config.asconf().offered())
    }

    /// Sets whether changes of addresses are offered to the peers of new associations. With that, authenticated chunks
    /// are offered too.
    pub fn set_asconf_supported(&self, offered: bool) -> Result<()> {
        self.set(|config| {
            config.asconf_mut().set_offered(offered);
            Ok(())
        })
    }

    /// Whether the peer is told by itself of addresses that the host gets and loses (`SCTP_AUTO_ASCONF`, RFC 6458
    /// §8.1.23); not by default.
    pub fn auto_asconf(&self) -> Result<bool> {
        self.get(|config| config.asconf().automatic())
    }

    /// Sets whether the peer is told by itself of addresses that the host gets and loses.
    pub fn set_auto_asconf(&self, automatic: bool) -> Result<()> {
        self.set(|config| {
            config.asconf_mut().set_automatic(automatic);
            Ok(())
        })
    }

    /// Whether re-configuration is supported (RFC 6525); by default it is offered.
    pub fn reconfig_supported(&self) -> Result<bool> {
        self.supported(|status| status.reconfiguration, |config| config.reconfig().offered())
    }

    /// Sets whether re-configuration is offered to the peers of new associations.
    pub fn set_reconfig_supported(&self, offered: bool) -> Result<()> {
        self.set(|config| {
            config.reconfig_mut().set_offered(offered);
            Ok(())
        })
    }

    /// Which requests of the peer are carried out (`SCTP_ENABLE_STREAM_RESET`, RFC 6525 §6.3.1); none by default.
    pub fn enable_stream_reset(&self) -> Result<ReconfigRequests> {
        self.get(|config| config.reconfig().accepted())
    }

    /// Sets which requests of the peer are carried out.
    pub fn set_enable_stream_reset(&self, accepted: ReconfigRequests) -> Result<()> {
        self.set(|config| {
            config.reconfig_mut().set_accepted(accepted);
            Ok(())
        })
    }

    /// Whether messages can be interleaved (`SCTP_INTERLEAVING_SUPPORTED`, RFC 8260 §4.3.1); by default that is not
    /// offered.
    pub fn interleaving_supported(&self) -> Result<bool> {
        self.supported(|status| status.interleaving, |config| config.interleaving().offered())
    }

    /// Sets whether interleaving is offered to the peers of new associations. Offering it sets
    /// [`fragment_interleave`](Self::fragment_interleave) to [`FragmentInterleave::Streams`].
    pub fn set_interleaving_supported(&self, offered: bool) -> Result<()> {
        self.set(|config| {
            config.interleaving_mut().set_offered(offered);
            Ok(())
        })
    }

    /// How far pieces of messages may mix on their way to the user (`SCTP_FRAGMENT_INTERLEAVE`, RFC 6458 §8.1.20).
    pub fn fragment_interleave(&self) -> Result<FragmentInterleave> {
        self.get(|config| config.interleaving().fragment_interleave())
    }

    /// Sets how far pieces of messages may mix in new associations.
    pub fn set_fragment_interleave(&self, level: FragmentInterleave) -> Result<()> {
        self.set(|config| config.interleaving_mut().set_fragment_interleave(level))
    }

    /// In which order the messages of different streams are sent (`SCTP_STREAM_SCHEDULER`, RFC 8260 §4.3.2).
    pub fn stream_scheduler(&self) -> Result<StreamScheduler> {
        self.get(AssociationConfig::stream_scheduler)
    }

    /// Sets in which order the messages of different streams are sent, those that wait too.
    pub fn set_stream_scheduler(&self, scheduler: StreamScheduler) -> Result<()> {
        self.set(|config| {
            config.set_stream_scheduler(scheduler);
            Ok(())
        })
    }

    /// Whether the user sees that a path is potentially failed (`SCTP_EXPOSE_POTENTIALLY_FAILED_STATE`, RFC 7829 §7.3);
    /// it does by default.
    pub fn expose_potentially_failed_state(&self) -> Result<bool> {
        self.get(AssociationConfig::expose_potentially_failed)
    }

    /// Sets whether the user sees that a path is potentially failed.
    pub fn set_expose_potentially_failed_state(&self, exposed: bool) -> Result<()> {
        self.set(|config| {
            config.set_expose_potentially_failed(exposed);
            Ok(())
        })
    }

    /// What guards packets in place of the CRC32c (`SCTP_ACCEPT_ZERO_CHECKSUM`, RFC 9653); nothing by default.
    pub fn accept_zero_checksum(&self) -> Result<Option<ErrorDetectionMethod>> {
        self.get(AssociationConfig::zero_checksum)
    }

    /// Sets what guards packets in place of the CRC32c in new associations. Only who knows that it really does, on all
    /// ways that packets take, may set it.
    pub fn set_accept_zero_checksum(&self, method: Option<ErrorDetectionMethod>) -> Result<()> {
        self.set(|config| {
            config.set_zero_checksum(method);
            Ok(())
        })
    }
}
