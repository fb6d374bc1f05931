//! Plays ping-pong with a pool, and tells what its servers' failures cost.

use std::process::ExitCode;
use std::time::Duration;

use bins::args::{self, HelpArgs, NetArgs, RegistrarArgs};
use bins::client::pingpong::Verdict;
use bins::client::play::{Happening, explain, why};
use bins::client::player::Player;
use bins::demo::report::Report;
use bins::log::LogArgs;
use bins::program::{self, Failure, GOODBYE, Network};
use bins::protocol::pingpong::DEFAULT_POOL;
use bins::say;
use clap::Parser;
use rserpool::api::PoolUserClient;
use rserpool::config::SessionConfig;
use rserpool::ids::PoolHandle;
use rserpool::session::Unavailable;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Ping-pong client of Reliable Server Pooling
///
/// Sends numbered pings to a pool, and pings again what a failed server left unanswered. Reply numbers must go on from
/// server to server without a gap. Ends with status 0 if everything was answered and no number was left out.
#[derive(Parser, Debug)]
#[command(name = "pingpongclient", version, disable_help_flag = true, after_help = EXAMPLE)]
struct Args {
    /// The pool
    #[arg(long, value_name = "TEXT", default_value = DEFAULT_POOL, value_parser = args::pool_handle)]
    poolhandle: PoolHandle,
    /// Time between pings, in ms
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    interval: u64,
    /// End after so many pings; 0 for never
    #[arg(long, value_name = "N", default_value_t = 0)]
    count: u64,
    /// Time for an answer, in ms
    ///
    /// A server that owes one for so long is given up.
    #[arg(long, value_name = "MS", default_value = "5000", value_parser = args::millis)]
    replytimeout: Duration,
    /// Do not tell of pongs, only of servers and the end
    #[arg(long)]
    quiet: bool,
    /// Write the report as a JSON object, and nothing else
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    help: HelpArgs,
    #[command(flatten)]
    registrar: RegistrarArgs,
    #[command(flatten)]
    net: NetArgs,
    #[command(flatten)]
    log: LogArgs,
}

const EXAMPLE: &str = "Example: pingpongclient --local 127.0.0.9 --registrar 127.0.0.1";
/// How long the last answers are waited for.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    program::run("pingpongclient", play(args::parse()))
}

async fn play(args: Args) -> Result<ExitCode, Failure> {
    args.log.start().map_err(Failure)?;
    let network = Network::open(&args.net).await?;
    let local = network.endpoint(args.net.port().unwrap_or(0));
    let endpoint = args.registrar.endpoint()?;
    let patience = endpoint.t5_server_hunt();
    let user = PoolUserClient::start(local, endpoint).await?;
    let session = user.open(args.poolhandle.clone(), SessionConfig::default()).await?;
    let mut player = Player::new(session, args.replytimeout);

    let stop = program::stop_signal();
    tokio::pin!(stop);
    let mut ticks = interval(Duration::from_millis(args.interval));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Once set, no more pings are sent, and the open ones are waited for until then.
    let mut end: Option<Instant> = None;
    let mut served = false;
    // Until then some registrar must have said something.
    let mut give_up = Some(Instant::now() + patience);
    loop {
        let account = player.ledger().account();
        if end.is_none() && args.count > 0 && account.requests >= args.count {
            end = Some(Instant::now() + LAST_ANSWERS);
        }
        if end.is_some_and(|end| account.outstanding() == 0 || Instant::now() >= end) {
            break;
        }
        tokio::select! {
            event = player.event() => match player.handle(event).await? {
                Some(Happening::Over) => return Err(Failure("the session is over".to_owned())),
                Some(Happening::Unavailable(Unavailable::NoRegistrar)) if !served => {
                    return Err(args.registrar.nobody_answers());
                }
                Some(happening) => {
                    give_up = None;
                    served |= matches!(happening, Happening::Serves { .. });
                    tell(&args, &happening);
                }
                None => {}
            },
            // The first ping waits for the first server, so that there is somebody to count from.
            _ = ticks.tick(), if end.is_none() && served => player.ping().await?,
            () = program::until(end) => {}
            () = program::until(give_up) => return Err(args.registrar.nobody_answers()),
            () = &mut stop, if end.is_none() => end = Some(Instant::now() + LAST_ANSWERS),
        }
    }

    let report = Report {
        account: player.finish().account().clone(),
    };
    if args.json {
        say!("{}", report.to_json());
    } else {
        say!("{report}");
    }
    user.shut_down(GOODBYE).await;
    network.close().await;
    Ok(if report.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn tell(args: &Args, happening: &Happening) {
    if args.json {
        return;
    }
    match happening {
        Happening::Serves {
            pe,
            after_failover: false,
            ..
        } => say!("element {pe} serves"),
        Happening::Serves { pe, sent, .. } => say!("element {pe} serves now; {sent} pings sent to it again"),
        Happening::Pong { pong, verdict } => {
            if let Verdict::Answer {
                failover: Some(failover),
                ..
            } = verdict
            {
                say!("failover completed after {} ms", failover.as_millis());
            }
            let what = match verdict {
                Verdict::Answer { round_trip, .. } => format!("{:.1} ms", round_trip.as_secs_f64() * 1000.0),
                Verdict::Duplicate => "answered before".to_owned(),
                Verdict::Unasked => "not asked for".to_owned(),
            };
            if !args.quiet {
                say!("pong {}, reply {}: {what}", pong.message_no, pong.reply_no);
            }
        }
        Happening::Lost { pe, reason } => say!("element {pe} is given up: {}", why(*reason)),
        Happening::Unavailable(reason) => say!("waiting for {}: {}", args.poolhandle, explain(reason)),
        Happening::Nonsense => say!("that was no pong"),
        Happening::Over => {}
    }
}
