//! The counters of the kernel's SCTP as a whole.

use std::fs;

use crate::{Error, Result, StackStats};

/// Where Linux has them: a name of the SCTP MIB (RFC 3873) and a number a line.
const FILE: &str = "/proc/net/sctp/snmp";

/// The counters of the kernel's SCTP, in the network namespace of the process: `sctpStats` of the SCTP MIB (RFC 3873).
/// What the kernel does not count is zero.
///
/// # Errors
///
/// [`Error::Io`], if the kernel has no SCTP for example.
pub fn kernel_stats() -> Result<StackStats> {
    let text = fs::read_to_string(FILE).map_err(|error| Error::io("reading the kernel's counters of SCTP", &error))?;
    Ok(parse(&text))
}

fn parse(text: &str) -> StackStats {
    let mut stats = StackStats::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        // The MIB's names begin with a small letter.
        let Some(name) = words.next().and_then(|name| name.strip_prefix("Sctp")) else {
            continue;
        };
        let number = words.next().and_then(|number| number.parse().ok());
        if let (Some(counter), Some(number)) = (stats.counter_mut(&format!("sctp{name}")), number) {
            *counter = number;
        }
    }
    stats
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3873_what_linux_counts_has_the_names_of_the_mib() {
        let stats = parse(
            "SctpCurrEstab                   \t2\nSctpActiveEstabs                \t3\nSctpInSCTPPacks                 \t40\n\
             SctpT1InitExpireds              \t1\nrubbish\nSctpOutSCTPPacks x\n",
        );
        let expected = StackStats {
            current_established: 2,
            active_establishments: 3,
            packets_received: 40,
            ..StackStats::default()
        };
        assert_eq!(stats, expected);
    }
}
