//! What is shown while a demonstration runs: events as lines, and below them one line that keeps up with the present.

use std::io::{self, Write};
use std::time::Duration;

use crate::client::pingpong::Account;

/// How the present is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In place, on a terminal.
    Live,
    /// As a line each second, in a file or pipe.
    Plain,
    /// Not at all, and no events either.
    Silent,
}

/// Writes events and the present to `out`.
#[derive(Debug)]
pub struct Display<W> {
    mode: Mode,
    out: W,
    /// Whether the line of the present stands below the events.
    live_line: bool,
    /// The second that the last plain line of the present was for.
    last_second: u64,
}

/// Back to the start of the line, and clear it.
const CLEAR: &str = "\r\x1b[2K";
/// Lines that are too long for the terminal are cut, or go on in the next line. The line of the present must not go on:
/// only one line could be cleared then.
const CUT: &str = "\x1b[?7l";
const GO_ON: &str = "\x1b[?7h";

impl<W: Write> Display<W> {
    /// Shows things on `out`.
    pub const fn new(mode: Mode, out: W) -> Self {
        Self {
            mode,
            out,
            live_line: false,
            last_second: 0,
        }
    }

    /// Something happened, `at` this time since the start.
    ///
    /// # Errors
    ///
    /// Those of the output.
    pub fn event(&mut self, at: Duration, text: &str) -> io::Result<()> {
        if self.mode == Mode::Silent {
            return Ok(());
        }
        let clear = if std::mem::take(&mut self.live_line) { CLEAR } else { "" };
        writeln!(self.out, "{clear}{:>6.2} s  {text}", at.as_secs_f64())?;
        self.out.flush()
    }

    /// The present: who serves (nobody during a failover), and the account.
    ///
    /// # Errors
    ///
    /// Those of the output.
    pub fn present(&mut self, at: Duration, server: Option<&str>, account: &Account) -> io::Result<()> {
        let line = format!(
            "{:>6.2} s  {:<24} {} requests, {} replies, {} failovers",
            at.as_secs_f64(),
            server.map_or_else(|| "[no server]".to_owned(), |server| format!("[{server}]")),
            account.requests,
            account.replies,
            account.failovers.len(),
        );
        match self.mode {
            Mode::Live => {
                self.live_line = true;
                write!(self.out, "{CLEAR}{CUT}{line}{GO_ON}")?;
                self.out.flush()
            }
            Mode::Plain if at.as_secs() > self.last_second => {
                self.last_second = at.as_secs();
                writeln!(self.out, "{line}")?;
                self.out.flush()
            }
            Mode::Plain | Mode::Silent => Ok(()),
        }
    }

    /// Nothing more comes; the line of the present goes away.
    ///
    /// # Errors
    ///
    /// Those of the output.
    pub fn finish(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.live_line) {
            write!(self.out, "{CLEAR}")?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(mode: Mode) -> String {
        let mut out = Vec::new();
        let mut display = Display::new(mode, &mut out);
        let account = Account {
            requests: 3,
            replies: 2,
            ..Account::default()
        };
        let ms = Duration::from_millis;
        display.event(ms(10), "started").unwrap();
        for at in [100, 900, 1000, 1100, 1999] {
            display.present(ms(at), Some("element 1"), &account).unwrap();
        }
        display.event(ms(2000), "killed").unwrap();
        display.present(ms(2010), None, &account).unwrap();
        display.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_pipe_gets_plain_lines_once_a_second() {
        let text = shown(Mode::Plain);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].ends_with("started") && lines[2].ends_with("killed"));
        assert!(lines[1].contains("[element 1]") && lines[1].contains("3 requests, 2 replies, 0 failovers"));
        assert!(lines[3].contains("[no server]"));
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn a_terminal_has_one_line_for_the_present() {
        let text = shown(Mode::Live);
        assert_eq!(
            text.lines().count(),
            3,
            "two events and the line that is cleared: {text:?}"
        );
        assert!(text.ends_with(CLEAR));
    }

    #[test]
    fn the_line_of_the_present_stays_one_line() {
        let mut out = Vec::new();
        let account = Account {
            requests: 99_999,
            replies: 99_999,
            failovers: vec![Duration::ZERO; 99],
            ..Account::default()
        };
        Display::new(Mode::Live, &mut out)
            .present(Duration::from_secs(999), Some("element 3 (127.0.0.4)"), &account)
            .unwrap();
        let text = String::from_utf8(out).unwrap();
        let line = text
            .strip_prefix(CLEAR)
            .and_then(|text| text.strip_prefix(CUT))
            .unwrap();
        let line = line.strip_suffix(GO_ON).unwrap();
        assert!(line.len() <= 80, "{} columns", line.len());
    }

    #[test]
    fn silence_is_silence() {
        assert_eq!(shown(Mode::Silent), "");
    }
}
