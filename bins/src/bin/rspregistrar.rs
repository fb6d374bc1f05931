//! The registrar: keeps the pools, watches over their elements, and tells users who serves.

use std::process::ExitCode;
use std::time::Duration;

use bins::args::{self, AnnounceChoice, HelpArgs, Local, NetArgs};
use bins::log::LogArgs;
use bins::program::{self, Failure, GOODBYE, Network};
use bins::say;
use clap::Parser;
use rserpool::api::{RegistrarServer, StartError};
use rserpool::config::{ASAP_PORT, Announce, RegistrarConfig};
use rserpool::ids::RegistrarId;
use rserpool::registrar::RegistrarEvent;
use sctp::addr::Scope;
use serde_json::json;

/// Registrar of Reliable Server Pooling (ASAP over SCTP)
#[derive(Parser, Debug)]
#[command(name = "rspregistrar", version, disable_help_flag = true, after_help = EXAMPLE)]
struct Args {
    /// Where it is [default: --local, port 3863]
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = asap)]
    asap: Option<Asap>,
    /// Its identifier [default: random]
    #[arg(long, value_name = "ID", value_parser = args::identifier)]
    identifier: Option<u32>,
    /// Announces: off, or a group
    ///
    /// The multicast group to announce it to; auto is 239.0.0.50:3863.
    #[arg(long, value_name = "WHERE", default_value = "auto", value_parser = args::announce)]
    asapannounce: AnnounceChoice,
    /// Time between announces, in ms [default: 1000]
    #[arg(long, value_name = "MS", value_parser = args::millis, hide_short_help = true)]
    serverannouncecycle: Option<Duration>,
    /// Time between keep-alives to a pool element, in ms [default: 5000]
    #[arg(long, value_name = "MS", value_parser = args::millis, hide_short_help = true)]
    endpointkeepalivetransmissioninterval: Option<Duration>,
    /// Time for its answer, in ms [default: 5000]
    #[arg(long, value_name = "MS", value_parser = args::millis, hide_short_help = true)]
    endpointkeepalivetimeoutinterval: Option<Duration>,
    /// Reports of an unreachable element until it is removed [default: 3]
    #[arg(long, value_name = "N", hide_short_help = true)]
    maxbadpereports: Option<u32>,
    /// Elements in an answer to a handle resolution [default: 3]
    #[arg(long, value_name = "N", hide_short_help = true)]
    maxhresitems: Option<u32>,
    /// Elements that a selection moves on in their order [default: 1]
    #[arg(long, value_name = "N", hide_short_help = true)]
    maxincrement: Option<u32>,
    /// Narrowest addresses to register: loopback, sitelocal or global
    #[arg(long, value_name = "SCOPE", default_value = "loopback", value_parser = min_scope, hide_short_help = true)]
    minaddressscope: Scope,
    /// Say nothing but errors
    #[arg(long)]
    quiet: bool,
    /// Write events as JSON objects, one a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    help: HelpArgs,
    #[command(flatten)]
    net: NetArgs,
    #[command(flatten)]
    log: LogArgs,
}

const EXAMPLE: &str = "Example: rspregistrar --local 127.0.0.1";

#[derive(Clone, Debug)]
struct Asap(Option<Local>);

fn asap(text: &str) -> Result<Asap, String> {
    if text == "auto" {
        Ok(Asap(None))
    } else {
        args::local(text).map(|local| Asap(Some(local)))
    }
}

fn min_scope(text: &str) -> Result<Scope, String> {
    match text {
        "loopback" => Ok(Scope::Loopback),
        "sitelocal" => Ok(Scope::Private),
        "global" => Ok(Scope::Global),
        _ => Err("loopback, sitelocal or global".to_owned()),
    }
}

fn main() -> ExitCode {
    let mut args: Args = args::parse();
    // -asap says both: which addresses, and which port.
    if let Some(Asap(Some(local))) = args.asap.take() {
        args.net.local = Some(local);
    }
    program::run("rspregistrar", serve(args))
}

fn config(args: &Args) -> Result<RegistrarConfig, Failure> {
    let mut config = RegistrarConfig::default();
    let announce = args.asapannounce.0.map(|group| Announce {
        group,
        ..Announce::default()
    });
    config
        .set_announce(announce)
        .map_err(Failure::of_option("--asapannounce"))?;
    if let Some(cycle) = args.serverannouncecycle {
        config
            .set_server_announce_cycle(cycle)
            .map_err(Failure::of_option("--serverannouncecycle"))?;
    }
    let interval = args
        .endpointkeepalivetransmissioninterval
        .unwrap_or_else(|| config.keep_alive_interval());
    let timeout = args
        .endpointkeepalivetimeoutinterval
        .unwrap_or_else(|| config.keep_alive_timeout());
    config.set_keep_alive(interval, timeout).map_err(Failure::of_option(
        "--endpointkeepalivetransmissioninterval, --endpointkeepalivetimeoutinterval",
    ))?;
    if let Some(reports) = args.maxbadpereports {
        config
            .set_max_bad_pe_reports(reports)
            .map_err(Failure::of_option("--maxbadpereports"))?;
    }
    if let Some(items) = args.maxhresitems {
        config
            .set_items(items, items.max(config.max_items()))
            .map_err(Failure::of_option("--maxhresitems"))?;
    }
    if let Some(increment) = args.maxincrement {
        config
            .set_max_increment(increment)
            .map_err(Failure::of_option("--maxincrement"))?;
    }
    config.set_min_address_scope(args.minaddressscope);
    Ok(config)
}

async fn serve(args: Args) -> Result<ExitCode, Failure> {
    args.log.start().map_err(Failure)?;
    let config = config(&args)?;
    let network = Network::open(&args.net).await?;
    let port = args.net.port().unwrap_or(ASAP_PORT);
    let endpoint = network.endpoint(port);
    let started = match args.identifier.and_then(RegistrarId::new) {
        Some(id) => RegistrarServer::start_as(id, endpoint, config).await,
        None => RegistrarServer::start(endpoint, config).await,
    };
    let mut registrar = started.map_err(|error| match error {
        StartError::Socket(error) => Failure::new(&format!("SCTP port {port}"), error),
        other => other.into(),
    })?;
    let address = args::show(registrar.address());
    if args.json {
        say!(
            "{}",
            json!({ "event": "started", "registrar": registrar.id().to_string(), "address": address })
        );
    } else if !args.quiet {
        say!(
            "registrar {} at {address}, {}; Ctrl-C ends it",
            registrar.id(),
            network.carrier()
        );
    }
    let stop = program::stop_signal();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            event = registrar.event() => match event {
                Some(event) if args.json => say!("{}", as_json(&event)),
                Some(event) if !args.quiet => say!("{}", as_text(&event)),
                Some(_) => {}
                None => return Err(Failure("the registrar has ended".to_owned())),
            },
            () = &mut stop => break,
        }
    }
    registrar.shut_down(GOODBYE).await;
    network.close().await;
    Ok(ExitCode::SUCCESS)
}

fn as_text(event: &RegistrarEvent) -> String {
    match event {
        RegistrarEvent::ElementRegistered { pool, pe } => format!("{pool}: element {pe} is registered"),
        RegistrarEvent::ElementUpdated { pool, pe } => format!("{pool}: element {pe} has changed"),
        RegistrarEvent::ElementRemoved { pool, pe, reason } => format!("{pool}: element {pe} is removed: {reason}"),
        other => format!("{other:?}"),
    }
}

fn as_json(event: &RegistrarEvent) -> serde_json::Value {
    let (what, pool, pe, reason) = match event {
        RegistrarEvent::ElementRegistered { pool, pe } => ("registered", pool, pe, None),
        RegistrarEvent::ElementUpdated { pool, pe } => ("updated", pool, pe, None),
        RegistrarEvent::ElementRemoved { pool, pe, reason } => ("removed", pool, pe, Some(reason.to_string())),
        other => return json!({ "event": format!("{other:?}") }),
    };
    json!({ "event": what, "pool": pool.to_string(), "element": pe.to_string(), "reason": reason })
}
