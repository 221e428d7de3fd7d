//! Who may see what: keys and passwords, files, and servers that are not who they say they are.

mod answers;
#[cfg(unix)]
mod files;
mod keys;
mod proxies;
mod redirects;
mod tls;
mod witness;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use llmobs::{Config, LlmObs, Span};

pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A folder of this test's own, gone with this value.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("llmobs-security-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn client(config: Config) -> LlmObs {
    config
        .ml_app("security")
        .flush_interval(Duration::from_millis(20))
        .build()
        .unwrap()
}

pub(crate) fn make_span(client: &LlmObs) {
    client.scope(|| Span::task("step").start().finish().unwrap());
}

/// This very test in a process of its own, with these variables; its output. There, `is_child` is true.
pub(crate) fn again(test: &str, vars: &[(&str, &str)]) -> String {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("LLMOBS_TEST_CHILD", "1")
        .envs(vars.iter().copied())
        .output()
        .unwrap();
    let told = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{told}"
    );
    told
}

pub(crate) fn is_child() -> bool {
    std::env::var_os("LLMOBS_TEST_CHILD").is_some()
}
