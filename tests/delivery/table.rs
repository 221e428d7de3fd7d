//! The table of `docs/delivery.md` names tests that are there, and every test of the files that play faults is in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Tests beside those of faults.
const NO_FAULTS: [&str; 3] = [
    "files_are_for_their_owner_alone",
    "memory_and_the_journal_hold_the_event_itself",
    "the_journal_and_memory_need_no_spool",
];

#[test]
fn every_row_of_the_table_has_a_test() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let text = fs::read_to_string(docs.join("delivery.md")).unwrap();
    let mut named = BTreeSet::new();
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| fault"))
        .collect();
    for row in &rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 6, "{row}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{row}");
        let links: Vec<&str> = cells[5].split("[`").skip(1).collect();
        assert!(!links.is_empty(), "no test: {row}");
        for link in links {
            let (name, rest) = link.split_once("`](").unwrap();
            let (path, _) = rest.split_once(')').unwrap();
            let file = fs::read_to_string(docs.join(path))
                .unwrap_or_else(|error| panic!("{path}: {error}"));
            let test = format!("#[test]\nfn {name}()");
            assert!(file.contains(&test), "{path} has no test {name}");
            named.insert(name.to_owned());
        }
    }
    assert!(rows.len() > 30, "{} rows", rows.len());
    let mut files = vec![
        docs.join("../tests/delivery/answers.rs"),
        docs.join("../tests/delivery/feedback.rs"),
    ];
    for folder in ["../tests/delivery/faults", "../tests/spool"] {
        let entries = fs::read_dir(docs.join(folder)).unwrap();
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    let mut others = BTreeSet::from(NO_FAULTS);
    for path in files {
        let file = fs::read_to_string(path).unwrap();
        for test in file.split("#[test]\nfn ").skip(1) {
            let (name, _) = test.split_once('(').unwrap();
            let is_in_a_row = named.contains(name);
            assert!(is_in_a_row != others.remove(name), "{name} is in no row");
        }
    }
    assert!(others.is_empty(), "there are no such tests: {others:?}");
}
