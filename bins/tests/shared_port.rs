//! Programs on one address and UDP port, without a word about either.

use netns_tests::namespace::Namespace;
use netns_tests::process::Program;

fn server() -> Program {
    let args = ["--pingpong", "--registrar", "127.0.0.1"];
    let program = Program::start(env!("CARGO_BIN_EXE_rspserver"), args);
    program.wait_for("is registered");
    program
}

#[test]
fn programs_share_an_address_and_its_udp_port() {
    let Some(namespace) = Namespace::new() else { return };
    namespace.enter();
    // The first holds the UDP port.
    let mut registrar = Program::start(env!("CARGO_BIN_EXE_rspregistrar"), [""; 0]);
    registrar.wait_for("registrar 0x");
    let mut servers = [server(), server()];
    let args = ["--registrar", "127.0.0.1", "-interval=20"];
    let mut clients = [(); 3].map(|()| Program::start(env!("CARGO_BIN_EXE_pingpongclient"), args));
    for client in &clients {
        client.wait_for("pong 20,");
    }
    registrar.kill();
    let counts = clients.each_ref().map(Program::line_count);
    for (client, count) in clients.iter().zip(counts) {
        client.wait_for_from(count + 20, |line| line.starts_with("pong"));
    }
    // They go on with the other server, though no registrar tells them of it.
    servers[0].kill();
    let counts = clients.each_ref().map(Program::line_count);
    for (client, count) in clients.iter_mut().zip(counts) {
        client.wait_for_from(count + 20, |line| line.starts_with("pong"));
        client.interrupt();
        assert!(client.wait().success(), "{}", client.text());
        client.wait_for("none left out");
        let lost = client.wait_for("replies lost");
        assert_eq!(lost.split_whitespace().last(), Some("0"), "{}", client.text());
    }
}
