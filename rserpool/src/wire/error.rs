//! What can be wrong with a message, and what its receiver answers.

use bytes::Bytes;
use sctp::tlv::{ReadError, UnknownAction};
use thiserror::Error;

use super::cause::{Cause, CauseCode};

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// A field is cut off, a length is wrong, or something is left over.
    #[error(transparent)]
    Malformed(#[from] ReadError),
    /// A message type that is not known.
    #[error("unknown message type {0:#04x}")]
    UnknownMessage(u8),
    /// A parameter type that is not known, and that forbids going on without it.
    #[error("unknown parameter type {0:#06x}")]
    UnknownParameter(u16),
    /// A parameter with a value that its definition rules out.
    #[error("invalid value of {0}")]
    InvalidValue(&'static str),
    /// A mandatory parameter is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A parameter that may be there once is there again.
    #[error("{0} is there more than once")]
    Repeated(&'static str),
}

/// A message cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{problem}")]
pub struct DecodeError {
    problem: Problem,
    answer: Option<Cause>,
}

impl DecodeError {
    /// What is wrong.
    pub const fn problem(&self) -> Problem {
        self.problem
    }

    /// The cause to report to the sender, in an ERROR message or a refusing response; `None` when the message is to
    /// be discarded in silence (RFC 5354 §3, §4).
    pub const fn answer(&self) -> Option<&Cause> {
        self.answer.as_ref()
    }

    /// The error about `offender`: the TLV or the message that is wrong, header included.
    pub(crate) fn new(problem: Problem, offender: &[u8]) -> Self {
        let code = match problem {
            // RFC 5354 §4: the two highest bits of a message type; 10 and 11 are reserved, so nothing is promised.
            Problem::UnknownMessage(kind) => match UnknownAction::of_chunk(kind) {
                UnknownAction::StopAndReport => Some(CauseCode::UNRECOGNIZED_MESSAGE),
                _ => None,
            },
            // RFC 5354 §3: the two highest bits of a parameter type.
            Problem::UnknownParameter(kind) => {
                let report = UnknownAction::of_parameter(kind).reports();
                report.then_some(CauseCode::UNRECOGNIZED_PARAMETER)
            }
            _ => Some(CauseCode::INVALID_VALUES),
        };
        Self {
            problem,
            answer: code.map(|code| Cause::new(code, Bytes::copy_from_slice(offender))),
        }
    }

    /// The same, without an answer.
    pub(crate) fn silent(self) -> Self {
        Self { answer: None, ..self }
    }
}
