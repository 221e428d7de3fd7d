//! Builds that are not the usual one.

use std::path::Path;
use std::process::Command;

/// The attributes and the runtime behind them compile where threads and clocks are a
/// checker's (loom, miri): nothing of ours looks at these. Without the feature `enabled`,
/// since tokio has a build of its own for loom.
#[test]
fn case_59_code_with_attributes_compiles_for_loom_and_miri() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("case_59");
    let output = Command::new(env!("CARGO"))
        .args(["check", "--quiet", "--package", "llmobs-example-library"])
        .arg("--target-dir")
        .arg(target)
        .env("RUSTFLAGS", "--cfg loom --cfg miri -D warnings")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
}
