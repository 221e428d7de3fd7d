//! Files that somebody removes, moves or replaces while they are open; and names that are not ours.

use super::*;

fn folder() -> PrivateDir {
    let name = format!("llmobs-removed-{}", Writer::new().next());
    PrivateDir::make(&std::env::temp_dir().join(name)).unwrap()
}

#[test]
fn a_segment_that_is_removed_or_replaced_takes_no_more_and_leaves_nothing() {
    type Change = fn(&Path);
    let changes: [Change; 4] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::remove_dir_all(path.parent().unwrap()).unwrap(),
        |path| fs::rename(path, path.with_extension("moved")).unwrap(),
        |path| {
            fs::remove_file(path).unwrap();
            fs::write(path, "another's\n").unwrap();
        },
    ];
    for change in changes {
        let dir = folder();
        let segment = Segment::create(&dir, &Writer::new(), None).unwrap();
        let first = segment.append(b"first\n").unwrap();
        assert!(!segment.is_gone());
        change(segment.path());
        let error = segment.append(b"second\n").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(segment.is_gone());
        assert_eq!(segment.len(), first.end);
        // It can be read as long as it is open.
        assert_eq!(segment.read(first.clone()).unwrap(), b"first\n");
        segment.ack(first.end);
        segment.remove();
        segment.set_aside();
        if dir.path().exists() {
            assert!(!segment.ack_path().exists());
            let theirs = fs::read_to_string(segment.path());
            assert!(theirs.map_or(true, |text| text == "another's\n"));
            fs::remove_dir_all(dir.path()).unwrap();
        }
    }
}

#[test]
fn an_acknowledgement_whose_file_is_removed_is_written_to_another() {
    let dir = folder();
    let segment = Segment::create(&dir, &Writer::new(), None).unwrap();
    let first = segment.append(b"first\n").unwrap();
    let second = segment.append(b"second\n").unwrap();
    segment.append(b"third\n").unwrap();
    segment.ack(first.end);
    fs::remove_file(segment.ack_path()).unwrap();
    segment.ack(second.end);
    let path = segment.path().to_owned();
    drop(segment);
    let adopted = Segment::adopt(&dir, &path).unwrap().unwrap();
    assert_eq!(adopted.acked(), second.end);
    fs::remove_dir_all(dir.path()).unwrap();
}

#[test]
fn the_names_of_segments_are_ours_to_the_letter() {
    let label = |name: &str| {
        let path = PathBuf::from(name);
        Name::of(&path).map(|name| (name.writer.to_owned(), name.label.map(str::to_owned)))
    };
    let writer = || "12-1764547200000".to_owned();
    assert_eq!(label("/a/12-1764547200000-3.jsonl"), Some((writer(), None)));
    let spans = Some("spans".to_owned());
    assert_eq!(
        label("12-1764547200000-3-spans.jsonl"),
        Some((writer(), spans))
    );
    for other in [
        "notes.jsonl",
        "2024-01-01.jsonl",
        "2024-01-01-notes.jsonl",
        "12-1764547200000.jsonl",
        "12-1764547200000-.jsonl",
        "-1-2-3.jsonl",
        "+1-2-3.jsonl",
        "1-2-03.jsonl",
        "1-2-3-.jsonl",
        "1-2-3-Spans.jsonl",
        "1-2-3-spans-2.jsonl",
        "1-2-3-spans.json",
        "1-2-3-spans.jsonl.ack",
        "99999999999999999999-2-3.jsonl",
    ] {
        assert_eq!(label(other), None, "{other}");
    }
    let writer = Writer::new();
    let next = format!("{}-events.jsonl", writer.next());
    assert_eq!(labelled(Path::new(&next)), Some((writer.name(), "events")));
}
