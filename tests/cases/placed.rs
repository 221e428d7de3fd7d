//! Functions whose body must not stand in a closure: below `#[track_caller]`, and where an
//! `impl Fn` comes back. Their errors are errors of the span all the same, and the line that they
//! see is their caller's.

use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;

use llmobs::{agent, task, tool, workflow};
use serde_json::{Value, json};

use crate::support::{input, only, output, record};

type Fails<T> = Result<(u32, T), std::num::ParseIntError>;

fn error(span: &Value) -> (&str, &str) {
    assert_eq!(span["status"], "error", "{span:#}");
    let error = &span["meta"]["error"];
    (
        error["type"].as_str().unwrap(),
        error["message"].as_str().unwrap(),
    )
}

/// The line of the caller, for what calls something located in its turn.
#[track_caller]
fn line() -> u32 {
    Location::caller().line()
}

#[track_caller]
#[task]
fn question(text: &str) -> Fails<u8> {
    let number = text.parse()?;
    Ok((line(), number))
}

#[task]
#[track_caller]
fn returned(text: &str) -> Result<u32, String> {
    if text.is_empty() {
        return Err("empty".to_owned());
    }
    if text == "early" {
        return Ok(line());
    }
    Ok(line() + 1)
}

#[task]
#[track_caller]
fn bails(text: &str) -> anyhow::Result<u32> {
    anyhow::ensure!(!text.is_empty(), "nothing in {text:?}");
    Ok(line())
}

#[tool(skip(make))]
#[track_caller]
fn generic<'a, T, const N: usize>(
    mut items: [T; N],
    make: impl Fn(&T) -> Option<&'a str>,
    _: u8,
    _unused: &str,
) -> Option<(u32, &'a str)>
where
    T: Ord + std::fmt::Debug,
{
    items.sort();
    let text = make(items.first()?)?;
    Some((line(), text))
}

#[task]
#[track_caller]
fn chooses<T: From<u8>>(early: bool) -> (u32, T) {
    if early {
        return (line(), T::from(1));
    }
    (line(), T::from(2))
}

/// # Safety
///
/// The pointer points to a number.
#[task(capture_input = false)]
#[track_caller]
unsafe fn pointed(pointer: *const u8) -> Result<u32, &'static str> {
    // SAFETY: as above.
    let value = unsafe { *pointer };
    if value == 0 {
        return Err("zero");
    }
    Ok(line())
}

#[test]
fn case_37_an_error_that_leaves_early_is_an_error_and_the_line_is_the_callers() {
    let ((), spans) = record(|| {
        question("x").unwrap_err();
        assert_eq!(question("7"), Ok((line!(), 7)));
        returned("").unwrap_err();
        assert_eq!(returned("early"), Ok(line!()));
        assert_eq!(returned("late"), Ok(line!() + 1));
        bails("").unwrap_err();
        assert_eq!(bails("x").unwrap(), line!());
    });
    assert_eq!(
        error(&spans[0]),
        (
            "core::num::error::ParseIntError",
            "invalid digit found in string"
        )
    );
    assert_eq!(input(&spans[0]), json!({"text": "x"}));
    assert_eq!(output(&spans[1])[1], 7);
    assert_eq!(error(&spans[2]), ("alloc::string::String", "empty"));
    assert!(output(&spans[3]).is_u64() && output(&spans[4]).is_u64());
    assert_eq!(error(&spans[5]).1, "nothing in \"\"");
    assert_eq!(spans[6]["status"], "ok");
}

#[test]
fn case_37_generics_patterns_and_abis_stay_what_they_are() {
    let ((), spans) = record(|| {
        let made = |number: &u8| (*number > 0).then_some("made");
        assert_eq!(generic([3, 1, 2], made, 0, ""), Some((line!(), "made")));
        assert_eq!(generic([0; 1], made, 0, ""), None);
        assert_eq!(chooses::<u16>(true), (line!(), 1));
        let zero = 0;
        // SAFETY: it points to a number.
        assert_eq!(unsafe { pointed(&raw const zero) }, Err("zero"));
        // SAFETY: as above.
        assert_eq!(unsafe { pointed(&1) }, Ok(line!()));
    });
    assert_eq!(input(&spans[0]), json!({"items": "[3, 1, 2]"}));
    assert_eq!(output(&spans[0])[1], "made");
    assert_eq!(output(&spans[1]), Value::Null);
    assert!(output(&spans[2]).is_string());
    assert_eq!(error(&spans[3]), ("&str", "zero"));
}

#[derive(Debug, PartialEq)]
struct Parser<T> {
    seen: Vec<T>,
}

impl<T> Parser<T>
where
    T: std::str::FromStr<Err = std::num::ParseIntError> + Copy + serde::Serialize,
{
    #[workflow]
    #[track_caller]
    pub fn new(text: &str) -> Result<Self, T::Err> {
        let seen = vec![text.parse()?];
        Ok(Self { seen })
    }

    #[workflow(tags(seen = self.seen.len()))]
    #[track_caller]
    pub(crate) fn parse(&mut self, text: &str) -> Fails<T> {
        let parsed = text.parse()?;
        self.seen.push(parsed);
        Ok((line(), parsed))
    }

    #[track_caller]
    #[workflow]
    pub fn pinned<'a>(self: Pin<&'a mut Self>, text: &'a str) -> Fails<&'a str>
    where
        T: Unpin,
    {
        let parsed = text.parse()?;
        self.get_mut().seen.push(parsed);
        Ok((line(), text))
    }

    #[track_caller]
    #[workflow]
    pub fn into_last(mut self) -> Option<(u32, T)> {
        let last = self.seen.pop()?;
        Some((line(), last))
    }

    #[track_caller]
    #[workflow]
    pub fn counted(
        self: Rc<Self>,
        more: impl Into<usize>,
    ) -> Result<impl Fn(usize) -> usize, String> {
        let more = more.into();
        if more == 0 {
            return Err("nothing".to_owned());
        }
        let length = self.seen.len();
        Ok(move |by| by * (length + more))
    }

    /// It may be a trait's, so that its body stands where it stood.
    #[agent]
    #[track_caller]
    fn private(&self, text: &str) -> Fails<T> {
        if self.seen.is_empty() {
            return text.parse().map(|parsed| (0, parsed));
        }
        Ok((line(), text.parse()?))
    }

    #[agent]
    #[track_caller]
    fn private_error(&self, text: &str) -> Fails<T> {
        Ok((line(), text.parse()?))
    }
}

#[test]
fn case_37_methods_see_their_callers_line_and_their_errors_are_errors() {
    let ((), spans) = record(|| {
        assert!(Parser::<u8>::new("x").is_err());
        let mut parser = Parser::<u8>::new("1").unwrap();
        assert!(parser.parse("y").is_err());
        assert_eq!(parser.parse("2"), Ok((line!(), 2)));
        assert!(Pin::new(&mut parser).pinned("z").is_err());
        assert_eq!(Pin::new(&mut parser).pinned("3"), Ok((line!(), "3")));
        assert_eq!(parser.into_last(), Some((line!(), 3)));
        let parser = Rc::new(Parser { seen: vec![1_u8] });
        assert!(Rc::clone(&parser).counted(0_usize).is_err());
        assert_eq!(parser.counted(1_usize).unwrap()(3), 6);
    });
    let parse = (
        "core::num::error::ParseIntError",
        "invalid digit found in string",
    );
    assert_eq!(error(&spans[0]), parse);
    assert_eq!(spans[1]["status"], "ok");
    assert_eq!(error(&spans[2]), parse);
    assert_eq!(input(&spans[2]), json!({"text": "y"}));
    assert_eq!(output(&spans[3])[1], 2);
    assert_eq!(error(&spans[4]), parse);
    assert_eq!(output(&spans[5])[1], "3");
    assert_eq!(output(&spans[6])[1], 3);
    assert_eq!(error(&spans[7]), ("alloc::string::String", "nothing"));
    assert_eq!(spans[8]["status"], "ok");
}

#[test]
fn case_37_a_method_that_may_be_a_traits_tells_how_it_failed() {
    let parser = Parser { seen: vec![1_u8] };
    let ((), spans) = record(|| {
        assert!(parser.private_error("x").is_err());
        assert_eq!(parser.private_error("3"), Ok((line!(), 3)));
        assert_eq!(parser.private("4"), Ok((line!(), 4)));
    });
    assert_eq!(
        error(&spans[0]),
        (
            "core::num::error::ParseIntError",
            "invalid digit found in string"
        )
    );
    assert_eq!(output(&spans[1])[1], 3);
    assert_eq!(output(&spans[2])[1], 4);
}

trait Asks {
    type Answer;
    fn ask(&self, text: &str) -> Result<Self::Answer, String>;

    #[tool]
    #[track_caller]
    fn ask_twice(&self, text: &str) -> Result<(u32, Self::Answer), String>
    where
        Self: Sized,
    {
        self.ask(text)?;
        Ok((line(), self.ask(text)?))
    }
}

impl Asks for Parser<u8> {
    type Answer = u8;

    #[tool]
    #[track_caller]
    fn ask(&self, text: &str) -> Result<Self::Answer, String> {
        if text.is_empty() {
            return Err("nothing to ask".to_owned());
        }
        text.parse().map_err(|_| text.to_owned())
    }
}

#[test]
fn case_37_a_traits_method_that_leaves_with_an_error_is_an_error() {
    let parser = Parser { seen: Vec::new() };
    let ((), spans) = record(|| {
        parser.ask("").unwrap_err();
        parser.ask("x").unwrap_err();
        parser.ask_twice("y").unwrap_err();
        assert_eq!(parser.ask_twice("5"), Ok((line!(), 5)));
    });
    assert_eq!(error(&spans[0]).0, "alloc::string::String");
    assert_eq!(error(&spans[1]), ("alloc::string::String", "x"));
    assert_eq!(error(&spans[2]).0, "alloc::string::String");
    assert_eq!(error(&spans[3]).1, "y");
    assert_eq!(spans[4]["status"], "ok");
}

/// A shelf that knows who looks at it.
struct Shelf(std::cell::Cell<u32>, [u8; 2]);

impl std::ops::Index<usize> for Shelf {
    type Output = u8;

    #[task]
    fn index(&self, at: usize) -> &u8 {
        self.0.set(line());
        if at == 0 {
            return &self.1[0];
        }
        &self.1[1]
    }
}

#[test]
fn case_37_an_index_sees_its_callers_line_as_its_trait_says() {
    let ((), spans) = record(|| {
        let shelf = Shelf(std::cell::Cell::new(0), [7, 8]);
        assert_eq!((shelf[0], shelf.0.get()), (7, line!()));
        assert_eq!((shelf[1], shelf.0.get()), (8, line!()));
    });
    assert!(spans.iter().all(|span| span["status"] == "ok"));
    assert_eq!(output(&spans[1]), json!(8));
}

#[tool]
fn gives_up(why: &str) -> ! {
    panic!("{why}")
}

#[tool]
fn doubles(by: u8) -> impl Fn(&u8) -> u8 {
    assert!(by > 0, "by nothing");
    move |number| number * by
}

#[tool]
fn doubles_or_not(by: u8) -> Result<impl Fn(&u8) -> u8, String> {
    if by == 0 {
        return Err("by nothing".to_owned());
    }
    Ok(move |number: &u8| number * by)
}

impl Parser<u8> {
    #[tool]
    fn adds(&self) -> impl Fn(&u8) -> u8 {
        let more = self.seen[0];
        move |number| number + more
    }

    #[tool]
    pub fn subtracts(&self) -> impl FnOnce(&u8) -> u8 + use<> {
        let less = self.seen[0];
        move |number| number - less
    }
}

#[test]
fn case_03_what_never_returns_and_what_returns_a_function_tell_their_panics() {
    let ((), spans) = record(|| {
        std::panic::catch_unwind(|| gives_up("no more")).unwrap_err();
        assert!(std::panic::catch_unwind(|| doubles(0)).is_err());
        assert_eq!(doubles(2)(&3), 6);
        assert!(doubles_or_not(0).is_err());
        assert_eq!(doubles_or_not(3).unwrap()(&3), 9);
        let parser = Parser { seen: vec![1] };
        assert_eq!((parser.adds()(&1), parser.subtracts()(&1)), (2, 0));
        let empty = Parser { seen: Vec::new() };
        let subtracts = std::panic::AssertUnwindSafe(|| empty.subtracts());
        assert!(std::panic::catch_unwind(subtracts).is_err());
    });
    assert_eq!(error(&spans[0]), ("panic", "no more"));
    assert_eq!(error(&spans[1]), ("panic", "by nothing"));
    assert_eq!(error(&spans[3]), ("alloc::string::String", "by nothing"));
    let (kind, message) = error(&spans[7]);
    assert_eq!(kind, "panic");
    assert!(message.contains("out of bounds"), "{message}");
}

#[tool]
#[track_caller]
fn later(text: &str) -> Pin<Box<dyn Future<Output = Fails<u8>> + Send>> {
    let line = line();
    let parsed = text.parse();
    Box::pin(async move { Ok((line, parsed?)) })
}

#[tool]
#[track_caller]
fn later_or_now(text: &str) -> impl Future<Output = Fails<u8>> + Send + use<> {
    let line = line();
    let Ok(parsed) = text.parse() else {
        return std::future::ready(text.parse().map(|parsed| (line, parsed)));
    };
    std::future::ready(Ok((line, parsed)))
}

fn run<F: Future>(future: F) -> F::Output {
    futures::executor::block_on(future)
}

#[test]
fn case_37_a_function_that_returns_a_future_sees_its_callers_line() {
    let ((), spans) = record(|| {
        assert_eq!(run(later("1")), Ok((line!(), 1)));
        run(later("x")).unwrap_err();
        assert_eq!(run(later_or_now("2")), Ok((line!(), 2)));
        run(later_or_now("y")).unwrap_err();
    });
    assert_eq!(output(&spans[0])[1], 1);
    assert_eq!(error(&spans[1]).0, "core::num::error::ParseIntError");
    assert_eq!(output(&spans[2])[1], 2);
    assert_eq!(error(&spans[3]).0, "core::num::error::ParseIntError");
}

#[task(stream)]
#[track_caller]
fn counts(to: u8) -> Option<impl Iterator<Item = u32>> {
    if to == 0 {
        return None;
    }
    let line = line();
    Some((0..to).map(move |_| line))
}

#[test]
fn case_37_a_stream_below_track_caller_may_leave_early() {
    let (lines, spans) = record(|| (counts(2).unwrap().collect::<Vec<_>>(), line!()));
    assert_eq!(lines.0, [lines.1, lines.1]);
    assert_eq!(output(only(&spans)), json!([lines.1, lines.1]));
    let (none, spans) = record(|| counts(0).is_none());
    assert!(none);
    assert_eq!(only(&spans)["status"], "ok");
}
