//! Where log lines go and how many of them.

use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;

use clap::Args;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, fmt};

/// The logging options of RSPLIB's programs.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Logging")]
pub struct LogArgs {
    /// How much: 0 nothing, 1 errors, 3 warnings, 4 steps, 6 details, 9 all
    ///
    /// The environment variable RUST_LOG says it for each part of the program, and then instead of this option: as in
    /// RUST_LOG=sctp=debug,rserpool=info.
    #[arg(long, value_name = "0-9", default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=9),
          hide_short_help = true)]
    pub loglevel: u8,
    /// Write the log to a new file rather than to standard error
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub logfile: Option<PathBuf>,
    /// Append the log to a file
    #[arg(long, value_name = "FILE", conflicts_with = "logfile", hide_short_help = true)]
    pub logappend: Option<PathBuf>,
    /// No log
    #[arg(long, hide_short_help = true)]
    pub logquiet: bool,
    /// Colours in the log [default: on a terminal]
    #[arg(long, value_name = "on|off", value_parser = on_off, action = clap::ArgAction::Set, hide_short_help = true)]
    pub logcolor: Option<bool>,
}

fn on_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("on or off".to_owned()),
    }
}

/// The level of tracing for one of RSPLIB's ten.
const fn level(number: u8) -> LevelFilter {
    match number {
        0 => LevelFilter::OFF,
        1 | 2 => LevelFilter::ERROR,
        3 => LevelFilter::WARN,
        4 | 5 => LevelFilter::INFO,
        6 | 7 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

impl LogArgs {
    /// Starts logging. The error says which file could not be opened.
    pub fn start(&self) -> Result<(), String> {
        let level = if self.logquiet {
            LevelFilter::OFF
        } else {
            level(self.loglevel)
        };
        let by_part = EnvFilter::try_from_default_env().ok().filter(|_| !self.logquiet);
        let filter = by_part.unwrap_or_else(|| EnvFilter::default().add_directive(level.into()));
        let builder = fmt().with_env_filter(filter).with_target(false);
        let file = match (&self.logfile, &self.logappend) {
            (Some(path), _) => Some((
                path,
                OpenOptions::new().write(true).create(true).truncate(true).open(path),
            )),
            (None, Some(path)) => Some((path, OpenOptions::new().append(true).create(true).open(path))),
            (None, None) => None,
        };
        // A second start in one process changes nothing: the first one's choice stays.
        let _ = match file {
            Some((_, Ok(file))) => builder
                .with_ansi(self.logcolor.unwrap_or(false))
                .with_writer(Mutex::new(file))
                .try_init(),
            Some((path, Err(error))) => return Err(format!("cannot write the log to {}: {error}", path.display())),
            None => {
                let terminal = io::IsTerminal::is_terminal(&io::stderr());
                builder
                    .with_ansi(self.logcolor.unwrap_or(terminal))
                    .with_writer(io::stderr)
                    .try_init()
            }
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_logged_at_greater_numbers() {
        let levels: Vec<LevelFilter> = (0..=9).map(level).collect();
        assert!(levels.is_sorted());
        assert_eq!((levels[0], levels[9]), (LevelFilter::OFF, LevelFilter::TRACE));
    }
}
