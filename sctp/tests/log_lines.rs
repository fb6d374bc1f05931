//! What the engine logs of associations and paths, and under which names.

mod common;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use common::{A, B, Pair, Setup, connected, secs};
use sctp::PathState;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Takes log lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The log lines of `level` and above that `run` causes.
fn log(level: LevelFilter, run: impl FnOnce()) -> Vec<String> {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .with_writer(lines.clone());
    tracing::subscriber::with_default(subscriber.finish(), run);
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

/// The line that has all of these in it.
#[track_caller]
fn line<'a>(lines: &'a [String], parts: &[&str]) -> &'a str {
    let found = lines.iter().find(|line| parts.iter().all(|part| line.contains(part)));
    found.unwrap_or_else(|| panic!("none of\n{}\nhas {parts:?}", lines.join("\n")))
}

#[test]
fn a_set_up_is_logged_with_the_association_the_tag_and_the_peer() {
    let mut tags = Vec::new();
    let lines = log(LevelFilter::INFO, || {
        let mut pair = connected(Setup::single());
        tags = [A, B]
            .map(|side| pair.status(side).unwrap().local_tag.to_string())
            .to_vec();
        pair.shutdown(A);
        pair.run(secs(1));
    });
    for (side, port, peer) in [(A, 5000, 5001), (B, 5001, 5000)] {
        let span = format!("association{{tag={} port={port} peer=", tags[side]);
        let up = line(
            &lines,
            &[
                "INFO",
                &span,
                "association up",
                &format!("initiated_here={}", side == A),
            ],
        );
        assert!(up.contains(&format!(":{peer} assoc=0.1}}")), "{up}");
        line(&lines, &["INFO", &span, "association shut down"]);
    }
    assert_eq!(lines.len(), 4, "{lines:#?}");
}

#[test]
fn a_path_that_fails_is_logged_with_its_timers_and_what_is_sent_again() {
    let run = || {
        let mut pair = connected(Setup::dual());
        pair.world.set_link_up(pair.links[0], false);
        pair.say(A, 0, b"over the other one");
        pair.must("it fails", secs(300), |pair| {
            pair.path(A, 0).state == PathState::Inactive
        });
        pair.world.set_link_up(pair.links[0], true);
        pair.must("it is back", secs(300), |pair| {
            pair.path(A, 0).state == PathState::Active
        });
    };
    let lines = log(LevelFilter::INFO, run);
    let path = "path path=10.1.0.2";
    line(
        &lines,
        &["INFO", "association{", path, "change=PotentiallyFailed errors=1"],
    );
    line(&lines, &["INFO", "association{", path, "change=Unreachable"]);
    line(&lines, &["INFO", "association{", path, "change=Available errors=0"]);
    assert!(!lines.iter().any(|line| line.contains("DEBUG")));
    let lines = log(LevelFilter::DEBUG, run);
    line(&lines, &["DEBUG", "association{", "T3-rtx expired", "path=10.1.0.2"]);
    line(
        &lines,
        &["DEBUG", "association{", "DATA sent again", "path=10.2.0.2 chunks=1"],
    );
    line(
        &lines,
        &[
            "DEBUG",
            "association{",
            "}:path{path=10.1.0.2}",
            "a heartbeat is not answered",
        ],
    );
    line(
        &lines,
        &[
            "DEBUG",
            "association{",
            "}:path{path=10.2.0.2}",
            "chunk received",
            "chunk=HEARTBEAT ACK",
        ],
    );
}

#[test]
fn a_restart_is_logged_with_the_new_tag_which_later_lines_bear() {
    let mut tags = Vec::new();
    let lines = log(LevelFilter::DEBUG, || {
        let mut pair = connected(Setup::single());
        let tag = |pair: &Pair| pair.status(B).unwrap().local_tag.to_string();
        tags.push(tag(&pair));
        pair.restart(A);
        pair.connect();
        tags.push(tag(&pair));
        pair.abort(B, b"enough");
        pair.run(secs(1));
    });
    assert_ne!(tags[0], tags[1]);
    let (old, new) = (format!("tag={}", tags[0]), format!("tag={}", tags[1]));
    line(
        &lines,
        &["INFO", &old, "association restarted by its peer", &format!("new_{new}")],
    );
    line(&lines, &["DEBUG", &old, "state from=ESTABLISHED to=ESTABLISHED"]);
    line(
        &lines,
        &["INFO", &format!("association{{{new}"), "assoc=0.1", "association lost"],
    );
    line(&lines, &["DEBUG", &new, "chunk sent", "chunk=ABORT"]);
}

#[test]
fn what_is_logged_changes_nothing() {
    let run = |level| {
        let mut sent = Vec::new();
        log(level, || {
            let mut pair = Setup::single().seed(3).build();
            pair.world.capture(pair.links[0]);
            pair.connect();
            pair.say(A, 0, &[7; 5000]);
            pair.run(secs(40));
            sent = pair.sent(A).iter().map(|packet| format!("{packet:?}")).collect();
        });
        sent
    };
    assert_eq!(run(LevelFilter::OFF), run(LevelFilter::TRACE));
}
