//! The attributes add no lint to the user's code and take none from it: a file of functions is
//! checked as it is and without its attributes, and both are told the same, by the compiler and by
//! clippy. In three editions, with the feature `enabled` and without, and where the crate has another
//! name.
//!
//! clippy sees the functions as the user wrote them (`#[cfg(clippy)]`), so the lints of the compiler are
//! asked for without it as well.
//!
//! Without clippy the compiler's are compared alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const SAMPLE: &str = include_str!("sample.rs");
const EDITIONS: [&str; 3] = ["2018", "2021", "2024"];

/// What is warned about; rustc's own are those that are allowed by default.
///
/// Some deny all of clippy's restrictions.
const LINTS: &str = "#![warn(
    clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction, unused,
    let_underscore_drop, missing_debug_implementations, redundant_lifetimes,
    rust_2018_idioms, rust_2021_compatibility, single_use_lifetimes, trivial_casts,
    trivial_numeric_casts, unit_bindings, unnameable_types, unreachable_pub,
    unsafe_op_in_unsafe_fn, unused_import_braces, unused_lifetimes, unused_qualifications,
    unused_results, variant_size_differences
)]

pub mod annotated;
pub mod bare;
";

/// Lints that the sample is there for: without them it would show nothing.
const SEEN: [&str; 8] = [
    "dead_code",
    "unreachable_code",
    "unused_assignments",
    "unused_must_use",
    "unused_mut",
    "unused_parens",
    "unused_results",
    "unused_variables",
];

/// Those of clippy, of each of its groups. Some fall silent where the body stands in a closure or a future.
const SEEN_BY_CLIPPY: [&str; 34] = [
    "clippy::absolute_paths",
    "clippy::arithmetic_side_effects",
    "clippy::as_conversions",
    "clippy::cast_possible_truncation",
    "clippy::dbg_macro",
    "clippy::future_not_send",
    "clippy::implicit_return",
    "clippy::indexing_slicing",
    "clippy::let_and_return",
    "clippy::manual_async_fn",
    "clippy::min_ident_chars",
    "clippy::missing_const_for_fn",
    "clippy::missing_docs_in_private_items",
    "clippy::missing_errors_doc",
    "clippy::missing_panics_doc",
    "clippy::must_use_candidate",
    "clippy::needless_lifetimes",
    "clippy::needless_pass_by_value",
    "clippy::needless_return",
    "clippy::print_stdout",
    "clippy::ptr_arg",
    "clippy::question_mark_used",
    "clippy::shadow_reuse",
    "clippy::shadow_same",
    "clippy::shadow_unrelated",
    "clippy::single_call_fn",
    "clippy::std_instead_of_core",
    "clippy::todo",
    "clippy::too_many_arguments",
    "clippy::trivially_copy_pass_by_ref",
    "clippy::unimplemented",
    "clippy::unnecessary_wraps",
    "clippy::unused_async",
    "clippy::unwrap_used",
];

/// A lint and the line of the sample that it is about.
type Told = BTreeSet<(String, u64)>;

/// The sample with each attribute of ours as a comment, so that lines stay what they are.
fn bare() -> String {
    let lines = SAMPLE.lines().map(|line| match line.trim_start() {
        attribute if attribute.starts_with("#[llmobs::") => "//",
        _ => line,
    });
    lines.map(|line| format!("{line}\n")).collect()
}

/// The sample under another name of the crate.
fn renamed() -> String {
    let attributed = |rest: &str| {
        let (kind, arguments) = rest.split_at(rest.find(['(', ']']).unwrap());
        match arguments.strip_prefix('(') {
            Some(arguments) => format!("#[observe::{kind}(crate = observe, {arguments}"),
            None => format!("#[observe::{kind}(crate = observe)]"),
        }
    };
    let lines = SAMPLE.lines().map(|line| {
        let attribute = line.trim_start().strip_prefix("#[llmobs::");
        attribute.map_or_else(|| line.to_owned(), attributed) + "\n"
    });
    lines.collect()
}

/// A workspace of packages that hold the sample, in a folder of its own.
struct Samples {
    folder: PathBuf,
}

impl Samples {
    fn write() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lints");
        let samples = Self { folder };
        samples.file(
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"*-*\"]\n",
        );
        // The versions that are here already.
        let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap();
        samples.file("Cargo.lock", &lock);
        for edition in EDITIONS {
            samples.package(
                root,
                &format!("edition-{edition}"),
                edition,
                "llmobs",
                SAMPLE,
            );
        }
        samples.package(root, "crate-renamed", "2024", "observe", &renamed());
        samples
    }

    fn package(&self, root: &Path, name: &str, edition: &str, llmobs: &str, annotated: &str) {
        let manifest = format!(
            "[package]\nname = {name:?}\nversion = \"0.0.0\"\nedition = {edition:?}\n\
             [features]\nenabled = [\"{llmobs}/enabled\"]\n\
             [dependencies.{llmobs}]\npackage = \"llmobs\"\npath = {root:?}\n\
             default-features = false\n"
        );
        self.file(&format!("{name}/Cargo.toml"), &manifest);
        self.file(&format!("{name}/src/lib.rs"), LINTS);
        self.file(&format!("{name}/src/bare.rs"), &bare());
        self.file(&format!("{name}/src/annotated.rs"), annotated);
    }

    /// Leaves alone what is the same, so that cargo has nothing to do again.
    fn file(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        if fs::read_to_string(&path).ok().as_deref() != Some(text) {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    /// What `cargo check` or `cargo clippy` tells of each package.
    fn check(&self, command: &str, arguments: &[&str]) -> Vec<Value> {
        let output = Command::new(env!("CARGO"))
            .args([command, "--workspace", "--offline", "--message-format=json"])
            .args(arguments)
            .arg("--target-dir")
            .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap())
            .current_dir(&self.folder)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        let text = String::from_utf8(output.stdout).unwrap();
        let messages = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let messages: Vec<Value> = messages.collect();
        let errors = messages
            .iter()
            .filter(|one| one["message"]["level"] == "error");
        let errors: Vec<_> = errors.map(|one| &one["message"]["rendered"]).collect();
        assert!(output.status.success(), "{told}\n{errors:#?}");
        messages
    }
}

/// What is told of `file` in `package`.
fn told(messages: &[Value], package: &str, file: &str) -> Told {
    let mut told = Told::new();
    for message in messages {
        let path = message["target"]["src_path"].as_str().unwrap_or_default();
        let Some(code) = message["message"]["code"]["code"].as_str() else {
            continue;
        };
        for span in message["message"]["spans"].as_array().unwrap() {
            let here = span["file_name"].as_str().unwrap().ends_with(file);
            if path.contains(package) && here && span["is_primary"] == true {
                told.insert((code.to_owned(), span["line_start"].as_u64().unwrap()));
            }
        }
    }
    told
}

fn has_clippy() -> bool {
    let version = Command::new(env!("CARGO"))
        .args(["clippy", "--version"])
        .output();
    version.is_ok_and(|output| output.status.success())
}

#[test]
fn annotated_functions_are_told_what_the_bare_ones_are() {
    let samples = Samples::write();
    let mut commands = vec![("check", &SEEN[..])];
    if has_clippy() {
        commands.push(("clippy", &SEEN_BY_CLIPPY[..]));
    } else {
        eprintln!("without clippy, which is not installed");
    }
    for (command, seen) in commands {
        for enabled in [true, false] {
            let features = ["--features", "enabled"];
            let messages = samples.check(command, if enabled { &features } else { &[] });
            let packages = EDITIONS.map(|edition| format!("edition-{edition}"));
            for package in packages.iter().map(String::as_str).chain(["crate-renamed"]) {
                let bare = told(&messages, package, "bare.rs");
                let is_told = |lint: &&&str| bare.iter().any(|(told, _)| told == **lint);
                let silent: Vec<_> = seen.iter().filter(|lint| !is_told(lint)).collect();
                assert!(silent.is_empty(), "{package}, {command}: {silent:#?}");
                let mut annotated = told(&messages, package, "annotated.rs");
                // A closure that stands in an attribute is the user's code as well.
                annotated.retain(|(lint, line)| {
                    let text = SAMPLE.lines().nth(usize::try_from(*line).unwrap() - 1);
                    lint != "clippy::implicit_return" || !text.unwrap().contains("output = |")
                });
                let more: Vec<_> = annotated.difference(&bare).collect();
                let less: Vec<_> = bare.difference(&annotated).collect();
                let case = format!("{package}, {command}, enabled {enabled}");
                assert!(more.is_empty(), "{case}, more: {more:#?}");
                assert!(less.is_empty(), "{case}, less: {less:#?}");
            }
        }
    }
}
