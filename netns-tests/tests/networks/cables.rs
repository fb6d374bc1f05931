//! Two hosts with two networks between them, and cables that are pulled.

use std::time::{Duration, Instant};

use netns_tests::namespace::Namespace;
use netns_tests::rootless::as_root;
use socketapi::PathState;

use crate::common::{Host, Load, capture, packets, path, say, under_load, watchful};

const LOAD: Load = Load {
    size: 3000,
    pause: Duration::from_millis(2),
    config: watchful,
};

/// Two hosts, 1 and 2, at two switches: `eth0` with 10.0.0.x at one, `eth1` with 10.0.1.x at the other.
fn dual_homed() -> Option<(Namespace, Namespace, Namespace)> {
    let (one, two, switches) = (Namespace::new()?, Namespace::new()?, Namespace::new()?);
    for network in 0..2 {
        switches.run(&format!(
            "ip link add switch{network} type bridge; ip link set switch{network} up"
        ));
        for (number, host) in [(1, &one), (2, &two)] {
            let plug = format!("plug{network}{number}");
            host.cable(&format!("eth{network}"), &switches, &plug);
            host.run(&format!("ip address add 10.0.{network}.{number}/24 dev eth{network}"));
            switches.run(&format!("ip link set {plug} master switch{network}"));
        }
    }
    Some((one, two, switches))
}

/// The client on host 1 and the server on host 2.
fn hosts<'n>(one: &'n Namespace, two: &'n Namespace) -> (Host<'n>, Host<'n>) {
    let client = Host {
        namespace: one,
        addresses: &["10.0.0.1", "10.0.1.1"],
    };
    let server = Host {
        namespace: two,
        addresses: &["10.0.0.2", "10.0.1.2"],
    };
    (client, server)
}

#[test]
fn rfc9260_6_4_1_a_cable_pulled_and_put_back_under_load_costs_no_message() {
    as_root(|| {
        const TEST: &str = "cable";
        let Some((one, two, switches)) = dual_homed() else {
            return;
        };
        let (Some(first), Some(second)) = (
            capture(&one, "eth0", TEST, "first"),
            capture(&one, "eth1", TEST, "second"),
        ) else {
            return;
        };
        let (client, server) = hosts(&one, &two);
        let mut failover = Duration::ZERO;
        under_load(&client, &server, LOAD, |progress| {
            progress.wait_for_client("both paths work", |status| {
                status.paths.len() == 2 && status.paths.iter().all(|path| path.state == PathState::Active)
            });
            progress.wait_for_more(100);
            // The cable of the server: nothing tells the client.
            let pulled = Instant::now();
            switches.run("ip link set plug02 down");
            progress.wait_for_client("the path fails", |status| {
                path(status, "10.0.0.2").state != PathState::Active
            });
            progress.wait_for_more(100);
            failover = progress.longest_gap(pulled);
            switches.run("ip link set plug02 up");
            progress.wait_for_client("the path works again", |status| {
                path(status, "10.0.0.2").state == PathState::Active
            });
            progress.wait_for_more(100);
        });
        say(TEST, &format!("failover took {} ms", failover.as_millis()));
        let fields = ["frame.time_epoch", "sctp.data_tsn"];
        let times = |packets: &[Vec<String>]| -> Vec<f64> {
            let data = packets.iter().filter(|packet| !packet[1].is_empty());
            data.map(|packet| packet[0].parse().unwrap()).collect()
        };
        let (first, second) = (first.stop(), second.stop());
        let (first, second) = (times(&packets(&first, &fields)), times(&packets(&second, &fields)));
        let (Some(began), Some(ended)) = (second.first(), second.last()) else {
            panic!("no data on the other network")
        };
        assert!(first.iter().any(|at| at < began), "data goes over the first network");
        assert!(first.iter().any(|at| at > ended), "and over it again in the end");
    });
}

#[test]
fn rfc9260_8_2_both_cables_pulled_for_a_while_cost_no_message() {
    as_root(|| {
        const TEST: &str = "both-cables";
        let Some((one, two, switches)) = dual_homed() else {
            return;
        };
        let Some(capture) = capture(&one, "eth0", TEST, "first") else {
            return;
        };
        let (client, server) = hosts(&one, &two);
        under_load(&client, &server, LOAD, |progress| {
            progress.wait_for_more(100);
            let retransmitted = std::sync::Mutex::new(None);
            switches.run("ip link set plug02 down; ip link set plug12 down");
            progress.wait_for_client("time-outs", |status| {
                let expiries = status.stats.t3_expiries;
                let before = *retransmitted.lock().unwrap().get_or_insert(expiries);
                expiries >= before + 2
            });
            switches.run("ip link set plug02 up; ip link set plug12 up");
            progress.wait_for_more(100);
        });
        assert!(!packets(&capture.stop(), &["sctp.data_tsn"]).is_empty());
    });
}
