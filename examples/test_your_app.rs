//! Tests of an application that is annotated: which spans it makes, and what they hold.
//!
//!     cargo test --example test_your_app      # the tests below
//!     cargo run --example test_your_app       # what they look at
//!
//! They need no network and no variable, and run in parallel: each has its own client. In
//! an application they need the feature `testing`, for its tests alone:
//!
//!     [dev-dependencies]
//!     llmobs = { version = "0.1", features = ["testing"] }

use llmobs::{Annotation, Evaluation, llm, retrieval, workflow};

// The application. It knows nothing of its tests.

#[workflow(tags(customer = customer))]
async fn answer(customer: &str, question: &str) -> Result<String, std::num::ParseIntError> {
    let passages = search(question);
    let reply = ask(question, &passages).await;
    if let Some(number) = question.strip_prefix("how many: ") {
        number.parse::<u32>()?;
    }
    Ok(reply)
}

#[retrieval(capture_output = true)]
fn search(question: &str) -> Vec<String> {
    vec![format!("a passage on {question}")]
}

#[llm(model_name = "claude", model_provider = "anthropic")]
async fn ask(question: &str, passages: &[String]) -> String {
    let prompt = format!("{}\n\n{question}", passages.join("\n"));
    let said = Annotation::new().input(("user", prompt));
    llmobs::annotate(None, said.metric("input_tokens", 12)).ok();
    tokio::task::yield_now().await; // the model thinks
    let grounded = Evaluation::new("grounded", !passages.is_empty());
    llmobs::submit_evaluation(llmobs::export_span(None), grounded).ok();
    "In Paris.".into()
}

// What follows `#[cfg(test)]` in an application. It is a module of its own here, so that
// `cargo run --example` shows what the tests see.

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let llmobs = llmobs::testing::client();
    let question = answer("acme", "where is the tower?");
    llmobs.scope_future(question).await.ok();
    let question = answer("acme", "how many: towers");
    llmobs.scope_future(question).await.ok();
    let finished = llmobs.finished();
    print!("{}", finished.tree().tags(&["customer"]).io().evaluations());
}

#[cfg(test)]
mod tests {
    use llmobs::{Message, SpanKind, testing};

    use super::*;

    #[tokio::test]
    async fn an_answer_searches_and_asks() {
        let llmobs = testing::client();
        let reply = llmobs.scope_future(answer("acme", "where?")).await;
        assert_eq!(reply.unwrap(), "In Paris.");

        let finished = llmobs.finished();
        let tree = finished.tree().tags(&["customer"]).evaluations();
        tree.assert_is(
            "
            workflow answer {customer:acme}
              retrieval search
              llm ask
                = grounded: true
            ",
        );
    }

    #[tokio::test]
    async fn the_model_is_given_the_passages() {
        let llmobs = testing::client();
        let question = answer("acme", "where?");
        llmobs.scope_future(question).await.unwrap();

        let finished = llmobs.finished();
        let ask = finished.span("ask");
        let prompt = "a passage on where?\n\nwhere?";
        assert_eq!(ask.input().messages(), [Message::user(prompt)]);
        assert_eq!(ask.model_name(), Some("claude"));
        ask.assert_kind(SpanKind::Llm)
            .assert_output("In Paris.")
            .assert_metric("input_tokens", 12)
            .assert_parent("answer")
            .assert_ok();
        ask.evaluation("grounded").assert_value(true);
    }

    #[tokio::test]
    async fn a_question_that_is_wrong_is_an_error_of_the_answer_alone() {
        let llmobs = testing::client();
        let question = answer("acme", "how many: towers");
        llmobs.scope_future(question).await.unwrap_err();

        let finished = llmobs.finished();
        finished.span("answer").assert_error("ParseIntError");
        finished.span("ask").assert_ok();
    }

    #[test]
    fn a_part_is_tested_alone() {
        let llmobs = testing::client();
        llmobs.scope(|| search("towers"));
        let finished = llmobs.finished();
        let search = finished.span("search");
        assert_eq!(search.input().json()["question"], "towers");
        assert_eq!(search.output(), "a passage on towers");
    }
}
