//! The clock of the benchmarks, and how a process is asked to measure.
//!
//! What is compared needs processes of its own: whether a `tracing` subscriber is there, whether
//! llmobs is enabled, is known to all of a process. So each group of variants is a process that
//! lists what it can measure on its standard output, a line each, then `ready`; after that it
//! reads `<number> <calls>` and answers `ok <nanoseconds>`, the CPU time that those calls took on
//! the thread that made them, or `error <text>`. `<number> <calls> <runs> <threads>` asks for new
//! threads, each of which makes so many runs of the calls; the answer is the time of all.

use std::future::Future;
use std::hint::black_box;
use std::io::{BufRead as _, Write as _};
use std::pin::{Pin, pin};
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};

/// What may be measured: a name, how many calls a measurement wants, and the calls.
pub struct Variant {
    name: &'static str,
    calls: u32,
    spans: Spans,
    run: Box<dyn Fn(&mut Bench) + Sync>,
}

/// How many spans a run makes: what has to arrive.
#[derive(Clone, Copy)]
struct Spans {
    each: u64,
    besides: u64,
}

impl Variant {
    /// `run` calls [`Bench::time`] once; what it does around that is not measured.
    pub fn new(name: &'static str, calls: u32, run: impl Fn(&mut Bench) + Sync + 'static) -> Self {
        Self {
            name,
            calls,
            spans: Spans {
                each: 1,
                besides: 0,
            },
            run: Box::new(run),
        }
    }

    /// Each call makes so many spans, and not one.
    #[must_use]
    pub fn each(mut self, spans: u64) -> Self {
        self.spans.each = spans;
        self
    }

    /// There is one span around the calls.
    #[must_use]
    pub fn and_one(mut self) -> Self {
        self.spans.besides = 1;
        self
    }
}

/// One measurement on one thread.
pub struct Bench {
    calls: u32,
    nanos: u64,
}

impl Bench {
    /// Calls it as often as was asked for, and keeps the CPU time of this thread.
    pub fn time<R>(&mut self, mut call: impl FnMut() -> R) {
        let start = thread_cpu();
        for _ in 0..self.calls {
            black_box(call());
        }
        self.nanos = thread_cpu() - start;
    }
}

/// The CPU time of this thread, in nanoseconds.
///
/// # Panics
///
/// Where the system has no such clock.
pub fn thread_cpu() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a `timespec` of ours, which the call fills.
    let code = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(code, 0, "no clock of the thread's CPU time");
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Measures what is asked for until the standard input ends. After each measurement, and after
/// the calls that warm up, `settle` waits until everything was delivered, and gets told how many
/// spans that should be. An error says what was lost: a call that loses its span is cheaper than
/// one that does not.
///
/// # Panics
///
/// Where the other side has gone, or asks for what is not there.
pub fn serve(variants: &[Variant], settle: impl Fn(u64) -> Result<(), String>) {
    let mut out = std::io::stdout().lock();
    for variant in variants {
        writeln!(out, "{}\t{}", variant.name, variant.calls).expect("nobody reads");
    }
    writeln!(out, "ready").expect("nobody reads");
    out.flush().expect("nobody reads");
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("unreadable");
        let numbers = line
            .split(' ')
            .map(|number| number.parse().expect("a number"));
        let numbers: Vec<u32> = numbers.collect();
        let of = |which: u32| &variants[which as usize];
        let measured = match numbers[..] {
            [which, calls] => alone(of(which), calls, &settle),
            [which, calls, runs, threads] => contending(of(which), calls, runs, threads, &settle),
            _ => Err(format!("what is {line}?")),
        };
        match measured {
            Ok(nanos) => writeln!(out, "ok {nanos}"),
            Err(error) => writeln!(out, "error {error}"),
        }
        .expect("nobody reads");
        out.flush().expect("nobody reads");
    }
}

impl Variant {
    fn measure(&self, calls: u32) -> u64 {
        let mut bench = Bench { calls, nanos: 0 };
        (self.run)(&mut bench);
        bench.nanos
    }

    fn made(&self, calls: u32) -> u64 {
        self.spans.each * u64::from(calls) + self.spans.besides
    }
}

/// How many calls warm up a thread that then makes many runs.
fn warm(calls: u32) -> u32 {
    (calls / 10).max(20)
}

fn alone(
    variant: &Variant,
    calls: u32,
    settle: &impl Fn(u64) -> Result<(), String>,
) -> Result<u64, String> {
    // As many once before: other processes have been at work since, and have left none of this one's
    // memory in the caches.
    variant.measure(calls);
    settle(variant.made(calls))?;
    let nanos = variant.measure(calls);
    settle(variant.made(calls))?;
    Ok(nanos)
}

fn contending(
    variant: &Variant,
    calls: u32,
    runs: u32,
    threads: u32,
    settle: &impl Fn(u64) -> Result<(), String>,
) -> Result<u64, String> {
    let together = Barrier::new(threads as usize);
    let nanos = std::thread::scope(|scope| {
        let start = || {
            scope.spawn(|| {
                variant.measure(warm(calls));
                together.wait();
                (0..runs).map(|_| variant.measure(calls)).sum::<u64>()
            })
        };
        let running: Vec<_> = (0..threads).map(|_| start()).collect();
        let joined = running.into_iter();
        joined
            .map(|thread| thread.join().expect("a thread panicked"))
            .sum()
    });
    let each = variant.made(warm(calls)) + u64::from(runs) * variant.made(calls);
    settle(u64::from(threads) * each)?;
    Ok(nanos)
}

/// Polls a future on this thread until it is ready.
pub fn poll_to_end<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

/// A future that is pending so many times before it is ready.
pub struct Pending(pub u32);

impl Future for Pending {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        Poll::Pending
    }
}
