//! The counter behind [`Moment`](super::Moment): the processor's own where the kernel keeps its
//! clock by it, which is had for less than half of what a call of the kernel's clock takes.
//!
//! Crates that read it calibrate for 20 ms and more before `main`, in each program that links
//! them, or believe a flag of the processor where the kernel has found its counters apart.
#![allow(
    unsafe_code,
    reason = "the instruction that reads the counter, and a call of the system"
)]

pub(super) use source::{are_nanoseconds, choose, now};

/// Linux on x86-64: the time stamp counter. Miri has none.
#[cfg(all(target_os = "linux", target_arch = "x86_64", not(miri)))]
mod source {
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Written once, before the first client opens.
    static TRUSTED: AtomicBool = AtomicBool::new(false);

    /// Asks the kernel what it keeps its clock by: it has compared the counters of all processors.
    /// Should it find them apart later, the worker sees that the wall clock goes another way, and
    /// begins a segment again and again.
    pub(in crate::clock) fn choose() {
        const CLOCK: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        let trusted = std::fs::read_to_string(CLOCK).is_ok_and(|clock| clock.trim() == "tsc");
        TRUSTED.store(trusted, Ordering::Relaxed);
    }

    /// Whether a tick is a nanosecond by itself.
    pub(in crate::clock) fn are_nanoseconds() -> bool {
        !TRUSTED.load(Ordering::Relaxed)
    }

    /// Nothing holds the instruction back behind those before it: two threads that hand over a
    /// lock may read time backwards, by some tens of nanoseconds.
    #[inline]
    pub(in crate::clock) fn now() -> u64 {
        if TRUSTED.load(Ordering::Relaxed) {
            // SAFETY: each x86-64 has the instruction, and where the kernel keeps its clock by it,
            // programs may use it.
            unsafe { core::arch::x86_64::_rdtsc() }
        } else {
            super::nanoseconds()
        }
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64", not(miri))))]
mod source {
    pub(in crate::clock) fn choose() {}

    pub(in crate::clock) fn are_nanoseconds() -> bool {
        true
    }

    pub(in crate::clock) fn now() -> u64 {
        super::nanoseconds()
    }
}

/// The kernel's clock, which needs nothing that a fork could leave half made.
#[cfg(all(unix, feature = "enabled"))]
#[cold]
fn nanoseconds() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a `timespec` of ours, which the call fills.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// The standard library's clock, from where it stood when it was first asked for.
#[cfg(not(all(unix, feature = "enabled")))]
#[cold]
fn nanoseconds() -> u64 {
    use std::sync::OnceLock;
    use std::time::Instant;

    static ZERO: OnceLock<Instant> = OnceLock::new();
    let zero = *ZERO.get_or_init(Instant::now);
    u64::try_from(zero.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
