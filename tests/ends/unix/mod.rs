//! What the program does on Unix.

mod directory;
mod exit;
mod fork;
#[path = "../../scenarios/log.rs"]
mod log;
mod open;
mod signal;
mod start;

use std::time::Duration;

use llmobs::{Config, Guard};

/// Never reached by what works: the test ends the program long before.
const NEVER: Duration = Duration::from_secs(3600);

pub fn main() {
    // What a test is started with may be ignored: by `&` in a script, say.
    for signal in [libc::SIGINT, libc::SIGTERM] {
        signal::set(signal, libc::SIG_DFL);
    }
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().expect("an ending and a URL");
    let (ending, url) = (next(), next());
    match &*ending {
        "fork" => fork::once(&url),
        "fork_in_a_function" => fork::in_a_function(&url),
        "fork_with_a_spool" => fork::with_a_spool(&url, &next()),
        "fork_while_busy" => fork::while_busy(&url),
        "fork_of_workers" => fork::of_workers(&url),
        "fork_with_a_client_of_its_own" => fork::with_a_client_of_its_own(&url),
        "fork_with_signals" => fork::with_signals(&url),
        "exit_thread_local" => exit::thread_local(&url),
        "exit_in_a_function" => exit::in_a_function(&url, &next(), next() == "first"),
        "exit_handler" => exit::handler(&url),
        "guard_outside_of_the_runtime" => open::guard_outside(&url),
        "guard_within_the_runtime" => open::guard_within(&url),
        "left_open" => open::left_open(&url),
        "left_current" => open::left_current(&url),
        "directory" => directory::changes(&url, &next()),
        "start_that_fails" => start::fails(&url),
        "start_while_a_panic_passes" => start::while_a_panic_passes(&url),
        "signal" => signal::no_handler(&url, &next()),
        "signal_with_a_spool" => signal::with_a_spool(&url, &next()),
        "signal_with_a_slow_processor" => {
            signal::with_a_spool_and_a_slow_processor(&url, &next());
        }
        "signal_ignored" => signal::ignored(&url),
        "signal_handled_before" => signal::handled_before(&url),
        "signal_handled_after" => signal::handled_after(&url),
        "signal_tokio" => signal::tokio(&url),
        "signal_waited_for" => signal::waited_for(&url),
        #[cfg(target_os = "linux")]
        "signal_masks" => signal::masks(&url),
        "signal_pipe" => signal::pipe(),
        other => panic!("no such ending: {other}"),
    }
}

/// A client whose events wait until somebody flushes.
fn config(url: &str) -> Config {
    Config::new()
        .ml_app("ends")
        .agent_url(url)
        .flush_interval(NEVER)
        .timeout(NEVER)
}

fn enable(url: &str) -> Guard {
    config(url).enable().unwrap()
}

fn span(name: &'static str) {
    llmobs::Span::task(name).start().finish().unwrap();
}

/// Tells the test where the program is.
fn say(what: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout();
    writeln!(out, "{what}").unwrap();
    out.flush().unwrap();
}
