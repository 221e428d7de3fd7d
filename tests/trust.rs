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

/// The features of each crate that are on in llmobs' own tree, without those of tests.
fn features(more: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let mut arguments = vec!["tree", "-p", "llmobs", "-e", "normal", "--prefix", "none"];
    arguments.extend(["--format", "{p}|{f}", "--locked"]);
    arguments.extend(more);
    let mut features: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in cargo(&arguments).lines() {
        let (package, on) = line.split_once('|').unwrap();
        let name = package.split(' ').next().unwrap();
        let on = on.split(' ').next().unwrap_or_default().split(',');
        let on = on.filter(|feature| !feature.is_empty()).map(str::to_owned);
        features.entry(name.to_owned()).or_default().extend(on);
    }
    features
}

/// A program with two providers has no default one, and panics where it asks for that.
#[test]
fn llmobs_turns_on_no_provider_of_rustls() {
    for more in [&[][..], &["--all-features"]] {
        let features = features(more);
        let on = |name: &str| {
            features[name]
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
        };
        assert_eq!(on("rustls"), ["std", "tls12"], "{more:?}");
        assert_eq!(on("rustls-webpki"), ["alloc", "std"], "{more:?}");
        assert!(on("tokio-rustls").is_empty(), "{more:?}");
        assert!(!features.contains_key("aws-lc-rs"), "{more:?}");
    }
    // Features of reqwest that are on are on for the clients of the program.
    assert!(!features(&[]).contains_key("reqwest"));
    let reqwest = &features(&["--all-features"])["reqwest"];
    assert!(reqwest.is_empty(), "{reqwest:?}");
}

#[test]
fn every_feature_that_is_on_in_a_shared_crate_has_a_row_that_says_why_no_program_notices() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, section) = text.split_once("\n## Features of shared crates\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in section
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
    {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [names, on, reason] = cells[..] else {
            panic!("{line}")
        };
        assert!(reason.len() > 3, "{names} has no reason");
        for name in names.split(", ") {
            let on = on.split(", ").map(str::to_owned).collect();
            assert!(told.insert(name.to_owned(), on).is_none(), "{name} twice");
        }
    }
    let mut found = features(&[]);
    found.retain(|name, on| !on.is_empty() && !name.starts_with("llmobs"));
    assert!(found.len() > 20, "the tree was looked at: {found:?}");
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        told.keys().collect::<Vec<_>>(),
        "the crates in ARCHITECTURE.md, \"Features of shared crates\""
    );
    for (name, on) in &found {
        assert_eq!(&told[name], on, "the row of {name} in ARCHITECTURE.md");
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
