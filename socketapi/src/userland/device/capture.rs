//! Captures: what a stack sends and receives, as a file for Wireshark.

use std::env;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sctp::pcap::PcapWriter;
use sctp::{RxMeta, Transmit};

use super::super::clock;
use crate::{Error, Result};

/// The environment variable that names the file for stacks whose program does not.
const VARIABLE: &str = "SCTP_PCAP";

type Writer = Mutex<PcapWriter<File>>;

/// The files that stacks of this process write to: those that are to write to one file share it.
static FILES: Mutex<Vec<(PathBuf, Weak<Writer>)>> = Mutex::new(Vec::new());

/// Writes down packets. Errors lose some of them, and harm nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    writer: Arc<Writer>,
}

impl Capture {
    /// The file that the environment names, if it does.
    pub(crate) fn path_from_environment() -> Option<PathBuf> {
        env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    /// Begins the file, unless another stack of this process has. `%p` in its name is the number of the process.
    pub(crate) fn start(path: &Path) -> Result<Self> {
        let path = match path.to_str() {
            Some(text) => PathBuf::from(text.replace("%p", &process::id().to_string())),
            None => path.to_owned(),
        };
        let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|(_, writer)| writer.strong_count() > 0);
        let open = files.iter().find(|(of, _)| *of == path);
        if let Some(writer) = open.and_then(|(_, writer)| writer.upgrade()) {
            return Ok(Self { writer });
        }
        let writer = File::create(&path).and_then(PcapWriter::new);
        let writer = Arc::new(Mutex::new(
            writer.map_err(|error| Error::io("beginning the capture file", &error))?,
        ));
        files.push((path, Arc::downgrade(&writer)));
        Ok(Self { writer })
    }

    /// A packet that arrived.
    pub(crate) fn received(&self, meta: &RxMeta, packet: &[u8]) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        note(writer.write(clock::wall(), (meta.src, meta.dst), meta.encap, meta.ecn, packet));
    }

    /// The packets that were sent of a transmission.
    pub(crate) fn sent(&self, transmit: &Transmit, packets: &[u8]) {
        let any = || match transmit.dst {
            IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        };
        let addresses = (transmit.src.unwrap_or_else(any), transmit.dst);
        let at = clock::wall();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        for packet in transmit.segments(packets) {
            note(writer.write(at, addresses, transmit.encap, transmit.ecn, packet));
        }
    }
}

fn note(written: std::io::Result<()>) {
    if let Err(error) = written {
        tracing::debug!(%error, "a packet is missing in the capture");
    }
}
