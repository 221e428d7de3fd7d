//! What the public API may mention of other crates: `serde_json::Value` and serde's traits,
//! so that a release of any other crate is none of ours. Behind a feature, the crates that it
//! is named after.

use std::fs;
use std::path::{Path, PathBuf};

/// What the runtime depends on, or could, and must not show.
const HIDDEN: [&str; 15] = [
    "reqwest",
    "tokio",
    "rustls",
    "hyper",
    "http",
    "tower_layer",
    "tower_service",
    "reqwest_middleware",
    "bytes",
    "fastrand",
    "pin_project_lite",
    "tracing",
    "Map",
    "serde_json::Number",
    "serde_json::Error",
];

/// The crates of features, and the only files that name them: each is behind its feature.
const BEHIND_FEATURES: [(&str, &[&str]); 3] = [
    ("propagation.rs", &["http"]),
    (
        "propagation/layer.rs",
        &["http", "tower_layer", "tower_service"],
    ),
    ("propagation/middleware.rs", &["http", "reqwest_middleware"]),
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

#[test]
fn the_crates_of_a_feature_are_named_where_it_is() {
    let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("../llmobs-runtime/src");
    let mut files = Vec::new();
    sources(&runtime, &mut files);
    let mut seen = Vec::new();
    for file in &files {
        let name = file.strip_prefix(&runtime).unwrap().to_string_lossy();
        let text = fs::read_to_string(file).unwrap();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let code: Vec<&str> = code
            .flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && !"_:".contains(c)))
            .collect();
        for feature in ["http", "tower_layer", "tower_service", "reqwest_middleware"] {
            let path = format!("{feature}::");
            // The exporters are HTTP clients, and nothing of them is public.
            let is_hidden = name.ends_with("tests.rs") || name.starts_with("export/");
            if is_hidden || !code.iter().any(|word| word.starts_with(&path)) {
                continue;
            }
            let allowed = BEHIND_FEATURES.iter().find(|(file, _)| *file == name);
            let allowed = allowed.is_some_and(|(_, crates)| crates.contains(&feature));
            assert!(allowed, "{name} names {feature}");
            seen.push((name.clone().into_owned(), feature));
        }
    }
    let expected: usize = BEHIND_FEATURES.iter().map(|(_, crates)| crates.len()).sum();
    assert_eq!(seen.len(), expected, "{seen:?}");
}
