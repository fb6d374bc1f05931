use super::*;
use crate::wire::element::RegistrationLife;
use crate::wire::transport::{SctpTransport, Transport, TransportUse};

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn pool() -> PoolHandle {
    PoolHandle::new("Pool").unwrap()
}

fn pe(id: u32) -> PeId {
    PeId::new(id).unwrap()
}

fn element(id: u32, policy: PolicyParam) -> PoolElementParam {
    let address = SctpAddress {
        port: 5000,
        addresses: vec!["192.0.2.1".parse().unwrap()],
    };
    PoolElementParam {
        id: pe(id),
        home: None,
        life: RegistrationLife(300),
        user_transport: SctpTransport::new(&address, TransportUse::DataPlusControl).into(),
        policy,
        asap_transport: None,
    }
}

fn cache(policy: &PolicyParam, ids: &[u32]) -> HandleCache {
    let mut cache = HandleCache::default();
    let elements = ids.iter().map(|id| element(*id, policy.clone())).collect();
    cache.update(at(0), &pool(), Some(policy.clone()), elements);
    cache
}

fn order(cache: &mut HandleCache, now: Instant, random: &mut Random) -> Vec<u32> {
    let candidates = cache.candidates(now, &pool(), Duration::from_millis(250), random);
    candidates.iter().map(|candidate| candidate.pe.as_u32()).collect()
}

#[test]
fn rfc5352_3_3_c2_an_entry_goes_stale() {
    let cache = cache(&PolicyParam::RoundRobin, &[1]);
    let second = Duration::from_secs(1);
    assert!(cache.lookup(at(1000), &pool(), second).is_some());
    assert!(cache.lookup(at(1001), &pool(), second).is_none());
    assert!(cache.lookup(at(0), &pool(), Duration::ZERO).is_none());
}

#[test]
fn rfc5356_4_1_3_round_robin_goes_on_to_the_next_element() {
    let random = &mut Random::from_number(1);
    let mut cache = cache(&PolicyParam::RoundRobin, &[1, 2, 3]);
    let first: Vec<u32> = (0..4).map(|_| order(&mut cache, at(0), random)[0]).collect();
    assert_eq!(first, [1, 2, 3, 1]);
}

#[test]
fn rfc5356_5_1_3_load_policies_keep_the_registrars_order() {
    let random = &mut Random::from_number(1);
    let mut cache = cache(&PolicyParam::LeastUsed { load: 9 }, &[2, 1]);
    for _ in 0..3 {
        assert_eq!(order(&mut cache, at(0), random), [2, 1]);
    }
}

#[test]
fn rfc5356_4_4_3_weighted_random_draws_by_weight() {
    let random = &mut Random::from_number(1);
    let mut cache = HandleCache::default();
    let weighted = |id, weight| element(id, PolicyParam::WeightedRandom { weight });
    let policy = Some(PolicyParam::WeightedRandom { weight: 0 });
    cache.update(
        at(0),
        &pool(),
        policy,
        vec![weighted(1, 1), weighted(2, 3), weighted(3, 0)],
    );
    assert_eq!(order(&mut cache, at(0), random), [1, 2, 3]);
    let mut seconds = 0;
    for _ in 0..1000 {
        let order = order(&mut cache, at(0), random);
        assert_eq!(order[2], 3);
        seconds += u32::from(order[0] == 2);
    }
    assert!((700..800).contains(&seconds), "{seconds}");
}

#[test]
fn elements_that_failed_come_last_and_not_at_once() {
    let random = &mut Random::from_number(1);
    let mut cache = cache(&PolicyParam::LeastUsed { load: 0 }, &[1, 2, 3]);
    cache.failed(at(1000), &pool(), pe(1));
    cache.failed(at(1100), &pool(), pe(3));
    assert_eq!(order(&mut cache, at(1200), random), [2]);
    assert_eq!(order(&mut cache, at(1300), random), [2, 1]);
    assert_eq!(order(&mut cache, at(1400), random), [2, 1, 3]);
    cache.works(&pool(), pe(3));
    assert_eq!(order(&mut cache, at(1400), random), [2, 3, 1]);
    assert_eq!(order(&mut cache, at(31_000), random), [1, 2, 3]);
}

#[test]
fn elements_without_sctp_or_a_usable_address_are_passed_over() {
    let mut cache = HandleCache::default();
    let mut tcp = element(1, PolicyParam::RoundRobin);
    tcp.user_transport = Transport::Tcp("192.0.2.1:80".parse().unwrap());
    let mut nowhere = element(2, PolicyParam::RoundRobin);
    if let Transport::Sctp(sctp) = &mut nowhere.user_transport {
        sctp.addresses = vec!["0.0.0.0".parse().unwrap(), "224.0.0.1".parse().unwrap()];
    }
    cache.update(
        at(0),
        &pool(),
        None,
        vec![tcp, nowhere, element(3, PolicyParam::RoundRobin)],
    );
    assert_eq!(order(&mut cache, at(0), &mut Random::from_number(1)), [3]);
}

#[test]
fn pools_and_failures_are_bounded() {
    let mut cache = HandleCache::default();
    for n in 0..1000u32 {
        let pool = PoolHandle::new(n.to_be_bytes().to_vec()).unwrap();
        cache.update(at(n.into()), &pool, None, Vec::new());
        cache.failed(at(0), &pool, pe(1));
        cache.failed(at(0), &self::pool(), pe(n + 1));
    }
    assert_eq!(cache.entries.len(), MAX_POOLS);
    assert!(cache.failures.len() <= MAX_POOLS);
    assert!(cache.failures.values().all(|failures| failures.len() <= MAX_FAILURES));
    let newest = PoolHandle::new(999u32.to_be_bytes().to_vec()).unwrap();
    assert!(cache.entries.contains_key(&newest));
}
