#![cfg(not(llmobs_loom))]

use std::thread;

use tokio::sync::mpsc::unbounded_channel;

use super::*;
use crate::config::{Config, Destination};
use crate::evaluation::EvaluationScope;
use crate::event::{EvaluationEvent, JoinOn};
use crate::export::memory::Memory;
use crate::worker::queue::{Next, Receiver, Sender, Submitted, channel};

/// A client that is none of a worker's, for spans that belong to somebody.
fn client() -> Arc<ClientInner> {
    let config = Config::new().tracing_spans(false);
    let config = config.destination(Destination::Memory(Memory::new()));
    ClientInner::idle(config.settings().unwrap())
}

fn queue(max_events: usize, max_bytes: usize) -> (Sender, Receiver) {
    // Nobody listens for a wake.
    channel(Budget::new(max_events, max_bytes), &unbounded_channel().0)
}

fn span(client: &Arc<ClientInner>) -> Finished {
    Finished::Shared(Arc::new(SpanInner::of_nothing(client)).into())
}

fn evaluation(client: &Arc<ClientInner>, label: String) -> Submitted {
    let join = JoinOn::tag("k".into(), "v".into());
    let event = EvaluationEvent::new(label, join, EvaluationScope::Span, "app".into(), 1);
    Submitted::Evaluation(Box::new(event), Arc::clone(client))
}

fn count(receiver: &mut Receiver) -> usize {
    receiver.fetch();
    let mut count = 0;
    while let Some(next) = receiver.next() {
        if let Next::Span(span, weight) = next {
            receiver.budget.release(1, weight);
            receiver.done(span);
        }
        count += 1;
    }
    count
}

#[test]
fn what_a_thread_leaves_is_fetched_and_its_buffer_let_go_of() {
    let (client, (sender, mut receiver)) = (client(), queue(10_000, 1 << 20));
    let buffer = sender.buffers.open();
    for _ in 0..=CHUNK * 3 {
        assert!(buffer.push(span(&client), 1).is_ok());
    }
    let left = Arc::downgrade(&buffer);
    drop(buffer);
    assert!(left.upgrade().is_some(), "with what is in it");
    assert_eq!(count(&mut receiver), CHUNK * 3 + 1);
    assert!(left.upgrade().is_none());
    let made = u64::try_from(CHUNK * 3 + 1).unwrap();
    assert_eq!(sender.buffers.made(), made, "counted all the same");
    assert_eq!(receiver.budget.events(), 0);
}

#[test]
fn what_comes_after_the_end_is_given_back_and_what_was_there_is_counted() {
    let (client, (sender, mut receiver)) = (client(), queue(10_000, 1 << 20));
    let buffer = sender.buffers.open();
    assert!(buffer.push(span(&client), 1).is_ok());
    receiver.close();
    let refused = buffer.push(span(&client), 1).unwrap_err();
    assert_eq!(refused.reason, DropReason::Shutdown);
    let late = sender.buffers.open();
    assert!(late.push(span(&client), 1).is_err());
    assert_eq!(sender.buffers.made(), 1);
    let spans = client.stats().spans();
    assert_eq!(spans.dropped, [(DropReason::Shutdown, 1)]);
}

#[test]
fn a_worker_that_goes_without_an_end_leaves_nothing_uncounted() {
    let (client, (sender, receiver)) = (client(), queue(10_000, 1 << 20));
    let buffer = sender.buffers.open();
    assert!(buffer.push(span(&client), 1).is_ok());
    drop(receiver);
    let spans = client.stats().spans();
    assert_eq!(spans.dropped, [(DropReason::Shutdown, 1)]);
    assert!(buffer.push(span(&client), 1).is_err());
}

#[test]
fn what_is_submitted_after_the_end_is_counted_though_the_worker_is_not_gone_yet() {
    let (client, (sender, mut receiver)) = (client(), queue(10_000, 1 << 20));
    sender.submit(&client, evaluation(&client, "before".into()), 1);
    receiver.close();
    let evaluations = || client.stats().evaluations();
    assert_eq!(evaluations().dropped, [(DropReason::Shutdown, 1)]);
    sender.submit(&client, evaluation(&client, "after".into()), 1);
    assert_eq!(evaluations().dropped, [(DropReason::Shutdown, 2)]);
    drop(receiver);
    assert_eq!(evaluations().dropped_total(), 2);
}

#[test]
fn what_finds_room_only_with_others_is_counted_and_refused_after_the_end() {
    let (client, (sender, mut receiver)) = (client(), queue(10_000, 1 << 20));
    let buffer = sender.buffers.open();
    for made in 1..=2 {
        assert!(buffer.push_once_more(span(&client), 1).is_ok());
        assert_eq!(sender.buffers.made(), made);
    }
    receiver.close();
    let refused = buffer.push_once_more(span(&client), 1).unwrap_err();
    assert_eq!(refused.reason, DropReason::Shutdown);
    assert_eq!(sender.buffers.made(), 2);
    let events = receiver.budget.events();
    assert_eq!(events, 2, "those that were taken");
}

#[test]
fn spans_stand_in_chunks_of_one_size() {
    let (client, (sender, mut receiver)) = (client(), queue(10_000, 1 << 20));
    let buffer = sender.buffers.open();
    for _ in 0..=CHUNK * 2 {
        assert!(buffer.push(span(&client), 1).is_ok());
    }
    let state = lock(&buffer.state);
    let chunks = state.full.iter().chain([&state.spans]);
    let sizes: Vec<_> = chunks
        .map(|chunk| (chunk.len(), chunk.capacity()))
        .collect();
    assert_eq!(sizes, [(CHUNK, CHUNK), (CHUNK, CHUNK), (1, CHUNK)]);
    drop(state);
    assert_eq!(count(&mut receiver), CHUNK * 2 + 1);
}

#[test]
fn the_memory_of_chunks_is_used_again_up_to_a_bound() {
    let (sender, _receiver) = queue(10_000, 1 << 20);
    let spare = || lock(&sender.buffers.spare).len();
    for _ in 0..SPARE + 9 {
        sender.buffers.keep(Chunk::with_capacity(CHUNK * 2));
    }
    assert_eq!(spare(), SPARE);
    assert_eq!(sender.buffers.chunk().capacity(), CHUNK * 2);
    assert_eq!(spare(), SPARE - 1);
    lock(&sender.buffers.spare).clear();
    assert_eq!(sender.buffers.chunk().capacity(), CHUNK);
}

#[test]
fn who_fills_half_of_a_limit_wakes_the_worker_once() {
    let (control, mut woken) = unbounded_channel();
    let (sender, receiver) = channel(Budget::new(8, 1 << 20), &control);
    let client = client();
    let buffer = sender.buffers.open();
    let mut wakes = || std::iter::from_fn(|| woken.try_recv().ok()).count();
    let mut push = || {
        assert!(buffer.push(span(&client), 1).is_ok());
        wakes()
    };
    assert_eq!([(); 5].map(|()| push()), [0, 0, 0, 1, 0]);
    receiver.rearm();
    assert_eq!([(); 2].map(|()| push()), [1, 0]);
    let (sender, _receiver) = channel(Budget::new(8, 1 << 20), &control);
    let mut submit = || {
        sender.submit(&client, evaluation(&client, "e".into()), 1);
        wakes()
    };
    assert_eq!([(); 5].map(|()| submit()), [0, 0, 0, 1, 0]);
}

#[test]
fn room_is_taken_in_advance_and_given_back() {
    let (client, (sender, mut receiver)) = (client(), queue(100_000, 64 << 20));
    let buffer = sender.buffers.open();
    assert!(buffer.push(span(&client), 100).is_ok());
    assert!(receiver.budget.events() > 1, "for the next ones");
    assert_eq!(count(&mut receiver), 1);
    assert_eq!(receiver.budget.events(), 0);
}

#[test]
fn near_the_limits_each_event_counts() {
    for (max_events, max_bytes) in [(4, 1 << 30), (usize::MAX, 400)] {
        let (client, (sender, mut receiver)) = (client(), queue(max_events, max_bytes));
        let buffers = [(); 3].map(|()| sender.buffers.open());
        let mut taken = 0;
        for _ in 0..3 {
            for buffer in &buffers {
                taken += usize::from(buffer.push(span(&client), 100).is_ok());
            }
        }
        assert_eq!(taken, 4, "{max_events} {max_bytes}");
        assert_eq!(count(&mut receiver), 4);
        assert_eq!(receiver.budget.events(), 0);
    }
}

#[test]
fn what_idle_threads_have_taken_in_advance_is_there_for_who_needs_it() {
    let (client, (sender, mut receiver)) = (client(), queue(1_024, 1 << 30));
    let idle = [(); 200].map(|()| sender.buffers.open());
    for buffer in &idle {
        assert!(buffer.push(span(&client), 1).is_ok());
    }
    assert!(receiver.budget.events() > 200);
    let busy = sender.buffers.open();
    for taken in 200..1_024 {
        assert!(busy.push(span(&client), 1).is_ok(), "the {taken}th");
    }
    assert!(busy.push(span(&client), 1).is_err());
    assert_eq!(count(&mut receiver), 1_024);
    assert_eq!(receiver.budget.events(), 0);
}

#[test]
fn many_threads_pass_no_limit_together() {
    let (client, (sender, mut receiver)) = (client(), queue(5_000, 1 << 30));
    let taken: usize = thread::scope(|scope| {
        let thread = || {
            let buffer = sender.buffers.open();
            let taken = (0..1_000).filter(|_| buffer.push(span(&client), 1).is_ok());
            taken.count()
        };
        let threads = [(); 8].map(|()| scope.spawn(thread));
        threads.map(|thread| thread.join().unwrap()).iter().sum()
    });
    // What one takes in advance while another is refused may be missing to that one.
    assert!((4_900..=5_000).contains(&taken), "{taken}");
    assert_eq!(count(&mut receiver), taken);
}

/// How many spans are spoken of.
const COUNT: usize = 20_000;

/// An evaluation is said of a span that has ended, on another thread.
#[test]
fn what_is_said_of_a_span_comes_after_it() {
    let (client, (sender, mut receiver)) = (client(), queue(1_000_000, 1 << 40));
    let (mut spans, mut evaluations) = (0, 0);
    thread::scope(|scope| {
        let (ended, ends) = std::sync::mpsc::channel();
        let (client, sender) = (&client, &sender);
        scope.spawn(move || {
            let buffer = sender.buffers.open();
            for number in 1..=COUNT {
                assert!(buffer.push(span(client), 1).is_ok());
                ended.send(number).unwrap();
            }
        });
        scope.spawn(move || {
            for number in ends {
                sender.submit(client, evaluation(client, number.to_string()), 1);
            }
        });
        while evaluations < COUNT {
            receiver.fetch();
            while let Some(next) = receiver.next() {
                receiver.budget.release(1, 1);
                match next {
                    Next::Span(..) => spans += 1,
                    Next::Submitted(Submitted::Evaluation(event, _), _) => {
                        evaluations = event.label.parse().unwrap();
                        assert!(spans >= evaluations, "{evaluations} before its span");
                    }
                    Next::Submitted(..) => unreachable!("there is no other"),
                }
            }
        }
    });
    assert_eq!(spans, COUNT);
}

/// The worker, or a thread that asks for the counts, holds them as this one forks.
#[cfg(all(unix, feature = "enabled"))]
#[test]
#[cfg_attr(miri, ignore = "there is no fork")]
#[allow(unsafe_code, reason = "calls of the system")]
fn a_forked_child_waits_for_no_buffer_of_its_parents() {
    let build = || {
        let config = Config::new().tracing_spans(false);
        let config = config.destination(Destination::Memory(Memory::new()));
        config.build().unwrap()
    };
    let parent = build();
    let inner = parent.scope(|| {
        drop(crate::Span::task("of the parent").start());
        crate::context::current_client().unwrap()
    });
    let buffers = Arc::clone(&inner.worker().queue.buffers);
    let (tells, is_held) = std::sync::mpsc::channel();
    let (goes, told_to_go) = std::sync::mpsc::channel::<()>();
    let holder = std::thread::spawn(move || {
        let all = lock(&buffers.all);
        let states = all.buffers.iter().map(|buffer| lock(&buffer.state));
        let states: Vec<_> = states.collect();
        tells.send(states.len()).unwrap();
        let _ = told_to_go.recv();
    });
    assert_eq!(
        is_held.recv().unwrap(),
        2,
        "the shared one, and this thread's"
    );
    // SAFETY: the child runs code of ours, which is made for it, and ends without any other.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: they only end it.
        unsafe { libc::alarm(10) };
        build().scope(|| drop(crate::Span::task("of the child").start()));
        // SAFETY: as above.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: a child of ours, and a number of ours.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    goes.send(()).unwrap();
    holder.join().unwrap();
    assert_eq!(status, 0, "where it waits, a signal ends it");
}
