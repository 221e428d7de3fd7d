//! Wrong uses of the attributes do not compile, and say why at the token that is wrong.
//!
//! The text of the errors is the compiler's as much as ours and changes with it: it is
//! compared with `LLMOBS_UI_TEXT=1`, on one pinned toolchain; `TRYBUILD=overwrite` beside
//! it writes it anew. Without the variable, that they do not compile is enough.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Names the copies to the second run of this test.
const COPIES: &str = "LLMOBS_UI_COPIES";

#[test]
fn wrong_uses_do_not_compile() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
    let compare = env::var("LLMOBS_UI_TEXT").is_ok_and(|value| value == "1");
    match env::var_os(COPIES) {
        Some(copies) => compile(Path::new(&copies)),
        None if compare => compile(&sources),
        None => compile_without_texts(&sources),
    }
}

fn compile(folder: &Path) {
    let cases = trybuild::TestCases::new();
    cases.compile_fail(folder.join("*.rs"));
}

/// On copies, whose texts trybuild may write as it likes: it is told so by a variable,
/// which is set for a process of its own.
fn compile_without_texts(sources: &Path) {
    let output = Command::new(env::current_exe().unwrap())
        .args(["wrong_uses_do_not_compile", "--exact", "--nocapture"])
        .env(COPIES, copied(sources))
        .env("TRYBUILD", "overwrite")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
}

fn copied(sources: &Path) -> PathBuf {
    let copies = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ui");
    let _ = fs::remove_dir_all(&copies);
    fs::create_dir_all(&copies).unwrap();
    for entry in fs::read_dir(sources).unwrap() {
        let source = entry.unwrap().path();
        if source
            .extension()
            .is_some_and(|extension| extension == "rs")
        {
            fs::copy(&source, copies.join(source.file_name().unwrap())).unwrap();
        }
    }
    copies
}
