//! One seed, one trace.

#![expect(
    clippy::disallowed_macros,
    reason = "a child process prints its trace for its parent"
)]

use std::time::Duration;

use rserpool::ids::PoolHandle;
use rserpool::sim::{Chaos, Deployment, DirectProfile};
use rserpool::wire::policy::PolicyParam;
use sctp::sim::LinkConfig;

/// Runs a deployment on messages and one on SCTP.
fn trace(seed: u64) -> [(u64, u64); 2] {
    let link = LinkConfig::lan().loss(0.02).corruption(0.01);
    [
        Deployment::direct(seed, DirectProfile::default()),
        Deployment::full(seed, &[link]),
    ]
    .map(run)
}

fn run(deployment: Deployment) -> (u64, u64) {
    let pool = PoolHandle::new("EchoPool").unwrap();
    let mut deployment = deployment
        .registrars(1)
        .elements(&pool, 5, &PolicyParam::Random)
        .users(&pool, 5);
    deployment.start_chaos(Chaos::default());
    deployment.run_for(Duration::from_secs(60));
    (deployment.trace().count(), deployment.trace().hash())
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let first = trace(7);
    assert!(first.iter().all(|(lines, _)| *lines > 1000), "{first:?}");
    assert_eq!(first, trace(7));
    let other = trace(8);
    assert!(first[0] != other[0] && first[1] != other[1]);
}

#[test]
fn another_process_gives_the_same_trace() {
    const ASK: &str = "RSERPOOL_PRINT_TRACE";
    let mine = format!("{:?}", trace(9));
    if std::env::var_os(ASK).is_some() {
        println!("trace {mine}");
        return;
    }
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "another_process_gives_the_same_trace", "--nocapture"])
        .env(ASK, "1")
        .output()
        .unwrap();
    let said = String::from_utf8(child.stdout).unwrap();
    assert!(said.contains(&format!("trace {mine}")), "{mine} is not in: {said}");
}
