//! What tells whose a packet is (RFC 9260 §8.5).

/// What a packet is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// A tag of the receiver.
    Tag(u32),
    /// The ports: it bears no tag of the receiver.
    Ports { own: u16, peer: u16 },
}

const ABORT: u8 = 6;
const SHUTDOWN_COMPLETE: u8 = 14;
const AUTH: u8 = 15;
/// Bytes before the first chunk.
const HEADER: usize = 12;

/// What a packet is known by; `None` if it is too short for one.
pub(super) fn sign_of(packet: &[u8]) -> Option<Sign> {
    let (peer, rest) = packet.split_first_chunk()?;
    let (own, rest) = rest.split_first_chunk()?;
    let (tag, _) = rest.split_first_chunk()?;
    let tag = u32::from_be_bytes(*tag);
    if tag != 0 && !has_reflected_tag(packet) {
        return Some(Sign::Tag(tag));
    }
    Some(Sign::Ports {
        own: u16::from_be_bytes(*own),
        peer: u16::from_be_bytes(*peer),
    })
}

/// The ports of a packet that this side sent: the own one, and the peer's.
pub(super) fn ports_of(packet: &[u8]) -> Option<(u16, u16)> {
    let (own, rest) = packet.split_first_chunk()?;
    let (peer, _) = rest.split_first_chunk()?;
    Some((u16::from_be_bytes(*own), u16::from_be_bytes(*peer)))
}

/// Whether the first chunk says that the tag is the sender's own (the T bit, §8.5.1 B and C). It may stand behind AUTH.
fn has_reflected_tag(packet: &[u8]) -> bool {
    let chunk_at = |at: usize| match packet.get(at..) {
        Some([kind, flags, high, low, ..]) => Some((*kind, *flags, u16::from_be_bytes([*high, *low]))),
        _ => None,
    };
    let mut first = chunk_at(HEADER);
    if let Some((AUTH, _, len)) = first {
        first = chunk_at(HEADER + usize::from(len).next_multiple_of(4));
    }
    matches!(first, Some((ABORT | SHUTDOWN_COMPLETE, flags, _)) if flags & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(tag: u32, chunks: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 9, 0, 7];
        bytes.extend(tag.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(chunks);
        bytes
    }

    #[test]
    fn rfc9260_8_5_packets_are_known_by_their_tag_but_for_some() {
        let ports = Some(Sign::Ports { own: 7, peer: 9 });
        let tag = Some(Sign::Tag(5));
        let auth = [AUTH, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0];
        for (tag_of, chunks, expected) in [
            (5, &[0, 3, 0, 16][..], tag),
            (5, &[], tag),
            (0, &[1, 0, 0, 20], ports),
            (5, &[ABORT, 0, 0, 4], tag),
            (5, &[ABORT, 1, 0, 4], ports),
            (5, &[SHUTDOWN_COMPLETE, 1, 0, 4], ports),
            (5, &[SHUTDOWN_COMPLETE, 0, 0, 4], tag),
            (5, &[&auth[..], &[ABORT, 1, 0, 4]].concat(), ports),
            (5, &[&auth[..], &[ABORT, 0, 0, 4]].concat(), tag),
            (5, &auth, tag),
        ] {
            assert_eq!(sign_of(&packet(tag_of, chunks)), expected, "{tag_of} {chunks:?}");
        }
        assert_eq!(sign_of(&[0, 9, 0, 7, 0, 0, 0]), None);
        assert_eq!(ports_of(&packet(5, &[])), Some((9, 7)));
    }
}
