//! Messages of ASAP (RFC 5352 §2.2).

use bytes::Bytes;
use sctp::tlv::{Reader, Tlv, Writer};

use super::cause::OperationError;
use super::element::{PoolElementParam, ServerInformation};
use super::error::{DecodeError, Problem};
use super::param::{
    Cookie, ParamType, Reports, for_each_param, read_cookie, read_items, read_pe_id, read_pool_handle, set_once,
    write_cookie, write_items, write_pe_id, write_pool_handle,
};
use super::policy::PolicyParam;
use super::transport::{SctpTransport, Transport};
use super::{RawMessage, write_message, write_while_room};
use crate::ids::{PeId, PoolHandle, RegistrarId};

/// The type of an ASAP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AsapType(pub u8);

#[expect(
    missing_docs,
    reason = "the names are RFC 5352's, and the message variants say what they mean"
)]
impl AsapType {
    pub const REGISTRATION: Self = Self(0x01);
    pub const DEREGISTRATION: Self = Self(0x02);
    pub const REGISTRATION_RESPONSE: Self = Self(0x03);
    pub const DEREGISTRATION_RESPONSE: Self = Self(0x04);
    pub const HANDLE_RESOLUTION: Self = Self(0x05);
    pub const HANDLE_RESOLUTION_RESPONSE: Self = Self(0x06);
    pub const ENDPOINT_KEEP_ALIVE: Self = Self(0x07);
    pub const ENDPOINT_KEEP_ALIVE_ACK: Self = Self(0x08);
    pub const ENDPOINT_UNREACHABLE: Self = Self(0x09);
    pub const SERVER_ANNOUNCE: Self = Self(0x0a);
    pub const COOKIE: Self = Self(0x0b);
    pub const COOKIE_ECHO: Self = Self(0x0c);
    pub const BUSINESS_CARD: Self = Self(0x0d);
    pub const ERROR: Self = Self(0x0e);
}

/// An ASAP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AsapMessage {
    /// A pool element registers, or registers again (§2.2.1).
    Registration {
        /// Its pool.
        pool: PoolHandle,
        /// What it is.
        element: PoolElementParam,
    },
    /// A pool element deregisters (§2.2.2).
    Deregistration {
        /// Its pool.
        pool: PoolHandle,
        /// Which it is.
        pe: PeId,
    },
    /// A registrar answers a registration (§2.2.3).
    RegistrationResponse {
        /// The pool.
        pool: PoolHandle,
        /// The pool element.
        pe: PeId,
        /// Whether the registration is refused (the R flag).
        reject: bool,
        /// Why it is refused; or, without `reject`, a warning.
        error: Option<OperationError>,
    },
    /// A registrar answers a deregistration, or says that a registration has run out (§2.2.4).
    DeregistrationResponse {
        /// The pool.
        pool: PoolHandle,
        /// The pool element.
        pe: PeId,
        /// Why the deregistration is refused, if it is.
        error: Option<OperationError>,
    },
    /// Someone wants to know the elements of a pool (§2.2.5).
    HandleResolution {
        /// The pool.
        pool: PoolHandle,
        /// Whether to send an update whenever the pool changes (the S bit).
        subscribe: bool,
        /// RSPLIB: how many elements are wanted; 0 for as many as the registrar likes, 0xffffffff for all.
        items: Option<u32>,
    },
    /// The elements of a pool (§2.2.6).
    HandleResolutionResponse {
        /// The pool.
        pool: PoolHandle,
        /// Whether updates will follow (the A bit).
        updates: bool,
        /// The pool's policy; without one it is Round Robin.
        policy: Option<PolicyParam>,
        /// The elements, best first. What does not fit into a message is left out when it is written.
        elements: Vec<PoolElementParam>,
        /// Why there are no elements.
        error: Option<OperationError>,
    },
    /// A registrar wants to know whether a pool element is there (§2.2.7).
    EndpointKeepAlive {
        /// Whether the registrar wants to be the home registrar (the H flag).
        home: bool,
        /// Who the registrar is.
        server: Option<RegistrarId>,
        /// The pool.
        pool: PoolHandle,
        /// RSPLIB: which of the pool's elements is meant.
        pe: Option<PeId>,
    },
    /// A pool element is there (§2.2.8).
    EndpointKeepAliveAck {
        /// Its pool.
        pool: PoolHandle,
        /// Which it is.
        pe: PeId,
    },
    /// Someone could not reach a pool element (§2.2.9).
    EndpointUnreachable {
        /// Its pool.
        pool: PoolHandle,
        /// Which it is.
        pe: PeId,
    },
    /// A registrar is there (§2.2.10).
    ServerAnnounce {
        /// Who it is.
        server: Option<RegistrarId>,
        /// Where it is: SCTP and TCP only. Without any, where the message came from.
        transports: Vec<Transport>,
    },
    /// A pool element leaves state with its user (§2.2.11).
    Cookie {
        /// The state.
        cookie: Cookie,
    },
    /// A pool user brings the state from another pool element (§2.2.12).
    CookieEcho {
        /// The state.
        cookie: Cookie,
    },
    /// Who is at the other end of a control channel, and which elements to turn to should it fail (§2.2.13).
    BusinessCard {
        /// The sender's pool.
        pool: PoolHandle,
        /// RSPLIB: the pool's policy.
        policy: Option<PolicyParam>,
        /// The elements, in the order to try them. What does not fit into a message is left out when it is written.
        elements: Vec<PoolElementParam>,
    },
    /// A message could not be used (§2.2.14).
    Error {
        /// Why.
        error: OperationError,
    },
}

impl AsapMessage {
    /// Its type.
    pub const fn kind(&self) -> AsapType {
        match self {
            Self::Registration { .. } => AsapType::REGISTRATION,
            Self::Deregistration { .. } => AsapType::DEREGISTRATION,
            Self::RegistrationResponse { .. } => AsapType::REGISTRATION_RESPONSE,
            Self::DeregistrationResponse { .. } => AsapType::DEREGISTRATION_RESPONSE,
            Self::HandleResolution { .. } => AsapType::HANDLE_RESOLUTION,
            Self::HandleResolutionResponse { .. } => AsapType::HANDLE_RESOLUTION_RESPONSE,
            Self::EndpointKeepAlive { .. } => AsapType::ENDPOINT_KEEP_ALIVE,
            Self::EndpointKeepAliveAck { .. } => AsapType::ENDPOINT_KEEP_ALIVE_ACK,
            Self::EndpointUnreachable { .. } => AsapType::ENDPOINT_UNREACHABLE,
            Self::ServerAnnounce { .. } => AsapType::SERVER_ANNOUNCE,
            Self::Cookie { .. } => AsapType::COOKIE,
            Self::CookieEcho { .. } => AsapType::COOKIE_ECHO,
            Self::BusinessCard { .. } => AsapType::BUSINESS_CARD,
            Self::Error { .. } => AsapType::ERROR,
        }
    }

    const fn flags(&self) -> u8 {
        let flag = match self {
            Self::RegistrationResponse { reject: flag, .. }
            | Self::HandleResolution { subscribe: flag, .. }
            | Self::HandleResolutionResponse { updates: flag, .. }
            | Self::EndpointKeepAlive { home: flag, .. } => *flag,
            _ => false,
        };
        flag as u8
    }

    /// The message as bytes, padding included.
    pub fn encode(&self) -> Bytes {
        write_message(self.kind().0, self.flags(), |w| self.write(w))
    }

    fn write(&self, w: &mut Writer<'_>) {
        match self {
            Self::Registration { pool, element } => {
                write_pool_handle(w, pool);
                element.write(w);
            }
            Self::Deregistration { pool, pe }
            | Self::EndpointKeepAliveAck { pool, pe }
            | Self::EndpointUnreachable { pool, pe } => {
                write_pool_handle(w, pool);
                write_pe_id(w, *pe);
            }
            Self::RegistrationResponse { pool, pe, error, .. } | Self::DeregistrationResponse { pool, pe, error } => {
                write_pool_handle(w, pool);
                write_pe_id(w, *pe);
                write_error(w, error.as_ref());
            }
            Self::HandleResolution { pool, items, .. } => {
                write_pool_handle(w, pool);
                if let Some(items) = items {
                    write_items(w, *items);
                }
            }
            Self::HandleResolutionResponse {
                pool,
                policy,
                elements,
                error,
                ..
            } => {
                write_pool_handle(w, pool);
                if error.is_some() {
                    // A negative response has neither policy nor elements (§2.2.6).
                    return write_error(w, error.as_ref());
                }
                write_policy_and_elements(w, policy.as_ref(), elements);
            }
            Self::EndpointKeepAlive { server, pool, pe, .. } => {
                w.u32(server.map_or(0, RegistrarId::as_u32));
                write_pool_handle(w, pool);
                if let Some(pe) = pe {
                    write_pe_id(w, *pe);
                }
            }
            Self::ServerAnnounce { server, transports } => {
                w.u32(server.map_or(0, RegistrarId::as_u32));
                write_while_room(w, transports, Transport::write);
            }
            Self::Cookie { cookie } | Self::CookieEcho { cookie } => write_cookie(w, cookie),
            Self::BusinessCard { pool, policy, elements } => {
                write_pool_handle(w, pool);
                write_policy_and_elements(w, policy.as_ref(), elements);
            }
            Self::Error { error } => error.write(w),
        }
    }

    /// Reads a message: the payload of an SCTP message with the ASAP identifier, or of an announcement's datagram.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_reporting(bytes).map(|(message, _)| message)
    }

    /// Reads a message, and says what to report to the sender although the message can be used: unknown parameters
    /// that ask for it (RFC 5354 §3, action 11).
    pub fn decode_reporting(bytes: &[u8]) -> Result<(Self, Option<OperationError>), DecodeError> {
        let raw = RawMessage::read(bytes)?;
        let mut reports = Reports::default();
        let decoded = Self::read(&raw, bytes, &mut reports);
        if raw.kind == AsapType::ERROR.0 {
            // An error is never answered by an error.
            return decoded.map(|message| (message, None)).map_err(DecodeError::silent);
        }
        decoded.map(|message| (message, reports.0))
    }

    fn read(raw: &RawMessage<'_>, bytes: &[u8], reports: &mut Reports) -> Result<Self, DecodeError> {
        let mut value = raw.value;
        let server = |value: &mut Reader<'_>| match value.u32("server identifier") {
            Ok(id) => Ok(RegistrarId::new(id)),
            Err(error) => Err(DecodeError::new(error.into(), bytes)),
        };
        let kind = AsapType(raw.kind);
        if kind == AsapType::SERVER_ANNOUNCE {
            let server = server(&mut value)?;
            let transports = read_transports(value, reports)?;
            return Ok(Self::ServerAnnounce { server, transports });
        }
        let server = match kind {
            AsapType::ENDPOINT_KEEP_ALIVE => server(&mut value)?,
            AsapType(0x01..=0x0e) => None,
            _ => return Err(raw.unknown(bytes)),
        };
        let body = Body::read(kind, value, reports)?;
        body.into_message(kind, raw.flag0(), server, bytes)
    }
}

fn write_error(w: &mut Writer<'_>, error: Option<&OperationError>) {
    if let Some(error) = error {
        error.write(w);
    }
}

fn write_policy_and_elements(w: &mut Writer<'_>, policy: Option<&PolicyParam>, elements: &[PoolElementParam]) {
    if let Some(policy) = policy {
        policy.write(w);
    }
    write_while_room(w, elements, PoolElementParam::write);
}

/// The transports of an announcement. RSPLIB reads Server Information there as well. Other protocols than SCTP and
/// TCP do not belong there (§2.2.10) and are left out.
fn read_transports(value: Reader<'_>, reports: &mut Reports) -> Result<Vec<Transport>, DecodeError> {
    let mut transports = Vec::new();
    for_each_param(value, reports, |kind, tlv, reports| {
        match kind {
            ParamType::SCTP_TRANSPORT | ParamType::TCP_TRANSPORT => transports.push(Transport::read(&tlv, reports)?),
            ParamType::SERVER_INFORMATION => {
                let transport: SctpTransport = ServerInformation::read(&tlv, reports)?.transport;
                transports.push(transport.into());
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(transports)
}

/// The parameters of a message, whatever their order. Those that have no place in the message are not looked at.
#[derive(Debug, Default)]
struct Body {
    pool: Option<PoolHandle>,
    pe: Option<PeId>,
    items: Option<u32>,
    policy: Option<PolicyParam>,
    elements: Vec<PoolElementParam>,
    error: Option<OperationError>,
    cookie: Option<Cookie>,
}

impl Body {
    fn read(message: AsapType, value: Reader<'_>, reports: &mut Reports) -> Result<Self, DecodeError> {
        let mut body = Self::default();
        for_each_param(value, reports, |kind, tlv, reports| {
            body.take(message, kind, &tlv, reports)
        })?;
        Ok(body)
    }

    fn take(
        &mut self,
        message: AsapType,
        kind: ParamType,
        tlv: &Tlv<'_>,
        reports: &mut Reports,
    ) -> Result<(), DecodeError> {
        match (kind, message) {
            (ParamType::COOKIE, AsapType::COOKIE | AsapType::COOKIE_ECHO) => {
                set_once(&mut self.cookie, read_cookie(tlv)?, "cookie", tlv.raw)
            }
            (_, AsapType::COOKIE | AsapType::COOKIE_ECHO) => Ok(()),
            (
                ParamType::OPERATION_ERROR,
                AsapType::REGISTRATION_RESPONSE
                | AsapType::DEREGISTRATION_RESPONSE
                | AsapType::HANDLE_RESOLUTION_RESPONSE
                | AsapType::ERROR,
            ) => {
                let error = OperationError::read(tlv.value, tlv.raw)?;
                set_once(&mut self.error, error, "operation error", tlv.raw)
            }
            (_, AsapType::ERROR) => Ok(()),
            (ParamType::POOL_HANDLE, _) => set_once(&mut self.pool, read_pool_handle(tlv)?, "pool handle", tlv.raw),
            (ParamType::PE_IDENTIFIER, _) => set_once(&mut self.pe, read_pe_id(tlv)?, "PE identifier", tlv.raw),
            (ParamType::HANDLE_RESOLUTION_OPTION, AsapType::HANDLE_RESOLUTION) => {
                set_once(&mut self.items, read_items(tlv)?, "handle resolution option", tlv.raw)
            }
            (ParamType::POLICY, AsapType::HANDLE_RESOLUTION_RESPONSE | AsapType::BUSINESS_CARD) => {
                set_once(&mut self.policy, PolicyParam::read(tlv)?, "policy", tlv.raw)
            }
            (
                ParamType::POOL_ELEMENT,
                AsapType::REGISTRATION | AsapType::HANDLE_RESOLUTION_RESPONSE | AsapType::BUSINESS_CARD,
            ) => {
                if message == AsapType::REGISTRATION && !self.elements.is_empty() {
                    return Err(DecodeError::new(Problem::Repeated("pool element"), tlv.raw));
                }
                self.elements.push(PoolElementParam::read(tlv, reports)?);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn into_message(
        self,
        kind: AsapType,
        flag: bool,
        server: Option<RegistrarId>,
        bytes: &[u8],
    ) -> Result<AsapMessage, DecodeError> {
        let missing = |name| DecodeError::new(Problem::Missing(name), bytes);
        let cookie = || self.cookie.ok_or_else(|| missing("cookie"));
        match kind {
            AsapType::COOKIE => return Ok(AsapMessage::Cookie { cookie: cookie()? }),
            AsapType::COOKIE_ECHO => return Ok(AsapMessage::CookieEcho { cookie: cookie()? }),
            AsapType::ERROR => {
                let error = self.error.ok_or_else(|| missing("operation error"))?;
                return Ok(AsapMessage::Error { error });
            }
            _ => {}
        }
        let pool = self.pool.ok_or_else(|| missing("pool handle"))?;
        let pe = || self.pe.ok_or_else(|| missing("PE identifier"));
        let (error, policy, elements) = (self.error, self.policy, self.elements);
        Ok(match kind {
            AsapType::REGISTRATION => AsapMessage::Registration {
                pool,
                element: elements.into_iter().next().ok_or_else(|| missing("pool element"))?,
            },
            AsapType::DEREGISTRATION => AsapMessage::Deregistration { pool, pe: pe()? },
            AsapType::REGISTRATION_RESPONSE => AsapMessage::RegistrationResponse {
                pool,
                pe: pe()?,
                reject: flag,
                error,
            },
            AsapType::DEREGISTRATION_RESPONSE => AsapMessage::DeregistrationResponse { pool, pe: pe()?, error },
            AsapType::HANDLE_RESOLUTION => AsapMessage::HandleResolution {
                pool,
                subscribe: flag,
                items: self.items,
            },
            AsapType::HANDLE_RESOLUTION_RESPONSE => AsapMessage::HandleResolutionResponse {
                pool,
                updates: flag,
                policy,
                elements,
                error,
            },
            AsapType::ENDPOINT_KEEP_ALIVE => AsapMessage::EndpointKeepAlive {
                home: flag,
                server,
                pool,
                pe: self.pe,
            },
            AsapType::ENDPOINT_KEEP_ALIVE_ACK => AsapMessage::EndpointKeepAliveAck { pool, pe: pe()? },
            AsapType::ENDPOINT_UNREACHABLE => AsapMessage::EndpointUnreachable { pool, pe: pe()? },
            AsapType::BUSINESS_CARD => AsapMessage::BusinessCard { pool, policy, elements },
            other => return Err(DecodeError::new(Problem::UnknownMessage(other.0), bytes)),
        })
    }
}

#[cfg(test)]
mod tests;
