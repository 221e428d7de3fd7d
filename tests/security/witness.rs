//! Everything that is said in this process, by anybody on any thread: `tracing` events and spans, `log` records, and
//! panics.

use std::fmt::{Debug, Write as _};
use std::sync::{Mutex, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

static SAID: Mutex<String> = Mutex::new(String::new());

pub fn note(text: impl Debug) {
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = writeln!(said, "{text:?}");
}

/// What was said so far.
pub fn said() -> String {
    SAID.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

struct Keep;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

fn keep(what: &str, record: impl FnOnce(&mut Line)) {
    let mut line = Line(what.to_owned());
    record(&mut line);
    note(line.0);
}

impl<S: Subscriber> Layer<S> for Keep {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        keep(attributes.metadata().name(), |line| attributes.record(line));
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        keep("record", |line| values.record(line));
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        keep(event.metadata().target(), |line| event.record(line));
    }
}

struct Log;

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        note(format!("log {} {}", record.target(), record.args()));
    }

    fn flush(&self) {}
}

/// Keeps what is said from now on. Every test that makes a client calls this before.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Keep)).unwrap();
        log::set_logger(&Log).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            note(info.to_string());
            before(info);
        }));
    });
}
