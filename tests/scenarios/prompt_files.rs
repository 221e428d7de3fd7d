//! `prompt!(file = …)`: what is in the file is checked at the first use, and never stops it.

use std::fmt::Display;

use llmobs::{Prompt, prompt};
use tracing::Level;

use crate::log;

fn translate(text: &str) -> Prompt {
    prompt!(file = "prompts/translate.txt", text, lang = "French")
}

#[test]
fn a_file_that_fits_is_used_as_it_is_and_nothing_is_said() {
    log::keep();
    let prompt = translate("good morning");
    assert_eq!(prompt.id(), "translate");
    assert_eq!(prompt.text(), "Translate good morning to French.\n");
    let named = prompt!("t", file = "prompts/translate.txt", text = 1, lang = 2);
    assert_eq!((named.id(), &*named.text()), ("t", "Translate 1 to 2.\n"));
    let path = prompt!(
        "t",
        file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/scenarios/prompts/translate.txt"
        ),
        text = 1,
        lang = 2
    );
    assert_eq!(path, named);
    assert_eq!(log::lines_with("translate.txt"), []);
}

#[test]
fn what_does_not_fit_is_told_once_for_each_call_site_and_the_text_goes_on() {
    fn first(text: impl Display) -> String {
        prompt!(file = "prompts/unfit.txt", text, lang = "French").text()
    }
    log::keep();
    for _ in 0..3 {
        assert_eq!(first("hello"), "Say {{what}} and hello {{ lang");
    }
    // The same place in the source, with another type.
    assert_eq!(first(1), "Say {{what}} and 1 {{ lang");
    let lines = log::lines_with("prompts/unfit.txt");
    let [(level, line)] = &lines[..] else {
        panic!("{lines:#?}");
    };
    assert_eq!(*level, Level::WARN);
    let told =
        "no variable for `{{what}}`; `{{ lang` is not closed; no place for the variable `lang`";
    assert!(line.ends_with(told), "{line}");
    let place = format!(
        "the template prompts/unfit.txt does not fit its `prompt!` at {}:",
        file!()
    );
    assert!(line.contains(&place), "{line}");

    let second = prompt!("u", file = "prompts/unfit.txt", what = 1, text = 2);
    assert_eq!(second.text(), "Say 1 and 2 {{ lang");
    assert_eq!(log::lines_with("prompts/unfit.txt").len(), 2);
}

#[test]
fn a_prompt_of_a_file_that_does_not_fit_is_sent_all_the_same() {
    use llmobs::{Annotation, Config, Destination, Memory, Span};

    log::keep();
    let memory = Memory::new();
    let config = Config::new()
        .ml_app("files")
        .destination(Destination::Memory(memory.clone()));
    let client = config.build().unwrap();
    client.scope(|| {
        let span = Span::llm("l").start();
        let prompt = prompt!(file = "prompts/left_out.txt", tune = "mild");
        span.annotate(Annotation::new().prompt(prompt)).unwrap();
    });
    client.shutdown(std::time::Duration::from_secs(60)).unwrap();
    let prompt = &memory.spans()[0]["meta"]["input"]["prompt"];
    assert_eq!(prompt["id"], "left_out");
    assert_eq!(prompt["template"], "A {{tone}} answer.");
    assert_eq!(prompt["variables"]["tune"], "mild");
}

#[test]
fn the_macro_and_the_runtime_read_templates_by_the_same_rules() {
    let macros = include_str!("../../llmobs-macros/src/prompt/places.rs");
    let runtime = include_str!("../../llmobs-runtime/src/prompt/places.rs");
    assert!(
        macros == runtime,
        "change both files, so that they are the same"
    );
}
