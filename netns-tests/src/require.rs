//! What a test needs and a machine may lack.

use std::env;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The full path of a program in `PATH`, or in the folders for administrators' programs that it often leaves out.
///
/// `None`, and a `skipped` line, without it.
pub fn tool(name: &str) -> Option<PathBuf> {
    let found = find(name, env::var_os("PATH").as_deref().unwrap_or_default());
    if found.is_none() {
        skip(&format!("{name} is not installed"));
    }
    found
}

/// Whether this process is root; if not, a `skipped` line.
pub fn root() -> bool {
    let is_root = is_root();
    if !is_root {
        skip("not root");
    }
    is_root
}

pub(crate) fn is_root() -> bool {
    // The owner of the process's own folder in /proc is its effective user.
    let uid = std::fs::metadata("/proc/self").map(|meta| std::os::unix::fs::MetadataExt::uid(&meta));
    matches!(uid, Ok(0))
}

/// Says that the running test does not run, and why.
///
/// # Panics
///
/// With `TESTS_REQUIRE=all` in the environment.
pub fn skip(reason: &str) {
    let current = std::thread::current();
    let test = current.name().unwrap_or("test");
    if env::var_os("TESTS_REQUIRE").is_some_and(|value| value == "all") {
        panic!("{test} must run here, as TESTS_REQUIRE=all says: {reason}");
    }
    say(&format!("skipped: {test}: {reason}"));
}

/// Prints a line that is seen also if the test passes.
pub fn say(line: &str) {
    // Straight to the descriptor: the test harness swallows what `eprintln!` prints in a test that passes.
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn find(name: &str, path: &OsStr) -> Option<PathBuf> {
    env::split_paths(path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_in_the_path_and_beside_it() {
        let sh = find("sh", OsStr::new("/nonexistent:/bin")).unwrap();
        assert_eq!(sh, Path::new("/bin/sh"));
        assert_eq!(find("no-such-program", OsStr::new("/bin")), None);
        assert_eq!(find("passwd", OsStr::new("/etc")), None, "not executable");
    }
}
