//! Pool elements and registrars as messages describe them (RFC 5354 §3.10, §3.11).

use std::time::Duration;

use sctp::tlv::{Reader, Tlv, Writer};

use super::error::{DecodeError, Problem};
use super::param::{ParamType, Reports, for_each_param, invalid, set_once};
use super::policy::PolicyParam;
use super::transport::{SctpTransport, Transport};
use crate::ids::{PeId, RegistrarId};

/// The unit of a Registration Life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LifeUnit {
    /// As RFC 5354 §3.10 has it; -1 is for ever.
    #[default]
    Seconds,
    /// As RSPLIB has it: milliseconds, as an unsigned number.
    Milliseconds,
}

/// How long a registration lasts, as it is on the wire (RFC 5354 §3.10); see [`LifeUnit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistrationLife(pub i32);

impl RegistrationLife {
    /// For ever.
    pub const INFINITE: Self = Self(-1);

    /// `life` in the given unit, rounded up, at most what the field can say; `None` is for ever.
    pub fn new(life: Option<Duration>, unit: LifeUnit) -> Self {
        let Some(life) = life else {
            return Self::INFINITE;
        };
        let count = match unit {
            LifeUnit::Seconds => life.as_secs().saturating_add(u64::from(life.subsec_nanos() > 0)).into(),
            LifeUnit::Milliseconds => life.as_nanos().div_ceil(1_000_000),
        };
        Self(i32::try_from(count).unwrap_or(i32::MAX))
    }

    /// The time that it means; `None` is for ever. A negative number of seconds other than -1 has no meaning and is no
    /// time at all.
    pub fn duration(self, unit: LifeUnit) -> Option<Duration> {
        if self == Self::INFINITE {
            return None;
        }
        Some(match unit {
            LifeUnit::Seconds => Duration::from_secs(u64::try_from(self.0).unwrap_or(0)),
            LifeUnit::Milliseconds => Duration::from_millis(self.0.cast_unsigned().into()),
        })
    }
}

/// A Pool Element parameter (RFC 5354 §3.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolElementParam {
    /// Which element of its pool it is.
    pub id: PeId,
    /// Its home registrar, if that is known.
    pub home: Option<RegistrarId>,
    /// How long its registration lasts.
    pub life: RegistrationLife,
    /// Where it serves its users.
    pub user_transport: Transport,
    /// How it is to be selected.
    pub policy: PolicyParam,
    /// Where registrars reach it. Registrars fill it in (RFC 5352 §3.1).
    pub asap_transport: Option<SctpTransport>,
}

impl PoolElementParam {
    pub(crate) fn write(&self, w: &mut Writer<'_>) {
        w.tlv(ParamType::POOL_ELEMENT.0, |w| {
            w.u32(self.id.as_u32());
            w.u32(self.home.map_or(0, RegistrarId::as_u32));
            w.u32(self.life.0.cast_unsigned());
            self.user_transport.write(w);
            self.policy.write(w);
            if let Some(transport) = &self.asap_transport {
                transport.write(w);
            }
        });
    }

    pub(crate) fn read(tlv: &Tlv<'_>, reports: &mut Reports) -> Result<Self, DecodeError> {
        let mut value = Reader::new(tlv.value);
        let mut number = |at| value.u32(at).map_err(|error| DecodeError::new(error.into(), tlv.raw));
        let id = PeId::new(number("PE identifier")?).ok_or_else(|| invalid("PE identifier", tlv))?;
        let home = RegistrarId::new(number("home ENRP server identifier")?);
        let life = RegistrationLife(number("registration life")?.cast_signed());

        // The first transport is the user transport, the second one the ASAP transport; the policy may stand anywhere.
        let (mut user_transport, mut policy, mut asap_transport) = (None, None, None);
        for_each_param(value, reports, |kind, inner, reports| match kind {
            ParamType::POLICY => set_once(&mut policy, PolicyParam::read(&inner)?, "policy", tlv.raw),
            kind if kind.is_transport() => {
                let transport = Transport::read(&inner, reports)?;
                if user_transport.is_none() {
                    user_transport = Some(transport);
                    return Ok(());
                }
                match transport {
                    Transport::Sctp(sctp) => set_once(&mut asap_transport, sctp, "ASAP transport", tlv.raw),
                    _ => Err(invalid("ASAP transport", tlv)),
                }
            }
            _ => Ok(()),
        })?;
        let missing = |name| DecodeError::new(Problem::Missing(name), tlv.raw);
        Ok(Self {
            id,
            home,
            life,
            user_transport: user_transport.ok_or_else(|| missing("user transport"))?,
            policy: policy.ok_or_else(|| missing("policy"))?,
            asap_transport,
        })
    }
}

/// A Server Information parameter (RFC 5354 §3.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInformation {
    /// The registrar, if it says who it is.
    pub server: Option<RegistrarId>,
    /// Where it is reached.
    pub transport: SctpTransport,
}

impl ServerInformation {
    #[cfg(test)]
    pub(crate) fn write(&self, w: &mut Writer<'_>) {
        w.tlv(ParamType::SERVER_INFORMATION.0, |w| {
            w.u32(self.server.map_or(0, RegistrarId::as_u32));
            self.transport.write(w);
        });
    }

    pub(crate) fn read(tlv: &Tlv<'_>, reports: &mut Reports) -> Result<Self, DecodeError> {
        let mut value = Reader::new(tlv.value);
        let server = value
            .u32("server identifier")
            .map_err(|error| DecodeError::new(error.into(), tlv.raw))?;
        let mut transport = None;
        for_each_param(value, reports, |kind, inner, reports| {
            if kind.is_transport() {
                match Transport::read(&inner, reports)? {
                    Transport::Sctp(sctp) => set_once(&mut transport, sctp, "server transport", tlv.raw)?,
                    _ => return Err(invalid("server transport", tlv)),
                }
            }
            Ok(())
        })?;
        Ok(Self {
            server: RegistrarId::new(server),
            transport: transport.ok_or_else(|| DecodeError::new(Problem::Missing("server transport"), tlv.raw))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5354_3_10_a_life_of_minus_one_second_is_for_ever() {
        assert_eq!(RegistrationLife::new(None, LifeUnit::Seconds), RegistrationLife(-1));
        for unit in [LifeUnit::Seconds, LifeUnit::Milliseconds] {
            assert_eq!(RegistrationLife(-1).duration(unit), None);
        }
        assert_eq!(RegistrationLife(-2).duration(LifeUnit::Seconds), Some(Duration::ZERO));
        assert_eq!(
            RegistrationLife(90).duration(LifeUnit::Seconds),
            Some(Duration::from_secs(90))
        );
    }

    #[test]
    fn rsplib_counts_lives_in_milliseconds() {
        let life = Some(Duration::from_secs(90));
        assert_eq!(
            RegistrationLife::new(life, LifeUnit::Milliseconds),
            RegistrationLife(90_000)
        );
        assert_eq!(RegistrationLife(90_000).duration(LifeUnit::Milliseconds), life);
        let unsigned = RegistrationLife(-2).duration(LifeUnit::Milliseconds);
        assert_eq!(unsigned, Some(Duration::from_millis(0xffff_fffe)));
    }

    #[test]
    fn a_life_is_rounded_up_and_bounded() {
        let short = Some(Duration::from_millis(1));
        assert_eq!(RegistrationLife::new(short, LifeUnit::Seconds), RegistrationLife(1));
        let long = Some(Duration::MAX);
        assert_eq!(
            RegistrationLife::new(long, LifeUnit::Milliseconds),
            RegistrationLife(i32::MAX)
        );
    }
}
