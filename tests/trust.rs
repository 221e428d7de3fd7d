//! What the default tree consists of: what runs on a machine that builds it, and what has unsafe code, stands in
//! ARCHITECTURE.md with the reason why it is trusted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Name and version of each crate of the default tree, on any platform's way through it that this one takes.
fn default_tree() -> BTreeSet<(String, String)> {
    let tree = cargo(&[
        "tree",
        "-p",
        "llmobs",
        "-e",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
        "--locked",
    ]);
    let crates = tree.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
        Some((name.to_owned(), version.to_owned()))
    });
    crates.collect()
}

/// Whether a file has unsafe code: a block, a function, an implementation.
fn is_unsafe(code: &str) -> bool {
    code.lines().any(|line| {
        let line = line.split("//").next().unwrap_or_default();
        line.split("unsafe").skip(1).any(|rest| {
            let rest = rest.trim_start();
            ["{", "fn ", "impl", "trait ", "extern "]
                .iter()
                .any(|next| rest.starts_with(next))
        })
    })
}

fn has_unsafe(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    entries.map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            has_unsafe(&path)
        } else {
            path.extension().is_some_and(|extension| extension == "rs")
                && is_unsafe(&String::from_utf8_lossy(&fs::read(&path).unwrap()))
        }
    })
}

/// What a crate does that needs trust: `build script`, `macro`, `unsafe`, in this order.
fn powers() -> BTreeMap<String, Vec<&'static str>> {
    let tree = default_tree();
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--locked"])).unwrap();
    let mut found = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let text = |field: &str| package[field].as_str().unwrap().to_owned();
        // Ours forbid unsafe code, or deny it.
        if package["source"].is_null() || !tree.contains(&(text("name"), text("version"))) {
            continue;
        }
        let kinds: BTreeSet<&str> = package["targets"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|target| target["kind"].as_array().unwrap())
            .filter_map(Value::as_str)
            .collect();
        let manifest = text("manifest_path");
        let sources = Path::new(&manifest).with_file_name("src");
        let powers: Vec<&str> = [
            (kinds.contains("custom-build"), "build script"),
            (kinds.contains("proc-macro"), "macro"),
            (has_unsafe(&sources), "unsafe"),
        ]
        .into_iter()
        .filter_map(|(has, power)| has.then_some(power))
        .collect();
        if !powers.is_empty() {
            found.insert(text("name"), powers);
        }
    }
    found
}

/// The rows of the table: a crate, its powers, the reason.
fn table() -> BTreeMap<String, (String, String)> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, section) = text.split_once("\n## Trust\n").expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut rows = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [names, powers, reason] = cells[..] else {
            panic!("{line}")
        };
        for name in names.split(", ").filter(|&name| name != "crate") {
            let row = (powers.to_owned(), reason.to_owned());
            assert!(
                rows.insert(name.to_owned(), row).is_none(),
                "{name} has two rows"
            );
        }
    }
    rows
}

#[test]
fn every_crate_with_a_build_script_a_macro_or_unsafe_code_has_a_row_that_says_why_it_is_trusted() {
    let (powers, table) = (powers(), table());
    assert!(powers.len() > 40, "the tree was looked at: {powers:?}");
    let told: BTreeMap<&String, String> = table
        .iter()
        .map(|(name, (powers, _))| (name, powers.clone()))
        .collect();
    let found: BTreeMap<&String, String> = powers
        .iter()
        .map(|(name, powers)| (name, powers.join(", ")))
        .collect();
    for (name, powers) in &found {
        assert_eq!(
            told.get(name),
            Some(powers),
            "the row of {name} in ARCHITECTURE.md, \"Trust\""
        );
    }
    for name in told.keys() {
        // Those of another platform may stand there as well.
        assert!(
            found.contains_key(*name) || table[*name].1.contains("on "),
            "{name} is not in the tree"
        );
    }
    for (name, (_, reason)) in &table {
        assert!(reason.len() > 10, "{name} has no reason");
    }
}

#[test]
fn nothing_in_the_tree_unpacks_what_a_server_sends() {
    let tree = default_tree();
    for name in [
        "async-compression",
        "flate2",
        "miniz_oxide",
        "brotli",
        "zstd",
        "zstd-safe",
    ] {
        assert!(!tree.iter().any(|(known, _)| known == name), "{name}");
    }
}

#[test]
fn unsafe_code_is_told_from_words_about_it() {
    for code in [
        "unsafe {",
        "  let a = unsafe { b };",
        "pub unsafe fn f()",
        "unsafe impl Send for T {}",
        "unsafe extern \"C\" {",
    ] {
        assert!(is_unsafe(code), "{code}");
    }
    for code in [
        "#![forbid(unsafe_code)]",
        "// unsafe { }",
        "an unsafe thing",
        "unsafely()",
    ] {
        assert!(!is_unsafe(code), "{code}");
    }
}
