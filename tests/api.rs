//! What the public API may mention of other crates: `serde_json::Value` and serde's traits,
//! so that a release of any other crate is none of ours.

use std::fs;
use std::path::{Path, PathBuf};

/// What the runtime depends on, or could, and must not show.
const HIDDEN: [&str; 12] = [
    "reqwest",
    "tokio",
    "rustls",
    "hyper",
    "http",
    "bytes",
    "fastrand",
    "pin_project_lite",
    "tracing",
    "Map",
    "serde_json::Number",
    "serde_json::Error",
];

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

/// The public declarations of a file, without bodies: what a user can see of it.
fn declarations(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let starts = [
        "pub fn ",
        "pub async fn ",
        "pub struct ",
        "pub type ",
        "pub use ",
        "pub const ",
    ];
    let impls = ["impl From<", "impl<T: ", "impl Into<", "impl TryFrom<"];
    code.lines().enumerate().filter_map(move |(number, line)| {
        let line = line.trim_start();
        let shown = starts
            .iter()
            .chain(&impls)
            .any(|start| line.starts_with(start));
        let from = code
            .lines()
            .take(number)
            .map(|line| line.len() + 1)
            .sum::<usize>();
        let rest = code.get(from..)?;
        let end = rest.find(['{', ';']).unwrap_or(rest.len());
        shown.then_some(&rest[..end])
    })
}

#[test]
fn no_type_of_another_crate_is_in_the_public_api() {
    let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("../llmobs-runtime/src");
    let mut files = Vec::new();
    sources(&runtime, &mut files);
    let is_public = |path: &PathBuf| {
        // What is not reachable from outside may use what it likes.
        let inside = [
            "worker",
            "export",
            "__private",
            "capture",
            "offline",
            "config",
        ];
        let name = path
            .strip_prefix(&runtime)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        name == "export/memory.rs"
            || !inside
                .iter()
                .any(|room| name.starts_with(&format!("{room}/")))
    };
    for shown in ["testing.rs", "testing/finished.rs", "testing/span.rs"] {
        let path = runtime.join(shown);
        assert!(files.contains(&path) && is_public(&path), "{shown}");
    }
    let mut seen = 0;
    for file in files.iter().filter(|file| is_public(file)) {
        let text = fs::read_to_string(file).unwrap();
        for declaration in declarations(&text) {
            seen += 1;
            let words: Vec<&str> = declaration
                .split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
                .collect();
            for hidden in HIDDEN {
                let path = format!("{hidden}::");
                let shows = words
                    .iter()
                    .any(|word| *word == hidden || word.starts_with(&path));
                assert!(!shows, "{}: {hidden} in\n{declaration}", file.display());
            }
        }
    }
    assert!(seen > 150, "{seen} declarations: the files were not read");
}
