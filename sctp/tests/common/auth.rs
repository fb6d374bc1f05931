//! AUTH as the scripted peer does it, from RFC 4895 and RFC 2104 and not by the engine's own code.

use sctp::AssociationStats;
use sctp::config::AssociationConfig;
use sctp::tlv::Writer;
use sctp::wire::{ChunkType, write_data};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::peer::{Answer, ChunkBytes, Peer, PeerSetup};

/// The number of HMAC-SHA-1.
pub(crate) const SHA1: u16 = 1;
/// The number of HMAC-SHA-256.
pub(crate) const SHA256: u16 = 3;

/// The peer's side of AUTH.
#[derive(Clone)]
pub(crate) struct AuthScript {
    pub(crate) random: Vec<u8>,
    pub(crate) chunks: Option<Vec<u8>>,
    pub(crate) hmacs: Vec<u16>,
    /// Z's key vector.
    pub(crate) z_vector: Vec<u8>,
    /// Endpoint pair shared key by number.
    pub(crate) keys: Vec<(u16, Vec<u8>)>,
    /// The HMAC that it sends with.
    pub(crate) hmac: u16,
}

impl AuthScript {
    /// A peer that wants these chunk types authenticated.
    pub(crate) fn new(chunks: &[ChunkType]) -> Self {
        Self {
            random: (100..132).collect(),
            chunks: (!chunks.is_empty()).then(|| chunks.iter().map(|kind| kind.0).collect()),
            hmacs: vec![SHA256, SHA1],
            z_vector: Vec::new(),
            keys: vec![(0, Vec::new())],
            hmac: SHA1,
        }
    }

    pub(crate) fn with_key(mut self, number: u16, secret: &[u8]) -> Self {
        self.keys.retain(|(key, _)| *key != number);
        self.keys.push((number, secret.to_vec()));
        self
    }

    /// The parameters of INIT and INIT ACK, each with its header and without padding, in the order of §6.1.
    fn params(&self) -> Vec<Vec<u8>> {
        let param = |kind: u16, value: &[u8]| {
            let mut bytes = kind.to_be_bytes().to_vec();
            bytes.extend((value.len() as u16 + 4).to_be_bytes());
            bytes.extend(value);
            bytes
        };
        let hmacs: Vec<u8> = self.hmacs.iter().flat_map(|id| id.to_be_bytes()).collect();
        let mut params = vec![param(0x8002, &self.random)];
        params.extend(self.chunks.as_ref().map(|chunks| param(0x8003, chunks)));
        params.push(param(0x8004, &hmacs));
        params
    }

    /// Writes the parameters, in another order than that of §6.1, as Linux does.
    pub(crate) fn write_params(&self, w: &mut Writer<'_>) {
        let mut params = self.params();
        if params.len() == 3 {
            params.swap(1, 2);
        }
        for mut param in params {
            param.resize(param.len().next_multiple_of(4), 0);
            w.bytes(&param);
        }
    }

    /// Takes Z's parameters from its INIT or INIT ACK.
    #[track_caller]
    pub(crate) fn learn(&mut self, answer: &Answer) {
        let mut found = [const { Vec::new() }; 3];
        // Behind the fixed fields come the parameters.
        let mut rest = &answer.chunks[0].value[16..];
        while rest.len() >= 4 {
            let kind = u16::from_be_bytes([rest[0], rest[1]]);
            let len = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
            if (0x8002..=0x8004).contains(&kind) {
                found[usize::from(kind - 0x8002)] = rest[..len].to_vec();
            }
            rest = &rest[len.next_multiple_of(4).min(rest.len())..];
        }
        assert_eq!(found[0].len(), 36, "Z takes part in AUTH");
        self.z_vector = found.concat();
    }

    /// The association shared key made of an endpoint pair shared key (§6.1). Vectors begin with 0x80, so a longer one
    /// is a larger number.
    fn association_key(&self, number: u16) -> Vec<u8> {
        let (_, secret) = self.keys.iter().find(|(key, _)| *key == number).expect("a key");
        let own = self.params().concat();
        let mut vectors = [own, self.z_vector.clone()];
        vectors.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
        [secret.clone(), vectors.concat()].concat()
    }

    /// The HMAC of an AUTH chunk before `chunks`, of which it may leave room for more or fewer bytes than are right.
    pub(crate) fn hmac_of(&self, number: u16, hmac: u16, chunks: &[u8]) -> Vec<u8> {
        let zeros = vec![0; if hmac == SHA1 { 20 } else { 32 }];
        let data = [auth_chunk(number, hmac, &zeros), chunks.to_vec()].concat();
        let key = self.association_key(number);
        if hmac == SHA1 {
            rfc2104::<Sha1>(&key, &data)
        } else {
            rfc2104::<Sha256>(&key, &data)
        }
    }

    /// `chunks` behind an AUTH of key `number`.
    pub(crate) fn seal_with(&self, number: u16, chunks: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        chunks(&mut bytes);
        let hmac = self.hmac_of(number, self.hmac, &bytes);
        [auth_chunk(number, self.hmac, &hmac), bytes].concat()
    }

    /// `chunks` behind an AUTH of key 0.
    pub(crate) fn seal(&self, chunks: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        self.seal_with(0, chunks)
    }

    /// Checks the AUTH of a packet of Z: the number of its key, its HMAC, and the chunk types behind it. `None` for a
    /// packet without one.
    #[track_caller]
    pub(crate) fn open(&self, answer: &Answer) -> Option<(u16, u16, Vec<ChunkType>)> {
        let at = answer.chunks.iter().position(|chunk| chunk.kind == ChunkType::AUTH)?;
        let (auth, behind) = (&answer.chunks[at], &answer.chunks[at + 1..]);
        assert_eq!(auth.flags, 0);
        let number = u16::from_be_bytes([auth.value[0], auth.value[1]]);
        let hmac = u16::from_be_bytes([auth.value[2], auth.value[3]]);
        let chunks: Vec<u8> = behind.iter().flat_map(bytes_of).collect();
        assert_eq!(
            &auth.value[4..],
            self.hmac_of(number, hmac, &chunks),
            "the HMAC is right"
        );
        let kinds: Vec<ChunkType> = behind.iter().map(|chunk| chunk.kind).collect();
        assert!(!kinds.contains(&ChunkType::AUTH), "one AUTH in a packet");
        Some((number, hmac, kinds))
    }
}

/// An AUTH chunk.
pub(crate) fn auth_chunk(number: u16, hmac: u16, mac: &[u8]) -> Vec<u8> {
    let mut chunk = vec![15, 0];
    chunk.extend((mac.len() as u16 + 8).to_be_bytes());
    chunk.extend(number.to_be_bytes());
    chunk.extend(hmac.to_be_bytes());
    chunk.extend(mac);
    chunk.resize(chunk.len().next_multiple_of(4), 0);
    chunk
}

fn bytes_of(chunk: &ChunkBytes) -> Vec<u8> {
    let mut bytes = vec![chunk.kind.0, chunk.flags];
    bytes.extend((chunk.value.len() as u16 + 4).to_be_bytes());
    bytes.extend(&chunk.value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn rfc2104<D: Digest>(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut block = if key.len() > 64 {
        D::digest(key).to_vec()
    } else {
        key.to_vec()
    };
    block.resize(64, 0);
    let pad = |with: u8| block.iter().map(|byte| byte ^ with).collect::<Vec<u8>>();
    let inner = D::digest([pad(0x36), data.to_vec()].concat());
    D::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
}

impl Peer {
    /// Sends `chunks` with Z's tag behind an AUTH.
    pub(crate) fn send_sealed(&mut self, auth: &AuthScript, chunks: impl FnOnce(&mut Vec<u8>)) {
        let sealed = auth.seal(chunks);
        self.send(|buf| buf.extend(sealed));
    }

    /// Sends an INIT with AUTH, and takes the cookie and Z's parameters of the INIT ACK.
    #[track_caller]
    pub(crate) fn fetch_cookie_with_auth(&mut self, auth: &mut AuthScript) -> Vec<u8> {
        self.send_init_with(|w| auth.write_params(w));
        let answer = self.answer();
        assert_eq!(answer.kinds(), [ChunkType::INIT_ACK], "{answer:?}");
        auth.learn(&answer);
        self.learn(&answer)
    }

    /// Sets an association with AUTH up, with an authenticated COOKIE ECHO; the answers to that.
    #[track_caller]
    pub(crate) fn establish_with_auth(&mut self, auth: &mut AuthScript) -> Vec<Answer> {
        let cookie = self.fetch_cookie_with_auth(auth);
        self.send_sealed(auth, |buf| sctp::wire::write_cookie_echo(buf, &cookie));
        let answers = self.answers();
        assert!(self.assoc.is_some(), "{:?} {answers:?}", self.log);
        answers
    }
}

/// A configuration that takes chunks of these types only authenticated.
pub(crate) fn requiring(kinds: &[ChunkType]) -> AssociationConfig {
    let mut config = super::without_discovery();
    config.auth_mut().set_enabled(true);
    for &kind in kinds {
        config.auth_mut().require(kind).unwrap();
    }
    config
}

/// A peer, and Z which takes chunks of these types only authenticated.
pub(crate) fn z_requiring(kinds: &[ChunkType]) -> Peer {
    Peer::with(PeerSetup {
        association: requiring(kinds),
        ..PeerSetup::default()
    })
}

/// An established association in which Z and the peer require these.
#[track_caller]
pub(crate) fn established(by_z: &[ChunkType], by_peer: &[ChunkType]) -> (Peer, AuthScript) {
    let mut peer = z_requiring(by_z);
    let mut auth = AuthScript::new(by_peer);
    peer.establish_with_auth(&mut auth);
    (peer, auth)
}

/// The DATA chunk that the peer would send next.
pub(crate) fn next_data(peer: &mut Peer, payload: &'static [u8]) -> impl FnOnce(&mut Vec<u8>) + use<> {
    let steps = peer.tsn.steps_from(peer.fixed.initial_tsn);
    let header = Peer::header(peer.tsn, 0, steps as u16);
    peer.tsn = peer.tsn.next();
    move |buf: &mut Vec<u8>| write_data(buf, &header, payload)
}

pub(crate) fn stats(peer: &Peer) -> AssociationStats {
    peer.status().unwrap().stats
}
