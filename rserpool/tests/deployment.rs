//! Whole deployments on a network of messages.

use std::time::Duration;

use rserpool::config::AssociationLoss;
use rserpool::ids::PoolHandle;
use rserpool::sim::{Death, Deployment, DirectProfile};
use rserpool::wire::policy::PolicyParam;

fn pool() -> PoolHandle {
    PoolHandle::new("EchoPool").unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn deployment(elements: u32, users: u32) -> Deployment {
    Deployment::direct(1, DirectProfile::default())
        .registrars(1)
        .elements(&pool(), elements, &PolicyParam::RoundRobin)
        .users(&pool(), users)
}

#[test]
fn elements_register_and_users_are_served() {
    let mut deployment = deployment(5, 10);
    deployment.run_for(seconds(10));
    let registrar = deployment.registrar_ids()[0];
    assert_eq!(deployment.listed(registrar), (5, 5));
    for user in deployment.user_ids() {
        assert!(deployment.answers(user) >= 15, "{}", deployment.answers(user));
    }
    assert_eq!(deployment.summary().failovers, 0);
}

#[test]
fn users_fail_over_when_their_element_dies() {
    for death in [Death::Killed, Death::Crashed] {
        let mut deployment = deployment(5, 10);
        deployment.run_for(seconds(10));
        for element in &deployment.element_ids()[..3] {
            deployment.stop(*element, death);
            deployment.run_for(seconds(20));
        }
        let summary = deployment.summary();
        assert!(summary.failovers >= 4, "{death:?}: {summary:?}");
        assert_eq!(deployment.listed(deployment.registrar_ids()[0]), (2, 2));
        for user in deployment.user_ids() {
            let age = deployment.now() - deployment.last_answer(user).unwrap();
            assert!(age <= seconds(1), "{death:?}: no answer for {age:?}");
        }
    }
}

#[test]
fn a_killed_element_is_gone_and_its_users_served_within_a_second() {
    let mut deployment = deployment(5, 10);
    deployment.run_for(seconds(10));
    deployment.stop(deployment.element_ids()[0], Death::Killed);
    deployment.run_for(seconds(1));
    assert_eq!(deployment.listed(deployment.registrar_ids()[0]), (4, 4));
    assert!(
        deployment.summary().longest_failover <= seconds(1),
        "{:?}",
        deployment.summary()
    );
}

#[test]
fn a_registrar_that_starts_anew_learns_of_all_elements() {
    for death in [Death::Killed, Death::Crashed] {
        let mut deployment = deployment(8, 4);
        deployment.run_for(seconds(10));
        let registrar = deployment.registrar_ids()[0];
        deployment.stop(registrar, death);
        deployment.run_for(seconds(3));
        let before = deployment.summary();
        deployment.start(registrar);
        deployment.run_for(seconds(20));
        assert_eq!(deployment.listed(registrar), (8, 8), "{death:?}");
        // Sessions do not need a registrar.
        let after = deployment.summary();
        assert_eq!(after.failovers, before.failovers);
        assert!(after.answers > before.answers);
    }
}

#[test]
fn users_find_elements_that_come_later() {
    let mut deployment = Deployment::direct(1, DirectProfile::default())
        .registrars(1)
        .users(&pool(), 3);
    deployment.run_for(seconds(5));
    let mut deployment = deployment.elements(&pool(), 1, &PolicyParam::Random);
    deployment.run_for(seconds(5));
    for user in deployment.user_ids() {
        assert!(deployment.answers(user) > 0);
    }
}

#[test]
fn a_pool_may_hang_on_associations_or_on_keep_alives() {
    for rule in [AssociationLoss::Remove, AssociationLoss::Probe] {
        let mut deployment = Deployment::direct(2, DirectProfile::default())
            .registrar_config(|config| config.set_association_loss(rule))
            .registrars(1)
            .elements(&pool(), 4, &PolicyParam::LeastUsed { load: 0 })
            .users(&pool(), 4);
        deployment.run_for(seconds(5));
        let (registrar, element) = (deployment.registrar_ids()[0], deployment.element_ids()[0]);
        // Long enough for both sides to give up the association.
        deployment.cut(registrar, element);
        deployment.run_for(seconds(10));
        assert_eq!(deployment.listed(registrar), (3, 4), "{rule:?}");
        deployment.heal(registrar, element);
        deployment.run_for(seconds(20));
        assert_eq!(deployment.listed(registrar), (4, 4), "{rule:?}");
    }
}

#[test]
fn least_used_pools_spread_their_users() {
    let mut deployment = Deployment::direct(3, DirectProfile::default()).registrars(1).elements(
        &pool(),
        4,
        &PolicyParam::LeastUsed { load: 0 },
    );
    deployment.run_for(seconds(3));
    for _ in 0..12 {
        deployment = deployment.users(&pool(), 1);
        deployment.run_for(seconds(1));
    }
    assert_eq!(deployment.sessions(), [3, 3, 3, 3]);
}

#[test]
fn a_large_pool_is_served() {
    let mut deployment = Deployment::direct(4, DirectProfile::default())
        .registrars(1)
        .elements(&pool(), 1000, &PolicyParam::Random)
        .users(&pool(), 50);
    deployment.run_for(seconds(30));
    assert_eq!(deployment.listed(deployment.registrar_ids()[0]), (1000, 1000));
    assert!(deployment.summary().answers >= 50 * 50);
}
