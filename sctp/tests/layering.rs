//! Modules import from lower layers only, and no two modules of a layer import each other, even indirectly. The layers
//! are the table on the front page of the crate.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Module to layer, from the table in `lib.rs`.
fn layers(lib: &str) -> BTreeMap<String, u32> {
    let mut layers = BTreeMap::new();
    for line in lib.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        let mut columns = line.split(" | ");
        let Some(layer) = columns.next().and_then(|number| number.parse().ok()) else {
            continue;
        };
        for name in columns.next().unwrap().split('`').skip(1).step_by(2) {
            assert!(
                layers.insert(name.to_owned(), layer).is_none(),
                "{name} is twice in the table"
            );
        }
    }
    layers
}

/// Name to module, from the re-exports in `lib.rs`.
fn re_exports(lib: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for (module, rest) in lib.split("pub use ").skip(1).filter_map(|item| item.split_once("::")) {
        let list = rest.split(';').next().unwrap().trim_matches(['{', '}']);
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            names.insert(name.to_owned(), module.to_owned());
        }
    }
    names
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
}

/// The code of a file without its tests and comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let mut code = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line == "#[cfg(test)]" {
            // A module of tests in the file ends the file; one in a file of its own is a line.
            if lines.peek().is_some_and(|next| next.trim_end().ends_with('{')) {
                break;
            }
            lines.next();
        } else if !line.starts_with("//") {
            code.push_str(line);
            code.push('\n');
        }
    }
    code
}

/// What follows each `crate::` in a text: the first name, or the first names of a list.
fn imported(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            names.insert(first_name(rest));
            continue;
        };
        let mut depth = 0;
        let mut start = 0;
        for (at, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    names.insert(first_name(list[start..at].trim()));
                    start = at + 1;
                    if c == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    names.remove("");
    names
}

fn first_name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Each module, and the modules that it imports.
fn imports() -> (BTreeMap<String, u32>, BTreeMap<String, BTreeSet<String>>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = fs::read_to_string(root.join("lib.rs")).unwrap();
    let (layers, names) = (layers(&lib), re_exports(&lib));
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        let inside = file.strip_prefix(&root).unwrap();
        let parts: Vec<String> = inside
            .components()
            .map(|part| part.as_os_str().to_string_lossy().into())
            .collect();
        if parts.iter().any(|part| part == "tests" || part == "tests.rs") || parts == ["lib.rs"] {
            continue;
        }
        let module = parts[0].trim_end_matches(".rs").to_owned();
        assert!(layers.contains_key(&module), "{module} is not in the table of lib.rs");
        for name in imported(&code(&file)) {
            let of = names.get(&name).unwrap_or(&name);
            assert!(
                layers.contains_key(of),
                "{}: {name} is in no module of the table",
                inside.display()
            );
            imports.entry(module.clone()).or_default().insert(of.clone());
        }
    }
    (layers, imports)
}

#[test]
fn imports_point_down() {
    let (layers, imports) = imports();
    for (module, used) in &imports {
        for other in used {
            assert!(
                layers[other] <= layers[module],
                "{module} imports {other} from a higher layer"
            );
        }
    }
    // The test would see an arrow if there was one: these are known to exist.
    assert!(imports["assoc"].contains("send") && imports["sim"].contains("stack"));
}

#[test]
fn modules_of_one_layer_do_not_import_each_other_in_a_circle() {
    let (layers, imports) = imports();
    for start in imports.keys() {
        let mut reached = BTreeSet::new();
        let mut open = vec![start];
        while let Some(module) = open.pop() {
            for next in imports.get(module).into_iter().flatten() {
                if layers[next] == layers[start] && next != module && reached.insert(next) {
                    open.push(next);
                }
            }
        }
        assert!(!reached.contains(start), "{start} imports itself through {reached:?}");
    }
}

#[test]
fn the_names_behind_crate_are_found_in_lists_too() {
    let text =
        "use crate::wire::{self, X};\nuse crate::{Instant, config::{A, B}, error::C};\nlet x = crate::path::f();";
    let names: Vec<String> = imported(text).into_iter().collect();
    assert_eq!(names, ["Instant", "config", "error", "path", "wire"]);
    let names = re_exports("pub use stack::{\n    AssocId, Stack,\n};\npub use time::Instant;");
    assert_eq!(names["Stack"], "stack");
    assert_eq!(names["Instant"], "time");
}
