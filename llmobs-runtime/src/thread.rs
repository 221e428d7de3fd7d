//! Threads of our own. None of them takes a signal that is for the program.
//!
//! The system gives a signal for the process to any thread that does not block it. In one of ours it
//! would run a handler that the program's own threads were spared, or end a program that waits for
//! it by `sigwait` or `signalfd`, which needs every thread to block it. And a write to an Agent that
//! has gone away would end a program that has SIGPIPE as the system has it.
//!
//! A thread begins with the mask of the one that starts it. So that one blocks everything for the
//! moment of the start, and no signal finds the new thread open. What a thread of ours starts itself,
//! as tokio's for the names of hosts, is as deaf. A signal that a blocked thread brings upon itself
//! goes with the thread.
//!
//! No thread is started in another way: clippy.toml says so.
#![allow(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "the masks of threads have no safe interface in std; and here is where they start"
)]

use std::io;
use std::thread::{Builder, JoinHandle, Scope, ScopedJoinHandle};

/// Starts a thread that takes no signals.
pub(crate) fn start<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let _deaf = Deaf::but(&[]);
    Builder::new().name(name.to_owned()).spawn(run)
}

/// Starts a thread that takes these signals and no others.
#[cfg(unix)]
pub(crate) fn start_for(
    signals: &[i32],
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let _deaf = Deaf::but(signals);
    Builder::new().name(name.to_owned()).spawn(run)
}

/// Starts a thread that takes no signals and ends within `scope`.
pub(crate) fn start_scoped<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    run: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    let _deaf = Deaf::but(&[]);
    Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, run)
}

/// As long as this value lives, its thread takes no signals: they wait for its end.
struct Deaf {
    #[cfg(unix)]
    before: Option<libc::sigset_t>,
}

#[cfg(unix)]
impl Deaf {
    fn but(open: &[i32]) -> Self {
        use std::mem::MaybeUninit;

        /// Signals that a thread brings upon itself by a fault. Blocked they would still end the process, past the
        /// handlers that tell of them.
        const FAULTS: [i32; 6] = [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGFPE,
            libc::SIGILL,
            libc::SIGTRAP,
            libc::SIGSYS,
        ];
        if cfg!(miri) {
            // It knows no signals.
            return Self { before: None };
        }
        let mut all = MaybeUninit::<libc::sigset_t>::zeroed();
        let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: the sets are ours, zeros are sets as well, and only this thread's mask changes.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            for signal in FAULTS.iter().chain(open) {
                libc::sigdelset(all.as_mut_ptr(), *signal);
            }
            let failed =
                libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            Self {
                before: (failed == 0).then(|| before.assume_init()),
            }
        }
    }
}

#[cfg(unix)]
impl Drop for Deaf {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // SAFETY: the mask that this thread had, which the system has given.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, std::ptr::null_mut()) };
        }
    }
}

#[cfg(not(unix))]
impl Deaf {
    fn but(_: &[i32]) -> Self {
        Self {}
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// The signals that this thread blocks.
    fn blocked() -> Vec<i32> {
        let mut mask = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: it only reads this thread's mask into a set of ours.
        unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), mask.as_mut_ptr());
            (1..32)
                .filter(|signal| libc::sigismember(mask.as_ptr(), *signal) == 1)
                .collect()
        }
    }

    #[test]
    fn a_thread_of_ours_takes_no_signals_and_who_starts_it_keeps_its_own() {
        let before = blocked();
        let taken = [libc::SIGINT, libc::SIGTERM];
        let plain = start("plain", blocked).unwrap().join().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let tells = move || sender.send(blocked()).unwrap();
        start_for(&taken, "hook", tells).unwrap().join().unwrap();
        let hook = receiver.recv().unwrap();
        let scoped = std::thread::scope(|scope| {
            let thread = start_scoped(scope, "scoped", blocked).unwrap();
            thread.join().unwrap()
        });
        for signal in [
            libc::SIGPIPE,
            libc::SIGTERM,
            libc::SIGINT,
            libc::SIGHUP,
            libc::SIGCHLD,
            libc::SIGUSR1,
            libc::SIGALRM,
            libc::SIGPROF,
        ] {
            assert!(plain.contains(&signal) && scoped.contains(&signal));
            assert_eq!(hook.contains(&signal), !taken.contains(&signal));
        }
        for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL] {
            assert!(!plain.contains(&fault), "its handler tells of it");
        }
        assert_eq!(blocked(), before);
    }
}
