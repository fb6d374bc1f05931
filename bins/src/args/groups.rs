//! The options that programs share.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};
use rserpool::config::EndpointConfig;
use rserpool::net::SctpAddress;

use super::values::{AnnounceChoice, Local, announce, local, millis, show, transport};
use crate::program::Failure;

/// How to ask for help: `--help` fits a screen.
#[derive(Args, Clone, Debug)]
pub struct HelpArgs {
    /// Print this
    #[arg(short, long, action = ArgAction::HelpShort)]
    help: Option<bool>,
    /// Print all options, also for logs and tuning
    #[arg(long, action = ArgAction::HelpLong)]
    help_all: Option<bool>,
}

/// Which part of the host's network a program uses.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Network")]
pub struct NetArgs {
    /// Own address, or several [default: all]
    ///
    /// Several are separated by commas. The port is the one of SCTP.
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = local)]
    pub local: Option<Local>,
    /// UDP port that carries SCTP [default: 9899]
    ///
    /// It must be the same at all peers.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub udp_port: Option<u16>,
    /// What carries SCTP.
    #[command(flatten)]
    pub carrier: CarrierArgs,
    /// Write SCTP's counters and associations to a file at the end; - is standard error
    ///
    /// They have the names of the SCTP MIB (RFC 3873): lines, or JSON in a file whose name ends in .json. %p in the
    /// name becomes the number of the process. Without this option the environment variable SCTP_STATS names the file.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub stats: Option<PathBuf>,
}

/// What carries SCTP.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Network")]
pub struct CarrierArgs {
    /// What carries packets: udp, raw or tun:NAME... [default: udp]
    ///
    /// Without this option the environment variable SCTP_DEVICE chooses. UDP works everywhere. raw is SCTP directly on
    /// IP, and needs root or CAP_NET_RAW. tun:NAME,HOST/PREFIX,ADDR is a TUN interface NAME with the address HOST for
    /// the host and ADDR for the program, which root creates; or tun:NAME,ADDR, one that is there.
    #[cfg(feature = "userland")]
    #[arg(long, value_name = "DEVICE", hide_short_help = true)]
    pub device: Option<socketapi::DeviceConfig>,
    /// Whose SCTP it is: userland or kernel, as far as the program was built with them
    ///
    /// Without this option the environment variable SCTP_BACKEND chooses; without both it is the program's own.
    #[arg(long, value_name = "BACKEND", hide_short_help = true)]
    pub backend: Option<socketapi::Backend>,
}

impl NetArgs {
    /// The own addresses; none for all that the host has.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.local
            .as_ref()
            .map(|local| local.addresses.clone())
            .unwrap_or_default()
    }

    /// The own SCTP port, if one was given.
    pub fn port(&self) -> Option<u16> {
        self.local.as_ref().and_then(|local| local.port)
    }
}

/// How pool elements and pool users find registrars and deal with them.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Network")]
pub struct RegistrarArgs {
    /// A registrar; may be given several times
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = transport)]
    pub registrar: Vec<SctpAddress>,
    /// Announces: off, or a group
    ///
    /// The multicast group of the registrars to listen to; auto is 239.0.0.50:3863.
    #[arg(long, value_name = "WHERE", default_value = "auto", value_parser = announce)]
    pub asapannounce: AnnounceChoice,
    /// How long an announce is believed, in ms [default: 5000]
    #[arg(long, value_name = "MS", value_parser = millis, hide_short_help = true)]
    pub registrarannouncetimeout: Option<Duration>,
    /// How long the first search for a registrar lasts, in ms [default: 10000]
    #[arg(long, value_name = "MS", value_parser = millis, hide_short_help = true)]
    pub registrarconnecttimeout: Option<Duration>,
    /// How long a registrar may take to answer, in ms [default: 15000 to resolutions, 30000 to registrations]
    #[arg(long, value_name = "MS", value_parser = millis, hide_short_help = true)]
    pub registrarresponsetimeout: Option<Duration>,
    /// How often a request is sent at most [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), hide_short_help = true)]
    pub registrarrequestmaxtrials: Option<u32>,
}

impl RegistrarArgs {
    /// Nobody answers where the options say that a registrar is.
    pub fn nobody_answers(&self) -> Failure {
        let known: Vec<String> = self.registrar.iter().map(show).collect();
        Failure(match (known.is_empty(), self.asapannounce.0) {
            (false, _) => format!(
                "no registrar answers at {}; start one there with rspregistrar, or name another one with --registrar",
                known.join(" or ")
            ),
            (true, Some(group)) => format!(
                "no registrar announces itself at {group}; start one with rspregistrar, or name one with --registrar"
            ),
            (true, None) => "announces are off; name a registrar with --registrar".to_owned(),
        })
    }

    /// The configuration that the options ask for; an error says which one is out of bounds.
    pub fn endpoint(&self) -> Result<EndpointConfig, Failure> {
        let mut config = EndpointConfig::default();
        config
            .set_announce_group(self.asapannounce.0)
            .map_err(Failure::of_option("--asapannounce"))?;
        for registrar in &self.registrar {
            config
                .add_registrar(registrar.clone())
                .map_err(Failure::of_option("--registrar"))?;
        }
        if let Some(time) = self.registrarannouncetimeout {
            config
                .set_t7_enrp_outdate(time)
                .map_err(Failure::of_option("--registrarannouncetimeout"))?;
        }
        if let Some(time) = self.registrarconnecttimeout {
            config
                .set_t5_server_hunt(time)
                .map_err(Failure::of_option("--registrarconnecttimeout"))?;
        }
        if let Some(time) = self.registrarresponsetimeout {
            config
                .set_t1_enrp_request(time)
                .map_err(Failure::of_option("--registrarresponsetimeout"))?;
            config
                .set_t2_registration(time)
                .map_err(Failure::of_option("--registrarresponsetimeout"))?;
            config
                .set_t3_deregistration(time)
                .map_err(Failure::of_option("--registrarresponsetimeout"))?;
        }
        if let Some(trials) = self.registrarrequestmaxtrials {
            config.set_max_request_retransmit(trials.saturating_sub(1));
            config
                .set_max_reg_attempt(trials)
                .map_err(Failure::of_option("--registrarrequestmaxtrials"))?;
        }
        Ok(config)
    }
}
