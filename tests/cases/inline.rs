//! Functions whose body stands where it stood, because their callers' line must be seen in it, or
//! because an attribute cannot tell whether they are a trait's: whatever leaves them is told all the
//! same, and so is the message of a panic.

use std::cell::Cell;
use std::collections::HashMap;
use std::future::ready;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;

use llmobs::{task, tool, workflow};
use serde_json::{Value, json};

use crate::support::{only, output, record};

#[derive(Debug, thiserror::Error, PartialEq)]
enum Failed {
    #[error("no number: {0}")]
    Number(#[from] std::num::ParseIntError),
    #[error("{0} is too small")]
    Small(u32),
    #[error("made at {0}")]
    Made(u32),
}

/// An error that knows where it was made.
struct Made;

impl From<Made> for Failed {
    #[track_caller]
    fn from(_: Made) -> Self {
        Self::Made(line())
    }
}

#[track_caller]
fn line() -> u32 {
    Location::caller().line()
}

fn error(span: &Value) -> (&str, &str) {
    assert_eq!(span["status"], "error", "{span:#}");
    let error = &span["meta"]["error"];
    (
        error["type"].as_str().unwrap(),
        error["message"].as_str().unwrap(),
    )
}

fn name<T>() -> &'static str {
    std::any::type_name::<T>()
}

macro_rules! refuse {
    ($number:expr, $least:expr) => {
        if $number < $least {
            return Err(Failed::Small($number));
        }
    };
}

macro_rules! pass {
    ($number:expr) => {
        if $number == 7 {
            return Ok($number);
        }
    };
}

struct Reader<Item> {
    least: Item,
}

trait Reads {
    type Found;
    fn read(&self, text: &str) -> Result<Self::Found, Failed>;
    fn read_in_a_macro(&self, text: &str) -> Result<u32, Failed>;
}

impl Reads for Reader<u32> {
    type Found = u32;

    #[tool]
    #[track_caller]
    fn read(&self, text: &str) -> Result<Self::Found, Failed> {
        if text == "seven" {
            return Ok(7);
        }
        let number: u32 = if let Some(text) = text.strip_prefix('+') {
            text.parse()?
        } else {
            text.parse().map_err(Failed::Number)?
        };
        match number {
            0 => return Err(Failed::Small(0)),
            1 => Err(Made)?,
            number if number < self.least => return Err(Failed::Small(number)),
            _ => {}
        }
        let unasked = || -> Result<u32, Failed> {
            if number > 0 {
                return Ok(number);
            }
            Err(Failed::Small(number))
        };
        Ok(unasked()? + format!("{}", "1".parse::<u32>()?).len() as u32 - 1)
    }

    #[tool]
    #[track_caller]
    fn read_in_a_macro(&self, text: &str) -> Result<u32, Failed> {
        let number = text.parse()?;
        pass!(number);
        refuse!(number, self.least);
        Ok(number)
    }
}

#[test]
fn case_37_each_way_out_of_a_traits_method_is_told_of() {
    let reader = Reader { least: 3 };
    let (made, spans) = record(|| {
        assert_eq!(reader.read("seven"), Ok(7));
        assert_eq!(reader.read("8"), Ok(8));
        for text in ["x", "+y", "0", "2"] {
            reader.read(text).unwrap_err();
        }
        (reader.read("1"), line!())
    });
    assert_eq!(made.0, Err(Failed::Made(made.1)));
    assert_eq!((output(&spans[0]), output(&spans[1])), (json!(7), json!(8)));
    let number = "no number: invalid digit found in string";
    assert_eq!(error(&spans[2]), (name::<Failed>(), number));
    assert_eq!(error(&spans[3]), (name::<Failed>(), number));
    assert_eq!(error(&spans[4]).1, "0 is too small");
    assert_eq!(error(&spans[5]).1, "2 is too small");
    assert_eq!(error(&spans[6]).1, format!("made at {}", made.1));
}

#[test]
fn case_37_what_leaves_out_of_a_macro_is_never_told_as_fine() {
    let reader = Reader { least: 3 };
    let ((), spans) = record(|| {
        reader.read_in_a_macro("x").unwrap_err();
        reader.read_in_a_macro("2").unwrap_err();
        assert_eq!(reader.read_in_a_macro("7"), Ok(7));
        assert_eq!(reader.read_in_a_macro("8"), Ok(8));
    });
    assert!(error(&spans[0]).1.starts_with("no number"));
    for span in &spans[1..3] {
        let (kind, message) = error(span);
        assert_eq!(kind, name::<Failed>());
        assert!(message.contains("out of a macro"), "{message}");
    }
    assert_eq!(output(&spans[3]), json!(8));
}

impl<Item> Reader<Item>
where
    Item: std::str::FromStr<Err = std::num::ParseIntError> + Copy + PartialOrd,
{
    /// Without `self`, and nothing in it says `Self`.
    #[task]
    #[track_caller]
    pub fn items(text: &str, more: &'static str) -> Result<Vec<Item>, Failed> {
        let mut items: Vec<Item> = Vec::new();
        for text in text.split(' ') {
            items.push(text.parse::<Item>()?);
        }
        anyhow::Context::context(Some(more), "nothing more").map_err(|_| Failed::Small(0))?;
        refuse!(items.len() as u32, 1);
        Ok(items)
    }

    #[task]
    #[track_caller]
    fn maker(number: u32) -> Result<impl Fn(&str) -> Option<Item>, Failed> {
        refuse!(number, 2);
        if number == 2 {
            Err(Failed::Small(line()))
        } else {
            Ok(|text: &str| text.parse().ok())
        }
    }

    #[task]
    fn first(&self, items: HashMap<u8, Item>) -> Option<impl Fn(&Item) -> bool> {
        let first = *items.get(&0)?;
        Some(move |item: &Item| *item == first)
    }
}

#[test]
fn case_37_a_function_of_an_impl_may_name_its_parameters() {
    let ((), spans) = record(|| {
        assert_eq!(Reader::<u8>::items("1 2", ""), Ok(vec![1, 2]));
        assert!(Reader::<u8>::items("1 x", "").is_err());
        assert_eq!(Reader::<u8>::maker(3).unwrap()("5"), Some(5));
        assert!(Reader::<u8>::maker(2).is_err());
        assert!(Reader::<u8>::maker(1).is_err());
        let reader = Reader { least: 1_u8 };
        assert!(reader.first(HashMap::new()).is_none());
        assert!(reader.first(HashMap::from([(0, 1)])).unwrap()(&1));
    });
    assert_eq!(spans[0]["status"], "ok");
    assert!(error(&spans[1]).1.starts_with("no number"));
    assert!(error(&spans[3]).1.ends_with("is too small"));
    assert!(error(&spans[4]).1.contains("out of a macro"));
    for at in [0, 2, 5, 6] {
        assert_eq!(spans[at]["status"], "ok");
    }
}

trait Waits {
    fn wait(&self, text: &str) -> impl Future<Output = Result<u32, Failed>>;
    fn wait_boxed(&self, text: &str) -> Pin<Box<dyn Future<Output = Result<u32, Failed>>>>;
    fn items(&self, text: &str) -> Result<impl Iterator<Item = u32>, Failed>;
}

impl Waits for Reader<u32> {
    #[tool]
    #[track_caller]
    fn wait(&self, text: &str) -> impl Future<Output = Result<u32, Failed>> {
        let Ok(number) = text.parse::<u32>() else {
            return ready(Err(Failed::Small(line())));
        };
        ready(Ok(number + line()))
    }

    #[tool]
    #[track_caller]
    fn wait_boxed(&self, text: &str) -> Pin<Box<dyn Future<Output = Result<u32, Failed>>>> {
        if text.is_empty() {
            return Box::pin(ready(Err(Failed::Small(line()))));
        }
        let (line, text) = (line(), text.to_owned());
        Box::pin(async move { Ok(text.parse::<u32>()? + line) })
    }

    #[tool(stream)]
    #[track_caller]
    fn items(&self, text: &str) -> Result<impl Iterator<Item = u32>, Failed> {
        let number = text.parse()?;
        let line = line();
        if number == 0 {
            return Err(Failed::Small(line));
        }
        if number == 1 {
            return Ok(vec![line].into_iter());
        }
        Ok(vec![line; number].into_iter())
    }
}

#[test]
fn case_37_futures_and_streams_of_a_traits_method_may_leave_early() {
    let reader = Reader { least: 0 };
    let ((), spans) = record(|| {
        use futures::FutureExt as _;
        let (waits, at) = (reader.wait("1"), line!());
        assert_eq!(waits.now_or_never(), Some(Ok(1 + at)));
        let (waits, at) = (reader.wait("x"), line!());
        assert_eq!(waits.now_or_never(), Some(Err(Failed::Small(at))));
        let (waits, at) = (reader.wait_boxed("1"), line!());
        assert_eq!(waits.now_or_never(), Some(Ok(1 + at)));
        let (waits, at) = (reader.wait_boxed(""), line!());
        assert_eq!(waits.now_or_never(), Some(Err(Failed::Small(at))));
        assert!(reader.items("x").is_err());
        assert!(reader.items("0").is_err());
        let items = (reader.items("1").unwrap(), reader.items("2").unwrap());
        assert_eq!(items.0.chain(items.1).collect::<Vec<_>>(), [line!() - 1; 3]);
    });
    assert!(output(&spans[0]).is_u64() && output(&spans[2]).is_u64());
    for at in [1, 3, 5] {
        assert!(error(&spans[at]).1.ends_with("is too small"));
    }
    assert!(error(&spans[4]).1.starts_with("no number"));
    let lengths = spans[6..]
        .iter()
        .map(|span| output(span).as_array().map(Vec::len));
    assert_eq!(lengths.collect::<Vec<_>>(), [Some(1), Some(2)]);
}

/// Values whose borrows live as long as the statement that they stand in.
struct Shelf(std::sync::Mutex<Vec<Option<String>>>);

impl Shelf {
    #[task]
    #[track_caller]
    fn shortest(&self) -> Option<usize> {
        let first = self.0.lock().ok()?.first()?.as_ref()?.len();
        if first == 0 {
            return None;
        }
        for text in self.0.lock().ok()?.iter() {
            let Some(text) = text else { return Some(first) };
            if text.len() < self.0.try_lock().map_or(first, |texts| texts.len()) {
                return Some(text.len());
            }
        }
        Some(first)
    }

    #[task(capture_output = false)]
    #[track_caller]
    fn boxed(&self, text: &str) -> Result<Box<dyn Fn() -> usize>, Box<dyn std::error::Error>> {
        let length: usize = text.parse()?;
        if length == 0 {
            return Err("nothing".into());
        }
        if length == 1 {
            return Ok(Box::new(|| 1));
        }
        Ok(Box::new(move || length))
    }
}

#[test]
fn case_37_borrows_and_coercions_at_the_ways_out_stay_what_they_are() {
    let shelf = Shelf(std::sync::Mutex::new(vec![Some("ab".to_owned()), None]));
    let ((), spans) = record(|| {
        assert_eq!(shelf.shortest(), Some(2));
        shelf.boxed("x").err().unwrap();
        shelf.boxed("0").err().unwrap();
        assert_eq!(
            (shelf.boxed("1").unwrap()(), shelf.boxed("2").unwrap()()),
            (1, 2)
        );
    });
    assert_eq!(output(&spans[0]), json!(2));
    assert_eq!(error(&spans[1]).1, "invalid digit found in string");
    assert_eq!(error(&spans[2]).1, "nothing");
    assert_eq!(spans[3]["status"], "ok");
}

#[task]
#[track_caller]
fn panics(text: &str) -> usize {
    assert!(!text.is_empty(), "nothing at line {}", line());
    text.len()
}

#[task]
#[track_caller]
fn panics_for_ever(text: &str) -> ! {
    panic!("never: {text}")
}

#[task]
#[track_caller]
fn panics_in_a_function(text: &str) -> anyhow::Result<usize> {
    anyhow::ensure!(text != "x", "refused");
    Ok(text.parse::<usize>().unwrap())
}

#[task(stream)]
#[track_caller]
fn panics_before_a_stream(text: &str) -> impl Iterator<Item = char> {
    text.chars().nth(3).unwrap();
    text.chars()
}

impl Shelf {
    #[workflow]
    #[track_caller]
    fn panics(&self, at: usize) -> Option<String> {
        self.0.lock().unwrap()[at].clone()
    }

    #[workflow]
    fn function(&self, at: usize) -> impl Fn(&str) -> bool + use<> {
        let text = self.0.lock().unwrap()[at].clone();
        move |other| text.as_deref() == Some(other)
    }
}

impl std::ops::Index<usize> for Shelf {
    type Output = u8;

    #[task]
    fn index(&self, at: usize) -> &u8 {
        [1, 2].get(at).expect("there are two")
    }
}

fn caught<R>(run: impl FnOnce() -> R) {
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
}

#[test]
fn case_37_a_panic_below_track_caller_tells_its_message() {
    let at = Cell::new(0);
    let ((), spans) = record(|| {
        caught(|| (at.set(line!()), panics("")));
        caught(|| panics_for_ever("x"));
        caught(|| panics_in_a_function("y"));
        caught(|| panics_before_a_stream("z"));
        let shelf = || Shelf(std::sync::Mutex::new(Vec::new()));
        caught(|| shelf().panics(1));
        caught(|| shelf().function(2));
        caught(|| shelf()[3]);
    });
    let told = [
        format!("nothing at line {}", at.get()),
        "never: x".to_owned(),
        "called `Result::unwrap()` on an `Err` value: ParseIntError { kind: InvalidDigit }"
            .to_owned(),
        "called `Option::unwrap()` on a `None` value".to_owned(),
        "index out of bounds: the len is 0 but the index is 1".to_owned(),
        "index out of bounds: the len is 0 but the index is 2".to_owned(),
        "there are two".to_owned(),
    ];
    for (span, message) in spans.iter().zip(&told) {
        assert_eq!(error(span), ("panic", &**message));
    }
    assert_eq!(spans.len(), told.len());
}

#[task]
#[track_caller]
fn catches_and_resumes(other: &str) {
    caught(|| panic!("caught"));
    if !other.is_empty() {
        resume_unwind(Box::new(other.to_owned()));
    }
}

#[task]
fn resumes(other: &str) {
    resume_unwind(Box::new(other.to_owned()));
}

#[task]
#[track_caller]
fn calls_what_resumes(other: &str) {
    caught(|| panic!("caught"));
    resumes(other);
}

#[test]
fn case_37_the_message_of_another_panic_is_not_told() {
    let ((), spans) = record(|| {
        catches_and_resumes("");
        caught(|| calls_what_resumes("resumed"));
    });
    assert_eq!(spans[0]["status"], "ok");
    assert_eq!(error(&spans[1]), ("panic", "resumed"));
    let (result, spans) = record(|| catch_unwind(|| panics("fine")));
    assert_eq!(result.unwrap(), 4);
    assert_eq!(only(&spans)["status"], "ok");
}

/// With a bound that names another error than the operand's.
#[task]
#[track_caller]
fn of_any_error<E: From<std::io::Error> + std::fmt::Debug>(read: Result<u8, E>) -> Result<u8, E> {
    let read = read?;
    Ok(read + 1)
}

trait Fetches {
    type Error: From<std::io::Error> + std::fmt::Debug;
    fn fetch(&self) -> Result<u8, Self::Error>;
}

struct Doubled<R>(R);

impl<R: Fetches> Fetches for Doubled<R> {
    type Error = R::Error;

    #[task]
    #[track_caller]
    fn fetch(&self) -> Result<u8, R::Error> {
        let once = self.0.fetch()?;
        if once == 0 {
            Err(std::io::Error::other("nothing"))?;
        }
        Ok(once * 2)
    }
}

impl Fetches for Result<u8, &'static str> {
    type Error = std::io::Error;

    fn fetch(&self) -> Result<u8, std::io::Error> {
        self.map_err(std::io::Error::other)
    }
}

#[test]
fn case_37_a_bound_of_the_users_says_nothing_of_what_is_tried() {
    let (read, spans) = record(|| of_any_error::<std::io::Error>(Err(std::io::Error::other("e"))));
    assert_eq!(read.unwrap_err().to_string(), "e");
    // `Debug` is all that is known of it.
    let printed = r#"Custom { kind: Other, error: "e" }"#;
    assert_eq!(error(only(&spans)), ("std::io::error::Error", printed));
    let (read, spans) = record(|| Doubled(Ok(2)).fetch());
    assert_eq!((read.unwrap(), &only(&spans)["status"]), (4, &json!("ok")));
    for (inner, message) in [(Err("inner"), "inner"), (Ok(0), "nothing")] {
        let (read, spans) = record(|| Doubled(inner).fetch());
        assert_eq!(read.unwrap_err().to_string(), message);
        assert!(error(only(&spans)).1.contains(message), "{spans:#?}");
    }
}
