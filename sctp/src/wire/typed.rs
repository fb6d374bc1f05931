//! A chunk read by its type: for who looks at a packet as a whole. The association asks the readers one by one, since
//! each chunk type has its own answer to bytes that cannot be read.

use crate::error::DecodeError;
use crate::wire::asconf::{Asconf, AsconfAck};
use crate::wire::auth::Auth;
use crate::wire::chunk::{ChunkType, RawChunk};
use crate::wire::control::{Abort, CookieEcho, OperationError, Shutdown, ShutdownComplete};
use crate::wire::data::DataChunk;
use crate::wire::ecn::{Cwr, EcnEcho};
use crate::wire::forward_tsn::{ForwardTsn, IForwardTsn};
use crate::wire::heartbeat::Heartbeat;
use crate::wire::idata::IDataChunk;
use crate::wire::init::Init;
use crate::wire::reconfig::Reconfig;
use crate::wire::sack::Sack;

/// A chunk of RFC 9260 or one of its extensions, borrowed.
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
    /// ECNE.
    EcnEcho(EcnEcho),
    /// CWR.
    Cwr(Cwr),
    /// SHUTDOWN COMPLETE.
    ShutdownComplete(ShutdownComplete),
    /// AUTH.
    Auth(Auth<'a>),
    /// I-DATA.
    IData(IDataChunk<'a>),
    /// ASCONF.
    Asconf(Asconf<'a>),
    /// ASCONF-ACK.
    AsconfAck(AsconfAck<'a>),
    /// RE-CONFIG.
    Reconfig(Reconfig<'a>),
    /// PAD, with what its receiver ignores.
    Pad(&'a [u8]),
    /// FORWARD-TSN.
    ForwardTsn(ForwardTsn<'a>),
    /// I-FORWARD-TSN.
    IForwardTsn(IForwardTsn<'a>),
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
            ChunkType::ECNE => Self::EcnEcho(EcnEcho::parse(value)?),
            ChunkType::CWR => Self::Cwr(Cwr::parse(value)?),
            ChunkType::SHUTDOWN_COMPLETE => Self::ShutdownComplete(ShutdownComplete::parse(flags)),
            ChunkType::AUTH => Self::Auth(Auth::parse(value)?),
            ChunkType::I_DATA => Self::IData(IDataChunk::parse(flags, value)?),
            ChunkType::ASCONF => Self::Asconf(Asconf::parse(value)?),
            ChunkType::ASCONF_ACK => Self::AsconfAck(AsconfAck::parse(value)?),
            ChunkType::RE_CONFIG => Self::Reconfig(Reconfig::parse(value)?),
            ChunkType::PAD => Self::Pad(value),
            ChunkType::FORWARD_TSN => Self::ForwardTsn(ForwardTsn::parse(value)?),
            ChunkType::I_FORWARD_TSN => Self::IForwardTsn(IForwardTsn::parse(value)?),
            _ => Self::Unknown(*chunk),
        })
    }
}
