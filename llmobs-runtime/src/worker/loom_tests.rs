//! Every order in which threads can meet at the counters, the budget, the wake and the end of a
//! client, as loom finds them. `RUSTFLAGS="--cfg llmobs_loom" cargo test --release --lib loom`.
//!
//! The code is the real one but for two things. The worker's loop is async: each model plays the part
//! of it that matters there. And loom's threads are one of the system's, so that they would share what
//! a thread has for itself: a model opens a buffer for each of them, or they use the shared one.

use loom::thread;

use super::queue::Next;
use super::*;
use crate::config::{Config, Destination};
use crate::context::Context;
use crate::export::memory::Memory;
use crate::span::{Span, SpanInner};
use crate::stats::{Counts, DropReason, Ledger, Stats};
use crate::sync::atomic::{AtomicUsize, Ordering};

/// With more steps than loom's own limit: the counts of a client alone are a hundred reads.
fn model(model: impl Fn() + Send + Sync + 'static) {
    model_of(None, model);
}

/// The same with so many interruptions of a thread at most, where all orders are too many.
fn model_of(interruptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 20_000;
    builder.preemption_bound = interruptions;
    builder.check(model);
}

fn settings(max_events: usize) -> Settings {
    let config = Config::new().tracing_spans(false).max_events(max_events);
    let config = config.destination(Destination::Memory(Memory::new()));
    config.settings().unwrap()
}

/// A client, and what its worker would begin with.
fn client(max_events: usize) -> (Arc<ClientInner>, Start, Arc<Ledger>) {
    let (client, start) = ClientInner::modelled(settings(max_events));
    let ledger = Arc::new(Ledger::default());
    client.set_ledgers(vec![Arc::clone(&ledger)]);
    (client, start, ledger)
}

/// A span that ends here.
fn span(client: &Arc<ClientInner>) {
    let context = Context::of_client(Arc::clone(client));
    context.in_scope(|| drop(Span::task("t").start()));
}

/// What becomes of everything in the queue where nothing goes wrong.
fn deliver(receiver: &mut Receiver, ledger: &Ledger) {
    receiver.fetch();
    while let Some(next) = receiver.next() {
        let (Next::Span(_, weight) | Next::Submitted(_, weight)) = next;
        receiver.budget.release(1, weight);
        ledger.delivered(EventKind::Span, 1);
    }
}

/// `waiting` is what is left over, so no more may be settled than was made.
fn spans(stats: &Stats) -> Counts {
    let counts = stats.spans();
    let settled = counts.delivered + counts.dropped_total();
    assert!(settled <= counts.made, "{counts:?}");
    assert_eq!(counts.waiting, counts.made - settled);
    counts
}

#[test]
fn loom_what_waits_is_never_below_zero() {
    model_of(Some(3), || {
        // One span has room: the other may be refused on its thread.
        let (client, start, ledger) = client(1);
        let caller = {
            let client = Arc::clone(&client);
            thread::spawn(move || {
                span(&client);
                span(&client);
            })
        };
        let worker = thread::spawn(move || {
            let mut start = start;
            deliver(&mut start.receiver, &ledger);
            start
        });
        spans(&client.stats());
        caller.join().unwrap();
        let start = worker.join().unwrap();
        let counts = spans(&client.stats());
        assert_eq!(counts.made, 2);
        drop(start);
        assert_eq!(spans(&client.stats()).waiting, 0);
    });
}

#[test]
fn loom_a_span_that_ends_while_the_client_closes_is_counted_once() {
    model(|| {
        let (client, mut start, ledger) = client(10);
        let span = Context::of_client(Arc::clone(&client)).in_scope(|| Span::task("t").start());
        let caller = thread::spawn(move || drop(span));
        assert!(client.closed());
        // As at the end of a shutdown: what is there goes out, what comes late is counted.
        deliver(&mut start.receiver, &ledger);
        drop(start);
        caller.join().unwrap();
        let counts = spans(&client.stats());
        assert_eq!((counts.made, counts.waiting), (1, 0), "{counts:?}");
        assert_eq!(counts.delivered + counts.dropped_total(), 1);
    });
}

/// What a thread with a buffer of its own has finished.
fn push(client: &Arc<ClientInner>, buffer: &Buffer) {
    let span = Finished::Shared(Arc::new(SpanInner::of_nothing(client)).into());
    if let Err(refused) = buffer.push(span, 1) {
        refused.count();
    }
}

#[test]
fn loom_what_threads_leave_in_their_buffers_is_counted_and_fetched() {
    model(|| {
        let (client, mut start, ledger) = client(10);
        let threads = [(); 2].map(|()| {
            let client = Arc::clone(&client);
            thread::spawn(move || {
                let buffer = client.worker().open_buffer();
                push(&client, &buffer);
            })
        });
        deliver(&mut start.receiver, &ledger);
        spans(&client.stats());
        for thread in threads {
            thread.join().unwrap();
        }
        deliver(&mut start.receiver, &ledger);
        let counts = spans(&client.stats());
        assert_eq!((counts.made, counts.delivered), (2, 2), "{counts:?}");
    });
}

#[test]
fn loom_what_was_made_before_a_flush_is_settled_before_its_answer() {
    model(|| {
        let (client, mut start, ledger) = client(10);
        let (ask, asked) = crate::sync::mpsc::channel();
        let caller = {
            let client = Arc::clone(&client);
            thread::spawn(move || {
                let buffer = client.worker().open_buffer();
                push(&client, &buffer);
                ask.send(()).unwrap();
                push(&client, &buffer);
            })
        };
        let asked = asked.try_recv().is_ok();
        deliver(&mut start.receiver, &ledger);
        if asked {
            assert!(spans(&client.stats()).delivered >= 1);
        }
        caller.join().unwrap();
    });
}

#[test]
fn loom_who_is_refused_has_what_others_took_in_advance() {
    model(|| {
        // Room for a thousand, of which one thread takes some in advance and leaves.
        let (client, mut start, ledger) = client(1_024);
        let first = client.worker().open_buffer();
        push(&client, &first);
        for _ in start.receiver.budget.events()..1_023 {
            start.receiver.budget.take(1);
        }
        let caller = {
            let client = Arc::clone(&client);
            thread::spawn(move || {
                let buffer = client.worker().open_buffer();
                push(&client, &buffer);
                push(&client, &buffer);
            })
        };
        spans(&client.stats());
        caller.join().unwrap();
        deliver(&mut start.receiver, &ledger);
        let counts = spans(&client.stats());
        assert_eq!((counts.made, counts.delivered), (3, 3), "{counts:?}");
    });
}

#[test]
fn loom_no_caller_past_half_a_limit_is_left_without_a_wake() {
    model(|| {
        let (client, mut start, ledger) = client(2);
        let caller = {
            let client = Arc::clone(&client);
            thread::spawn(move || {
                span(&client);
                span(&client);
            })
        };
        // Twice around the worker's loop, woken or not.
        for _ in 0..2 {
            let _ = start.control.try_recv();
            start.receiver.rearm();
            deliver(&mut start.receiver, &ledger);
        }
        caller.join().unwrap();
        let woken = start.control.try_recv().is_ok();
        start.receiver.fetch();
        assert!(woken || start.receiver.next().is_none());
    });
}

#[test]
fn loom_no_more_has_room_than_the_budget_says() {
    model(|| {
        // By the events two have room, by the bytes one.
        let budget = Arc::new(Budget::new(2, 100));
        let inside = Arc::new(AtomicUsize::new(0));
        let threads = [40, 70].map(|weight| {
            let (budget, inside) = (Arc::clone(&budget), Arc::clone(&inside));
            thread::spawn(move || {
                if budget.reserve(weight).is_ok() {
                    assert_eq!(inside.fetch_add(1, Ordering::AcqRel), 0);
                    inside.fetch_sub(1, Ordering::AcqRel);
                    budget.correct(weight, weight / 2);
                    budget.release(1, weight / 2);
                }
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(budget.events(), 0);
        // Had a refusal kept a byte, or let one too many go, a hundred would not fit or one more.
        assert_eq!(budget.reserve(101), Err(DropReason::MemoryFull));
        assert!(budget.reserve(100).is_ok());
    });
}
