//! Several processes with SCTP directly on IP on one host.
#![cfg(all(feature = "userland", target_os = "linux"))]

use std::collections::BTreeSet;
use std::env;
use std::io::BufRead;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use netns_tests::namespace::Namespace;
use netns_tests::process::{PATIENCE, Program};
use socketapi::{
    AssociationConfig, DeviceConfig, Error, Received, SctpSocket, SctpStream, SndInfo, SocketBuilder, StackHandle,
};

/// Where the servers of a test are.
const PORTS: [u16; 3] = [5001, 5002, 5003];

fn say(text: &str) {
    println!("{text}");
}

fn stack(addresses: &[&str]) -> StackHandle {
    let addresses = addresses.iter().map(|text| text.parse::<IpAddr>().unwrap());
    let builder = StackHandle::builder().device(DeviceConfig::Raw);
    builder.addresses(addresses).start_blocking().unwrap()
}

// The processes.

#[test]
#[ignore = "a process of the other tests, which start it"]
fn process() {
    let role = env::args().find_map(|arg| arg.strip_prefix("role:").map(str::to_owned));
    let Some(role) = role else { return };
    let (name, port) = role.split_once(':').unwrap();
    let port = port.parse().unwrap();
    let stack = stack(&[]);
    match name {
        "server" => serve(&stack, port),
        "bind" => match SctpSocket::bind_on(&stack, port) {
            Ok(_) => say("bound"),
            Err(error) => say(&format!("refused: {error} ({})", error.errno())),
        },
        other => panic!("{other}"),
    }
}

/// Echoes, and tells how often it was woken whenever it is asked.
fn serve(stack: &StackHandle, port: u16) {
    let socket = SctpSocket::bind_on(stack, port).unwrap();
    socket.listen(16).unwrap();
    say("serves");
    let stack = stack.clone();
    std::thread::spawn(move || {
        for _ in std::io::stdin().lock().lines() {
            say(&format!("woken {}", stack.device_stats().receive_calls));
        }
    });
    loop {
        if let Received::Data { payload, info } = socket.recv_blocking().unwrap() {
            // The client may have gone.
            let _ = socket.send_blocking(payload, &info.reply());
        }
    }
}

fn start(role: &str) -> Program {
    let role = format!("role:{role}");
    let harness = ["--ignored", "--exact", "process", "--nocapture", "--test-threads", "1"];
    Program::start(env::current_exe().unwrap(), harness.into_iter().chain([&*role]))
}

fn server(port: u16) -> Program {
    let program = start(&format!("server:{port}"));
    program.wait_for("serves");
    program
}

/// How often a server has been woken.
fn woken(program: &mut Program) -> u64 {
    let lines = program.line_count();
    program.write_line("how often?");
    let (line, _) = program.wait_for_from(lines, |line| line.starts_with("woken "));
    line["woken ".len()..].parse().unwrap()
}

// The tests.

/// Two namespaces with a cable between them: 10.8.0.1 and `fd08::1` in the first, .2 and `::2` in the second.
fn cabled() -> Option<(Namespace, Namespace)> {
    let (here, there) = (Namespace::new()?, Namespace::new()?);
    here.cable("c", &there, "c");
    for (namespace, last) in [(&here, 1), (&there, 2)] {
        namespace.run(&format!(
            "ip address add 10.8.0.{last}/24 dev c; ip address add fd08::{last}/64 dev c nodad"
        ));
    }
    Some((here, there))
}

/// Two hosts as in [`cabled`], and on the second one a server at each of [`PORTS`]; this thread is in the first.
fn served() -> Option<([Program; 3], [Namespace; 2])> {
    let (here, there) = cabled()?;
    there.enter();
    // The first one is the holder.
    let servers = PORTS.map(server);
    here.enter();
    Some((servers, [here, there]))
}

fn connect(stack: &StackHandle, address: &str, port: u16) -> socketapi::Result<SctpStream> {
    let to = SocketAddr::new(address.parse().unwrap(), port);
    // Nothing is asked twice.
    let mut config = AssociationConfig::default();
    config.set_rto(PATIENCE, PATIENCE, PATIENCE).unwrap();
    SocketBuilder::new()
        .stack(stack)
        .association(config)
        .connect_blocking(to)
}

fn is_refused(outcome: socketapi::Result<SctpStream>) {
    assert!(matches!(outcome, Err(Error::ConnectFailed(_))), "{outcome:?}");
}

/// Whether one process, and no other, answers what is for `closed`; there is a server at `open`.
fn one_answers(own: &str, address: &str, [closed, open]: [u16; 2]) {
    // On one address: what comes by several sockets comes in any order.
    let stack = stack(&[own]);
    is_refused(connect(&stack, address, closed));
    // Whatever else comes comes before what is asked for now.
    talk(&stack, address, open, 1);
    let stats = stack.stats();
    assert_eq!((stats.out_of_the_blue, stats.bad_verification_tag), (0, 0), "{stats:?}");
}

/// Messages to an echo server and back.
fn talk(stack: &StackHandle, address: &str, port: u16, count: u32) {
    let stream = connect(stack, address, port).unwrap();
    for number in 0..count {
        let text = format!("message {number}");
        stream.send_blocking(text.clone(), &SndInfo::new()).unwrap();
        let reply = stream.recv_blocking().unwrap().unwrap();
        assert_eq!(reply.payload, text.as_bytes());
    }
    stream.close_blocking().unwrap();
}

#[test]
fn each_process_wakes_for_its_own_ports_only() {
    let Some((mut servers, _hosts)) = served() else { return };
    for address in ["10.8.0.2", "fd08::2"] {
        let stack = stack(&[]);
        for (index, port) in (0..).zip(PORTS) {
            let before = servers.each_mut().map(woken);
            talk(&stack, address, port, 100);
            let after = servers.each_mut().map(woken);
            for (other, (before, after)) in before.into_iter().zip(after).enumerate() {
                assert_eq!(after > before + 50, other == index, "{port}: {before} {after}");
                // The end of the association before may still have come meanwhile.
                assert!(other == index || after < before + 5, "{port}: {before} {after}");
            }
        }
    }
}

#[test]
fn rfc9260_8_4_one_process_answers_what_is_for_nobody() {
    let Some((mut servers, _hosts)) = served() else { return };
    let ways = [("10.8.0.1", "10.8.0.2"), ("fd08::1", "fd08::2")];
    for (own, address) in ways {
        one_answers(own, address, [5999, 5002]);
    }
    // Another one does it when the holder was killed, but not at once: this is asked again and again.
    servers[0].kill();
    let asks = SocketBuilder::new()
        .stack(&stack(&[]))
        .connect_blocking("10.8.0.2:5001");
    is_refused(asks);
    for (own, address) in ways {
        one_answers(own, address, [5001, 5003]);
    }
}

#[test]
fn a_port_is_taken_for_all_processes() {
    let Some(namespace) = Namespace::new() else { return };
    namespace.enter();
    let mut first = server(5001);
    let second = start("bind:5001");
    let in_use = rustix::io::Errno::ADDRINUSE.raw_os_error();
    second.wait_for(&format!("refused: the SCTP port is in use ({in_use})"));
    start("bind:5002").wait_for("bound");
    // Also for other stacks of a process, and drawn ports are never the same on one address.
    let stacks = [stack(&["127.0.0.1"]), stack(&["127.0.0.2"]), stack(&[])];
    let mut drawn = [const { BTreeSet::new() }; 3];
    let mut sockets = Vec::new();
    for _ in 0..20 {
        for (stack, drawn) in stacks.iter().zip(&mut drawn) {
            let socket = SctpSocket::bind_on(stack, 0).unwrap();
            assert!(drawn.insert(socket.local_addresses().unwrap()[0].port()));
            sockets.push(socket);
        }
    }
    let [one, other, all] = drawn;
    assert!(all.is_disjoint(&one) && all.is_disjoint(&other));
    let taken = SctpSocket::bind_on(&stacks[1], 5001).map(drop);
    assert_eq!(taken, Err(Error::PortInUse));
    // On other addresses the same port is another one.
    let same = [0, 1].map(|index| SctpSocket::bind_on(&stacks[index], 6000).unwrap());
    assert_eq!(SctpSocket::bind_on(&stacks[2], 6000).map(drop), Err(Error::PortInUse));
    drop(same);
    first.kill();
    let end = Instant::now() + PATIENCE;
    while SctpSocket::bind_on(&stacks[2], 5001).is_err() {
        assert!(Instant::now() < end, "the port is still taken");
    }
    drop(sockets);
}

#[test]
fn stacks_on_addresses_of_their_own_have_the_same_port() {
    let Some(namespace) = Namespace::new() else { return };
    namespace.enter();
    // Who is on all addresses gets the packets for the others as well, and leaves them alone.
    let bystander = stack(&[]);
    let _socket = SctpSocket::bind_on(&bystander, 4999).unwrap();
    let stacks = ["127.0.0.1", "127.0.0.2"].map(|address| stack(&[address]));
    let sockets = stacks.each_ref().map(|stack| {
        let socket = SctpSocket::bind_on(stack, 5000).unwrap();
        socket.listen(1).unwrap();
        socket
    });
    let client = stack(&["127.0.0.3"]);
    for (socket, address) in sockets.iter().zip(["127.0.0.1", "127.0.0.2"]) {
        let stream = connect(&client, address, 5000).unwrap();
        stream.send_blocking("hello", &SndInfo::new()).unwrap();
        loop {
            if let Received::Data { payload, .. } = socket.recv_blocking().unwrap() {
                assert_eq!(payload, "hello");
                break;
            }
        }
        stream.close_blocking().unwrap();
    }
    let stats = bystander.stats();
    assert_eq!(stats.out_of_the_blue, stats.out_of_the_blue_unanswered, "{stats:?}");
}
