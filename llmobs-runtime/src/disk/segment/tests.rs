//! Segments that are written, read, acknowledged and taken over.

use super::beside::ACKS;
use super::*;
use crate::stats::EventKind;

fn folder() -> PrivateDir {
    PrivateDir::make(&std::env::temp_dir().join(format!("llmobs-segment-{}", Writer::new().next())))
        .unwrap()
}

fn line(name: &str) -> Vec<u8> {
    let mut line = Vec::new();
    record::write(
        &mut line,
        EventKind::Span,
        1,
        format!(r#"{{"name":"{name}"}}"#).as_bytes(),
    );
    line
}

fn found(segment: &Segment) -> Vec<String> {
    let mut all = Vec::new();
    let each = |found: Found<'_>, _| {
        all.push(match found {
            Found::Record(record) => record.json.to_owned(),
            Found::Foreign => "foreign".to_owned(),
            Found::Torn => "torn".to_owned(),
        });
    };
    segment.scan(each).unwrap();
    all
}

#[test]
fn a_segment_is_adopted_once_its_writer_is_gone_from_where_it_was_acknowledged() {
    let dir = folder();
    let segment = Segment::create(&dir, &Writer::new(), Some("spans")).unwrap();
    let first = segment.append(&line("a")).unwrap();
    let second = segment.append(&line("b")).unwrap();
    assert_eq!(first.end, second.start);
    segment.ack(first.end);
    let path = segment.path().to_owned();
    assert!(
        Segment::adopt(&dir, &path).unwrap().is_none(),
        "it has a writer"
    );
    drop(segment);
    let adopted = Segment::adopt(&dir, &path).unwrap().unwrap();
    assert_eq!(found(&adopted), [r#"{"name":"b"}"#]);
    assert_eq!(adopted.read(second).unwrap(), line("b"));
    adopted.remove();
    let gone = Segment::adopt(&dir, &path).unwrap_err();
    assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    fs::remove_dir_all(dir.path()).unwrap();
}

#[test]
fn lines_that_are_not_ours_are_skipped_one_by_one() {
    let dir = folder();
    let segment = Segment::create(&dir, &Writer::new(), None).unwrap();
    segment.append(&line("a")).unwrap();
    segment.append(b"nonsense\n\n").unwrap();
    let long = vec![b'x'; usize::try_from(LONGEST_LINE).unwrap() + 17];
    segment.append(&long).unwrap();
    segment.append(b"\n").unwrap();
    segment.append(&line("b")).unwrap();
    segment.append(br#"{"v":1,"kind":"sp"#).unwrap();
    let expected = [
        r#"{"name":"a"}"#,
        "foreign",
        "foreign",
        "foreign",
        r#"{"name":"b"}"#,
        "torn",
    ];
    assert_eq!(found(&segment), expected);
    let mut end = 0;
    let each = |_: Found<'_>, range: Range<u64>| {
        assert_eq!(range.start, end);
        end = range.end;
    };
    segment.scan(each).unwrap();
    assert_eq!(end, segment.len());
    fs::remove_dir_all(dir.path()).unwrap();
}

#[test]
fn a_name_that_is_taken_is_left_as_it_is_and_another_error_is_told() {
    let (dir, writer) = (folder(), Writer::new());
    let next = writer.next();
    let (_, next) = next.rsplit_once('-').unwrap();
    let next: u32 = next.parse().unwrap();
    // Other tests take numbers meanwhile.
    let taken = |number| {
        let name = format!("{}-{number}.jsonl", writer.name());
        dir.path().join(name)
    };
    let numbers = next..next + 500;
    for number in numbers.clone() {
        fs::write(taken(number), "theirs").unwrap();
    }
    let segment = Segment::create(&dir, &writer, None).unwrap();
    assert!(
        !numbers
            .clone()
            .any(|number| taken(number) == segment.path())
    );
    for number in numbers {
        assert_eq!(fs::read(taken(number)).unwrap(), b"theirs");
    }
    fs::remove_dir_all(dir.path()).unwrap();
    let gone = Segment::create(&dir, &writer, None).unwrap_err();
    assert_eq!(gone.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_segment_that_ends_within_a_line_takes_no_more() {
    let dir = folder();
    let segment = Segment::create(&dir, &Writer::new(), None).unwrap();
    assert!(!segment.is_torn());
    segment.open().torn = true;
    assert!(segment.is_torn());
    segment.append(&line("a")).unwrap_err();
    assert_eq!(segment.len(), 0);
    fs::remove_dir_all(dir.path()).unwrap();
}

#[test]
fn a_line_is_read_up_to_the_longest_and_what_is_behind_a_longer_one_too() {
    let dir = folder();
    let longest = usize::try_from(LONGEST_LINE).unwrap();
    let of_length = |length: usize| {
        let around = line("").len();
        line(&"x".repeat(length - around))
    };
    for (length, is_read) in [
        (longest - 1, true),
        (longest, true),
        (longest + 1, false),
        (longest + 2, false),
    ] {
        let segment = Segment::create(&dir, &Writer::new(), None).unwrap();
        let long = of_length(length);
        assert_eq!(long.len(), length, "the end of the line included");
        segment.append(&long).unwrap();
        segment.append(&line("b")).unwrap();
        let all = found(&segment);
        assert_eq!(all[0] != "foreign", is_read, "{length}");
        assert_eq!(all[1..], [r#"{"name":"b"}"#], "{length}");
    }
    fs::remove_dir_all(dir.path()).unwrap();
}

#[test]
fn an_acknowledgement_that_cannot_be_true_settles_nothing() {
    let dir = folder();
    let segment = Segment::create(&dir, &Writer::new(), None).unwrap();
    let first = segment.append(&line("a")).unwrap();
    let second = segment.append(&line("b")).unwrap();
    segment.ack(first.end);
    let (path, ack) = (segment.path().to_owned(), segment.ack_path());
    drop(segment);
    let beyond = second.end + 1;
    let within = first.end + 3;
    for (written, expected) in [
        (format!("{}\n{beyond}\n", first.end), first.end),
        (format!("{}\n{within}\n", first.end), first.end),
        (format!("{beyond}\n"), 0),
        ("18446744073709551615\n".to_owned(), 0),
        (format!("{}\n", second.end), second.end),
    ] {
        fs::write(&ack, &written).unwrap();
        let adopted = Segment::adopt(&dir, &path).unwrap().unwrap();
        assert_eq!(adopted.acked(), expected, "{written:?}");
    }
    fs::remove_dir_all(dir.path()).unwrap();
}

#[test]
fn an_acknowledgement_that_was_torn_counts_as_the_one_before() {
    let dir = folder();
    let segment = Segment::create(&dir, &Writer::new(), None).unwrap();
    let first = segment.append(&line("a")).unwrap();
    segment.append(&line("b")).unwrap();
    segment.ack(first.end);
    let path = segment.path().to_owned();
    let mut ack = OpenOptions::new()
        .append(true)
        .open(segment.ack_path())
        .unwrap();
    ack.write_all(b"9").unwrap();
    drop(segment);
    let adopted = Segment::adopt(&dir, &path).unwrap().unwrap();
    assert_eq!(adopted.acked(), first.end);
    // What comes behind the torn one is a line of its own.
    let third = adopted.append(&line("c")).unwrap();
    adopted.ack(third.start);
    drop(adopted);
    let adopted = Segment::adopt(&dir, &path).unwrap().unwrap();
    assert_eq!(found(&adopted), [r#"{"name":"c"}"#]);
    let ack = adopted.ack_path();
    drop(adopted);
    for nonsense in ["", "\n", "x\n", "-1\n", "99999999999999999999999\n"] {
        fs::write(&ack, nonsense).unwrap();
        let adopted = Segment::adopt(&dir, &path).unwrap().unwrap();
        assert_eq!(adopted.acked(), 0, "{nonsense:?}");
    }
    fs::remove_dir_all(dir.path()).unwrap();
}

#[test]
fn what_was_sent_without_an_answer_is_known_to_who_takes_a_segment_over() {
    let dir = folder();
    let segment = Segment::create(&dir, &Writer::new(), Some("evaluations")).unwrap();
    let ends = ["a", "b", "c", "d"].map(|name| segment.append(&line(name)).unwrap().end);
    segment.note_risk(ends[1], ends[2]);
    segment.ack(ends[0]);
    segment.note_risk(ends[2], ends[2]);
    assert_eq!(segment.risked(ends[1]), 0, "this process has no need of it");
    let path = segment.path().to_owned();
    drop(segment);
    let adopted = Segment::adopt(&dir, &path).unwrap().unwrap();
    assert_eq!(adopted.acked(), ends[0]);
    assert_eq!(ends.map(|end| adopted.risked(end)), [0, 1, 2, 0]);
}

#[test]
fn half_a_line_at_the_beginning_of_what_is_looked_at_settles_nothing() {
    let dir = folder();
    let segment = Segment::create(&dir, &Writer::new(), Some("evaluations")).unwrap();
    let end = segment.append(&line("a")).unwrap().end;
    let path = segment.path().to_owned();
    let note = format!("{SENT} {end} {end}\n");
    // Wherever what is looked at begins, no end of a note is a number that settles.
    for more in 0..note.len() {
        let notes = note.repeat(usize::try_from(ACKS).unwrap());
        let beside = format!("{notes}{}\n", "x".repeat(more));
        std::fs::write(segment.ack_path(), beside).unwrap();
        let beside = Beside::read(&dir, path.file_name().unwrap());
        let open = segment.open();
        assert_eq!(beside.acked(&open.file, open.len), 0);
    }
    // A file of exactly that length is looked at from its beginning.
    let settled = format!("{end}\n");
    let rest = usize::try_from(ACKS).unwrap() - settled.len() - 1;
    let beside = format!("{settled}{}\n", "x".repeat(rest));
    std::fs::write(segment.ack_path(), beside).unwrap();
    let beside = Beside::read(&dir, path.file_name().unwrap());
    let open = segment.open();
    assert_eq!(beside.acked(&open.file, open.len), end);
}

/// The kernel writes up to the limit, and then no more.
#[cfg(all(unix, feature = "enabled"))]
#[test]
#[cfg_attr(miri, ignore = "there is no fork")]
#[allow(unsafe_code, reason = "calls of the system")]
fn a_line_that_was_written_in_part_is_taken_back() {
    let is_so = || {
        let dir = folder();
        let segment = Segment::create(&dir, &Writer::new(), Some("spans")).unwrap();
        let first = segment.append(&line("first")).unwrap();
        let set = |bytes: libc::rlim_t| {
            let limit = libc::rlimit {
                rlim_cur: bytes,
                rlim_max: libc::RLIM_INFINITY,
            };
            // SAFETY: it reads a limit of ours; the signal is one that is never waited for.
            unsafe {
                libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
                libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit)
            }
        };
        set(first.end + 5);
        let fails = segment.append(&line("second")).is_err();
        set(libc::RLIM_INFINITY);
        let third = segment.append(&line("third"));
        fails
            && third.is_ok_and(|third| third.start == first.end)
            && found(&segment) == [r#"{"name":"first"}"#, r#"{"name":"third"}"#]
    };
    // SAFETY: the child runs code of ours alone, which is made for it, and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let is_so = std::panic::catch_unwind(is_so).unwrap_or(false);
        // SAFETY: it only ends the child.
        unsafe { libc::_exit(i32::from(!is_so)) };
    }
    let mut status = 0;
    // SAFETY: a child of ours, and a number of ours.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
}
