//! What `stream` in an attribute comes to: the span goes from the function to the stream
//! that it returns, and each item is looked at by the best trait that its type has.

use crate::capture::Captured;
use futures_core::Stream;

use super::ladder::{Cap, Failure};
use super::record;
use super::start::Entered;
use crate::span::Span;
use crate::stream::{Chunk, SpanIterator, SpanStream, StreamOutput, Tracked};

/// The span after the body of a function: open, and current no more.
pub fn leave(entered: Option<Entered>) -> Span {
    entered.map_or_else(Span::idle, Entered::leave)
}

/// Ends the span of a function that has no stream to give.
#[cold]
#[inline(never)]
pub fn no_stream(span: &Span, failure: Option<Failure>) {
    if let Some(failure) = failure {
        record::failed(span, failure);
    }
    let _ = span.end(None);
}

/// Whether there is a span at all.
#[inline]
pub fn is_open(span: &Span) -> bool {
    span.inner().is_some()
}

/// The stream with the span over it.
#[inline]
pub fn stream<S, C>(span: Span, captures: bool, stream: S, collect: C) -> SpanStream<S, C>
where
    S: Stream,
    C: FnMut(&S::Item, &mut StreamOutput),
{
    SpanStream::new(Tracked::new(span, captures), stream, collect)
}

/// The iterator with the span over it.
#[inline]
pub fn iterator<I, C>(span: Span, captures: bool, iterator: I, collect: C) -> SpanIterator<I, C>
where
    I: Iterator,
    C: FnMut(&I::Item, &mut StreamOutput),
{
    SpanIterator::new(Tracked::new(span, captures), iterator, collect)
}

/// States the `Item` that the signature declares, before a ladder looks at it.
#[inline]
pub fn stream_of<T, S: Stream<Item = T>>(stream: S) -> S {
    stream
}

/// The same for an iterator.
#[inline]
pub fn iterator_of<T, I: Iterator<Item = T>>(iterator: I) -> I {
    iterator
}

/// An item that says itself what it adds.
pub fn chunk(output: &mut StreamOutput, chunk: &dyn Chunk) {
    output.chunk(chunk);
}

/// Whether another item is worth a look.
pub fn takes_items(output: &mut StreamOutput) -> bool {
    output.takes_items()
}

/// Any other item.
pub fn item(output: &mut StreamOutput, value: Captured) {
    output.captured(value.into_value());
}

/// An item that is an error.
#[cold]
#[inline(never)]
pub fn failed_item(output: &mut StreamOutput, failure: Failure) {
    output.fail(failure.0);
}

/// What says itself what it adds.
pub trait CapChunk {
    fn __llmobs_chunk(&self) -> Option<&dyn Chunk>;
}

impl<T: Chunk> CapChunk for &Cap<'_, T> {
    fn __llmobs_chunk(&self) -> Option<&dyn Chunk> {
        Some(self.0)
    }
}

/// Whatever else.
pub trait CapNoChunk {
    fn __llmobs_chunk(&self) -> Option<&dyn Chunk>;
}

impl<T: ?Sized> CapNoChunk for Cap<'_, T> {
    fn __llmobs_chunk(&self) -> Option<&dyn Chunk> {
        None
    }
}
