//! Packets: the common header and what holds for all chunks together (RFC 9260 §3, §3.1, §6.10).

use crate::error::DecodeError;
use crate::serial::VerificationTag;
use crate::tlv::ReadError;
use crate::wire::checksum::{self, ChecksumRule};
use crate::wire::chunk::{CHUNK_HEADER_LEN, ChunkType, Chunks, RawChunk};

/// The common header of a packet, without its checksum (RFC 9260 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommonHeader {
    /// The sender's SCTP port.
    pub source_port: u16,
    /// The receiver's SCTP port.
    pub destination_port: u16,
    /// The tag by which the receiver knows the association.
    pub verification_tag: VerificationTag,
}

impl CommonHeader {
    /// Bytes of a common header, with the checksum.
    pub const LEN: usize = 12;

    /// Reads ports and tag, which are the first eight bytes: the start of a packet that an ICMP message quotes is
    /// enough (RFC 9260 §10). Any value is taken.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some(([s1, s2, d1, d2, t1, t2, t3, t4], _)) = bytes.split_first_chunk::<8>() else {
            return Err(ReadError::Truncated { at: "common header" }.into());
        };
        Ok(Self {
            source_port: u16::from_be_bytes([*s1, *s2]),
            destination_port: u16::from_be_bytes([*d1, *d2]),
            verification_tag: VerificationTag(u32::from_be_bytes([*t1, *t2, *t3, *t4])),
        })
    }

    /// The header with a checksum of zero.
    #[inline]
    const fn to_bytes(self) -> [u8; Self::LEN] {
        let [s1, s2] = self.source_port.to_be_bytes();
        let [d1, d2] = self.destination_port.to_be_bytes();
        let [t1, t2, t3, t4] = self.verification_tag.0.to_be_bytes();
        [s1, s2, d1, d2, t1, t2, t3, t4, 0, 0, 0, 0]
    }
}

/// A packet that came in, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The common header.
    pub header: CommonHeader,
    bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a packet: it must hold a common header and at least a chunk header, its checksum must fit unless `rule`
    /// says otherwise, and no port may be 0 (RFC 9260 §3.1). Chunks are not looked at.
    ///
    /// A packet that is refused is to be discarded silently (RFC 9260 §6.8).
    #[inline]
    pub fn parse(bytes: &'a [u8], rule: ChecksumRule) -> Result<Self, DecodeError> {
        if bytes.len() < CommonHeader::LEN + CHUNK_HEADER_LEN {
            return Err(ReadError::Truncated { at: "packet" }.into());
        }
        checksum::verify(bytes, rule)?;
        let header = CommonHeader::parse(bytes)?;
        if header.source_port == 0 {
            return Err(DecodeError::InvalidValue {
                field: "Source Port Number",
            });
        }
        if header.destination_port == 0 {
            return Err(DecodeError::InvalidValue {
                field: "Destination Port Number",
            });
        }
        Ok(Self { header, bytes })
    }

    /// All bytes of the packet. [`RawChunk::offset`] and [`payload_range`](crate::wire::payload_range) count in them.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether its checksum field is zero, so that [`ChecksumRule::AcceptZero`] has not checked the packet.
    #[inline]
    pub fn has_zero_checksum(&self) -> bool {
        checksum::is_zero(self.bytes)
    }

    /// Checks its CRC32c, for a packet that [`parse`](Self::parse) took without (RFC 9260 §6.8).
    pub fn verify_checksum(&self) -> Result<(), DecodeError> {
        checksum::verify(self.bytes, ChecksumRule::Verify)
    }

    /// The chunks in their order.
    #[inline]
    pub fn chunks(&self) -> Chunks<'a> {
        Chunks::new(
            self.bytes.get(CommonHeader::LEN..).unwrap_or_default(),
            CommonHeader::LEN,
        )
    }

    /// The first chunk, if it is well formed.
    #[inline]
    pub fn first_chunk(&self) -> Option<RawChunk<'a>> {
        self.chunks().next().and_then(Result::ok)
    }

    /// The first chunk of type `kind` among the well-formed chunks.
    pub fn find(&self, kind: ChunkType) -> Option<RawChunk<'a>> {
        self.chunks().map_while(Result::ok).find(|chunk| chunk.kind == kind)
    }

    /// Checks that a chunk which must stand alone does: an INIT, INIT ACK or SHUTDOWN COMPLETE with anything before or
    /// after it is refused (RFC 9260 §6.10).
    pub fn check_bundling(&self) -> Result<(), DecodeError> {
        check_bundling(self.chunks())
    }
}

fn check_bundling(mut chunks: Chunks<'_>) -> Result<(), DecodeError> {
    let mut first = true;
    while let Some(Ok(chunk)) = chunks.next() {
        if chunk.kind.stands_alone() && !(first && chunks.is_empty()) {
            return Err(DecodeError::InvalidValue {
                field: "Chunk Type of a bundled chunk",
            });
        }
        first = false;
    }
    Ok(())
}

/// Appends a common header with `header`'s fields to `buf`, and tells where the packet starts, for [`finish_packet`].
#[inline]
pub fn begin_packet(buf: &mut Vec<u8>, header: &CommonHeader) -> usize {
    let start = buf.len();
    buf.extend_from_slice(&header.to_bytes());
    start
}

/// Puts the checksum into the packet that starts at `start` and reaches to the end of `buf`.
#[inline]
pub fn finish_packet(buf: &mut [u8], start: usize) {
    if let Some(packet) = buf.get_mut(start..) {
        checksum::fill_in(packet);
    }
}

/// Leaves the packet that starts at `start` and reaches to the end of `buf` with a checksum of zero. The peer must have
/// said that it takes that, what carries the packet must meet its method, and the packet must hold neither an INIT nor
/// a COOKIE ECHO nor answer a packet out of the blue (RFC 9653).
#[inline]
pub fn finish_packet_zero_checksum(buf: &mut [u8], start: usize) {
    if let Some(packet) = buf.get_mut(start..) {
        checksum::fill_in_zero(packet);
    }
}

/// One packet under construction at the end of a buffer.
#[derive(Debug)]
#[must_use = "a packet without `finish` has no checksum"]
pub struct PacketBuilder<'a> {
    buf: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> PacketBuilder<'a> {
    /// Appends a common header to `buf`.
    #[inline]
    pub fn begin(buf: &'a mut Vec<u8>, header: &CommonHeader) -> Self {
        let start = begin_packet(buf, header);
        Self { buf, start }
    }

    /// The buffer, to append chunks to.
    pub const fn buf(&mut self) -> &mut Vec<u8> {
        self.buf
    }

    /// Bytes of the packet so far, with its common header.
    pub fn size(&self) -> usize {
        self.buf.len().saturating_sub(self.start)
    }

    /// Whether there is no chunk yet.
    pub fn has_no_chunk(&self) -> bool {
        self.size() <= CommonHeader::LEN
    }

    /// Takes the packet back out of the buffer.
    pub fn discard(self) {
        self.buf.truncate(self.start);
    }

    /// Puts the checksum in, and tells the size of the packet.
    #[inline]
    pub fn finish(self) -> usize {
        let chunks = self
            .buf
            .get(self.start.saturating_add(CommonHeader::LEN)..)
            .unwrap_or_default();
        debug_assert!(
            check_bundling(Chunks::new(chunks, 0)).is_ok(),
            "a chunk that must stand alone is bundled"
        );
        finish_packet(self.buf, self.start);
        self.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{write_cookie_ack, write_shutdown_ack, write_shutdown_complete};

    const HEADER: CommonHeader = CommonHeader {
        source_port: 5001,
        destination_port: 7,
        verification_tag: VerificationTag(0x0102_0304),
    };

    fn packet(header: &CommonHeader, chunks: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut buf = Vec::new();
        let start = begin_packet(&mut buf, header);
        chunks(&mut buf);
        finish_packet(&mut buf, start);
        buf
    }

    #[test]
    fn packets_lie_one_after_another_in_one_buffer() {
        let mut buf = vec![0xee; 3];
        let mut builder = PacketBuilder::begin(&mut buf, &HEADER);
        assert!(builder.has_no_chunk());
        write_cookie_ack(builder.buf());
        assert!(!builder.has_no_chunk());
        assert_eq!(builder.finish(), 16);
        PacketBuilder::begin(&mut buf, &HEADER).discard();
        let mut builder = PacketBuilder::begin(&mut buf, &HEADER);
        write_shutdown_ack(builder.buf());
        assert_eq!(builder.finish(), 16);

        assert_eq!(buf.len(), 3 + 16 + 16);
        for (bytes, kind) in [
            (&buf[3..19], ChunkType::COOKIE_ACK),
            (&buf[19..], ChunkType::SHUTDOWN_ACK),
        ] {
            let packet = Packet::parse(bytes, ChecksumRule::Verify).unwrap();
            assert_eq!(packet.header, HEADER);
            assert_eq!(packet.first_chunk().unwrap().kind, kind);
            assert_eq!(packet.chunks().count(), 1);
        }
    }

    #[test]
    fn rfc9260_6_8_a_wrong_checksum_is_refused_unless_somebody_else_checked() {
        let mut bytes = packet(&HEADER, write_cookie_ack);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Packet::parse(&bytes, ChecksumRule::Verify), Err(DecodeError::Checksum));
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        bytes[8..12].fill(0);
        assert!(Packet::parse(&bytes, ChecksumRule::AcceptUnchecked).is_ok());
    }

    #[test]
    fn rfc9653_a_zero_checksum_is_taken_where_it_is_allowed() {
        let mut zero = vec![0xee; 3];
        let start = begin_packet(&mut zero, &HEADER);
        write_cookie_ack(&mut zero);
        zero[start + 8] = 1;
        finish_packet_zero_checksum(&mut zero, start);
        assert_eq!(&zero[start + 8..start + 12], [0; 4]);

        let bytes = &zero[start..];
        assert_eq!(Packet::parse(bytes, ChecksumRule::Verify), Err(DecodeError::Checksum));
        let taken = Packet::parse(bytes, ChecksumRule::AcceptZero).unwrap();
        assert!(taken.has_zero_checksum());
        assert_eq!(
            taken.verify_checksum(),
            Err(DecodeError::Checksum),
            "the association may not have allowed it"
        );

        let mut right = packet(&HEADER, write_cookie_ack);
        let taken = Packet::parse(&right, ChecksumRule::AcceptZero).unwrap();
        assert!(!taken.has_zero_checksum() && taken.verify_checksum().is_ok());
        right[8] ^= 1;
        assert_eq!(
            Packet::parse(&right, ChecksumRule::AcceptZero),
            Err(DecodeError::Checksum)
        );
    }

    #[test]
    fn rfc9260_3_1_port_zero_is_refused() {
        for (header, field) in [
            (
                CommonHeader {
                    source_port: 0,
                    ..HEADER
                },
                "Source Port Number",
            ),
            (
                CommonHeader {
                    destination_port: 0,
                    ..HEADER
                },
                "Destination Port Number",
            ),
        ] {
            let bytes = packet(&header, write_cookie_ack);
            assert_eq!(
                Packet::parse(&bytes, ChecksumRule::Verify),
                Err(DecodeError::InvalidValue { field })
            );
            assert_eq!(
                CommonHeader::parse(&bytes[..8]),
                Ok(header),
                "a quoted packet is read nevertheless"
            );
        }
    }

    #[test]
    fn less_than_a_chunk_header_behind_the_common_header_is_no_packet() {
        let bytes = packet(&HEADER, write_cookie_ack);
        for len in 0..bytes.len() {
            assert!(matches!(
                Packet::parse(&bytes[..len], ChecksumRule::AcceptUnchecked),
                Err(DecodeError::Read(ReadError::Truncated { .. }))
            ));
        }
    }

    #[test]
    fn rfc9260_6_10_chunks_that_must_stand_alone_are_told() {
        let check = |chunks: fn(&mut Vec<u8>)| {
            let bytes = packet(&HEADER, chunks);
            Packet::parse(&bytes, ChecksumRule::Verify).unwrap().check_bundling()
        };
        assert!(check(|buf| write_shutdown_complete(buf, false)).is_ok());
        assert!(
            check(|buf| {
                write_cookie_ack(buf);
                write_shutdown_ack(buf);
            })
            .is_ok()
        );
        assert!(
            check(|buf| {
                write_cookie_ack(buf);
                write_shutdown_complete(buf, false);
            })
            .is_err()
        );
        assert!(
            check(|buf| {
                write_shutdown_complete(buf, false);
                buf.push(0);
            })
            .is_err(),
            "not even a broken chunk may follow"
        );
        for kind in [ChunkType::INIT, ChunkType::INIT_ACK, ChunkType::SHUTDOWN_COMPLETE] {
            assert!(kind.stands_alone());
        }
    }
}
