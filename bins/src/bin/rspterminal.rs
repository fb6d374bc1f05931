//! Sends lines to a pool and shows what comes back.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use bins::args::{self, HelpArgs, NetArgs, RegistrarArgs};
use bins::client::terminal::{Line, line};
use bins::log::LogArgs;
use bins::program::{self, Failure, GOODBYE, Network};
use bins::say;
use bins::service::echo::DEFAULT_POOL;
use clap::Parser;
use rserpool::api::PoolUserClient;
use rserpool::config::SessionConfig;
use rserpool::ids::PoolHandle;
use rserpool::session::{SessionEvent, Unavailable};
use sctp::serial::{Ppid, StreamId};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::Instant;

/// Terminal of Reliable Server Pooling: lines go to a pool, its answers are shown
#[derive(Parser, Debug)]
#[command(name = "rspterminal", version, disable_help_flag = true, after_help = EXAMPLE)]
struct Args {
    /// The pool
    #[arg(long, value_name = "TEXT", default_value = DEFAULT_POOL, value_parser = args::pool_handle)]
    poolhandle: PoolHandle,
    /// Time to wait for the last answers, in ms
    ///
    /// After the end of the input, the program ends once no answer came for so long.
    #[arg(long, value_name = "MS", default_value = "500", value_parser = args::millis)]
    linger: Duration,
    /// Show nothing but what servers say
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

const EXAMPLE: &str = "Example: rspterminal --local 127.0.0.9 --registrar 127.0.0.1";

fn main() -> ExitCode {
    program::run("rspterminal", talk(args::parse()))
}

async fn talk(args: Args) -> Result<ExitCode, Failure> {
    args.log.start().map_err(Failure)?;
    let network = Network::open(&args.net).await?;
    let local = network.endpoint(args.net.port().unwrap_or(0));
    let endpoint = args.registrar.endpoint()?;
    let patience = endpoint.t5_server_hunt();
    let user = PoolUserClient::start(local, endpoint).await?;
    let mut session = user.open(args.poolhandle.clone(), SessionConfig::default()).await?;

    let pool = args.poolhandle.to_string();
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    let stop = program::stop_signal();
    tokio::pin!(stop);
    let mut served = false;
    // After the end of the input: until when answers are waited for.
    let mut end: Option<Instant> = None;
    // Until then some registrar must have said something.
    let mut give_up = Some(Instant::now() + patience);
    loop {
        tokio::select! {
            event = session.event() => {
                let Some(event) = event else { break };
                if let SessionEvent::Unavailable { reason: Unavailable::NoRegistrar } = event && !served {
                    return Err(args.registrar.nobody_answers());
                }
                give_up = None;
                served |= matches!(event, SessionEvent::Connected { .. });
                if end.is_some() {
                    end = Some(Instant::now() + args.linger);
                }
                show(&args, line(&pool, &event));
            }
            // What is typed before there is a server would wait in the session; it may as well wait here.
            typed = input.next_line(), if served && end.is_none() => match typed? {
                Some(text) if text.is_empty() => {}
                Some(text) => session.send(StreamId(0), Ppid(0), text).await?,
                None => end = Some(Instant::now() + args.linger),
            },
            () = program::until(end) => break,
            () = program::until(give_up) => return Err(args.registrar.nobody_answers()),
            () = &mut stop => break,
        }
    }
    session.close();
    user.shut_down(GOODBYE).await;
    network.close().await;
    Ok(ExitCode::SUCCESS)
}

fn show(args: &Args, line: Option<Line>) {
    let colour = std::io::stdout().is_terminal();
    match line {
        Some(Line::Reply(text)) if colour => say!("\x1b[34m{text}\x1b[0m"),
        Some(Line::Reply(text)) => say!("{text}"),
        Some(Line::Notice(text)) if !args.quiet => eprintln!("{text}"),
        _ => {}
    }
}
