//! Functions of the application that see every span before it leaves.

use std::panic::{panic_any, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use llmobs::{
    AgentManifest, Annotation, Capture, Config, Document, DropReason, Evaluation, FlushError,
    LlmObs, Message, ProcessedSpan, Prompt, Span, SpanKind, Stats, ToolCall, ToolDefinition,
    ToolResult, Verdict,
};
use llmobs_tests::Intake;
use serde_json::{Value, json};
use tracing::Level;

use crate::client::{Client, SOON};
use crate::log;

/// What must not leave: as JSON text it is written otherwise than in memory.
const SECRET: &str = "Rumpel\"stilt\\skin\n";
/// The part of it that is written the same everywhere.
const TRACE_OF_IT: &str = "Rumpel";

#[derive(Debug, thiserror::Error)]
#[error("{SECRET} is in the way")]
struct Failure(#[source] std::io::Error);

/// Spans of several kinds with the secret in whatever is content.
fn secrets_everywhere() {
    let all = |annotation: Annotation| {
        annotation
            .metadata("deep", json!([{"deeper": [SECRET]}]))
            .metadata("_dd", json!({"own": SECRET}))
            .metric("input_tokens", 7)
            .tag("user", SECRET)
            .tag("env", SECRET)
            .intent(SECRET)
    };
    let call = ToolCall::new("f", json!({"a": [{"b": SECRET}]}));
    let asked = [
        Message::system(SECRET),
        Message::assistant("").tool_call(call),
        Message::tool("").tool_result(ToolResult::new(json!({"r": SECRET}).to_string())),
    ];
    let workflow = Span::workflow("workflow").start();
    let _in = workflow.enter();
    {
        let span = Span::llm("llm").model_name("m").start();
        let answer = json!({"name": SECRET}).to_string();
        let prompt = Prompt::new("p").template(SECRET).variable("v", SECRET);
        let tool = ToolDefinition::new("f")
            .description(SECRET)
            .schema(json!({"k": [SECRET]}));
        let annotation = Annotation::new()
            .input(asked)
            .output(answer)
            .prompt(prompt.tag("t", SECRET))
            .tool_definitions([tool]);
        span.annotate(all(annotation)).unwrap();
        let cause = std::io::Error::other(SECRET);
        span.finish_with_error(&Failure(cause)).unwrap();
    }
    let manifest = AgentManifest::new()
        .instructions(SECRET)
        .tool("f", SECRET)
        .model_setting("stop_sequences", json!([SECRET]));
    let agent = Span::agent("agent").start();
    agent.annotate(Annotation::new().agent(manifest)).unwrap();
    drop(agent);
    let retrieval = Span::retrieval("retrieval").start();
    let found = Document::new(SECRET).name("n").id("i");
    let annotation = Annotation::new().input(SECRET).output([found]);
    retrieval.annotate(all(annotation)).unwrap();
    let value = json!({"k": {SECRET: [SECRET]}});
    let annotation = Annotation::new().input(value).output(SECRET);
    workflow.annotate(all(annotation)).unwrap();
}

/// A client with processors, and what its intake was told.
struct Processing {
    client: LlmObs,
    intake: Intake,
}

impl Processing {
    fn with(configure: impl FnOnce(Config) -> Config) -> Self {
        log::keep();
        let intake = Intake::start();
        let config = configure(Config::new().ml_app("app")).agent_url(intake.url());
        Self {
            client: config.build().unwrap(),
            intake,
        }
    }

    /// Makes the calls and sends the rest; the sum holds.
    #[track_caller]
    fn sent_by(self, calls: impl FnOnce()) -> Sent {
        self.client.scope(calls);
        let stats = self.client.shutdown(SOON).unwrap().stats;
        let counts = stats.spans();
        assert_eq!(counts.waiting, 0, "{stats:?}");
        assert_eq!(counts.made, counts.delivered + counts.dropped_total());
        let bodies = self.intake.requests();
        let bodies = bodies
            .iter()
            .map(|request| String::from_utf8_lossy(&request.body).into_owned());
        let sent = Sent {
            body: bodies.collect(),
            spans: self.intake.spans(),
            stats,
        };
        assert_eq!(sent.spans.len() as u64, sent.stats.spans().delivered);
        sent
    }
}

struct Sent {
    /// Every byte that arrived.
    body: String,
    spans: Vec<Value>,
    stats: Stats,
}

impl Sent {
    #[track_caller]
    fn span(&self, name: &str) -> &Value {
        let mut named = self.spans.iter().filter(|span| span["name"] == name);
        let span = named.next().unwrap_or_else(|| panic!("{:#?}", self.spans));
        assert!(named.next().is_none(), "several spans {name:?}");
        span
    }

    fn names(&self) -> Vec<&str> {
        let names = self.spans.iter().filter_map(|span| span["name"].as_str());
        names.collect()
    }
}

fn redact(span: &mut ProcessedSpan) -> Verdict {
    span.redact(|text| *text = text.replace(SECRET, "[redacted]"));
    Verdict::Keep
}

#[test]
fn a_secret_in_every_field_is_redacted_before_it_leaves() {
    let without = Processing::with(|config| config).sent_by(secrets_everywhere);
    assert!(without.body.matches(TRACE_OF_IT).count() > 20);
    let sent = Processing::with(|config| config.processor(redact)).sent_by(secrets_everywhere);
    assert!(!sent.body.contains(TRACE_OF_IT), "{}", sent.body);
    let redacted = sent.body.matches("[redacted]").count();
    assert_eq!(redacted, without.body.matches(TRACE_OF_IT).count());
    let llm = sent.span("llm");
    let error = &llm["meta"]["error"];
    assert_eq!(error["message"], "[redacted] is in the way");
    assert!(
        error["stack"]
            .as_str()
            .unwrap()
            .ends_with("Caused by: [redacted]")
    );
    let documents = &sent.span("retrieval")["meta"]["output"]["documents"];
    assert_eq!(
        *documents,
        json!([{"text": "[redacted]", "name": "n", "id": "i"}])
    );
    let value = r#"{"k":{"[redacted]":["[redacted]"]}}"#;
    assert_eq!(sent.span("workflow")["meta"]["input"]["value"], value);
    assert_eq!(sent.stats.stripped, 0);
}

#[test]
fn processors_run_in_the_order_in_which_they_were_added() {
    let add = |text: &'static str| {
        move |span: &mut ProcessedSpan| {
            span.redact(|value| value.push_str(text));
            Verdict::Keep
        }
    };
    let in_order = |config: Config| config.processor(add("b")).processor(add("c"));
    let sent = Processing::with(|config| in_order(config.processor(add("a")))).sent_by(|| {
        let annotation = Annotation::new().input("").metadata("k", "0");
        Span::task("t").start().annotate(annotation).unwrap();
    });
    let meta = &sent.span("t")["meta"];
    assert_eq!(meta["input"]["value"], "abc");
    assert_eq!(meta["metadata"]["k"], "0abc");
}

#[test]
fn a_dropped_span_is_counted_and_its_children_arrive() {
    let later = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&later);
    let processing = Processing::with(|config| {
        let drop = |span: &mut ProcessedSpan| match span.name() {
            "dropped" => Verdict::Drop,
            _ => Verdict::Keep,
        };
        config.processor(drop).processor(move |_| {
            counting.fetch_add(1, Ordering::Relaxed);
            Verdict::Keep
        })
    });
    let mut dropped = None;
    let sent = processing.sent_by(|| {
        let _outer = Span::workflow("outer").start().enter();
        for _ in 0..3 {
            let parent = Span::task("dropped").start();
            dropped = parent.context();
            let _in = parent.enter();
            drop(Span::task("child").start());
        }
    });
    assert_eq!(sent.names(), ["child", "child", "child", "outer"]);
    let parent = &sent.spans[2]["parent_id"];
    assert_eq!(*parent, *dropped.unwrap().span_id());
    let spans = sent.stats.spans();
    assert_eq!((spans.made, spans.delivered), (7, 4));
    assert_eq!(spans.dropped, [(DropReason::Processor, 3)]);
    assert_eq!(
        later.load(Ordering::Relaxed),
        4,
        "not called for what is dropped"
    );
    let lost = log::lines_with(&DropReason::Processor.to_string());
    assert!(lost.is_empty(), "what was wanted is no loss: {lost:?}");
}

/// All that is left of the spans of `secrets_everywhere`.
#[track_caller]
fn assert_stripped(sent: &Sent) {
    assert!(!sent.body.contains(TRACE_OF_IT), "{}", sent.body);
    assert_eq!(sent.names(), ["llm", "agent", "retrieval", "workflow"]);
    for span in &sent.spans {
        assert_eq!(span["collection_errors"], json!(["processor_failed"]));
        assert_eq!(span["meta"]["metadata"], json!({}));
        assert_eq!(span["meta"].get("input"), None);
        assert_eq!(span["meta"].get("output"), None);
        let tags = span["tags"].as_array().unwrap();
        assert!(tags.contains(&"ml_app:app".into()) && tags.contains(&"env:".into()));
    }
    let workflow = sent.span("workflow");
    for child in ["llm", "retrieval"] {
        assert_eq!(sent.span(child)["parent_id"], workflow["span_id"]);
        assert_eq!(sent.span(child)["metrics"], json!({"input_tokens": 7}));
    }
    let llm = sent.span("llm");
    assert_eq!(
        (&llm["status"], &llm["meta"]["model_name"]),
        (&json!("error"), &json!("m"))
    );
    let error = &llm["meta"]["error"];
    let kind = error["type"].as_str().unwrap();
    assert!(kind.ends_with("::Failure"), "{kind}");
    assert_eq!(error["message"], "");
    assert_eq!(error["stack"], format!("{kind}: "));
    let spans = sent.stats.spans();
    assert_eq!(
        (spans.made, spans.delivered, sent.stats.stripped),
        (4, 4, 4)
    );
}

#[test]
fn nothing_of_the_content_leaves_when_a_processor_panics() {
    let panics = |_: &mut ProcessedSpan| -> Verdict { resume_unwind(Box::new(SECRET)) };
    let sent = Processing::with(|config| config.processor(panics)).sent_by(secrets_everywhere);
    assert_stripped(&sent);
    // Said once in a process, perhaps by the worker of another test just now.
    let said = || log::lines_with("is sent without its content");
    let started = Instant::now();
    while said().is_empty() && started.elapsed() < SOON {
        std::thread::yield_now();
    }
    assert!(matches!(&said()[..], [(Level::WARN, _)]), "{:?}", said());
    assert!(log::lines_with(TRACE_OF_IT).is_empty());
}

#[test]
fn nothing_leaves_when_the_second_of_three_panics_half_way() {
    let later = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&later);
    let sent = Processing::with(|config| {
        let half_way = |span: &mut ProcessedSpan| -> Verdict {
            span.set_name(SECRET);
            span.set_session_id(SECRET);
            span.set_tag("late", SECRET);
            let mut texts = 0;
            span.redact(|text| {
                texts += 1;
                assert!(texts < 3, "half way, at {text:?}");
            });
            resume_unwind(Box::new(()))
        };
        let marks = |span: &mut ProcessedSpan| {
            span.set_metadata("first", SECRET);
            Verdict::Keep
        };
        config
            .processor(marks)
            .processor(half_way)
            .processor(move |_| {
                counting.fetch_add(1, Ordering::Relaxed);
                Verdict::Keep
            })
    });
    assert_stripped(&sent.sent_by(secrets_everywhere));
    assert_eq!(later.load(Ordering::Relaxed), 0);
}

#[test]
fn a_panic_whose_payload_panics_when_it_is_dropped_fails_closed_too() {
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            panic_any(SECRET);
        }
    }
    let panics = |_: &mut ProcessedSpan| -> Verdict { resume_unwind(Box::new(Payload)) };
    let sent = Processing::with(|config| config.processor(panics)).sent_by(secrets_everywhere);
    assert_stripped(&sent);
}

#[test]
fn a_failure_concerns_its_span_alone() {
    let sent = Processing::with(|config| {
        config.processor(|span| {
            assert_ne!(span.name(), "bad", "as asked");
            Verdict::Keep
        })
    });
    let sent = sent.sent_by(|| {
        for name in ["good", "bad", "good as well"] {
            let annotation = Annotation::new().input("in");
            Span::task(name).start().annotate(annotation).unwrap();
        }
    });
    assert_eq!(sent.names(), ["good", "task", "good as well"]);
    assert_eq!(sent.span("good as well")["meta"]["input"]["value"], "in");
    assert_eq!(sent.stats.stripped, 1);
}

#[test]
fn session_tags_metadata_metrics_documents_and_names_can_be_changed() {
    let sent = Processing::with(|config| {
        config.tag("team", "ml").processor(|span| {
            assert_eq!(span.session_id(), Some("alice"));
            assert_eq!(
                (span.tag("team"), span.tag("user")),
                (Some("ml"), Some("alice"))
            );
            span.set_session_id("s-1");
            span.set_name("lookup");
            span.set_tag("user", "u-1");
            span.remove_tag("gone");
            assert_eq!(span.remove_metadata("gone"), Some(json!(1)));
            span.set_metadata("new", json!([1]));
            let doubled = span.metric("n").unwrap() * 2.0;
            span.set_metric("n", doubled).unwrap();
            for document in span.output_mut().documents_mut() {
                let text = document.text().to_uppercase();
                *document.text_mut() = text;
            }
            Verdict::Keep
        })
    });
    let sent = sent.sent_by(|| {
        let span = Span::retrieval("lookup of alice")
            .session_id("alice")
            .start();
        let annotation = Annotation::new()
            .output([Document::new("d").name("n").score(0.5)])
            .metadata("gone", 1)
            .metric("n", 2)
            .tag("user", "alice")
            .tag("gone", 1);
        span.annotate(annotation).unwrap();
    });
    assert!(!sent.body.contains("alice"), "{}", sent.body);
    let span = sent.span("lookup");
    assert_eq!(span["session_id"], "s-1");
    let tags = span["tags"].to_string();
    for tag in ["session_id:s-1", "user:u-1", "team:ml"] {
        assert!(tags.contains(&format!("\"{tag}\"")), "{tags}");
    }
    assert!(!tags.contains("gone"), "{tags}");
    assert_eq!(span["meta"]["metadata"], json!({"new": [1]}));
    assert_eq!(span["metrics"], json!({"n": 4.0}));
    let documents = json!([{"text": "D", "name": "n", "score": 0.5}]);
    assert_eq!(span["meta"]["output"]["documents"], documents);
}

#[test]
fn a_processor_may_go_by_kind_and_by_tag() {
    let sent = Processing::with(|config| {
        config.processor(|span| {
            let private = span.kind() == SpanKind::Task && span.tag("private") == Some("true");
            if private {
                span.remove_content();
            }
            Verdict::Keep
        })
    });
    let sent = sent.sent_by(|| {
        let annotation = || Annotation::new().input("in");
        let private = || annotation().tag("private", true);
        Span::task("private").start().annotate(private()).unwrap();
        Span::task("open").start().annotate(annotation()).unwrap();
        Span::tool("tool").start().annotate(private()).unwrap();
    });
    assert_eq!(sent.span("private")["meta"].get("input"), None);
    for name in ["open", "tool"] {
        assert_eq!(sent.span(name)["meta"]["input"]["value"], "in");
    }
}

#[test]
fn emptied_messages_and_values_are_sent_empty_and_documents_not_at_all() {
    let sent = Processing::with(|config| {
        config.processor(|span| {
            let kind = span.kind();
            for io in [0, 1] {
                let io = if io == 0 {
                    span.input_mut()
                } else {
                    span.output_mut()
                };
                match kind {
                    SpanKind::Llm => io.messages_mut().iter_mut().for_each(|message| {
                        message.content_mut().clear();
                    }),
                    _ => io.value_mut().into_iter().for_each(String::clear),
                }
                io.set_documents(Vec::new());
            }
            Verdict::Keep
        })
    });
    let sent = sent.sent_by(|| {
        let annotation = || Annotation::new().input("in").output("out");
        for span in [Span::llm("llm").start(), Span::task("task").start()] {
            span.annotate(annotation()).unwrap();
        }
        Span::retrieval("retrieval")
            .start()
            .annotate(annotation())
            .unwrap();
    });
    let meta = |name: &str, side: &str| sent.span(name)["meta"].get(side).cloned();
    let message = json!({"messages": [{"content": "", "role": ""}]});
    assert_eq!(meta("llm", "input"), Some(message));
    assert_eq!(meta("task", "output"), Some(json!({"value": ""})));
    assert_eq!(meta("retrieval", "input"), Some(json!({"value": ""})));
    assert_eq!(meta("retrieval", "output"), None);
}

#[test]
fn a_processor_sees_what_capture_has_left() {
    for (capture, input, metadata) in [
        (Capture::None, false, false),
        (Capture::Metadata, false, true),
        (Capture::Full, true, true),
    ] {
        let seen = Arc::new(OnceLock::new());
        let seeing = Arc::clone(&seen);
        let processing = Processing::with(|config| {
            config.capture(capture).processor(move |span| {
                let has_input = span.input().value().is_some();
                seeing
                    .set((has_input, span.metadata("k").is_some()))
                    .unwrap();
                Verdict::Keep
            })
        });
        processing.sent_by(|| {
            let annotation = Annotation::new().input("in").metadata("k", 1);
            Span::task("t").start().annotate(annotation).unwrap();
        });
        assert_eq!(seen.get(), Some(&(input, metadata)), "{capture:?}");
    }
}

#[test]
fn a_processor_that_brings_in_its_own_client_does_not_deadlock() {
    let own: Arc<OnceLock<LlmObs>> = Arc::default();
    let using = Arc::clone(&own);
    let processing = Processing::with(|config| {
        config.processor(move |span| {
            if span.name() == "t" {
                let client = using.get().unwrap();
                client.scope(|| drop(Span::task("of the processor").start()));
                client.flush(SOON).unwrap_err();
            }
            Verdict::Keep
        })
    });
    own.set(processing.client.clone()).unwrap();
    processing.client.scope(|| drop(Span::task("t").start()));
    let spans = processing.intake.wait_for_spans(2, SOON);
    assert_eq!(spans.len(), 2);
    processing.client.shutdown(SOON).unwrap();
}

#[test]
fn a_processor_that_hangs_holds_up_no_caller_and_loses_nothing() {
    let (release, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let processing = Processing::with(|config| {
        config.processor(move |_| {
            // Once the sender is gone, nothing is waited for any more.
            let _ = gate.lock().unwrap().recv();
            Verdict::Keep
        })
    });
    let make = || (0..40).for_each(|_| drop(Span::task("t").start()));
    processing.client.scope(make);
    let error = processing
        .client
        .flush(Duration::from_millis(10))
        .unwrap_err();
    assert!(
        matches!(error, FlushError::Timeout { waiting: 40, .. }),
        "{error}"
    );
    processing.client.scope(make);
    drop(release);
    let sent = processing.sent_by(|| {});
    assert_eq!((sent.spans.len(), sent.stats.stripped), (80, 0));
}

#[test]
fn a_tokio_runtime_that_a_processor_brings_cannot_run_on_the_worker() {
    let sent = Processing::with(|config| {
        config.processor(|_| {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.unwrap().block_on(async { Verdict::Keep })
        })
    });
    let sent = sent.sent_by(|| drop(Span::task("t").start()));
    assert_eq!((sent.spans.len(), sent.stats.stripped), (1, 1));
}

#[test]
fn every_client_has_its_own_processors() {
    let marking = |mark: &'static str| {
        Processing::with(move |config| {
            config.processor(move |span| {
                span.set_metadata("by", mark);
                Verdict::Keep
            })
        })
    };
    let (a, b, none) = (marking("a"), marking("b"), Client::start());
    b.client.scope(|| drop(Span::task("t").start()));
    none.run(|| drop(Span::task("t").start()));
    let a = a.sent_by(|| drop(Span::task("t").start()));
    let b = b.sent_by(|| {});
    assert_eq!(a.span("t")["meta"]["metadata"], json!({"by": "a"}));
    assert_eq!(b.span("t")["meta"]["metadata"], json!({"by": "b"}));
    let none = none.sent();
    assert_eq!(none.span("t")["meta"]["metadata"], json!({}));
}

#[test]
fn processors_run_on_the_worker_and_see_no_evaluations() {
    let threads = Arc::new(Mutex::new(Vec::new()));
    let noting = Arc::clone(&threads);
    let processing = Processing::with(|config| {
        config.processor(move |_| {
            let name = std::thread::current().name().map(String::from);
            noting.lock().unwrap().push(name);
            Verdict::Drop
        })
    });
    processing.client.scope(|| {
        let span = Span::task("t").start();
        let evaluation = Evaluation::new("quality", SECRET);
        llmobs::submit_evaluation(span.context(), evaluation).unwrap();
    });
    let intake = &processing.intake;
    assert_eq!(intake.wait_for_evaluations(1, SOON).len(), 1);
    processing.client.shutdown(SOON).unwrap();
    assert_eq!(*threads.lock().unwrap(), [Some("llmobs-worker".to_owned())]);
}
