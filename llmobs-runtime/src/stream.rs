//! Spans over streams and iterators: current while the next item is made, open until the
//! last one has come or nobody asks for more, and the items put together as the output.
//!
//! Two things meet here: what an item says ([`Chunk`], [`StreamOutput`]), and when the span
//! begins to be current and ends ([`tracked`]). Nothing is asked of the items themselves:
//! they pass through by reference.

mod first;
mod output;
mod tracked;
mod wrapped;

use std::borrow::Cow;
use std::error::Error;
use std::rc::Rc;
use std::sync::Arc;

use futures_core::Stream;
use serde_json::Value;

use crate::document::Document;
use crate::message::Message;
use crate::span::Span;

pub use output::{StreamOutput, ToolCallDelta};
pub(crate) use tracked::Tracked;
pub use wrapped::{Chunks, SpanIterator, SpanStream};

/// What an item of a stream adds to the span's output: implement it for the chunks of your
/// model's client.
///
/// Text, `(role, text)`, messages and JSON have it already; so have references to what has it, `Option`s
/// and `Result`s of it. A type of another crate needs one of your own around it, or a
/// closure: [`Span::wrap_stream_with`], and `output = |item| …` beside `stream` in an
/// attribute.
///
/// In a stream that an attribute wraps, items without this are captured like any value
/// (`Serialize`, else `Debug`, else the type's name), as a list; for `llm`, what is a string
/// then is text.
///
/// A panic in it is swallowed: what the item said up to there stays.
///
/// ```
/// # use llmobs_runtime as llmobs;
/// use llmobs::{Chunk, StreamOutput, TokenUsage};
///
/// /// An event of a server that streams.
/// enum Event {
///     Text(String),
///     ToolCall { index: usize, name: Option<String>, arguments: String },
///     End { input_tokens: u64, output_tokens: u64 },
/// }
///
/// impl Chunk for Event {
///     fn add_to(&self, output: &mut StreamOutput) {
///         match self {
///             Event::Text(text) => {
///                 output.role("assistant").text(text);
///             }
///             Event::ToolCall { index, name, arguments } => {
///                 output
///                     .tool_call(*index)
///                     .name(name.as_deref().unwrap_or_default())
///                     .arguments(arguments);
///             }
///             Event::End { input_tokens, output_tokens } => {
///                 let usage = TokenUsage::new().input(*input_tokens).output(*output_tokens);
///                 output.usage(usage);
///             }
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what it adds to the output of a span",
    note = "implement `Chunk` for it, or say it with a closure: `wrap_stream_with`, `wrap_iterator_with`"
)]
pub trait Chunk {
    /// Adds what the item says. It is called once for each item, in the order in which they
    /// come, before the item is given to whoever asked for it.
    fn add_to(&self, output: &mut StreamOutput);
}

impl Chunk for str {
    fn add_to(&self, output: &mut StreamOutput) {
        output.text(self);
    }
}

impl Chunk for String {
    fn add_to(&self, output: &mut StreamOutput) {
        output.text(self);
    }
}

impl Chunk for Cow<'_, str> {
    fn add_to(&self, output: &mut StreamOutput) {
        output.text(self);
    }
}

impl Chunk for char {
    fn add_to(&self, output: &mut StreamOutput) {
        output.text(self.encode_utf8(&mut [0; 4]));
    }
}

/// Text of a role: what one role says in several items is one message.
impl<R: AsRef<str>, C: AsRef<str>> Chunk for (R, C) {
    fn add_to(&self, output: &mut StreamOutput) {
        output.role(self.0.as_ref()).text(self.1.as_ref());
    }
}

/// A whole message.
impl Chunk for Message {
    fn add_to(&self, output: &mut StreamOutput) {
        output.message(self.clone());
    }
}

/// An element of a list.
impl Chunk for Document {
    fn add_to(&self, output: &mut StreamOutput) {
        output.json(self);
    }
}

/// An element of a list; a string is text, and `null` is nothing.
impl Chunk for Value {
    fn add_to(&self, output: &mut StreamOutput) {
        output.value(self);
    }
}

/// `None` adds nothing.
impl<T: Chunk> Chunk for Option<T> {
    fn add_to(&self, output: &mut StreamOutput) {
        if let Some(item) = self {
            item.add_to(output);
        }
    }
}

/// An `Err` is the error of the span, and ends it.
impl<T: Chunk, E: Error> Chunk for Result<T, E> {
    fn add_to(&self, output: &mut StreamOutput) {
        match self {
            Ok(item) => item.add_to(output),
            Err(error) => output.error(error),
        }
    }
}

macro_rules! pointers {
    ($($ty:ty;)*) => {$(
        impl<T: Chunk + ?Sized> Chunk for $ty {
            fn add_to(&self, output: &mut StreamOutput) {
                (**self).add_to(output);
            }
        }
    )*};
}

pointers! {
    &T;
    &mut T;
    Box<T>;
    Rc<T>;
    Arc<T>;
}

impl Span {
    /// A stream that runs under this span and ends it.
    ///
    /// The span is current during each poll and at no other time. It ends with the stream,
    /// at the first item that is an error, by a panic in a poll, or when the stream is
    /// dropped half-way: then it has the tag `cancelled:true`, the status ok, and as its
    /// output what came so far. Other handles of the span may annotate it until then; an
    /// output, a metric or a metadata key that is annotated by hand wins over what the
    /// items say.
    ///
    /// The span gets the metric `time_to_first_token`: the seconds from its start to the first item
    /// that adds text, a message, the call of a tool, or an element. An item that is empty, or tells
    /// a role, usage or metadata only, is none. JSON counts by what is in it, where it is an event of
    /// a known API (OpenAI, Anthropic, Gemini, Ollama, Cohere, Bedrock); other JSON counts unless it
    /// is empty.
    ///
    /// What the items say is kept within the limits of an [`Annotation`](crate::Annotation)
    /// and not at all where [`Capture`](crate::Capture) forbids it; usage is kept always. An
    /// error in the items needs a type with [`Error`]; for others, such as `anyhow::Error`,
    /// use [`wrap_stream_with`](Self::wrap_stream_with).
    ///
    /// While llmobs is not enabled, the items pass through.
    ///
    /// ```
    /// # use llmobs_runtime as llmobs;
    /// use futures::{Stream, StreamExt as _, stream};
    /// use llmobs::Span;
    ///
    /// fn chat() -> impl Stream<Item = &'static str> {
    ///     let span = Span::llm("chat").model_name("claude").start();
    ///     let _in = span.enter(); // what the call itself starts is below the span too
    ///     let tokens = stream::iter(["Hel", "lo"]);
    ///     span.wrap_stream(tokens)
    /// }
    /// # let said: String = futures::executor::block_on(chat().collect());
    /// # assert_eq!(said, "Hello");
    /// ```
    pub fn wrap_stream<S>(&self, stream: S) -> SpanStream<S, Chunks>
    where
        S: Stream<Item: Chunk>,
    {
        SpanStream::new(Tracked::new(self.clone(), true), stream, Chunks)
    }

    /// The same for items that are no [`Chunk`]s: `add` tells what each of them adds.
    ///
    /// ```
    /// # use llmobs_runtime as llmobs;
    /// use futures::stream;
    /// use llmobs::Span;
    ///
    /// let lines: [Result<&str, Box<dyn std::error::Error>>; 2] = [Ok("a"), Err("cut off".into())];
    /// let span = Span::task("read").start();
    /// let lines = span.wrap_stream_with(stream::iter(lines), |item, output| match item {
    ///     Ok(line) => {
    ///         output.text(line);
    ///     }
    ///     Err(error) => output.error(error.as_ref()),
    /// });
    /// # drop(lines);
    /// ```
    pub fn wrap_stream_with<S, F>(&self, stream: S, add: F) -> SpanStream<S, F>
    where
        S: Stream,
        F: FnMut(&S::Item, &mut StreamOutput),
    {
        SpanStream::new(Tracked::new(self.clone(), true), stream, add)
    }

    /// An iterator that runs under this span and ends it: as
    /// [`wrap_stream`](Self::wrap_stream), where a call of `next` is what a poll is. Items that
    /// `nth` or `skip` leave out are not in the output.
    ///
    /// ```
    /// # use llmobs_runtime as llmobs;
    /// use llmobs::Span;
    ///
    /// let words = ["one ", "two"].into_iter();
    /// let words = Span::tool("read").start().wrap_iterator(words);
    /// assert_eq!(words.collect::<String>(), "one two");
    /// ```
    pub fn wrap_iterator<I>(&self, iterator: I) -> SpanIterator<I, Chunks>
    where
        I: Iterator<Item: Chunk>,
    {
        SpanIterator::new(Tracked::new(self.clone(), true), iterator, Chunks)
    }

    /// The same for items that are no [`Chunk`]s: `add` tells what each of them adds.
    pub fn wrap_iterator_with<I, F>(&self, iterator: I, add: F) -> SpanIterator<I, F>
    where
        I: Iterator,
        F: FnMut(&I::Item, &mut StreamOutput),
    {
        SpanIterator::new(Tracked::new(self.clone(), true), iterator, add)
    }
}
