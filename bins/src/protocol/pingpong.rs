//! PingPong: numbered requests, numbered replies, and a cookie that carries the reply number from server to server.
//!
//! ```text
//! Ping:   Type 1 (u8)  Flags 0 (u8)  Length (u16)  MessageNo (u64)  data
//! Pong:   Type 2 (u8)  Flags 0 (u8)  Length (u16)  MessageNo (u64)  ReplyNo (u64)  the ping's data
//! Cookie: "<PP-TD1>"   next ReplyNo (u64)
//! ```
//!
//! Numbers are big-endian; Length counts the whole message. Reply numbers start at 1.

use bytes::Bytes;
use sctp::serial::Ppid;
use sctp::tlv::{ReadError, Reader, Writer};
use thiserror::Error;

/// The payload protocol identifier of pings and pongs.
pub const PPID_PINGPONG: Ppid = Ppid(33);
/// The pool that servers and clients use unless told otherwise.
pub const DEFAULT_POOL: &str = "PingPongPool";
/// The most data that a ping may carry, in bytes: its pong must still fit the 16-bit length.
pub const MAX_DATA: usize = u16::MAX as usize - PONG_HEADER;

const PING: u8 = 1;
const PONG: u8 = 2;
const PING_HEADER: usize = 12;
const PONG_HEADER: usize = 20;
const COOKIE_TAG: &[u8; 8] = b"<PP-TD1>";

/// Why bytes are no PingPong packet or cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PacketError {
    /// It ends too early, or says another length than it has.
    #[error(transparent)]
    Layout(#[from] ReadError),
    /// Its type is neither ping nor pong.
    #[error("unknown packet type {0}")]
    UnknownType(u8),
    /// It is not a cookie of this protocol.
    #[error("a cookie of another protocol")]
    ForeignCookie,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Its number, counted by the client.
    pub message_no: u64,
    /// Anything; the pong brings it back.
    pub data: Bytes,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pong {
    /// The number of the ping that it answers.
    pub message_no: u64,
    /// Its own number, counted by the servers of the session one after another.
    pub reply_no: u64,
    /// The ping's data.
    pub data: Bytes,
}

/// A message of either kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// A request.
    Ping(Ping),
    /// A reply.
    Pong(Pong),
}

impl Packet {
    /// The packet in `message`.
    pub fn decode(message: &Bytes) -> Result<Self, PacketError> {
        let mut reader = Reader::new(message);
        let kind = reader.u8("type")?;
        let _flags = reader.u8("flags")?;
        if usize::from(reader.u16("length")?) != message.len() {
            return Err(ReadError::BadLength { at: "length" }.into());
        }
        let message_no = reader.u64("message number")?;
        match kind {
            PING => Ok(Self::Ping(Ping {
                message_no,
                data: message.slice_ref(reader.take_rest()),
            })),
            PONG => {
                let reply_no = reader.u64("reply number")?;
                Ok(Self::Pong(Pong {
                    message_no,
                    reply_no,
                    data: message.slice_ref(reader.take_rest()),
                }))
            }
            other => Err(PacketError::UnknownType(other)),
        }
    }
}

impl Ping {
    /// The message. Data beyond [`MAX_DATA`] is cut off.
    pub fn encode(&self) -> Bytes {
        let data = self.data.get(..MAX_DATA).unwrap_or(&self.data);
        packet(PING, PING_HEADER + data.len(), |writer| {
            writer.u64(self.message_no);
            writer.bytes(data);
        })
    }
}

impl Pong {
    /// The message. Data beyond [`MAX_DATA`] is cut off.
    pub fn encode(&self) -> Bytes {
        let data = self.data.get(..MAX_DATA).unwrap_or(&self.data);
        packet(PONG, PONG_HEADER + data.len(), |writer| {
            writer.u64(self.message_no);
            writer.u64(self.reply_no);
            writer.bytes(data);
        })
    }
}

fn packet(kind: u8, length: usize, body: impl FnOnce(&mut Writer<'_>)) -> Bytes {
    let mut buf = Vec::with_capacity(length);
    let mut writer = Writer::new(&mut buf);
    writer.u8(kind);
    writer.u8(0);
    writer.u16(u16::try_from(length).unwrap_or(u16::MAX));
    body(&mut writer);
    buf.into()
}

/// What a server gives its client to keep, and the next server of the session gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// The number of the next reply.
    pub next_reply_no: u64,
}

impl Cookie {
    /// The cookie in `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, PacketError> {
        let mut reader = Reader::new(bytes);
        if reader.take(COOKIE_TAG.len(), "cookie tag")? != COOKIE_TAG {
            return Err(PacketError::ForeignCookie);
        }
        let next_reply_no = reader.u64("reply number")?;
        reader.finish("cookie")?;
        Ok(Self { next_reply_no })
    }

    /// Its bytes.
    pub fn encode(&self) -> Bytes {
        let mut buf = COOKIE_TAG.to_vec();
        buf.extend_from_slice(&self.next_reply_no.to_be_bytes());
        buf.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_look_as_rsplib_sends_them() {
        let ping = Ping {
            message_no: 1,
            data: Bytes::from_static(b"Nachricht: 1"),
        };
        let bytes = ping.encode();
        assert_eq!(&bytes[..12], [1, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(Packet::decode(&bytes), Ok(Packet::Ping(ping)));

        let pong = Pong {
            message_no: 2,
            reply_no: 3,
            data: Bytes::from_static(b"x"),
        };
        let bytes = pong.encode();
        assert_eq!(
            &bytes[..],
            [2, 0, 0, 21, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, b'x']
        );
        assert_eq!(Packet::decode(&bytes), Ok(Packet::Pong(pong)));

        let cookie = Cookie { next_reply_no: 2 };
        assert_eq!(&cookie.encode()[..], b"<PP-TD1>\0\0\0\0\0\0\0\x02");
        assert_eq!(Cookie::decode(&cookie.encode()), Ok(cookie));
    }

    #[test]
    fn a_packet_with_a_wrong_length_or_type_is_refused() {
        let good = Ping {
            message_no: 1,
            data: Bytes::new(),
        }
        .encode();
        for cut in 0..good.len() {
            assert!(Packet::decode(&good.slice(..cut)).is_err(), "{cut} bytes");
        }
        let mut longer = good.to_vec();
        longer.push(0);
        assert_eq!(
            Packet::decode(&longer.into()),
            Err(PacketError::Layout(ReadError::BadLength { at: "length" }))
        );
        let mut other = good.to_vec();
        other[0] = 3;
        assert_eq!(Packet::decode(&other.into()), Err(PacketError::UnknownType(3)));
    }

    #[test]
    fn a_cookie_of_another_size_or_tag_is_refused() {
        assert_eq!(
            Cookie::decode(b"<FG-TD1>\0\0\0\0\0\0\0\x02"),
            Err(PacketError::ForeignCookie)
        );
        assert!(Cookie::decode(b"<PP-TD1>\0\0\0\0\0\0\x02").is_err());
        assert!(Cookie::decode(b"<PP-TD1>\0\0\0\0\0\0\0\0\x02").is_err());
        assert!(Cookie::decode(b"").is_err());
    }

    #[test]
    fn data_that_no_pong_could_carry_is_cut_off() {
        let ping = Ping {
            message_no: 1,
            data: vec![7; 70_000].into(),
        };
        let Ok(Packet::Ping(read)) = Packet::decode(&ping.encode()) else {
            panic!()
        };
        assert_eq!(read.data.len(), MAX_DATA);
        let pong = Pong {
            message_no: 1,
            reply_no: 1,
            data: read.data,
        };
        assert_eq!(pong.encode().len(), usize::from(u16::MAX));
    }
}
