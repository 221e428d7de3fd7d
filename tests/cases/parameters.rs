//! What functions take.
#![allow(
    clippy::boxed_local,
    reason = "the shapes that people write, which clippy sees as they stand"
)]

use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use llmobs::{task, tool, workflow};
use serde::Serialize;
use serde_json::{Value, json};

use crate::support::{input, only, output, record, record_future};

struct Agent {
    name: String,
    calls: u32,
}

impl Agent {
    #[task]
    fn by_value(self) -> String {
        self.name
    }

    #[task]
    fn by_mut_value(mut self) -> u32 {
        self.calls += 1;
        self.calls
    }

    #[task]
    fn by_box(self: Box<Self>) -> String {
        self.name
    }

    #[task]
    fn by_rc(self: Rc<Self>) -> String {
        self.name.clone()
    }

    #[task]
    fn by_ref_of_arc(self: &Arc<Self>) -> usize {
        Arc::strong_count(self)
    }

    #[task]
    fn by_pin(self: Pin<&mut Self>, by: u32) -> u32 {
        let this = self.get_mut();
        this.calls += by;
        this.calls
    }

    #[task]
    async fn by_mut_ref(&mut self, by: u32) -> u32 {
        self.calls += by;
        tokio::task::yield_now().await;
        self.calls
    }

    #[task]
    async fn by_value_async(mut self) -> String {
        tokio::task::yield_now().await;
        self.name.push('!');
        self.name
    }
}

fn agent() -> Agent {
    Agent {
        name: "a".to_owned(),
        calls: 0,
    }
}

#[test]
fn case_08_every_receiver_and_self_is_never_captured() {
    let ((), spans) = record(|| {
        assert_eq!(agent().by_value(), "a");
        assert_eq!(agent().by_mut_value(), 1);
        assert_eq!(Box::new(agent()).by_box(), "a");
        assert_eq!(Rc::new(agent()).by_rc(), "a");
        assert_eq!(Arc::new(agent()).by_ref_of_arc(), 1);
        assert_eq!(Pin::new(&mut agent()).by_pin(2), 2);
    });
    for span in &spans[..5] {
        assert_eq!(span["meta"].get("input"), None);
    }
    assert_eq!(input(&spans[5]), json!({"by": 2}));
    let (calls, spans) = record_future(async {
        assert_eq!(agent().by_value_async().await, "a!");
        agent().by_mut_ref(3).await
    });
    assert_eq!(calls, 3);
    assert_eq!(input(&spans[1]), json!({"by": 3}));
}

#[task]
fn reassigned(mut text: &str, mut list: Vec<u8>) -> usize {
    text = text.trim();
    list.push(1);
    text.len() + list.len()
}

#[task]
async fn reassigned_async(mut text: &str, mut count: usize) -> usize {
    let local = format!("{text}!");
    text = &local;
    tokio::task::yield_now().await;
    count += text.len();
    count
}

#[test]
fn case_09_a_mut_argument_may_change_and_borrow_from_an_async_body() {
    let ((), spans) = record(|| assert_eq!(reassigned(" ab", vec![]), 3));
    assert_eq!(input(only(&spans))["text"], " ab");
    let (length, spans) = record_future(reassigned_async("ab", 1));
    assert_eq!(length, 4);
    assert_eq!(input(only(&spans)), json!({"text": "ab", "count": 1}));
}

struct Point {
    x: i32,
    y: i32,
}

struct Marker;

#[task]
fn patterns(
    (a, mut b): (u8, u8),
    Point { x, y: renamed }: Point,
    _: Marker,
    &c: &u8,
    [d, ..]: [u8; 3],
    whole @ Point { .. }: Point,
    Marker: Marker,
    ref e: u8,
) -> i32 {
    b += 1;
    i32::from(a + b + c + d + *e) + x + renamed + whole.x + whole.y
}

#[test]
fn case_10_patterns_give_what_they_bind() {
    let point = || Point { x: 1, y: 2 };
    let (sum, spans) =
        record(|| patterns((1, 2), point(), Marker, &3, [4, 5, 6], point(), Marker, 7));
    assert_eq!(sum, 1 + 3 + 3 + 4 + 7 + 3 + 3);
    let whole = std::any::type_name::<Point>();
    assert_eq!(
        input(only(&spans)),
        json!({"a": 1, "b": 2, "x": 1, "renamed": 2, "c": 3, "d": 4, "whole": whole, "e": 7})
    );
}

#[task]
fn conditional(
    a: u8,
    #[cfg(any())] b: Missing,
    #[cfg(not(any()))] mut c: u8,
    #[cfg(any())] d: Missing,
) -> u8 {
    c += a;
    c
}

#[task]
async fn conditional_async(a: u8, #[cfg(any())] unused: Missing, #[cfg(not(any()))] c: u8) -> u8 {
    a + c
}

#[test]
fn case_11_a_parameter_may_be_conditional() {
    let (sum, spans) = record(|| conditional(1, 2));
    assert_eq!(sum, 3);
    assert_eq!(input(only(&spans)), json!({"a": 1, "c": 2}));
    assert_eq!(record_future(conditional_async(1, 2)).0, 3);
}

#[task]
fn odd_names(r#type: u8, span: u8, e: u8, x: u8, result: u8, __g: u8) -> u8 {
    r#type + span + e + x + result + __g
}

#[test]
fn case_12_names_that_are_ours_or_the_languages() {
    let (sum, spans) = record(|| odd_names(1, 2, 3, 4, 5, 6));
    assert_eq!(sum, 21);
    assert_eq!(
        input(only(&spans)),
        json!({"type": 1, "span": 2, "e": 3, "x": 4, "result": 5})
    );
}

#[task]
fn generic<'a, T, U: ?Sized, const N: usize>(
    list: [T; N],
    text: &'a U,
    make: impl Fn(&str) -> String,
    any: &dyn for<'b> Fn(&'b str) -> &'b str,
    borrowed: std::borrow::Cow<'_, str>,
) -> (usize, &'a str)
where
    T: Clone + Serialize,
    U: AsRef<str>,
    for<'b> &'b T: IntoIterator,
{
    let made = make(any(&borrowed));
    (list.len() + made.len(), text.as_ref())
}

#[task]
async fn generic_async<T: Serialize + Send, const N: usize>(
    list: [T; N],
    with: &(impl Fn() -> u8 + ?Sized),
) -> u8 {
    tokio::task::yield_now().await;
    with() + u8::try_from(list.len()).unwrap()
}

#[test]
fn case_21_generics_of_every_sort() {
    let (got, spans) = record(|| generic([vec![1]], "t", str::to_owned, &|text| text, "b".into()));
    assert_eq!(got, (2, "t"));
    // `[T; N]` is not `Serialize` for every `N`, and `T` is not `Debug`.
    let input = input(only(&spans));
    assert_eq!(input["borrowed"], "b");
    assert_eq!(record_future(generic_async([1], &|| 2)).0, 3);
}

#[derive(Clone)]
struct Noisy(&'static str, Arc<Mutex<Vec<&'static str>>>);
impl Drop for Noisy {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(self.0);
    }
}

mod bare {
    use super::Noisy;

    pub(super) fn sync(a: Noisy, b: Noisy, c: Noisy, early: bool) -> usize {
        let local = Noisy("local", a.1.clone());
        if early {
            return usize::from(early);
        }
        local.0.len() + a.0.len() + b.0.len() + c.0.len()
    }

    pub(super) async fn asynchronous(a: Noisy, b: Noisy, c: Noisy, wait: bool) -> usize {
        let local = Noisy("local", a.1.clone());
        if wait {
            tokio::task::yield_now().await;
        }
        local.0.len() + a.0.len() + b.0.len() + c.0.len()
    }
}

mod spanned {
    use super::{Noisy, task};

    #[task(skip(a, b, c))]
    pub(super) fn sync(a: Noisy, b: Noisy, c: Noisy, early: bool) -> usize {
        let local = Noisy("local", a.1.clone());
        if early {
            return usize::from(early);
        }
        local.0.len() + a.0.len() + b.0.len() + c.0.len()
    }

    #[task(skip(a, b, c))]
    pub(super) async fn asynchronous(a: Noisy, b: Noisy, c: Noisy, wait: bool) -> usize {
        let local = Noisy("local", a.1.clone());
        if wait {
            tokio::task::yield_now().await;
        }
        local.0.len() + a.0.len() + b.0.len() + c.0.len()
    }
}

/// The order in which `run` drops what it is given.
fn drops(run: impl FnOnce(Noisy, Noisy, Noisy)) -> Vec<&'static str> {
    let log = Arc::new(Mutex::new(Vec::new()));
    let noisy = |name| Noisy(name, Arc::clone(&log));
    run(noisy("a"), noisy("b"), noisy("c"));
    let log = log.lock().unwrap();
    log.clone()
}

/// Polls `future` once and drops it.
fn poll_once(future: impl Future) {
    use std::task::{Context, Waker};
    let mut future = Box::pin(future);
    let _ = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
}

#[test]
fn case_46_arguments_are_dropped_in_the_order_of_the_bare_function() {
    use futures::executor::block_on;
    for early in [false, true] {
        let expected = drops(|a, b, c| _ = bare::sync(a, b, c, early));
        assert_eq!(expected, ["local", "c", "b", "a"]);
        let (got, _) = record(|| drops(|a, b, c| _ = spanned::sync(a, b, c, early)));
        assert_eq!(got, expected);
    }
    for wait in [false, true] {
        let expected = drops(|a, b, c| _ = block_on(bare::asynchronous(a, b, c, wait)));
        let run = || drops(|a, b, c| _ = block_on(spanned::asynchronous(a, b, c, wait)));
        assert_eq!(record(run).0, expected);
        assert_eq!(run(), expected, "disabled");
    }
    let expected = drops(|a, b, c| poll_once(bare::asynchronous(a, b, c, true)));
    let (got, _) = record(|| drops(|a, b, c| poll_once(spanned::asynchronous(a, b, c, true))));
    assert_eq!(got, expected, "cancelled");
}

mod unused {
    use super::{Noisy, task};

    #[task(skip(a, c))]
    pub(super) fn sync(a: Noisy, _b: Noisy, c: Noisy) -> usize {
        a.0.len() + c.0.len()
    }

    #[task(skip(a, c))]
    pub(super) async fn asynchronous(a: Noisy, _b: Noisy, c: Noisy, wait: bool) -> usize {
        if wait {
            tokio::task::yield_now().await;
        }
        a.0.len() + c.0.len()
    }
}

#[test]
fn case_46_an_argument_whose_name_says_that_it_is_not_used_keeps_its_place() {
    use futures::executor::block_on;
    let expected = ["c", "b", "a"];
    assert_eq!(
        record(|| drops(|a, b, c| _ = unused::sync(a, b, c))).0,
        expected
    );
    for wait in [false, true] {
        let run = || drops(|a, b, c| _ = block_on(unused::asynchronous(a, b, c, wait)));
        assert_eq!(record(run).0, expected);
    }
    let run = || drops(|a, b, c| poll_once(unused::asynchronous(a, b, c, true)));
    assert_eq!(record(run).0, expected, "cancelled");
}

struct Pair {
    used: Noisy,
    rest: Noisy,
}

#[task(skip(pair))]
fn uses_one_field(pair: Pair) -> usize {
    let Pair {
        used: ref field, ..
    } = pair;
    let length = field.0.len();
    field.1.lock().unwrap().push("end of body");
    length + usize::from(pair.rest.0.is_empty())
}

#[task(skip(pair))]
fn moves_one_field(pair: Pair, log: &Mutex<Vec<&'static str>>) {
    drop(pair.used);
    log.lock().unwrap().push("end of body");
}

#[test]
fn case_47_a_parameter_moves_as_a_whole() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let pair = || Pair {
        used: Noisy("used", Arc::clone(&log)),
        rest: Noisy("rest", Arc::clone(&log)),
    };
    record(|| {
        uses_one_field(pair());
        moves_one_field(pair(), &log);
    });
    assert_eq!(
        *log.lock().unwrap(),
        ["end of body", "used", "rest", "used", "end of body", "rest"]
    );
}

#[workflow]
fn countdown(n: u8) -> u8 {
    if n == 0 { 0 } else { countdown(n - 1) + 1 }
}

#[workflow]
fn countdown_boxed(n: u8) -> Pin<Box<dyn Future<Output = u8> + Send>> {
    Box::pin(async move {
        if n == 0 {
            0
        } else {
            1 + countdown_boxed(n - 1).await
        }
    })
}

#[test]
fn case_48_recursion_nests() {
    let (n, spans) = record(|| countdown(3));
    assert_eq!((n, spans.len()), (3, 4));
    let (n, spans) = record_future(async { countdown_boxed(2).await });
    assert_eq!(n, 2);
    let tree = llmobs_tests::tree(&spans);
    assert_eq!(
        tree,
        "workflow countdown_boxed\n  workflow countdown_boxed\n    workflow countdown_boxed\n"
    );
}

#[tool(skip(api_key))]
fn secrets(api_key: &str, password: &str, query: &str) -> usize {
    api_key.len() + password.len() + query.len()
}

#[tool(input = query)]
fn chosen(api_key: &str, query: &str) -> usize {
    api_key.len() + query.len()
}

#[test]
fn case_57_secrets_stay_here() {
    let ((), spans) = record(|| {
        secrets("k1", "p1", "q1");
        chosen("k2", "q2");
    });
    assert_eq!(
        input(&spans[0]),
        json!({"password": "[redacted]", "query": "q1"})
    );
    assert_eq!(input(&spans[1]), json!("q2"));
    assert!(!format!("{spans:?}").contains("k1") && !format!("{spans:?}").contains("p1"));
}

#[task]
fn large(text: String) -> usize {
    text.len()
}

#[test]
fn case_56_a_large_argument_is_taken_once() {
    let ((), spans) = record(|| {
        large("x".repeat(100_000));
    });
    assert_eq!(input(only(&spans))["text"].as_str().unwrap().len(), 100_000);
    assert_eq!(output(only(&spans)), json!(100_000));
}

#[task]
fn no_arguments() -> Option<Value> {
    None
}

#[task]
fn underscored(_a: u8, _: u8) -> Option<Value> {
    Some(Value::Null)
}

#[test]
fn a_function_without_arguments_has_no_input() {
    let ((), spans) = record(|| {
        no_arguments();
        underscored(1, 2);
    });
    for span in &spans {
        assert_eq!(span["meta"].get("input"), None);
        assert_eq!(span["meta"].get("output"), None);
    }
}
