//! Error causes for ABORT and ERROR chunks (RFC 9260 §3.3.10), and how much of a peer's packet they quote.

use bytes::Bytes;

use crate::tlv::Writer;

/// The error causes that `write` writes, for an ABORT or ERROR chunk.
pub(crate) fn causes(write: impl FnOnce(&mut Writer<'_>)) -> Bytes {
    let mut buf = Vec::new();
    write(&mut Writer::new(&mut buf));
    buf.into()
}

/// How many bytes of a peer's packet are quoted back in one cause, at most.
const MAX_QUOTE: usize = 256;

/// The part of what a peer sent that is quoted back to it.
pub(crate) fn quotable(bytes: &[u8]) -> &[u8] {
    bytes.get(..MAX_QUOTE).unwrap_or(bytes)
}

/// As many of the parameters as may be quoted back, whole ones.
pub(crate) fn bounded<'p>(params: impl Iterator<Item = &'p [u8]>) -> impl Iterator<Item = &'p [u8]> {
    let mut room = 2 * MAX_QUOTE;
    params.take_while(move |param| {
        let fits = param.len() <= room;
        room = room.saturating_sub(param.len());
        fits
    })
}
