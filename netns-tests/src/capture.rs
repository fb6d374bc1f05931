//! Packets on an interface, and what tshark says about them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::process::Program;
use crate::require;

/// dumpcap fetches what the kernel has collected every quarter of a second, tells nobody, and forgets the rest when it
/// is interrupted.
const COLLECTED: Duration = Duration::from_millis(500);

/// A running capture of SCTP.
#[derive(Debug)]
pub struct Capture {
    program: Program,
    tshark: PathBuf,
    file: PathBuf,
    udp_port: u16,
}

impl Capture {
    /// Captures what goes over `interface` from or to `udp_port`, and SCTP directly on IP, into `file`. Returns once it
    /// runs.
    ///
    /// `None`, and a `skipped` line, where that is not possible: it takes root, `dumpcap` and `tshark`.
    pub fn start(interface: &str, udp_port: u16, file: &Path) -> Option<Self> {
        Self::filtered(interface, udp_port, &format!("udp port {udp_port} or sctp"), file)
    }

    /// As [`start`](Self::start), of what `filter` (in the language of capture filters) lets through.
    pub fn filtered(interface: &str, udp_port: u16, filter: &str, file: &Path) -> Option<Self> {
        let dumpcap = require::tool("dumpcap")?;
        let tshark = require::tool("tshark")?;
        if !require::root() {
            return None;
        }
        let path = file.to_string_lossy();
        let program = Program::start(dumpcap, ["-q", "-i", interface, "-f", filter, "-w", &path]);
        program.wait_for("File: ");
        Some(Self {
            program,
            tshark,
            file: file.to_owned(),
            udp_port,
        })
    }

    /// Ends the capture; `Decoder` reads it.
    pub fn stop(mut self) -> Decoder {
        thread::sleep(COLLECTED);
        self.program.interrupt();
        self.program.wait();
        Decoder {
            tshark: self.tshark,
            file: self.file,
            udp_port: self.udp_port,
        }
    }
}

/// Reads a capture with tshark.
#[derive(Debug)]
pub struct Decoder {
    tshark: PathBuf,
    file: PathBuf,
    udp_port: u16,
}

impl Decoder {
    /// Of a file that is there already, with SCTP in UDP port `udp_port`.
    ///
    /// `None`, and a `skipped` line, without `tshark`.
    pub fn of(file: &Path, udp_port: u16) -> Option<Self> {
        Some(Self {
            tshark: require::tool("tshark")?,
            file: file.to_owned(),
            udp_port,
        })
    }

    /// One line for each packet that `filter` (in Wireshark's language) lets through: the values of `fields`, separated
    /// by tabs, and by commas where a packet has several. tshark takes its time to start: better many fields at once.
    /// Checksums of SCTP are verified.
    ///
    /// # Panics
    ///
    /// If tshark fails.
    pub fn packets(&self, filter: &str, fields: &[&str]) -> Vec<String> {
        let mut command = Command::new(&self.tshark);
        command.arg("-r").arg(&self.file);
        command.args(["-d", &format!("udp.port=={},sctp", self.udp_port)]);
        command.args(["-o", "sctp.checksum:crc-32c", "-Y", filter, "-T", "fields"]);
        command.args(fields.iter().flat_map(|field| ["-e", field]));
        let output = command.output().unwrap_or_else(|error| panic!("tshark: {error}"));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tshark: {errors}");
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}
