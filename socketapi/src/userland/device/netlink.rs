//! What Linux tells of addresses (rtnetlink).

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use tokio::io::Ready;

use super::super::{Watched, watch};

/// The groups that changes of addresses are told to (`RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV6_IFADDR`).
const GROUPS: u32 = 0x10 | 0x100;
/// Room for one message of a list, which is of 32 KiB at most.
const BUFFER: usize = 32 << 10;
/// How many changes are taken at once.
const CHANGES: usize = 256;
/// How often a list is asked for anew that changed while it was read.
const ATTEMPTS: usize = 4;

/// Two sockets, so that lists and changes do not mix.
#[derive(Debug)]
pub(super) struct System {
    changes: Socket,
    lists: Mutex<Lists>,
}

#[derive(Debug)]
struct Lists {
    socket: Socket,
    /// The number of the list that was asked for last.
    asked: u32,
}

impl System {
    pub(super) fn open() -> io::Result<Self> {
        let open = |groups| {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.set_non_blocking(true)?;
            socket.bind(&SocketAddr::new(0, groups))?;
            Ok::<_, io::Error>(socket)
        };
        let lists = Lists {
            socket: open(0)?,
            asked: 0,
        };
        Ok(Self {
            changes: open(GROUPS)?,
            lists: Mutex::new(lists),
        })
    }

    pub(super) fn read(&self) -> io::Result<Vec<IpAddr>> {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..ATTEMPTS {
            if let Some(addresses) = lists.read()? {
                return Ok(addresses);
            }
        }
        Err(io::ErrorKind::Interrupted.into())
    }

    pub(super) async fn changed(&self) -> io::Result<()> {
        let socket = watch(self.changes.as_fd(), Watched::Datagrams)?;
        loop {
            let mut ready = socket.readable().await?;
            if self.take_changes()? {
                return Ok(());
            }
            ready.clear_ready_matching(Ready::READABLE);
        }
    }

    /// Takes note of changes; whether there were any.
    fn take_changes(&self) -> io::Result<bool> {
        let mut some = false;
        for _ in 0..CHANGES {
            // What it says is in the list as well; the rest of the message is dropped.
            match self.changes.recv(&mut [0; 16].as_mut_slice(), 0) {
                Ok(_) => some = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // More happened than the system could tell.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => some = true,
                Err(error) => return Err(error),
            }
        }
        Ok(some)
    }
}

impl Lists {
    /// Reads a list; `None` if it changed meanwhile. The system has it at hand: nothing is waited for.
    fn read(&mut self) -> io::Result<Option<Vec<IpAddr>>> {
        self.asked = self.asked.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        header.sequence_number = self.asked;
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;

        let mut addresses = Vec::new();
        let mut whole = true;
        let mut buffer = vec![0; BUFFER];
        loop {
            let len = self.socket.recv(&mut buffer.as_mut_slice(), 0)?;
            let mut rest = buffer.get(..len).unwrap_or_default();
            while !rest.is_empty() {
                let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(io::Error::other)?;
                let (header, payload) = message.into_parts();
                // Messages begin at multiples of four bytes.
                let taken = (header.length as usize).next_multiple_of(4).max(4);
                rest = rest.get(taken..).unwrap_or_default();
                if header.sequence_number != self.asked {
                    continue;
                }
                whole &= header.flags & NLM_F_DUMP_INTR == 0;
                match payload {
                    NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(found)) => {
                        addresses.extend(usable(&found));
                    }
                    NetlinkPayload::Done(_) => return Ok(whole.then_some(addresses)),
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    _ => {}
                }
            }
        }
    }
}

/// The own address, unless it may turn out to be another host's (RFC 4862 §5.4).
fn usable(found: &AddressMessage) -> Option<IpAddr> {
    let flags = found.header.flags;
    let optimistic = flags.contains(AddressHeaderFlags::Optimistic);
    let tentative = flags.contains(AddressHeaderFlags::Tentative) && !optimistic;
    if tentative || flags.contains(AddressHeaderFlags::Dadfailed) {
        return None;
    }
    let attributes = || found.attributes.iter();
    let local = attributes().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    // The other end's, where there is a local one.
    let address = attributes().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    });
    local.or(address)
}
