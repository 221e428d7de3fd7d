//! Wrong uses of the attributes do not compile, and say why at the token that is wrong.
//!
//! The text of the errors is the compiler's as much as ours and changes with it: it is
//! compared with `LLMOBS_UI_TEXT=1`, on one pinned toolchain; `TRYBUILD=overwrite` beside
//! it writes it anew. Without the variable, that they do not compile is enough.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn wrong_uses_do_not_compile() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
    let compare = std::env::var("LLMOBS_UI_TEXT").is_ok_and(|value| value == "1");
    let folder = if compare {
        sources
    } else {
        without_texts(&sources)
    };
    let cases = trybuild::TestCases::new();
    cases.compile_fail(folder.join("*.rs"));
}

/// A copy of the sources alone: trybuild compares no text that is not there.
fn without_texts(sources: &Path) -> PathBuf {
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
