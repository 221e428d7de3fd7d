//! Programs that exit, fork and get signals.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Lines};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use llmobs_tests::{Intake, Reply};
use serde_json::Value;

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(60);

/// A running program. It is killed with this value and with its children, so that none is left by a test that fails.
struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    fn start(arguments: &[&str], intake: &Intake) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_llmobs-tests-ends"));
        command.arg(arguments[0]).arg(intake.url());
        command.args(&arguments[1..]).stdout(Stdio::piped());
        command.process_group(0);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line that it writes, once it is there.
    fn says(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }

    fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.child.id()).unwrap();
        // SAFETY: a child of ours that was not waited for yet.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    fn end(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < SOON, "the program does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[track_caller]
    fn ends_well(&mut self) {
        let status = self.end();
        assert!(status.success(), "{status}");
    }

    #[track_caller]
    fn ends_by(&mut self, signal: libc::c_int) {
        let status = self.end();
        assert_eq!(status.signal(), Some(signal), "{status}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let group = libc::pid_t::try_from(self.child.id()).unwrap();
        // SAFETY: the group of a child of ours; where it was waited for, its own children are gone
        // as well, or still of that group.
        unsafe { libc::kill(-group, libc::SIGKILL) };
        let _ = self.child.wait();
    }
}

fn names(intake: &Intake) -> Vec<String> {
    let spans = intake.accepted_spans();
    let names = spans
        .iter()
        .map(|span| span["name"].as_str().unwrap().to_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn named<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    spans.iter().find(|span| span["name"] == name).unwrap()
}

fn distinct_ids(spans: &[Value]) -> usize {
    let ids: BTreeSet<&str> = spans
        .iter()
        .map(|span| span["span_id"].as_str().unwrap())
        .collect();
    ids.len()
}

#[test]
fn a_forked_child_is_off_until_it_enables_llmobs_and_the_parent_loses_nothing() {
    let intake = Intake::start();
    Program::start(&["fork"], &intake).ends_well();
    let expected = [
        "before",
        "in the child",
        "in the parent",
        "outer",
        "started",
    ];
    assert_eq!(names(&intake), expected);
    let spans = intake.accepted_spans();
    assert_eq!(distinct_ids(&spans), 5, "{spans:?}");
    let outer = named(&spans, "outer");
    assert_eq!(
        outer["meta"].get("output"),
        None,
        "the child's is not the parent's"
    );
    // As in ddtrace, a trace goes on in the child.
    let child = named(&spans, "in the child");
    assert_eq!(child["parent_id"], outer["span_id"]);
    assert_eq!(child["trace_id"], outer["trace_id"]);
    assert_eq!(child["session_id"], "s");
    let evaluations = intake.accepted_evaluations();
    assert_eq!(evaluations.len(), 1);
    let joined = &evaluations[0]["join_on"]["span"];
    assert_eq!(joined["span_id"], outer["span_id"], "{joined}");
}

#[test]
fn a_program_may_end_in_the_middle_of_functions() {
    let intake = Intake::start();
    for how in ["sync", "async"] {
        for subscriber in ["first", "last"] {
            Program::start(&["exit_in_a_function", how, subscriber], &intake).ends_well();
        }
    }
}

#[test]
fn what_a_killed_server_left_in_its_spool_is_sent_while_its_workers_live() {
    let folder = std::env::temp_dir().join(format!("llmobs-ends-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let intake = Intake::start();
    intake.script(|_| Reply::hang());
    let mut program = Program::start(&["fork_with_a_spool", folder.to_str().unwrap()], &intake);
    assert_eq!(program.says(), "the worker goes on");
    // Its one request has its answer, which is none: nothing of it is under way when the answers change.
    intake.wait_for(|requests| requests.len() == 1, SOON);
    let pid = libc::pid_t::try_from(program.child.id()).unwrap();
    // SAFETY: a child of ours that was not waited for yet; its own child goes on. It is a child
    // still when this is through, and its locks are gone.
    unsafe {
        assert_eq!(libc::kill(pid, libc::SIGKILL), 0);
        let mut died = std::mem::zeroed();
        let how = libc::WEXITED | libc::WNOWAIT;
        let id = libc::id_t::try_from(pid).unwrap();
        assert_eq!(libc::waitid(libc::P_PID, id, &raw mut died, how), 0);
    }
    intake.script(|_| Reply::default());
    let config = llmobs::Config::new().ml_app("ends").agent_url(intake.url());
    let client = config.dir(&folder).spool(true).build().unwrap();
    let started = Instant::now();
    while client.stats().spans().recovered == 0 && started.elapsed() < SOON {
        std::thread::sleep(Duration::from_millis(5));
    }
    let spans = client.shutdown(SOON).unwrap().stats.spans();
    assert_eq!((spans.recovered, spans.delivered), (1, 1), "{spans:?}");
    assert_eq!(names(&intake), ["of the master"]);
    // SAFETY: the group of the program, which was not waited for yet.
    assert_eq!(unsafe { libc::kill(-pid, libc::SIGKILL) }, 0);
    program.end();
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_child_that_returns_from_a_function_of_its_parent_ends_no_span() {
    let intake = Intake::start();
    Program::start(&["fork_in_a_function"], &intake).ends_well();
    let expected = [
        "below",
        "forks",
        "goes_on",
        "in the child",
        "of goes_on",
        "shared in the child",
    ];
    assert_eq!(names(&intake), expected);
    let spans = intake.accepted_spans();
    assert_eq!(distinct_ids(&spans), 6, "{spans:?}");
    let tags = named(&spans, "forks")["tags"].to_string();
    assert!(
        tags.contains("of:parent") && !tags.contains("of:child"),
        "{tags}"
    );
    let (above, below) = (named(&spans, "goes_on"), named(&spans, "of goes_on"));
    assert_eq!(below["parent_id"], above["span_id"]);
    assert_eq!(below["trace_id"], above["trace_id"]);
}

#[test]
fn a_child_forked_by_a_busy_program_waits_for_no_thread_that_it_does_not_have() {
    let intake = Intake::start();
    let mut program = Program::start(&["fork_while_busy"], &intake);
    let made = [program.says(), program.says()].map(|count| count.parse::<usize>().unwrap());
    program.ends_well();
    let names = names(&intake);
    let children = names.iter().filter(|name| *name == "in the child");
    assert_eq!(children.count(), 20);
    assert!(!names.iter().any(|name| name == "nowhere"));
    assert_eq!(names.len() - 20, made.iter().sum::<usize>());
    assert_eq!(distinct_ids(&intake.accepted_spans()), names.len());
}

#[test]
fn forked_workers_send_their_own_spans_and_the_master_its_own() {
    let intake = Intake::start();
    Program::start(&["fork_of_workers"], &intake).ends_well();
    let names = names(&intake);
    let of = |who: &str| names.iter().filter(|name| *name == who).count();
    assert_eq!((of("of a worker"), of("of the master")), (100, 2));
    assert_eq!(distinct_ids(&intake.accepted_spans()), 102);
}

#[test]
fn a_client_of_its_own_is_off_in_a_forked_child_and_below_it() {
    let intake = Intake::start();
    Program::start(&["fork_with_a_client_of_its_own"], &intake).ends_well();
    let expected = [
        "of the child",
        "of the grandchild",
        "of the parent",
        "of the parent",
    ];
    assert_eq!(names(&intake), expected);
    assert_eq!(distinct_ids(&intake.accepted_spans()), 4);
    assert_eq!(intake.accepted_evaluations().len(), 1);
}

#[test]
fn a_signal_for_a_forked_child_ends_the_child_alone() {
    let intake = Intake::start();
    Program::start(&["fork_with_signals"], &intake).ends_well();
    assert_eq!(names(&intake), ["of the child", "of the parent"]);
}

#[test]
fn a_guard_in_the_storage_of_the_main_thread_delivers() {
    let intake = Intake::start();
    Program::start(&["exit_thread_local"], &intake).ends_well();
    assert_eq!(names(&intake), ["last of its own", "of its own", "of main"]);
}

#[test]
fn a_shutdown_after_main_delivers() {
    let intake = Intake::start();
    Program::start(&["exit_handler"], &intake).ends_well();
    assert_eq!(names(&intake), ["of main"]);
}

#[test]
fn a_client_that_cannot_be_started_turns_no_other_one_off() {
    let intake = Intake::start();
    Program::start(&["start_that_fails"], &intake).ends_well();
    assert_eq!(names(&intake), ["after", "before", "enabled"]);
}

#[test]
fn a_program_may_enable_llmobs_while_a_panic_passes() {
    let intake = Intake::start();
    Program::start(&["start_while_a_panic_passes"], &intake).ends_well();
    assert_eq!(names(&intake), ["while a panic passes"]);
}

#[test]
fn what_waits_at_a_signal_is_delivered_and_the_program_ends_by_that_signal() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let intake = Intake::start();
        let mut program = Program::start(&["signal", "60000"], &intake);
        assert_eq!(program.says(), "ready");
        program.signal(signal);
        program.ends_by(signal);
        assert_eq!(names(&intake), ["of a tenant", "waits"]);
    }
}

#[test]
fn a_signal_ends_the_program_within_the_bound_while_the_intake_hangs() {
    let intake = Intake::start();
    intake.script(|_| Reply::hang());
    let mut program = Program::start(&["signal", "100"], &intake);
    assert_eq!(program.says(), "ready");
    program.signal(libc::SIGTERM);
    program.ends_by(libc::SIGTERM);
}

#[test]
fn what_waits_at_a_signal_while_the_intake_hangs_is_sent_by_the_next_process() {
    let folder = std::env::temp_dir().join(format!("llmobs-signal-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let intake = Intake::start();
    intake.script(|_| Reply::hang());
    let arguments = ["signal_with_a_spool", folder.to_str().unwrap()];
    let mut program = Program::start(&arguments, &intake);
    assert_eq!(program.says(), "ready");
    program.signal(libc::SIGTERM);
    program.ends_by(libc::SIGTERM);
    intake.script(|_| Reply::default());
    let config = llmobs::Config::new().ml_app("ends").agent_url(intake.url());
    let client = config.dir(&folder).spool(true).build().unwrap();
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_eq!((stats.spans().recovered, stats.spans().delivered), (1, 1));
    assert_eq!(stats.evaluations().recovered, 1);
    assert_eq!(stats.evaluations().delivered, 1);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// As long as who asks twice has to let pass, and a little more.
const IMPATIENCE: Duration = Duration::from_millis(1_100);

#[test]
fn what_a_signal_leaves_no_time_for_is_written_to_the_spool() {
    let name = format!("llmobs-ends-slow-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let intake = Intake::start();
    intake.script(|_| Reply::status(503));
    let arguments = ["signal_with_a_slow_processor", folder.to_str().unwrap()];
    let mut program = Program::start(&arguments, &intake);
    assert_eq!(program.says(), "ready");
    program.signal(libc::SIGTERM);
    program.ends_by(libc::SIGTERM);
    intake.script(|_| Reply::default());
    let config = llmobs::Config::new().ml_app("ends").agent_url(intake.url());
    let client = config.dir(&folder).spool(true).build().unwrap();
    let stats = client.shutdown(SOON).unwrap().stats;
    assert_eq!(stats.spans().recovered, 300);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_second_sigint_a_second_later_ends_the_program_at_once() {
    let intake = Intake::start();
    intake.script(|_| Reply::hang());
    for first in [libc::SIGINT, libc::SIGTERM] {
        let before = intake.requests().len();
        let mut program = Program::start(&["signal", "3600000"], &intake);
        assert_eq!(program.says(), "ready");
        program.signal(first);
        // Both clients are at it.
        intake.wait_for(|requests| requests.len() == before + 2, SOON);
        std::thread::sleep(IMPATIENCE);
        program.signal(libc::SIGTERM);
        program.signal(libc::SIGINT);
        program.ends_by(libc::SIGINT);
    }
}

/// `timeout`, systemd, docker and shells send a signal to a process and to its group.
#[test]
fn a_signal_that_comes_twice_is_one_signal() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let intake = Intake::start();
        intake.script(|_| Reply::default().after(Duration::from_millis(300)));
        let mut program = Program::start(&["signal", "60000"], &intake);
        assert_eq!(program.says(), "ready");
        program.signal(signal);
        program.signal(signal);
        intake.wait_for(|requests| !requests.is_empty(), SOON);
        program.signal(libc::SIGTERM);
        program.ends_by(signal);
        assert_eq!(names(&intake), ["of a tenant", "waits"]);
    }
}

#[test]
fn a_signal_that_the_program_waits_for_is_left_to_it() {
    let intake = Intake::start();
    let mut program = Program::start(&["signal_waited_for"], &intake);
    assert_eq!(program.says(), "ready");
    program.signal(libc::SIGTERM);
    program.ends_well();
    assert_eq!(names(&intake), ["of the program's end"]);
}

#[cfg(target_os = "linux")]
#[test]
fn every_thread_that_llmobs_starts_blocks_all_signals() {
    let intake = Intake::start();
    intake.script(|_| Reply::hang());
    let mut program = Program::start(&["signal_masks"], &intake);
    let mut seen = BTreeSet::new();
    loop {
        let line = program.says();
        if line == "all" {
            break;
        }
        let (name, blocked) = line.rsplit_once(' ').unwrap();
        let blocked = u64::from_str_radix(blocked, 16).unwrap();
        let is_blocked = |signal: libc::c_int| blocked >> (signal - 1) & 1 == 1;
        for signal in 1..=31 {
            let expected = match signal {
                // Nobody can block these.
                libc::SIGKILL | libc::SIGSTOP => false,
                libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL => false,
                libc::SIGTRAP | libc::SIGSYS => false,
                libc::SIGINT | libc::SIGTERM => name != "llmobs-signals",
                _ => true,
            };
            assert_eq!(is_blocked(signal), expected, "{name}: {signal}");
        }
        assert!(is_blocked(libc::SIGRTMAX()), "{name}");
        seen.insert(name.to_owned());
    }
    for name in [
        "llmobs-worker",
        "llmobs-flush",
        "llmobs-signals",
        "llmobs-offline",
    ] {
        assert!(
            seen.iter().any(|seen| seen.starts_with(name)),
            "{name}: {seen:?}"
        );
    }
    assert!(
        seen.iter().any(|name| name.starts_with("tokio")),
        "{seen:?}"
    );
}

#[test]
fn an_agent_that_goes_away_does_not_end_a_program_that_has_sigpipe_at_its_default() {
    let intake = Intake::start();
    let mut program = Program::start(&["signal_pipe"], &intake);
    assert_eq!(
        program.lines.next().map(Result::unwrap).as_deref(),
        Some("lives")
    );
    program.ends_well();
}

#[test]
fn a_signal_that_the_program_ignores_stays_ignored() {
    let intake = Intake::start();
    Program::start(&["signal_ignored"], &intake).ends_well();
    assert_eq!(names(&intake), ["goes on"]);
}

#[test]
fn a_signal_that_the_program_handles_is_left_to_it() {
    for ending in [
        "signal_handled_before",
        "signal_handled_after",
        "signal_tokio",
    ] {
        let intake = Intake::start();
        let mut program = Program::start(&[ending], &intake);
        assert_eq!(program.says(), "ready");
        program.signal(libc::SIGTERM);
        program.ends_well();
        assert_eq!(names(&intake), ["of the program's end"], "{ending}");
    }
}

#[test]
fn tasks_that_a_runtime_ends_arrive_where_the_guard_lies_outside_of_it() {
    let intake = Intake::start();
    Program::start(&["guard_outside_of_the_runtime"], &intake).ends_well();
    let spans = intake.accepted_spans();
    assert_eq!(names(&intake), ["slow"; 3]);
    for span in spans {
        let tags = span["tags"].as_array().unwrap();
        assert!(tags.iter().any(|tag| tag == "cancelled:true"), "{tags:?}");
    }
}

#[test]
fn tasks_that_are_aborted_just_before_the_guard_goes_arrive_or_are_told_of() {
    let intake = Intake::start();
    Program::start(&["guard_within_the_runtime"], &intake).ends_well();
    assert!(names(&intake).iter().all(|name| name == "slow"));
}

#[test]
fn spans_that_are_open_when_the_guard_goes_are_told_by_number_and_name_and_counted() {
    let intake = Intake::start();
    Program::start(&["left_open"], &intake).ends_well();
    assert_eq!(names(&intake), ["delivered"]);
    Program::start(&["left_current"], &intake).ends_well();
}

#[test]
fn a_program_that_changes_its_directory_leaves_nothing_behind_in_the_first_one() {
    let home = std::env::temp_dir().join(format!("llmobs-directory-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    let intake = Intake::start();
    intake.script(|_| Reply::status(503));
    let mut program = Program::start(&["directory", home.to_str().unwrap()], &intake);
    assert_eq!(program.says(), "elsewhere");
    intake.script(|_| Reply::default());
    program.ends_well();
    assert_eq!(intake.accepted_spans().len(), 1);
    assert_eq!(intake.accepted_evaluations().len(), 1);
    let files = |folder: &std::path::Path| {
        let entries = std::fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name());
        names.collect::<Vec<_>>()
    };
    assert!(files(&home.join("elsewhere")).is_empty());
    for destination in std::fs::read_dir(home.join(".llmobs/spool")).unwrap() {
        let left = files(&destination.unwrap().path());
        assert!(left.is_empty(), "{left:?}");
    }
    std::fs::remove_dir_all(&home).unwrap();
}
