//! The global client from `enable` to the drop of its guard: one per process, so one test.

use llmobs::{Config, Evaluation, export_span, is_enabled, llm, submit_evaluation};
use llmobs_tests::Intake;

/// The guard has five seconds for all of them, of a debug build on a busy machine.
const COUNT: usize = 1_000;

#[llm(model_name = "tight-loop")]
fn call(number: usize) -> String {
    submit_evaluation(export_span(None), Evaluation::new("number", number)).unwrap();
    "completion".to_owned()
}

/// What a program does: enable, a tight loop, the guard goes.
fn program(intake: &Intake) {
    let guard = Config::new().agent_url(intake.url()).enable().unwrap();
    assert!(is_enabled());
    let second = Config::new()
        .agent_url("http://127.0.0.1:9")
        .enable()
        .unwrap();
    assert!(second.client().is_none(), "enabled already: an idle guard");
    drop(second);
    for number in 0..COUNT {
        assert_eq!(call(number), "completion");
    }
    drop(guard);
    assert!(!is_enabled());
    assert_eq!(export_span(None), None);
    assert_eq!(call(0), "completion");
}

#[test]
fn a_tight_loop_and_the_drop_of_the_guard_lose_nothing() {
    let intake = Intake::start();
    program(&intake);
    assert_eq!(intake.accepted_spans().len(), COUNT);
    assert_eq!(intake.accepted_evaluations().len(), COUNT);

    // Once more, where the drop blocks the only thread of the program's own runtime.
    let intake = Intake::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { program(&intake) });
    assert_eq!(intake.accepted_spans().len(), COUNT);
    assert_eq!(intake.accepted_evaluations().len(), COUNT);
}
