//! What a link carried, as a file that Wireshark opens.

use std::io::{self, Write};
use std::time::Duration;

use super::link::Captured;
use crate::pcap::PcapWriter;

/// Writes a capture in libpcap format, with IP and UDP headers as a real link would show them.
///
/// # Errors
///
/// What `out` reports.
pub fn write_pcap(captured: &[Captured], out: &mut impl Write) -> io::Result<()> {
    let mut writer = PcapWriter::new(out)?;
    for Captured { at, packet, .. } in captured {
        let at = Duration::from_nanos(at.as_nanos());
        let addresses = (packet.src, packet.dst);
        writer.write(at, addresses, packet.udp_ports(), packet.ecn, &packet.payload)?;
    }
    Ok(())
}
