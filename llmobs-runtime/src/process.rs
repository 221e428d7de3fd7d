//! Which process this is: after a `fork` without `exec` the child has the memory of its
//! parent and one of its threads. Workers are not there, locks that other threads held stay
//! locked, and queues may be half written. So what belongs to the parent is never touched in
//! the child, and what is shared by a process is made anew there.
//!
//! The process id would tell, but it is a system call (50 ns); this is one relaxed load.
#![allow(
    unsafe_code,
    reason = "a handler for `fork`, and a static that each process has for itself"
)]

use std::ptr;
#[cfg(all(unix, feature = "enabled"))]
use std::sync::atomic::AtomicI32;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// How many forks lie between the first process and this one.
static FORKS: AtomicUsize = AtomicUsize::new(0);

/// A process, among its parents and children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(usize);

impl Process {
    /// One that was forked off from no process that had enabled llmobs.
    pub(crate) const FIRST: Self = Self(0);

    #[inline]
    pub(crate) fn current() -> Self {
        Self(FORKS.load(Ordering::Relaxed))
    }

    /// Whether this is the process that it was.
    #[inline]
    pub(crate) fn is_current(self) -> bool {
        self == Self::current()
    }
}

/// The user that this process acts as.
#[cfg(all(unix, feature = "enabled"))]
pub(crate) fn user() -> u32 {
    // SAFETY: it only gives a number, and cannot fail.
    unsafe { libc::geteuid() }
}

/// From now on forks are noticed: by `fork` itself, not by a bare `clone` or `vfork`, after
/// which little is allowed anyway.
#[cfg(all(unix, feature = "enabled"))]
pub(crate) fn watch_forks() {
    use std::sync::atomic::AtomicBool;

    /// No `Once`: a fork in the middle of one would leave it so.
    static WATCHED: AtomicBool = AtomicBool::new(false);

    /// Nothing but atomics and `close`: hardly anything else is allowed here.
    extern "C" fn in_child() {
        FORKS.fetch_add(1, Ordering::Relaxed);
        crate::client::none_is_open();
        for file in &LOCKED {
            let file = file.swap(NO_FILE, Ordering::Relaxed);
            if file != NO_FILE {
                // SAFETY: open in the parent when it forked, so open here; and who holds it there,
                // the worker or a thread that writes, is not here to use it or close it.
                unsafe { libc::close(file) };
            }
        }
    }

    if WATCHED.swap(true, Ordering::AcqRel) {
        return;
    }
    // SAFETY: the handler is a function of the program, which stays, does not unwind, and
    // does only what a signal's handler may.
    let failed = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    if failed != 0 {
        // There was no memory for it; another client tries again.
        WATCHED.store(false, Ordering::Release);
    }
}

#[cfg(not(all(unix, feature = "enabled")))]
pub(crate) fn watch_forks() {}

/// Files that a child has no use for. It would hold their locks as long as it lives, and nobody could
/// take over what its parent left behind.
#[cfg(all(unix, feature = "enabled"))]
static LOCKED: [AtomicI32; 128] = [const { AtomicI32::new(NO_FILE) }; 128];
#[cfg(all(unix, feature = "enabled"))]
const NO_FILE: i32 = -1;

/// As long as this value lives, a child of the process closes the file. It goes before the file.
#[derive(Debug)]
pub(crate) struct NotInChildren(#[cfg(all(unix, feature = "enabled"))] Option<&'static AtomicI32>);

impl NotInChildren {
    /// More files than there is room for stay open in children.
    #[cfg(all(unix, feature = "enabled"))]
    pub(crate) fn new(file: &std::fs::File) -> Self {
        use std::os::fd::AsRawFd as _;

        let file = file.as_raw_fd();
        let take = |place: &&AtomicI32| {
            let taken = place.compare_exchange(NO_FILE, file, Ordering::Relaxed, Ordering::Relaxed);
            taken.is_ok()
        };
        Self(LOCKED.iter().find(take))
    }

    #[cfg(not(all(unix, feature = "enabled")))]
    pub(crate) fn new(_: &std::fs::File) -> Self {
        Self()
    }
}

#[cfg(all(unix, feature = "enabled"))]
impl Drop for NotInChildren {
    fn drop(&mut self) {
        if let Some(place) = self.0 {
            place.store(NO_FILE, Ordering::Relaxed);
        }
    }
}

/// A static that a child finds in its first state, whatever its parent did with it, as a
/// lock that a thread of the parent holds. What the parent had stays in memory, untouched.
pub(crate) struct PerProcess<T: 'static>(AtomicPtr<Kept<T>>);

struct Kept<T> {
    process: Process,
    value: T,
}

impl<T: Default + Send + Sync> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    pub(crate) fn get(&self) -> &'static T {
        let mut seen = self.0.load(Ordering::Acquire);
        loop {
            // SAFETY: null, or from a box below that was made known, and is then never freed
            // nor borrowed mutably.
            let kept = unsafe { seen.as_ref() };
            if let Some(kept) = kept.filter(|kept| kept.process.is_current()) {
                return &kept.value;
            }
            let fresh = Box::into_raw(Box::new(Kept {
                process: Process::current(),
                value: T::default(),
            }));
            let made_known =
                self.0
                    .compare_exchange(seen, fresh, Ordering::AcqRel, Ordering::Acquire);
            seen = match made_known {
                Ok(_) => fresh,
                Err(other) => {
                    // SAFETY: from the box above, and nobody else has seen it.
                    drop(unsafe { Box::from_raw(fresh) });
                    other
                }
            };
        }
    }
}

/// A value that is made known as a whole and replaced as a whole. What was there before stays in
/// memory, for who still looks at it.
pub(crate) struct Published<T: 'static>(AtomicPtr<T>);

impl<T: Send + Sync> Published<T> {
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<&'static T> {
        // SAFETY: null, or from a box below, which is then never freed nor borrowed mutably.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    pub(crate) fn publish(&self, value: T) {
        self.0
            .store(Box::into_raw(Box::new(value)), Ordering::Release);
    }

    /// Unless there is one already; gives the one that is there then.
    pub(crate) fn publish_first(&self, value: T) -> &'static T {
        let fresh = Box::into_raw(Box::new(value));
        let made_known =
            self.0
                .compare_exchange(ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire);
        let there = match made_known {
            Ok(_) => fresh,
            Err(other) => {
                // SAFETY: from the box above, and nobody else has seen it.
                drop(unsafe { Box::from_raw(fresh) });
                other
            }
        };
        // SAFETY: as in `get`.
        unsafe { &*there }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn threads_that_meet_at_a_static_of_the_process_have_the_same_one() {
        static COUNT: PerProcess<Mutex<usize>> = PerProcess::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| *COUNT.get().lock().unwrap() += 1);
            }
        });
        assert_eq!(*COUNT.get().lock().unwrap(), 4);
    }
}
