//! Packets, chunks, parameters and error causes as bytes (RFC 9260 §3), with those of the extensions: RFC 3758, RFC
//! 4820, RFC 4895, RFC 5061, RFC 6525, RFC 8260 and RFC 9653.
//!
//! # Layout
//!
//! A packet is a common header and chunks. A chunk is type, flags, length, value, and padding with zeros to four
//! bytes. The value of a control chunk is fixed fields, then parameters or error causes, which are TLVs (RFC 9260
//! §3.2.1). Integers are big-endian; only the checksum is not (RFC 9260 Appendix A).
//!
//! A length counts its own header and never the padding behind it. So a chunk's length leaves out the padding of its
//! last parameter, and counts that of the others (RFC 9260 §3.2); readers take it either way.
//!
//! # Reading
//!
//! Everything borrows from the packet and allocates nothing. [`Packet::parse`] checks what concerns the whole packet,
//! [`Packet::chunks`] gives [`RawChunk`]s, and each chunk type has a `parse` for the value of its chunk; [`Chunk`] is
//! any of them. Readers check form, not meaning: a tag of zero or a host name address is given to the caller, who
//! knows what the RFC asks for. Unknown types keep their number and bytes.
//!
//! # Writing
//!
//! Functions append to a caller's `Vec<u8>`, so that several packets may lie one after another in it:
//! [`begin_packet`], any number of `write_` functions, [`finish_packet`]. Parameters and causes are written through
//! the [`Writer`](crate::tlv::Writer) that [`write_init`], [`write_abort`], [`write_error`], [`write_asconf`],
//! [`write_asconf_ack`] and [`write_reconfig`] pass on. An AUTH is filled in when the chunks behind it are written.

mod asconf;
mod auth;
mod cause;
mod checksum;
mod chunk;
mod control;
mod data;
mod ecn;
mod forward_tsn;
mod heartbeat;
mod idata;
mod init;
mod packet;
mod param;
mod reconfig;
mod sack;
mod tlvs;
mod typed;

#[cfg(any(test, fuzzing))]
pub(crate) mod exercise;
#[cfg(test)]
mod tests;

pub use asconf::{
    AddressChange, Asconf, AsconfAck, AsconfRequest, AsconfRequests, AsconfResponse, AsconfResponses, write_asconf,
    write_asconf_ack, write_error_cause_indication, write_success_indication,
};
pub use auth::{AUTH_HEADER_LEN, Auth, HmacId, authenticated, fill_in_hmac, hmac_range, write_auth};
pub use cause::{
    Cause, CauseCode, Causes, write_missing_mandatory_parameters, write_restart_with_new_addresses,
    write_unrecognized_parameters,
};
pub use checksum::{ChecksumRule, ErrorDetectionMethod, packet_checksum};
pub use chunk::{CHUNK_HEADER_LEN, ChunkType, Chunks, RawChunk, write_chunk};
pub use control::{
    Abort, CookieEcho, OperationError, Shutdown, ShutdownComplete, write_abort, write_cookie_ack, write_cookie_echo,
    write_error, write_pad, write_shutdown, write_shutdown_ack, write_shutdown_complete,
};
pub use data::{DATA_HEADER_LEN, DataChunk, DataHeader, payload_range, write_data, write_header};
pub use ecn::{Cwr, ECN_CHUNK_LEN, EcnEcho, write_cwr, write_ecne};
pub use forward_tsn::{
    ForwardTsn, IForwardTsn, SkippedMessage, SkippedMessages, SkippedStreams, forward_tsn_len, i_forward_tsn_len,
    write_forward_tsn, write_i_forward_tsn,
};
pub use heartbeat::{Heartbeat, write_heartbeat, write_heartbeat_ack, write_heartbeat_answer};
pub use idata::{
    Fragment, I_DATA_HEADER_LEN, IDataChunk, IDataHeader, i_data_payload_range, write_i_data, write_i_data_header,
};
pub use init::{Init, InitFixed, write_init};
pub use packet::{CommonHeader, Packet, PacketBuilder, begin_packet, finish_packet, finish_packet_zero_checksum};
pub use param::{Param, ParamType, Params, write_hmac_algorithms, write_supported_address_types};
pub use reconfig::{
    NextTsns, Reconfig, ReconfigParam, ReconfigParams, ReconfigResult, StreamIds, write_incoming_ssn_reset,
    write_outgoing_ssn_reset, write_reconfig,
};
pub use sack::{DuplicateTsns, GapBlocks, SACK_HEADER_LEN, Sack, sack_len, write_sack};
pub use tlvs::{Tlvs, TypeNumbers};
pub use typed::Chunk;
