//! Datagrams that a guest gets from the holder.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use rustix::io::Result;
use sctp::{ChecksumState, IcmpReport, RxMeta, UdpPorts};

use super::meeting::receive_reply;
use super::wire::{Answer, HEADER, PAYLOAD, Reason, Reply, Run};
use crate::userland::device::{BUFFER, Pool, share};

/// Below this, datagrams are copied out of their buffer, so that few bytes do not hold much memory.
const COPY_BELOW: usize = BUFFER / 4;

/// Where messages are received to.
#[derive(Debug)]
pub(super) struct Inbox {
    header: Box<[u8; HEADER]>,
    payload: Box<[u8]>,
    pool: Arc<Pool>,
}

/// What the holder says.
#[derive(Debug)]
pub(super) enum Heard {
    /// Nothing more, ever.
    End,
    Welcome,
    Refused(Reason),
    Answers(Vec<Answer>),
    Datagrams(Vec<(RxMeta, Bytes)>),
    Report(IcmpReport),
    Company(u32),
}

impl Inbox {
    pub(super) fn new() -> Self {
        const { assert!(BUFFER >= PAYLOAD, "a buffer takes every payload") };
        Self {
            header: Box::new([0; HEADER]),
            payload: vec![0; BUFFER].into_boxed_slice(),
            pool: Arc::default(),
        }
    }

    /// The next message; what makes no sense is the end. The datagrams came to UDP port `port`.
    pub(super) fn receive(&mut self, connection: &OwnedFd, port: u16) -> Result<Heard> {
        let Some(len) = receive_reply(connection, &mut self.header, &mut self.payload)? else {
            return Ok(Heard::End);
        };
        Ok(match Reply::decode(&self.header[..]) {
            None => Heard::End,
            Some(Reply::Welcome) => Heard::Welcome,
            Some(Reply::Refused(reason)) => Heard::Refused(reason),
            Some(Reply::Answers(answers)) => Heard::Answers(answers),
            Some(Reply::Report(report)) => Heard::Report(report),
            Some(Reply::Company(guests)) => Heard::Company(guests),
            Some(Reply::Datagrams(runs)) => self.cut(&runs, len, port).map_or(Heard::End, Heard::Datagrams),
        })
    }

    /// Cuts the payload into datagrams; `None` if it is not as the header says.
    fn cut(&mut self, runs: &[Run], len: usize, port: u16) -> Option<Vec<(RxMeta, Bytes)>> {
        let mut rest = self.take(len)?;
        let mut datagrams = Vec::new();
        for run in runs {
            let len = usize::try_from(run.len).ok().filter(|len| *len <= rest.len())?;
            let mut run_bytes = rest.split_to(len);
            let stride = usize::from(run.stride).max(1);
            let meta = RxMeta {
                src: run.src,
                dst: run.dst,
                encap: Some(UdpPorts {
                    source: run.source_port,
                    destination: port,
                }),
                ecn: run.ecn,
                checksum: ChecksumState::Unverified,
                buffer_len: stride,
            };
            while !run_bytes.is_empty() {
                let datagram = run_bytes.split_to(stride.min(run_bytes.len()));
                datagrams.push((meta, datagram));
            }
        }
        rest.is_empty().then_some(datagrams)
    }

    fn take(&mut self, len: usize) -> Option<Bytes> {
        let received = self.payload.get(..len)?;
        let spare = if len < COPY_BELOW { None } else { self.pool.take() };
        Some(match spare {
            None => Bytes::copy_from_slice(received),
            Some(spare) => share(std::mem::replace(&mut self.payload, spare), &self.pool).slice(..len),
        })
    }
}

/// The SCTP port that a packet is for.
pub(super) fn destination_port(packet: &[u8]) -> Option<u16> {
    let &[_, _, high, low, ..] = packet else { return None };
    Some(u16::from_be_bytes([high, low]))
}

/// The SCTP port and address that a packet came from which ICMP quotes.
pub(super) fn origin(report: &IcmpReport) -> Option<(Option<IpAddr>, u16)> {
    let (port, _) = report.quoted.split_first_chunk()?;
    Some((report.src, u16::from_be_bytes(*port)))
}

#[cfg(test)]
mod tests {
    use sctp::EcnCodepoint;

    use super::super::batch::Batch;
    use super::super::meeting;
    use super::*;

    /// What comes from another sender, or was marked.
    fn meta(last: u8) -> RxMeta {
        RxMeta {
            src: IpAddr::from([127, 0, 0, last]),
            dst: IpAddr::from([127, 0, 0, 1]),
            encap: Some(UdpPorts {
                source: 1000 + u16::from(last),
                destination: 9899,
            }),
            ecn: EcnCodepoint::from_bits(last),
            checksum: ChecksumState::Unverified,
            buffer_len: 0,
        }
    }

    fn pair() -> (OwnedFd, OwnedFd) {
        rustix::net::socketpair(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::SEQPACKET,
            rustix::net::SocketFlags::CLOEXEC,
            None,
        )
        .unwrap()
    }

    #[test]
    fn datagrams_cross_as_they_are_in_one_message() {
        let (holder, guest) = pair();
        let sizes = [
            (1, 1400),
            (1, 1400),
            (1, 100),
            (1, 1400),
            (2, 1400),
            (2, 1500),
            (1, 60_000 - 7300),
            (3, 1),
        ];
        let mut batch = Batch::default();
        let mut expected = Vec::new();
        for (number, (from, size)) in sizes.into_iter().enumerate() {
            let datagram = Bytes::from(vec![u8::try_from(number).unwrap(); size]);
            assert!(batch.has_room(&datagram));
            batch.push(&meta(from), datagram.clone());
            let meta = meta(from);
            expected.push((meta.src, meta.dst, meta.encap, meta.ecn, datagram));
        }
        assert_eq!(batch.send(&holder), Ok(0));
        assert!(batch.is_empty());
        let mut inbox = Inbox::new();
        let Heard::Datagrams(datagrams) = inbox.receive(&guest, 9899).unwrap() else {
            panic!("no datagrams")
        };
        let received: Vec<_> = datagrams
            .into_iter()
            .map(|(meta, datagram)| (meta.src, meta.dst, meta.encap, meta.ecn, datagram))
            .collect();
        assert_eq!(received, expected);
    }

    #[test]
    fn the_largest_datagram_crosses() {
        let (holder, guest) = pair();
        let mut batch = Batch::default();
        let datagram = Bytes::from(vec![7; 65_535]);
        batch.push(&meta(1), datagram.clone());
        assert!(!batch.has_room(&datagram));
        assert_eq!(batch.send(&holder), Ok(0));
        let heard = Inbox::new().receive(&guest, 9899).unwrap();
        assert!(matches!(heard, Heard::Datagrams(all) if all.len() == 1 && all[0].1 == datagram));
    }

    #[test]
    fn a_guest_that_does_not_read_loses_datagrams_and_gets_later_ones() {
        let (holder, guest) = pair();
        let (mut sent, mut dropped) = (0u64, 0);
        while dropped == 0 {
            let mut batch = Batch::default();
            batch.push(&meta(1), Bytes::from(vec![0; 60_000]));
            dropped = batch.send(&holder).unwrap();
            sent += 1;
            assert!(sent < 10_000);
        }
        let mut inbox = Inbox::new();
        for _ in 0..sent - dropped {
            assert!(matches!(inbox.receive(&guest, 9899), Ok(Heard::Datagrams(_))));
        }
        let mut batch = Batch::default();
        batch.push(&meta(1), Bytes::from_static(b"later"));
        assert_eq!(batch.send(&holder), Ok(0));
        assert!(matches!(inbox.receive(&guest, 9899), Ok(Heard::Datagrams(all)) if all[0].1[..] == b"later"[..]));
    }

    #[test]
    fn a_payload_that_is_not_as_its_header_says_is_the_end() {
        let (holder, guest) = pair();
        let run = Run {
            src: IpAddr::from([127, 0, 0, 1]),
            dst: IpAddr::from([127, 0, 0, 1]),
            source_port: 1,
            ecn: EcnCodepoint::NotEct,
            stride: 10,
            len: 20,
        };
        let mut inbox = Inbox::new();
        for payload in [0, 19, 21] {
            let mut message = Reply::Datagrams(vec![run]).encode();
            message.resize(HEADER + payload, 0);
            meeting::send_message(&holder, &message).unwrap();
            assert!(matches!(inbox.receive(&guest, 9899), Ok(Heard::End)), "{payload}");
        }
        meeting::send_message(&holder, b"nonsense").unwrap();
        assert!(matches!(inbox.receive(&guest, 9899), Ok(Heard::End)));
        drop(holder);
        assert!(matches!(inbox.receive(&guest, 9899), Ok(Heard::End)));
    }
}
