//! The table of `docs/parity.md` names tests that are there.

use std::fs;
use std::path::Path;

/// Rows that may have nothing to show.
const BARE: [u32; 17] = [
    1, 6, 13, 15, 16, 21, 50, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65,
];

#[test]
fn every_row_of_the_table_has_a_test_or_says_that_there_is_none() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let table = fs::read_to_string(docs.join("parity.md")).unwrap();
    let mut rows = 0;
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let links: Vec<&str> = line.split("[`").skip(1).collect();
        for link in &links {
            let (name, rest) = link.split_once("`](").unwrap();
            let (path, _) = rest.split_once(')').unwrap();
            let file = fs::read_to_string(docs.join(path))
                .unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(
                file.contains(&format!("fn {name}(")),
                "{path} has no test {name}"
            );
        }
        let Some(row) = line
            .split('|')
            .nth(1)
            .and_then(|cell| cell.trim().parse::<u32>().ok())
        else {
            continue;
        };
        rows += 1;
        assert_eq!(
            row, rows,
            "the rows are numbered as those of the comparison"
        );
        assert_eq!(links.is_empty(), BARE.contains(&row), "row {row}");
    }
    assert_eq!(rows, 66);
}
