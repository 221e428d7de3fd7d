//! That no recording is without a twin.

use std::collections::BTreeSet;
use std::path::Path;

use llmobs_tests::Golden;

/// Twins name their recording where they start, in the files beside this one.
#[test]
fn every_recording_has_a_twin() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("goldens");
    let mut twins = BTreeSet::new();
    for file in std::fs::read_dir(here).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(path).unwrap();
            for start in source.split("Twin::").skip(1) {
                let (_, call) = start.split_once('(').unwrap_or_default();
                let mut quoted = call.trim_start().split('"');
                if quoted.next() == Some("") {
                    twins.extend(quoted.next().map(str::to_owned));
                }
            }
        }
    }
    let recorded: BTreeSet<String> = Golden::names().into_iter().collect();
    assert!(recorded.len() >= 32, "{recorded:?}");
    let without: Vec<_> = recorded.difference(&twins).collect();
    assert!(without.is_empty(), "no twin of {without:?}");
    let unknown: Vec<_> = twins.difference(&recorded).collect();
    assert!(unknown.is_empty(), "no recording {unknown:?}");
}
