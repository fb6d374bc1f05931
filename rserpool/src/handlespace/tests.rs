use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::policy::Policy;
use crate::wire::cause::CauseCode;
use crate::wire::element::RegistrationLife;
use crate::wire::policy::{PolicyNumber, PolicyParam};
use crate::wire::transport::{SctpTransport, Transport, TransportUse};

fn handle(name: &str) -> PoolHandle {
    PoolHandle::new(name.to_owned()).unwrap()
}

fn sctp(transport_use: TransportUse) -> Transport {
    Transport::Sctp(SctpTransport {
        port: 5000,
        transport_use,
        addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
    })
}

fn element(id: u32, policy: PolicyParam) -> PoolElementParam {
    PoolElementParam {
        id: PeId::new(id).unwrap(),
        home: None,
        life: RegistrationLife(600),
        user_transport: sctp(TransportUse::DataOnly),
        policy,
        asap_transport: None,
    }
}

fn round_robin(id: u32) -> PoolElementParam {
    element(id, PolicyParam::RoundRobin)
}

fn handlespace() -> Handlespace {
    Handlespace::new(HandlespaceLimits::default())
}

fn ids(handlespace: &Handlespace, keys: &[ElementKey]) -> Vec<u32> {
    keys.iter()
        .map(|&key| handlespace.get(key).unwrap().param().id.as_u32())
        .collect()
}

fn resolve(handlespace: &mut Handlespace, pool: &str, count: usize) -> Option<Vec<u32>> {
    let keys = handlespace.resolve(&handle(pool), count, 1, &mut Random::from_number(1))?;
    Some(ids(handlespace, &keys))
}

impl Handlespace {
    /// Recomputes one index from the other.
    fn check(&self) {
        let mut members = BTreeMap::new();
        for (handle, pool) in self.pools() {
            assert!(pool.is_consistent(), "{pool:?}");
            for (element, key) in self.elements_of(handle).zip(pool.keys()) {
                assert_eq!(element.pool(), handle);
                assert_eq!(pool.suspects(key), element.is_suspect());
                assert_eq!(pool.check(element.param()), Ok(()));
                members.insert(key, element.param().id);
            }
        }
        let elements: BTreeMap<_, _> = self.elements.iter().map(|(&key, e)| (key, e.param().id)).collect();
        assert_eq!(members, elements);
        assert!(self.len() <= self.limits.elements && self.pools.len() <= self.limits.pools);
    }
}

#[test]
fn rfc5352_3_1_rule_1_the_first_element_decides_what_its_pool_is() {
    let mut handlespace = handlespace();
    let first = handlespace
        .register(&handle("p"), element(7, PolicyParam::LeastUsed { load: 9 }))
        .unwrap();
    assert!(first.new);
    let pool = handlespace.pool(&handle("p")).unwrap();
    assert_eq!((pool.policy(), pool.len()), (Policy::LeastUsed, 1));
    assert_eq!(pool.transport(), &sctp(TransportUse::DataOnly));
}

#[test]
fn rfc5352_3_1_rule_2_an_element_that_does_not_fit_is_refused() {
    let mut handlespace = handlespace();
    handlespace.register(&handle("p"), round_robin(1)).unwrap();
    let mut tcp = round_robin(2);
    tcp.user_transport = Transport::Tcp("192.0.2.1:80".parse().unwrap());
    let mut control = round_robin(2);
    control.user_transport = sctp(TransportUse::DataPlusControl);
    let mut refuse = |param: PoolElementParam| {
        let refusal = handlespace.register(&handle("p"), param).unwrap_err();
        (refusal.cause().code(), refusal)
    };
    assert_eq!(
        refuse(element(2, PolicyParam::Random)),
        (
            CauseCode::INCONSISTENT_POOLING_POLICY,
            Refusal::InconsistentPolicy(PolicyParam::RoundRobin)
        )
    );
    assert_eq!(
        refuse(tcp.clone()),
        (
            CauseCode::INCONSISTENT_TRANSPORT_TYPE,
            Refusal::InconsistentTransport(sctp(TransportUse::DataOnly))
        )
    );
    assert_eq!(
        refuse(control),
        (CauseCode::INCONSISTENT_DATA_CONTROL, Refusal::InconsistentUse)
    );
    // Rule 3: the same goes for one that is in the pool.
    tcp.id = PeId::new(1).unwrap();
    assert_eq!(refuse(tcp).0, CauseCode::INCONSISTENT_TRANSPORT_TYPE);
    assert_eq!(handlespace.len(), 1);
    handlespace.check();
}

#[test]
fn rfc5352_3_1_rule_3_registering_again_replaces_what_is_known() {
    let mut handlespace = handlespace();
    let first = handlespace
        .register(&handle("p"), element(1, PolicyParam::LeastUsed { load: 1 }))
        .unwrap();
    handlespace
        .register(&handle("p"), element(2, PolicyParam::LeastUsed { load: 2 }))
        .unwrap();
    let again = handlespace
        .register(&handle("p"), element(1, PolicyParam::LeastUsed { load: 3 }))
        .unwrap();
    assert_eq!((again.key, again.new), (first.key, false));
    assert_eq!(resolve(&mut handlespace, "p", 9), Some(vec![2, 1]));
    assert_eq!(handlespace.get(first.key).unwrap().param().policy.load(), Some(3));
}

#[test]
fn a_policy_that_is_not_supported_is_refused_with_its_values() {
    let mut handlespace = handlespace();
    let other = PolicyParam::Other {
        number: PolicyNumber(0x8000_1234),
        data: Bytes::from_static(&[1, 2, 3, 4]),
    };
    let refusal = handlespace.register(&handle("p"), element(1, other)).unwrap_err();
    assert_eq!(refusal.cause().code(), CauseCode::INVALID_VALUES);
    assert_eq!(
        refusal.cause().info()[..],
        [0, 8, 0, 12, 0x80, 0, 0x12, 0x34, 1, 2, 3, 4]
    );
    assert!(handlespace.is_empty() && handlespace.pools().count() == 0);
}

#[test]
fn rfc5352_3_2_the_last_element_takes_its_pool_along() {
    let mut handlespace = handlespace();
    let key = handlespace.register(&handle("p"), round_robin(1)).unwrap().key;
    assert_eq!(handlespace.remove(key).unwrap().param().id.as_u32(), 1);
    assert_eq!(handlespace.remove(key), None);
    assert!(handlespace.pool(&handle("p")).is_none());
    // A pool of that name may be another one.
    assert!(
        handlespace
            .register(&handle("p"), element(1, PolicyParam::Random))
            .unwrap()
            .key
            > key
    );
}

#[test]
fn the_same_identifier_in_two_pools_is_two_elements() {
    let mut handlespace = handlespace();
    let a = handlespace.register(&handle("a"), round_robin(1)).unwrap().key;
    let b = handlespace.register(&handle("b"), round_robin(1)).unwrap().key;
    handlespace.remove(a);
    assert_eq!(handlespace.find(&handle("a"), PeId::new(1).unwrap()), None);
    assert_eq!(handlespace.find(&handle("b"), PeId::new(1).unwrap()), Some(b));
}

#[test]
fn suspects_are_selected_last_and_return_when_they_prove_to_be_there() {
    let mut handlespace = handlespace();
    let keys: Vec<_> = (1..=3)
        .map(|id| handlespace.register(&handle("p"), round_robin(id)).unwrap().key)
        .collect();
    handlespace.set_suspect(keys[0], true);
    assert_eq!(resolve(&mut handlespace, "p", 3), Some(vec![2, 3, 1]));
    handlespace.set_suspect(keys[1], true);
    handlespace.set_suspect(keys[2], true);
    assert_eq!(resolve(&mut handlespace, "p", 1), Some(vec![1]));
    handlespace.check();
    handlespace.set_suspect(keys[2], false);
    assert_eq!(resolve(&mut handlespace, "p", 1), Some(vec![3]));
    handlespace.register(&handle("p"), round_robin(1)).unwrap();
    assert!(!handlespace.get(keys[0]).unwrap().is_suspect());
    handlespace.check();
}

#[test]
fn rfc5355_2_1_a_flood_of_registrations_meets_limits() {
    let mut handlespace = Handlespace::new(HandlespaceLimits::new(2, 4, 3).unwrap());
    for id in 1..=3 {
        handlespace.register(&handle("a"), round_robin(id)).unwrap();
    }
    assert_eq!(handlespace.register(&handle("a"), round_robin(4)), Err(Refusal::NoRoom));
    handlespace.register(&handle("b"), round_robin(1)).unwrap();
    assert_eq!(handlespace.register(&handle("b"), round_robin(2)), Err(Refusal::NoRoom));
    assert_eq!(handlespace.register(&handle("c"), round_robin(1)), Err(Refusal::NoRoom));
    assert_eq!(Refusal::NoRoom.cause().code(), CauseCode::LACK_OF_RESOURCES);
    // Those that are there can still change.
    handlespace.register(&handle("a"), round_robin(3)).unwrap();
    handlespace.check();
}

#[test]
fn a_dump_names_pools_and_elements() {
    let mut handlespace = handlespace();
    let half = PolicyParam::LeastUsed { load: 0x8000_0000 };
    let key = handlespace
        .register(&handle("EchoPool"), element(0x1234, half))
        .unwrap()
        .key;
    handlespace.set_suspect(key, true);
    assert_eq!(
        handlespace.dump().to_string(),
        "1 pools, 1 elements\n\
         EchoPool: LeastUsed, 1 elements\n  \
         0x00001234 home none life 600 sctp 192.0.2.1,[2001:db8::1]:5000 load 50% suspect\n"
    );
}

/// A naive handlespace: lists, and nothing that could disagree.
#[derive(Default)]
struct Model {
    /// Pool, identifier, load, suspect; in the order of selection.
    elements: Vec<(u8, u32, u32, bool)>,
}

impl Model {
    fn position(&self, pool: u8, id: u32) -> Option<usize> {
        self.elements.iter().position(|e| (e.0, e.1) == (pool, id))
    }

    fn resolve(&mut self, pool: u8, count: usize) -> Option<Vec<u32>> {
        let mut found: Vec<_> = self.elements.iter().copied().filter(|e| e.0 == pool).collect();
        if found.is_empty() {
            return None;
        }
        found.sort_by_key(|e| (e.3, e.2));
        found.truncate(count);
        if let Some(first) = found.first() {
            let at = self.position(first.0, first.1).unwrap();
            let first = self.elements.remove(at);
            self.elements.push(first);
        }
        Some(found.into_iter().map(|e| e.1).collect())
    }
}

#[derive(Clone, Debug)]
enum Step {
    Register(u8, u32, u32),
    Remove(u8, u32),
    Suspect(u8, u32, bool),
    Resolve(u8, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (pool, id) = (0..3_u8, 1..6_u32);
    prop_oneof![
        3 => (pool.clone(), id.clone(), 0..3_u32).prop_map(|(pool, id, load)| Step::Register(pool, id, load)),
        1 => (pool.clone(), id.clone()).prop_map(|(pool, id)| Step::Remove(pool, id)),
        1 => (pool.clone(), id, any::<bool>()).prop_map(|(pool, id, suspect)| Step::Suspect(pool, id, suspect)),
        3 => (pool, 0..7_usize).prop_map(|(pool, count)| Step::Resolve(pool, count)),
    ]
}

proptest! {
    #[test]
    fn a_handlespace_does_what_a_list_would(steps in prop::collection::vec(step(), 0..120)) {
        let mut handlespace = Handlespace::new(HandlespaceLimits::new(2, 8, 4).unwrap());
        let mut model = Model::default();
        let mut random = Random::from_number(0);
        let name = |pool: u8| PoolHandle::new(vec![b'a' + pool]).unwrap();
        for step in steps {
            match step {
                Step::Register(pool, id, load) => {
                    let pools = model.elements.iter().map(|e| e.0).collect::<std::collections::BTreeSet<_>>();
                    let in_pool = model.elements.iter().filter(|e| e.0 == pool).count();
                    let fits = model.elements.len() < 8 && in_pool < 4 && (pools.contains(&pool) || pools.len() < 2);
                    let at = model.position(pool, id);
                    let param = element(id, PolicyParam::LeastUsed { load });
                    let registered = handlespace.register(&name(pool), param);
                    prop_assert_eq!(registered.is_ok(), at.is_some() || fits);
                    match at {
                        Some(at) if model.elements[at].3 => {
                            // Its turn among the trusted ones starts anew.
                            model.elements.remove(at);
                            model.elements.push((pool, id, load, false));
                        }
                        Some(at) => model.elements[at].2 = load,
                        None if fits => model.elements.push((pool, id, load, false)),
                        None => {}
                    }
                }
                Step::Remove(pool, id) => {
                    let key = handlespace.find(&name(pool), PeId::new(id).unwrap());
                    let at = model.position(pool, id);
                    prop_assert_eq!(key.is_some(), at.is_some());
                    if let (Some(key), Some(at)) = (key, at) {
                        handlespace.remove(key).unwrap();
                        model.elements.remove(at);
                    }
                }
                Step::Suspect(pool, id, suspect) => {
                    if let (Some(key), Some(at)) =
                        (handlespace.find(&name(pool), PeId::new(id).unwrap()), model.position(pool, id))
                        && model.elements[at].3 != suspect
                    {
                        handlespace.set_suspect(key, suspect);
                        let mut moved = model.elements.remove(at);
                        moved.3 = suspect;
                        model.elements.push(moved);
                    }
                }
                Step::Resolve(pool, count) => {
                    let keys = handlespace.resolve(&name(pool), count, 1, &mut random);
                    prop_assert_eq!(keys.map(|keys| ids(&handlespace, &keys)), model.resolve(pool, count));
                }
            }
            handlespace.check();
        }
    }
}
