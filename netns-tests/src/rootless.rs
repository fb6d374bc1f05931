//! Tests that need a root's rights over networks of their own, for users who are not root.

use std::env;
use std::process::Command;

use crate::require;

/// Runs the body of a test, which must be a closure in the test's own function.
///
/// Where this process is not root, the test runs once more in a process that is root in a user namespace, if the system
/// allows that; if not, it is skipped, with a `skipped` line. Network namespaces that it makes are its own there, so
/// that it may do all with them that root could.
///
/// # Panics
///
/// If the test does.
pub fn as_root<F: FnOnce()>(body: F) {
    if require::is_root() {
        body();
        return;
    }
    let Some(unshare) = require::tool("unshare") else {
        return;
    };
    let possible = Command::new(&unshare)
        .args(["--user", "--map-root-user", "true"])
        .output();
    if !possible.is_ok_and(|output| output.status.success()) {
        require::skip("neither root, nor are there user namespaces");
        return;
    }
    let test = test_name(std::any::type_name::<F>());
    let program = env::current_exe().unwrap_or_else(|error| panic!("this program: {error}"));
    let status = Command::new(unshare)
        .args(["--user", "--map-root-user"])
        .arg(program)
        .args([test, "--exact", "--include-ignored", "--nocapture"])
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "{test} fails in a user namespace"
    );
}

/// The name of the test that a closure's type names: `crate::module::test::{{closure}}`.
fn test_name(closure: &str) -> &str {
    let path = closure.split_once("::").map_or(closure, |(_, path)| path);
    path.split("::{{").next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::Namespace;

    #[test]
    fn a_closure_names_its_test() {
        fn name<F: FnOnce()>(_: F) -> &'static str {
            test_name(std::any::type_name::<F>())
        }
        assert_eq!(name(|| ()), "rootless::tests::a_closure_names_its_test");
    }

    #[test]
    fn networks_can_be_had_by_anybody() {
        as_root(|| {
            let Some(namespace) = Namespace::new() else { return };
            namespace.run("ip link add dummy type bridge");
        });
    }
}
