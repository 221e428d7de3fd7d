// Compiled twice: once as it stands, once with each line that begins with `#[llmobs::` made a
// comment. Not a module of the tests; see `main.rs`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{self, Display};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Mutex;

// What rustc has something to say about.

#[llmobs::task]
fn never_called() {}

#[llmobs::task]
async fn never_called_async(a: u8) -> u8 {
    a
}

#[llmobs::workflow]
pub fn unused_argument(a: u8, b: u8) -> u8 {
    a
}

#[llmobs::llm(skip(b))]
pub async fn unused_argument_async(a: u8, b: u8) -> u8 {
    a
}

#[llmobs::task]
pub fn unused_variable(a: u8) -> u8 {
    let c = a;
    a
}

#[llmobs::task]
pub fn needless_mut(mut a: u8) -> u8 {
    a
}

#[llmobs::task]
pub async fn needless_mut_async(a: u8) -> u8 {
    let mut b = a;
    b
}

#[llmobs::tool]
pub fn unused_result(path: &str) {
    std::fs::remove_file(path);
}

#[llmobs::tool]
pub async fn unused_result_async(path: &str) -> usize {
    std::fs::remove_file(path);
    path.len()
}

#[llmobs::task]
pub async fn unused_future(a: u8) -> u8 {
    std::future::ready(a);
    a
}

#[llmobs::task]
pub fn unreachable_code(a: u8) -> u8 {
    return a;
    a + 1
}

#[llmobs::task]
pub fn unused_assignment(a: u8) -> u8 {
    let mut b = 0;
    b = a;
    b = a + 1;
    b
}

#[llmobs::task]
#[must_use]
pub fn must_be_used(a: u8) -> u8 {
    a
}

pub fn does_not_use_it() {
    must_be_used(1);
    #[llmobs::task]
    #[must_use = "here too"]
    fn inner(a: u8) -> u8 {
        a
    }
    inner(1);
}

#[llmobs::task]
pub fn superfluous_parentheses(a: u8) -> u8 {
    let b = (a + 1);
    (b)
}

#[llmobs::task]
#[deprecated]
pub fn deprecated(a: u8) -> u8 {
    a
}

#[llmobs::task]
pub fn calls_what_is_deprecated(a: u8) -> u8 {
    deprecated(a)
}

// What clippy has something to say about.

#[llmobs::workflow]
pub fn by_value(list: Vec<u8>, name: String) -> usize {
    list.len() + name.len()
}

#[llmobs::workflow]
pub fn by_reference(a: &u8, list: &Vec<u8>) -> usize {
    list.len() + usize::from(*a)
}

#[llmobs::task]
pub fn needless_return(a: u8) -> u8 {
    return a;
}

#[llmobs::task]
pub fn let_and_return(a: u8) -> u8 {
    let b = a + 1;
    b
}

#[llmobs::task]
pub fn may_fail(text: &str) -> Result<u8, std::num::ParseIntError> {
    text.parse::<u8>()
}

#[llmobs::task]
pub async fn may_fail_async(text: &str) -> Result<u8, Box<dyn std::error::Error>> {
    let parsed: u8 = text.parse()?;
    Ok(parsed)
}

#[llmobs::task]
pub fn may_panic(text: &str) -> u8 {
    text.parse().unwrap()
}

#[llmobs::task]
pub fn always_some(a: u8) -> Option<u8> {
    Some(a)
}

#[llmobs::task]
fn always_ok(a: u8) -> Result<u8, String> {
    Ok(a)
}

#[llmobs::task]
pub fn too_many(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> u8 {
    a + b + c + d + e + f + g + h
}

#[llmobs::task]
pub fn casts(a: u64, b: i8) -> (u8, u8) {
    (a as u8, b as u8)
}

#[llmobs::task]
pub fn matches_one(a: Option<u8>) -> u8 {
    match a {
        Some(a) => a,
        None => 0,
    }
}

#[llmobs::task]
pub fn holds_a_lock(lock: &Mutex<Vec<u8>>) -> usize {
    let guard = lock.lock().unwrap();
    let length = guard.len();
    length + 1
}

#[llmobs::task]
pub async fn holds_a_lock_across_an_await(lock: &Mutex<u8>) -> u8 {
    let guard = lock.lock().unwrap();
    std::future::ready(()).await;
    *guard
}

#[llmobs::task]
pub async fn is_not_send(rc: Rc<u8>) -> u8 {
    std::future::ready(()).await;
    *rc
}

#[llmobs::task]
pub async fn holds_much() -> usize {
    let much = [0_u8; 20_000];
    std::future::ready(()).await;
    much.len()
}

#[llmobs::task]
pub async fn holds_boxed_much(text: String) -> usize {
    let inner = holds_much().await;
    inner + text.len()
}

#[llmobs::task]
pub fn similar_names(item: u8, items: u8, itema: u8) -> u8 {
    item + items + itema
}

// What nobody has something to say about, or should not.

#[llmobs::task]
fn nothing() {}

#[llmobs::task]
pub(crate) fn calls_nothing() {
    nothing();
}

#[llmobs::task]
pub fn underscored(_a: u8, mut _b: Vec<u8>, _: u8) {}

#[llmobs::task]
pub async fn underscored_async(_a: u8, _b: Vec<u8>, _: u8) {
    std::future::ready(()).await;
}

#[llmobs::task]
pub fn mutable(mut list: Vec<u8>, mut a: u8) -> Vec<u8> {
    a += 1;
    list.push(a);
    list
}

#[llmobs::task]
pub async fn mutable_async(mut list: Vec<u8>, mut a: u8) -> Vec<u8> {
    a += 1;
    list.push(std::future::ready(a).await);
    list
}

#[llmobs::llm(name = "n", model_name = "m", session_id = session, tags(a = session.len()), metadata(b = true))]
pub fn told(session: &str) -> usize {
    session.len()
}

#[llmobs::workflow(input = text, output = |length| [*length])]
pub async fn told_async(text: &str) -> usize {
    std::future::ready(text.len()).await
}

#[llmobs::workflow(output = |shouted| [shouted.len()], capture_input = false)]
pub fn selected(text: &str) -> Result<String, fmt::Error> {
    Ok(text.to_owned())
}

#[llmobs::task]
pub fn patterns((a, b): (u8, u8), [c, ref d]: [u8; 2], Pair { left, right: _ }: Pair) -> u8 {
    a + b + c + *d + left
}

#[derive(Clone, Copy, Debug)]
pub struct Pair {
    left: u8,
    right: u8,
}

impl Pair {
    #[llmobs::task]
    pub fn new(left: u8, right: u8) -> Self {
        Self { left, right }
    }

    #[llmobs::task]
    pub fn sum(&self) -> u8 {
        self.left + self.right
    }

    #[llmobs::task]
    pub fn without_self(&self, a: u8) -> u8 {
        a
    }

    #[llmobs::task]
    pub fn set(&mut self, left: u8) {
        self.left = left;
    }

    #[llmobs::task]
    pub async fn sum_async(self) -> u8 {
        std::future::ready(self.left).await + self.right
    }

    #[llmobs::task]
    pub fn into_parts(self) -> (u8, u8) {
        (self.left, self.right)
    }

    #[llmobs::task]
    pub fn to_pair(self) -> Self {
        self
    }
}

#[llmobs::task]
pub fn generic<T: Display, const N: usize>(items: [T; N], more: impl Fn(&T) -> bool) -> usize {
    items.iter().filter(|item| more(item)).count()
}

#[llmobs::task]
pub fn lifetimes<'a>(map: &'a HashMap<String, String>, key: &str) -> Option<&'a str> {
    map.get(key).map(String::as_str)
}

#[llmobs::task]
pub fn needless_lifetimes<'a>(text: &'a str) -> &'a str {
    text
}

#[llmobs::task(capture_output = false)]
pub fn iterates(list: &[u8]) -> impl Iterator<Item = u8> + '_ {
    list.iter().map(|item| item + 1)
}

#[llmobs::task]
pub fn returns_a_future(a: u8) -> impl Future<Output = u8> {
    async move { a }
}

#[llmobs::task]
pub fn manual_async(a: u8) -> impl Future<Output = u8> {
    async move {
        std::future::ready(()).await;
        a
    }
}

#[llmobs::task]
pub fn returns_a_boxed_future(text: &str) -> Pin<Box<dyn Future<Output = usize> + Send + '_>> {
    Box::pin(async move { text.len() })
}

#[llmobs::task]
pub fn never(a: u8) -> ! {
    panic!("{}", a)
}

#[llmobs::task]
pub fn not_yet(a: u8) -> u8 {
    todo!("{a}")
}

#[llmobs::task]
pub async fn not_yet_async(_a: u8) -> Result<u8, String> {
    unimplemented!()
}

#[llmobs::task]
pub fn early(a: Option<u8>, cell: &RefCell<u8>) -> Option<u8> {
    if a? > 3 {
        return None;
    }
    *cell.borrow_mut() += 1;
    a
}

#[llmobs::task]
pub fn counts_down(n: u8) -> u8 {
    if n == 0 { 0 } else { counts_down(n - 1) + 1 }
}

#[llmobs::task]
pub unsafe fn is_unsafe(pointer: *const u8) -> u8 {
    unsafe { *pointer }
}

#[llmobs::task]
pub extern "C" fn exported(a: i32) -> i32 {
    a
}

#[llmobs::task]
#[inline]
#[track_caller]
pub fn tracked(a: u8) -> u8 {
    assert!(a > 0);
    a
}

pub trait Named {
    #[llmobs::task]
    fn name(&self) -> String {
        String::from("name")
    }

    #[llmobs::task]
    fn with_default(&self, suffix: &str) -> String {
        format!("{}{}", self.name(), suffix)
    }
}

impl Named for Pair {
    #[llmobs::task]
    fn name(&self) -> String {
        format!("{}", self.left)
    }
}

#[llmobs::task(stream)]
pub fn counted(to: u8) -> impl Iterator<Item = u8> + Clone {
    0..to
}

#[llmobs::llm(stream, output = |item| by.max(item.len()))]
pub fn words(text: &str, by: usize) -> Option<impl Iterator<Item = &str>> {
    let mut words = text.split(' ');
    let first = words.next()?;
    if first.is_empty() {
        return None;
    }
    Some(words.skip(by))
}

#[llmobs::task(stream)]
pub fn unused_in_a_stream(a: u8, mut b: u8) -> Box<dyn Iterator<Item = u8>> {
    let c = a;
    std::fs::remove_file("");
    return Box::new(std::iter::once(a));
}

#[llmobs::tool(stream)]
pub async fn parsed(text: String) -> Result<impl Iterator<Item = Result<u8, String>>, String> {
    if text.is_empty() {
        return Err(text);
    }
    Ok(text.into_bytes().into_iter().map(Ok))
}

#[llmobs::tool(stream)]
pub fn later<'a>(
    text: &'a str,
) -> Pin<Box<dyn Future<Output = Box<dyn Iterator<Item = char> + 'a>> + 'a>> {
    Box::pin(async move { Box::new(text.chars()) as Box<dyn Iterator<Item = char> + 'a> })
}

#[llmobs::task(stream)]
pub fn endless(pair: &Pair) -> impl Iterator<Item = &u8> {
    std::iter::repeat(&pair.left)
}

#[llmobs::task(stream)]
fn never_called_stream() -> impl Iterator<Item = u8> {
    std::iter::empty()
}

// What restriction lints have something to say about.

#[llmobs::task]
pub fn shadows(a: u8, b: &mut Vec<u8>) -> usize {
    let a = a;
    let a = a + 1;
    let b = b.len() + usize::from(a);
    let c = b;
    let c = String::new();
    c.len() + b
}

#[llmobs::workflow(capture_input = false)]
pub async fn shadows_async(a: u8) -> u8 {
    let a = a;
    let a = std::future::ready(a).await;
    let a = "another".len();
    a as u8
}

#[llmobs::task]
pub fn steps(list: &[u8], at: usize) -> Option<u8> {
    let first = list.first()?;
    let second = list[at];
    if first == &second {
        return std::option::Option::None;
    } else {
        std::println!("{}", second);
    }
    match first {
        0 => Some(1u8),
        _ => Some(*first as u8 / second),
    }
}

#[llmobs::task]
pub fn leaves_by_errors(text: &str) -> std::result::Result<u8, std::boxed::Box<dyn std::error::Error>> {
    let x = text.parse::<u8>()?;
    let y = text.len().to_string().parse::<u8>().map_err(|_| "long")?;
    Ok(x + y)
}

impl Pair {
    #[llmobs::tool]
    #[track_caller]
    fn tracked_method(&self, text: &str) -> Result<u8, std::num::ParseIntError> {
        if text.is_empty() {
            return Ok(self.left);
        }
        let right: u8 = text.parse()?;
        return Ok(right);
    }

    #[llmobs::tool]
    #[track_caller]
    pub fn tracked_public(&self, texts: &Vec<String>) -> Result<u8, String> {
        let text = texts.first().ok_or("none".to_string())?;
        dbg!(text);
        Ok(text.parse::<u8>().map_err(|error| error.to_string())?)
    }

    #[llmobs::tool]
    fn returns_a_function(&self, by: u8) -> impl Fn(&u8) -> u8 {
        return move |number| number * by;
    }
}

pub fn uses_them(pair: Pair) {
    let _ = pair.tracked_method("");
    pair.returns_a_function(1)(&2);
}

#[llmobs::task]
#[track_caller]
fn tracked_never(a: u8) -> u8 {
    panic!("{}", a)
}

#[llmobs::task]
#[track_caller]
pub fn tracked_ways(a: Option<u8>) -> Option<u8> {
    let b = loop {
        if a? > 1 {
            return a;
        }
        if a? > 0 {
            break tracked_never(1);
        }
    };
    if b > 0 {
        return Some(b);
    } else {
        return None;
    }
}
