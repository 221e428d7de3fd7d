//! What llmobs says in the background, kept for the tests of this program.

use std::fmt::Write as _;
use std::sync::{Mutex, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

static LINES: Mutex<Vec<(Level, String)>> = Mutex::new(Vec::new());

struct Keep;

impl<S: Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "llmobs" {
            let mut line = Line(String::new());
            event.record(&mut line);
            let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push((*event.metadata().level(), line.0));
        }
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{value:?}");
    }
}

/// Keeps the lines from now on: a subscriber belongs to the whole process. Every test that starts a client calls this
/// before, because tracing may miss a subscriber that comes in the very moment in which a line is first met.
pub fn keep() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(Keep);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// The lines that contain `part`, which only the calling test writes.
pub fn lines_with(part: &str) -> Vec<(Level, String)> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let with = lines.iter().filter(|(_, line)| line.contains(part));
    with.cloned().collect()
}

/// Trouble is told by `report` alone: it knows when a thread is torn down, and speaks on threads
/// that are silent otherwise.
#[test]
fn no_line_goes_past_report() {
    fn visit(folder: &std::path::Path, found: &mut Vec<String>, files: &mut usize) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" {
                visit(&path, found, files);
            } else if name.ends_with(".rs") && name != "tests.rs" && name != "report.rs" {
                *files += 1;
                let text = std::fs::read_to_string(&path).unwrap();
                // Tests stand at the end of a file.
                let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
                for level in ["trace", "debug", "info", "warn", "error", "event"] {
                    if code.contains(&format!("tracing::{level}!")) {
                        found.push(format!("{}: tracing::{level}!", path.display()));
                    }
                }
            }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap();
    let (mut found, mut files) = (Vec::new(), 0);
    visit(&root.join("llmobs-runtime/src"), &mut found, &mut files);
    visit(&root.join("src"), &mut found, &mut files);
    assert!(files > 50, "{files} files were looked at");
    assert!(found.is_empty(), "{found:#?}");
}
