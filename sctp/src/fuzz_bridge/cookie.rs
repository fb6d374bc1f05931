//! State Cookies (RFC 9260 §5.1.3, §5.1.5).

use std::net::IpAddr;
use std::time::Duration;

use super::Choices;
use super::hostile_peer::{PEER_PORT, PORT, give, own, peer};
use crate::assoc::{CookieKeys, StateCookie};
use crate::config::{EndpointConfig, StackConfig};
use crate::random::Random;
use crate::serial::{Tsn, VerificationTag};
use crate::tlv::{Reader, Writer};
use crate::wire::{self, ChecksumRule, ChunkType, Init, InitFixed, Packet, Param};
use crate::{EndpointId, Instant, Stack};

/// Bytes as what a cookie says, as a sealed cookie, or as a set-up whose cookie comes back changed: nothing that was
/// not sealed here opens, or leaves a trace in a stack.
pub fn cookie(data: &[u8]) {
    let mut choices = Choices::new(data);
    match choices.below(4) {
        0 => content(choices.rest()),
        1 => forged(choices.rest()),
        _ => Setup::new().run(&mut choices),
    }
}

/// What was under a good MAC.
fn content(bytes: &[u8]) {
    let Some(cookie) = StateCookie::read(&mut Reader::new(bytes)) else {
        return;
    };
    assert!(cookie.peer.addresses.len() <= bytes.len() / 5);
    let mut written = Vec::new();
    cookie.write(&mut Writer::new(&mut written));
    assert_eq!(StateCookie::read(&mut Reader::new(&written)), Some(cookie.clone()));
    let mut keys = CookieKeys::new(Random::from_number(1));
    let sealed = keys.seal(Instant::ZERO, &cookie);
    assert_eq!(keys.open(&sealed), Some(cookie));
}

/// Nobody without the key makes a cookie.
fn forged(bytes: &[u8]) {
    assert_eq!(CookieKeys::new(Random::from_number(1)).open(bytes), None);
}

/// One of four addresses that packets come from, the last one of IPv6.
fn address(choice: usize) -> IpAddr {
    peer([0, 1, 2, 7][choice])
}

/// A stack that listens, and what comes to it.
struct Setup {
    stack: Stack,
    endpoint: EndpointId,
    now: Instant,
}

impl Setup {
    fn new() -> Self {
        let mut stack = Stack::new(StackConfig::new(vec![own(0)], None), [3; 32]);
        let config = EndpointConfig {
            port: Some(PORT),
            ..EndpointConfig::default()
        };
        let endpoint = stack.bind(config).expect("a free port");
        stack.listen(endpoint, 2);
        Self {
            stack,
            endpoint,
            now: Instant::from_millis(1),
        }
    }

    fn run(mut self, choices: &mut Choices<'_>) {
        let source = address(choices.below(3));
        let Some((tag, sealed)) = self.init(source, choices) else {
            return;
        };
        while !choices.is_empty() {
            match choices.below(8) {
                0 => self.now += Duration::from_secs(1) * choices.u8().into(),
                1 => self.echo(source, tag, &sealed),
                _ => {
                    let changed = change(&sealed, choices);
                    if changed != sealed {
                        self.echo_in_vain(address(choices.below(4)), tag, &changed);
                    }
                }
            }
        }
        self.echo(source, tag, &sealed);
    }

    /// Sends an INIT; the tag and the cookie of the answer. Nothing is kept.
    fn init(&mut self, source: IpAddr, choices: &mut Choices<'_>) -> Option<(VerificationTag, Vec<u8>)> {
        let fixed = InitFixed {
            initiate_tag: VerificationTag(choices.u8().into()),
            a_rwnd: 1490 + u32::from(choices.u8()),
            outbound_streams: choices.u8().into(),
            inbound_streams: choices.u8().into(),
            initial_tsn: Tsn(choices.u8().into()),
        };
        let len = choices.below(120);
        let params = choices.take(len);
        let mut buf = Vec::new();
        wire::write_init(&mut buf, ChunkType::INIT, &fixed, |w| {
            w.bytes(params);
            w.pad_from(0);
        });
        give(&mut self.stack, self.now, source, VerificationTag::ZERO, &buf);
        let answer = self.take()?;
        let packet = Packet::parse(&answer, ChecksumRule::Verify).expect("a packet");
        let chunk = packet.first_chunk().expect("a chunk");
        if chunk.kind != ChunkType::INIT_ACK {
            return None;
        }
        let init = Init::parse(chunk.value).expect("an INIT ACK");
        let sealed = init.params.flatten().find_map(|param| match param {
            Param::StateCookie(sealed) => Some(sealed.to_vec()),
            _ => None,
        });
        self.assert_nothing_kept();
        Some((init.fixed.initiate_tag, sealed.expect("a cookie")))
    }

    /// The cookie comes back as it was sealed: there is one association in the end, unless it is too late.
    fn echo(&mut self, source: IpAddr, tag: VerificationTag, sealed: &[u8]) {
        let known = self.stack.find(self.endpoint, source, PEER_PORT);
        let before = self.stack.stats();
        self.give_cookie(source, tag, sealed);
        while self.take().is_some() {}
        let after = self.stack.stats();
        assert_eq!(after.bad_cookies, before.bad_cookies, "our own cookie");
        let found = self.stack.find(self.endpoint, source, PEER_PORT);
        assert!(found.is_some() || after.stale_cookies > before.stale_cookies);
        assert!(known.is_none() || known == found, "the same association");
        let opened = after.passive_establishments - before.passive_establishments;
        assert_eq!(opened, u64::from(known.is_none() && found.is_some()));
    }

    /// Anything else comes: it is counted, and nothing else happens.
    fn echo_in_vain(&mut self, source: IpAddr, tag: VerificationTag, changed: &[u8]) {
        while self.take().is_some() {}
        while self.stack.poll_event().is_some() {}
        let (stats, timer) = (self.stack.stats(), self.stack.poll_timeout());
        self.give_cookie(source, tag, changed);
        assert!(!self.stack.wants_transmit() && self.stack.poll_event().is_none());
        assert_eq!(self.stack.poll_timeout(), timer);
        let expected = crate::StackStats {
            packets_received: stats.packets_received + 1,
            bad_cookies: stats.bad_cookies + u64::from(!changed.is_empty()),
            malformed: stats.malformed + u64::from(changed.is_empty()),
            ..stats
        };
        assert_eq!(self.stack.stats(), expected);
    }

    fn assert_nothing_kept(&mut self) {
        assert!((0..4).all(|n| self.stack.find(self.endpoint, address(n), PEER_PORT).is_none()));
        assert!(self.stack.poll_event().is_none() && self.stack.poll_timeout().is_none());
    }

    fn give_cookie(&mut self, source: IpAddr, tag: VerificationTag, cookie: &[u8]) {
        let mut buf = Vec::new();
        wire::write_cookie_echo(&mut buf, cookie);
        give(&mut self.stack, self.now, source, tag, &buf);
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        let mut buf = Vec::new();
        self.stack.poll_transmit(self.now, 1, &mut buf).map(|_| buf)
    }
}

/// The cookie, changed somehow.
fn change(sealed: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
    let mut changed = sealed.to_vec();
    for _ in 0..=choices.below(3) {
        let at = choices.below(256) % changed.len().max(1);
        match choices.below(6) {
            0 | 1 => changed
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte ^= choices.u8()),
            2 => changed.truncate(at),
            3 => changed.extend_from_slice(choices.take(at % 16)),
            4 => changed.rotate_left(at),
            _ => {
                let len = choices.below(32);
                let with = choices.take(len);
                changed.splice(
                    at.min(changed.len())..(at + len).min(changed.len()),
                    with.iter().copied(),
                );
            }
        }
    }
    changed
}
