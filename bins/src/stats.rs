//! What a program tells of its SCTP when it ends: counters and associations.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, process};

#[cfg(feature = "userland")]
use serde_json::to_value;
use serde_json::{Value, json};
use socketapi::StackStats;
#[cfg(feature = "userland")]
use socketapi::{AssociationSnapshot, StackHandle};

/// The environment variable that names the file if no option does.
const VARIABLE: &str = "SCTP_STATS";

/// How many associations are told of.
#[cfg(feature = "userland")]
const MOST: usize = 1000;

/// The file to write to; `-` is standard error.
#[derive(Clone, Debug)]
pub struct StatsFile(PathBuf);

/// What is told.
#[derive(Debug)]
pub struct Report {
    text: String,
    json: Value,
}

impl StatsFile {
    /// The one that the option names, or the environment.
    pub fn chosen(option: Option<&Path>) -> Option<Self> {
        let from_environment = || env::var_os(VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
        let path = option.map(Path::to_owned).or_else(from_environment)?;
        Some(Self(match path.to_str() {
            Some(text) => text.replace("%p", &process::id().to_string()).into(),
            None => path,
        }))
    }

    /// Writes a report: as JSON if the file's name ends in `.json`. That this fails is told in a line on standard
    /// error.
    pub fn write(&self, report: &Report) {
        let Self(path) = self;
        if path.as_os_str() == "-" {
            eprint!("{}", report.text);
            return;
        }
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        let text = if is_json {
            format!("{:#}\n", report.json)
        } else {
            report.text.clone()
        };
        if let Err(error) = fs::write(path, text) {
            eprintln!("--stats: cannot write {}: {error}", path.display());
        }
    }
}

impl Report {
    /// About a stack at its end, and the associations that were open before.
    #[cfg(feature = "userland")]
    pub fn of_stack(stack: &StackHandle, open: &[AssociationSnapshot]) -> Self {
        let snapshot = stack.snapshot();
        let mut text = snapshot.to_string();
        for association in open {
            let _ = write!(text, "{association}");
        }
        let mut json = to_value(snapshot).unwrap_or_default();
        if let (Value::Object(members), Ok(open)) = (&mut json, to_value(open)) {
            members.insert("open".to_owned(), open);
        }
        Self { text, json }
    }

    /// About the kernel, which only has counters.
    pub fn of_kernel(stats: StackStats) -> Self {
        let counters: serde_json::Map<String, Value> = stats
            .counters()
            .map(|(name, count)| (name.to_owned(), count.into()))
            .collect();
        let mut text = String::new();
        let _ = write!(text, "{stats}");
        Self {
            text,
            json: json!({ "stats": counters }),
        }
    }
}

/// The associations that are told of.
#[cfg(feature = "userland")]
pub fn open(stack: &StackHandle) -> Vec<AssociationSnapshot> {
    stack.associations().take(MOST).collect()
}
