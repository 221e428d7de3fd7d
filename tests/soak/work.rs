//! Makes spans and evaluations at a rate. As a process of its own, it tells how far it is.

use std::io::Write as _;
use std::time::{Duration, Instant};

use llmobs::{Config, Evaluation, LlmObs, Span};

use crate::Options;
use crate::seen::{label, shown, span_name};

/// Every so many spans, one has an evaluation.
pub(crate) const EVALUATED: u32 = 5;
/// How long a rate is kept at once.
const STEP: Duration = Duration::from_millis(10);

/// The events of one step, the next numbers of a run; each span has an output of 200 bytes.
pub(crate) fn step(client: &LlmObs, run: u32, numbers: std::ops::Range<u32>) {
    let output = "x".repeat(200);
    client.scope(|| {
        for n in numbers {
            let span = Span::task(span_name(run, n)).start();
            let annotation = llmobs::Annotation::new().output(output.as_str());
            llmobs::annotate(&span, annotation).expect("a text is legal");
            let context = llmobs::export_span(&span);
            span.finish().expect("it is open");
            if n % EVALUATED == 0 {
                let evaluation = Evaluation::new(label(run), n);
                llmobs::submit_evaluation(context, evaluation).expect("it is valid");
            }
        }
    });
}

/// Calls `step` with the next numbers, `rate` a second, until it says that it is enough.
pub(crate) fn at_rate(rate: u32, mut step: impl FnMut(std::ops::Range<u32>) -> bool) {
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
            return;
        }
        std::thread::sleep(STEP);
    }
}

/// The child: `work --url … --dir … --run … --rate …` until it is killed; with the rate 0 it
/// sends what is there, and ends.
pub(crate) fn run(options: &Options) {
    let (run, rate) = (options.get("--run", 0), options.get("--rate", 0));
    let client = Config::new()
        .ml_app("soak")
        .agent_url(options.get("--url", String::new()))
        .dir(options.get("--dir", String::new()))
        .spool(true)
        .timeout(Duration::from_millis(500))
        .build()
        .expect("a configuration that is valid");
    let mut out = std::io::stdout().lock();
    if rate == 0 {
        let report = client
            .shutdown(Duration::from_secs(120))
            .expect("everything is sent");
        writeln!(out, "{}", shown(&report.stats.destinations[0])).expect("the parent reads");
        return;
    }
    at_rate(rate, |numbers| {
        let end = numbers.end;
        step(&client, run, numbers);
        writeln!(out, "{end}").and_then(|()| out.flush()).is_ok()
    });
}
