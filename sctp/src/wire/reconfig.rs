//! RE-CONFIG chunks and the parameters in them (RFC 6525 §3, §4).

use std::fmt;
use std::iter::FusedIterator;

use crate::error::DecodeError;
use crate::serial::{RequestSeq, StreamId, Tsn};
use crate::tlv::{ReadError, Reader, Tlv, Writer};
use crate::wire::chunk::{ChunkType, write_chunk_of_tlvs};
use crate::wire::param::ParamType;
use crate::wire::tlvs::{Tlvs, TypeNumbers};

/// A RE-CONFIG, borrowed.
#[derive(Clone, Debug)]
pub struct Reconfig<'a> {
    /// Requests and responses.
    pub params: ReconfigParams<'a>,
}

impl<'a> Reconfig<'a> {
    /// Reads the value of a RE-CONFIG, whose parameters must have right lengths. Which ones may stand together is not
    /// looked at: [`is_allowed`](Self::is_allowed) is.
    pub fn parse(value: &'a [u8]) -> Result<Self, DecodeError> {
        let params = ReconfigParams {
            tlvs: Tlvs::new(value, "Re-configuration Parameter"),
        };
        params.tlvs.check()?;
        Ok(Self { params })
    }

    /// Whether its parameters are one of the combinations that may be sent (RFC 6525 §3.1), in either order.
    pub fn is_allowed(&self) -> bool {
        use ParamType as T;
        let mut kinds = self.params.tlvs.clone().map_while(Result::ok).map(|tlv| T(tlv.kind));
        match (kinds.next(), kinds.next(), kinds.next()) {
            (Some(kind), None, None) => matches!(
                kind,
                T::OUTGOING_SSN_RESET
                    | T::INCOMING_SSN_RESET
                    | T::SSN_TSN_RESET
                    | T::ADD_OUTGOING_STREAMS
                    | T::ADD_INCOMING_STREAMS
                    | T::RECONFIG_RESPONSE
            ),
            (Some(first), Some(second), None) => matches!(
                (first, second),
                (T::OUTGOING_SSN_RESET, T::INCOMING_SSN_RESET)
                    | (T::INCOMING_SSN_RESET, T::OUTGOING_SSN_RESET)
                    | (T::ADD_OUTGOING_STREAMS, T::ADD_INCOMING_STREAMS)
                    | (T::ADD_INCOMING_STREAMS, T::ADD_OUTGOING_STREAMS)
                    | (T::RECONFIG_RESPONSE, T::OUTGOING_SSN_RESET)
                    | (T::OUTGOING_SSN_RESET, T::RECONFIG_RESPONSE)
                    | (T::RECONFIG_RESPONSE, T::RECONFIG_RESPONSE)
            ),
            _ => false,
        }
    }
}

/// What became of a request (RFC 6525 §4.4): any number, with names for those that are assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReconfigResult(pub u32);

impl ReconfigResult {
    /// Success - Nothing to do.
    pub const NOTHING_TO_DO: Self = Self(0);
    /// Success - Performed.
    pub const PERFORMED: Self = Self(1);
    /// Denied.
    pub const DENIED: Self = Self(2);
    /// Error - Wrong SSN.
    pub const WRONG_SSN: Self = Self(3);
    /// Error - Request already in progress.
    pub const REQUEST_ALREADY_IN_PROGRESS: Self = Self(4);
    /// Error - Bad Sequence Number.
    pub const BAD_SEQUENCE_NUMBER: Self = Self(5);
    /// In progress.
    pub const IN_PROGRESS: Self = Self(6);

    /// Whether the request was carried out, or asked for nothing.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::NOTHING_TO_DO | Self::PERFORMED)
    }
}

/// A parameter of a RE-CONFIG, borrowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReconfigParam<'a> {
    /// Outgoing SSN Reset Request: the sender resets streams it sends on (§4.1).
    OutgoingSsnReset {
        /// Of this request.
        request_seq: RequestSeq,
        /// Of the peer's request that this one answers; otherwise the last one that came from the peer.
        response_seq: RequestSeq,
        /// The last TSN the sender assigned: what comes after it has the new SSNs.
        last_assigned_tsn: Tsn,
        /// The streams; none means all.
        streams: StreamIds<'a>,
    },
    /// Incoming SSN Reset Request: the sender wants the peer to reset streams that the peer sends on (§4.2).
    IncomingSsnReset {
        /// Of this request.
        request_seq: RequestSeq,
        /// The streams; none means all.
        streams: StreamIds<'a>,
    },
    /// SSN/TSN Reset Request: everything starts anew, in both directions (§4.3).
    SsnTsnReset {
        /// Of this request.
        request_seq: RequestSeq,
    },
    /// Re-configuration Response (§4.4).
    Response {
        /// Of the request that it answers.
        response_seq: RequestSeq,
        /// What became of it.
        result: ReconfigResult,
        /// The TSNs that follow an SSN/TSN reset.
        next_tsns: Option<NextTsns>,
    },
    /// Add Outgoing Streams Request: the sender wants to send on more streams (§4.5).
    AddOutgoingStreams {
        /// Of this request.
        request_seq: RequestSeq,
        /// How many more.
        new_streams: u16,
    },
    /// Add Incoming Streams Request: the sender wants the peer to send on more streams (§4.6).
    AddIncomingStreams {
        /// Of this request.
        request_seq: RequestSeq,
        /// How many more.
        new_streams: u16,
    },
    /// Any other parameter; [`Tlv::unknown_action`] says what to do.
    Unknown(Tlv<'a>),
}

/// The TSNs in the response to an SSN/TSN Reset Request (RFC 6525 §4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextTsns {
    /// What the sender of the response sends next.
    pub sender: Tsn,
    /// What the receiver of the response must send next.
    pub receiver: Tsn,
}

impl<'a> ReconfigParam<'a> {
    /// Reads a parameter. A value that does not have the form of its type is an error.
    pub fn parse(tlv: Tlv<'a>) -> Result<Self, DecodeError> {
        let mut value = Reader::new(tlv.value);
        let (param, at) = match ParamType(tlv.kind) {
            ParamType::OUTGOING_SSN_RESET => {
                let at = "Outgoing SSN Reset Request";
                let param = Self::OutgoingSsnReset {
                    request_seq: RequestSeq(value.u32(at)?),
                    response_seq: RequestSeq(value.u32(at)?),
                    last_assigned_tsn: Tsn(value.u32(at)?),
                    streams: StreamIds::new(value.take_rest(), at)?,
                };
                (param, at)
            }
            ParamType::INCOMING_SSN_RESET => {
                let at = "Incoming SSN Reset Request";
                let param = Self::IncomingSsnReset {
                    request_seq: RequestSeq(value.u32(at)?),
                    streams: StreamIds::new(value.take_rest(), at)?,
                };
                (param, at)
            }
            ParamType::SSN_TSN_RESET => {
                let at = "SSN/TSN Reset Request";
                let request_seq = RequestSeq(value.u32(at)?);
                (Self::SsnTsnReset { request_seq }, at)
            }
            ParamType::RECONFIG_RESPONSE => {
                let at = "Re-configuration Response";
                let param = Self::Response {
                    response_seq: RequestSeq(value.u32(at)?),
                    result: ReconfigResult(value.u32(at)?),
                    next_tsns: next_tsns(&mut value, at)?,
                };
                (param, at)
            }
            ParamType::ADD_OUTGOING_STREAMS => {
                let at = "Add Outgoing Streams Request";
                let (request_seq, new_streams) = new_streams(&mut value, at)?;
                (
                    Self::AddOutgoingStreams {
                        request_seq,
                        new_streams,
                    },
                    at,
                )
            }
            ParamType::ADD_INCOMING_STREAMS => {
                let at = "Add Incoming Streams Request";
                let (request_seq, new_streams) = new_streams(&mut value, at)?;
                (
                    Self::AddIncomingStreams {
                        request_seq,
                        new_streams,
                    },
                    at,
                )
            }
            _ => return Ok(Self::Unknown(tlv)),
        };
        value.finish(at)?;
        Ok(param)
    }

    /// Its type.
    pub const fn kind(&self) -> ParamType {
        match self {
            Self::OutgoingSsnReset { .. } => ParamType::OUTGOING_SSN_RESET,
            Self::IncomingSsnReset { .. } => ParamType::INCOMING_SSN_RESET,
            Self::SsnTsnReset { .. } => ParamType::SSN_TSN_RESET,
            Self::Response { .. } => ParamType::RECONFIG_RESPONSE,
            Self::AddOutgoingStreams { .. } => ParamType::ADD_OUTGOING_STREAMS,
            Self::AddIncomingStreams { .. } => ParamType::ADD_INCOMING_STREAMS,
            Self::Unknown(tlv) => ParamType(tlv.kind),
        }
    }

    /// Appends the parameter with its padding. [`write_outgoing_ssn_reset`] and [`write_incoming_ssn_reset`] make the
    /// ones that list streams.
    pub fn write(&self, w: &mut Writer<'_>) {
        w.tlv(self.kind().0, |w| match self {
            Self::OutgoingSsnReset {
                request_seq,
                response_seq,
                last_assigned_tsn,
                streams,
            } => {
                w.u32(request_seq.0);
                w.u32(response_seq.0);
                w.u32(last_assigned_tsn.0);
                w.bytes(streams.numbers.as_bytes());
            }
            Self::IncomingSsnReset { request_seq, streams } => {
                w.u32(request_seq.0);
                w.bytes(streams.numbers.as_bytes());
            }
            Self::SsnTsnReset { request_seq } => w.u32(request_seq.0),
            Self::Response {
                response_seq,
                result,
                next_tsns,
            } => {
                w.u32(response_seq.0);
                w.u32(result.0);
                if let Some(NextTsns { sender, receiver }) = next_tsns {
                    w.u32(sender.0);
                    w.u32(receiver.0);
                }
            }
            Self::AddOutgoingStreams {
                request_seq,
                new_streams,
            }
            | Self::AddIncomingStreams {
                request_seq,
                new_streams,
            } => {
                w.u32(request_seq.0);
                w.u16(*new_streams);
                w.u16(0);
            }
            Self::Unknown(tlv) => w.bytes(tlv.value),
        });
    }
}

/// Both or neither of them are there (§4.4).
fn next_tsns(value: &mut Reader<'_>, at: &'static str) -> Result<Option<NextTsns>, ReadError> {
    if value.is_empty() {
        return Ok(None);
    }
    Ok(Some(NextTsns {
        sender: Tsn(value.u32(at)?),
        receiver: Tsn(value.u32(at)?),
    }))
}

/// Sequence number, number of streams, and a reserved field that is ignored (§4.5, §4.6).
fn new_streams(value: &mut Reader<'_>, at: &'static str) -> Result<(RequestSeq, u16), ReadError> {
    let request_seq = RequestSeq(value.u32(at)?);
    let count = value.u16(at)?;
    value.u16(at)?;
    Ok((request_seq, count))
}

/// Stream numbers of a request, as a peer gave them: in any order, perhaps repeated, perhaps of no stream there is.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamIds<'a> {
    numbers: TypeNumbers<'a>,
}

impl<'a> StreamIds<'a> {
    fn new(bytes: &'a [u8], at: &'static str) -> Result<Self, DecodeError> {
        Ok(Self {
            numbers: TypeNumbers::new(bytes, at)?,
        })
    }
}

impl fmt::Debug for StreamIds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl Iterator for StreamIds<'_> {
    type Item = StreamId;

    fn next(&mut self) -> Option<StreamId> {
        self.numbers.next().map(StreamId)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.numbers.size_hint()
    }
}

impl ExactSizeIterator for StreamIds<'_> {}
impl FusedIterator for StreamIds<'_> {}

/// The parameters of a RE-CONFIG in their order. One whose value does not fit its type is an error, and the next one
/// follows.
#[derive(Clone)]
pub struct ReconfigParams<'a> {
    tlvs: Tlvs<'a>,
}

impl fmt::Debug for ReconfigParams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a> Iterator for ReconfigParams<'a> {
    type Item = Result<ReconfigParam<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.tlvs.next().map(|tlv| tlv.and_then(ReconfigParam::parse))
    }
}

impl FusedIterator for ReconfigParams<'_> {}

/// Appends a RE-CONFIG with the parameters that `params` writes, for instance by [`ReconfigParam::write`]: one or two
/// (RFC 6525 §3.1).
pub fn write_reconfig(buf: &mut Vec<u8>, params: impl FnOnce(&mut Writer<'_>)) {
    write_chunk_of_tlvs(buf, ChunkType::RE_CONFIG, 0, &[], params);
}

/// Appends an Outgoing SSN Reset Request; no streams means all (RFC 6525 §4.1). Callers keep the list within the
/// packet.
pub fn write_outgoing_ssn_reset(
    w: &mut Writer<'_>,
    request_seq: RequestSeq,
    response_seq: RequestSeq,
    last_assigned_tsn: Tsn,
    streams: &[StreamId],
) {
    w.tlv(ParamType::OUTGOING_SSN_RESET.0, |w| {
        w.u32(request_seq.0);
        w.u32(response_seq.0);
        w.u32(last_assigned_tsn.0);
        streams.iter().for_each(|stream| w.u16(stream.0));
    });
}

/// Appends an Incoming SSN Reset Request; no streams means all (RFC 6525 §4.2). Callers keep the list within the
/// packet.
pub fn write_incoming_ssn_reset(w: &mut Writer<'_>, request_seq: RequestSeq, streams: &[StreamId]) {
    w.tlv(ParamType::INCOMING_SSN_RESET.0, |w| {
        w.u32(request_seq.0);
        streams.iter().for_each(|stream| w.u16(stream.0));
    });
}
