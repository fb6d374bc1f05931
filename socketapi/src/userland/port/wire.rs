//! What the processes of a shared port tell each other: how bytes stand for it.
//!
//! Guests speak first, with a hello. Everything is checked, since the other side may be broken: what makes no sense is
//! `None`, and ends the connection it came on.

use std::net::{IpAddr, Ipv6Addr};

use bytes::Bytes;
use sctp::tlv::{Reader, Writer};
use sctp::{EcnCodepoint, IcmpKind, IcmpReport, UdpPorts};

use super::registry::Refusal;

/// Tells these messages from those of other programs.
const MAGIC: u64 = u64::from_be_bytes(*b"SCTPport");
/// Processes that share a port have to agree on it.
pub(super) const VERSION: u16 = 2;
/// Size of the fixed part of what the holder says; the bytes of datagrams follow it.
pub(super) const HEADER: usize = 1024;
/// How many bytes of datagrams one message carries.
pub(super) const PAYLOAD: usize = 64 * 1024;
/// The size of what describes a run of datagrams.
const RUN: usize = 41;
/// How many runs one message carries.
pub(super) const MAX_RUNS: usize = (HEADER - 2) / RUN;
/// The largest message that a guest sends.
pub(super) const MAX_REQUEST: usize = 32 * 1024;
/// How many addresses a claim may name.
pub(super) const MAX_ADDRESSES: usize = 64;
/// How many claims one message makes.
pub(super) const MAX_CLAIMS: usize = 24;
/// How many answers one message gives.
const MAX_ANSWERS: usize = (HEADER - 2) / 12;
/// How much of a packet an ICMP report quotes.
const MAX_QUOTE: usize = 64;

const HELLO: u8 = 1;
const CLAIMS: u8 = 2;
const RELEASE: u8 = 3;
const WELCOME: u8 = 4;
const REFUSED: u8 = 5;
const ANSWERS: u8 = 6;
const DATAGRAMS: u8 = 7;
const REPORT: u8 = 8;
const TOLD: u8 = 9;
const COMPANY: u8 = 10;

/// What a guest tells the holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Who speaks.
    Hello {
        /// What it speaks.
        version: u16,
    },
    /// It wants ports.
    Claims(Vec<ClaimRequest>),
    /// It needs a port no more.
    Release(u64),
    /// It was a guest of an earlier holder, and has told what it has.
    Told,
}

/// A port that a process wants to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClaimRequest {
    /// The process's name for it.
    pub(super) id: u64,
    /// Whether the process has it, and tells a new holder.
    pub(super) again: bool,
    /// Which one; `None` for any.
    pub(super) port: Option<u16>,
    /// The own addresses that it is wanted on, none for all, 0.0.0.0 for all of IPv4.
    pub(super) addresses: Vec<IpAddr>,
    /// Whether the process may have it again.
    pub(super) shares: bool,
}

impl Request {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut w = Writer::new(&mut bytes);
        match self {
            Self::Hello { version } => {
                w.u8(HELLO);
                w.u64(MAGIC);
                w.u16(*version);
            }
            Self::Claims(claims) => {
                w.u8(CLAIMS);
                for claim in claims {
                    w.u64(claim.id);
                    w.u8(u8::from(claim.again) | u8::from(claim.shares) << 1);
                    w.u16(claim.port.unwrap_or(0));
                    let addresses = claim.addresses.get(..MAX_ADDRESSES).unwrap_or(&claim.addresses);
                    w.u8(u8::try_from(addresses.len()).unwrap_or(0));
                    for address in addresses {
                        write_address(&mut w, *address);
                    }
                }
            }
            Self::Release(id) => {
                w.u8(RELEASE);
                w.u64(*id);
            }
            Self::Told => w.u8(TOLD),
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut r = Reader::new(bytes);
        let request = match r.u8("kind").ok()? {
            HELLO => {
                (r.u64("magic").ok()? == MAGIC).then_some(())?;
                let version = r.u16("version").ok()?;
                // Later versions may say more.
                r.take_rest();
                Self::Hello { version }
            }
            CLAIMS => {
                let mut claims = Vec::new();
                while !r.is_empty() {
                    (claims.len() < MAX_CLAIMS).then_some(())?;
                    claims.push(read_claim(&mut r)?);
                }
                Self::Claims(claims)
            }
            RELEASE => Self::Release(r.u64("id").ok()?),
            TOLD => Self::Told,
            _ => return None,
        };
        r.finish("request").ok()?;
        Some(request)
    }
}

fn read_claim(r: &mut Reader<'_>) -> Option<ClaimRequest> {
    let id = r.u64("id").ok()?;
    let flags = r.u8("flags").ok()?;
    let port = r.u16("port").ok()?;
    let count = usize::from(r.u8("addresses").ok()?);
    (count <= MAX_ADDRESSES).then_some(())?;
    let addresses = (0..count).map(|_| read_address(r)).collect::<Option<Vec<_>>>()?;
    Some(ClaimRequest {
        id,
        again: flags & 1 != 0,
        port: (port != 0).then_some(port),
        addresses,
        shares: flags & 2 != 0,
    })
}

/// What the holder tells a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// It may stay. The descriptors of the UDP sockets come with it.
    Welcome,
    /// It may not.
    Refused(Reason),
    /// What became of its claims.
    Answers(Vec<Answer>),
    /// Datagrams for its ports; their bytes follow the header.
    Datagrams(Vec<Run>),
    /// What ICMP says about a packet that came from one of its ports.
    Report(IcmpReport),
    /// How many guests there are now.
    Company(u32),
}

/// Why a guest may not stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// It runs for another user.
    User,
    /// It speaks another version.
    Version,
    /// There are too many.
    Full,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) id: u64,
    /// As in the claim.
    pub(super) again: bool,
    pub(super) outcome: Result<u16, Refusal>,
}

/// Datagrams from one sender with one ECN field, of one size but for the last, which may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    /// The sender's UDP port.
    pub(super) source_port: u16,
    /// The ECN field of their IP headers.
    pub(super) ecn: EcnCodepoint,
    /// Bytes of each datagram, but for the last.
    pub(super) stride: u16,
    /// Bytes of all.
    pub(super) len: u32,
}

impl Reply {
    /// The header; datagrams are to follow it.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER);
        let mut w = Writer::new(&mut bytes);
        match self {
            Self::Welcome => {
                w.u8(WELCOME);
                w.u64(MAGIC);
                w.u16(VERSION);
            }
            Self::Refused(reason) => {
                w.u8(REFUSED);
                w.u8(match reason {
                    Reason::User => 1,
                    Reason::Version => 2,
                    Reason::Full => 3,
                });
            }
            Self::Answers(answers) => {
                let answers = answers.get(..MAX_ANSWERS).unwrap_or(answers);
                w.u8(ANSWERS);
                w.u8(u8::try_from(answers.len()).unwrap_or(0));
                for answer in answers {
                    write_answer(&mut w, answer);
                }
            }
            Self::Datagrams(runs) => {
                let runs = runs.get(..MAX_RUNS).unwrap_or(runs);
                w.u8(DATAGRAMS);
                w.u8(u8::try_from(runs.len()).unwrap_or(0));
                for run in runs {
                    write_address(&mut w, run.src);
                    write_address(&mut w, run.dst);
                    w.u16(run.source_port);
                    w.u8(run.ecn.bits());
                    w.u16(run.stride);
                    w.u32(run.len);
                }
            }
            Self::Report(report) => write_report(&mut w, report),
            Self::Company(guests) => {
                w.u8(COMPANY);
                w.u32(*guests);
            }
        }
        bytes.resize(HEADER, 0);
        bytes
    }

    pub(super) fn decode(header: &[u8]) -> Option<Self> {
        (header.len() == HEADER).then_some(())?;
        let mut r = Reader::new(header);
        Some(match r.u8("kind").ok()? {
            WELCOME => {
                let same = r.u64("magic").ok()? == MAGIC && r.u16("version").ok()? == VERSION;
                same.then_some(Self::Welcome)?
            }
            REFUSED => Self::Refused(match r.u8("reason").ok()? {
                1 => Reason::User,
                2 => Reason::Version,
                3 => Reason::Full,
                _ => return None,
            }),
            ANSWERS => {
                let count = r.u8("answers").ok()?;
                Self::Answers((0..count).map(|_| read_answer(&mut r)).collect::<Option<_>>()?)
            }
            DATAGRAMS => {
                let count = r.u8("runs").ok()?;
                Self::Datagrams((0..count).map(|_| read_run(&mut r)).collect::<Option<_>>()?)
            }
            REPORT => Self::Report(read_report(&mut r)?),
            COMPANY => Self::Company(r.u32("guests").ok()?),
            _ => return None,
        })
    }
}

/// Answers as messages, each with as many as it takes.
pub(super) fn answers(answers: &[Answer]) -> impl Iterator<Item = Vec<u8>> {
    answers
        .chunks(MAX_ANSWERS)
        .map(|some| Reply::Answers(some.to_vec()).encode())
}

fn write_answer(w: &mut Writer<'_>, answer: &Answer) {
    w.u64(answer.id);
    w.u8(u8::from(answer.again));
    let (code, port) = match answer.outcome {
        Ok(port) => (0, port),
        Err(Refusal::Taken) => (1, 0),
        Err(Refusal::NoneFree) => (2, 0),
    };
    w.u8(code);
    w.u16(port);
}

fn read_answer(r: &mut Reader<'_>) -> Option<Answer> {
    let id = r.u64("id").ok()?;
    let again = r.u8("again").ok()? != 0;
    let code = r.u8("code").ok()?;
    let port = r.u16("port").ok()?;
    let outcome = match (code, port) {
        (0, 1..) => Ok(port),
        (1, 0) => Err(Refusal::Taken),
        (2, 0) => Err(Refusal::NoneFree),
        _ => return None,
    };
    Some(Answer { id, again, outcome })
}

fn read_run(r: &mut Reader<'_>) -> Option<Run> {
    Some(Run {
        src: read_address(r)?,
        dst: read_address(r)?,
        source_port: r.u16("port").ok()?,
        ecn: EcnCodepoint::from_bits(r.u8("ECN").ok()?),
        stride: r.u16("stride").ok().filter(|stride| *stride > 0)?,
        len: r.u32("length").ok().filter(|len| *len > 0)?,
    })
}

fn write_report(w: &mut Writer<'_>, report: &IcmpReport) {
    w.u8(REPORT);
    write_address(w, report.src.unwrap_or_else(|| Ipv6Addr::UNSPECIFIED.into()));
    write_address(w, report.dst);
    let ports = report.encap.unwrap_or(UdpPorts {
        source: 0,
        destination: 0,
    });
    w.u16(ports.source);
    w.u16(ports.destination);
    let (kind, mtu) = match report.kind {
        IcmpKind::PacketTooBig { mtu } => (1, mtu),
        IcmpKind::ProtocolUnreachable => (2, 0),
        IcmpKind::PortUnreachable => (3, 0),
        IcmpKind::Unreachable => (4, 0),
    };
    w.u8(kind);
    w.u32(mtu);
    let quoted = report.quoted.get(..MAX_QUOTE).unwrap_or(&report.quoted);
    w.u8(u8::try_from(quoted.len()).unwrap_or(0));
    w.bytes(quoted);
}

fn read_report(r: &mut Reader<'_>) -> Option<IcmpReport> {
    let src = Some(read_address(r)?).filter(|src| !src.is_unspecified());
    let dst = read_address(r)?;
    let encap = Some(UdpPorts {
        source: r.u16("source").ok()?,
        destination: r.u16("destination").ok()?,
    });
    let kind = r.u8("kind").ok()?;
    let mtu = r.u32("mtu").ok()?;
    let kind = match kind {
        1 => IcmpKind::PacketTooBig { mtu },
        2 => IcmpKind::ProtocolUnreachable,
        3 => IcmpKind::PortUnreachable,
        4 => IcmpKind::Unreachable,
        _ => return None,
    };
    let len = usize::from(r.u8("length").ok()?);
    (len <= MAX_QUOTE).then_some(())?;
    let quoted = Bytes::copy_from_slice(r.take(len, "quote").ok()?);
    Some(IcmpReport {
        src,
        dst,
        encap,
        kind,
        quoted,
    })
}

/// IPv4 addresses are written as IPv6 ones that stand for them.
fn write_address(w: &mut Writer<'_>, address: IpAddr) {
    let octets = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    w.bytes(&octets);
}

fn read_address(r: &mut Reader<'_>) -> Option<IpAddr> {
    let octets = r.bytes16("address").ok()?;
    Some(IpAddr::from(Ipv6Addr::from(octets)).to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn requests() -> Vec<Request> {
        let claim = |id, again, port, addresses: &[&str]| ClaimRequest {
            id,
            again,
            port,
            addresses: addresses.iter().map(|a| ip(a)).collect(),
            shares: id % 2 == 0,
        };
        vec![
            Request::Hello { version: 7 },
            Request::Claims(vec![
                claim(1, false, None, &[]),
                claim(u64::MAX, true, Some(3863), &["127.0.0.1", "2001:db8::1"]),
            ]),
            Request::Claims(vec![claim(9, true, Some(1), &["10.0.0.1"; MAX_ADDRESSES]); MAX_CLAIMS]),
            Request::Release(5),
            Request::Told,
        ]
    }

    fn replies() -> Vec<Reply> {
        let run = Run {
            src: ip("10.0.0.1"),
            dst: ip("::1"),
            source_port: 9899,
            ecn: EcnCodepoint::Ce,
            stride: 1452,
            len: 65_507,
        };
        let outcomes = [Ok(49_152), Err(Refusal::Taken), Err(Refusal::NoneFree)];
        let all = outcomes.map(|outcome| Answer {
            id: 3,
            again: false,
            outcome,
        });
        let report = IcmpReport {
            src: None,
            dst: ip("192.0.2.1"),
            encap: Some(UdpPorts {
                source: 9899,
                destination: 9900,
            }),
            kind: IcmpKind::PacketTooBig { mtu: 1280 },
            quoted: Bytes::from_static(&[1; MAX_QUOTE]),
        };
        vec![
            Reply::Welcome,
            Reply::Refused(Reason::Full),
            Reply::Answers(all.to_vec()),
            Reply::Answers(vec![all[0]; MAX_ANSWERS]),
            Reply::Datagrams(vec![run; MAX_RUNS]),
            Reply::Report(report),
            Reply::Company(3),
        ]
    }

    #[test]
    fn what_is_said_is_understood() {
        for request in requests() {
            let bytes = request.encode();
            assert!(bytes.len() <= MAX_REQUEST);
            assert_eq!(Request::decode(&bytes), Some(request));
        }
        for reply in replies() {
            let bytes = reply.encode();
            assert_eq!(bytes.len(), HEADER);
            assert_eq!(Reply::decode(&bytes), Some(reply));
        }
    }

    #[test]
    fn many_answers_take_several_messages() {
        let one = Answer {
            id: 1,
            again: true,
            outcome: Ok(1),
        };
        let messages: Vec<_> = answers(&[one; MAX_ANSWERS + 1]).collect();
        let last = Reply::decode(&messages[1]);
        assert_eq!((messages.len(), last), (2, Some(Reply::Answers(vec![one]))));
    }

    #[test]
    fn what_makes_no_sense_is_no_message() {
        assert_eq!(Request::decode(&[]), None);
        assert_eq!(Request::decode(&[99]), None);
        for request in requests() {
            let bytes = request.encode();
            let mut longer = bytes.clone();
            longer.push(0);
            // A hello may say more one day, and a claim is cut at its end only.
            let cut = bytes.len() - 1;
            assert_eq!(Request::decode(&bytes[..cut]), None, "{request:?}");
            if !matches!(request, Request::Hello { .. }) {
                assert_eq!(Request::decode(&longer), None, "{request:?}");
            }
        }
        let many = Request::Claims(vec![
            ClaimRequest {
                id: 1,
                again: false,
                port: None,
                addresses: Vec::new(),
                shares: false,
            };
            MAX_CLAIMS + 1
        ]);
        assert_eq!(Request::decode(&many.encode()), None);
        assert_eq!(Reply::decode(&[0; HEADER]), None);
        assert_eq!(Reply::decode(&[WELCOME; HEADER - 1]), None);
    }

    #[test]
    fn any_bytes_are_read_without_harm() {
        let mut state = 1u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        for _ in 0..20_000 {
            let mut header: Vec<u8> = std::iter::repeat_with(&mut next).take(HEADER).collect();
            header[0] %= 12;
            // Few runs, answers and addresses, so that some of it makes sense.
            header[1] %= 30;
            let _ = Reply::decode(&header);
            let len = usize::from(next());
            let _ = Request::decode(&header[..len]);
        }
    }
}
