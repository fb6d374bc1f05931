//! The same program on four devices and two backends, by one option.
#![cfg(feature = "userland")]

#[path = "../examples/there_and_back.rs"]
#[expect(dead_code, reason = "its main function")]
mod program;

use netns_tests::namespace::Namespace;
use netns_tests::process::PATIENCE;
use socketapi::Backend;

fn run(options: [&str; 2]) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let running = program::run(options.map(str::to_owned).into_iter());
        let ended = tokio::time::timeout(PATIENCE, running).await;
        ended.expect("it comes to its end in time").unwrap()
    })
}

#[test]
fn the_same_program_runs_on_what_one_option_says() {
    if Backend::from_environment() == Ok(Backend::Kernel) {
        // Where there is nothing but the kernel's SCTP.
        assert_eq!(
            run(["--backend", "kernel"]),
            "1000 messages there and back over the kernel"
        );
        return;
    }
    let tun = "tun:sctp0,10.9.0.1/24,fd09::1/64,10.9.0.2,fd09::2";
    let expected = |device| format!("1000 messages there and back over device {device}");
    assert_eq!(run(["--device", "memory"]), expected("memory"));
    let Some(namespace) = Namespace::new() else { return };
    namespace.enter();
    for device in ["udp", "raw", tun, "memory"] {
        assert_eq!(run(["--device", device]), expected(device));
    }
    assert_eq!(run(["--backend", "userland"]), expected("udp"));
}
