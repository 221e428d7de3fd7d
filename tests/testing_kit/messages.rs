//! What a failed assertion says.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use llmobs::testing::{self, Finished};
use llmobs::{Annotation, Config, Evaluation, Span, SpanKind};

fn finished() -> Finished {
    let llmobs = testing::client_with(Config::new().ml_app("app").service("web"));
    llmobs.scope(|| {
        let _in = Span::workflow("answer").start().enter();
        let ask = Span::llm("ask").start();
        let said = Annotation::new().input(("user", "Hello")).output("Hi");
        let said = said.metric("input_tokens", 7).metadata("temperature", 0.5);
        ask.annotate(said).unwrap();
        let evaluation = Evaluation::new("polite", true);
        llmobs::submit_evaluation(&ask, evaluation.clone()).unwrap();
        llmobs::submit_evaluation(&ask, Evaluation::new("twice", true)).unwrap();
        llmobs::submit_evaluation(&ask, Evaluation::new("twice", true)).unwrap();
        let error = "x".parse::<u8>().unwrap_err();
        Span::tool("count")
            .start()
            .finish_with_error(&error)
            .unwrap();
        drop(Span::tool("list").start());
        drop(Span::tool("list").start());
    });
    llmobs.finished()
}

fn message(failing: impl FnOnce(&Finished)) -> String {
    let finished = finished();
    let payload: Box<dyn Any + Send> =
        catch_unwind(AssertUnwindSafe(|| failing(&finished))).unwrap_err();
    *payload.downcast::<String>().unwrap()
}

type Failing = fn(&Finished);

const TREE: &str = "workflow answer\n  llm ask\n  tool count [error]\n  tool list\n  tool list\n";

fn assert_says(failing: impl FnOnce(&Finished), expected: &str) {
    let expected = format!("{expected}\n\n{TREE}");
    assert_eq!(message(failing), expected);
}

#[test]
fn a_name_that_is_not_there_shows_what_is() {
    assert_says(
        |finished| {
            finished.span("aks");
        },
        r#"no span "aks" has ended, but there are"#,
    );
    let none = testing::client().finished();
    let payload = catch_unwind(AssertUnwindSafe(|| none.span("ask").name())).unwrap_err();
    let message = payload.downcast_ref::<String>().unwrap();
    assert_eq!(
        message,
        r#"no span "ask": no span has ended that was started in the client's scope"#
    );
}

#[test]
fn a_name_of_several_says_how_to_get_them() {
    assert_says(
        |finished| {
            finished.span("list");
        },
        r#"2 spans have the name "list", and `spans_named` gives them all, in"#,
    );
}

#[test]
fn an_assertion_shows_what_the_span_has_instead() {
    let cases: [(Failing, &str); 12] = [
        (
            |all| {
                all.span("ask").assert_kind(SpanKind::Tool);
            },
            r#"llm span "ask": its kind is llm, expected tool, in"#,
        ),
        (
            |all| {
                all.span("ask").assert_input("Bye");
            },
            r#"llm span "ask": its input is "user: Hello", expected "Bye", in"#,
        ),
        (
            |all| {
                all.span("ask").assert_output("Bye");
            },
            r#"llm span "ask": its output is "Hi", expected "Bye", in"#,
        ),
        (
            |all| {
                all.span("ask").assert_metadata("temperature", 1);
            },
            r#"llm span "ask": expected the metadata "temperature" to be 1, but it has {"temperature":0.5}, in"#,
        ),
        (
            |all| {
                all.span("ask").assert_metric("input_tokens", 8);
            },
            r#"llm span "ask": expected the metric "input_tokens" to be 8, but it has {"input_tokens":7}, in"#,
        ),
        (
            |all| {
                all.span("ask").assert_metric("output_tokens", f64::NAN);
            },
            r#"llm span "ask": expected the metric "output_tokens" to be NaN, but it has {"input_tokens":7}, in"#,
        ),
        (
            |all| {
                all.span("ask").assert_error("refused");
            },
            r#"llm span "ask": it is no error, expected one with "refused", in"#,
        ),
        (
            |all| {
                all.span("count").assert_error("refused");
            },
            r#"tool span "count": its error is core::num::error::ParseIntError: "invalid digit found in string", expected one with "refused", in"#,
        ),
        (
            |all| {
                all.span("count").assert_ok();
            },
            r#"tool span "count": it is an error: core::num::error::ParseIntError: "invalid digit found in string", in"#,
        ),
        (
            |all| {
                all.span("count").assert_parent("ask");
            },
            r#"tool span "count": its parent is "answer", expected "ask", in"#,
        ),
        (
            |all| {
                all.span("answer").assert_parent("ask");
            },
            r#"workflow span "answer": it has no parent, expected "ask", in"#,
        ),
        (
            |all| {
                all.span("ask").evaluation("rude");
            },
            r#"llm span "ask": no evaluation "rude" among ["polite", "twice", "twice"], in"#,
        ),
    ];
    for (failing, expected) in cases {
        assert_says(failing, expected);
    }
    let tags = message(|all| {
        all.span("ask").assert_tag("service", "api");
    });
    assert!(
        tags.contains("expected the tag service:api, but it has ["),
        "{tags}"
    );
    assert!(tags.contains(r#""service:web""#), "{tags}");
}

#[test]
fn a_parent_that_has_not_ended_is_said_to_be_missing() {
    let llmobs = testing::client();
    let parent = llmobs.scope(|| {
        let parent = Span::workflow("open").start();
        let _in = parent.enter();
        drop(Span::task("closed").start());
        parent
    });
    let finished = llmobs.finished();
    let failing = || {
        finished.span("closed").assert_parent("open");
    };
    let payload = catch_unwind(AssertUnwindSafe(failing)).unwrap_err();
    let message = payload.downcast_ref::<String>().unwrap();
    let expected = "task span \"closed\": its parent has not ended here, expected \"open\", in\n\n\
                    task closed [parent elsewhere]\n";
    assert_eq!(message, expected);
    drop(parent);
}

#[test]
fn an_evaluation_says_which_there_are() {
    let cases: [(Failing, &str); 3] = [
        (
            |all| {
                all.evaluation("rude");
            },
            r#"no evaluation "rude" among ["polite", "twice", "twice"]"#,
        ),
        (
            |all| {
                all.evaluation("twice");
            },
            r#"several evaluations "twice" among ["polite", "twice", "twice"]"#,
        ),
        (
            |all| {
                all.evaluation("polite").assert_value(false);
            },
            r#""polite" has the value true, expected false"#,
        ),
    ];
    for (failing, expected) in cases {
        assert_eq!(message(failing), expected);
    }
    assert_says(
        |all| {
            all.span("count").evaluation("rude");
        },
        r#"tool span "count": no evaluation "rude": none was submitted here, in"#,
    );
}

#[test]
fn trees_that_differ_stand_below_each_other_with_a_mark_at_the_line() {
    let expected = "
        workflow answer
          llm ask [error]
    ";
    assert_eq!(
        message(|finished| finished.tree().assert_is(expected)),
        "the tree differs in line 2\n\
         expected:\n  workflow answer\n>   llm ask [error]\n\
         actual:\n  workflow answer\n>   llm ask\n    tool count [error]\n    tool list\n    tool list\n"
    );
    let longer = format!("{TREE}task more\n");
    let message = message(|finished| finished.tree().assert_is(&longer));
    assert!(
        message.starts_with("the tree differs in line 6\n"),
        "{message}"
    );
    assert!(
        message.ends_with("    tool list\n> (nothing more)\n"),
        "{message}"
    );
}

#[test]
fn the_place_is_that_of_the_test() {
    let here = |failing: &dyn Fn(&Finished)| {
        let finished = finished();
        let (sender, place) = std::sync::mpsc::channel();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let _ = sender.send(info.location().map(|place| place.file().to_owned()));
        }));
        let caught = catch_unwind(AssertUnwindSafe(|| failing(&finished)));
        std::panic::set_hook(before);
        assert!(caught.is_err());
        place.try_iter().flatten().collect::<Vec<_>>()
    };
    let failing: [&dyn Fn(&Finished); 7] = [
        &|all| {
            all.span("aks");
        },
        &|all| {
            all.span("ask").assert_tag("a", 1);
        },
        &|all| {
            all.span("ask").evaluation("rude");
        },
        &|all| {
            all.evaluation("rude");
        },
        &|all| {
            all.evaluation("polite").assert_value(0);
        },
        &|all| all.tree().assert_is("task"),
        &|_| {
            testing::client_with(Config::new().site("a b"));
        },
    ];
    for failing in failing {
        let places = here(failing);
        // Another test of this program may have failed an assertion on purpose meanwhile.
        assert!(!places.is_empty());
        assert!(
            places.iter().all(|file| file.ends_with("messages.rs")),
            "{places:?}"
        );
    }
}

#[test]
fn a_wrong_configuration_is_told() {
    let wrong = || {
        testing::client_with(Config::new().max_events(0));
    };
    let payload = catch_unwind(wrong).unwrap_err();
    let message = payload.downcast_ref::<String>().unwrap();
    let start = "the configuration of the test's client is wrong: ";
    assert!(message.starts_with(start), "{message}");
    assert!(message.contains("max_events"), "{message}");
}

#[test]
fn debug_shows_the_tree() {
    let shown = format!("{:?}", finished());
    assert!(
        shown.starts_with("5 spans, 3 evaluations and feedback\nworkflow answer\n"),
        "{shown}"
    );
    assert!(shown.contains("    = polite: true\n"), "{shown}");
    assert_eq!(
        format!("{:?}", finished().span("count")),
        "tool count [error]"
    );
}
