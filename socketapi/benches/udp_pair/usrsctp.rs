//! usrsctp by a program of this bench, which needs a C compiler and Debian's libusrsctp-dev.

use std::path::PathBuf;
use std::process::Command;

use crate::pingpong::{Cores, MEASURED, Outcome, SIZE};
use crate::program::{Program, compile, free_udp_port, wait_until_taken};

const CODE: &str = include_str!("usrsctp.c");
/// How long idle associations are watched. The library looks at its timers all the time, so it need not be long.
const SECONDS: u32 = 5;

/// The program.
pub(crate) struct Usrsctp(PathBuf);

impl Usrsctp {
    /// `None` if it cannot be built.
    pub(crate) fn build() -> Option<Self> {
        compile(CODE, "usrsctp", &["-O2", "-lusrsctp", "-lpthread"]).map(Self)
    }

    fn start(&self, what: &str, args: &[String]) -> Option<Program> {
        Program::start(Command::new(&self.0).arg(what), args)
    }

    /// Round trips between two processes.
    pub(crate) fn pingpong(&self, cores: Cores) -> Option<Outcome> {
        let (server, client) = (free_udp_port(), free_udp_port());
        let size = SIZE.to_string();
        let args =
            |own: u16, peer: u16, core: usize| [own.to_string(), peer.to_string(), core.to_string(), size.clone()];
        let _server = self.start("pingpong", &args(server, client, cores.0[0]))?;
        wait_until_taken(server);
        let mut asks = args(client, server, cores.0[1]).to_vec();
        asks.push(MEASURED.as_millis().to_string());
        let said = self.start("pingpong", &asks)?.finish()?;
        let mut values = said.split_whitespace().map(str::parse);
        Some(Outcome {
            p50: values.next()?.ok()?,
            p99: values.next()?.ok()?,
        })
    }

    /// The part of a core that so many idle associations take, both ends on one stack, in percent.
    pub(crate) fn idle(&self, count: usize) -> Option<f64> {
        let args = [free_udp_port().to_string(), count.to_string(), SECONDS.to_string()];
        self.start("idle", &args)?.finish()?.trim().parse().ok()
    }
}
