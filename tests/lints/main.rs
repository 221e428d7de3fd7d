//! The attributes add no lint to the user's code and take none of the compiler's from it:
//! a file of functions is checked as it is and without its attributes, and both are told
//! the same. In three editions, with the feature `enabled` and without, and where the
//! crate has another name.
//!
//! Needs clippy; without it the test says so and passes.

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
const SEEN: [&str; 12] = [
    "clippy::missing_errors_doc",
    "clippy::missing_panics_doc",
    "clippy::needless_pass_by_value",
    "clippy::needless_return",
    "clippy::too_many_arguments",
    "dead_code",
    "unreachable_code",
    "unused_assignments",
    "unused_must_use",
    "unused_mut",
    "unused_parens",
    "unused_variables",
];

/// What clippy has nothing to say of where the body stands in a closure or a future: whether it could
/// be `const`, which it cannot with a span; whether its value must be used; and what it says of an
/// argument that is not captured, or of a future that is not instrumented.
const KEPT_TO_ITSELF: [&str; 10] = [
    "clippy::implicit_return",
    "clippy::manual_async_fn",
    "clippy::missing_const_for_fn",
    "clippy::must_use_candidate",
    "clippy::needless_lifetimes",
    "clippy::needless_pass_by_value",
    "clippy::needless_return",
    "clippy::ptr_arg",
    "clippy::unnecessary_wraps",
    "clippy::unused_async",
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

    /// What clippy tells of each package.
    fn clippy(&self, arguments: &[&str]) -> Vec<Value> {
        let output = Command::new(env!("CARGO"))
            .args([
                "clippy",
                "--workspace",
                "--offline",
                "--message-format=json",
            ])
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
    if !has_clippy() {
        eprintln!("skipped: clippy is not installed");
        return;
    }
    let samples = Samples::write();
    for enabled in [true, false] {
        let features = ["--features", "enabled"];
        let messages = samples.clippy(if enabled { &features } else { &[] });
        let packages = EDITIONS.map(|edition| format!("edition-{edition}"));
        for package in packages.iter().map(String::as_str).chain(["crate-renamed"]) {
            let bare = told(&messages, package, "bare.rs");
            for lint in SEEN {
                assert!(bare.iter().any(|(told, _)| told == lint), "{lint}");
            }
            let mut annotated = told(&messages, package, "annotated.rs");
            // A closure that stands in an attribute is the user's code as well.
            annotated.retain(|(lint, line)| {
                let text = SAMPLE.lines().nth(usize::try_from(*line).unwrap() - 1);
                lint != "clippy::implicit_return" || !text.unwrap().contains("output = |")
            });
            let more: Vec<_> = annotated.difference(&bare).collect();
            assert!(more.is_empty(), "{package}, enabled {enabled}: {more:#?}");
            let mut less: Vec<_> = bare.difference(&annotated).collect();
            less.retain(|(lint, _)| !(enabled && KEPT_TO_ITSELF.contains(&lint.as_str())));
            assert!(less.is_empty(), "{package}, enabled {enabled}: {less:#?}");
        }
    }
}
