//! What functions give back.
#![allow(
    clippy::needless_lifetimes,
    clippy::ptr_arg,
    reason = "the shapes that people write, which clippy sees as they stand"
)]

use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::io;
use std::ops::ControlFlow;
use std::panic::Location;

use llmobs::{task, tool, workflow};
use serde_json::{Value, json};

use crate::support::{error, input, only, output, record, record_future};

#[workflow]
fn early(x: i32) -> i32 {
    if x < 0 {
        return -1;
    }
    x * 2
}

#[test]
fn case_01_an_early_return_is_seen() {
    let ((), spans) = record(|| assert_eq!((early(-5), early(4)), (-1, 8)));
    assert_eq!(
        [output(&spans[0]), output(&spans[1])],
        [json!(-1), json!(8)]
    );
}

#[task]
fn question(text: &str) -> Result<u8, Box<dyn Error>> {
    let number: u8 = text.parse()?;
    Ok(number)
}

#[test]
fn case_02_a_question_mark_is_seen_and_converts() {
    let ((), spans) = record(|| {
        assert_eq!(question("7").unwrap(), 7);
        assert!(question("x").is_err());
    });
    assert_eq!(output(&spans[0]), json!(7));
    assert_eq!(
        error(&spans[1]),
        (
            "core::num::error::ParseIntError",
            "invalid digit found in string"
        )
    );
}

#[task]
#[allow(deprecated, reason = "the warning that `stream` is missing")]
fn opaque(n: u8) -> impl Iterator<Item = u8> + Clone {
    if n == 0 {
        return (0..1).chain(0..0);
    }
    (0..n).chain(0..0)
}

#[task]
#[allow(deprecated, reason = "the warning that `stream` is missing")]
fn opaque_result(ok: bool) -> Result<impl Iterator<Item = impl Debug>, String> {
    if ok {
        Ok([1_u8, 2].into_iter())
    } else {
        Err("no".to_owned())
    }
}

#[test]
fn case_03_opaque_types_in_the_return_type() {
    let ((), spans) = record(|| {
        assert_eq!(opaque(3).count(), 3);
        assert_eq!(opaque_result(true).unwrap().count(), 2);
        assert!(opaque_result(false).is_err());
    });
    assert_eq!(error(&spans[2]), ("alloc::string::String", "no"));
}

#[task]
#[allow(deprecated, reason = "the warning that `stream` is missing")]
fn boxed_items(n: u8) -> Option<Box<dyn Iterator<Item = u8>>> {
    (n > 0).then(|| Box::new(0..n) as Box<dyn Iterator<Item = u8>>)
}

#[task]
#[allow(deprecated, reason = "the warning that `stream` is missing")]
async fn items_later(n: u8) -> impl Iterator<Item = u8> {
    0..n
}

#[test]
fn how_an_iterator_is_made_is_no_output() {
    let ((), spans) = record(|| {
        assert_eq!(opaque(3).count(), 3);
        assert_eq!(opaque_result(true).unwrap().count(), 2);
        assert_eq!(boxed_items(3).unwrap().count(), 3);
        assert_eq!(futures::executor::block_on(items_later(3)).count(), 3);
    });
    assert_eq!(spans.len(), 4);
    for span in &spans {
        assert_eq!(span["meta"].get("output"), None, "{span}");
    }
}

#[workflow]
fn never(message: &str) -> ! {
    panic!("{message}")
}

#[test]
fn case_04_a_function_that_never_returns() {
    let (result, spans) = record(|| std::panic::catch_unwind(|| never("the end")));
    assert!(result.is_err());
    assert_eq!(error(only(&spans)).0, "panic");
    assert_eq!(input(only(&spans)), json!({"message": "the end"}));
}

#[workflow]
fn nothing(log: &mut Vec<u8>) {
    log.push(1);
}

#[workflow]
fn unit(early: bool) -> () {
    if early {
        return;
    }
    nothing(&mut Vec::new());
}

#[test]
fn case_05_nothing_returned_is_no_output() {
    let ((), spans) = record(|| {
        nothing(&mut Vec::new());
        unit(true);
        unit(false);
    });
    assert!(
        spans
            .iter()
            .all(|span| span["meta"].get("output").is_none())
    );
}

struct Store {
    items: Vec<String>,
}

#[task]
fn first<'a>(items: &'a mut Vec<String>) -> &'a mut String {
    &mut items[0]
}

#[task]
fn find<'a>(items: &'a mut Vec<String>, key: &str) -> Result<&'a mut String, String> {
    let at = items.iter().position(|item| item == key).ok_or("none")?;
    Ok(&mut items[at])
}

impl Store {
    #[task]
    fn get<'a>(&'a mut self, at: usize) -> Result<&'a mut String, String> {
        if at >= self.items.len() {
            return Err(format!("{at} is too far"));
        }
        Ok(&mut self.items[at])
    }
}

#[test]
fn case_06_a_borrow_of_a_parameter_is_returned() {
    let mut items = vec!["a".to_owned()];
    let ((), spans) = record(|| {
        first(&mut items).push('b');
        find(&mut items, "ab").unwrap().push('c');
        assert!(find(&mut items, "x").is_err());
    });
    assert_eq!(items, ["abc"]);
    assert_eq!(input(&spans[1]), json!({"items": ["ab"], "key": "ab"}));
    assert_eq!(output(&spans[1]), json!("ab"));
}

#[test]
fn case_07_a_reborrow_of_self_with_an_early_error() {
    let mut store = Store {
        items: vec!["a".to_owned()],
    };
    let ((), spans) = record(|| {
        store.get(0).unwrap().push('b');
        assert!(store.get(7).is_err());
    });
    assert_eq!(store.items, ["ab"]);
    assert_eq!(input(&spans[0]), json!({"at": 0}));
    assert_eq!(error(&spans[1]).1, "7 is too far");
}

type Alias<T> = Result<T, io::Error>;

#[task]
fn aliased(ok: bool) -> Alias<u8> {
    if ok {
        Ok(1)
    } else {
        Err(io::Error::other("io"))
    }
}

#[task]
fn by_anyhow(text: &str) -> anyhow::Result<u8> {
    use anyhow::Context as _;
    text.parse::<u8>().context("reading a number")
}

#[test]
fn case_16_a_result_is_known_by_its_type_not_by_its_name() {
    let ((), spans) = record(|| {
        aliased(true).unwrap();
        aliased(false).unwrap_err();
        by_anyhow("x").unwrap_err();
    });
    assert_eq!(output(&spans[0]), json!(1));
    assert_eq!(error(&spans[1]), ("std::io::error::Error", "io"));
    let cause = "core::num::error::ParseIntError";
    assert_eq!(error(&spans[2]), (cause, "reading a number"));
    assert_eq!(
        spans[2]["meta"]["error"]["stack"],
        format!(
            "anyhow::Error: reading a number\nCaused by: {cause}: invalid digit found in string"
        )
    );
}

#[task]
fn nested(inner: bool) -> Result<Result<u8, String>, String> {
    Ok(if inner {
        Ok(1)
    } else {
        Err("inner".to_owned())
    })
}

#[task]
fn optional(some: bool) -> Option<Result<u8, String>> {
    some.then(|| Err("inside".to_owned()))
}

#[task]
fn flow(stop: bool) -> ControlFlow<u8, u16> {
    if stop {
        ControlFlow::Break(1)
    } else {
        ControlFlow::Continue(2)
    }
}

#[test]
fn case_17_only_the_outer_result_decides() {
    let ((), spans) = record(|| {
        let _ = nested(false);
        let _ = optional(true);
        let _ = optional(false);
        let _ = flow(true);
    });
    assert!(spans.iter().all(|span| span["status"] == "ok"));
    assert_eq!(output(&spans[0]), json!({"Err": "inner"}));
    assert_eq!(output(&spans[1]), json!({"Err": "inside"}));
    assert_eq!(output(&spans[2]), Value::Null);
    assert_eq!(output(&spans[3]), json!("Break(1)"));
}

struct OnlyDisplay;
impl Display for OnlyDisplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("displayed")
    }
}

#[derive(Debug)]
struct OnlyDebug;

struct Nothing;

struct Borrowed<'a>(&'a str);
impl Display for Borrowed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[task]
fn fails<E>(error: E) -> Result<(), E> {
    Err(error)
}

macro_rules! failing {
    ($($name:ident $ty:ty = $value:expr;)*) => {$(
        #[task]
        fn $name() -> Result<(), $ty> {
            Err($value)
        }
    )*};
}

failing! {
    displayed OnlyDisplay = OnlyDisplay;
    debugged OnlyDebug = OnlyDebug;
    unnamed Nothing = Nothing;
    boxed Box<dyn Error + Send + Sync> = "boxed".into();
}

#[task]
fn borrowing(text: &str) -> Result<u8, Borrowed<'_>> {
    Err(Borrowed(text))
}

#[test]
fn case_18_an_error_is_told_by_the_best_trait_that_it_has() {
    let ((), spans) = record(|| {
        let _ = displayed();
        let _ = debugged();
        let _ = unnamed();
        let _ = boxed();
        let _ = borrowing("short lived");
        let _ = fails(OnlyDisplay);
    });
    let told: Vec<_> = spans.iter().map(|span| error(span).1).collect();
    let nothing = std::any::type_name::<Nothing>();
    let generic = std::any::type_name::<OnlyDisplay>();
    assert_eq!(
        told,
        [
            "displayed",
            "OnlyDebug",
            nothing,
            "boxed",
            "short lived",
            generic
        ]
    );
    assert_eq!(error(&spans[1]).0, std::any::type_name::<OnlyDebug>());
}

#[task]
fn makes_debug() -> OnlyDebug {
    OnlyDebug
}

#[task]
fn makes_nothing() -> Nothing {
    Nothing
}

#[task]
fn maybe_nothing(some: bool) -> Option<Nothing> {
    some.then_some(Nothing)
}

#[test]
fn case_19_an_output_is_told_by_the_best_trait_that_it_has() {
    let ((), spans) = record(|| {
        makes_debug();
        makes_nothing();
        maybe_nothing(true);
        maybe_nothing(false);
    });
    let nothing = std::any::type_name::<Nothing>();
    let told: Vec<_> = spans.iter().map(output).collect();
    assert_eq!(
        told,
        [
            json!("OnlyDebug"),
            json!(nothing),
            json!(nothing),
            Value::Null
        ]
    );
}

#[task]
fn bare<T>(value: T) -> T {
    value
}

#[task]
fn bounded<T: Debug>(value: T) -> T {
    value
}

#[test]
fn case_20_a_generic_value_is_what_its_bounds_prove() {
    let ((), spans) = record(|| {
        bare(vec![1]);
        bounded(vec![1]);
    });
    let name = std::any::type_name::<Vec<i32>>();
    assert_eq!(input(&spans[0]), json!({"value": name}));
    assert_eq!(input(&spans[1]), json!({"value": "[1]"}));
    // The text of `Debug`, which happens to be JSON here.
    assert_eq!(spans[1]["meta"]["output"]["value"], "[1]");
}

#[tool]
fn panics(message: &'static str) -> u8 {
    assert!(message.is_empty(), "{message}");
    0
}

#[tool]
async fn panics_later(message: &'static str) -> u8 {
    tokio::task::yield_now().await;
    panics(message)
}

struct CallsWhenDropped;
impl Drop for CallsWhenDropped {
    fn drop(&mut self) {
        panics("");
    }
}

#[test]
fn case_33_a_panic_is_an_error_and_goes_on() {
    let (result, spans) = record(|| std::panic::catch_unwind(|| panics("sync")));
    let payload = result.unwrap_err();
    assert_eq!(payload.downcast_ref::<String>().unwrap(), "sync");
    assert_eq!(error(only(&spans)), ("panic", "sync"));
    assert_eq!(spans[0]["meta"]["error"]["stack"], "panic: sync");

    let ((), spans) = record(|| {
        let run = || futures::executor::block_on(panics_later("later"));
        std::panic::catch_unwind(run).unwrap_err();
        // The stack of spans is as it was: this one is a root.
        panics("");
    });
    assert_eq!(error(&spans[0]), ("panic", "later"));
    assert_eq!(error(&spans[1]), ("panic", "later"));
    assert_eq!(spans[2]["parent_id"], "undefined");
}

#[test]
fn case_33_a_span_of_a_destructor_is_no_error_while_a_panic_passes() {
    let ((), spans) = record(|| {
        let run = || {
            let _calls = CallsWhenDropped;
            panic!("outside of any span");
        };
        std::panic::catch_unwind(run).unwrap_err();
    });
    assert_eq!(only(&spans)["status"], "ok");
    assert_eq!(output(only(&spans)), json!(0));
}

#[track_caller]
#[task]
fn located(deep: bool) -> (u32, bool) {
    (Location::caller().line(), deep)
}

#[task]
#[track_caller]
fn located_early(early: bool) -> u32 {
    if early {
        return Location::caller().line();
    }
    Location::caller().line() + 1
}

#[test]
fn case_37_the_callers_line_stays_the_callers() {
    let ((), spans) = record(|| {
        assert_eq!(located(true), (line!(), true));
        assert_eq!(located_early(true), line!());
        let result = std::panic::catch_unwind(|| located_panic(1));
        assert!(result.is_err());
    });
    assert_eq!(output(&spans[0])[1], json!(true));
    assert_eq!(output(&spans[1]), json!(line!() - 5));
    let message = "called `Option::unwrap()` on a `None` value";
    assert_eq!(error(&spans[2]), ("panic", message));
}

#[task]
#[track_caller]
fn located_panic(x: u8) -> u8 {
    let nothing: Option<u8> = None.filter(|_: &u8| x == 0);
    nothing.unwrap()
}

#[workflow]
async fn async_never() -> ! {
    panic!("async end")
}

#[test]
fn case_04_an_async_function_that_never_returns() {
    let (result, spans) = record(|| {
        std::panic::catch_unwind(|| {
            futures::executor::block_on(async_never());
        })
    });
    assert!(result.is_err());
    assert_eq!(error(only(&spans)), ("panic", "async end"));
}

#[task]
#[allow(deprecated, reason = "the warning that `stream` is missing")]
async fn async_question(text: &str) -> Result<impl Iterator<Item = u8>, anyhow::Error> {
    let number: u8 = text.parse()?;
    Ok(0..number)
}

#[test]
fn case_02_a_question_mark_in_an_async_function() {
    let (count, spans) = record_future(async {
        assert!(async_question("x").await.is_err());
        async_question("3").await.unwrap().count()
    });
    assert_eq!(count, 3);
    assert_eq!(error(&spans[0]).0, "core::num::error::ParseIntError");
    assert_eq!(spans[1]["status"], "ok");
}

#[task]
fn mapped(n: u32) -> std::iter::Map<std::ops::Range<u32>, fn(u32) -> u32> {
    (0..n).map(|number| number + 1)
}

#[task]
fn perhaps(n: u32) -> Option<std::vec::IntoIter<u32>> {
    (n > 0).then(|| vec![n].into_iter())
}

#[task]
fn tried(n: u32) -> Result<std::vec::IntoIter<u32>, String> {
    Ok(vec![n].into_iter())
}

#[task]
fn generic<I: Iterator<Item = u32> + std::fmt::Debug>(items: I) -> I {
    items
}

/// It has a JSON form.
#[task]
fn range(n: u32) -> std::ops::Range<u32> {
    0..n
}

#[test]
fn an_iterator_of_a_named_type_is_no_output() {
    let ((), spans) = record(|| {
        assert_eq!(mapped(2).sum::<u32>(), 3);
        assert_eq!(perhaps(2).unwrap().sum::<u32>(), 2);
        assert!(perhaps(0).is_none());
        assert_eq!(tried(2).unwrap().sum::<u32>(), 2);
        assert_eq!(generic(vec![2].into_iter()).sum::<u32>(), 2);
        assert_eq!(range(2).sum::<u32>(), 1);
    });
    let (last, others) = spans.split_last().unwrap();
    for span in others {
        assert!(span["meta"]["output"].is_null(), "{span:#}");
        assert_eq!(span["status"], "ok");
    }
    assert_eq!(input(&others[4])["items"], "IntoIter([2])");
    assert_eq!(output(last), serde_json::json!({"start": 0, "end": 2}));
}
