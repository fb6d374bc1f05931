//! The emulator's control socket (QMP).

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The control socket of a running emulator.
#[derive(Debug)]
pub(super) struct Monitor {
    path: PathBuf,
}

impl Monitor {
    /// Waits until the emulator listens at `path`.
    pub(super) fn connect(path: &Path, patience: Duration) -> Result<Self, String> {
        let monitor = Self { path: path.to_owned() };
        wait(patience, || match monitor.command("query-status", Value::Null) {
            Ok(_) => Some(Ok(())),
            Err(_) if !path.parent().is_some_and(Path::exists) => Some(Err("the emulator ended".to_owned())),
            Err(_) => None,
        })?;
        Ok(monitor)
    }

    /// Has one command carried out; gives what it returns.
    fn command(&self, name: &str, arguments: Value) -> Result<Value, String> {
        let text = |error: std::io::Error| format!("the emulator's control socket: {error}");
        let mut socket = UnixStream::connect(&self.path).map_err(text)?;
        let mut answers = BufReader::new(socket.try_clone().map_err(text)?);
        let mut line = String::new();
        answers.read_line(&mut line).map_err(text)?;
        let mut returned = Value::Null;
        for (name, arguments) in [("qmp_capabilities", Value::Null), (name, arguments)] {
            let mut request = json!({ "execute": name });
            if !arguments.is_null() {
                request["arguments"] = arguments;
            }
            socket.write_all(format!("{request}\n").as_bytes()).map_err(text)?;
            returned = loop {
                line.clear();
                if answers.read_line(&mut line).map_err(text)? == 0 {
                    return Err("the emulator closed its control socket".to_owned());
                }
                let mut answer: Value = serde_json::from_str(&line).unwrap_or_default();
                // Others are events.
                if let Some(returned) = answer.get_mut("return") {
                    break returned.take();
                }
                if let Some(error) = answer.get("error") {
                    return Err(format!("{name}: {error}"));
                }
            };
        }
        Ok(returned)
    }

    /// As the command says.
    ///
    /// # Panics
    ///
    /// If it is refused.
    pub(super) fn must(&self, name: &str, arguments: Value) {
        if let Err(reason) = self.command(name, arguments) {
            panic!("{reason}");
        }
    }

    /// Lets the guest run that comes from a snapshot, once it is loaded.
    pub(super) fn resume(&self, patience: Duration) -> Result<(), String> {
        wait(patience, || match self.command("query-status", Value::Null) {
            Ok(status) if status["status"] == "inmigrate" => None,
            Ok(_) => Some(self.command("cont", Value::Null).map(drop)),
            Err(reason) => Some(Err(reason)),
        })
    }

    /// Saves the guest to a file, and lets it run on.
    pub(super) fn save(&self, file: &Path, patience: Duration) -> Result<(), String> {
        let part = file.with_extension("part");
        self.command("stop", Value::Null)?;
        self.command("migrate-set-parameters", json!({ "max-bandwidth": 1_u64 << 40 }))?;
        self.command("migrate", json!({ "uri": format!("exec:cat > '{}'", part.display()) }))?;
        wait(patience, || match self.command("query-migrate", Value::Null) {
            Ok(state) if state["status"] == "completed" => Some(Ok(())),
            Ok(state) if state["status"] == "failed" => Some(Err(format!("no snapshot: {state}"))),
            Ok(_) => None,
            Err(reason) => Some(Err(reason)),
        })?;
        std::fs::rename(&part, file).map_err(|error| format!("{}: {error}", file.display()))?;
        self.command("cont", Value::Null).map(drop)
    }
}

fn wait(patience: Duration, mut check: impl FnMut() -> Option<Result<(), String>>) -> Result<(), String> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(result) = check() {
            return result;
        }
        if Instant::now() > deadline {
            return Err("the emulator does not answer".to_owned());
        }
        thread::sleep(Duration::from_millis(20));
    }
}
