//! Several processes on UDP port 9899 of one host.
#![cfg(target_os = "linux")]

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use netns_tests::namespace::Namespace;
use netns_tests::process::{PATIENCE, Program};
use socketapi::{AssociationConfig, Error, Received, SctpSocket, SctpStream, SndInfo, StackHandle};

/// How many messages of a client are on their way to a server and back.
const WINDOW: u64 = 32;
/// After how many messages a client says how far it is.
const MILESTONE: u64 = 200;

fn say(text: &str) {
    println!("{text}");
}

// The processes.

#[test]
#[ignore = "a process of the other tests, which start it"]
fn process() {
    let role = env::args().find_map(|arg| arg.strip_prefix("role:").map(str::to_owned));
    let Some(role) = role else { return };
    let (name, numbers) = role.split_once(':').unwrap();
    let ports: Vec<u16> = numbers.split(',').map(|port| port.parse().unwrap()).collect();
    match name {
        "server" => serve(ports[0]),
        "client" => ask(&ports),
        "bind" => match SctpSocket::bind_blocking(("127.0.0.1", ports[0])) {
            Ok(_) => say("bound"),
            Err(error) => say(&format!("refused: {error}")),
        },
        "share" => match StackHandle::builder()
            .udp_port(ports[0])
            .share_udp_port(true)
            .start_blocking()
        {
            Ok(_) => say("shares"),
            Err(error) => say(&format!("refused: {error}")),
        },
        "squat" => {
            let name = format!("sctp-udp-{}", ports[0]);
            let socket = rustix::net::socket(
                rustix::net::AddressFamily::UNIX,
                rustix::net::SocketType::SEQPACKET,
                None,
            )
            .unwrap();
            let address = rustix::net::SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap();
            rustix::net::bind(&socket, &address).unwrap();
            rustix::net::listen(&socket, 1).unwrap();
            say("has the name");
            loop {
                thread::park();
            }
        }
        other => panic!("{other}"),
    }
}

/// Echoes.
fn serve(port: u16) {
    let socket = SctpSocket::bind_blocking(("127.0.0.1", port)).unwrap();
    socket.listen(16).unwrap();
    say("serves");
    loop {
        if let Received::Data { payload, info } = socket.recv_blocking().unwrap() {
            // The client may have been killed.
            let _ = socket.send_blocking(payload, &info.reply());
        }
    }
}

/// Sends numbered messages to each server until it is told on its standard input which ones to finish with, and checks
/// that each comes back once and in order.
fn ask(ports: &[u16]) {
    let over = Arc::new(AtomicBool::new(false));
    for &port in ports {
        let over = Arc::clone(&over);
        thread::spawn(move || match ask_one(port, &over) {
            Ok(count) => say(&format!("finished {port} after {count}")),
            Err(error) => say(&format!("lost {port}: {error}")),
        });
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
    over.store(true, Ordering::Relaxed);
    // The test ends the process.
    loop {
        thread::park();
    }
}

fn ask_one(port: u16, over: &AtomicBool) -> socketapi::Result<u64> {
    let stream = loop {
        match SctpStream::connect_blocking(("127.0.0.1", port)) {
            // It may not serve yet.
            Err(Error::ConnectFailed(_)) => thread::sleep(Duration::from_millis(20)),
            outcome => break outcome?,
        }
    };
    let (mut sent, mut back) = (0u64, 0u64);
    loop {
        let ends = over.load(Ordering::Relaxed);
        while !ends && sent < back + WINDOW {
            stream.send_blocking(message(sent), &SndInfo::new())?;
            sent += 1;
        }
        if ends && back == sent {
            return Ok(back);
        }
        let reply = stream.recv_blocking()?.ok_or(Error::Closed)?;
        assert_eq!(reply.payload, message(back), "a message is missing, or out of order");
        back += 1;
        if back.is_multiple_of(MILESTONE) {
            say(&format!("has {back} of {port}"));
        }
    }
}

/// Messages of one packet and of many.
fn message(number: u64) -> Vec<u8> {
    let size = if number.is_multiple_of(10) {
        20_000
    } else {
        8 + number % 1000
    };
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(usize::try_from(size).unwrap().max(8), 7);
    bytes
}

// The tests.

fn start(role: &str) -> Program {
    let role = format!("role:{role}");
    let args = [
        "--ignored",
        "--exact",
        "process",
        &role,
        "--nocapture",
        "--test-threads",
        "1",
    ];
    Program::start(env::current_exe().unwrap(), args)
}

fn server(port: u16) -> Program {
    let program = start(&format!("server:{port}"));
    program.wait_for("serves");
    program
}

/// The process that listens under the name of the port.
fn holder(mut candidates: impl Iterator<Item = u32>) -> Option<u32> {
    // The state of a socket that listens, the name, and the inode before it.
    let table = fs::read_to_string("/proc/thread-self/net/unix").unwrap();
    let line = table
        .lines()
        .find(|line| line.ends_with("@sctp-udp-9899") && line.contains(" 00010000 "))?;
    let inode = line.split_whitespace().nth(6)?;
    let wanted = format!("socket:[{inode}]");
    candidates.find(|id| {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{id}/fd")) else {
            return false;
        };
        let links = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        links
            .map(|link| link.to_string_lossy().into_owned())
            .any(|link| link == wanted)
    })
}

/// Each client has had so many messages more back from each server, from now on.
fn goes_on(clients: &BTreeMap<u32, Program>, servers: &BTreeSet<u16>) {
    let counts: Vec<usize> = clients.values().map(Program::line_count).collect();
    for (client, count) in clients.values().zip(counts) {
        for port in servers {
            let wanted = format!(" of {port}");
            for _ in 0..2 {
                client.wait_for_from(count, |line| line.starts_with("has ") && line.ends_with(&wanted));
            }
        }
    }
}

/// `kill -9` of the holder, whoever it is; its servers' ports are taken out of `servers`.
fn kill_holder(
    clients: &mut BTreeMap<u32, Program>,
    all_servers: &mut BTreeMap<u32, (u16, Program)>,
    servers: &mut BTreeSet<u16>,
) {
    let end = Instant::now() + PATIENCE;
    let id = loop {
        if let Some(id) = holder(clients.keys().chain(all_servers.keys()).copied()) {
            break id;
        }
        assert!(Instant::now() < end, "nobody holds the port");
        thread::sleep(Duration::from_millis(1));
    };
    if let Some(mut client) = clients.remove(&id) {
        client.kill();
    }
    if let Some((port, mut server)) = all_servers.remove(&id) {
        servers.remove(&port);
        server.kill();
    }
}

/// Waits until one of these is the holder.
fn holds(programs: &BTreeMap<u32, Program>) {
    let end = Instant::now() + PATIENCE;
    while holder(programs.keys().copied()).is_none() {
        assert!(Instant::now() < end, "nobody holds the port");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Two servers and three clients, of which the holder is killed twice.
fn nothing_is_lost(first_is_server: bool) {
    let Some(namespace) = Namespace::new() else { return };
    namespace.enter();
    let mut servers = BTreeSet::from([5001, 5002]);
    let mut all_servers = BTreeMap::new();
    let mut clients = BTreeMap::new();
    if !first_is_server {
        let client = start("client:5001,5002");
        clients.insert(client.id(), client);
        holds(&clients);
    }
    for port in servers.clone() {
        let server = server(port);
        all_servers.insert(server.id(), (port, server));
    }
    while clients.len() < 3 {
        let client = start("client:5001,5002");
        clients.insert(client.id(), client);
    }
    goes_on(&clients, &servers);
    kill_holder(&mut clients, &mut all_servers, &mut servers);
    goes_on(&clients, &servers);
    // The next one may be a server, and the only one left.
    if servers.len() == 2 {
        kill_holder(&mut clients, &mut all_servers, &mut servers);
        goes_on(&clients, &servers);
    }
    for client in clients.values_mut() {
        client.write_line("finish");
    }
    assert!(!clients.is_empty() && !servers.is_empty(), "somebody is left to tell");
    for client in clients.values() {
        for port in &servers {
            client.wait_for(&format!("finished {port} after"));
            let lost = format!("lost {port}");
            assert!(!client.text().contains(&lost), "{}", client.text());
        }
        assert!(!client.text().contains("panicked"), "{}", client.text());
    }
}

#[test]
fn a_killed_holder_that_serves_loses_no_message_of_others() {
    nothing_is_lost(true);
}

#[test]
fn a_killed_holder_that_asks_loses_no_message_of_others() {
    nothing_is_lost(false);
}

#[test]
fn a_port_is_taken_for_all_processes() {
    let Some(namespace) = Namespace::new() else { return };
    namespace.enter();
    let mut first = server(5001);
    let second = start("bind:5001");
    second.wait_for("refused: the SCTP port is in use");
    let third = start("bind:5002");
    third.wait_for("bound");
    first.kill();
    let fourth = start("bind:5001");
    fourth.wait_for("bound");
}

#[test]
fn rfc9260_8_4_one_process_answers_what_is_for_nobody() {
    let Some(namespace) = Namespace::new() else { return };
    namespace.enter();
    let _servers = [5001, 5002, 5003].map(server);
    let builder = StackHandle::builder()
        .addresses(["127.0.0.1".parse().unwrap()])
        .udp_port(0);
    let stack = builder.peer_udp_port(9899).start_blocking().unwrap();
    // Nothing is asked twice.
    let mut config = AssociationConfig::default();
    config.set_rto(PATIENCE, PATIENCE, PATIENCE).unwrap();
    let connect = |port: u16| {
        let builder = SctpStream::builder().stack(&stack).association(config.clone());
        builder.connect_blocking(("127.0.0.1", port))
    };
    let refused = connect(5999).map(drop);
    assert!(matches!(refused, Err(Error::ConnectFailed(_))), "{refused:?}");
    // Whatever else comes comes before what is asked for now.
    connect(5002).unwrap();
    let stats = stack.stats();
    assert_eq!((stats.out_of_the_blue, stats.bad_verification_tag), (0, 0), "{stats:?}");
}

/// A copy of this program in a place where other users may go.
struct Copy(PathBuf);

impl Copy {
    fn new(name: &str) -> Self {
        let copy = env::temp_dir().join(format!("{name}-{}", std::process::id()));
        // By another process: what this one starts meanwhile would have the file open for writing too, and a file that
        // somebody writes does not run.
        let copied = Command::new("cp").arg(env::current_exe().unwrap()).arg(&copy).status();
        assert!(copied.unwrap().success());
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
        Self(copy)
    }

    /// Plays a role for another user.
    fn command(&self, role: &str) -> Command {
        let mut command = Command::new(&self.0);
        let role = format!("role:{role}");
        command.args(["--ignored", "--exact", "process", &role, "--nocapture"]);
        command.current_dir("/").uid(65_534);
        command
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_process_of_another_user_is_told_why_it_cannot_join() {
    let Some(namespace) = Namespace::new() else { return };
    namespace.enter();
    let _first = server(5001);
    let copy = Copy::new("shared-port");
    let output = copy.command("bind:5002").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("refused: UDP port 9899 is shared by processes of another user (uid 0)"),
        "{text}"
    );
}

#[test]
fn nobody_becomes_the_guest_of_another_user_who_has_the_name() {
    let Some(namespace) = Namespace::new() else { return };
    namespace.enter();
    let copy = Copy::new("shared-port-name");
    let mut squatter = copy.command("squat:9899").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(squatter.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("has the name")));
    let refused = start("share:9899");
    refused.wait_for("refused: UDP port 9899 is shared by processes of another user (uid 65534)");
    // What needs some addresses only has the port to itself there.
    start("bind:5001").wait_for("bound");
    squatter.kill().unwrap();
    squatter.wait().unwrap();
    start("share:9899").wait_for("shares");
}

#[test]
fn a_port_of_a_program_that_does_not_share_is_refused_to_servers_only() {
    let Some(namespace) = Namespace::new() else { return };
    namespace.enter();
    let _owner = UdpSocket::bind("0.0.0.0:9899").unwrap();
    let second = start("bind:5001");
    second.wait_for("refused: UDP port 9899 of 0.0.0.0 is taken by a program that does not share it");
    // A socket that only connects gets another UDP port.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _guard = runtime.enter();
    assert!(
        SctpStream::builder()
            .try_connect(&["127.0.0.1:7".parse().unwrap()])
            .is_ok()
    );
}
