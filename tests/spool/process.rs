//! Processes that are killed, and a disk that is full: for real.

use std::path::Path;
use std::process::{Command, Output};

use crate::Folder;

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
