//! ECNE and CWR: the chunks by which a receiver tells of marks, and a sender that it heard. RFC 9260 §3.2 reserves
//! their types; RFC 4960 Appendix A, which it has left out, says what they hold: one TSN each.

use crate::error::DecodeError;
use crate::serial::Tsn;
use crate::tlv::Reader;
use crate::wire::chunk::{CHUNK_HEADER_LEN, ChunkType, write_chunk};

/// Bytes of an ECNE, or of a CWR.
pub const ECN_CHUNK_LEN: usize = CHUNK_HEADER_LEN + 4;

/// An ECNE: a packet arrived marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EcnEcho {
    /// The lowest TSN in it.
    pub lowest_tsn: Tsn,
}

impl EcnEcho {
    /// Reads the value of an ECNE. Some implementations put a count of marked packets behind the TSN, which is left
    /// out.
    pub fn parse(value: &[u8]) -> Result<Self, DecodeError> {
        let lowest_tsn = Tsn(Reader::new(value).u32("ECNE")?);
        Ok(Self { lowest_tsn })
    }
}

/// A CWR: the sender has taken notice of marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cwr {
    /// Marks of packets with this TSN, and of earlier ones, need not be told any more.
    pub lowest_tsn: Tsn,
}

impl Cwr {
    /// Reads the value of a CWR.
    pub fn parse(value: &[u8]) -> Result<Self, DecodeError> {
        let lowest_tsn = Tsn(Reader::new(value).u32("CWR")?);
        Ok(Self { lowest_tsn })
    }
}

/// Appends an ECNE.
pub fn write_ecne(buf: &mut Vec<u8>, lowest_tsn: Tsn) {
    write_chunk(buf, ChunkType::ECNE, 0, &lowest_tsn.0.to_be_bytes());
}

/// Appends a CWR.
pub fn write_cwr(buf: &mut Vec<u8>, lowest_tsn: Tsn) {
    write_chunk(buf, ChunkType::CWR, 0, &lowest_tsn.0.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ecne_and_a_cwr_hold_a_tsn() {
        let mut buf = Vec::new();
        write_ecne(&mut buf, Tsn(0x0102_0304));
        write_cwr(&mut buf, Tsn(5));
        assert_eq!(buf, [12, 0, 0, 8, 1, 2, 3, 4, 13, 0, 0, 8, 0, 0, 0, 5]);
        assert_eq!(buf.len(), 2 * ECN_CHUNK_LEN);
        assert_eq!(
            EcnEcho::parse(&buf[4..8]).map(|echo| echo.lowest_tsn),
            Ok(Tsn(0x0102_0304))
        );
        assert_eq!(Cwr::parse(&buf[12..]).map(|cwr| cwr.lowest_tsn), Ok(Tsn(5)));
        assert!(EcnEcho::parse(&[0; 3]).is_err() && Cwr::parse(&[]).is_err());
    }

    #[test]
    fn an_ecne_with_a_count_is_read() {
        let value = [0, 0, 0, 7, 0, 0, 0, 3];
        assert_eq!(EcnEcho::parse(&value), Ok(EcnEcho { lowest_tsn: Tsn(7) }));
    }
}
