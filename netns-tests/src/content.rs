//! Messages whose bytes tell which one they are, as `guest/programs/peer.py` makes them too: a mix-up, a loss or a
//! change of any byte is noticed.

use bytes::Bytes;
use sctp::OutMessage;
use sctp::serial::{Ppid, StreamId};

/// The bytes of the `index`th message.
///
/// # Panics
///
/// With a size below four.
pub fn bytes(index: u32, size: usize) -> Bytes {
    assert!(size >= 4, "a message has room for its number");
    let shift = (index % 256) as usize;
    let rest = (shift..shift + size - 4).map(|position| (position * 7 + (position >> 8)).to_le_bytes()[0]);
    index.to_be_bytes().into_iter().chain(rest).collect()
}

/// The payload protocol identifier of the `index`th message: none that means something to Wireshark.
pub const fn ppid(index: u32) -> Ppid {
    Ppid(0x5000_0000 + index)
}

/// The `index`th message, in order, on a stream.
///
/// # Panics
///
/// As [`bytes()`].
pub fn message(index: u32, size: usize, stream: u16) -> OutMessage {
    OutMessage::new(StreamId(stream), ppid(index), bytes(index, size))
}

/// Which message this is.
///
/// # Panics
///
/// If its bytes are not those of any.
pub fn index(message: &[u8]) -> u32 {
    let number = message.first_chunk::<4>();
    let index = u32::from_be_bytes(*number.unwrap_or_else(|| panic!("a message of {} bytes", message.len())));
    assert!(
        message == bytes(index, message.len()),
        "message {index} has other bytes"
    );
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_is_noticed() {
        let right = bytes(700, 3000);
        assert_eq!(index(&right), 700);
        let mut wrong = right.to_vec();
        wrong[2999] ^= 1;
        assert!(std::panic::catch_unwind(|| index(&wrong)).is_err());
    }
}
