//! Programs whose client ends after `main`.

use std::cell::RefCell;

use llmobs::{Guard, LlmObs, Span};

use super::{NEVER, config, enable, span};

/// Ends a client as the thread ends, in either way.
struct Last(Option<Guard>, LlmObs);

impl Drop for Last {
    fn drop(&mut self) {
        drop(self.0.take());
        self.1.scope(|| span("last of its own"));
        let stats = self.1.shutdown(NEVER).unwrap().stats;
        assert_eq!(stats.spans().waiting, 0);
    }
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

/// The guard lives in the main thread's storage, beside the last handle on another client.
pub(super) fn thread_local(url: &str) {
    let own = config(url).build().unwrap();
    own.scope(|| span("of its own"));
    LAST.set(Some(Last(Some(enable(url)), own)));
    span("of main");
}

/// The guard is never dropped; what the C library runs at the exit shuts down.
pub(super) fn handler(url: &str) {
    extern "C" fn at_exit() {
        drop(Span::task("after main").start());
        let stats = llmobs::shutdown(NEVER).unwrap().stats;
        assert_eq!(stats.spans().delivered, 1, "{stats:?}");
    }
    std::mem::forget(enable(url));
    span("of main");
    // SAFETY: a function that lives as long as the program.
    assert_eq!(unsafe { libc::atexit(at_exit) }, 0);
}
