//! Messages that come in several sends (SCTP_EXPLICIT_EOR, RFC 6458 §8.1.26).

use sctp::error::SendError;
use sctp::{AssocId, EndpointId};

use super::Sockets;
use crate::{Error, Result, SndInfo};

/// How a send stands in its message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// How it is to be sent: as the first send of the message said.
    pub(super) info: SndInfo,
    /// It is not the whole message.
    pub(super) piece: bool,
    /// It is the end of it.
    pub(super) end: bool,
}

impl Sockets {
    /// Where a send stands in the message that an association is given in several.
    pub(super) fn place(&mut self, endpoint: EndpointId, id: AssocId, info: &SndInfo) -> Result<Place> {
        let assoc = self.assoc_mut(endpoint, id).ok_or(Error::NoSuchAssociation)?;
        let explicit = assoc.defaults.as_ref().is_some_and(|defaults| defaults.explicit_eor);
        let begun = assoc.record.as_deref();
        if begun.is_some_and(|record| record.stream != info.stream && !info.use_defaults) {
            return Err(Error::InvalidStream);
        }
        let end = !explicit || info.end_of_record || info.eof;
        Ok(Place {
            info: begun.map_or(*info, |record| SndInfo {
                eof: info.eof,
                ..*record
            }),
            piece: begun.is_some() || !end,
            end,
        })
    }

    /// The engine has been given what stands at `place`.
    pub(super) fn note_place(
        &mut self,
        endpoint: EndpointId,
        id: AssocId,
        place: &Place,
        result: Result<(), SendError>,
    ) {
        let Some(assoc) = self.assoc_mut(endpoint, id) else {
            return;
        };
        match result {
            Ok(()) if place.end => assoc.record = None,
            Ok(()) => {
                assoc.record.get_or_insert_with(|| Box::new(place.info));
            }
            Err(SendError::GivenUp) => assoc.record = None,
            Err(_) => {}
        }
    }
}
