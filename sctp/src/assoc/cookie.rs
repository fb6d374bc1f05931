//! The State Cookie (RFC 9260 §5.1.3 to §5.1.5): all that is needed to set up the association, under a MAC, so that
//! nothing has to be kept until it comes back.

use std::net::IpAddr;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::auth::{read_auth_from_cookie, write_auth_to_cookie};
use super::peer_init::{PeerInit, read_address, write_address};
use crate::Instant;
use crate::auth::AuthParams;
use crate::random::Random;
use crate::serial::{Tsn, VerificationTag};
use crate::tlv::{Reader, Writer};
use crate::transmit::UdpPorts;

/// Bytes of the MAC.
const MAC_LEN: usize = 32;

/// The tie-tags of an existing association (§5.2.2); zero when there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TieTags {
    pub(crate) local: u32,
    pub(crate) peer: u32,
}

impl TieTags {
    /// Tags that say that there is an association (§5.2.2: random, other than zero).
    pub(crate) fn random(random: &mut Random) -> Self {
        Self {
            local: random.non_zero_u32(),
            peer: random.non_zero_u32(),
        }
    }

    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// What a State Cookie says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateCookie {
    pub(crate) created_at: Instant,
    pub(crate) lifespan: Duration,
    pub(crate) local_port: u16,
    pub(crate) peer_port: u16,
    pub(crate) local_tag: VerificationTag,
    pub(crate) local_initial_tsn: Tsn,
    pub(crate) tie_tags: TieTags,
    /// Where the INIT came from and went to.
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// The UDP ports to answer with (RFC 6951).
    pub(crate) encap: Option<UdpPorts>,
    /// What this side said of AUTH (RFC 4895 §6.3).
    pub(crate) auth: Option<AuthParams>,
    pub(crate) peer: PeerInit,
}

impl StateCookie {
    pub(crate) fn write(&self, w: &mut Writer<'_>) {
        w.u64(self.created_at.as_nanos());
        w.u64(u64::try_from(self.lifespan.as_nanos()).unwrap_or(u64::MAX));
        w.u16(self.local_port);
        w.u16(self.peer_port);
        w.u32(self.local_tag.0);
        w.u32(self.local_initial_tsn.0);
        w.u32(self.tie_tags.local);
        w.u32(self.tie_tags.peer);
        write_address(w, self.source);
        write_address(w, self.destination);
        w.u8(self.encap.is_some().into());
        if let Some(encap) = self.encap {
            w.u16(encap.source);
            w.u16(encap.destination);
        }
        w.u8(self.auth.is_some().into());
        if let Some(auth) = &self.auth {
            write_auth_to_cookie(w, auth);
        }
        self.peer.write(w);
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Option<Self> {
        let cookie = Self {
            created_at: Instant::from_nanos(r.u64("time").ok()?),
            lifespan: Duration::from_nanos(r.u64("lifespan").ok()?),
            local_port: r.u16("port").ok()?,
            peer_port: r.u16("port").ok()?,
            local_tag: VerificationTag(r.u32("tag").ok()?),
            local_initial_tsn: Tsn(r.u32("TSN").ok()?),
            tie_tags: TieTags {
                local: r.u32("tie-tag").ok()?,
                peer: r.u32("tie-tag").ok()?,
            },
            source: read_address(r)?,
            destination: read_address(r)?,
            encap: match r.u8("encapsulation").ok()? {
                0 => None,
                _ => Some(UdpPorts {
                    source: r.u16("port").ok()?,
                    destination: r.u16("port").ok()?,
                }),
            },
            auth: match r.u8("authentication").ok()? {
                0 => None,
                _ => Some(read_auth_from_cookie(r)?),
            },
            peer: PeerInit::read(r)?,
        };
        r.finish("cookie").ok()?;
        Some(cookie)
    }

    /// How long ago the cookie expired at `now`; `None` while it is valid (§5.1.5 step 4).
    pub(crate) fn staleness(&self, now: Instant) -> Option<Duration> {
        let age = now.saturating_since(self.created_at);
        age.checked_sub(self.lifespan).filter(|over| !over.is_zero())
    }
}

/// The keys of the MAC. The older one still verifies, so that a change of keys breaks no set-up under way.
#[derive(Debug)]
pub(crate) struct CookieKeys {
    current: Hmac<Sha256>,
    previous: Hmac<Sha256>,
    next_change: Instant,
    random: Random,
}

/// How long a key signs. §5.1.3 recommends that keys change, and that old cookies remain verifiable for a while.
const KEY_LIFE: Duration = Duration::from_secs(2 * 3600);

impl CookieKeys {
    pub(crate) fn new(mut random: Random) -> Self {
        let current = key(&mut random);
        Self {
            previous: current.clone(),
            current,
            next_change: Instant::ZERO + KEY_LIFE,
            random,
        }
    }

    /// Appends the sealed cookie to `buf`.
    pub(crate) fn seal(&mut self, now: Instant, cookie: &StateCookie) -> Vec<u8> {
        if now >= self.next_change {
            self.previous = std::mem::replace(&mut self.current, key(&mut self.random));
            self.next_change = now + KEY_LIFE;
        }
        let mut buf = Vec::with_capacity(192);
        cookie.write(&mut Writer::new(&mut buf));
        let mac = self.current.clone().chain_update(&buf).finalize().into_bytes();
        buf.extend_from_slice(&mac);
        buf
    }

    /// What a cookie says, if its MAC is ours (§5.1.5 steps 1 and 2). Nothing is read before that is known.
    pub(crate) fn open(&self, bytes: &[u8]) -> Option<StateCookie> {
        let split = bytes.len().checked_sub(MAC_LEN)?;
        let (content, mac) = bytes.split_at_checked(split)?;
        let fits = |key: &Hmac<Sha256>| key.clone().chain_update(content).verify_slice(mac).is_ok();
        if !fits(&self.current) && !fits(&self.previous) {
            return None;
        }
        StateCookie::read(&mut Reader::new(content))
    }
}

fn key(random: &mut Random) -> Hmac<Sha256> {
    // A key as long as the hash's block or shorter is always accepted; this one has 32 bytes.
    Hmac::new(&{
        let mut block = [0; 64];
        for (to, from) in block.iter_mut().zip(random.child_seed()) {
            *to = from;
        }
        block.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assoc::capabilities::Extensions;

    fn cookie() -> StateCookie {
        StateCookie {
            created_at: Instant::from_millis(5),
            lifespan: Duration::from_secs(60),
            local_port: 1,
            peer_port: 2,
            local_tag: VerificationTag(3),
            local_initial_tsn: Tsn(4),
            tie_tags: TieTags { local: 8, peer: 9 },
            source: "10.0.0.1".parse().unwrap(),
            destination: "fd00::1".parse().unwrap(),
            encap: Some(UdpPorts {
                source: 10,
                destination: 11,
            }),
            auth: Some(AuthParams {
                random: [17; 32],
                chunks: None,
                hmacs: vec![1],
            }),
            peer: PeerInit {
                initiate_tag: VerificationTag(12),
                a_rwnd: 13,
                outbound_streams: 14,
                inbound_streams: 15,
                initial_tsn: Tsn(16),
                extensions: Extensions::AUTH,
                zero_checksum: None,
                auth: Some(AuthParams {
                    random: [18; 32],
                    chunks: Some(vec![0, 193]),
                    hmacs: vec![3, 1],
                }),
                adaptation: Some(0x0a0b_0c0d),
                primary: Some("10.0.0.2".parse().unwrap()),
                addresses: vec!["10.0.0.2".parse().unwrap(), "::1".parse().unwrap()],
            },
        }
    }

    #[test]
    fn rfc9260_5_1_5_a_cookie_comes_back_as_it_was_sealed() {
        let mut keys = CookieKeys::new(Random::from_number(1));
        let sealed = keys.seal(Instant::ZERO, &cookie());
        assert_eq!(keys.open(&sealed), Some(cookie()));
    }

    #[test]
    fn rfc9260_5_1_5_any_changed_bit_breaks_the_mac() {
        let mut keys = CookieKeys::new(Random::from_number(1));
        let sealed = keys.seal(Instant::ZERO, &cookie());
        for bit in 0..sealed.len() * 8 {
            let mut forged = sealed.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(keys.open(&forged), None, "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert_eq!(keys.open(&sealed[..len]), None);
        }
        assert_eq!(CookieKeys::new(Random::from_number(2)).open(&sealed), None);
    }

    #[test]
    fn rfc9260_5_1_3_a_cookie_survives_one_change_of_keys() {
        let mut keys = CookieKeys::new(Random::from_number(1));
        let sealed = keys.seal(Instant::ZERO, &cookie());
        keys.seal(Instant::ZERO + KEY_LIFE, &cookie());
        assert!(keys.open(&sealed).is_some());
        keys.seal(Instant::ZERO + 2 * KEY_LIFE, &cookie());
        assert!(keys.open(&sealed).is_none());
    }

    #[test]
    fn rfc9260_5_1_5_a_cookie_is_stale_after_its_lifespan() {
        let cookie = cookie();
        assert_eq!(cookie.staleness(Instant::from_millis(60_005)), None);
        assert_eq!(
            cookie.staleness(Instant::from_millis(60_006)),
            Some(Duration::from_millis(1))
        );
    }
}
