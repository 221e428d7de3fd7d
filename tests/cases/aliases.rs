//! Names that the attributes know from everywhere, and that are the program's own here: with
//! other parameters, or for something else.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::{StreamExt as _, stream};
use llmobs::{task, tool, workflow};
use serde_json::{Value, json};

use crate::support::{only, output, record, record_future};

type Boxed<T> = Pin<Box<T>>;

/// As tower has it.
mod sync {
    use super::*;
    pub(super) type BoxFuture<T, E> = Boxed<dyn Future<Output = Result<T, E>> + Send>;
}

/// The error first, and for one thread.
mod swapped {
    use super::*;
    pub(super) type LocalBoxFuture<'a, E, T> = Boxed<dyn Future<Output = Result<T, E>> + 'a>;
}

/// For good, for several threads, and to be moved.
mod more {
    use super::*;
    pub(super) type BoxFuture<'a, T> = Boxed<dyn Future<Output = T> + Send + Sync + 'a>;
    pub(super) type LocalBoxFuture<T> = Boxed<dyn Future<Output = Option<T>> + Send + Unpin>;
}

/// No boxes at all.
mod others {
    use super::*;

    pub(super) struct BoxFuture<T>(pub(super) Option<T>);

    impl<T: Unpin> Future for BoxFuture<T> {
        type Output = T;

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
            let this = self.get_mut();
            this.0.take().map_or(Poll::Pending, Poll::Ready)
        }
    }

    pub(super) type LocalBoxFuture<T> = Vec<T>;
}

fn failed(span: &Value) -> &Value {
    assert_eq!(span["status"], "error", "{span:#}");
    &span["meta"]["error"]["message"]
}

#[tool]
fn as_in_tower(text: &str) -> sync::BoxFuture<usize, String> {
    let length = text.len();
    Box::pin(async move {
        tokio::task::yield_now().await;
        if length == 0 {
            Err("empty".to_owned())
        } else {
            Ok(length)
        }
    })
}

#[tool]
fn the_error_first<'a>(text: &'a str) -> swapped::LocalBoxFuture<'a, String, &'a str> {
    if text.is_empty() {
        return Box::pin(async { Err("empty".to_owned()) });
    }
    Box::pin(async move { Ok(text) })
}

#[task]
fn for_several_threads<T: serde::Serialize + Send + Sync>(value: &T) -> more::BoxFuture<'_, &T> {
    Box::pin(std::future::ready(value))
}

#[task]
fn to_be_moved(value: u8) -> more::LocalBoxFuture<u8> {
    Box::pin(std::future::ready(Some(value)))
}

#[task]
#[allow(
    deprecated,
    reason = "the attribute warns that it cannot see the future"
)]
fn in_a_struct(value: u8) -> others::BoxFuture<u8> {
    others::BoxFuture(Some(value))
}

#[task]
fn no_future(value: u8) -> others::LocalBoxFuture<u8> {
    vec![value]
}

#[test]
fn a_boxed_future_is_seen_behind_an_alias_with_other_parameters() {
    let ((), spans) = record_future(async {
        assert_eq!(as_in_tower("ab").await, Ok(2));
        as_in_tower("").await.unwrap_err();
        assert_eq!(the_error_first("ab").await, Ok("ab"));
        the_error_first("").await.unwrap_err();
        assert_eq!(for_several_threads(&3).await, &3);
        assert_eq!(to_be_moved(4).await, Some(4));
    });
    assert_eq!(output(&spans[0]), json!(2));
    assert_eq!(failed(&spans[1]), "empty");
    assert_eq!(output(&spans[2]), json!("ab"));
    assert_eq!(failed(&spans[3]), "empty");
    assert_eq!(output(&spans[4]), json!(3));
    assert_eq!(output(&spans[5]), json!(4));
}

/// Nothing says how long what it comes to lives, so that no box can be made of it anew.
struct Service<T, E>(fn() -> sync::BoxFuture<T, E>);

impl<T, E> Service<T, E> {
    #[task]
    #[allow(
        deprecated,
        reason = "the attribute warns that it cannot see the future"
    )]
    fn call(&self) -> sync::BoxFuture<T, E> {
        (self.0)()
    }
}

#[test]
fn a_boxed_future_of_parameters_comes_back_as_it_is() {
    let service = Service(|| Box::pin(std::future::ready(Ok::<_, String>(1))));
    let (one, spans) = record_future(async { service.call().await });
    assert_eq!(one, Ok(1));
    assert_eq!(only(&spans)["status"], "ok");
}

#[test]
fn a_name_of_a_boxed_future_may_be_anything_else() {
    let ((), spans) = record_future(async {
        assert_eq!(in_a_struct(1).await, 1);
        assert_eq!(no_future(2), [2]);
    });
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|span| span["status"] == "ok"));
}

/// Streams whose items are not what the alias names.
mod streams {
    use super::*;
    pub(super) type BoxStream<T, E> = Boxed<dyn futures::Stream<Item = Result<T, E>> + Send>;
    pub(super) type LocalBoxStream<'a, E> = Boxed<dyn futures::Stream<Item = (u8, E)> + 'a>;
    pub(super) type StreamResult<E, S> = Result<S, E>;
}

#[workflow(stream)]
fn fallible(text: &str) -> streams::BoxStream<u8, String> {
    let items: Vec<_> = (text.split(' '))
        .map(|item| item.parse().map_err(|_| item.to_owned()))
        .collect();
    stream::iter(items).boxed()
}

#[workflow(stream, output = |item| item.0)]
fn pairs(to: u8) -> streams::StreamResult<String, streams::LocalBoxStream<'static, char>> {
    if to == 0 {
        return Err("nothing".to_owned());
    }
    Ok(stream::iter((0..to).map(|number| (number, 'x'))).boxed_local())
}

#[test]
fn the_items_of_a_stream_are_those_of_its_type() {
    let (count, spans) = record_future(async { fallible("1 2 x").count().await });
    assert_eq!(count, 3);
    assert_eq!(failed(only(&spans)), "x");
    assert_eq!(output(only(&spans)), json!([1, 2]));
    let (count, spans) = record_future(async { pairs(2).unwrap().count().await });
    assert_eq!(count, 2);
    assert_eq!(output(only(&spans)), json!([0, 1]));
    let (nothing, spans) = record(|| pairs(0).is_err());
    assert!(nothing);
    assert_eq!(failed(only(&spans)), "nothing");
}

/// Words that the attributes look for in a signature.
mod words {
    pub(super) type Result<T, U, E> = std::result::Result<(T, U), E>;
    pub(super) type Option<E> = std::result::Result<u8, E>;
    #[derive(Debug)]
    pub(super) struct Vec<T>(pub(super) T);
    #[derive(Debug)]
    pub(super) enum Value {
        Here,
    }
    pub(super) trait Future {
        type Item;
        fn item(&self) -> Self::Item;
    }
    impl Future for u8 {
        type Item = Self;
        fn item(&self) -> u8 {
            *self
        }
    }
    pub(super) trait Stream {
        fn length(&self) -> usize;
    }
    impl Stream for u8 {
        fn length(&self) -> usize {
            1
        }
    }
    pub(super) type Pin<T, U> = std::result::Result<T, U>;
    pub(super) type Box<T> = std::sync::Arc<T>;
    pub(super) type String = std::result::Result<u8, std::string::String>;
}

#[tool]
fn three(fails: bool) -> words::Result<u8, u8, String> {
    if fails {
        return Err("three".to_owned());
    }
    Ok((1, 2))
}

#[tool]
fn option(fails: bool) -> words::Option<String> {
    if fails {
        Err("option".to_owned())
    } else {
        Ok(1)
    }
}

#[tool]
fn string(fails: bool) -> words::String {
    if fails {
        Err("string".to_owned())
    } else {
        Ok(1)
    }
}

#[tool]
fn pin(fails: bool) -> words::Pin<words::Box<dyn words::Future<Item = u8>>, String> {
    if fails {
        Err("pin".to_owned())
    } else {
        Ok(std::sync::Arc::new(1))
    }
}

#[tool]
fn vec() -> words::Vec<words::Value> {
    words::Vec(words::Value::Here)
}

#[tool]
fn hidden() -> impl words::Future<Item = u8> {
    5
}

#[tool]
fn stream() -> impl words::Stream {
    5
}

#[test]
fn every_other_word_may_be_the_programs_own_too() {
    let ((), spans) = record(|| {
        assert_eq!(three(false), Ok((1, 2)));
        three(true).unwrap_err();
        option(true).unwrap_err();
        string(true).unwrap_err();
        assert!(pin(true).is_err());
        assert!(matches!(vec().0, words::Value::Here));
        assert_eq!(words::Future::item(&hidden()), 5);
        assert_eq!(words::Stream::length(&stream()), 1);
        assert_eq!(words::Future::item(&**pin(false).as_ref().unwrap()), 1);
    });
    assert_eq!(output(&spans[0]), json!([1, 2]));
    for (at, message) in [(1, "three"), (2, "option"), (3, "string"), (4, "pin")] {
        assert_eq!(failed(&spans[at]), message);
    }
    assert_eq!(output(&spans[5]), json!("Vec(Here)"));
}

/// A future only where its parameter lives for ever.
struct Upgrading<T>(T);

impl<T: 'static> Future for Upgrading<T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

struct Connection<T>(T);

#[allow(
    deprecated,
    reason = "the attribute warns that it cannot see the future"
)]
impl<T> Connection<T> {
    #[task]
    fn with_upgrades(self) -> Upgrading<T>
    where
        T: Send,
    {
        Upgrading(self.0)
    }

    #[task]
    fn of_a_reference(&self) -> Upgrading<&T> {
        Upgrading(&self.0)
    }
}

#[test]
fn whether_a_future_comes_back_is_asked_without_asking_for_lifetimes() {
    let (sum, spans) = record(|| {
        let connection = Connection(7_u8);
        let sum = *connection.of_a_reference().0;
        sum + connection.with_upgrades().0
    });
    assert_eq!(sum, 14);
    assert_eq!(spans.len(), 2);
}
