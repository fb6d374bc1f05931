//! Deployments under faults: invariants while they happen, and recovery after.
//!
//! `RSERPOOL_CHAOS_SEED=n cargo test -p rserpool --test chaos` repeats one run; `RSERPOOL_CHAOS_RUNS=n` makes more of
//! them.

#![expect(clippy::disallowed_macros, reason = "a test that fails says how to repeat it")]

use std::time::Duration;

use rserpool::config::AssociationLoss;
use rserpool::ids::PoolHandle;
use rserpool::sim::{Chaos, Deployment, DirectProfile, Summary};
use rserpool::wire::policy::PolicyParam;
use sctp::sim::LinkConfig;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn pool() -> PoolHandle {
    PoolHandle::new("EchoPool").unwrap()
}

/// Says how to repeat a run that fails, and how it came to that.
struct Report<'a> {
    seed: u64,
    test: &'a str,
    deployment: Deployment,
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for line in self.deployment.trace().lines() {
                eprintln!("{line}");
            }
            eprintln!("at {:?}; to repeat this run:", self.deployment.now());
            eprintln!(
                "RSERPOOL_CHAOS_SEED={} cargo test -p rserpool --test chaos {}",
                self.seed, self.test
            );
        }
    }
}

fn seeds() -> Vec<u64> {
    seeds_or(20)
}

fn seeds_or(runs: u64) -> Vec<u64> {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|text: String| text.parse::<u64>().unwrap())
    };
    match number("RSERPOOL_CHAOS_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("RSERPOOL_CHAOS_RUNS").unwrap_or(runs)).collect(),
    }
}

/// Faults for two minutes, then a minute without.
fn run(test: &str, seed: u64, chaos: Chaos, deployment: Deployment) -> Summary {
    let mut report = Report { seed, test, deployment };
    let deployment = &mut report.deployment;
    deployment.run_for(seconds(5));
    deployment.start_chaos(chaos);
    deployment.run_for(seconds(120));

    deployment.end_chaos();
    deployment.run_for(seconds(45));
    for registrar in deployment.registrar_ids() {
        let (listed, up) = deployment.listed(registrar);
        assert_eq!((listed, up), (up, deployment.element_ids().len()));
    }
    let before: Vec<_> = deployment
        .user_ids()
        .into_iter()
        .map(|user| deployment.answers(user))
        .collect();
    deployment.run_for(seconds(15));
    for (user, before) in deployment.user_ids().into_iter().zip(before) {
        let answers = deployment.answers(user) - before;
        assert!(answers >= 25, "{user:?} got {answers} answers in 15 s of peace");
    }
    deployment.summary()
}

fn check_that_something_happened(summaries: &[Summary]) {
    let sum = |what: fn(&Summary) -> u64| summaries.iter().map(what).sum::<u64>();
    let runs = u64::try_from(summaries.len()).unwrap();
    assert!(sum(|s| s.faults) >= 20 * runs);
    assert!(sum(|s| s.failovers) >= 5 * runs);
}

#[test]
fn elements_fail() {
    let summaries: Vec<_> = seeds()
        .into_iter()
        .map(|seed| {
            let deployment = Deployment::direct(seed, DirectProfile::default())
                .registrars(1)
                .elements(&pool(), 5, &PolicyParam::RoundRobin)
                .users(&pool(), 6);
            let chaos = Chaos {
                registrars: false,
                ..Chaos::default()
            };
            run("elements_fail", seed, chaos, deployment)
        })
        .collect();
    check_that_something_happened(&summaries);
}

#[test]
fn everything_fails() {
    let policies = [
        PolicyParam::RoundRobin,
        PolicyParam::Random,
        PolicyParam::LeastUsed { load: 0 },
    ];
    let summaries: Vec<_> = seeds()
        .into_iter()
        .zip(policies.iter().cycle())
        .map(|(seed, policy)| {
            let deployment = Deployment::direct(seed, DirectProfile::default())
                .registrars(1)
                .elements(&pool(), 6, policy)
                .users(&pool(), 6);
            run("everything_fails", seed, Chaos::default(), deployment)
        })
        .collect();
    check_that_something_happened(&summaries);
}

#[test]
fn everything_fails_and_elements_are_probed() {
    for seed in seeds() {
        let deployment = Deployment::direct(seed, DirectProfile::default())
            .registrar_config(|config| config.set_association_loss(AssociationLoss::Probe))
            .registrars(1)
            .elements(&pool(), 6, &PolicyParam::LeastUsed { load: 0 })
            .users(&pool(), 6);
        run(
            "everything_fails_and_elements_are_probed",
            seed,
            Chaos::default(),
            deployment,
        );
    }
}

#[test]
fn keep_alives_alone_find_the_dead() {
    for seed in seeds() {
        let profile = DirectProfile {
            failure_detection: seconds(60),
            ..DirectProfile::default()
        };
        let deployment = Deployment::direct(seed, profile)
            .registrars(1)
            .elements(&pool(), 5, &PolicyParam::RoundRobin)
            .users(&pool(), 6);
        let chaos = Chaos {
            registrars: false,
            ..Chaos::default()
        };
        run("keep_alives_alone_find_the_dead", seed, chaos, deployment);
    }
}

#[test]
fn everything_fails_over_sctp() {
    for seed in seeds_or(5) {
        let link = LinkConfig::lan().loss(0.01).reordering(0.02, Duration::from_millis(5));
        let deployment = Deployment::full(seed, &[link])
            .registrars(1)
            .elements(&pool(), 5, &PolicyParam::LeastUsed { load: 0 })
            .users(&pool(), 5);
        run("everything_fails_over_sctp", seed, Chaos::default(), deployment);
    }
}
