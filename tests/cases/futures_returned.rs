//! Functions whose work is in a future.

use std::cell::Cell;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Either, LocalBoxFuture};
use llmobs::{agent, task, tool, workflow};
use serde_json::{Value, json};
use tokio::task::yield_now;

use crate::support::{has_tag, input, only, output, record, record_future};

fn assert_send<F: Future + Send>(future: F) -> F {
    future
}

#[task]
async fn borrows(text: &str, list: &[u8]) -> usize {
    yield_now().await;
    text.len() + list.len()
}

#[test]
fn case_22_an_async_function_that_borrows_stays_send() {
    let text = String::from("ab");
    let (length, spans) = record_future(assert_send(borrows(&text, &[1])));
    assert_eq!(length, 3);
    assert_eq!(input(only(&spans))["text"], "ab");
    assert_eq!(output(only(&spans)), json!(3));
}

struct NotSend(Rc<()>);

#[task(name = format!("{}", Rc::strong_count(&Rc::new(()))))]
async fn makes_what_is_not_send(text: String) -> Result<String, String> {
    drop(NotSend(Rc::new(())).0);
    yield_now().await;
    Err(text)
}

#[task]
async fn is_not_send(rc: Rc<u8>) -> u8 {
    yield_now().await;
    *rc
}

#[test]
fn case_23_nothing_of_ours_is_held_across_an_await() {
    let (result, spans) = record_future(assert_send(makes_what_is_not_send("x".into())));
    assert!(result.is_err());
    assert_eq!(only(&spans)["name"], "1");
    assert_eq!(record_future(is_not_send(Rc::new(7))).0, 7);
}

#[async_trait::async_trait]
trait Tool {
    async fn run(&self, input: String) -> Result<String, anyhow::Error>;

    #[tool]
    async fn by_default(&mut self, input: u8) -> u8 {
        let doubled = input * 2;
        yield_now().await;
        doubled
    }
}

struct Search(Cell<u8>);

// `Send` is asked of what async_trait makes.
unsafe impl Sync for Search {}

#[async_trait::async_trait]
impl Tool for Search {
    #[tool(name = "search")]
    async fn run(&self, input: String) -> Result<String, anyhow::Error> {
        self.0.set(self.0.get() + 1);
        yield_now().await;
        anyhow::ensure!(!input.is_empty(), "nothing to search");
        Ok(input)
    }
}

#[test]
fn case_25_a_method_of_async_trait_keeps_its_statements() {
    let mut search = Search(Cell::new(0));
    let ((), spans) = record_future(async {
        search.run("q".into()).await.unwrap();
        search.run(String::new()).await.unwrap_err();
        assert_eq!(search.by_default(2).await, 4);
    });
    assert_eq!(search.0.get(), 2);
    assert_eq!(spans[0]["name"], "search");
    assert_eq!(input(&spans[0]), json!({"input": "q"}));
    assert_eq!(output(&spans[0]), json!("q"));
    assert_eq!(spans[1]["meta"]["error"]["message"], "nothing to search");
    assert_eq!(output(&spans[2]), json!(4));
}

#[test]
fn case_26_below_async_trait_the_future_is_still_send() {
    let search = Search(Cell::new(0));
    let future = assert_send(search.run("q".into()));
    assert_eq!(record_future(future).0.unwrap(), "q");
}

#[task]
fn tail_is_a_block(x: u8) -> impl Future<Output = Result<u8, String>> + Send {
    async move {
        yield_now().await;
        if x == 0 {
            Err("zero".to_owned())
        } else {
            Ok(x)
        }
    }
}

#[task]
fn tail_is_boxed<'a>(x: &'a u8) -> BoxFuture<'a, u8> {
    async move { *x }.boxed()
}

#[task]
fn tail_is_a_call(x: u8) -> LocalBoxFuture<'static, u8> {
    if x == 9 {
        return ready(0).boxed_local();
    }
    match x {
        0 => Box::pin(ready(1)),
        _ => ready(x).boxed_local(),
    }
}

#[task]
fn tail_is_either(left: bool) -> impl Future<Output = u8> {
    if left {
        Either::Left(ready(1))
    } else {
        Either::Right(async { 2 })
    }
}

#[task]
fn pinned(x: &u8) -> std::pin::Pin<Box<dyn std::future::Future<Output = Option<u8>> + '_>> {
    Box::pin(async move { None.filter(|_| *x > 0) })
}

type Alias<T> = Pin<Box<dyn Future<Output = T> + Send>>;

#[task(future)]
fn behind_an_alias(x: u8) -> Alias<Result<u8, String>> {
    Box::pin(async move {
        yield_now().await;
        Ok(x)
    })
}

#[task]
#[allow(deprecated, reason = "the warning that `stream` is missing")]
fn string_error() -> impl Future<Output = Result<impl Iterator<Item = u8>, String>> {
    async { Ok([1].into_iter()) }
}

#[test]
fn case_27_a_future_is_known_by_the_return_type() {
    let ((), spans) = record_future(async {
        assert!(tail_is_a_block(0).await.is_err());
        assert_eq!(tail_is_boxed(&1).await, 1);
        assert_eq!(tail_is_a_call(9).await, 0);
        assert_eq!(tail_is_a_call(0).await, 1);
        assert_eq!(tail_is_either(true).await + tail_is_either(false).await, 3);
        assert_eq!(pinned(&1).await, None);
        assert_eq!(behind_an_alias(2).await, Ok(2));
        assert_eq!(string_error().await.unwrap().count(), 1);
    });
    assert_eq!(spans[0]["meta"]["error"]["message"], "zero");
    let outputs: Vec<Value> = spans.iter().map(output).collect();
    assert_eq!(
        outputs[1..8],
        [
            json!(1),
            json!(0),
            json!(1),
            json!(1),
            json!(2),
            Value::Null,
            json!(2)
        ]
    );
    assert!(spans.iter().all(|span| !has_tag(span, "cancelled:true")));
}

#[test]
fn case_27_the_span_of_a_returned_future_starts_with_the_call() {
    #[workflow]
    async fn parent() -> u8 {
        let later = tail_is_boxed(&3);
        yield_now().await;
        later.await
    }
    let (_, spans) = record_future(parent());
    assert_eq!(
        llmobs_tests::tree(&spans),
        "workflow parent\n  task tail_is_boxed\n"
    );
}

#[deny(deprecated)]
#[test]
fn case_27_a_future_of_a_named_type_is_measured_as_a_call() {
    #[allow(deprecated)]
    #[task]
    fn named() -> Ready<u8> {
        ready(1)
    }
    let (value, spans) = record(|| named().now_or_never());
    assert_eq!(value, Some(1));
    assert_eq!(only(&spans)["status"], "ok");
}

trait Model {
    fn ask(&self, prompt: &str) -> impl Future<Output = String> + Send;
    async fn local(&self) -> u8;
    fn precise<'a>(&'a self, other: &str) -> impl Future<Output = usize> + use<'a, Self>;
}

struct Echo;

impl Model for Echo {
    #[agent]
    async fn ask(&self, prompt: &str) -> String {
        yield_now().await;
        prompt.to_owned()
    }

    #[agent]
    async fn local(&self) -> u8 {
        1
    }

    #[agent]
    fn precise<'a>(&'a self, other: &str) -> impl Future<Output = usize> + use<'a> {
        let length = other.len();
        async move { length + std::mem::size_of_val(self) }
    }
}

async fn ask_any<M: Model + Sync>(model: &M) -> String {
    let sized = {
        let gone = String::from("gone");
        model.precise(&gone)
    };
    assert_eq!(sized.await, 4);
    assert_eq!(model.local().await, 1);
    assert_send(model.ask("hi")).await
}

#[test]
fn case_28_futures_in_traits_capture_no_more_than_they_say() {
    let (answer, spans) = record_future(ask_any(&Echo));
    assert_eq!((&*answer, spans.len()), ("hi", 3));
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[task]
fn inside() {}

struct CallsWhenDropped;
impl Drop for CallsWhenDropped {
    fn drop(&mut self) {
        inside();
    }
}

#[task]
async fn waits_forever() -> u8 {
    let _calls = CallsWhenDropped;
    std::future::pending().await
}

#[task]
fn waits_forever_boxed() -> BoxFuture<'static, u8> {
    waits_forever_inside().boxed()
}

async fn waits_forever_inside() -> u8 {
    std::future::pending().await
}

#[test]
fn case_32_a_dropped_future_ends_its_span_as_cancelled() {
    let ((), spans) = record(|| {
        let mut future = Box::pin(waits_forever());
        assert!(poll(future.as_mut()).is_pending());
        drop(future);
        inside();
    });
    // Its locals go while it is still current.
    let tree = llmobs_tests::tree(&spans);
    assert_eq!(tree, "task waits_forever\n  task inside\ntask inside\n");
    assert!(has_tag(&spans[0], "cancelled:true"));
    assert_eq!(spans[0]["status"], "ok");
}

#[test]
fn case_32_a_future_that_is_never_polled() {
    let ((), spans) = record(|| drop(waits_forever()));
    assert_eq!(spans.len(), 0, "an async fn has not begun");
    let ((), spans) = record(|| drop(waits_forever_boxed()));
    assert!(has_tag(only(&spans), "cancelled:true"));
    assert_eq!(only(&spans)["status"], "ok");
}

#[test]
fn case_32_a_future_that_is_dropped_while_a_panic_passes_is_cancelled() {
    let ((), spans) = record(|| {
        let run = || {
            let mut future = Box::pin(waits_forever());
            assert!(poll(future.as_mut()).is_pending());
            panic!("elsewhere");
        };
        std::panic::catch_unwind(run).unwrap_err();
    });
    assert_eq!(spans[0]["status"], "ok");
    assert!(has_tag(&spans[0], "cancelled:true"));
}

#[task]
fn on_another_thread(x: u8) -> u8 {
    x
}

#[test]
fn case_60_a_context_is_carried_to_another_thread() {
    #[workflow]
    fn parent() -> u8 {
        let context = llmobs::Context::current();
        let run = move || context.in_scope(|| on_another_thread(5));
        std::thread::spawn(run).join().unwrap()
    }
    let (five, spans) = record(parent);
    assert_eq!(five, 5);
    let tree = llmobs_tests::tree(&spans);
    assert_eq!(tree, "workflow parent\n  task on_another_thread\n");
}

#[workflow]
async fn two_at_once() -> (u8, u8) {
    futures::future::join(slow(1), slow(2)).await
}

#[task]
async fn slow(x: u8) -> u8 {
    for _ in 0..x {
        yield_now().await;
        inside();
    }
    x
}

#[test]
fn siblings_that_are_polled_in_turn_do_not_mix() {
    let (both, spans) = record_future(two_at_once());
    assert_eq!(both, (1, 2));
    let of = |name: &str, x: u8| {
        let found = spans
            .iter()
            .find(|span| span["name"] == name && input(span) == json!({"x": x}));
        found.unwrap()["span_id"].clone()
    };
    let below = |id: Value| spans.iter().filter(|span| span["parent_id"] == id).count();
    assert_eq!(below(of("slow", 1)), 1);
    assert_eq!(below(of("slow", 2)), 2);
}
