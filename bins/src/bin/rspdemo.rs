//! Shows a failover, with one command and on one host.
//!
//! It starts a registrar and a user in its own process and pool elements in processes of their own, all on loopback
//! addresses or behind TUN interfaces, kills the element that serves every few seconds, and counts what got lost.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read};
use std::process::ExitCode;
use std::time::Duration;

use bins::args::{self, CarrierArgs, HelpArgs, NetArgs};
use bins::client::player::Player;
use bins::demo::children::{Elements, Launch};
use bins::demo::display::{Display, Mode};
use bins::demo::layout::Layout;
use bins::demo::{Plan, Show, timing};
use bins::log::LogArgs;
use bins::program::{self, Failure, GOODBYE, Network};
use bins::say;
use bins::service::pingpong::PingPong;
use clap::{Parser, Subcommand};
use rserpool::api::{PoolElementServer, PoolUserClient, RegistrarServer};
use rserpool::config::ASAP_PORT;
use rserpool::ids::{PeId, PoolHandle};
use rserpool::net::SctpAddress;

/// Kills servers, and shows that their user loses nothing
///
/// A registrar and a user run in this process, pool elements in processes of their own, all of them on loopback
/// addresses, or on those of TUN interfaces with --device tun:NAME. The user sends numbered pings; whichever element
/// answers is killed for real every few seconds, and another one goes on. Ends with status 0 if every ping was answered
/// and no reply number was left out.
#[derive(Parser, Debug)]
#[command(
    name = "rspdemo",
    version,
    disable_help_flag = true,
    args_conflicts_with_subcommands = true
)]
struct Args {
    /// How long it plays
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// How many pool elements there are
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    elements: u8,
    /// Seconds between kills; 0 for none
    #[arg(long, value_name = "S", default_value_t = 3)]
    kill_every: u32,
    /// Milliseconds from one ping to the next
    #[arg(long, value_name = "MS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    interval: u32,
    /// The UDP port that carries SCTP [default: a free one]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    udp_port: Option<u16>,
    /// Write the report as a JSON object, and nothing else
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    help: HelpArgs,
    #[command(flatten)]
    carrier: CarrierArgs,
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand, Debug)]
enum Role {
    /// What the demonstration starts in processes of their own
    #[command(hide = true)]
    Element {
        #[command(flatten)]
        net: NetArgs,
        #[arg(long, value_parser = args::pe_id)]
        identifier: PeId,
        #[arg(long, value_parser = args::transport)]
        registrar: SctpAddress,
    },
}

fn main() -> ExitCode {
    let args: Args = args::parse();
    match args.role {
        Some(Role::Element {
            net,
            identifier,
            registrar,
        }) => program::run("rspdemo element", serve(net, identifier, registrar)),
        None => program::run("rspdemo", demonstrate(args)),
    }
}

async fn demonstrate(args: Args) -> Result<ExitCode, Failure> {
    args.log.start().map_err(Failure)?;
    let slots = usize::from(args.elements);
    let layout = Layout::new(&args.carrier, args.udp_port, slots)?;
    let network = Network::open(&layout.home_net()?).await?;
    let endpoint = network.endpoint(ASAP_PORT).with_association(timing::association()?);
    let registrar = RegistrarServer::start(endpoint, timing::registrar()?).await?;
    let registrar_address = args::show(registrar.address());

    let arguments = ["element", "--registrar", &registrar_address];
    let (home, first) = (layout.home(), layout.element(0));
    let launch = Launch {
        program: std::env::current_exe()?,
        arguments: arguments.map(OsString::from).to_vec(),
        layout,
    };
    let elements = Elements::start(launch, slots)?;

    let user = PoolUserClient::start(network.endpoint(0), timing::endpoint(registrar.address().clone())?).await?;
    let session = user.open(PoolHandle::new(timing::POOL)?, timing::session()?).await?;
    let plan = Plan {
        duration: Duration::from_secs(args.seconds.into()),
        kill_every: (args.kill_every > 0).then(|| Duration::from_secs(args.kill_every.into())),
        ping_every: Duration::from_millis(args.interval.into()),
    };
    let mode = match (args.json, io::stdout().is_terminal()) {
        (true, _) => Mode::Silent,
        (false, true) => Mode::Live,
        (false, false) => Mode::Plain,
    };
    let mut display = Display::new(mode, io::stdout());
    display.event(
        Duration::ZERO,
        &format!(
            "registrar and user at {home}, {slots} elements from {first} on, over {}",
            network.carrier()
        ),
    )?;
    // Twice the time in which a dead association is noticed: for servers that live but do not answer.
    let player = Player::new(session, Duration::from_secs(2));
    let report = Show::new(plan, player, elements, display).run().await?;

    if args.json {
        say!("{}", report.to_json());
    } else {
        say!("\n{report}");
    }
    user.shut_down(GOODBYE).await;
    registrar.shut_down(GOODBYE).await;
    network.close().await;
    Ok(if report.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A pool element, until the standard input ends: then its parent is gone, or wants it to go.
async fn serve(net: NetArgs, identifier: PeId, registrar: SctpAddress) -> Result<ExitCode, Failure> {
    let (gone, parent_gone) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // Nothing is ever written; reading comes back at the end, or with an error, which means the same.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        let _ = gone.send(());
    });
    let network = Network::open(&net).await?;
    let config = timing::element(PoolHandle::new(timing::POOL)?, Some(identifier))?;
    let local = network.endpoint(0);
    let element = PoolElementServer::start(local, config, timing::endpoint(registrar)?, PingPong::new(1024)).await?;
    // The sender is never dropped without a word.
    let _ = parent_gone.await;
    element.shut_down(Duration::from_millis(500)).await;
    Ok(ExitCode::SUCCESS)
}
