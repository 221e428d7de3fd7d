//! The `tracing` span that goes beside each span of ours.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use llmobs::{Annotation, Config, FutureExt as _, Span};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::client::Client;

type Fields = BTreeMap<&'static str, String>;

/// What a subscriber saw.
#[derive(Default)]
struct Seen {
    /// Target, fields and the parent's span id of each span.
    spans: Vec<(String, Fields, Option<String>)>,
    /// The span ids of ours above each event.
    events: Vec<Vec<String>>,
}

#[derive(Clone, Default)]
struct Watch(Arc<Mutex<Seen>>);

struct Values<'a>(&'a mut Fields);

impl Visit for Values<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Watch {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::new();
        attributes.record(&mut Values(&mut fields));
        let span = context.span(id).unwrap();
        let id_of = |fields: &Fields| fields.get("llmobs.span_id").cloned();
        let parent = span
            .parent()
            .and_then(|parent| id_of(parent.extensions().get()?));
        let target = attributes.metadata().target().to_owned();
        let mut seen = self.0.lock().unwrap();
        seen.spans.push((target, fields.clone(), parent));
        span.extensions_mut().insert(fields);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() != "app" {
            return;
        }
        let scope = context.event_scope(event).into_iter().flatten();
        let ids = scope.filter_map(|span| {
            let extensions = span.extensions();
            extensions.get::<Fields>()?.get("llmobs.span_id").cloned()
        });
        self.0.lock().unwrap().events.push(ids.collect());
    }
}

#[test]
fn it_nests_and_carries_names_and_ids_but_no_content() {
    let watch = Watch::default();
    let client = Client::start();
    let subscriber = tracing_subscriber::registry().with(watch.clone());
    tracing::subscriber::with_default(subscriber, || {
        client.run(|| {
            let _workflow = Span::workflow("outer ☃").start().enter();
            let llm = Span::llm("inner").model_name("claude");
            let llm = llm.model_provider("anthropic").start().enter();
            let annotation = Annotation::new().input("secret").output("secret");
            let annotation = annotation.metadata("k", "secret").tag("k", "secret");
            llm.span().annotate(annotation).unwrap();
            tracing::info!(target: "app", "a log line");
        });
        tracing::info!(target: "app", "outside");
    });
    let sent = client.sent();
    let seen = watch.0.lock().unwrap();
    assert_eq!(seen.spans.len(), 2);
    let id = |name: &str| sent.span(name)["span_id"].as_str().unwrap().to_owned();
    for (index, name) in ["outer ☃", "inner"].into_iter().enumerate() {
        let (target, fields, parent) = &seen.spans[index];
        let ours = sent.span(name);
        assert_eq!(target, "llmobs");
        assert_eq!(fields["otel.name"], name);
        assert_eq!(fields["llmobs.kind"], ours["meta"]["span"]["kind"]);
        assert_eq!(fields["llmobs.trace_id"], ours["trace_id"]);
        assert_eq!(fields["llmobs.span_id"], ours["span_id"]);
        assert_eq!(*parent, (index == 1).then(|| id("outer ☃")));
        assert!(!format!("{fields:?}").contains("secret"), "{fields:?}");
    }
    let fields = &seen.spans[1].1;
    assert_eq!(fields["model_name"], "claude");
    assert_eq!(fields["model_provider"], "anthropic");
    assert_eq!(seen.events, [vec![id("inner"), id("outer ☃")], vec![]]);
}

#[test]
fn it_is_entered_at_each_poll_of_a_future() {
    let watch = Watch::default();
    let client = Client::start();
    let subscriber = tracing_subscriber::registry().with(watch.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    tracing::subscriber::with_default(subscriber, || {
        client.run(|| {
            let (one, two) = (Span::task("one").start(), Span::task("two").start());
            let log = |_| async {
                for _ in 0..2 {
                    tracing::info!(target: "app", "in a poll");
                    tokio::task::yield_now().await;
                }
            };
            let (of_one, of_two) = (log(1).in_span(&one), log(2).in_span(&two));
            runtime.block_on(async { tokio::join!(of_one, of_two) });
        });
    });
    let sent = client.sent();
    let id = |name: &str| vec![sent.span(name)["span_id"].as_str().unwrap().to_owned()];
    let mut expected = [id("one"), id("one"), id("two"), id("two")];
    expected.sort();
    // Whose turn it is, is tokio's choice.
    let mut events = watch.0.lock().unwrap().events.clone();
    events.sort();
    assert_eq!(events, expected);
}

#[test]
fn it_can_be_turned_off() {
    let watch = Watch::default();
    let client = Client::configured(Config::new().tracing_spans(false));
    let subscriber = tracing_subscriber::registry().with(watch.clone());
    tracing::subscriber::with_default(subscriber, || {
        client.run(|| drop(Span::task("t").start().enter()));
    });
    assert_eq!(client.sent().spans.len(), 1);
    assert!(watch.0.lock().unwrap().spans.is_empty());
}
