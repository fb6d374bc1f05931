//! Shared keys, and what is authenticated (RFC 6458 §8.1.18, §8.2.3, §8.2.4).

use std::io;

use super::abi::{self, Abi, AuthChunks, AuthKey};
use super::core::Core;
use super::errno;
use crate::{AuthKeyError, ChunkType, Error, Result, SharedKeyId};

/// Sets a shared key of an association, or of new ones.
pub(crate) fn set_auth_key(core: &Core, id: Option<i32>, key: SharedKeyId, secret: &[u8]) -> Result<()> {
    let head = AuthKey {
        assoc: id.unwrap_or(abi::FUTURE_ASSOC),
        key: key.0,
        length: u16::try_from(secret.len()).map_err(|_| Error::Unsupported("a key this long"))?,
    };
    let bytes = [&head.to_bytes(), secret].concat();
    core.set_bytes(abi::SCTP_AUTH_KEY, &bytes)?
        .map_err(|error| key_error(&error))
}

/// A list of chunk types; none where authentication is off.
pub(crate) fn auth_chunks(core: &Core, assoc: i32, name: i32) -> Result<Vec<ChunkType>> {
    let request = AuthChunks { assoc, count: 0 }.to_bytes();
    match core.get_bytes(name, &request, 512)? {
        Ok(answer) => {
            let count = AuthChunks::from_bytes(&answer).map_or(0, |head| head.count);
            let kinds = answer.get(AuthChunks::LEN..).unwrap_or_default();
            Ok(kinds
                .iter()
                .take(usize::try_from(count).unwrap_or(usize::MAX))
                .map(|kind| ChunkType(*kind))
                .collect())
        }
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => Ok(Vec::new()),
        Err(error) => Err(errno::of_association("reading a list of chunk types", &error)),
    }
}

/// What the kernel means by refusing to do something with a key.
pub(crate) fn key_error(error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(libc::EACCES) => Error::AuthKey(AuthKeyError::NotOffered),
        Some(libc::EINVAL) => Error::NoSuchKey,
        _ => errno::general("changing a key", error),
    }
}
