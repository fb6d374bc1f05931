//! Messages that come in several sends (SCTP_EXPLICIT_EOR, RFC 6458 §8.1.26).

use bytes::{Bytes, BytesMut};
use sctp::{AssocId, EndpointId};

use super::Sockets;
use crate::{Error, Result, SndInfo};

/// The beginning of a message.
#[derive(Debug)]
pub(super) struct Record {
    /// How it is to be sent: as the first send said.
    info: SndInfo,
    bytes: BytesMut,
}

impl Sockets {
    /// Adds a piece to the message that an association is given in several sends. What is to be sent now, and how; `None`
    /// if more is to come. Should it not be sent, nothing has changed.
    pub(super) fn whole(
        &mut self,
        endpoint: EndpointId,
        id: AssocId,
        piece: &Bytes,
        info: &SndInfo,
    ) -> Result<Option<(Bytes, SndInfo)>> {
        let limit = self.stack.association_config(id).map(|config| config.send_buffer());
        let limit = limit
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(usize::MAX);
        let assoc = self.assoc_mut(endpoint, id).ok_or(Error::NoSuchAssociation)?;
        if !assoc.defaults.as_ref().is_some_and(|defaults| defaults.explicit_eor) {
            return Ok(Some((piece.clone(), *info)));
        }
        let begun = assoc.record.as_ref();
        if begun.is_some_and(|record| record.info.stream != info.stream && !info.use_defaults) {
            return Err(Error::InvalidStream);
        }
        let before = begun.map_or(0, |record| record.bytes.len());
        if before + piece.len() > limit {
            return Err(Error::MessageTooLarge);
        }
        if info.end_of_record || info.eof {
            let Some(record) = begun else {
                return Ok(Some((piece.clone(), *info)));
            };
            let mut all = BytesMut::with_capacity(before + piece.len());
            all.extend_from_slice(&record.bytes);
            all.extend_from_slice(piece);
            let how = SndInfo {
                eof: info.eof,
                ..record.info
            };
            return Ok(Some((all.freeze(), how)));
        }
        let record = assoc.record.get_or_insert_with(|| {
            Box::new(Record {
                info: *info,
                bytes: BytesMut::new(),
            })
        });
        record.bytes.extend_from_slice(piece);
        Ok(None)
    }
}
