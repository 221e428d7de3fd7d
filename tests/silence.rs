//! The worker's own HTTP is not seen: neither by the application's subscriber nor as spans of ours.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use llmobs::propagation::InjectMiddleware;
use llmobs::{
    Config, Evaluation, EvaluationTarget, EvaluationsClient, PastSpan, Span, SpanKind, SpansClient,
    Verdict,
};
use llmobs_tests::{Intake, Reply};
use tracing::span::{Attributes, Id};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(60);

/// Threads and targets of all that any thread of this program traces.
static SEEN: Mutex<BTreeSet<(String, String)>> = Mutex::new(BTreeSet::new());

fn seen() -> std::sync::MutexGuard<'static, BTreeSet<(String, String)>> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a processor of the application traces.
const PROCESSOR: &str = "a processor";

/// The target of events at which the subscriber asks for the current span, and whether there was one.
const ASKS: &str = "asks";
static KNOWS: AtomicBool = AtomicBool::new(false);

/// Takes everything, of every level.
struct Everything;

fn note(metadata: &Metadata<'_>) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed");
    seen().insert((name.to_owned(), metadata.target().to_owned()));
}

impl<S: Subscriber> Layer<S> for Everything {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        note(attributes.metadata());
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        note(event.metadata());
        if event.metadata().target() == ASKS && !tracing::Span::current().is_none() {
            KNOWS.store(true, Ordering::Relaxed);
        }
    }
}

/// A subscriber belongs to the whole process; nothing else here minds it.
fn subscribe() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(Everything);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// What threads of ours traced that is not ours to say, and what the thread called `thread` did.
fn traced(thread: &str) -> (Vec<(String, String)>, Vec<String>) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for (name, target) in seen().iter() {
        if name == thread {
            theirs.push(target.clone());
        } else if (name.starts_with("llmobs") || name.starts_with("tokio"))
            && !["llmobs", PROCESSOR].contains(&&**target)
        {
            ours.push((name.clone(), target.clone()));
        }
    }
    (ours, theirs)
}

/// By name, so that it has to be looked up.
fn url(intake: &Intake) -> String {
    intake.url().replace("127.0.0.1", "localhost")
}

/// A request of the application, whose client injects headers; it is traced as everything.
fn request(url: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        // Another test may have done so.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new())
            .with(InjectMiddleware::new())
            .build();
        let answer = client.get(format!("{url}/info")).send().await.unwrap();
        assert!(answer.status().is_success());
    });
}

#[test]
fn the_workers_requests_are_traced_by_nobody_and_make_no_spans() {
    subscribe();
    let intake = Intake::start();
    // A refusal and another try are requests as well.
    intake.replies([Reply::status(429).header("Retry-After", "0")]);
    let config = || Config::new().ml_app("silent").agent_url(url(&intake));
    let client = config().build().unwrap();
    // The worker comes first to where the HTTP client traces: what it does not show of its own requests is there to see
    // of everybody else's.
    client.scope(|| Span::task("first").start().finish().unwrap());
    client.flush(SOON).unwrap();
    let thread = std::thread::Builder::new().name("the application".to_owned());
    let (scoped, address) = (client.clone(), intake.url().to_owned());
    let application = thread.spawn(move || {
        scoped.scope(|| {
            let _in = Span::workflow("asks").start().enter();
            request(&address);
            let target = EvaluationTarget::span("1", "2");
            llmobs::submit_evaluation(target, Evaluation::new("label", 1)).unwrap();
        });
        scoped.flush(SOON).unwrap();
        scoped.scope(|| smol::block_on(llmobs::flush_async(SOON)).unwrap());
        scoped.shutdown(SOON).unwrap();
    });
    application.unwrap().join().unwrap();
    let past = SpansClient::new(config()).unwrap();
    client.scope(|| {
        let span = PastSpan::new(SpanKind::Task, "past", SystemTime::now(), Duration::ZERO);
        let results = past.submit([span]);
        assert!(results[0].is_sent(), "{results:?}");
        let evaluations = EvaluationsClient::new(config()).unwrap();
        let target = EvaluationTarget::span("1", "2");
        let results = evaluations.submit([(target, Evaluation::new("label", 1))]);
        assert!(results[0].is_sent(), "{results:?}");
    });

    let (ours, theirs) = traced("the application");
    assert_eq!(ours, []);
    // That can be seen.
    let http = |target: &String| target.starts_with("hyper") || target.starts_with("reqwest");
    assert!(theirs.iter().any(http), "{theirs:?}");
    let names: Vec<_> = intake.accepted_spans();
    let names: Vec<_> = names.iter().map(|span| span["name"].clone()).collect();
    assert_eq!(names, ["first", "asks", "past"]);
}

#[test]
fn what_a_processor_traces_is_the_applications_and_is_seen() {
    subscribe();
    let intake = Intake::start();
    let config = Config::new().ml_app("silent").agent_url(intake.url());
    let processed = config.processor(|_| {
        tracing::info!(target: PROCESSOR, "looked at");
        Verdict::Keep
    });
    let client = processed.build().unwrap();
    client.scope(|| Span::task("looked at").start().finish().unwrap());
    client.shutdown(SOON).unwrap();
    let expected = ("llmobs-worker".to_owned(), PROCESSOR.to_owned());
    assert!(seen().contains(&expected), "{:?}", seen());
}

/// `tracing` knows no current span within a subscriber while some thread has one of its own.
#[test]
fn a_subscriber_may_ask_for_the_current_span_while_the_worker_rests() {
    subscribe();
    let intake = Intake::start();
    let config = Config::new().ml_app("silent").agent_url(intake.url());
    let client = config.build().unwrap();
    client.scope(|| Span::task("before").start().finish().unwrap());
    client.flush(SOON).unwrap();
    let _in = tracing::info_span!("request").entered();
    let started = Instant::now();
    while !KNOWS.load(Ordering::Relaxed) {
        assert!(started.elapsed() < SOON, "it never knew");
        tracing::info!(target: ASKS, "which?");
        std::thread::sleep(Duration::from_millis(1));
    }
    client.shutdown(SOON).unwrap();
}
