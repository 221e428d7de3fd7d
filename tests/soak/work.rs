//! Makes spans, evaluations and feedback at a rate. As a process of its own, it tells how far it is.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use llmobs::{Config, Evaluation, EventKind, Feedback, FeedbackTarget, LlmObs, Span, SpanContext};

use crate::Options;
use crate::seen::{Id, every, label, shown, span_name};

/// How long a rate is kept at once.
pub(crate) const STEP: Duration = Duration::from_millis(10);
/// How long a process that is told to end may take for it; what is not sent is in the spool.
const END: Duration = Duration::from_millis(500);

/// For what hangs. The answers of a busy machine should not come later than that.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(1);

/// Feedback comes so long after its span, which is on disk by then. Evaluations come at once.
const LATER: Duration = Duration::from_secs(1);

/// Makes the events of one run.
pub(crate) struct Maker<'a> {
    client: &'a LlmObs,
    run: u32,
    /// Spans that get feedback, and when.
    later: VecDeque<(Instant, u32, Option<SpanContext>)>,
    pub(crate) made: Made,
}

/// How far a run is: spans and evaluations, and feedback, of all spans below a number.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Made {
    pub(crate) spans: u32,
    pub(crate) feedback: u32,
}

impl Made {
    /// Below which number all events of a kind are made.
    pub(crate) fn end(self, kind: EventKind) -> u32 {
        match kind {
            EventKind::Feedback => self.feedback,
            _ => self.spans,
        }
    }
}

impl<'a> Maker<'a> {
    pub(crate) fn new(client: &'a LlmObs, run: u32) -> Self {
        Self {
            client,
            run,
            later: VecDeque::new(),
            made: Made::default(),
        }
    }

    /// The events of one step, the next numbers; each span has an output of 200 bytes.
    pub(crate) fn step(&mut self, numbers: std::ops::Range<u32>) {
        let (client, run) = (self.client, self.run);
        let output = "x".repeat(200);
        self.made.spans = numbers.end;
        client.scope(|| {
            for n in numbers {
                let span = Span::task(span_name(Id { run, n })).start();
                let annotation = llmobs::Annotation::new().output(output.as_str());
                llmobs::annotate(&span, annotation).expect("a text is legal");
                let context = llmobs::export_span(&span);
                span.finish().expect("it is open");
                if n % every(EventKind::Feedback) == 0 {
                    let when = Instant::now() + LATER;
                    self.later.push_back((when, n, context.clone()));
                }
                if n % every(EventKind::Evaluation) == 0 {
                    let evaluation = Evaluation::new(label(run), n);
                    llmobs::submit_evaluation(context, evaluation).expect("it is valid");
                }
            }
        });
        self.give_feedback(Instant::now());
    }

    /// The feedback that is still to come.
    pub(crate) fn finish(&mut self) {
        self.give_feedback(Instant::now() + LATER);
        self.made.feedback = self.made.spans;
    }

    fn give_feedback(&mut self, until: Instant) {
        let due = self.later.iter().take_while(|(when, ..)| *when <= until);
        let due = self.later.drain(..due.count());
        self.client.scope(|| {
            for (_, n, context) in due {
                let feedback = Feedback::new(label(self.run), n, "user");
                let target = FeedbackTarget::from(context);
                llmobs::submit_feedback(target, feedback).expect("it is valid");
                self.made.feedback = n + 1;
            }
        });
    }
}

/// Calls `step` with the next numbers, `rate` a second, until it says that it is enough; tells
/// how many a second there were.
pub(crate) fn at_rate(rate: u32, mut step: impl FnMut(std::ops::Range<u32>) -> bool) -> f64 {
    let started = Instant::now();
    let mut made = 0;
    loop {
        let due = started.elapsed().as_secs_f64() * f64::from(rate);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small"
        )]
        let due = (due as u32).min(made + rate);
        let numbers = made..due;
        made = due;
        if !step(numbers) {
            return f64::from(made) / started.elapsed().as_secs_f64();
        }
        std::thread::sleep(STEP);
    }
}

/// The child: `work --url … --dir … --run … --rate …` until it is killed, or its input ends:
/// then it shuts down and tells its counts. With the rate 0 it sends what is there first.
pub(crate) fn run(options: &Options) {
    let (run, rate) = (options.get("--run", 0), options.get("--rate", 0));
    let client = Config::new()
        .ml_app("soak")
        .agent_url(options.get("--url", String::new()))
        .dir(options.get("--dir", String::new()))
        .spool(true)
        .timeout(TIMEOUT)
        .build()
        .expect("a configuration that is valid");
    let mut out = std::io::stdout().lock();
    let time = if rate == 0 {
        Duration::from_secs(120)
    } else {
        let told = Arc::new(AtomicBool::new(false));
        let tells = Arc::clone(&told);
        std::thread::spawn(move || {
            drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
            tells.store(true, Ordering::Relaxed);
        });
        let mut maker = Maker::new(&client, run);
        let mut tell = |made: Made| {
            let told = writeln!(out, "{} {}", made.spans, made.feedback);
            told.and_then(|()| out.flush()).is_ok()
        };
        at_rate(rate, |numbers| {
            maker.step(numbers);
            tell(maker.made) && !told.load(Ordering::Relaxed)
        });
        maker.finish();
        tell(maker.made);
        END
    };
    let report = client
        .shutdown(time)
        .expect("everything is sent or spooled");
    writeln!(out, "{}", shown(&report.stats.destinations[0])).expect("the parent reads");
}
