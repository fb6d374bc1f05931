//! Command lines: both spellings of options, the options that programs share, and errors of one line.
//!
//! RSPLIB's programs take `-name=value`; here `--name=value` and `--name value` do as well.

use std::ffi::OsString;
use std::net::IpAddr;

use clap::error::ErrorKind;
use clap::{Args, Parser};
use rserpool::ids::{PeId, PoolHandle};
use rserpool::net::SctpAddress;

/// The SCTP port of registrars for ASAP (RFC 5352 §6.2).
pub const ASAP_PORT: u16 = 3863;
/// The UDP port of SCTP in UDP (RFC 6951 §5.1).
pub const ENCAPSULATION_PORT: u16 = 9899;

/// Which part of the host's network a program uses.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Network")]
pub struct NetArgs {
    /// Own addresses, and the SCTP port [default: all addresses, any port]
    #[arg(long, value_name = "ADDR[,ADDR..][:PORT]", value_parser = local)]
    pub local: Option<Local>,
    /// The UDP port that SCTP packets travel in, here and at every peer
    #[arg(long, value_name = "PORT", default_value_t = ENCAPSULATION_PORT,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub udp_port: u16,
}

/// Own addresses, and a port where one was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// The addresses; at least one.
    pub addresses: Vec<IpAddr>,
    /// The SCTP port.
    pub port: Option<u16>,
}

/// How pool elements and pool users find a registrar.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Registrar")]
pub struct RegistrarArgs {
    /// A registrar; may be given several times [default port: 3863]
    #[arg(long, value_name = "ADDR[:PORT][,ADDR..]", value_parser = transport)]
    pub registrar: Vec<SctpAddress>,
}

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
    T::try_parse_from(both_spellings(&T::command(), argv))
}

/// Doubles the dash of each `-name` and `-name=value` whose name is a long option of `command`.
fn both_spellings(command: &clap::Command, argv: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let is_long = |name: &str| {
        let named = |arg: &clap::Arg| {
            arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
        };
        command.get_arguments().any(named) || ["help", "version"].contains(&name)
    };
    let mut only_values = false;
    let respell = |arg: OsString| {
        only_values |= arg == "--";
        let long = arg
            .to_str()
            .and_then(|text| text.strip_prefix('-'))
            .is_some_and(|rest| {
                let name = rest.split_once('=').map_or(rest, |(name, _)| name);
                name.len() > 1 && is_long(name)
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

/// An identifier, as `0x` and hexadecimal digits or as a decimal number.
pub fn identifier(text: &str) -> Result<u32, String> {
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    match number {
        Ok(0) | Err(_) => Err("1 to 4294967295, or 0x1 to 0xffffffff".to_owned()),
        Ok(number) => Ok(number),
    }
}

/// The identifier of a pool element.
pub fn pe_id(text: &str) -> Result<PeId, String> {
    identifier(text).and_then(|number| PeId::new(number).ok_or_else(|| "not zero".to_owned()))
}

/// A pool handle.
pub fn pool_handle(text: &str) -> Result<PoolHandle, String> {
    PoolHandle::new(text.as_bytes().to_vec()).map_err(|error| error.to_string())
}

/// Addresses with a port, by default the one of ASAP.
pub fn transport(text: &str) -> Result<SctpAddress, String> {
    let Local { addresses, port } = local(text)?;
    Ok(SctpAddress {
        port: port.unwrap_or(ASAP_PORT),
        addresses,
    })
}

/// Addresses separated by commas. A port may follow any of them; the first one counts, as in RSPLIB.
pub fn local(text: &str) -> Result<Local, String> {
    let mut addresses = Vec::new();
    let mut port = None;
    for part in text.split(',') {
        let (address, own_port) =
            address(part).ok_or_else(|| format!("{part:?} is no address like 192.0.2.1:3863 or [2001:db8::1]:3863"))?;
        addresses.push(address);
        port = port.or(own_port);
    }
    Ok(Local { addresses, port })
}

/// An address, with a port or without: `a.b.c.d`, `a.b.c.d:p`, `x::y`, `[x::y]`, `[x::y]:p`.
fn address(text: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Ok(address) = text.parse() {
        return Some((address, None));
    }
    let (address, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            if after.is_empty() {
                return Some((address.parse().ok()?, None));
            }
            (address, after.strip_prefix(':')?)
        }
        None => text.split_once(':')?,
    };
    let port = port.parse().ok().filter(|&port: &u16| port != 0)?;
    Some((address.parse().ok()?, Some(port)))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

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
            (["-nosuchoption"], "unexpected argument"),
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
    fn several_addresses_may_share_a_port() {
        let address = transport("10.98.1.1:3900,[fd98:1::1]").unwrap();
        assert_eq!(
            address,
            SctpAddress {
                port: 3900,
                addresses: vec![ip("10.98.1.1"), ip("fd98:1::1")]
            }
        );
        assert_eq!(transport("[fd98::1]:77").unwrap().port, 77);
        assert_eq!(
            transport("fd98::1").unwrap(),
            SctpAddress {
                port: ASAP_PORT,
                addresses: vec![ip("fd98::1")]
            }
        );
        assert_eq!(
            local("127.0.0.2").unwrap(),
            Local {
                addresses: vec![ip("127.0.0.2")],
                port: None
            }
        );
        for wrong in [
            "",
            "1.2.3.4:",
            "1.2.3.4:0",
            "1.2.3.4:70000",
            "[::1",
            "[::1]x",
            "a,b",
            "1.2.3.4,,",
        ] {
            assert!(transport(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn identifiers_are_hexadecimal_or_decimal_and_not_zero() {
        assert_eq!(identifier("0xffffffff"), Ok(u32::MAX));
        assert_eq!(identifier("12"), Ok(12));
        assert!(identifier("0").is_err() && identifier("0x0").is_err() && identifier("4294967296").is_err());
    }

    #[test]
    fn what_follows_two_dashes_is_left_alone() {
        let argv = ["p", "-quiet", "--", "-quiet"].map(OsString::from);
        let respelled = both_spellings(&Program::command(), argv);
        assert_eq!(respelled, ["p", "--quiet", "--", "-quiet"]);
    }
}
