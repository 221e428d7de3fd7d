//! Signatures of streams that are hard to wrap without a change of their types.

#![allow(clippy::type_complexity, reason = "written out is what is tested")]

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt::Display;
use std::marker::PhantomPinned;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::rc::Rc;

use futures::stream::{self, BoxStream, LocalBoxStream};
use futures::{Future, Stream, StreamExt as _, TryStreamExt as _};
use llmobs::{llm, task, tool, workflow};

use crate::support::{only, output, record, record_future};

type BoxError = Box<dyn Error + Send + Sync>;

#[task(stream)]
fn bounded<'a, T, U, F, const N: usize>(
    items: &'a [T; N],
    other: F,
) -> impl Stream<Item = Result<U, BoxError>> + Send + use<'a, T, U, F, N>
where
    T: Sync + Display,
    U: Send + 'a,
    F: Fn(&'a T) -> Result<U, BoxError> + Send + 'a,
{
    stream::iter(items).map(other)
}

#[task(stream)]
fn argument_opaque<'a>(
    items: impl IntoIterator<Item = impl AsRef<str> + 'a, IntoIter: Send> + 'a,
) -> impl Stream<Item = String> + Send + 'a {
    stream::iter(items.into_iter().map(|item| item.as_ref().to_owned()))
}

#[task(stream)]
fn captures_nothing(text: &str) -> impl Stream<Item = usize> + use<> {
    let len = text.len();
    stream::iter([len])
}

struct Server {
    words: Vec<String>,
}

trait Talks {
    type Said<'a>
    where
        Self: 'a;

    fn talk<'s>(
        &'s self,
        n: usize,
    ) -> Pin<Box<dyn Stream<Item = Result<Self::Said<'s>, BoxError>> + Send + 's>>;

    fn walk(&self) -> impl Iterator<Item = &str>;

    fn later(
        &self,
    ) -> impl Future<Output = Result<impl Stream<Item = String> + Send, BoxError>> + Send;

    #[task(stream)]
    fn provided(&self) -> impl Iterator<Item = usize>
    where
        Self: Sized,
    {
        self.walk().map(str::len)
    }
}

impl Talks for Server {
    type Said<'a> = &'a str;

    #[llm(stream)]
    fn talk<'s>(
        &'s self,
        n: usize,
    ) -> Pin<Box<dyn Stream<Item = Result<Self::Said<'s>, BoxError>> + Send + 's>> {
        Box::pin(async_stream(async move {
            if n == 0 {
                return Err("none".into());
            }
            let word = self.words.first().ok_or("empty")?;
            Ok(vec![word.as_str(); n])
        }))
    }

    #[tool(stream)]
    fn walk(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|word| &**word)
    }

    #[task(stream)]
    async fn later(&self) -> Result<impl Stream<Item = String> + Send, BoxError> {
        if self.words.is_empty() {
            return Err("no words")?;
        }
        Ok(stream::iter(self.words.clone()))
    }
}

fn async_stream<'a, T: Send + 'a>(
    future: impl Future<Output = Result<Vec<T>, BoxError>> + Send + 'a,
) -> impl Stream<Item = Result<T, BoxError>> + Send + 'a {
    stream::once(future)
        .map_ok(|items| stream::iter(items.into_iter().map(Ok)))
        .try_flatten()
}

/// Neither `Serialize` nor `Debug`, nor anything else.
struct Opaque<T>(T);

#[derive(Default)]
struct Zst;

#[task(stream)]
fn opaque_items<T>(n: usize, make: impl Fn() -> T) -> impl Stream<Item = Result<Opaque<T>, Zst>> {
    stream::iter(0..n).map(move |_| Ok(Opaque(make())))
}

#[task(stream)]
fn zero_sized(n: usize) -> impl Iterator<Item = ()> {
    std::iter::repeat_n((), n)
}

#[workflow(stream)]
fn countdown(n: u8) -> BoxStream<'static, u8> {
    if n == 0 {
        return stream::empty().boxed();
    }
    stream::once(async move { n })
        .chain(countdown(n - 1))
        .boxed()
}

#[workflow(stream)]
fn walk_tree<'a>(tree: &'a [Vec<u8>], at: usize) -> Box<dyn Iterator<Item = &'a u8> + 'a> {
    match tree.get(at) {
        None => Box::new(std::iter::empty()),
        Some(here) => Box::new(here.iter().chain(walk_tree(tree, at + 1))),
    }
}

#[task(stream)]
fn local(rc: Rc<Cell<u8>>) -> impl Stream<Item = Rc<Cell<u8>>> + Unpin {
    Box::pin(stream::once(async move {
        rc.set(rc.get() + 1);
        rc
    }))
}

#[task(stream)]
fn dynamic(
    fail: bool,
) -> Result<LocalBoxStream<'static, Result<u8, Box<dyn Error>>>, Box<dyn Error>> {
    let n: u8 = if fail { "x" } else { "1" }.parse()?;
    Ok(stream::iter([Ok(n), Err("late".into())]).boxed_local())
}

#[task(stream)]
fn not_unpin() -> impl Stream<Item = u8> + Send + Sync {
    let pinned = PhantomPinned;
    stream::iter([1]).map(move |n| {
        let _ = &pinned;
        n
    })
}

#[task(stream)]
fn through_a_macro(n: u8) -> impl Stream<Item = u8> {
    macro_rules! stream {
        ($(yield $e:expr;)*) => { stream::iter([$($e),*]) };
    }
    stream! { yield n; yield n + 1; }
}

#[task(stream)]
fn iterated_errors() -> impl Iterator<Item = anyhow::Result<u8>> {
    (0..3).map(|n| {
        anyhow::ensure!(n < 2, "n is {n}");
        Ok(n)
    })
}

#[task(stream)]
fn empty() -> impl Iterator<Item = String> {
    std::iter::empty()
}

#[task(stream)]
fn unsized_bound<'a, S: ?Sized + AsRef<[u8]>>(
    s: &'a S,
) -> impl Iterator<Item = &'a u8> + use<'a, S> {
    s.as_ref().iter()
}

#[task(stream)]
fn tuple_items<'a>(a: &'a str, b: &str) -> Option<impl Iterator<Item = (&'a str, usize)>> {
    let n = b.parse().ok()?;
    Some(std::iter::once((a, n)))
}

#[task(stream)]
fn nested_opaque() -> impl Iterator<Item = impl Iterator<Item = u8>> {
    (0..2).map(|n| 0..n)
}

#[task(stream)]
fn function_items() -> impl Iterator<Item = fn(u8) -> u8> {
    [u8::count_ones as fn(u8) -> u32]
        .into_iter()
        .map(|_| u8::reverse_bits as fn(u8) -> u8)
}

#[task(stream)]
fn closure_items<'a>(n: &'a u8) -> impl Iterator<Item = impl Fn(u8) -> u8 + 'a> {
    [1, 2].into_iter().map(move |m| move |x| x + m + *n)
}

#[task(stream)]
fn higher_ranked()
-> Box<dyn Iterator<Item = Box<dyn for<'a> Fn(&'a str) -> &'a str + Send>> + Send + Sync> {
    Box::new(std::iter::empty())
}

#[task(stream, capture_output = false, capture_input = false)]
async unsafe fn not_safe(text: *const u8) -> impl Stream<Item = u8> {
    let _ = text;
    stream::empty()
}

#[task(stream)]
extern "Rust" fn external() -> Box<dyn Iterator<Item = u8>> {
    Box::new(0..1)
}

struct Machine<'m, T>(&'m mut Vec<T>);

impl<'m, T: Clone + Send + 'm> Machine<'m, T>
where
    for<'x> &'x T: Into<T>,
{
    #[task(stream)]
    fn run<'s, U>(
        &'s mut self,
        with: &'s U,
    ) -> impl Stream<Item = Result<T, U::Owned>> + Send + use<'s, 'm, T, U>
    where
        U: ToOwned<Owned: Send> + Sync + ?Sized,
    {
        self.0.reverse();
        let mut n = 0;
        stream::poll_fn(move |_| {
            n += 1;
            std::task::Poll::Ready(Some(match self.0.pop() {
                None if n > 3 => return std::task::Poll::Ready(None),
                None => Err(with.to_owned()),
                Some(item) => Ok((&item).into()),
            }))
        })
    }

    #[task(stream)]
    async fn boxed_run(&mut self) -> Result<Pin<Box<dyn Stream<Item = T> + Send + '_>>, BoxError> {
        if self.0.is_empty() {
            return Err("empty".into());
        }
        let items = &mut self.0;
        Ok(Box::pin(stream::iter(items.drain(..))))
    }
}

#[task(stream)]
fn patterns((a, b): (u8, u8), [c, ..]: [u8; 2]) -> impl Iterator<Item = u8> {
    let all = [a, b, c];
    all.into_iter()
}

impl Server {
    #[task(stream)]
    async fn owned(self: Rc<Self>, mut more: Vec<String>) -> impl Stream<Item = String> {
        more.extend(self.words.iter().cloned());
        let first = more.remove(0);
        stream::iter(more).filter(move |word| {
            let keep = *word != first;
            async move { keep }
        })
    }
}

fn assert_shared<T: Send + Sync + UnwindSafe + RefUnwindSafe>(value: T) -> T {
    value
}

#[test]
fn a_stream_is_what_it_was_without_its_span() {
    #[task(stream)]
    fn shared() -> impl Stream<Item = u8> + Clone + Unpin + 'static {
        stream::iter([1])
    }
    #[task(stream)]
    fn iterator() -> impl ExactSizeIterator<Item = u8> + DoubleEndedIterator + Clone + 'static {
        0..2
    }
    let ((), spans) = record(|| {
        drop(assert_shared(shared()));
        drop(assert_shared(iterator()));
        drop(assert_shared(not_unpin()));
        // Auto traits are told of what the type is and not of what the signature says.
        fn assert_send<T: Send>(value: T) -> T {
            value
        }
        drop(assert_send(opaque_items(1, || Cell::new(1))));
        drop(assert_send(captures_nothing(&7.to_string())));
    });
    assert_eq!(spans.len(), 5);
}

#[test]
fn what_a_generic_stream_borrows_goes_on() {
    let (items, spans) = record_future(async {
        let items = ["1".to_owned(), "x".to_owned()];
        let parsed = bounded(&items, |item| Ok(item.parse::<u8>()?));
        parsed.map(Result::ok).collect::<Vec<_>>().await
    });
    assert_eq!(items, [Some(1), None]);
    assert_eq!(output(only(&spans)), serde_json::json!(["u8"]));
    assert_eq!(
        only(&spans)["meta"]["error"]["message"],
        "invalid digit found in string"
    );

    let (text, spans) = record_future(async {
        argument_opaque(["a", "b"].map(str::to_owned))
            .collect::<String>()
            .await
    });
    assert_eq!(text, output(only(&spans)));

    let mut items = vec!["1".to_owned(), "2".to_owned()];
    let (given, spans) = record_future(async {
        let mut machine = Machine(&mut items);
        let given = machine.run("end").take(3).collect::<Vec<_>>().await;
        assert!(machine.boxed_run().await.is_err());
        given
    });
    let ok = |text: &str| Ok(text.to_owned());
    assert_eq!(given, [ok("1"), ok("2"), Err("end".to_owned())]);
    assert_eq!(
        spans[0]["meta"]["error"]["message"],
        "alloc::string::String"
    );
    assert_eq!(spans[1]["meta"]["error"]["message"], "empty");
}

#[test]
fn methods_of_traits_give_their_streams() {
    let server = Server {
        words: vec!["ab".to_owned()],
    };
    let (said, spans) = record_future(async {
        let said = server.talk(2).try_collect::<Vec<_>>().await;
        assert_eq!(server.walk().count(), 1);
        assert_eq!(server.provided().collect::<Vec<_>>(), [2]);
        assert_eq!(server.later().await.unwrap().count().await, 1);
        assert!(server.talk(0).next().await.unwrap().is_err());
        said.unwrap()
    });
    assert_eq!(said, ["ab", "ab"]);
    let told: Vec<_> = spans
        .iter()
        .map(|span| {
            (
                span["name"].as_str().unwrap(),
                span["status"].as_str().unwrap(),
            )
        })
        .collect();
    let ok = "ok";
    assert_eq!(
        told,
        [
            ("talk", ok),
            ("walk", ok),
            ("provided", ok),
            ("walk", ok),
            ("later", ok),
            ("talk", "error")
        ]
    );
    // The inner iterator works for the outer one, which made it in its call.
    assert_eq!(spans[3]["parent_id"], spans[2]["span_id"]);
    let empty = Server { words: Vec::new() };
    let (_, spans) = record_future(async { assert!(empty.later().await.is_err()) });
    assert_eq!(only(&spans)["meta"]["error"]["message"], "no words");
    let (words, _) = record_future(async {
        let server = Rc::new(Server {
            words: vec!["a".to_owned()],
        });
        let more = vec!["b".to_owned(), "b".to_owned()];
        server.owned(more).await.collect::<Vec<_>>().await
    });
    assert_eq!(words, ["a"]);
}

#[test]
fn a_stream_of_itself_has_a_span_for_each_call() {
    let (numbers, spans) = record_future(async { countdown(2).collect::<Vec<_>>().await });
    assert_eq!(numbers, [2, 1]);
    assert_eq!(spans.len(), 3);
    assert_eq!(output(&spans[0]), serde_json::json!([2, 1]));
    assert_eq!(spans[2]["parent_id"], spans[1]["span_id"]);
    let tree = [vec![1], vec![2, 3]];
    let (numbers, spans) = record(|| walk_tree(&tree, 0).copied().collect::<Vec<_>>());
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(spans.len(), 3);
    assert_eq!(output(&spans[1]), serde_json::json!([2, 3]));
}

#[test]
fn items_of_no_traits_and_of_no_size_pass() {
    let (count, spans) = record_future(async { opaque_items(2, Zst::default).count().await });
    assert_eq!(count, 2);
    let name = output(only(&spans))[0].as_str().unwrap().to_owned();
    assert!(name.contains("Opaque<"), "{name}");
    let (count, spans) = record(|| zero_sized(1 << 20).count());
    assert_eq!(count, 1 << 20);
    assert_eq!(only(&spans)["meta"].get("output"), None);
    let (rc, _) = record_future(async { local(Rc::default()).next().await });
    assert_eq!(rc.unwrap().get(), 1);
    let (_, spans) = record_future(async {
        assert!(dynamic(true).is_err());
        assert_eq!(dynamic(false).unwrap().count().await, 2);
    });
    assert_eq!(spans[1]["meta"]["error"]["message"], "late");
    let (numbers, _) = record_future(async { through_a_macro(1).collect::<Vec<_>>().await });
    assert_eq!(numbers, [1, 2]);
    let (_, spans) = record(|| assert_eq!(iterated_errors().count(), 3));
    assert_eq!(only(&spans)["meta"]["error"]["message"], "n is 2");
    assert_eq!(output(only(&spans)), serde_json::json!([0, 1]));
    let (_, spans) = record(|| assert_eq!(empty().next(), None));
    assert_eq!(only(&spans)["meta"].get("output"), None);
    let (_, spans) = record(|| {
        assert_eq!(unsized_bound("a").count(), 1);
        assert_eq!(tuple_items("a", "2").unwrap().next(), Some(("a", 2)));
        assert!(tuple_items("a", "x").is_none());
        assert_eq!(nested_opaque().flatten().count(), 1);
        assert_eq!(function_items().next().unwrap()(1), 128);
        assert_eq!(closure_items(&3).next().unwrap()(1), 5);
        assert_eq!(higher_ranked().count(), 0);
        assert_eq!(external().count(), 1);
        assert_eq!(patterns((1, 2), [3, 4]).sum::<u8>(), 6);
    });
    assert_eq!(spans.len(), 9);
    assert_eq!(
        record_future(async { unsafe { not_safe("".as_ptr()) }.await.count().await })
            .1
            .len(),
        1
    );
}

type Log = RefCell<Vec<&'static str>>;

/// Notes when it is dropped.
struct Noisy<'a>(&'static str, &'a Log);

impl Drop for Noisy<'_> {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

mod bare {
    use super::Noisy;

    pub(super) fn noisy<'a>(a: Noisy<'a>, b: Noisy<'a>) -> impl Iterator<Item = usize> + use<'a> {
        let _local = Noisy("local", a.1);
        [a.0.len()].into_iter().map(move |length| {
            let b = &b;
            length + b.0.len()
        })
    }
}

mod spanned {
    use super::{Noisy, task};

    #[task(stream, skip(a, b))]
    pub(super) fn noisy<'a>(a: Noisy<'a>, b: Noisy<'a>) -> impl Iterator<Item = usize> + use<'a> {
        let _local = Noisy("local", a.1);
        [a.0.len()].into_iter().map(move |length| {
            let b = &b;
            length + b.0.len()
        })
    }
}

#[test]
fn case_46_what_the_stream_does_not_hold_is_dropped_with_the_call() {
    fn order<I: Iterator<Item = usize>>(noisy: impl Fn(&'static Log) -> I) -> Vec<&'static str> {
        let log: &Log = Box::leak(Box::default());
        let mut items = noisy(log);
        log.borrow_mut().push("returned");
        assert_eq!(items.next(), Some(2));
        drop(items);
        log.take()
    }
    let expected = order(|log| bare::noisy(Noisy("a", log), Noisy("b", log)));
    assert_eq!(expected, ["local", "a", "returned", "b"]);
    let spanned = || order(|log| spanned::noisy(Noisy("a", log), Noisy("b", log)));
    assert_eq!(record(spanned).0, expected);
    assert_eq!(spanned(), expected, "disabled");
}
