//! Keys and HMACs, against a packet of another implementation and against figures computed elsewhere.

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().map(|c| c.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn params(random: &str, chunks: Option<&[u8]>, hmacs: &[u16]) -> AuthParams {
    AuthParams {
        random: bytes(random).try_into().unwrap(),
        chunks: chunks.map(<[u8]>::to_vec),
        hmacs: hmacs.to_vec(),
    }
}

/// RANDOM of the INIT and of the INIT ACK of an association of two Linux kernels.
const RANDOMS: [&str; 2] = [
    "7a354a02fa09f19b5966002bb89ae0ac1e6aabccec5929499c09c31548571450",
    "dd1c6b9afa6d98d37d4ef1d3f3abd4437d76d55add7f3603ceb1843a11cc0bec",
];

/// AUTH and ASCONF from the one that sent the INIT, with HMAC-SHA-1 and the null key.
const ASCONF: &str = "\
    ede11389818d7c101dbc6fe10f00001c0000000111776533c49d3e062c4f049b6a131b5cac87697bc100002043505a7b000500080a620101\
    c001001000000000000500080a620201";

/// AUTH and ASCONF-ACK, its answer.
const ASCONF_ACK: &str = "\
    1389ede1c0442cb93158489d0f00001c00000001e0050f2a73de062fd2af6b72b09d054fd4bf3c378000000843505a7b";

fn kernels() -> [AuthParams; 2] {
    RANDOMS.map(|random| params(random, Some(&[0xc1, 0x80]), &[1]))
}

fn associated(own: &AuthParams, peer: &AuthParams, keys: SharedKeys) -> Authenticator {
    let mut auth = Authenticator::new(own.clone(), keys);
    auth.set_peer(Some(peer));
    auth
}

fn auth_of(packet: &[u8], hmac_len: usize) -> AuthIn<'_> {
    AuthIn {
        shared_key: SharedKeyId(u16::from_be_bytes([packet[16], packet[17]])),
        hmac_id: HmacId(u16::from_be_bytes([packet[18], packet[19]])),
        hmac: &packet[20..20 + hmac_len],
        packet,
        field: 20..20 + hmac_len,
    }
}

const VALID: Verdict = Verdict::Valid { new_key: None };

#[test]
fn rfc4895_6_1_keys_are_those_of_the_kernel() {
    let [client, server] = kernels();
    for (own, peer, packet) in [(&server, &client, ASCONF), (&client, &server, ASCONF_ACK)] {
        let packet = bytes(packet);
        let mut auth = associated(own, peer, SharedKeys::default());
        assert_eq!(auth.verify(&auth_of(&packet, 20)), VALID);
        let signed = auth.sign(SharedKeyId(0), HmacId::SHA1, &packet, &(20..40)).unwrap();
        assert_eq!(signed.as_slice(), &packet[20..40]);
    }
}

#[test]
fn rfc4895_6_2_hmac_sha256_under_a_shared_key() {
    // Computed with another program: HMAC-SHA-256 under "endpoint secret" and both vectors.
    let expected = bytes("8e23ac8d975f5d91aff70a1f2e640f86986ec8a088ceb3dc0998104a84f26eb9");
    let [client, server] = kernels();
    let mut keys = SharedKeys::default();
    keys.set(SharedKeyId(7), b"endpoint secret");
    let mut auth = associated(&client, &server, keys);
    let packet = bytes(ASCONF);
    let signed = auth.sign(SharedKeyId(7), HmacId::SHA256, &packet, &(20..40)).unwrap();
    assert_eq!(signed.as_slice(), expected);
}

#[test]
fn rfc4895_6_3_any_changed_bit_makes_it_invalid() {
    let [client, server] = kernels();
    let mut auth = associated(&server, &client, SharedKeys::default());
    let mut packet = bytes(ASCONF);
    // The common header is not covered; flags of AUTH and everything behind it are.
    for bit in 12 * 8..packet.len() * 8 {
        packet[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(auth.verify(&auth_of(&packet, 20)), VALID, "bit {bit}");
        packet[bit / 8] ^= 1 << (bit % 8);
    }
    assert_eq!(auth.verify(&auth_of(&packet, 20)), VALID);
}

#[test]
fn rfc4895_6_3_an_hmac_is_taken_whole_or_not_at_all() {
    let [client, server] = kernels();
    let mut auth = associated(&server, &client, SharedKeys::default());
    let packet = bytes(ASCONF);
    for len in 0..20 {
        let mut short = auth_of(&packet, 20);
        short.hmac = &short.hmac[..len];
        assert_eq!(auth.verify(&short), Verdict::Invalid, "{len} bytes");
    }
}

#[test]
fn rfc4895_6_3_an_hmac_that_was_not_offered_is_unsupported() {
    let [client, server] = kernels();
    let mut auth = associated(&server, &client, SharedKeys::default());
    let packet = bytes(ASCONF);
    for id in [0, 2, 3, 4, 0xffff] {
        let mut other = auth_of(&packet, 20);
        other.hmac_id = HmacId(id);
        assert_eq!(auth.verify(&other), Verdict::UnsupportedHmac, "{id}");
    }
}

/// Whether two sides that have the same secret as key 0 understand each other.
fn agree(one: &AuthParams, other: &AuthParams) -> bool {
    let packet = bytes(ASCONF);
    let mut one_side = associated(one, other, SharedKeys::default());
    let mut other_side = associated(other, one, SharedKeys::default());
    let by_one = one_side.sign(SharedKeyId(0), HmacId::SHA1, &packet, &(20..40)).unwrap();
    let by_other = other_side
        .sign(SharedKeyId(0), HmacId::SHA1, &packet, &(20..40))
        .unwrap();
    by_one == by_other
}

#[test]
fn rfc4895_6_1_both_sides_order_the_vectors_alike() {
    let low = "00".repeat(32);
    let high = "ff".repeat(32);
    let all: Vec<u8> = (0..=255).collect();
    let lists = [
        None,
        Some(&[][..]),
        Some(&[0][..]),
        Some(&[0xff, 0][..]),
        Some(&all[..]),
    ];
    for chunks in lists {
        for random in [&low, &high] {
            let one = params(random, chunks, &[3, 1]);
            for other_chunks in lists {
                let other = params(&low, other_chunks, &[1]);
                assert!(agree(&one, &other), "{one:?} {other:?}");
            }
        }
    }
}

#[test]
fn rfc4895_6_1_the_smaller_vector_comes_first_and_the_shorter_of_equal_ones() {
    // Both were computed with another program: the key is the two vectors one after the other, as said.
    let packet = bytes(ASCONF);
    for (one, other, expected) in FIGURES {
        let one = params(one.0, one.1, one.2);
        let other = params(other.0, other.1, other.2);
        let mut auth = associated(&one, &other, SharedKeys::default());
        let signed = auth.sign(SharedKeyId(0), HmacId::SHA1, &packet, &(20..40)).unwrap();
        assert_eq!(signed.as_slice(), bytes(expected), "{one:?} {other:?}");
    }
}

type Side = (&'static str, Option<&'static [u8]>, &'static [u16]);

/// HMAC-SHA-1 of [`ASCONF`] under the null key, between two sides.
const FIGURES: [(Side, Side, &str); 3] = [
    // The second has the smaller random number, and a longer vector: a longer number is a larger one.
    (
        (RANDOMS[1], None, &[1]),
        (RANDOMS[0], Some(&[0]), &[3, 1]),
        "b4d6defadcc86968cb2dfb51030051f63c894263",
    ),
    // Of the same length: the random number decides.
    (
        (RANDOMS[1], Some(&[0, 192]), &[1]),
        (RANDOMS[0], Some(&[193, 128]), &[1]),
        "b161682e30a0b37a415abe338f7b68827f0f42b8",
    ),
    // Odd numbers of chunk types are not padded.
    (
        (RANDOMS[0], Some(&[0, 3, 192]), &[3, 1]),
        (RANDOMS[1], Some(&[193]), &[1]),
        "0283e23913da3302fa9b86b68bc4a9ae7ab67295",
    ),
];

#[test]
fn rfc4895_3_3_a_weaker_hmac_list_on_the_way_changes_the_keys() {
    // What one side sent as (SHA-256, SHA-1) arrived as (SHA-1).
    let [client, server] = kernels();
    let strong = AuthParams {
        hmacs: vec![3, 1],
        ..client
    };
    let stripped = AuthParams {
        hmacs: vec![1],
        ..strong.clone()
    };
    let mut client_side = associated(&strong, &server, SharedKeys::default());
    let mut server_side = associated(&server, &stripped, SharedKeys::default());
    let packet = bytes(ASCONF);
    assert_ne!(
        client_side.sign(SharedKeyId(0), HmacId::SHA1, &packet, &(20..40)),
        server_side.sign(SharedKeyId(0), HmacId::SHA1, &packet, &(20..40))
    );
}

#[test]
fn rfc4895_6_3_a_key_that_is_not_there_verifies_nothing() {
    let [client, server] = kernels();
    let mut auth = associated(&server, &client, SharedKeys::default());
    let packet = bytes(ASCONF);
    let mut other = auth_of(&packet, 20);
    other.shared_key = SharedKeyId(1);
    assert_eq!(auth.verify(&other), Verdict::Invalid);
    // The same secret under another number is another chunk: the number is covered.
    auth.set_key(SharedKeyId(1), &[]);
    let mut renumbered = packet.clone();
    renumbered[17] = 1;
    assert_eq!(auth.verify(&auth_of(&renumbered, 20)), Verdict::Invalid);
    auth.set_key(SharedKeyId(0), b"not null");
    assert_eq!(auth.verify(&auth_of(&packet, 20)), Verdict::Invalid, "replaced");
    auth.set_key(SharedKeyId(0), &[]);
    assert_eq!(auth.verify(&auth_of(&packet, 20)), VALID);
}

#[test]
fn rfc6458_6_1_8_a_new_key_of_the_peer_is_noticed_once() {
    let [client, server] = kernels();
    let mut keys = SharedKeys::default();
    keys.set(SharedKeyId(5), b"five");
    let (mut one, mut other) = (
        associated(&client, &server, keys.clone()),
        associated(&server, &client, keys),
    );
    let mut packet = bytes(ASCONF);
    packet[17] = 5;
    let signed = one.sign(SharedKeyId(5), HmacId::SHA1, &packet, &(20..40)).unwrap();
    packet[20..40].copy_from_slice(signed.as_slice());
    let new_key = Some(SharedKeyId(5));
    assert_eq!(other.verify(&auth_of(&packet, 20)), Verdict::Valid { new_key });
    assert_eq!(other.verify(&auth_of(&packet, 20)), VALID);
}

#[test]
fn rfc4895_6_3_without_a_peer_that_takes_part_nothing_is_valid() {
    let [client, server] = kernels();
    let mut auth = Authenticator::new(server, SharedKeys::default());
    let packet = bytes(ASCONF);
    assert_eq!(auth.verify(&auth_of(&packet, 20)), Verdict::Invalid);
    assert!(auth.requires(ChunkType::ASCONF) && !auth.protects(ChunkType::ASCONF));
    auth.set_peer(Some(&client));
    assert!(auth.protects(ChunkType::ASCONF) && !auth.protects(ChunkType::DATA));
    assert_eq!(auth.verify(&auth_of(&packet, 20)), VALID);
}

#[test]
fn rfc5061_4_1_address_changes_are_always_protected() {
    let [client, server] = RANDOMS.map(|random| params(random, None, &[1]));
    let auth = associated(&server, &client, SharedKeys::default());
    assert!(auth.protects(ChunkType::ASCONF) && auth.protects(ChunkType::ASCONF_ACK));
    assert!(!auth.protects(ChunkType::DATA));
    assert!(!Authenticator::new(server, SharedKeys::default()).protects(ChunkType::ASCONF));
}

#[test]
fn rfc8260_2_1_who_wants_data_authenticated_gets_i_data_so_too() {
    let [client, server] = RANDOMS.map(|random| params(random, Some(&[0, 192]), &[1]));
    let auth = associated(&server, &client, SharedKeys::default());
    assert!(auth.protects(ChunkType::I_DATA) && auth.protects(ChunkType::I_FORWARD_TSN));
    assert!(
        !auth.requested().contains(ChunkType::I_DATA),
        "it is not what the peer said"
    );
    let [client, server] = RANDOMS.map(|random| params(random, Some(&[64]), &[1]));
    let auth = associated(&server, &client, SharedKeys::default());
    assert!(auth.protects(ChunkType::I_DATA) && !auth.protects(ChunkType::DATA));
}
