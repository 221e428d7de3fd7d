//! Wrong uses of the attributes do not compile, and say why at the token that is wrong.
//!
//! The text of the errors is the compiler's as much as ours and changes with it: it is
//! compared with `LLMOBS_UI_TEXT=1`, on one pinned toolchain; `TRYBUILD=overwrite` beside
//! it writes it anew. Without the variable, that they do not compile is enough.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

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

/// Where the attributes' messages are. That of a panic of ours (`fallback.rs`) has a unit
/// test: there is no function that leads to one.
const SOURCES: [&str; 4] = ["attr.rs", "names.rs", "signature.rs", "valid.rs"];

/// String literals that are looked for whole: they become part of some message.
fn literals(tokens: TokenStream, found: &mut BTreeSet<String>) {
    let mut attribute = false;
    for tree in tokens {
        let of_attribute = std::mem::take(&mut attribute);
        match tree {
            TokenTree::Punct(punct) => {
                attribute = punct.as_char() == '#' || of_attribute && punct.as_char() == '!';
            }
            // Documentation is one.
            TokenTree::Group(group) if of_attribute && group.delimiter() == Delimiter::Bracket => {}
            TokenTree::Group(group) => literals(group.stream(), found),
            TokenTree::Literal(literal) => {
                if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                    found.insert(text.value());
                }
            }
            TokenTree::Ident(_) => {}
        }
    }
}

/// What a message says whatever is filled in: `` `{key}` is empty `` is `` ` `` and
/// `` ` is empty ``.
fn fixed_parts(message: &str) -> impl Iterator<Item = &str> {
    let parts = message.split('{').enumerate();
    parts.map(|(index, part)| match part.split_once('}') {
        Some((_, rest)) if index > 0 => rest,
        _ => part,
    })
}

/// Whether the parts of the message stand in one line of an error, in their order.
fn is_told(message: &str, errors: &[String]) -> bool {
    errors.iter().any(|error| {
        let mut rest = error.as_str();
        fixed_parts(message).all(|part| match rest.split_once(part) {
            Some((_, behind)) => {
                rest = behind;
                true
            }
            None => false,
        })
    })
}

#[test]
fn every_message_of_the_attributes_is_that_of_a_file_in_ui() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut errors = Vec::new();
    for entry in fs::read_dir(tests.join("ui")).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "stderr")
        {
            let text = fs::read_to_string(path).unwrap();
            let lines = text.lines().filter(|line| line.starts_with("error: "));
            errors.extend(lines.map(str::to_owned));
        }
    }
    let mut messages = BTreeSet::new();
    for source in SOURCES {
        let path = tests.join("../llmobs-macros/src").join(source);
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        literals(code.parse().unwrap(), &mut messages);
    }
    // The rest are words of the language, and names of ours that are in these messages.
    messages.retain(|literal| literal.contains(' '));
    assert!(messages.len() > 40, "{messages:#?}");
    messages.retain(|message| !is_told(message, &errors));
    assert!(
        messages.is_empty(),
        "no file in tests/ui shows these: {messages:#?}"
    );
}
