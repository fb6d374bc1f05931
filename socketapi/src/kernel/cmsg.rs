//! Control messages (`cmsg(3)`): what goes with a message, written and read as bytes.

use super::abi::Field;

/// `struct cmsghdr`: a `size_t` and two `int`.
const HEADER: usize = size_of::<usize>() + 2 * size_of::<i32>();
const ALIGN: usize = size_of::<usize>();

/// Room for what a message can come with.
pub(crate) const RECEIVE_SPACE: usize = 256;

/// Control messages of SCTP, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Control(Vec<u8>);

impl Control {
    /// Adds one.
    pub(crate) fn push(&mut self, kind: i32, data: &[u8]) {
        self.0.extend((HEADER + data.len()).to_ne_bytes());
        self.0.extend(libc::IPPROTO_SCTP.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(ALIGN), 0);
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The data of the first control message of this kind.
pub(crate) fn find(mut bytes: &[u8], wanted: i32) -> Option<&[u8]> {
    loop {
        let len = usize::from_ne_bytes(*bytes.first_chunk()?);
        let level = i32::load(bytes.get(size_of::<usize>()..)?)?;
        let kind = i32::load(bytes.get(size_of::<usize>() + size_of::<i32>()..)?)?;
        let data = bytes.get(HEADER..len)?;
        if (level, kind) == (libc::IPPROTO_SCTP, wanted) {
            return Some(data);
        }
        bytes = bytes.get(len.checked_next_multiple_of(ALIGN)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_control_message_is_found_behind_others() {
        let mut control = Control::default();
        control.push(2, b"sixteen bytes...");
        control.push(6, &[7, 0]);
        control.push(5, b"eight by");
        assert_eq!(find(control.bytes(), 2), Some(&b"sixteen bytes..."[..]));
        assert_eq!(find(control.bytes(), 6), Some(&[7, 0][..]));
        assert_eq!(find(control.bytes(), 5), Some(&b"eight by"[..]));
        assert_eq!(find(control.bytes(), 3), None);
    }

    #[test]
    fn lengths_that_cannot_be_end_the_search() {
        for len in [0, 1, 15, 17, usize::MAX] {
            let mut bytes = len.to_ne_bytes().to_vec();
            bytes.extend([0; 8]);
            assert_eq!(find(&bytes, 2), None, "{len}");
        }
        assert_eq!(find(&[], 2), None);
    }
}
