//! Pool elements as child processes of the demonstration.
//!
//! A child ends when its standard input does, so none outlives a parent, whatever became of it.

use std::ffi::OsString;
use std::io;
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rserpool::ids::PeId;

use super::layout::Layout;

/// How long children get to end by themselves.
const GOODBYE: Duration = Duration::from_secs(2);

/// How a pool element is started: `program arguments... --identifier NUMBER`, with options that say where it is.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// What all elements have in common.
    pub arguments: Vec<OsString>,
    /// Where they are.
    pub layout: Layout,
}

/// A running pool element.
#[derive(Debug)]
struct Running {
    child: Child,
    pe_id: PeId,
}

/// A place for a pool element: an address, and the process that has it now.
#[derive(Debug, Default)]
struct Slot {
    running: Option<Running>,
    started: u32,
}

/// A pool element, as it is told to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its slot, counted from 0.
    pub slot: usize,
    /// Its address.
    pub address: IpAddr,
    /// Its process.
    pub process: u32,
}

/// All pool elements of a demonstration. Dropping it kills them.
#[derive(Debug)]
pub struct Elements {
    launch: Launch,
    slots: Vec<Slot>,
}

impl Elements {
    /// Starts `count` elements.
    ///
    /// # Errors
    ///
    /// The first one that could not be started.
    pub fn start(launch: Launch, count: usize) -> io::Result<Self> {
        let mut elements = Self {
            launch,
            slots: Vec::new(),
        };
        for slot in 0..count {
            elements.slots.push(Slot::default());
            elements.revive(slot)?;
        }
        Ok(elements)
    }

    /// The element with an identifier, if it runs.
    pub fn find(&self, pe_id: PeId) -> Option<Named> {
        let is_it = |slot: &Slot| slot.running.as_ref().is_some_and(|running| running.pe_id == pe_id);
        let slot = self.slots.iter().position(is_it)?;
        self.named(slot)
    }

    fn named(&self, slot: usize) -> Option<Named> {
        let running = self.slots.get(slot)?.running.as_ref()?;
        Some(Named {
            slot,
            address: self.launch.layout.element(slot),
            process: running.child.id(),
        })
    }

    /// Kills an element with SIGKILL: no farewell, nothing flushed. Returns which one it was, once it is gone.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn kill(&mut self, pe_id: PeId) -> io::Result<Option<Named>> {
        let Some(named) = self.find(pe_id) else { return Ok(None) };
        if let Some(mut running) = self.slots.get_mut(named.slot).and_then(|slot| slot.running.take()) {
            running.child.kill()?;
            running.child.wait()?;
        }
        Ok(Some(named))
    }

    /// Starts a new element in an empty slot, with the slot's address and an identifier of its own.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn revive(&mut self, index: usize) -> io::Result<Option<Named>> {
        let Some(slot) = self.slots.get_mut(index) else {
            return Ok(None);
        };
        if slot.running.is_none() {
            slot.started += 1;
            let number = u32::try_from(index).unwrap_or(0) + 1;
            // Readable in logs: the slot above, which process it is in the slot below.
            let Some(pe_id) = PeId::new((number << 16) | (slot.started & 0xffff)) else {
                return Ok(None);
            };
            let place = self
                .launch
                .layout
                .element_options(index)
                .map_err(|failure| io::Error::other(failure.0))?;
            let mut command = Command::new(&self.launch.program);
            command
                .args(&self.launch.arguments)
                .args(place)
                .args(["--identifier".to_owned(), pe_id.to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                // A group of its own: Ctrl-C at the terminal is for the parent, which then says goodbye in order.
                .process_group(0);
            slot.running = Some(Running {
                child: command.spawn()?,
                pe_id,
            });
        }
        Ok(self.named(index))
    }

    /// Elements that ended though nobody killed them; their slots are empty now.
    pub fn reap(&mut self) -> Vec<usize> {
        let mut ended = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let has_ended = |running: &mut Running| !matches!(running.child.try_wait(), Ok(None));
            if slot.running.as_mut().is_some_and(has_ended) {
                slot.running = None;
                ended.push(index);
            }
        }
        ended
    }

    /// Lets all elements end by themselves, and kills those that do not in time.
    pub fn stop(&mut self) {
        for running in self.slots.iter_mut().filter_map(|slot| slot.running.as_mut()) {
            drop(running.child.stdin.take());
        }
        let deadline = Instant::now() + GOODBYE;
        while self.slots.iter().any(|slot| slot.running.is_some()) && Instant::now() < deadline {
            self.reap();
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kill_all();
    }

    fn kill_all(&mut self) {
        for mut running in self.slots.iter_mut().filter_map(|slot| slot.running.take()) {
            // It may have ended just now; then there is nothing left to do.
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}

impl Drop for Elements {
    fn drop(&mut self) {
        self.kill_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::CarrierArgs;

    /// Elements that are nothing but a shell which reads its input to the end.
    fn elements(count: usize) -> Elements {
        let arguments = ["-c", "read line; exit 0"].map(OsString::from).to_vec();
        let program = "/bin/sh".into();
        let layout = Layout::new(&CarrierArgs::default(), Some(1), count).unwrap();
        let launch = Launch {
            program,
            arguments,
            layout,
        };
        Elements::start(launch, count).unwrap()
    }

    fn first_of(slot: u32) -> PeId {
        PeId::new((slot + 1) << 16 | 1).unwrap()
    }

    #[test]
    fn a_killed_element_is_replaced_under_another_identifier() {
        let mut elements = elements(2);
        let victim = elements.find(first_of(1)).unwrap();
        assert_eq!(elements.kill(first_of(1)).unwrap(), Some(victim));
        assert_eq!(elements.find(first_of(1)), None);
        assert_eq!(elements.kill(first_of(1)).unwrap(), None, "already gone");
        let next = elements.revive(1).unwrap().unwrap();
        assert_eq!((next.slot, next.address), (victim.slot, victim.address));
        assert_ne!(next.process, victim.process);
        assert_eq!(elements.find(PeId::new(2 << 16 | 2).unwrap()), Some(next));
        assert_eq!(
            elements.revive(1).unwrap(),
            Some(next),
            "an element that runs is left alone"
        );
    }

    #[test]
    fn elements_end_when_their_input_does() {
        let mut elements = elements(3);
        let started = Instant::now();
        elements.stop();
        assert!(started.elapsed() < GOODBYE, "none had to be killed");
        assert!(elements.find(first_of(0)).is_none());
    }
}
