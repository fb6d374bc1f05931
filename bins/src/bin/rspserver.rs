//! A pool element: registers with a registrar and serves users.

use std::process::ExitCode;
use std::time::Duration;

use bins::args::{self, HelpArgs, NetArgs, RegistrarArgs};
use bins::log::LogArgs;
use bins::program::{self, Failure, GOODBYE, Network};
use bins::protocol::pingpong;
use bins::say;
use bins::service::echo::{self, Echo};
use bins::service::pingpong::PingPong;
use bins::service::watched::{Notice, Watched};
use clap::Parser;
use rserpool::api::PoolElementServer;
use rserpool::config::ElementConfig;
use rserpool::element::{ElementEvent, RegistrationFailure, SessionEnd};
use rserpool::ids::{PeId, PoolHandle};
use rserpool::service::Service;
use rserpool::session::SessionId;
use rserpool::wire::policy::PolicyParam;
use tokio::time::Instant;

/// Pool element of Reliable Server Pooling
#[derive(Parser, Debug)]
#[command(name = "rspserver", version, disable_help_flag = true, after_help = EXAMPLE)]
struct Args {
    /// Serve echo: what comes goes back (the default)
    #[arg(long, conflicts_with = "pingpong")]
    echo: bool,
    /// Serve ping-pong: replies with numbers
    ///
    /// The numbers go on from server to server.
    #[arg(long)]
    pingpong: bool,
    /// The pool [default: EchoPool or PingPongPool]
    #[arg(long, value_name = "TEXT", value_parser = args::pool_handle)]
    poolhandle: Option<PoolHandle>,
    /// Its identifier in the pool [default: random]
    #[arg(long, value_name = "ID", value_parser = args::pe_id)]
    identifier: Option<PeId>,
    /// RoundRobin, Random, LeastUsed
    ///
    /// The pool's policy. Values follow after colons: WeightedRoundRobin:10.
    #[arg(long, value_name = "NAME", default_value = "RoundRobin", value_parser = args::policy)]
    policy: PolicyParam,
    /// Time between registrations, in ms
    #[arg(long, value_name = "MS", default_value = "30000", value_parser = args::millis)]
    rereginterval: Duration,
    /// Sessions at a time; so many are the full load
    #[arg(long, value_name = "N", default_value_t = 1024, alias = "pppmaxthreads", hide_short_help = true,
          value_parser = clap::value_parser!(u32).range(1..))]
    maxsessions: u32,
    /// Ping-pong: abort each session after so many replies, to try out failovers; 0 for never
    #[arg(long, value_name = "N", default_value_t = 0, hide_short_help = true)]
    pppfailureafter: u64,
    /// End after so long, in ms
    #[arg(long, value_name = "MS", value_parser = args::millis, hide_short_help = true)]
    runtime: Option<Duration>,
    /// Say nothing but errors
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    help: HelpArgs,
    #[command(flatten)]
    registrar: RegistrarArgs,
    #[command(flatten)]
    net: NetArgs,
    #[command(flatten)]
    log: LogArgs,
}

const EXAMPLE: &str = "Example: rspserver --pingpong --local 127.0.0.2 --registrar 127.0.0.1";

fn main() -> ExitCode {
    let args: Args = args::parse();
    let capacity = usize::try_from(args.maxsessions).unwrap_or(usize::MAX);
    if args.pingpong {
        let failure_after = (args.pppfailureafter > 0).then_some(args.pppfailureafter);
        let service = PingPong::new(capacity).with_failure_after(failure_after);
        program::run("rspserver", serve(args, pingpong::DEFAULT_POOL, service))
    } else {
        program::run("rspserver", serve(args, echo::DEFAULT_POOL, Echo::new(capacity)))
    }
}

async fn serve<S: Service + Send + 'static>(args: Args, default_pool: &str, service: S) -> Result<ExitCode, Failure> {
    args.log.start().map_err(Failure)?;
    let endpoint = args.registrar.endpoint()?;
    let patience = endpoint.t5_server_hunt();
    let pool = match &args.poolhandle {
        Some(pool) => pool.clone(),
        None => PoolHandle::new(default_pool.to_owned())?,
    };
    let mut config = ElementConfig::new(pool.clone(), args.policy.clone());
    config.set_pe_id(args.identifier);
    config
        .set_reregistration_interval(Some(args.rereginterval))
        .map_err(Failure::of_option("--rereginterval"))?;
    config
        .set_registration_life(Some((args.rereginterval * 3).max(Duration::from_secs(1))))
        .map_err(Failure::of_option("--rereginterval"))?;
    config.set_max_sessions(usize::try_from(args.maxsessions).unwrap_or(usize::MAX));

    let network = Network::open(&args.net).await?;
    let quiet = args.quiet;
    let service = Watched::new(service, move |session, notice| {
        if !quiet {
            tell(session, &notice);
        }
    });
    let local = network.endpoint(args.net.port().unwrap_or(0));
    let mut element = PoolElementServer::start(local, config, endpoint, service).await?;
    let pe = element.pe_id().await?;
    if !args.quiet {
        let address = args::show(element.address());
        say!(
            "element {pe} of {pool} at {address}, {}; Ctrl-C ends it",
            network.carrier()
        );
    }

    let stop = program::stop_signal();
    tokio::pin!(stop);
    let end = args.runtime.map(|runtime| Instant::now() + runtime);
    // Whoever was registered once goes on serving without a registrar, and looks for another one.
    let mut give_up = Some(Instant::now() + patience);
    loop {
        tokio::select! {
            event = element.event() => match event {
                Some(ElementEvent::Registered { pe, again, .. }) => {
                    let first = give_up.take().is_some();
                    if !args.quiet && (first || !again) {
                        say!("element {pe} of {pool} is registered");
                    }
                }
                Some(ElementEvent::RegistrationFailed { reason: RegistrationFailure::Refused(error) }) => {
                    let reason = error.map_or_else(|| "no reason given".to_owned(), |error| error.to_string());
                    let refusal = Failure(format!(
                        "the registrar refuses an element of {pool} with policy {}: {reason}",
                        args.policy.number()
                    ));
                    if give_up.is_some() {
                        return Err(refusal);
                    }
                    // Another registrar had taken it: sessions must not suffer from a change of registrars.
                    eprintln!("rspserver: {refusal}; sessions go on");
                }
                Some(ElementEvent::RegistrarLost) if !args.quiet => say!("the registrar is lost, looking for one"),
                Some(_) => {}
                None => return Err(Failure("the pool element has ended".to_owned())),
            },
            () = program::until(give_up) => return Err(args.registrar.nobody_answers()),
            () = program::until(end) => break,
            () = &mut stop => break,
        }
    }
    element.shut_down(GOODBYE).await;
    network.close().await;
    Ok(ExitCode::SUCCESS)
}

fn tell(session: SessionId, notice: &Notice) {
    match notice {
        Notice::Started => say!("session {session} has started"),
        Notice::CookieEchoed(cookie) => match pingpong::Cookie::decode(cookie.as_bytes()) {
            Ok(cookie) => say!(
                "session {session} goes on from its cookie at reply {}",
                cookie.next_reply_no
            ),
            Err(_) => say!("session {session} brings a cookie of {} bytes", cookie.as_bytes().len()),
        },
        Notice::Ended(SessionEnd::Graceful) => say!("session {session} has ended"),
        Notice::Ended(SessionEnd::Lost) => say!("session {session} is lost"),
    }
}
