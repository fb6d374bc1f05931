//! The Operation Error parameter as bytes (RFC 5354 §3.12).

use bytes::Bytes;
use sctp::tlv::{Reader, Writer};

use super::cause::{Cause, CauseCode, OperationError};
use super::error::{DecodeError, Problem};
use super::param::ParamType;

impl OperationError {
    pub(crate) fn write(&self, w: &mut Writer<'_>) {
        w.tlv(ParamType::OPERATION_ERROR.0, |w| {
            for cause in self.causes() {
                w.tlv(cause.code().0, |w| w.bytes(cause.info()));
            }
        });
    }

    pub(crate) fn read(value: &[u8], raw: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(value);
        let mut error: Option<Self> = None;
        while !reader.is_empty() {
            let at = "error cause";
            let cause = reader.tlv(at).map_err(|e| DecodeError::new(e.into(), raw))?;
            let cause = Cause::new(CauseCode(cause.kind), Bytes::copy_from_slice(cause.value));
            match &mut error {
                None => error = Some(Self::new(cause)),
                Some(error) => error.push(cause),
            }
        }
        error.ok_or_else(|| DecodeError::new(Problem::Missing("error cause"), raw))
    }
}
