//! ASCONF and ASCONF-ACK chunks and the parameters in them (RFC 5061 §4.1, §4.2).

use std::fmt;
use std::iter::FusedIterator;
use std::net::IpAddr;

use crate::error::DecodeError;
use crate::serial::{AsconfSerial, CorrelationId};
use crate::tlv::{Reader, Tlv, Writer};
use crate::wire::cause::Causes;
use crate::wire::chunk::{ChunkType, write_chunk_of_tlvs};
use crate::wire::param::{Param, ParamType, read_address};
use crate::wire::tlvs::Tlvs;

/// An ASCONF, borrowed (RFC 5061 §4.1.1).
#[derive(Clone, Debug)]
pub struct Asconf<'a> {
    /// Its sequence number.
    pub serial: AsconfSerial,
    /// An address of the sender, by which the association may be found; the wildcard tells nothing.
    pub address: IpAddr,
    /// What is asked for.
    pub requests: AsconfRequests<'a>,
}

impl<'a> Asconf<'a> {
    /// Reads the value of an ASCONF, whose requests must have right lengths. Without an IPv4 or IPv6 address in its
    /// place it is refused.
    pub fn parse(value: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(value);
        let serial = AsconfSerial(reader.u32("ASCONF")?);
        let address = read_address(&mut reader, "ASCONF Address Parameter")?;
        let requests = AsconfRequests {
            tlvs: Tlvs::new(reader.take_rest(), "ASCONF Parameter"),
        };
        requests.tlvs.check()?;
        Ok(Self {
            serial,
            address,
            requests,
        })
    }
}

/// A change that an ASCONF may ask for. The wildcard address stands for the source address of the packet; to delete it
/// is to delete all others (RFC 5061 §4.2.1, §4.2.2, §4.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressChange {
    /// Add this address of the sender to the association.
    Add(IpAddr),
    /// Take this address of the sender out of the association.
    Delete(IpAddr),
    /// Send to this address of the sender first.
    SetPrimary(IpAddr),
}

impl AddressChange {
    /// Its parameter type.
    pub const fn kind(&self) -> ParamType {
        match self {
            Self::Add(_) => ParamType::ADD_IP_ADDRESS,
            Self::Delete(_) => ParamType::DELETE_IP_ADDRESS,
            Self::SetPrimary(_) => ParamType::SET_PRIMARY_ADDRESS,
        }
    }

    /// The address it is about.
    pub const fn address(&self) -> IpAddr {
        match self {
            Self::Add(address) | Self::Delete(address) | Self::SetPrimary(address) => *address,
        }
    }

    /// Appends the request. An IPv4-mapped IPv6 address is written as an IPv4 Address (RFC 9260 §3.3.2.1.2).
    pub fn write(&self, w: &mut Writer<'_>, correlation_id: CorrelationId) {
        w.tlv(self.kind().0, |w| {
            w.u32(correlation_id.0);
            Param::address(self.address()).write(w);
        });
    }
}

/// A request of an ASCONF, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsconfRequest<'a> {
    /// What the response gives back.
    pub correlation_id: CorrelationId,
    /// What it asks for; `None` if its type is not one of [`AddressChange`], or if it is but has no address that can be
    /// read.
    pub change: Option<AddressChange>,
    /// The request as it lies in the chunk. An error cause quotes its `raw` (RFC 5061 §4.3).
    pub tlv: Tlv<'a>,
}

impl<'a> AsconfRequest<'a> {
    /// Reads a request; one without a correlation ID is an error.
    pub fn parse(tlv: Tlv<'a>) -> Result<Self, DecodeError> {
        let mut value = Reader::new(tlv.value);
        let correlation_id = CorrelationId(value.u32("ASCONF-Request Correlation ID")?);
        let change = match ParamType(tlv.kind) {
            ParamType::ADD_IP_ADDRESS => only_address(value).map(AddressChange::Add),
            ParamType::DELETE_IP_ADDRESS => only_address(value).map(AddressChange::Delete),
            ParamType::SET_PRIMARY_ADDRESS => only_address(value).map(AddressChange::SetPrimary),
            _ => None,
        };
        Ok(Self {
            correlation_id,
            change,
            tlv,
        })
    }

    /// Whether its type is one of [`AddressChange`].
    pub const fn is_known(&self) -> bool {
        matches!(
            ParamType(self.tlv.kind),
            ParamType::ADD_IP_ADDRESS | ParamType::DELETE_IP_ADDRESS | ParamType::SET_PRIMARY_ADDRESS
        )
    }
}

fn only_address(mut value: Reader<'_>) -> Option<IpAddr> {
    let address = read_address(&mut value, "Address Parameter").ok()?;
    value.is_empty().then_some(address)
}

/// The requests of an ASCONF in their order. One without a correlation ID is an error, and the next one follows.
#[derive(Clone)]
pub struct AsconfRequests<'a> {
    tlvs: Tlvs<'a>,
}

impl fmt::Debug for AsconfRequests<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a> Iterator for AsconfRequests<'a> {
    type Item = Result<AsconfRequest<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.tlvs.next().map(|tlv| tlv.and_then(AsconfRequest::parse))
    }
}

impl FusedIterator for AsconfRequests<'_> {}

/// An ASCONF-ACK, borrowed (RFC 5061 §4.1.2).
#[derive(Clone, Debug)]
pub struct AsconfAck<'a> {
    /// The sequence number of the ASCONF it answers.
    pub serial: AsconfSerial,
    /// What became of requests; those that have no response here succeeded, unless they come after one that failed
    /// (RFC 5061 §5.1 A7, A8).
    pub responses: AsconfResponses<'a>,
}

impl<'a> AsconfAck<'a> {
    /// Reads the value of an ASCONF-ACK, whose responses must have right lengths.
    pub fn parse(value: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(value);
        let serial = AsconfSerial(reader.u32("ASCONF-ACK")?);
        let responses = AsconfResponses {
            tlvs: Tlvs::new(reader.take_rest(), "ASCONF Parameter Response"),
        };
        responses.tlvs.check()?;
        Ok(Self { serial, responses })
    }
}

/// A response of an ASCONF-ACK, borrowed.
#[derive(Clone, Debug)]
pub enum AsconfResponse<'a> {
    /// Success Indication: the request was carried out.
    Success(CorrelationId),
    /// Error Cause Indication: it was not.
    Error {
        /// Of the request.
        correlation_id: CorrelationId,
        /// Why not.
        causes: Causes<'a>,
    },
    /// Any other parameter; [`Tlv::unknown_action`] says what to do.
    Unknown(Tlv<'a>),
}

impl<'a> AsconfResponse<'a> {
    /// Reads a response. A value that does not have the form of its type is an error.
    pub fn parse(tlv: Tlv<'a>) -> Result<Self, DecodeError> {
        let mut value = Reader::new(tlv.value);
        match ParamType(tlv.kind) {
            ParamType::SUCCESS_INDICATION => {
                let at = "Success Indication";
                let correlation_id = CorrelationId(value.u32(at)?);
                value.finish(at)?;
                Ok(Self::Success(correlation_id))
            }
            ParamType::ERROR_CAUSE_INDICATION => {
                let correlation_id = CorrelationId(value.u32("Error Cause Indication")?);
                let causes = Causes::new(value.take_rest());
                causes.tlvs().check()?;
                Ok(Self::Error { correlation_id, causes })
            }
            _ => Ok(Self::Unknown(tlv)),
        }
    }
}

/// The responses of an ASCONF-ACK in their order. One whose value does not fit its type is an error, and the next one
/// follows.
#[derive(Clone)]
pub struct AsconfResponses<'a> {
    tlvs: Tlvs<'a>,
}

impl fmt::Debug for AsconfResponses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a> Iterator for AsconfResponses<'a> {
    type Item = Result<AsconfResponse<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.tlvs.next().map(|tlv| tlv.and_then(AsconfResponse::parse))
    }
}

impl FusedIterator for AsconfResponses<'_> {}

/// Appends an ASCONF with the requests that `requests` writes, for instance by [`AddressChange::write`].
pub fn write_asconf(buf: &mut Vec<u8>, serial: AsconfSerial, address: IpAddr, requests: impl FnOnce(&mut Writer<'_>)) {
    let mut fixed = Vec::with_capacity(24);
    let mut w = Writer::new(&mut fixed);
    w.u32(serial.0);
    Param::address(address).write(&mut w);
    write_chunk_of_tlvs(buf, ChunkType::ASCONF, 0, &fixed, requests);
}

/// Appends an ASCONF-ACK with the responses that `responses` writes; with none, all requests succeeded.
pub fn write_asconf_ack(buf: &mut Vec<u8>, serial: AsconfSerial, responses: impl FnOnce(&mut Writer<'_>)) {
    write_chunk_of_tlvs(buf, ChunkType::ASCONF_ACK, 0, &serial.0.to_be_bytes(), responses);
}

/// Appends a Success Indication.
pub fn write_success_indication(w: &mut Writer<'_>, correlation_id: CorrelationId) {
    w.tlv(ParamType::SUCCESS_INDICATION.0, |w| w.u32(correlation_id.0));
}

/// Appends an Error Cause Indication with the causes that `causes` writes, for instance by
/// [`Cause::write`](crate::wire::Cause::write).
pub fn write_error_cause_indication(
    w: &mut Writer<'_>,
    correlation_id: CorrelationId,
    causes: impl FnOnce(&mut Writer<'_>),
) {
    w.tlv(ParamType::ERROR_CAUSE_INDICATION.0, |w| {
        w.u32(correlation_id.0);
        causes(w);
    });
}
