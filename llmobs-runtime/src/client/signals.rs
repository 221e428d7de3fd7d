//! The hook for Ctrl-C and SIGTERM, for those who ask for it: clients shut down, then the
//! signal has the effect that it has without a handler.
//!
//! Made by hand, since what crates offer does not tell whether the program has come to
//! handle the signal as well; and a forked child must not be left with a handler whose
//! thread is not there.
#![allow(unsafe_code, reason = "signals have no safe interface in std")]

use std::io::{self, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::IntoRawFd as _;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicI64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use libc::c_int;

use super::{ClientInner, lock};
use crate::process::PerProcess;
use crate::report;
use crate::thread;
use crate::worker::HELD_UP;

const SIGNALS: [(c_int, &str); 2] = [(libc::SIGINT, "SIGINT"), (libc::SIGTERM, "SIGTERM")];

/// A subscriber that blocks must not keep the program alive.
const PATIENCE: Duration = Duration::from_millis(500);

/// The process whose thread waits for signals.
static OWNER: AtomicI32 = AtomicI32::new(0);
/// The writing end of the pipe at which that thread waits.
static PIPE: AtomicI32 = AtomicI32::new(-1);
/// When the first signal has come to the process that owns the thread, in milliseconds of the
/// system's monotonic clock; 0 before that.
static CAME: AtomicI64 = AtomicI64::new(0);
/// A user who presses Ctrl-C so much later does not want to wait. What comes earlier, or is no SIGINT, is the
/// first signal once more: `timeout`, systemd, docker and shells send it to the process and to its
/// group.
const IMPATIENCE_MS: i64 = 1_000;

#[derive(Default)]
struct Hook {
    clients: Vec<(Weak<ClientInner>, Duration)>,
    thread: bool,
}

static HOOK: PerProcess<Mutex<Hook>> = PerProcess::new();

/// Shuts `client` down at a signal, within `timeout`.
pub(super) fn shut_down_on_signals(client: &Arc<ClientInner>, timeout: Duration) {
    let set = {
        let mut hook = lock(HOOK.get());
        hook.clients.retain(|(client, _)| client.strong_count() > 0);
        hook.clients.push((Arc::downgrade(client), timeout));
        let started = if hook.thread { Ok(()) } else { start() };
        hook.thread = started.is_ok();
        started.map(|()| SIGNALS.map(|(signal, name)| (set(signal), name)))
    };
    // A subscriber may do anything with it: not under the lock.
    match set {
        Err(error) => report::warn(|| {
            format!("no thread could be started that waits for signals ({error}): none is handled")
        }),
        Ok(set) => {
            for (set, name) in set {
                match set {
                    Set::Ours => {}
                    Set::Theirs => report::warn(|| {
                        format!(
                            "the program handles {name} itself: llmobs leaves it to that, which \
                             has to call `shutdown` or to drop the guard"
                        )
                    }),
                    Set::Ignored => report::info(|| {
                        format!(
                            "{name} is ignored here, as `nohup` and `&` in a script have it, and \
                             stays so: nothing ends at it"
                        )
                    }),
                }
            }
        }
    }
}

fn start() -> io::Result<()> {
    let (mut reader, writer) = io::pipe()?;
    let waits = move || {
        let mut signal = [0];
        if reader.read_exact(&mut signal).is_ok() {
            shut_down();
            end_by(c_int::from(signal[0]));
        }
    };
    // A program whose own threads block them all has nobody else who takes them.
    thread::start_for(&SIGNALS.map(|(signal, _)| signal), "llmobs-signals", waits)?;
    CAME.store(0, Ordering::Relaxed);
    PIPE.store(writer.into_raw_fd(), Ordering::Release);
    // SAFETY: it only tells a number. Not from std, for the handler has to ask in this way.
    OWNER.store(unsafe { libc::getpid() }, Ordering::Release);
    Ok(())
}

/// All clients at the same time, so that none takes the time of another.
fn shut_down() {
    let clients = std::mem::take(&mut lock(HOOK.get()).clients);
    let longest = clients.iter().map(|(_, timeout)| *timeout).max();
    let (done, all_done) = channel::<()>();
    let mut writing = Vec::new();
    for (client, timeout) in clients {
        let Some(client) = client.upgrade() else {
            continue;
        };
        writing.push((Arc::clone(&client), 0));
        let done = done.clone();
        // Without a thread the client is left as it is: the program ends.
        let _ = thread::start("llmobs-shutdown", move || {
            // What was not delivered is told there.
            let _ = client.shutdown(timeout);
            drop(done);
        });
    }
    drop(done);
    // Nothing is sent: it ends when the last sender is gone.
    let mut wait = longest.unwrap_or_default().saturating_add(PATIENCE);
    while all_done.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        // A client that writes to its spool is waited for as long as that comes on.
        let mut come_on = false;
        for (client, steps) in &mut writing {
            come_on |= client.worker().writes_out_since(steps);
        }
        if !come_on {
            return;
        }
        wait = HELD_UP;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Set {
    Ours,
    /// As with `nohup`, or for what a shell runs in the background.
    Ignored,
    Theirs,
}

/// Sets our handler where there is none.
fn set(signal: c_int) -> Set {
    match handler_of(signal) {
        libc::SIG_DFL => {
            let flags = libc::SA_RESTART | libc::SA_ONSTACK;
            let handler = on_signal as extern "C" fn(c_int);
            set_handler(signal, handler as libc::sighandler_t, flags);
            Set::Ours
        }
        libc::SIG_IGN => Set::Ignored,
        handler if is_ours(handler) => Set::Ours,
        _ => Set::Theirs,
    }
}

fn is_ours(handler: libc::sighandler_t) -> bool {
    handler == on_signal as extern "C" fn(c_int) as libc::sighandler_t
}

fn handler_of(signal: c_int) -> libc::sighandler_t {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: it writes the action of a signal that there is; zeros are an action as well, so
    // that it is one even where the call fails.
    unsafe {
        libc::sigaction(signal, ptr::null(), action.as_mut_ptr());
        action.assume_init().sa_sigaction
    }
}

fn set_handler(signal: c_int, handler: libc::sighandler_t, flags: c_int) {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zeros are an action without a mask; the handler is the default one or ours,
    // which does only what a handler may.
    unsafe {
        let action = action.assume_init_mut();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(signal, action, ptr::null_mut());
    }
}

/// Runs in between anything: atomics and system calls that POSIX allows, nothing else. None
/// of them fails, so `errno` stays as it is.
extern "C" fn on_signal(signal: c_int) {
    if !is_ours(handler_of(signal)) {
        // A handler that was set later has called this one: the program sees to its end.
        return;
    }
    // SAFETY: no pointer, no state.
    let is_here = unsafe { libc::getpid() } == OWNER.load(Ordering::Acquire);
    if !is_here {
        // A forked child has no such thread.
        end_by(signal);
    }
    let now = monotonic_ms();
    let first = CAME.compare_exchange(0, now, Ordering::AcqRel, Ordering::Acquire);
    if let Err(first) = first {
        if signal == libc::SIGINT && now - first >= IMPATIENCE_MS {
            end_by(signal);
        }
        return;
    }
    let byte = u8::try_from(signal).unwrap_or_default();
    // SAFETY: one byte, into a pipe of ours that is empty.
    unsafe { libc::write(PIPE.load(Ordering::Acquire), (&raw const byte).cast(), 1) };
}

/// Milliseconds since some moment, at least 1. Allowed in a handler.
fn monotonic_ms() -> i64 {
    let mut now = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: it writes a time that is ours; zeros are one as well, should the call fail.
    let now = unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, now.as_mut_ptr());
        now.assume_init()
    };
    #[allow(
        clippy::useless_conversion,
        reason = "both have 32 bits on some systems"
    )]
    let (seconds, nanos) = (i64::from(now.tv_sec), i64::from(now.tv_nsec));
    (seconds * 1_000 + nanos / 1_000_000).max(1)
}

/// Ends the process by the signal, as if it had no handler, so that who started it sees what
/// ended it. Allowed in a handler.
fn end_by(signal: c_int) -> ! {
    set_handler(signal, libc::SIG_DFL, 0);
    let mut only = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: a set of signals of our own, and calls that a handler may make.
    unsafe {
        libc::sigemptyset(only.as_mut_ptr());
        libc::sigaddset(only.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, only.as_ptr(), ptr::null_mut());
        libc::raise(signal);
        // The first process of a container is not ended by it: the number that a shell gives.
        libc::_exit(128 + signal)
    }
}
