//! The filter by which the kernel wakes a raw socket only for SCTP ports that matter to it.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::BorrowedFd;

use socket2::{SockFilter, SockRef};

/// Which packets a raw socket takes in, by the SCTP port that they are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PortFilter {
    /// Those for these ports.
    Only(BTreeSet<u16>),
    /// All but those for these ports.
    AllBut(BTreeSet<u16>),
}

impl PortFilter {
    /// How many ports a filter looks for: it compares them one after another. With more, everything is to be let in.
    pub(crate) const MAX_PORTS: usize = 512;
}

/// Has the kernel drop what the filter does not let in.
pub(super) fn attach(socket: BorrowedFd<'_>, ipv4: bool, filter: &PortFilter) -> io::Result<()> {
    let steps = program(ipv4, filter).into_iter();
    let steps: Vec<SockFilter> = steps
        .map(|Step { code, otherwise, k }| SockFilter::new(code, 0, otherwise, k))
        .collect();
    SockRef::from(&socket).attach_filter(&steps)
}

/// A step of a filter's program.
#[derive(Clone, Copy, Debug)]
struct Step {
    code: u16,
    /// How many steps are left out if a comparison fails.
    otherwise: u8,
    k: u32,
}

fn program(ipv4: bool, filter: &PortFilter) -> Vec<Step> {
    const HEADER_LENGTH_TO_X: u16 = 0xb1;
    const LOAD_HALF_AT_X: u16 = 0x48;
    const LOAD_HALF: u16 = 0x28;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    // The destination port is the second half word of an SCTP packet.
    const PORT: u32 = 2;
    let step = |code, otherwise, k| Step { code, otherwise, k };
    let verdict = |lets_in| step(RETURN, 0, if lets_in { u32::MAX } else { 0 });
    let (ports, only) = match filter {
        PortFilter::Only(ports) => (ports, true),
        PortFilter::AllBut(ports) => (ports, false),
    };
    // Raw sockets of IPv4 see the IP header, those of IPv6 do not. Packets that are too short are dropped.
    let mut program = if ipv4 {
        vec![step(HEADER_LENGTH_TO_X, 0, 0), step(LOAD_HALF_AT_X, 0, PORT)]
    } else {
        vec![step(LOAD_HALF, 0, PORT)]
    };
    for port in ports {
        program.extend([step(JUMP_IF_EQUAL, 1, (*port).into()), verdict(only)]);
    }
    program.push(verdict(!only));
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program as the kernel does; whether it lets a packet in.
    fn run(program: &[Step], packet: &[u8]) -> bool {
        let half = |at: usize| Some(u32::from(u16::from_be_bytes(*packet.get(at..)?.first_chunk()?)));
        let (mut accumulator, mut x, mut at) = (0, 0, 0);
        loop {
            let Step { code, otherwise, k } = program[at];
            at += 1;
            match code {
                0xb1 => x = usize::from(packet[k as usize] & 15) * 4,
                0x48 | 0x28 => {
                    let offset = k as usize + if code == 0x48 { x } else { 0 };
                    let Some(value) = half(offset) else { return false };
                    accumulator = value;
                }
                0x15 => at += usize::from(if accumulator == k { 0 } else { otherwise }),
                0x06 => return k > 0,
                other => panic!("{other}"),
            }
        }
    }

    fn packet(ipv4: bool, port: u16) -> Vec<u8> {
        let mut bytes = Vec::new();
        if ipv4 {
            // With options.
            bytes.resize(24, 0);
            bytes[0] = 0x46;
        }
        bytes.extend([0, 9]);
        bytes.extend(port.to_be_bytes());
        bytes.extend([0; 8]);
        bytes
    }

    #[test]
    fn packets_are_told_apart_by_the_port_they_are_for() {
        let ports: BTreeSet<u16> = (1..=PortFilter::MAX_PORTS).map(|n| n as u16 * 100).collect();
        for ipv4 in [true, false] {
            let only = program(ipv4, &PortFilter::Only(ports.clone()));
            let all_but = program(ipv4, &PortFilter::AllBut(ports.clone()));
            for port in [1, 9, 100, 200, 25_600, 51_200, 51_300, u16::MAX] {
                let packet = packet(ipv4, port);
                assert_eq!(run(&only, &packet), ports.contains(&port), "{port}");
                assert_eq!(run(&all_but, &packet), !ports.contains(&port), "{port}");
            }
            let nothing = program(ipv4, &PortFilter::Only(BTreeSet::new()));
            let everything = program(ipv4, &PortFilter::AllBut(BTreeSet::new()));
            assert!(!run(&nothing, &packet(ipv4, 9)) && run(&everything, &packet(ipv4, 9)));
        }
    }
}
