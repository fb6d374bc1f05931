//! PingPong: answers pings with numbered pongs; the number goes on at the next element by means of a cookie.

use std::collections::BTreeMap;

use rserpool::element::SessionEnd;
use rserpool::service::{Replies, Service, ServiceMessage};
use rserpool::session::SessionId;
use rserpool::wire::param;
use sctp::Instant;
use sctp::serial::StreamId;

use super::load;
use crate::protocol::pingpong::{Cookie, PPID_PINGPONG, Packet, Pong};

/// Pongs go on the stream that carries the cookies too: so a pong is always there before the cookie that counts it, and
/// a user who has a cookie has all pongs below its number.
const STREAM: StreamId = StreamId(0);

/// What the service knows of a session.
#[derive(Debug)]
struct Session {
    next_reply_no: u64,
    /// Replies given here.
    replies: u64,
}

/// The service.
#[derive(Debug)]
pub struct PingPong {
    sessions: BTreeMap<SessionId, Session>,
    capacity: usize,
    failure_after: Option<u64>,
}

impl PingPong {
    /// A service that is fully loaded with `capacity` sessions.
    pub const fn new(capacity: usize) -> Self {
        Self {
            sessions: BTreeMap::new(),
            capacity,
            failure_after: None,
        }
    }

    /// Abort each session after so many replies, to try out failovers.
    #[must_use]
    pub const fn with_failure_after(mut self, replies: Option<u64>) -> Self {
        self.failure_after = replies;
        self
    }

    fn abort(&mut self, session: SessionId, replies: &mut Replies) {
        self.sessions.remove(&session);
        replies.abort(session);
    }
}

impl Service for PingPong {
    fn on_session_start(&mut self, _now: Instant, session: SessionId, _replies: &mut Replies) {
        self.sessions.insert(
            session,
            Session {
                next_reply_no: 1,
                replies: 0,
            },
        );
    }

    fn on_cookie_echo(&mut self, _now: Instant, session: SessionId, cookie: &param::Cookie, replies: &mut Replies) {
        match (Cookie::decode(cookie.as_bytes()), self.sessions.get_mut(&session)) {
            (Ok(cookie), Some(state)) => state.next_reply_no = cookie.next_reply_no,
            _ => self.abort(session, replies),
        }
    }

    fn on_message(&mut self, _now: Instant, session: SessionId, message: ServiceMessage, replies: &mut Replies) {
        let Some(state) = self.sessions.get_mut(&session) else {
            return;
        };
        let (PPID_PINGPONG, Ok(Packet::Ping(ping))) = (message.ppid, Packet::decode(&message.payload)) else {
            return self.abort(session, replies);
        };
        let pong = Pong {
            message_no: ping.message_no,
            reply_no: state.next_reply_no,
            data: ping.data,
        };
        replies.send(
            session,
            ServiceMessage {
                stream: STREAM,
                ppid: PPID_PINGPONG,
                payload: pong.encode(),
            },
        );
        state.replies += 1;
        // The cookie it came from may say anything.
        state.next_reply_no = state.next_reply_no.wrapping_add(1);
        let cookie = Cookie {
            next_reply_no: state.next_reply_no,
        };
        // It is far below the limit.
        if let Ok(cookie) = param::Cookie::new(cookie.encode()) {
            replies.send_cookie(session, cookie);
        }
        if self.failure_after.is_some_and(|limit| state.replies >= limit) {
            self.abort(session, replies);
        }
    }

    fn on_session_end(&mut self, _now: Instant, session: SessionId, _end: SessionEnd, _replies: &mut Replies) {
        self.sessions.remove(&session);
    }

    fn load(&self) -> Option<u32> {
        Some(load(self.sessions.len(), self.capacity))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rserpool::config::{ElementConfig, EndpointConfig};
    use rserpool::element::{PoolElement, ServiceHost};
    use rserpool::ids::PoolHandle;
    use rserpool::net::{ConnId, NetCommand, NetEvent, PPID_ASAP, SctpAddress};
    use rserpool::wire::asap::AsapMessage;
    use rserpool::wire::policy::PolicyParam;
    use rserpool::wire::transport::{SctpTransport, TransportUse};
    use sctp::serial::Ppid;

    use super::*;
    use crate::protocol::pingpong::Ping;

    const USER: ConnId = ConnId::Accepted(0);

    /// An element with the service, and a user whose association just came up.
    struct Bed(ServiceHost<PingPong>);

    impl Bed {
        fn new(service: PingPong) -> Self {
            let address = |last: u8| SctpAddress {
                port: 1000,
                addresses: vec![[127, 0, 0, last].into()],
            };
            let config = ElementConfig::new(PoolHandle::new("P").unwrap(), PolicyParam::RoundRobin);
            let transport = SctpTransport::new(&address(1), TransportUse::DataPlusControl);
            let element = PoolElement::new(config, EndpointConfig::default(), transport, [1; 32]);
            let mut bed = Self(ServiceHost::new(element, service));
            bed.handle(NetEvent::Connected {
                conn: USER,
                peer: address(2),
            });
            bed
        }

        /// What the user gets for an event: pongs and cookies in order, as text; `abort` when the session is aborted.
        fn handle(&mut self, event: NetEvent) -> Vec<String> {
            self.0.handle(Instant::ZERO, event);
            let mut said = Vec::new();
            while let Some(command) = self.0.poll_command() {
                said.push(match command {
                    NetCommand::Send {
                        ppid: PPID_PINGPONG,
                        payload,
                        ..
                    } => match Packet::decode(&payload).unwrap() {
                        Packet::Pong(pong) => format!("pong {} reply {}", pong.message_no, pong.reply_no),
                        Packet::Ping(_) => panic!("a server sends no pings"),
                    },
                    NetCommand::Send {
                        ppid: PPID_ASAP,
                        payload,
                        ..
                    } => match AsapMessage::decode(&payload) {
                        Ok(AsapMessage::Cookie { cookie }) => {
                            format!("cookie {}", Cookie::decode(cookie.as_bytes()).unwrap().next_reply_no)
                        }
                        other => panic!("{other:?}"),
                    },
                    NetCommand::Abort { conn: USER } => "abort".to_owned(),
                    other => panic!("{other:?}"),
                });
            }
            said
        }

        fn ping(&mut self, message_no: u64) -> Vec<String> {
            self.message(
                PPID_PINGPONG,
                Ping {
                    message_no,
                    data: Bytes::from_static(b"data"),
                }
                .encode(),
            )
        }

        fn cookie_echo(&mut self, cookie: Bytes) -> Vec<String> {
            let cookie = param::Cookie::new(cookie).unwrap();
            self.message(PPID_ASAP, AsapMessage::CookieEcho { cookie }.encode())
        }

        fn message(&mut self, ppid: Ppid, payload: Bytes) -> Vec<String> {
            self.handle(NetEvent::Message {
                conn: USER,
                stream: STREAM,
                ppid,
                payload,
            })
        }
    }

    #[test]
    fn each_pong_has_the_next_number_and_a_cookie_after_it() {
        let mut bed = Bed::new(PingPong::new(4));
        assert_eq!(bed.ping(7), ["pong 7 reply 1", "cookie 2"]);
        assert_eq!(bed.ping(8), ["pong 8 reply 2", "cookie 3"]);
    }

    #[test]
    fn rfc5352_3_8_the_number_goes_on_from_the_cookie() {
        let mut bed = Bed::new(PingPong::new(4));
        assert!(bed.cookie_echo(Cookie { next_reply_no: 41 }.encode()).is_empty());
        assert_eq!(bed.ping(1), ["pong 1 reply 41", "cookie 42"]);
    }

    #[test]
    fn a_cookie_at_the_end_of_the_numbers_does_no_harm() {
        let mut bed = Bed::new(PingPong::new(4));
        bed.cookie_echo(
            Cookie {
                next_reply_no: u64::MAX,
            }
            .encode(),
        );
        assert_eq!(
            bed.ping(1),
            [format!("pong 1 reply {}", u64::MAX), "cookie 0".to_owned()]
        );
    }

    #[test]
    fn a_foreign_cookie_or_packet_aborts_the_session() {
        let aborted = ["abort"];
        assert_eq!(
            Bed::new(PingPong::new(4)).cookie_echo(Bytes::from_static(b"<FG-TD1>")),
            aborted
        );
        assert_eq!(
            Bed::new(PingPong::new(4)).message(PPID_PINGPONG, Bytes::from_static(b"hello")),
            aborted
        );
        let pong = Pong {
            message_no: 1,
            reply_no: 1,
            data: Bytes::new(),
        };
        assert_eq!(
            Bed::new(PingPong::new(4)).message(PPID_PINGPONG, pong.encode()),
            aborted
        );
        let ping = Ping {
            message_no: 1,
            data: Bytes::new(),
        };
        assert_eq!(Bed::new(PingPong::new(4)).message(Ppid(0), ping.encode()), aborted);
    }

    #[test]
    fn a_session_fails_after_so_many_replies_if_asked_to() {
        let mut bed = Bed::new(PingPong::new(4).with_failure_after(Some(2)));
        assert_eq!(bed.ping(1).len(), 2);
        assert_eq!(bed.ping(2), ["pong 2 reply 2", "cookie 3", "abort"]);
    }

    #[test]
    fn the_load_follows_the_sessions() {
        let mut bed = Bed::new(PingPong::new(2));
        bed.ping(1);
        assert_eq!(bed.0.service().load(), Some(u32::MAX / 2));
        bed.handle(NetEvent::Closed {
            conn: USER,
            graceful: true,
        });
        assert_eq!(bed.0.service().load(), Some(0));
    }
}
