//! Whole deployments on hosts with SCTP stacks.

use std::time::Duration;

use rserpool::ids::PoolHandle;
use rserpool::sim::{Death, Deployment};
use rserpool::wire::policy::PolicyParam;
use sctp::sim::LinkConfig;

fn pool() -> PoolHandle {
    PoolHandle::new("EchoPool").unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn deployment(links: &[LinkConfig], elements: u32, users: u32) -> Deployment {
    Deployment::full(1, links)
        .registrars(1)
        .elements(&pool(), elements, &PolicyParam::RoundRobin)
        .users(&pool(), users)
}

#[test]
fn elements_register_and_users_are_served() {
    let mut deployment = deployment(&[LinkConfig::lan()], 5, 10);
    deployment.run_for(seconds(10));
    assert_eq!(deployment.listed(deployment.registrar_ids()[0]), (5, 5));
    for user in deployment.user_ids() {
        assert!(deployment.answers(user) >= 15, "{}", deployment.answers(user));
    }
    assert_eq!(deployment.summary().failovers, 0);
}

#[test]
fn users_fail_over_when_their_element_dies() {
    for death in [Death::Killed, Death::Crashed] {
        let mut deployment = deployment(&[LinkConfig::lan()], 5, 10);
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
fn a_registrar_that_starts_anew_learns_of_all_elements() {
    for death in [Death::Killed, Death::Crashed] {
        let mut deployment = deployment(&[LinkConfig::lan()], 8, 4);
        deployment.run_for(seconds(10));
        let registrar = deployment.registrar_ids()[0];
        deployment.stop(registrar, death);
        deployment.run_for(seconds(3));
        deployment.start(registrar);
        deployment.run_for(seconds(20));
        assert_eq!(deployment.listed(registrar), (8, 8), "{death:?}");
        assert_eq!(deployment.summary().failovers, 0);
    }
}

#[test]
fn a_lossy_network_is_slower_but_loses_nothing() {
    let link = LinkConfig::wan()
        .loss(0.02)
        .duplication(0.01)
        .reordering(0.05, Duration::from_millis(20));
    let mut deployment = deployment(&[link], 4, 6);
    deployment.run_for(seconds(60));
    assert_eq!(deployment.listed(deployment.registrar_ids()[0]), (4, 4));
    let summary = deployment.summary();
    assert!(summary.answers >= 6 * 100, "{summary:?}");
}

#[test]
fn with_two_links_neither_is_missed() {
    let mut deployment = deployment(&[LinkConfig::lan(), LinkConfig::lan()], 4, 6);
    deployment.run_for(seconds(10));
    for link in [0, 1] {
        deployment.set_link_up(link, false);
        deployment.run_for(seconds(20));
        deployment.set_link_up(link, true);
        deployment.run_for(seconds(20));
    }
    let summary = deployment.summary();
    assert_eq!(summary.failovers, 0, "{summary:?}");
    assert_eq!(deployment.listed(deployment.registrar_ids()[0]), (4, 4));
    for user in deployment.user_ids() {
        let age = deployment.now() - deployment.last_answer(user).unwrap();
        assert!(age <= seconds(1), "no answer for {age:?}");
    }
}
