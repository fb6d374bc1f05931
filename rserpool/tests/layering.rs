//! Modules import from below only.

use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom to the top. A module may name those before it, and itself.
const LAYERS: [&str; 17] = [
    "ids",
    "net",
    "wire",
    "config",
    "policy",
    "handlespace",
    "registrar",
    "outbox",
    "asap",
    "cache",
    "session",
    "service",
    "element",
    "user",
    "sim",
    "driver",
    "api",
];

/// Only tests use these, so they may use anything.
const TESTS: [&str; 2] = ["testing", "hostile"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| *layer == module)
}

#[test]
fn modules_import_from_below_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut imports = 0;
    for file in files {
        let relative = file.strip_prefix(&src).unwrap();
        let first = relative.iter().next().unwrap().to_str().unwrap();
        let module = first.strip_suffix(".rs").unwrap_or(first);
        if module == "lib" || TESTS.contains(&module) {
            continue;
        }
        let own = layer(module).unwrap_or_else(|| panic!("{module} has no place in the layers"));
        let text = fs::read_to_string(&file).unwrap();
        // Tests stand at the end of their file, or in files of their own.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let is_test = relative.iter().any(|part| part.to_str().unwrap().starts_with("tests"));
        for name in code.split("crate::").skip(1) {
            let name: String = name
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect();
            if is_test || TESTS.contains(&name.as_str()) {
                continue;
            }
            let imported = layer(&name).unwrap_or_else(|| panic!("{relative:?}: {name} has no place in the layers"));
            assert!(imported <= own, "{relative:?} imports {name} from above");
            imports += 1;
        }
    }
    assert!(imports > 100, "only {imports} imports found");
}
