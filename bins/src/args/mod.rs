//! Command lines: both spellings of options, the options that programs share, and errors of one line.
//!
//! RSPLIB's programs take `-name=value`; here `--name=value` and `--name value` do as well.

mod groups;
mod values;

use std::ffi::OsString;

use clap::Parser;
use clap::error::ErrorKind;

pub use groups::{CarrierArgs, HelpArgs, NetArgs, RegistrarArgs};
pub use values::{
    AnnounceChoice, Local, announce, identifier, local, millis, pe_id, policy, pool_handle, show, transport,
};

/// The width of help texts, in columns: that of the narrowest usual terminal.
const WIDTH: usize = 80;

/// Parses the command line in either spelling. Ends the program after `--help` and `--version`, and after a mistake
/// with one line on standard error and exit status 2.
pub fn parse<T: Parser>() -> T {
    match try_parse(std::env::args_os()) {
        Ok(args) => args,
        Err(error) => {
            let help = !error.use_stderr();
            if help {
                let _ = error.print();
            } else {
                eprintln!("{}: {}", T::command().get_name(), one_line(&error));
            }
            std::process::exit(if help { 0 } else { 2 })
        }
    }
}

/// Parses `argv`, the program's name included, in either spelling.
pub fn try_parse<T: Parser>(argv: impl IntoIterator<Item = OsString>) -> Result<T, clap::Error> {
    let mut command = T::command().max_term_width(WIDTH);
    let mut matches = command.try_get_matches_from_mut(both_spellings(argv))?;
    T::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// Doubles the dash of each `-name` and `-name=value`, known or not: one that is not known is then named as a whole.
fn both_spellings(argv: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut only_values = false;
    let respell = |arg: OsString| {
        only_values |= arg == "--";
        let long = arg
            .to_str()
            .and_then(|text| text.strip_prefix('-'))
            .is_some_and(|rest| {
                let name = rest.split_once('=').map_or(rest, |(name, _)| name);
                name.len() > 1 && name.starts_with(|first: char| first.is_ascii_alphabetic())
            });
        if long && !only_values {
            let mut doubled = OsString::from("-");
            doubled.push(arg);
            doubled
        } else {
            arg
        }
    };
    argv.into_iter().map(respell).collect()
}

/// What is wrong and what to do, without the usage that clap appends.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("wrong command line");
    let mut line = first.strip_prefix("error: ").unwrap_or(first).to_owned();
    if error.kind() == ErrorKind::MissingRequiredArgument {
        // The names follow, one a line.
        for name in lines
            .clone()
            .take_while(|line| line.starts_with('-') || line.starts_with('<'))
        {
            line.push(' ');
            line.push_str(name);
        }
    }
    if let Some(tip) = lines.find_map(|line| line.strip_prefix("tip: ")) {
        line.push_str("; ");
        line.push_str(tip);
    }
    line.push_str(" (--help shows the options)");
    line
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use rserpool::ids::{PeId, PoolHandle};
    use rserpool::net::SctpAddress;

    use super::*;

    #[derive(Parser, Debug)]
    #[command(name = "program")]
    struct Program {
        #[arg(long, value_parser = pool_handle, default_value = "EchoPool")]
        poolhandle: PoolHandle,
        #[arg(long)]
        quiet: bool,
        #[arg(long, value_parser = pe_id)]
        identifier: Option<PeId>,
        #[command(flatten)]
        registrar: RegistrarArgs,
        #[command(flatten)]
        net: NetArgs,
    }

    fn parsed(args: &[&str]) -> Result<Program, clap::Error> {
        try_parse(["program"].iter().chain(args).map(OsString::from))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn options_are_understood_in_both_spellings() {
        for args in [
            [
                "--poolhandle=Pool",
                "--quiet",
                "--identifier=0x10",
                "--registrar=127.0.0.1:4000",
            ]
            .as_slice(),
            &[
                "--poolhandle",
                "Pool",
                "--quiet",
                "--identifier",
                "16",
                "--registrar",
                "127.0.0.1:4000",
            ],
            &[
                "-poolhandle=Pool",
                "-quiet",
                "-identifier=0x10",
                "-registrar=127.0.0.1:4000",
            ],
            &[
                "-poolhandle",
                "Pool",
                "-quiet",
                "--identifier=16",
                "-registrar=127.0.0.1:4000",
            ],
        ] {
            let program = parsed(args).unwrap_or_else(|error| panic!("{args:?}: {error}"));
            assert_eq!(program.poolhandle.as_bytes(), b"Pool");
            assert!(program.quiet);
            assert_eq!(program.identifier, PeId::new(16));
            let registrar = SctpAddress {
                port: 4000,
                addresses: vec![ip("127.0.0.1")],
            };
            assert_eq!(program.registrar.registrar, [registrar]);
        }
    }

    #[test]
    fn a_mistake_is_told_in_one_line() {
        for (args, says) in [
            (["-nosuchoption=x"], "unexpected argument '--nosuchoption'"),
            (["--poolhandel=x"], "exists: '--poolhandle'"),
            (["-identifier=0"], "1 to 4294967295"),
            (["-poolhandle="], "value"),
            (["-registrar=localhost"], "192.0.2.1:3863"),
            (["--udp-port=0"], "1..=65535"),
        ] {
            let error = parsed(&args).unwrap_err();
            let line = one_line(&error);
            assert!(
                line.contains(says) && line.contains("--help") && !line.contains('\n'),
                "{args:?}: {line}"
            );
        }
    }

    #[test]
    fn what_follows_two_dashes_is_left_alone() {
        let argv = ["p", "-quiet", "-h", "-1", "--", "-quiet"].map(OsString::from);
        let respelled = both_spellings(argv);
        assert_eq!(respelled, ["p", "--quiet", "-h", "-1", "--", "-quiet"]);
    }
}
