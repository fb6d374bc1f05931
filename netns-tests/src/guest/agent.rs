//! Commands in the guest, run by the agent there (`guest/inside/agent.py` describes the frames).

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddrV6, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::lines::Lines;
use crate::process::{PATIENCE, Source};

/// A command in the guest. Dropping it kills it.
#[derive(Debug)]
pub struct Job {
    name: String,
    connection: TcpStream,
    output: Arc<Lines>,
    end: Arc<End>,
}

/// How the command ended.
#[derive(Debug, Default)]
struct End {
    status: Mutex<Option<i32>>,
    known: Condvar,
}

/// The status of a command whose end the guest did not tell.
const LOST: i32 = -1;

impl Job {
    /// Starts a command; the guest has to answer within some time.
    pub(super) fn start(agent: SocketAddrV6, words: &[String], patience: Duration) -> io::Result<Self> {
        let connection = TcpStream::connect_timeout(&agent.into(), patience)?;
        connection.set_nodelay(true)?;
        let name = words
            .iter()
            .find(|word| word.ends_with(".py"))
            .or_else(|| words.first());
        let name = name.map_or_else(String::new, |word| {
            format!("guest {}", word.rsplit('/').next().unwrap_or(word))
        });
        let job = Self {
            output: Lines::new(&name),
            name,
            connection,
            end: Arc::default(),
        };
        job.send(b'R', serde_json::json!(words).to_string().as_bytes())?;
        let (connection, output, end) = (
            job.connection.try_clone()?,
            Arc::clone(&job.output),
            Arc::clone(&job.end),
        );
        thread::spawn(move || {
            let status = read(connection, &output).unwrap_or(LOST);
            *end.status.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
            end.known.notify_all();
        });
        Ok(job)
    }

    fn send(&self, kind: u8, data: &[u8]) -> io::Result<()> {
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let mut frame = vec![kind];
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(data);
        (&self.connection).write_all(&frame)
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
    /// If the guest does not take it.
    pub fn write_line(&self, line: &str) {
        self.send(b'I', format!("{line}\n").as_bytes())
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", self.name, self.text()));
    }

    /// Interrupts it, as Ctrl-C does.
    pub fn interrupt(&self) {
        let _ = self.send(b'K', b"2");
    }

    /// Its exit status if it has ended: 128 and the signal's number if it was killed.
    pub fn status(&self) -> Option<i32> {
        *self.end.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it ends; gives its exit status.
    ///
    /// # Panics
    ///
    /// If it does not end within [`PATIENCE`].
    pub fn wait(&mut self) -> i32 {
        self.wait_long(PATIENCE)
    }

    /// As [`wait`](Self::wait), with another patience.
    ///
    /// # Panics
    ///
    /// If it does not end in time.
    pub fn wait_long(&mut self, patience: Duration) -> i32 {
        let status = self.wait_at_most(patience);
        status.unwrap_or_else(|| panic!("{} did not end:\n{}", self.name, self.text()))
    }

    fn wait_at_most(&self, patience: Duration) -> Option<i32> {
        let status = self.end.status.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .end
            .known
            .wait_timeout_while(status, patience, |status| status.is_none());
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // The agent kills what nobody listens to, but only now it tells when that is done.
        if self.send(b'K', b"9").is_ok() {
            self.wait_at_most(PATIENCE);
        }
        let _ = self.connection.shutdown(Shutdown::Both);
        if thread::panicking() {
            eprint!("{}", self.text());
        }
    }
}

/// Reads frames until the command's status comes.
fn read(mut connection: TcpStream, output: &Lines) -> io::Result<i32> {
    let mut begun: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    loop {
        let mut head = [0; 5];
        connection.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let mut data = vec![0; u32::from_be_bytes(length) as usize];
        connection.read_exact(&mut data)?;
        let source = if kind == b'S' { Source::Stderr } else { Source::Stdout };
        if kind == b'X' {
            for (kind, rest) in begun {
                let source = if kind == b'S' { Source::Stderr } else { Source::Stdout };
                if !rest.is_empty() {
                    output.push(source, &rest);
                }
            }
            return Ok(String::from_utf8_lossy(&data).parse().unwrap_or(LOST));
        }
        let line = begun.entry(kind).or_default();
        for byte in data {
            if byte == b'\n' {
                output.push(source, line);
                line.clear();
            } else {
                line.push(byte);
            }
        }
    }
}
