//! The filter by which the kernel chooses among sockets on one port.

use std::io;
use std::os::fd::AsFd;

use nix::sys::socket::{setsockopt, sockopt};
use sctp::config::TagShare;

/// Has the kernel give each datagram to the socket, in the order in which they were bound, in whose share its tag is.
/// Datagrams that are too short go to the first.
pub(super) fn attach(socket: &impl AsFd, tags: &TagShare) -> io::Result<()> {
    const LOAD_WORD: u16 = 0x20;
    const MULTIPLY: u16 = 0x24;
    const SHIFT_RIGHT: u16 = 0x74;
    const MODULO: u16 = 0x94;
    const RETURN_IT: u16 = 0x16;
    // The verification tag is the second word of an SCTP packet, which is all the filter sees.
    let mut program = [
        (LOAD_WORD, 4),
        (MULTIPLY, tags.factor()),
        (SHIFT_RIGHT, 16),
        (MODULO, u32::from(tags.shares())),
        (RETURN_IT, 0),
    ]
    .map(|(code, k)| libc::sock_filter { code, jt: 0, jf: 0, k });
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).unwrap_or_default(),
        filter: program.as_mut_ptr(),
    };
    Ok(setsockopt(socket, sockopt::AttachReusePortCbpf, &program)?)
}
