//! What is in the folder and is not ours, or not whole, is skipped, and harms nothing.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use llmobs::DropReason;
use llmobs_tests::Intake;
use llmobs_tests::intake::Reply;

use crate::{Folder, SOON, assert_adds_up, assert_told_once, client, log, make_spans, names};

/// A spool with the spans `a` and `b` in it, and the intake that would not take them.
fn left(folder: &Folder) -> (Intake, PathBuf) {
    let intake = Intake::start();
    intake.script(|_| Reply::status(503));
    let first = client(folder, intake.url());
    make_spans(&first, &["a", "b"]);
    first.shutdown(Duration::from_millis(500)).unwrap();
    intake.script(|_| Reply::default());
    let segment = folder.files().into_iter().find(|path| is_segment(path));
    (intake, segment.unwrap())
}

fn is_segment(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "jsonl")
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

#[track_caller]
fn assert_next_sends(folder: &Folder, intake: &Intake, expected: &[&str]) {
    let report = client(folder, intake.url()).shutdown(SOON).unwrap();
    assert_adds_up(&report.stats);
    assert_eq!(names(&intake.accepted_spans()), expected);
    assert_eq!(report.stats.spans().recovered, expected.len() as u64);
}

/// One line of the log names the segment and says what is wrong with it.
#[track_caller]
fn assert_told(folder: &Folder, segment: &Path, what: &str) {
    let line = assert_told_once(folder, what);
    assert!(line.contains(segment.to_str().unwrap()), "{line}");
}

#[test]
fn a_line_that_was_torn_is_skipped() {
    let folder = Folder::new();
    let (intake, segment) = left(&folder);
    append(&segment, br#"{"v":1,"kind":"span","made_ms":1764"#);
    assert_next_sends(&folder, &intake, &["a", "b"]);
    assert!(folder.files().is_empty(), "nobody will ever read the rest");
    assert_told(&folder, &segment, "ends within an event");
}

#[test]
fn lines_that_are_not_ours_are_skipped_and_set_aside() {
    let folder = Folder::new();
    let (intake, segment) = left(&folder);
    let text = fs::read(&segment).unwrap();
    let mut mixed = b"\x00\xff not json\n[]\n{\"v\":9}\n".to_vec();
    mixed.extend(&text);
    mixed.extend(b"\n\nthe end\n");
    fs::write(&segment, mixed).unwrap();
    assert_next_sends(&folder, &intake, &["a", "b"]);
    let left: Vec<_> = folder.files();
    assert_eq!(left, [segment.with_extension("corrupt")]);
    assert_told(&folder, &segment, "6 lines of");
}

#[test]
fn a_segment_of_which_nothing_can_be_read_is_set_aside() {
    let folder = Folder::new();
    let (intake, segment) = left(&folder);
    fs::write(&segment, vec![0_u8; 100_000]).unwrap();
    assert_next_sends(&folder, &intake, &[]);
    assert_told(&folder, &segment, "ends within an event");
    assert!(folder.files().is_empty(), "it was the beginning of a line");
    fs::write(&segment, "nonsense\n".repeat(1_000)).unwrap();
    #[cfg(unix)]
    {
        // As one of ours, which are for their owner alone.
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&segment, fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert_next_sends(&folder, &intake, &[]);
    assert_eq!(folder.files(), [segment.with_extension("corrupt")]);
    assert_told(&folder, &segment, "1000 lines of");
}

/// What stands under a name in a folder: its type and, of a file, what is in it.
fn kept(path: &Path) -> (fs::FileType, Option<Vec<u8>>) {
    let of = fs::symlink_metadata(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .file_type();
    (of, of.is_file().then(|| fs::read(path).unwrap()))
}

/// A pipe: opening it would wait for its other end for ever. `false` where none can be made.
#[cfg(unix)]
fn make_pipe(path: &Path) -> bool {
    let status = std::process::Command::new("mkfifo").arg(path).status();
    status.is_ok_and(|status| status.success())
}

#[test]
fn other_files_stay_as_they_are() {
    let folder = Folder::new();
    let (intake, segment) = left(&folder);
    let dir = folder.destination();
    let unnamed = [dir.join("notes.jsonl"), dir.join("1-2-3-other.jsonl")];
    for path in &unnamed {
        fs::write(path, "{}\n").unwrap();
    }
    let mut others = vec![dir.join("README"), dir.join("1-2-4-spans.jsonl")];
    fs::write(&others[0], "x").unwrap();
    fs::create_dir(&others[1]).unwrap();
    #[cfg(unix)]
    {
        // What the link leads to would be sent, were it followed.
        let secret = folder.0.join("elsewhere.jsonl");
        fs::copy(&segment, &secret).unwrap();
        let link = dir.join("1-2-5-spans.jsonl");
        std::os::unix::fs::symlink(&secret, &link).unwrap();
        let pipes = [dir.join("1-2-6-spans.jsonl"), dir.join("pipe.jsonl")];
        others.extend(pipes.into_iter().filter(|path| make_pipe(path)));
        others.extend([secret, link]);
    }
    let all = || others.iter().chain(&unnamed);
    let before: Vec<_> = all().map(|path| kept(path)).collect();
    assert_next_sends(&folder, &intake, &["a", "b"]);
    let after: Vec<_> = all().map(|path| kept(path)).collect();
    assert_eq!(before, after);
    let mut left: Vec<_> = all().cloned().collect();
    left.retain(|path| path.starts_with(&dir));
    left.sort();
    assert_eq!(folder.files(), left, "and nothing else");
    #[cfg(unix)]
    assert_eq!(
        fs::read_link(dir.join("1-2-5-spans.jsonl")).unwrap(),
        folder.0.join("elsewhere.jsonl")
    );
    for path in &unnamed {
        let shown = path.display();
        let line = format!("{shown} in the spool is skipped: its name is not that of a segment");
        assert_eq!(assert_told_once(&folder, path.to_str().unwrap()), line);
    }
    for path in &others {
        let told = log::lines_with(path.to_str().unwrap());
        assert!(told.is_empty(), "{told:?}");
    }
}

/// A repository may bring a folder of llmobs with it.
#[cfg(unix)]
#[test]
fn a_segment_that_is_open_to_others_is_not_sent() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let (intake, segment) = left(&folder);
    let planted = segment.with_file_name("1-1-1-spans.jsonl");
    fs::copy(&segment, &planted).unwrap();
    fs::set_permissions(&planted, fs::Permissions::from_mode(0o644)).unwrap();
    assert_next_sends(&folder, &intake, &["a", "b"]);
    assert_eq!(folder.files(), std::slice::from_ref(&planted));
    assert_told(&folder, &planted, "is skipped");
}

#[cfg(unix)]
#[test]
fn a_segment_of_another_user_is_not_sent() {
    let folder = Folder::new();
    let (intake, segment) = left(&folder);
    let planted = segment.with_file_name("1-1-1-spans.jsonl");
    fs::copy(&segment, &planted).unwrap();
    if std::os::unix::fs::chown(&planted, Some(12_345), Some(12_345)).is_err() {
        // Nobody but root can plant one.
        return;
    }
    assert_next_sends(&folder, &intake, &["a", "b"]);
    assert_eq!(folder.files(), std::slice::from_ref(&planted));
    assert_told(&folder, &planted, "belongs to user 12345");
}

#[test]
fn what_was_acknowledged_before_the_process_ended_is_not_sent_again() {
    let folder = Folder::new();
    let (intake, segment) = left(&folder);
    let text = fs::read_to_string(&segment).unwrap();
    let first = text.find('\n').unwrap() + 1;
    let ack = format!("{}.ack", segment.display());
    fs::write(ack, format!("{first}\n")).unwrap();
    assert_next_sends(&folder, &intake, &["b"]);
    assert!(folder.files().is_empty());
}

#[test]
fn a_segment_that_somebody_cuts_while_it_waits_is_counted() {
    let folder = Folder::new();
    let (intake, segment) = left(&folder);
    let earlier = fs::read(&segment).unwrap();
    fs::write(&segment, earlier.repeat(600)).unwrap();
    // While the first of two requests is being tried, the segment is cut.
    intake.replies([Reply::status(429).header("Retry-After", "1")]);
    let tries = intake.requests().len();
    let second = client(&folder, intake.url());
    intake.wait_for(|requests| requests.len() > tries, SOON);
    let file = fs::OpenOptions::new().write(true).open(&segment).unwrap();
    file.set_len(10).unwrap();
    let report = second.shutdown(SOON).unwrap();
    assert_adds_up(&report.stats);
    let spans = report.stats.spans();
    let unreadable: u64 = spans
        .dropped
        .iter()
        .filter(|(reason, _)| *reason == DropReason::Unreadable)
        .map(|(_, count)| count)
        .sum();
    assert_eq!(
        (spans.recovered, spans.delivered, unreadable),
        (1_200, 1_000, 200)
    );
}

#[cfg(unix)]
#[test]
fn a_segment_that_cannot_be_opened_does_not_stop_the_others() {
    let folder = Folder::new();
    let (intake, segment) = left(&folder);
    let long = segment.with_file_name("0-0-0-spans.jsonl");
    if !make_pipe(&long) {
        return;
    }
    assert_next_sends(&folder, &intake, &["a", "b"]);
}
