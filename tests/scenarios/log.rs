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

/// Keeps the lines from now on: a subscriber belongs to the whole process.
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
