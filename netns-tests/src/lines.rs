//! What a program prints, line by line, while it prints it.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long anything that a test waits for may take on a slow, busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Which of the two outputs a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The lines that a program has printed up to now; several threads may read and wait.
#[derive(Debug)]
pub(crate) struct Lines {
    name: String,
    lines: Mutex<Vec<(Source, String)>>,
    grew: Condvar,
}

impl Lines {
    pub(crate) fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            lines: Mutex::default(),
            grew: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Source, String)>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads until the end of `from`.
    pub(crate) fn read(&self, source: Source, from: impl Read) {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            self.push(source, &line);
        }
    }

    /// One more line.
    pub(crate) fn push(&self, source: Source, line: &[u8]) {
        let line = String::from_utf8_lossy(line).into_owned();
        self.lock().push((source, line));
        self.grew.notify_all();
    }

    /// The first line, from the `from`th on, that `wanted` accepts, with the number of the line after it. Waits for it.
    ///
    /// # Panics
    ///
    /// If it does not come within [`PATIENCE`]; what came is in the message.
    pub(crate) fn wait_for_from(&self, from: usize, wanted: impl Fn(&str) -> bool) -> (String, usize) {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.lock();
        let mut seen = from;
        loop {
            for (index, (_, line)) in lines.iter().enumerate().skip(seen) {
                if wanted(line) {
                    return (line.clone(), index + 1);
                }
            }
            seen = lines.len().max(from);
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(lines);
                panic!("{} did not print what was waited for, but:\n{}", self.name, self.text());
            }
            lines = self
                .grew
                .wait_timeout(lines, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Those of one output.
    pub(crate) fn of(&self, of: Source) -> Vec<String> {
        let lines = self.lock();
        lines
            .iter()
            .filter(|(source, _)| *source == of)
            .map(|(_, line)| line.clone())
            .collect()
    }

    /// All of them, for messages.
    pub(crate) fn text(&self) -> String {
        self.lock()
            .iter()
            .map(|(_, line)| format!("{}: {line}\n", self.name))
            .collect()
    }
}
