//! Processes that are killed, and a disk that is full: for real.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use llmobs_tests::{Intake, Reply, Request};
use serde_json::Value;

use crate::{Folder, SOON, assert_adds_up, client, make_spans};

fn soak(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_soak");
    Command::new(program).args(arguments).output().unwrap()
}

#[track_caller]
fn assert_success(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
}

/// The long forms run by hand and in CI: `tests/soak`.
#[test]
fn what_was_finished_a_second_before_a_kill_is_sent_by_the_next_process() {
    assert_success(&soak(&["kills", "--times", "3", "--rate", "500"]));
}

#[test]
fn under_random_faults_every_event_arrives_or_is_counted() {
    assert_success(&soak(&["faults", "--seconds", "5", "--rate", "500"]));
}

#[test]
fn what_a_process_leaves_is_sent_by_one_that_runs_beside_it() {
    let folder = Folder::new();
    let mut intake = Intake::start();
    // One of them is killed, in the middle of a request maybe.
    intake.allow_violations();
    intake.script(|_| Reply::status(503));
    let client = client(&folder, intake.url());
    make_spans(&client, &["of this one"]);
    let mut other = Command::new(env!("CARGO_BIN_EXE_soak"))
        .args(["work", "--run", "7", "--rate", "50"])
        .args(["--url", intake.url()])
        .arg("--dir")
        .arg(&folder.0)
        // It ends in order where this ends.
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let is_of_the_other = |span: &Value| span["name"].as_str().unwrap().starts_with("7 ");
    let has_some = |request: &Request| request.spans().any(is_of_the_other);
    intake.wait_for(|requests| requests.iter().any(has_some), SOON);
    assert_eq!(client.stats().spans().recovered, 0, "it has a writer");
    other.kill().unwrap();
    other.wait().unwrap();

    intake.script(|_| Reply::default());
    // It looks for what was left every ten seconds.
    let came = |request: &Request| request.was_accepted() && has_some(request);
    intake.wait_for(|requests| requests.iter().any(came), SOON);
    let report = client.shutdown(SOON).unwrap();
    assert_adds_up(&report.stats);
    let spans = report.stats.spans();
    assert_eq!(spans.delivered, 1 + spans.recovered);
    assert_eq!(intake.accepted_spans().len() as u64, spans.delivered);
    assert!(folder.files().is_empty(), "{:?}", folder.files());
}

/// On a file system of 256 kB that is this test's own. Without the right to mount one, as in some
/// containers, nothing is tested, unless `LLMOBS_FULL_DISK` says that it must be.
#[cfg(target_os = "linux")]
#[test]
fn on_a_full_disk_events_wait_in_memory_and_arrive() {
    let folder = Folder::new();
    let mount = r#"mount -t tmpfs -o size=256k,mode=700 tmpfs "$1" && exec "$2" full --dir "$1""#;
    let inside = |unshare: &[&str], path: &Path| {
        Command::new("unshare")
            .args(unshare)
            .args(["sh", "-c", mount, "sh"])
            .arg(path)
            .arg(env!("CARGO_BIN_EXE_soak"))
            .output()
    };
    for unshare in [&["-m"][..], &["-Urm"]] {
        let Ok(output) = inside(unshare, &folder.0) else {
            break;
        };
        let began = String::from_utf8_lossy(&output.stdout).contains("full disk");
        if began {
            return assert_success(&output);
        }
    }
    assert!(
        std::env::var_os("LLMOBS_FULL_DISK").is_none(),
        "no file system can be mounted here"
    );
}
