//! INIT and INIT ACK chunks (RFC 9260 §3.3.2, §3.3.3).

use crate::error::DecodeError;
use crate::serial::{Tsn, VerificationTag};
use crate::tlv::{ReadError, Writer};
use crate::wire::chunk::{ChunkType, write_chunk_of_tlvs};
use crate::wire::param::Params;

/// The mandatory fields of an INIT or INIT ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitFixed {
    /// The tag its receiver puts into the packets it sends from now on; zero is against the rules.
    pub initiate_tag: VerificationTag,
    /// Advertised Receiver Window Credit, in bytes; below 1500 is against the rules.
    pub a_rwnd: u32,
    /// How many streams its sender wants to send on; zero is against the rules.
    pub outbound_streams: u16,
    /// How many streams its sender lets its receiver send on; zero is against the rules.
    pub inbound_streams: u16,
    /// The TSN its sender starts with.
    pub initial_tsn: Tsn,
}

impl InitFixed {
    /// Bytes of the fixed fields, without the chunk header.
    pub const LEN: usize = 16;

    fn to_bytes(self) -> [u8; Self::LEN] {
        let [t1, t2, t3, t4] = self.initiate_tag.0.to_be_bytes();
        let [w1, w2, w3, w4] = self.a_rwnd.to_be_bytes();
        let [o1, o2] = self.outbound_streams.to_be_bytes();
        let [i1, i2] = self.inbound_streams.to_be_bytes();
        let [n1, n2, n3, n4] = self.initial_tsn.0.to_be_bytes();
        [t1, t2, t3, t4, w1, w2, w3, w4, o1, o2, i1, i2, n1, n2, n3, n4]
    }
}

/// An INIT or INIT ACK, borrowed.
#[derive(Clone, Debug)]
pub struct Init<'a> {
    /// The mandatory fields, with any values.
    pub fixed: InitFixed,
    /// The parameters, not looked at yet.
    pub params: Params<'a>,
}

impl<'a> Init<'a> {
    /// Reads the value of an INIT or INIT ACK.
    pub fn parse(value: &'a [u8]) -> Result<Self, DecodeError> {
        let Some((&[t1, t2, t3, t4, w1, w2, w3, w4, o1, o2, i1, i2, n1, n2, n3, n4], params)) =
            value.split_first_chunk()
        else {
            return Err(ReadError::Truncated { at: "INIT" }.into());
        };
        let fixed = InitFixed {
            initiate_tag: VerificationTag(u32::from_be_bytes([t1, t2, t3, t4])),
            a_rwnd: u32::from_be_bytes([w1, w2, w3, w4]),
            outbound_streams: u16::from_be_bytes([o1, o2]),
            inbound_streams: u16::from_be_bytes([i1, i2]),
            initial_tsn: Tsn(u32::from_be_bytes([n1, n2, n3, n4])),
        };
        Ok(Self {
            fixed,
            params: Params::new(params),
        })
    }
}

/// Appends an INIT or INIT ACK (`kind` says which) with the parameters that `params` writes, for instance by
/// [`Param::write`](crate::wire::Param::write).
pub fn write_init(buf: &mut Vec<u8>, kind: ChunkType, fixed: &InitFixed, params: impl FnOnce(&mut Writer<'_>)) {
    debug_assert!(
        kind == ChunkType::INIT || kind == ChunkType::INIT_ACK,
        "{kind} has no such fields"
    );
    write_chunk_of_tlvs(buf, kind, 0, &fixed.to_bytes(), params);
}
