//! Announces by multicast (RFC 5352 §3.6).

use sctp::Instant;

use super::{Registrar, TimerKey};
use crate::net::NetCommand;
use crate::wire::asap::AsapMessage;
use crate::wire::transport::{SctpTransport, Transport, TransportUse};

impl Registrar {
    pub(super) fn announce(&mut self, now: Instant) {
        let Some(announce) = self.config.announce() else { return };
        let transport = announce.address.as_ref();
        let transport = transport.map(|address| Transport::from(SctpTransport::new(address, TransportUse::DataOnly)));
        let message = AsapMessage::ServerAnnounce {
            server: Some(self.id),
            transports: transport.into_iter().collect(),
        };
        self.commands.push_back(NetCommand::SendDatagram {
            group: announce.group,
            payload: message.encode(),
        });
        self.stats.announces += 1;
        // Varied by up to an eighth, so that registrars that began together drift apart.
        let cycle = self.config.server_announce_cycle();
        let pause = cycle.mul_f64(0.875 + 0.25 * self.random.unit());
        self.timers.set(TimerKey::Announce, now + pause);
    }
}
