//! Instructions a message, by running this program again under callgrind.

use std::env;
use std::process::Command;

/// With this flag, a name and a number of messages, the program does just that transfer.
pub(crate) const CHILD_FLAG: &str = "--transfer";
/// The two lengths of run; what set-up, slow start and the growth of buffers cost is in both.
const SHORT: u64 = 4000;
const LONG: u64 = 12_000;
/// An implementation that needs a hundred times as long for a message gets fewer of them.
const SLOW: &str = "dcsctp";
const SLOW_DIVISOR: u64 = 8;

/// Instructions a message. `None`, and a line that says why, if they cannot be counted here.
pub(crate) fn instructions(name: &str) -> Option<f64> {
    let divisor = if name == SLOW { SLOW_DIVISOR } else { 1 };
    let lengths = [SHORT / divisor, LONG / divisor];
    match (collected(name, lengths[0]), collected(name, lengths[1])) {
        (Ok(short), Ok(long)) => Some((long as f64 - short as f64) / (lengths[1] - lengths[0]) as f64),
        (Err(reason), _) | (_, Err(reason)) => {
            println!("instructions of {name} not counted: {reason}");
            None
        }
    }
}

/// The instructions of a whole run.
fn collected(name: &str, messages: u64) -> Result<u64, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([CHILD_FLAG, name, &messages.to_string()])
        .output()
        .map_err(|error| format!("valgrind does not start ({error})"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let last = text.lines().last().unwrap_or_default();
        return Err(format!("the run under valgrind ended with {}: {last}", output.status));
    }
    // The line reads "==PID== Collected : COUNT".
    let count = text
        .lines()
        .find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    count.ok_or_else(|| "callgrind printed no count".to_owned())
}
