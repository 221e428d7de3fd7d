//! Programs that enable llmobs where that is hard: with no file left, and while a panic passes.

use std::time::Duration;

use super::{config, enable, span};

/// What `enable` or `build` gives while no file can be opened.
fn without_files<T>(then: impl FnOnce() -> T) -> T {
    let mut before = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both only read and write the limits that they are given.
    assert_eq!(
        unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut before) },
        0
    );
    let none = libc::rlimit {
        rlim_cur: 3,
        rlim_max: before.rlim_max,
    };
    // SAFETY: as above.
    assert_eq!(
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const none) },
        0
    );
    let result = then();
    // SAFETY: as above.
    assert_eq!(
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const before) },
        0
    );
    result
}

pub(super) fn fails(url: &str) {
    let tenant = config(url).build().unwrap();
    tenant.scope(|| span("before"));
    without_files(|| config(url).build().map(drop)).unwrap_err();
    tenant.scope(|| span("after"));
    tenant.shutdown(Duration::from_secs(60)).unwrap();

    without_files(|| config(url).enable().map(drop)).unwrap_err();
    let guard = config(url).enable().unwrap();
    assert!(llmobs::is_enabled());
    span("enabled");
    drop(guard);
}

/// A server that is dropped while a panic passes, and only then has something to tell.
struct Server<'a>(&'a str);

impl Drop for Server<'_> {
    fn drop(&mut self) {
        assert!(std::thread::panicking());
        let guard = enable(self.0);
        span("while a panic passes");
        drop(guard);
    }
}

pub(super) fn while_a_panic_passes(url: &str) {
    std::panic::catch_unwind(|| {
        let _server = Server(url);
        panic!("of the program");
    })
    .unwrap_err();
}
