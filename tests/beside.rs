//! The `tracing` span that goes beside each span of ours.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use futures::StreamExt as _;
use llmobs::{Annotation, Config, FutureExt as _, Span};
use llmobs_tests::Intake;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

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

/// Makes the calls with a client of their own, watched, and gives what arrived.
fn sent_by(watch: &Watch, config: Config, calls: impl FnOnce()) -> Vec<Value> {
    // tracing asks who is interested in a span when it is first met, and a subscriber that comes in that very moment
    // may be missed. One that wants everything, there from the start, has all of them met.
    static FROM_THE_START: Once = Once::new();
    FROM_THE_START.call_once(|| {
        let all = tracing_subscriber::registry().with(Watch::default());
        tracing::subscriber::set_global_default(all).unwrap();
    });
    let intake = Intake::start();
    let client = config.agent_url(intake.url()).build().unwrap();
    let subscriber = tracing_subscriber::registry().with(watch.clone());
    tracing::subscriber::with_default(subscriber, || {
        client.scope(calls);
        tracing::info!(target: "app", "outside");
    });
    client.shutdown(Duration::from_secs(60)).unwrap();
    intake.spans()
}

fn named<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    spans.iter().find(|span| span["name"] == name).unwrap()
}

fn id(spans: &[Value], name: &str) -> String {
    named(spans, name)["span_id"].as_str().unwrap().to_owned()
}

#[test]
fn it_nests_and_carries_names_and_ids_but_no_content() {
    let watch = Watch::default();
    let sent = sent_by(&watch, Config::new(), || {
        let _workflow = Span::workflow("outer ☃").start().enter();
        let llm = Span::llm("inner").model_name("claude");
        let llm = llm.model_provider("anthropic").start().enter();
        let annotation = Annotation::new().input("secret").output("secret");
        let annotation = annotation.metadata("k", "secret").tag("k", "secret");
        llm.span().annotate(annotation).unwrap();
        tracing::info!(target: "app", "a log line");
    });
    let seen = watch.0.lock().unwrap();
    assert_eq!(seen.spans.len(), 2);
    for (index, name) in ["outer ☃", "inner"].into_iter().enumerate() {
        let (target, fields, parent) = &seen.spans[index];
        let ours = named(&sent, name);
        assert_eq!(target, "llmobs");
        assert_eq!(fields["otel.name"], name);
        assert_eq!(fields["llmobs.kind"], ours["meta"]["span"]["kind"]);
        assert_eq!(fields["llmobs.trace_id"], ours["trace_id"]);
        assert_eq!(fields["llmobs.span_id"], ours["span_id"]);
        assert_eq!(*parent, (index == 1).then(|| id(&sent, "outer ☃")));
        assert!(!format!("{fields:?}").contains("secret"), "{fields:?}");
    }
    let fields = &seen.spans[1].1;
    assert_eq!(fields["model_name"], "claude");
    assert_eq!(fields["model_provider"], "anthropic");
    let above = vec![id(&sent, "inner"), id(&sent, "outer ☃")];
    assert_eq!(seen.events, [above, vec![]]);
}

#[test]
fn it_is_entered_at_each_poll_of_a_future() {
    let watch = Watch::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap();
    let sent = sent_by(&watch, Config::new(), || {
        let (one, two) = (Span::task("one").start(), Span::task("two").start());
        let log = || async {
            for _ in 0..2 {
                tracing::info!(target: "app", "in a poll");
                tokio::task::yield_now().await;
            }
        };
        let (of_one, of_two) = (log().in_span(&one), log().in_span(&two));
        runtime.block_on(async { tokio::join!(of_one, of_two) });
    });
    let of = |name: &str| vec![id(&sent, name)];
    let mut expected = [vec![], of("one"), of("one"), of("two"), of("two")];
    expected.sort();
    // Whose turn it is, is tokio's choice.
    let mut events = watch.0.lock().unwrap().events.clone();
    events.sort();
    assert_eq!(events, expected);
}

#[test]
fn it_is_entered_while_a_stream_makes_an_item() {
    let watch = Watch::default();
    let sent = sent_by(&watch, Config::new(), || {
        let items = ["a", "b"].into_iter();
        let items = items.inspect(|_| tracing::info!(target: "app", "in a poll"));
        let stream = futures::stream::iter(items.clone());
        let mut items = Span::task("iterator").start().wrap_iterator(items);
        let mut stream = Span::task("stream").start().wrap_stream(stream);
        items.next();
        futures::executor::block_on(stream.next());
        tracing::info!(target: "app", "suspended");
        items.next();
    });
    let of = |name: &str| vec![id(&sent, name)];
    let expected = [of("iterator"), of("stream"), vec![], of("iterator"), vec![]];
    assert_eq!(watch.0.lock().unwrap().events, expected);
}

#[test]
fn it_can_be_turned_off() {
    let watch = Watch::default();
    let config = Config::new().tracing_spans(false);
    let sent = sent_by(&watch, config, || drop(Span::task("t").start().enter()));
    assert_eq!(sent.len(), 1);
    assert!(watch.0.lock().unwrap().spans.is_empty());
}
