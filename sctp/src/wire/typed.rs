//! A chunk read by its type: for who looks at a packet as a whole. The association asks the readers one by one, since
//! each chunk type has its own answer to bytes that cannot be read.

use crate::error::DecodeError;
use crate::wire::chunk::{ChunkType, RawChunk};
use crate::wire::control::{Abort, CookieEcho, OperationError, Shutdown, ShutdownComplete};
use crate::wire::data::DataChunk;
use crate::wire::heartbeat::Heartbeat;
use crate::wire::init::Init;
use crate::wire::sack::Sack;

/// A chunk of RFC 9260, borrowed.
#[derive(Clone, Debug)]
pub enum Chunk<'a> {
    /// DATA.
    Data(DataChunk<'a>),
    /// INIT.
    Init(Init<'a>),
    /// INIT ACK.
    InitAck(Init<'a>),
    /// SACK.
    Sack(Sack<'a>),
    /// HEARTBEAT.
    Heartbeat(Heartbeat<'a>),
    /// HEARTBEAT ACK.
    HeartbeatAck(Heartbeat<'a>),
    /// ABORT.
    Abort(Abort<'a>),
    /// SHUTDOWN.
    Shutdown(Shutdown),
    /// SHUTDOWN ACK.
    ShutdownAck,
    /// ERROR.
    Error(OperationError<'a>),
    /// COOKIE ECHO.
    CookieEcho(CookieEcho<'a>),
    /// COOKIE ACK.
    CookieAck,
    /// SHUTDOWN COMPLETE.
    ShutdownComplete(ShutdownComplete),
    /// Any other chunk; [`RawChunk::unknown_action`] says what to do.
    Unknown(RawChunk<'a>),
}

impl<'a> Chunk<'a> {
    /// Reads `chunk` by its type.
    pub fn parse(chunk: &RawChunk<'a>) -> Result<Self, DecodeError> {
        let RawChunk { kind, flags, value, .. } = *chunk;
        Ok(match kind {
            ChunkType::DATA => Self::Data(DataChunk::parse(flags, value)?),
            ChunkType::INIT => Self::Init(Init::parse(value)?),
            ChunkType::INIT_ACK => Self::InitAck(Init::parse(value)?),
            ChunkType::SACK => Self::Sack(Sack::parse(value)?),
            ChunkType::HEARTBEAT => Self::Heartbeat(Heartbeat::parse(value)?),
            ChunkType::HEARTBEAT_ACK => Self::HeartbeatAck(Heartbeat::parse(value)?),
            ChunkType::ABORT => Self::Abort(Abort::parse(flags, value)?),
            ChunkType::SHUTDOWN => Self::Shutdown(Shutdown::parse(value)?),
            ChunkType::SHUTDOWN_ACK => Self::ShutdownAck,
            ChunkType::ERROR => Self::Error(OperationError::parse(value)?),
            ChunkType::COOKIE_ECHO => Self::CookieEcho(CookieEcho::parse(value)?),
            ChunkType::COOKIE_ACK => Self::CookieAck,
            ChunkType::SHUTDOWN_COMPLETE => Self::ShutdownComplete(ShutdownComplete::parse(flags)),
            _ => Self::Unknown(*chunk),
        })
    }
}
