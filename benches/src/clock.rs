//! The CPU time of another thread of this process, and the memory that is resident.

use std::time::Duration;

use crate::Result;

/// A thread of this process.
pub struct Thread {
    clock: libc::clockid_t,
}

impl Thread {
    /// The one of that name.
    pub fn named(name: &str) -> Result<Self> {
        for task in std::fs::read_dir("/proc/self/task")? {
            let task = task?;
            let called = std::fs::read_to_string(task.path().join("comm"))?;
            if called.trim_end() == name {
                let id: libc::pid_t = task.file_name().to_string_lossy().parse()?;
                // Linux makes the clock of a thread of its id: include/linux/posix-timers.h,
                // 4 for a thread and 2 for the scheduler's nanoseconds.
                return Ok(Self {
                    clock: (!id << 3) | 6,
                });
            }
        }
        Err(format!("no thread is called {name}").into())
    }

    /// What it has used so far; zero once it has gone.
    pub fn cpu(&self) -> Duration {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the pointer is to a `timespec` of ours, which the call fills.
        unsafe { libc::clock_gettime(self.clock, &raw mut time) };
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}

/// In nanoseconds, with a fraction to calculate with.
pub fn nanos(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// The CPU time of all children that have ended, in seconds.
pub fn children_cpu() -> f64 {
    // SAFETY: zeroes are a value of this type, and the call fills it.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    let seconds = |time: libc::timeval| {
        Duration::new(
            u64::try_from(time.tv_sec).unwrap_or(0),
            u32::try_from(time.tv_usec).unwrap_or(0) * 1_000,
        )
        .as_secs_f64()
    };
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// A line of `/proc/self/status` in MiB: `VmRSS`, what is resident, `VmHWM`, the most that was.
pub fn mebibytes(line: &str) -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|text| text.strip_prefix(line));
    let line = line.ok_or("no such line in /proc/self/status")?;
    let kib: f64 = line.trim_matches([':', '\t', ' ', 'k', 'B']).parse()?;
    Ok(kib / 1024.0)
}
