//! When the span of a stream or an iterator is current, and when it ends.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll, Waker};

use futures::executor::block_on;
use futures::stream::{self, FusedStream, StreamExt as _};
use futures::{FutureExt as _, Stream};
use llmobs::{Chunk, FutureExt as _, Span, StreamOutput, task, workflow};
use serde_json::json;

use crate::client::Client;

/// One poll by nobody.
fn poll<S: Stream + Unpin>(stream: &mut S) -> Poll<Option<S::Item>> {
    stream.poll_next_unpin(&mut TaskContext::from_waker(Waker::noop()))
}

/// Starts a task at each poll, and gives the next item.
struct Working {
    name: &'static str,
    items: VecDeque<Poll<Option<&'static str>>>,
}

impl Stream for Working {
    type Item = &'static str;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Option<&'static str>> {
        drop(Span::task(self.name).start());
        self.items.pop_front().unwrap_or(Poll::Ready(None))
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        if !self.items.is_empty() {
            drop(Span::task("cleanup").start());
        }
    }
}

fn working(name: &'static str, items: &[&'static str]) -> Working {
    let items = items.iter().map(|&item| Poll::Ready(Some(item)));
    Working {
        name,
        items: items.collect(),
    }
}

#[workflow(stream)]
fn answer(
    inside: &'static str,
    items: &'static [&'static str],
) -> impl Stream<Item = &'static str> {
    drop(Span::task("in the call").start());
    working(inside, items)
}

#[test]
fn a_stream_is_current_only_during_a_poll() {
    let sent = Client::start().sent_by(|| {
        let mut stream = pin!(answer("inside", &["a"]));
        assert_eq!(llmobs::export_span(None), None);
        drop(Span::task("before").start());
        assert_eq!(poll(&mut stream), Poll::Ready(Some("a")));
        drop(Span::task("suspended").start());
        let other = Span::workflow("other").start();
        {
            let _in = other.enter();
            assert_eq!(poll(&mut stream), Poll::Ready(None));
            assert_eq!(llmobs::export_span(None), other.context());
        }
        drop(Span::task("after").start());
    });
    assert_eq!(sent.parent_of("in the call"), Some("answer"));
    for name in ["before", "suspended", "after", "answer", "other"] {
        assert_eq!(sent.parent_of(name), None, "{name}");
    }
    let inside = sent.spans.iter().filter(|span| span["name"] == "inside");
    let parents: Vec<_> = inside.map(|span| &span["parent_id"]).collect();
    assert_eq!(parents, [&sent.span("answer")["span_id"]; 2]);
}

#[test]
fn a_stream_that_is_dropped_half_way_keeps_what_came_and_is_cancelled() {
    let sent = Client::start().sent_by(|| {
        let mut stream = Box::pin(answer("inside", &["a", "b", "c"]));
        for item in ["a", "b"] {
            assert_eq!(poll(&mut stream), Poll::Ready(Some(item)));
        }
        drop(stream);
    });
    let span = sent.span("answer");
    assert!(sent.is_cancelled("answer"));
    assert_eq!(span["status"], "ok");
    assert_eq!(sent.output("answer"), "ab");
    // What the inner stream does when it is dropped is part of it.
    assert_eq!(sent.parent_of("cleanup"), Some("answer"));
}

#[test]
fn a_stream_that_is_never_polled_is_cancelled_without_output() {
    let sent = Client::start().sent_by(|| drop(answer("inside", &["a"])));
    let span = sent.span("answer");
    assert!(sent.is_cancelled("answer"));
    assert_eq!(span["meta"].get("output"), None);
    assert_eq!(span["metrics"], json!({}));
    assert_eq!(sent.parent_of("cleanup"), Some("answer"));
}

#[test]
fn a_panic_of_a_stream_that_is_dropped_is_its_error() {
    struct Panics;

    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("in a drop");
        }
    }

    let sent = Client::start().sent_by(|| {
        let panics = Panics;
        let items = (0..2).map(move |_| {
            let _ = &panics;
            "a"
        });
        let span = Span::task("stream").start();
        let mut items = span.wrap_iterator(items);
        items.next();
        assert!(catch_unwind(AssertUnwindSafe(|| drop(items))).is_err());
        assert_eq!(llmobs::export_span(None), None);
    });
    assert_eq!(sent.output("stream"), "a");
    let error = &sent.span("stream")["meta"]["error"];
    assert_eq!(error["message"], "in a drop");
}

#[test]
fn the_span_ends_with_the_stream_and_not_with_its_drop() {
    let client = Client::start();
    client.run(|| {
        let mut stream = Span::task("stream")
            .start()
            .wrap_stream(stream::iter(["a"]).fuse());
        assert_eq!(poll(&mut stream), Poll::Ready(Some("a")));
        assert!(!stream.is_terminated());
        assert_eq!(llmobs::stats().spans().made, 0);
        assert_eq!(poll(&mut stream), Poll::Ready(None));
        assert_eq!(llmobs::stats().spans().made, 1);
        // It is what it was: nothing is added to it by a poll too many.
        assert_eq!(poll(&mut stream), Poll::Ready(None));
        assert!(stream.is_terminated());
    });
    let sent = client.sent();
    assert!(!sent.is_cancelled("stream"));
    assert_eq!(sent.output("stream"), "a");
}

#[test]
fn who_takes_as_many_as_there_are_has_not_broken_off() {
    let sent = Client::start().sent_by(|| {
        let all = Span::task("all")
            .start()
            .wrap_stream(stream::iter(["a", "b"]));
        assert_eq!(block_on(all.take(2).count()), 2);
        let some = Span::task("some")
            .start()
            .wrap_stream(stream::iter(["a", "b"]));
        assert_eq!(block_on(some.take(1).count()), 1);
        let items = ["a", "b"].into_iter();
        let zipped = Span::task("zipped").start().wrap_iterator(items);
        assert_eq!([1, 2].into_iter().zip(zipped).count(), 2);
    });
    assert!(!sent.is_cancelled("all"));
    assert!(sent.is_cancelled("some"));
    assert!(!sent.is_cancelled("zipped"));
}

#[test]
fn a_stream_that_says_too_early_that_nothing_is_left_loses_nothing() {
    struct Liar(u8);

    impl Iterator for Liar {
        type Item = char;

        fn next(&mut self) -> Option<char> {
            self.0 += 1;
            (self.0 < 4).then(|| char::from(b'`' + self.0))
        }

        fn size_hint(&self) -> (usize, Option<usize>) {
            assert!(self.0 != 2, "a hint that panics");
            (0, Some(0))
        }
    }

    let sent = Client::start().sent_by(|| {
        let liar = Span::task("liar").start().wrap_iterator(Liar(0));
        assert_eq!(liar.fold(0, |count, _| count + 1), 3);
    });
    assert_eq!(sent.output("liar"), "abc");
}

#[derive(Debug, thiserror::Error)]
#[error("the server hung up")]
struct HungUp(#[source] std::io::Error);

fn hung_up() -> HungUp {
    HungUp(std::io::Error::other("reset"))
}

#[test]
fn an_item_that_is_an_error_ends_the_span_and_the_rest_passes() {
    let client = Client::start();
    client.run(|| {
        let items = [Ok("a"), Err(hung_up()), Ok("b"), Err(hung_up())];
        let mut stream = Span::llm("call").start().wrap_stream(stream::iter(items));
        assert!(matches!(poll(&mut stream), Poll::Ready(Some(Ok("a")))));
        assert!(matches!(poll(&mut stream), Poll::Ready(Some(Err(_)))));
        assert_eq!(llmobs::stats().spans().made, 1);
        assert!(matches!(poll(&mut stream), Poll::Ready(Some(Ok("b")))));
        assert!(matches!(poll(&mut stream), Poll::Ready(Some(Err(_)))));
        assert!(matches!(poll(&mut stream), Poll::Ready(None)));
    });
    let sent = client.sent();
    let span = sent.span("call");
    assert_eq!(span["status"], "error");
    assert!(!sent.is_cancelled("call"));
    let error = &span["meta"]["error"];
    assert!(error["type"].as_str().unwrap().ends_with("::HungUp"));
    assert_eq!(error["message"], "the server hung up");
    let stack = error["stack"].as_str().unwrap();
    assert!(stack.ends_with("Caused by: reset"), "{stack}");
    assert_eq!(
        sent.messages("call"),
        &json!([{"content": "a", "role": ""}])
    );
}

#[test]
fn an_error_before_the_first_item_is_no_first_token() {
    let sent = Client::start().sent_by(|| {
        let items = [Err::<&str, _>(hung_up())];
        let stream = Span::llm("call").start().wrap_stream(stream::iter(items));
        assert_eq!(block_on(stream.count()), 1);
    });
    assert_eq!(sent.span("call")["status"], "error");
    assert_eq!(sent.span("call")["metrics"], json!({}));
}

#[test]
fn a_panic_in_a_poll_ends_the_span_and_goes_on() {
    let client = Client::start();
    client.run(|| {
        let items = stream::iter([1, 0]).map(|number| {
            assert!(number > 0, "number {number}");
            "a"
        });
        let mut stream = Span::task("stream").start().wrap_stream(items);
        assert_eq!(poll(&mut stream), Poll::Ready(Some("a")));
        let payload = catch_unwind(AssertUnwindSafe(|| poll(&mut stream))).unwrap_err();
        assert_eq!(payload.downcast_ref::<String>().unwrap(), "number 0");
        assert_eq!(llmobs::export_span(None), None);
        assert_eq!(llmobs::stats().spans().made, 1);
    });
    let sent = client.sent();
    let error = &sent.span("stream")["meta"]["error"];
    assert_eq!(
        (&error["type"], &error["message"]),
        (&json!("panic"), &json!("number 0"))
    );
    assert_eq!(sent.output("stream"), "a");
    assert!(!sent.is_cancelled("stream"));
}

#[test]
fn a_span_that_is_ended_by_hand_does_not_stop_its_stream() {
    let sent = Client::start().sent_by(|| {
        let span = Span::task("stream").start();
        let mut stream = span.wrap_stream(stream::iter(["a", "b"]));
        assert_eq!(poll(&mut stream), Poll::Ready(Some("a")));
        span.finish().unwrap();
        assert_eq!(poll(&mut stream), Poll::Ready(Some("b")));
        assert_eq!(poll(&mut stream), Poll::Ready(None));
    });
    assert_eq!(sent.spans.len(), 1);
    assert!(!sent.is_cancelled("stream"));
}

#[test]
fn a_stream_may_be_polled_on_another_thread_each_time() {
    let client = Client::start();
    let mut stream = Some(client.run(|| Box::pin(answer("inside", &["a", "b", "c"]))));
    loop {
        let mut moved = stream.take().unwrap();
        let thread = std::thread::spawn(move || {
            let polled = poll(&mut moved);
            assert_eq!(llmobs::export_span(None), None);
            (polled, moved)
        });
        let (polled, back) = thread.join().unwrap();
        stream = Some(back);
        if polled == Poll::Ready(None) {
            break;
        }
    }
    let sent = client.sent();
    assert_eq!(sent.output("answer"), "abc");
    let inside = sent.spans.iter().filter(|span| span["name"] == "inside");
    let answer = &sent.span("answer")["span_id"];
    assert_eq!(
        inside.filter(|span| span["parent_id"] == *answer).count(),
        4
    );
}

#[workflow(stream)]
fn outer() -> impl Stream<Item = String> {
    inner().map(str::to_uppercase)
}

#[task(stream)]
fn inner() -> impl Stream<Item = &'static str> {
    working("work", &["a", "b"])
}

#[test]
fn a_stream_inside_of_a_stream_is_its_child() {
    let sent = Client::start().sent_by(|| {
        assert_eq!(block_on(outer().collect::<String>()), "AB");
    });
    assert_eq!(sent.parent_of("inner"), Some("outer"));
    assert_eq!(
        (sent.output("inner"), sent.output("outer")),
        (&json!("ab"), &json!("AB"))
    );
    let work = sent
        .spans
        .iter()
        .find(|span| span["name"] == "work")
        .unwrap();
    assert_eq!(work["parent_id"], sent.span("inner")["span_id"]);
    assert!(!sent.is_cancelled("inner") && !sent.is_cancelled("outer"));
}

#[test]
fn streams_that_take_turns_on_a_thread_keep_their_own_spans() {
    let sent = Client::start().sent_by(|| {
        let wrap = |name: &'static str, inside| {
            let span = Span::workflow(name).start();
            span.wrap_stream(working(inside, &["1", "2"]))
        };
        let (mut a, mut b) = (wrap("a", "in a"), wrap("b", "in b"));
        for (of_a, item) in [(true, "1"), (false, "1"), (false, "2"), (true, "2")] {
            let polled = poll(if of_a { &mut a } else { &mut b });
            assert_eq!(polled, Poll::Ready(Some(item)));
        }
        assert_eq!(poll(&mut b), Poll::Ready(None));
        assert_eq!(poll(&mut a), Poll::Ready(None));
        assert_eq!(llmobs::export_span(None), None);
    });
    for (name, inside) in [("a", "in a"), ("b", "in b")] {
        let parent = &sent.span(name)["span_id"];
        let mut children = sent.spans.iter().filter(|span| span["name"] == inside);
        assert!(children.all(|span| span["parent_id"] == *parent));
        assert_eq!(sent.output(name), "12");
    }
}

#[test]
fn a_stream_in_a_spawned_task_is_below_its_own_parent() {
    let client = Client::start();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build();
    runtime
        .unwrap()
        .block_on(client.handle().scope_future(async {
            let workflow = Span::workflow("workflow").start();
            let stream = async { answer("inside", &["a"]) }.in_span(&workflow).await;
            // The stream needs no context of its task's: it has its span.
            let task = tokio::spawn(async move { Box::pin(stream).count().await });
            assert_eq!(task.await.unwrap(), 1);
        }));
    let sent = client.sent();
    assert_eq!(sent.parent_of("answer"), Some("workflow"));
    assert_eq!(sent.output("answer"), "a");
}

#[task(stream)]
async fn slow() -> Result<impl Stream<Item = u8>, String> {
    std::future::pending::<()>().await;
    Ok(stream::empty())
}

#[test]
fn a_future_that_is_dropped_before_it_gives_its_stream_is_cancelled() {
    let sent = Client::start().sent_by(|| {
        assert!(slow().now_or_never().is_none());
        drop(slow());
    });
    // Never polled is never begun.
    assert_eq!(sent.spans.len(), 1);
    assert!(sent.is_cancelled("slow"));
}

#[test]
fn iterators_go_both_ways_and_clones_are_no_part_of_the_span() {
    let sent = Client::start().sent_by(|| {
        let numbers = || ["a", "b", "c", "d"].into_iter();
        let reversed = Span::task("reversed").start().wrap_iterator(numbers());
        assert_eq!(reversed.len(), 4);
        assert_eq!(reversed.rev().collect::<String>(), "dcba");
        let mut both = Span::task("both").start().wrap_iterator(numbers());
        let clone = both.clone();
        assert_eq!((both.next(), both.next_back()), (Some("a"), Some("d")));
        assert_eq!(clone.collect::<String>(), "abcd");
        assert_eq!(both.size_hint(), (2, Some(2)));
        assert_eq!(both.collect::<String>(), "bc");
    });
    assert_eq!(sent.output("reversed"), "dcba");
    assert_eq!(sent.output("both"), "adbc");
    assert!(!sent.is_cancelled("reversed") && !sent.is_cancelled("both"));
}

#[test]
fn a_stream_that_dies_with_its_thread_or_its_reader_is_cancelled() {
    thread_local! {
        static KEPT: std::cell::RefCell<Vec<Box<dyn Stream<Item = &'static str> + Unpin>>> =
            const { std::cell::RefCell::new(Vec::new()) };
    }
    let client = Client::start();
    let handle = client.handle().clone();
    std::thread::spawn(move || {
        KEPT.with_borrow(Vec::len);
        handle.scope(|| {
            let span = Span::task("thread").start();
            let mut stream = span.wrap_stream(working("inside", &["a", "b"]));
            assert_eq!(poll(&mut stream), Poll::Ready(Some("a")));
            KEPT.with_borrow_mut(|kept| kept.push(Box::new(stream)));
        });
    })
    .join()
    .unwrap();
    client.run(|| {
        let read = AssertUnwindSafe(|| {
            let span = Span::task("reader").start();
            let mut stream = span.wrap_stream(working("inside", &["a", "b"]));
            assert_eq!(poll(&mut stream), Poll::Ready(Some("a")));
            panic!("the reader's own");
        });
        assert!(catch_unwind(read).is_err());
    });
    let sent = client.sent();
    for name in ["thread", "reader"] {
        assert!(sent.is_cancelled(name), "{name}");
        assert_eq!(sent.span(name)["status"], "ok", "{name}");
        assert_eq!(sent.output(name), "a", "{name}");
    }
}

#[test]
fn items_that_are_skipped_are_not_made_one_by_one() {
    let numbers = || 0..u64::MAX;
    let skip_far = |mut items: Box<dyn DoubleEndedIterator<Item = u64>>| {
        assert_eq!(items.nth(1 << 60), Some(1 << 60));
        assert_eq!(items.nth_back(1 << 60), Some(u64::MAX - (1 << 60) - 1));
    };
    let wrapped = |span: Span| {
        span.wrap_iterator_with(numbers(), |number, output| {
            output.json(number);
        })
    };
    skip_far(Box::new(wrapped(Span::task("idle").start())));
    let sent = Client::start().sent_by(|| {
        skip_far(Box::new(wrapped(Span::task("numbers").start())));
    });
    assert_eq!(
        sent.output("numbers"),
        &format!("[{},{}]", 1_u64 << 60, u64::MAX - (1 << 60) - 1)
    );
    assert!(sent.is_cancelled("numbers"));
}

#[test]
fn a_hint_that_panics_is_asked_once() {
    struct NoHint(u8, Arc<AtomicUsize>);

    impl Iterator for NoHint {
        type Item = char;

        fn next(&mut self) -> Option<char> {
            self.0 += 1;
            (self.0 < 4).then_some('a')
        }

        fn size_hint(&self) -> (usize, Option<usize>) {
            self.1.fetch_add(1, Ordering::Relaxed);
            panic!("not known")
        }
    }

    let asked = Arc::new(AtomicUsize::new(0));
    let sent = Client::start().sent_by(|| {
        let items = Span::task("items")
            .start()
            .wrap_iterator(NoHint(0, Arc::clone(&asked)));
        assert_eq!(items.fold(0, |count, _| count + 1), 3);
    });
    assert_eq!(sent.output("items"), "aaa");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn an_iterator_is_current_only_while_it_makes_an_item() {
    let client = Client::start();
    client.run(|| {
        let items = (0..3).inspect(|number| {
            drop(Span::task("inside").start());
            assert!(*number < 1, "number {number}");
        });
        let span = Span::task("iterator").start();
        let mut items = span.wrap_iterator_with(items, |number, output| {
            output.json(number);
        });
        assert_eq!(items.next(), Some(0));
        drop(Span::task("suspended").start());
        assert!(catch_unwind(AssertUnwindSafe(|| items.next())).is_err());
        assert_eq!(llmobs::export_span(None), None);
        // The inner iterator goes on as it would have.
        assert!(catch_unwind(AssertUnwindSafe(|| items.next())).is_err());
        assert_eq!(items.next(), None);
    });
    let sent = client.sent();
    assert_eq!(sent.parent_of("suspended"), None);
    let span = sent.span("iterator");
    assert_eq!(span["meta"]["error"]["message"], "number 1");
    assert_eq!(sent.output("iterator"), "[0]");
    let inside = sent.spans.iter().filter(|other| other["name"] == "inside");
    assert_eq!(
        inside
            .filter(|other| other["parent_id"] == span["span_id"])
            .count(),
        2
    );
}

#[test]
fn while_llmobs_is_not_enabled_items_pass_and_nobody_looks_at_them() {
    struct Untold(Arc<()>);

    impl Chunk for Untold {
        fn add_to(&self, _: &mut StreamOutput) {
            panic!("nobody asks");
        }
    }

    let span = Span::task("idle").start();
    let items = stream::iter([Untold(Arc::default())]);
    let wrapped = span.wrap_stream(items);
    assert_eq!(wrapped.size_hint(), (1, Some(1)));
    assert_eq!(
        block_on(
            wrapped
                .map(|item| Arc::strong_count(&item.0))
                .collect::<Vec<_>>()
        ),
        [1]
    );
    let words = span.wrap_iterator_with([1, 2].into_iter(), |_, _| panic!("nobody asks"));
    assert_eq!(words.rev().collect::<Vec<_>>(), [2, 1]);
    assert_eq!(block_on(outer().collect::<String>()), "AB");
}
