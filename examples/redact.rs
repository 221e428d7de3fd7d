//! Processors: what must not leave is taken out of every span before it does.
//!
//!     cargo run --example redact
//!
//! The event goes to memory, so that this can print what would be sent; no network.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;
use std::time::Duration;

use llmobs::{
    Annotation, Config, Destination, Memory, Message, ProcessedSpan, SpanKind, Verdict, llm, task,
    tool,
};
use serde_json::json;

/// Card numbers, wherever they stand: in messages, arguments, metadata, errors, tags.
fn hide_cards(span: &mut ProcessedSpan) -> Verdict {
    span.redact(|text| {
        let words = text.split_inclusive(char::is_whitespace);
        let hidden: String = words.map(hide_card).collect();
        // Called for every text of the span; most have none.
        if hidden != *text {
            *text = hidden;
        }
    });
    Verdict::Keep
}

/// One word, with the space behind it.
fn hide_card(word: &str) -> String {
    let is_part = |c: char| c.is_ascii_digit() || c == '-';
    let number = word.trim_matches(|c: char| !is_part(c));
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    if digits == 16 && number.chars().all(is_part) {
        word.replace(number, "[card]")
    } else {
        word.to_owned()
    }
}

/// Pseudonyms are of this process: nobody can try names against them.
static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// What is kept of some spans only, and what is not sent at all.
fn choose(span: &mut ProcessedSpan) -> Verdict {
    if span.name() == "health_check" {
        return Verdict::Drop;
    }
    if span.kind() == SpanKind::Tool && span.tag("private") == Some("true") {
        span.remove_content();
    }
    // A session that names the user becomes one that does not, the same for all of their spans.
    if let Some(user) = span.session_id() {
        let session = format!("{:016x}", KEY.hash_one(user));
        span.set_session_id(session);
    }
    Verdict::Keep
}

#[task]
fn health_check() {}

#[tool(tags(private = true))]
fn look_up(card: &str) -> String {
    format!("{card} belongs to Alice")
}

#[llm(model_name = "claude", session_id = "alice@example.com")]
fn answer(question: &str) -> String {
    health_check();
    look_up("4111-1111-1111-1111");
    let annotation = Annotation::new()
        .input(vec![Message::user(question)])
        .metadata("form", json!({"fields": [{"card": "4111-1111-1111-1111"}]}));
    if let Err(error) = llmobs::annotate(None, annotation) {
        eprintln!("{error}");
    }
    "I have charged 4111-1111-1111-1111.".to_owned()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let memory = Memory::new();
    let guard = Config::new()
        .ml_app("shop")
        .destination(Destination::Memory(memory.clone()))
        .processor(choose)
        .processor(hide_cards)
        .enable()?;
    println!("{}", answer("Charge my card 4111-1111-1111-1111, please."));
    let stats = llmobs::flush(Duration::from_secs(5))?.stats;
    drop(guard);

    for span in memory.spans() {
        let (name, kind) = (&span["name"], &span["meta"]["span"]["kind"]);
        println!("\n{} {}", kind.as_str().unwrap_or_default(), name);
        for part in ["input", "output", "metadata"] {
            println!("  {part}: {}", span["meta"][part]);
        }
        println!("  session: {}", span["session_id"]);
    }
    println!("\ndropped: {:?}", stats.spans().dropped);

    let sent = format!("{:?}", memory.spans());
    assert!(!sent.contains("4111") && !sent.contains("alice"));
    Ok(())
}
