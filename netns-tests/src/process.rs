//! Programs under test: started, watched line by line, and never left behind.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::lines::Lines;
pub use crate::lines::{PATIENCE, Source};

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    output: Arc<Lines>,
    readers: Vec<thread::JoinHandle<()>>,
}

impl Program {
    /// Starts a program, which can be [interrupted](Self::interrupt) even if this process ignores interrupts. Its
    /// standard input is a pipe that stays open until [`close_input`](Self::close_input). One that is not there ends
    /// with status 127.
    ///
    /// # Panics
    ///
    /// If GNU `env` cannot be started, which starts it.
    pub fn start<S: AsRef<OsStr>>(path: impl AsRef<Path>, args: impl IntoIterator<Item = S>) -> Self {
        let path = path.as_ref();
        let name = path
            .file_name()
            .unwrap_or(path.as_os_str())
            .to_string_lossy()
            .into_owned();
        // A shell that starts tests in the background has them ignore interrupts, and what they start as well: a
        // program that means to keep it so could not be interrupted.
        let mut command = Command::new("env");
        command
            .arg("--default-signal=INT")
            .arg(path)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("env {}: {error}", path.display()));
        let output = Lines::new(&name);
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            let output = Arc::clone(&output);
            readers.push(thread::spawn(move || output.read(Source::Stdout, stdout)));
        }
        if let Some(stderr) = child.stderr.take() {
            let output = Arc::clone(&output);
            readers.push(thread::spawn(move || output.read(Source::Stderr, stderr)));
        }
        Self {
            name,
            child,
            output,
            readers,
        }
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The first line, from the `from`th on, that `wanted` accepts, with the number of the line after it. Waits for it.
    ///
    /// # Panics
    ///
    /// If it does not come within [`PATIENCE`]; what came is in the message.
    pub fn wait_for_from(&self, from: usize, wanted: impl Fn(&str) -> bool) -> (String, usize) {
        self.output.wait_for_from(from, wanted)
    }

    /// As [`wait_for_from`](Self::wait_for_from), for a line anywhere that contains `text`.
    ///
    /// # Panics
    ///
    /// As [`wait_for_from`](Self::wait_for_from).
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_for_from(0, |line| line.contains(text)).0
    }

    /// How many lines there are up to now.
    pub fn line_count(&self) -> usize {
        self.output.count()
    }

    /// All lines of one output, up to now.
    pub fn lines(&self, of: Source) -> Vec<String> {
        self.output.of(of)
    }

    /// Both outputs up to now, for messages.
    pub fn text(&self) -> String {
        self.output.text()
    }

    /// Writes a line to its standard input.
    ///
    /// # Panics
    ///
    /// If the program does not take it.
    pub fn write_line(&mut self, line: &str) {
        let input = self.child.stdin.as_mut();
        let written = input.map(|input| std::io::Write::write_all(input, format!("{line}\n").as_bytes()));
        assert!(
            matches!(written, Some(Ok(()))),
            "{} does not take input:\n{}",
            self.name,
            self.text()
        );
    }

    /// Ends its standard input.
    pub fn close_input(&mut self) {
        self.child.stdin = None;
    }

    /// Interrupts it, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal("INT");
    }

    fn signal(&self, name: &str) {
        // The shell has `kill` built in, and calling it from here would be unsafe code.
        let _ = Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", self.id())])
            .status();
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until it ends and all its output was read.
    ///
    /// # Panics
    ///
    /// If it does not end within [`PATIENCE`].
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                for reader in self.readers.drain(..) {
                    let _ = reader.join();
                }
                return status;
            }
            if Instant::now() > deadline {
                self.kill();
                panic!("{} did not end:\n{}", self.name, self.text());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprint!("{}", self.text());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program::start("/bin/sh", ["-c", script])
    }

    #[test]
    fn lines_are_seen_as_they_come() {
        let mut program = shell("echo ready; read line; echo got $line >&2; exit 3");
        program.wait_for("ready");
        program.write_line("this");
        let (line, next) = program.wait_for_from(1, |line| line.starts_with("got"));
        assert_eq!((line.as_str(), next), ("got this", 2));
        assert_eq!(program.wait().code(), Some(3));
        assert_eq!(program.lines(Source::Stdout), ["ready"]);
        assert_eq!(program.lines(Source::Stderr), ["got this"]);
    }

    #[test]
    fn a_program_can_be_interrupted() {
        let mut program = shell("trap 'echo stopped; exit 0' INT; echo ready; while :; do sleep 0.1; done");
        program.wait_for("ready");
        program.interrupt();
        assert!(program.wait().success());
        program.wait_for("stopped");
    }

    #[test]
    fn a_program_of_tests_in_the_background_can_be_interrupted() {
        let test = std::env::current_exe().unwrap();
        let script = format!(
            "trap '' INT; exec '{}' --exact process::tests::a_program_can_be_interrupted",
            test.display()
        );
        assert!(shell(&script).wait().success());
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let mut program = Program::start("/nonexistent/program", [""; 0]);
        assert_eq!(program.wait().code(), Some(127));
        assert!(program.text().contains("/nonexistent/program"), "{}", program.text());
    }
}
